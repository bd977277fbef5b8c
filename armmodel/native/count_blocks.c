/*
 * A qemu plugin that counts the executions of each block of a program and the lines that miss in its caches, split
 * at the entry of watched addresses.
 *
 *   qemu-aarch64 -plugin libcount_blocks.so,out=FILE,watch=0xADDRESS,cache=32:4,cache=512:8 PROGRAM ...
 *
 * watch=ADDRESS and cache=KIB:WAYS may be repeated; the first cache is the one that the core accesses.
 *
 * The output is text. A block is a translation block of qemu: instructions that run one after the other.
 *   block INDEX ADDRESS WORD...   a block, before its first count; the address and its words are hexadecimal
 *   count INDEX EXECUTIONS        executions since the last watched address was reached
 *   lines COUNT                   lines that missed in all caches since the last watched address was reached
 *   reach ADDRESS                 a watched address is about to run
 *   end                           the program has ended
 *
 * For programs of one thread. This file is compiled against the header of the qemu that loads it.
 */
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <qemu-plugin.h>

#include "caches.h"

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

enum { kMostWatched = 32 };

#if QEMU_PLUGIN_VERSION >= 2
typedef qemu_plugin_u64 Counter;
#else
typedef uint64_t Counter;
#endif

typedef struct {
    Counter counter;
    uint64_t seen; /* executions that have been written */
} Block;

static GHashTable* index_of; /* address and length of a block, as one key, to its index + 1 */
static GPtrArray* blocks;
static FILE* output;
static uint64_t watched[kMostWatched];
static size_t watched_count;

static uint64_t executions(const Block* block) {
#if QEMU_PLUGIN_VERSION >= 2
    return qemu_plugin_u64_sum(block->counter);
#else
    return block->counter;
#endif
}

static void count_executions(struct qemu_plugin_tb* tb, Block* block) {
#if QEMU_PLUGIN_VERSION >= 2
    qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64, block->counter, 1);
#else
    qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &block->counter, 1);
#endif
}

static uint32_t word_of(struct qemu_plugin_insn* instruction) {
    uint32_t word;
#if QEMU_PLUGIN_VERSION >= 3
    qemu_plugin_insn_data(instruction, &word, sizeof word);
#else
    memcpy(&word, qemu_plugin_insn_data(instruction), sizeof word);
#endif
    return word;
}

static void write_counts(void) {
    for (guint i = 0; i < blocks->len; ++i) {
        Block* block = g_ptr_array_index(blocks, i);
        const uint64_t now = executions(block);
        if (now != block->seen) fprintf(output, "count %u %" PRIu64 "\n", i, now - block->seen);
        block->seen = now;
    }
    const uint64_t lines = take_missed_lines();
    if (lines != 0) fprintf(output, "lines %" PRIu64 "\n", lines);
}

static void on_access(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t address, void* unused) {
    (void)vcpu, (void)info, (void)unused;
    access_memory(address);
}

static void on_watched(unsigned int vcpu, void* address) {
    (void)vcpu;
    write_counts();
    fprintf(output, "reach %" PRIxPTR "\n", (uintptr_t)address);
}

static Block* new_block(struct qemu_plugin_tb* tb, uint64_t address, size_t length) {
    Block* block = g_new0(Block, 1);
#if QEMU_PLUGIN_VERSION >= 2
    block->counter = qemu_plugin_scoreboard_u64(qemu_plugin_scoreboard_new(sizeof(uint64_t)));
#endif
    fprintf(output, "block %u %" PRIx64, blocks->len, address);
    for (size_t i = 0; i < length; ++i) fprintf(output, " %08" PRIx32, word_of(qemu_plugin_tb_get_insn(tb, i)));
    fputc('\n', output);
    g_ptr_array_add(blocks, block);
    return block;
}

/* qemu may translate a block again: it keeps its index */
static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb* tb) {
    (void)id;
    const uint64_t address = qemu_plugin_tb_vaddr(tb);
    const size_t length = qemu_plugin_tb_n_insns(tb);                   /* at most 512 */
    const gpointer key = (gpointer)(uintptr_t)(address << 10 | length); /* addresses have 48 bits */
    const guint known = GPOINTER_TO_UINT(g_hash_table_lookup(index_of, key));
    Block* block = known ? g_ptr_array_index(blocks, known - 1) : new_block(tb, address, length);
    if (!known) g_hash_table_insert(index_of, key, GUINT_TO_POINTER(blocks->len));
    count_executions(tb, block);
    for (size_t i = 0; i < length; ++i) {
        struct qemu_plugin_insn* instruction = qemu_plugin_tb_get_insn(tb, i);
        const uint64_t at = qemu_plugin_insn_vaddr(instruction);
        if (cache_count != 0) {
            qemu_plugin_register_vcpu_mem_cb(instruction, on_access, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, NULL);
        }
        for (size_t j = 0; j < watched_count; ++j) {
            if (at != watched[j]) continue;
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_watched, QEMU_PLUGIN_CB_NO_REGS,
                                                   (void*)(uintptr_t)at);
        }
    }
}

static void on_exit_of_program(qemu_plugin_id_t id, void* unused) {
    (void)id;
    (void)unused;
    write_counts();
    fputs("end\n", output);
    fclose(output);
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info, int argc, char** argv) {
    (void)info;
    const char* path = NULL;
    for (int i = 0; i < argc; ++i) {
        if (strncmp(argv[i], "out=", 4) == 0) {
            path = argv[i] + 4;
        } else if (strncmp(argv[i], "watch=", 6) == 0 && watched_count < kMostWatched) {
            watched[watched_count++] = strtoull(argv[i] + 6, NULL, 16);
        } else if (strncmp(argv[i], "cache=", 6) != 0 || !add_cache(argv[i] + 6)) {
            fprintf(stderr,
                    "count_blocks: expected out=FILE, at most %d of watch=ADDRESS and at most %d of cache=KIB:WAYS, "
                    "found %s\n",
                    kMostWatched, kMostCaches, argv[i]);
            return 1;
        }
    }
    output = path ? fopen(path, "w") : NULL;
    if (output == NULL) {
        fprintf(stderr, "count_blocks: the file of out=FILE cannot be written\n");
        return 1;
    }
    index_of = g_hash_table_new(g_direct_hash, g_direct_equal);
    blocks = g_ptr_array_new();
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, on_exit_of_program, NULL);
    return 0;
}
