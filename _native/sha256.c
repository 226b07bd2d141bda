/* SHA-256 (FIPS 180-4) of several messages side by side. The rounds are written once, for words
 * that are integers or vectors of them; with the SHA extensions two messages hide each other's
 * latency. */
#include "kernels.h"
#include "lanes.h"

#include <string.h>

/* the first 32 bits of the fractions of the cube roots of the first 64 primes */
static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
    0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
    0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

#define ROTATE(x, n) ((x) >> (n) | (x) << (32 - (n)))
#define XOR3(x, y, z) ((x) ^ (y) ^ (z))
#define CHOOSE(x, y, z) ((z) ^ ((x) & ((y) ^ (z))))
#define MAJORITY(x, y, z) (((x) & (y)) | ((z) & ((x) | (y))))
#define SUM0(x) XOR3(ROTATE(x, 2), ROTATE(x, 13), ROTATE(x, 22))
#define SUM1(x) XOR3(ROTATE(x, 6), ROTATE(x, 11), ROTATE(x, 25))
#define SIGMA0(x) XOR3(ROTATE(x, 7), ROTATE(x, 18), (x) >> 3)
#define SIGMA1(x) XOR3(ROTATE(x, 17), ROTATE(x, 19), (x) >> 10)

/* e is the word made last, so what does not wait for it is added first */
#define ROUND(a, b, c, d, e, f, g, h, i) \
    h += K[t + (i)] + w[(i) & 15];       \
    h += CHOOSE(e, f, g);                \
    h += SUM1(e);                        \
    d += h;                              \
    h += SUM0(a) + MAJORITY(a, b, c);
/* a word of the next sixteen rounds, made as soon as nobody needs the one in its place: between
 * rounds, which it does not wait for (a tenth faster than sixteen at once) */
#define NEXT(i)                                                              \
    w[(i) & 15] += SIGMA0(w[((i) + 1) & 15]) + w[((i) + 9) & 15] +           \
                   SIGMA1(w[((i) + 14) & 15]);
#define NOTHING(i)
#define EIGHT(i, THEN)                                                       \
    ROUND(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], i) THEN(i)         \
    ROUND(s[7], s[0], s[1], s[2], s[3], s[4], s[5], s[6], i + 1) THEN(i + 1) \
    ROUND(s[6], s[7], s[0], s[1], s[2], s[3], s[4], s[5], i + 2) THEN(i + 2) \
    ROUND(s[5], s[6], s[7], s[0], s[1], s[2], s[3], s[4], i + 3) THEN(i + 3) \
    ROUND(s[4], s[5], s[6], s[7], s[0], s[1], s[2], s[3], i + 4) THEN(i + 4) \
    ROUND(s[3], s[4], s[5], s[6], s[7], s[0], s[1], s[2], i + 5) THEN(i + 5) \
    ROUND(s[2], s[3], s[4], s[5], s[6], s[7], s[0], s[1], i + 6) THEN(i + 6) \
    ROUND(s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[0], i + 7) THEN(i + 7)

/* A path over WORD, of `lanes` integers, whose LOAD gives a piece's sixteen words. */
#define PATH(name, target, WORD, lanes, LOAD)                                                \
    target void name(uint32_t *const *state, const uint8_t *const *data, int64_t count)      \
    {                                                                                        \
        WORD sum[8];                                                                         \
        for (int i = 0; i < 8; i++)                                                          \
            for (int lane = 0; lane < (lanes); lane++)                                       \
                ((uint32_t *)&sum[i])[lane] = state[lane][i];                                \
        for (int64_t at = 0; at < count * 64; at += 64) {                                    \
            WORD w[16], s[8];                                                                \
            LOAD;                                                                            \
            for (int i = 0; i < 8; i++)                                                      \
                s[i] = sum[i];                                                               \
            int t = 0;                                                                       \
            for (; t < 48; t += 16) {                                                        \
                EIGHT(0, NEXT)                                                               \
                EIGHT(8, NEXT)                                                               \
            }                                                                                \
            EIGHT(0, NOTHING)                                                                \
            EIGHT(8, NOTHING)                                                                \
            for (int i = 0; i < 8; i++)                                                      \
                sum[i] += s[i];                                                              \
        }                                                                                    \
        for (int i = 0; i < 8; i++)                                                          \
            for (int lane = 0; lane < (lanes); lane++)                                       \
                state[lane][i] = ((uint32_t *)&sum[i])[lane];                                \
    }

DI_INLINE void load1(const uint8_t *const *data, int64_t at, uint32_t *w)
{
    for (int i = 0; i < 16; i++) {
        const uint8_t *p = data[0] + at + 4 * i;
        w[i] = (uint32_t)p[3] | (uint32_t)p[2] << 8 | (uint32_t)p[1] << 16 | (uint32_t)p[0] << 24;
    }
}

PATH(di_sha256_portable, , uint32_t, 1, load1(data, at, w))

#if DI_X86

AVX2 DI_INLINE void load8_big(const uint8_t *const *data, int64_t at, __m256i *w)
{
    const __m256i swap = _mm256_broadcastsi128_si256(
        _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3));
    load8(data, at, w);
    for (int i = 0; i < 16; i++)
        w[i] = _mm256_shuffle_epi8(w[i], swap);
}

PATH(di_sha256_avx2, AVX2, v8, 8, load8_big(data, at, (__m256i *)w))

AVX512 DI_INLINE void load16_big(const uint8_t *const *data, int64_t at, __m512i *w)
{
    const __m512i swap = _mm512_broadcast_i32x4(
        _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3));
    load16(data, at, w);
    for (int i = 0; i < 16; i++)
        w[i] = _mm512_shuffle_epi8(w[i], swap);
}

/* one instruction for any function of three words; its table is the function of F0, CC, AA */
#undef ROTATE
#undef XOR3
#undef CHOOSE
#undef MAJORITY
#define ROTATE(x, n) ((v16)_mm512_ror_epi32((__m512i)(x), n))
#define THREE(x, y, z, table) \
    ((v16)_mm512_ternarylogic_epi32((__m512i)(x), (__m512i)(y), (__m512i)(z), table))
#define XOR3(x, y, z) THREE(x, y, z, 0x96)
#define CHOOSE(x, y, z) THREE(x, y, z, 0xCA)
#define MAJORITY(x, y, z) THREE(x, y, z, 0xE8)

PATH(di_sha256_avx512, AVX512, v16, 16, load16_big(data, at, (__m512i *)w))

#define SHA DI_TARGET("sha,sse4.1")

SHA DI_INLINE void load_state(const uint32_t *state, __m128i *abef, __m128i *cdgh)
{
    __m128i abcd = _mm_loadu_si128((const __m128i *)(const void *)state);
    __m128i efgh = _mm_loadu_si128((const __m128i *)(const void *)(state + 4));
    abcd = _mm_shuffle_epi32(abcd, 0xB1);
    efgh = _mm_shuffle_epi32(efgh, 0x1B);
    *abef = _mm_alignr_epi8(abcd, efgh, 8);
    *cdgh = _mm_blend_epi16(efgh, abcd, 0xF0);
}

SHA DI_INLINE void store_state(uint32_t *state, __m128i abef, __m128i cdgh)
{
    __m128i feba = _mm_shuffle_epi32(abef, 0x1B);
    __m128i dchg = _mm_shuffle_epi32(cdgh, 0xB1);
    _mm_storeu_si128((__m128i *)(void *)state, _mm_blend_epi16(feba, dchg, 0xF0));
    _mm_storeu_si128((__m128i *)(void *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

SHA void di_sha256_ni(uint32_t *const *state, const uint8_t *const *data, int64_t count)
{
    enum { LANES = 2 };
    const __m128i swap = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
    __m128i abef[LANES], cdgh[LANES], w[LANES][4], abef0[LANES], cdgh0[LANES];
    for (int n = 0; n < LANES; n++)
        load_state(state[n], &abef[n], &cdgh[n]);
    for (int64_t at = 0; at < count * 64; at += 64) {
        for (int n = 0; n < LANES; n++) {
            abef0[n] = abef[n];
            cdgh0[n] = cdgh[n];
            for (int i = 0; i < 4; i++)
                w[n][i] = _mm_shuffle_epi8(
                    _mm_loadu_si128((const __m128i *)(const void *)(data[n] + at + 16 * i)), swap);
        }
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) {
            __m128i constants = _mm_loadu_si128((const __m128i *)(const void *)(K + 4 * i));
            for (int n = 0; n < LANES; n++) {
                __m128i *x = w[n];
                if (i >= 4) {
                    __m128i next = _mm_sha256msg1_epu32(x[i & 3], x[(i + 1) & 3]);
                    next = _mm_add_epi32(next, _mm_alignr_epi8(x[(i + 3) & 3], x[(i + 2) & 3], 4));
                    x[i & 3] = _mm_sha256msg2_epu32(next, x[(i + 3) & 3]);
                }
                __m128i word = _mm_add_epi32(x[i & 3], constants);
                cdgh[n] = _mm_sha256rnds2_epu32(cdgh[n], abef[n], word);
                word = _mm_shuffle_epi32(word, 0x0E);
                abef[n] = _mm_sha256rnds2_epu32(abef[n], cdgh[n], word);
            }
        }
        for (int n = 0; n < LANES; n++) {
            abef[n] = _mm_add_epi32(abef[n], abef0[n]);
            cdgh[n] = _mm_add_epi32(cdgh[n], cdgh0[n]);
        }
    }
    for (int n = 0; n < LANES; n++)
        store_state(state[n], abef[n], cdgh[n]);
}

#endif
