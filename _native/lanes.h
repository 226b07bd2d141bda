/* Lines of several messages as vectors of one word each: word i of all lanes is w[i]. A line is
 * loaded whole, so that lanes whose addresses fall into one set of the first cache (blocks of 4 KiB
 * and more) do not put each other's lines out. Not part of the contract. */
#ifndef DISKIMAGE_LANES_H
#define DISKIMAGE_LANES_H

#include "paths.h"

#if DI_X86
#include <immintrin.h>

#define AVX2 DI_TARGET("avx2")
#define AVX512 DI_TARGET("avx512f,avx512bw,avx512dq,avx512vl")

enum { AHEAD = 1024 };

typedef uint32_t v8 __attribute__((vector_size(32)));
typedef uint32_t v16 __attribute__((vector_size(64)));

/* Half a line, 32 bytes, of each of eight lanes. */
AVX2 DI_INLINE void load_half8(const uint8_t *const *data, int64_t at, __m256i *w)
{
    __m256i r[8], s[8];
    for (int i = 0; i < 8; i++)
        r[i] = _mm256_loadu_si256((const __m256i *)(const void *)(data[i] + at));
    for (int i = 0; i < 8; i += 2) {
        s[i] = _mm256_unpacklo_epi32(r[i], r[i + 1]);
        s[i + 1] = _mm256_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        r[i] = _mm256_unpacklo_epi64(s[i], s[i + 2]);
        r[i + 1] = _mm256_unpackhi_epi64(s[i], s[i + 2]);
        r[i + 2] = _mm256_unpacklo_epi64(s[i + 1], s[i + 3]);
        r[i + 3] = _mm256_unpackhi_epi64(s[i + 1], s[i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        w[i] = _mm256_permute2x128_si256(r[i], r[i + 4], 0x20);
        w[i + 4] = _mm256_permute2x128_si256(r[i], r[i + 4], 0x31);
    }
}

AVX2 DI_INLINE void load8(const uint8_t *const *data, int64_t at, __m256i *w)
{
    load_half8(data, at, w);
    load_half8(data, at + 32, w + 8);
}

AVX512 DI_INLINE void load16(const uint8_t *const *data, int64_t at, __m512i *w)
{
    __m512i r[16], s[16];
    for (int i = 0; i < 16; i++) {
        r[i] = _mm512_loadu_si512(data[i] + at);
        /* more streams than the hardware follows; past the end it does nothing */
        _mm_prefetch((const char *)((uintptr_t)data[i] + (uintptr_t)at + AHEAD), _MM_HINT_T1);
    }
    for (int i = 0; i < 16; i += 2) {
        s[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        s[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(s[i], s[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(s[i], s[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(s[i + 1], s[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(s[i + 1], s[i + 3]);
    }
    /* r[4 g + c] has words c, c + 4, c + 8, c + 12 of lanes 4 g to 4 g + 3 */
    for (int c = 0; c < 4; c++) {
        s[c] = _mm512_shuffle_i32x4(r[c], r[c + 4], 0x88);
        s[c + 4] = _mm512_shuffle_i32x4(r[c], r[c + 4], 0xDD);
        s[c + 8] = _mm512_shuffle_i32x4(r[c + 8], r[c + 12], 0x88);
        s[c + 12] = _mm512_shuffle_i32x4(r[c + 8], r[c + 12], 0xDD);
    }
    for (int c = 0; c < 4; c++) {
        w[c] = _mm512_shuffle_i32x4(s[c], s[c + 8], 0x88);
        w[c + 4] = _mm512_shuffle_i32x4(s[c + 4], s[c + 12], 0x88);
        w[c + 8] = _mm512_shuffle_i32x4(s[c], s[c + 8], 0xDD);
        w[c + 12] = _mm512_shuffle_i32x4(s[c + 4], s[c + 12], 0xDD);
    }
}

#endif
#endif
