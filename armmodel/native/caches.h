/*
 * Data caches with lines of 64 bytes, each of which replaces the line that was used least recently.
 *
 * The first cache sees every access, each other one those that miss in the one before it. Addresses are those of
 * the program: a set of a real second-level cache is chosen by the physical address, which an emulator does not
 * have.
 */
#ifndef POCKETDET_CACHES_H
#define POCKETDET_CACHES_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kMostCaches = 4, kLineShift = 6 };

typedef struct {
    uint64_t set_mask; /* the number of sets, a power of two, less 1 */
    unsigned ways;
    uint64_t* lines; /* of each set, the most recent first; 0 is no line of a program */
} Cache;

static Cache caches[kMostCaches];
static size_t cache_count;
static uint64_t missed_lines; /* accesses that miss in all caches, since the last call of take_missed_lines */

/* "KIB:WAYS", false if it is no such thing or the number of sets is no power of two */
static bool add_cache(const char* description) {
    unsigned kib = 0, ways = 0;
    if (cache_count == kMostCaches || sscanf(description, "%u:%u", &kib, &ways) != 2 || ways == 0) return false;
    const uint64_t lines = ((uint64_t)kib << 10) >> kLineShift, sets = lines / ways;
    if (sets == 0 || (sets & (sets - 1)) != 0 || sets * ways != lines) return false;
    caches[cache_count++] = (Cache){sets - 1, ways, calloc(lines, sizeof(uint64_t))};
    return caches[cache_count - 1].lines != NULL;
}

/* makes a line the most recent one, false if it was not there */
static inline bool touch(Cache* cache, uint64_t line) {
    uint64_t* set = cache->lines + (line & cache->set_mask) * cache->ways;
    if (set[0] == line) return true;
    unsigned way = 1;
    while (way < cache->ways && set[way] != line) ++way;
    const bool found = way < cache->ways;
    memmove(set + 1, set, (found ? way : cache->ways - 1) * sizeof(uint64_t));
    set[0] = line;
    return found;
}

static inline void access_memory(uint64_t address) {
    for (size_t i = 0; i < cache_count; ++i) {
        if (touch(&caches[i], address >> kLineShift)) return;
    }
    ++missed_lines;
}

static uint64_t take_missed_lines(void) {
    const uint64_t lines = missed_lines;
    missed_lines = 0;
    return lines;
}

#endif /* POCKETDET_CACHES_H */
