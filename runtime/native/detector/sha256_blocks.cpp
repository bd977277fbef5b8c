#include "sha256_blocks.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#elif defined(__aarch64__) && defined(__linux__) && (!defined(__clang__) || __clang_major__ >= 16)
#include <arm_neon.h>
#include <sys/auxv.h>
#define POCKETDET_ARM_SHA2  // an older clang has no intrinsics for a function with a target of its own
#endif

namespace pocketdet {

namespace {

// The first 32 bits of the fractional parts of the cube roots of the first 64 primes, FIPS 180-4 section 4.2.2.
alignas(16) constexpr uint32_t kRound[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

uint32_t rotated(uint32_t value, int bits) { return (value >> bits) | (value << (32 - bits)); }

uint32_t big_endian(const uint8_t* bytes) {
    return (uint32_t{bytes[0]} << 24) | (uint32_t{bytes[1]} << 16) | (uint32_t{bytes[2]} << 8) | bytes[3];
}

// Below, words[i % 4] has the words 4 i to 4 i + 3 of the message schedule; each step does four rounds.

#if defined(__x86_64__)

bool has_instructions() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    const bool sse41 = __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_SSE4_1) != 0;
    return sse41 && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & bit_SHA) != 0;
}

__attribute__((target("sha,sse4.1"))) void add_with_instructions(Sha256State& state, const uint8_t* blocks,
                                                                 size_t count) {
    const auto [a, b, c, d, e, f, g, h] = state;
    const __m128i swap = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
    __m128i abef = _mm_set_epi32(int(a), int(b), int(e), int(f));
    __m128i cdgh = _mm_set_epi32(int(c), int(d), int(g), int(h));
    for (; count > 0; --count, blocks += 64) {
        const __m128i before_abef = abef, before_cdgh = cdgh;
        __m128i words[4];
        for (int i = 0; i < 16; ++i) {
            __m128i& now = words[i % 4];
            if (i < 4) {
                now = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(blocks) + i), swap);
            } else {
                const __m128i last = words[(i + 3) % 4];
                const __m128i seven_back = _mm_alignr_epi8(last, words[(i + 2) % 4], 4);
                now = _mm_sha256msg1_epu32(now, words[(i + 1) % 4]);
                now = _mm_sha256msg2_epu32(_mm_add_epi32(now, seven_back), last);
            }
            const __m128i keys = _mm_load_si128(reinterpret_cast<const __m128i*>(kRound) + i);
            const __m128i sum = _mm_add_epi32(now, keys);
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);  // two rounds exchange the halves
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
        }
        abef = _mm_add_epi32(abef, before_abef);
        cdgh = _mm_add_epi32(cdgh, before_cdgh);
    }
    alignas(16) uint32_t first[4], second[4];  // f, e, b, a and h, g, d, c
    _mm_store_si128(reinterpret_cast<__m128i*>(first), abef);
    _mm_store_si128(reinterpret_cast<__m128i*>(second), cdgh);
    state = {first[3], first[2], second[3], second[2], first[1], first[0], second[1], second[0]};
}

#elif defined(POCKETDET_ARM_SHA2)

bool has_instructions() { return (getauxval(AT_HWCAP) & (1ul << 6)) != 0; }  // HWCAP_SHA2

#if defined(__clang__)
__attribute__((target("sha2")))
#else
__attribute__((target("+crypto")))
#endif
void add_with_instructions(Sha256State& state, const uint8_t* blocks, size_t count) {
    uint32x4_t abcd = vld1q_u32(state.data());
    uint32x4_t efgh = vld1q_u32(state.data() + 4);
    for (; count > 0; --count, blocks += 64) {
        const uint32x4_t before_abcd = abcd, before_efgh = efgh;
        uint32x4_t words[4];
        for (int i = 0; i < 16; ++i) {
            uint32x4_t& now = words[i % 4];
            if (i < 4) {
                now = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(blocks + 16 * i)));
            } else {
                now = vsha256su0q_u32(now, words[(i + 1) % 4]);
                now = vsha256su1q_u32(now, words[(i + 2) % 4], words[(i + 3) % 4]);
            }
            const uint32x4_t sum = vaddq_u32(now, vld1q_u32(kRound + 4 * i));
            const uint32x4_t last = abcd;
            abcd = vsha256hq_u32(abcd, efgh, sum);
            efgh = vsha256h2q_u32(efgh, last, sum);
        }
        abcd = vaddq_u32(abcd, before_abcd);
        efgh = vaddq_u32(efgh, before_efgh);
    }
    vst1q_u32(state.data(), abcd);
    vst1q_u32(state.data() + 4, efgh);
}

#else

bool has_instructions() { return false; }

void add_with_instructions(Sha256State& state, const uint8_t* blocks, size_t count) {
    add_sha256_blocks_plain(state, blocks, count);
}

#endif

}  // namespace

void add_sha256_blocks_plain(Sha256State& state, const uint8_t* blocks, size_t count) {
    for (; count > 0; --count, blocks += 64) {
        uint32_t w[64];
        for (int i = 0; i < 16; ++i) w[i] = big_endian(blocks + 4 * i);
        for (int i = 16; i < 64; ++i) {
            const uint32_t s0 = rotated(w[i - 15], 7) ^ rotated(w[i - 15], 18) ^ (w[i - 15] >> 3);
            const uint32_t s1 = rotated(w[i - 2], 17) ^ rotated(w[i - 2], 19) ^ (w[i - 2] >> 10);
            w[i] = w[i - 16] + s0 + w[i - 7] + s1;
        }
        auto [a, b, c, d, e, f, g, h] = state;
        for (int i = 0; i < 64; ++i) {
            const uint32_t s1 = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25);
            const uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + kRound[i] + w[i];
            const uint32_t s0 = rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22);
            const uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
            h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
        }
        const uint32_t step[8] = {a, b, c, d, e, f, g, h};
        for (size_t i = 0; i < 8; ++i) state[i] += step[i];
    }
}

void add_sha256_blocks(Sha256State& state, const uint8_t* blocks, size_t count) {
    static const auto add = has_instructions() ? add_with_instructions : add_sha256_blocks_plain;
    add(state, blocks, count);
}

}  // namespace pocketdet
