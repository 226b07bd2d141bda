/* MD5 (RFC 1321) of several messages side by side. The steps are written once, for words that are
 * integers or vectors of them. */
#include "kernels.h"
#include "lanes.h"

#include <string.h>

/* floor(2^32 * |sin(i + 1)|) */
static const uint32_t K[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a,
    0xa8304613, 0xfd469501, 0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be,
    0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821, 0xf61e2562, 0xc040b340,
    0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8,
    0x676f02d9, 0x8d2a4c8a, 0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c,
    0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70, 0x289b7ec6, 0xeaa127fa,
    0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92,
    0xffeff47d, 0x85845dd1, 0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1,
    0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};

#define F(x, y, z) ((z) ^ ((x) & ((y) ^ (z))))
#define G(x, y, z) F(z, x, y)
#define H(x, y, z) ((x) ^ (y) ^ (z))
#define I(x, y, z) ((y) ^ ((x) | ~(z)))

/* N groups of lanes in turn hide the latency of a step. b is the word made last, so what does not
 * wait for it is added first. */
#define STEP(f, a, b, c, d, word, shift)                          \
    for (int n = 0; n < N; n++) {                                 \
        a[n] += w[n][word] + K[k];                                \
        a[n] += f(b[n], c[n], d[n]);                              \
    }                                                             \
    for (int n = 0; n < N; n++)                                   \
        a[n] = (a[n] << (shift) | a[n] >> (32 - (shift))) + b[n]; \
    k++;
#define FOUR(f, w0, w1, w2, w3, s0, s1, s2, s3) \
    STEP(f, a, b, c, d, w0, s0)                 \
    STEP(f, d, a, b, c, w1, s1)                 \
    STEP(f, c, d, a, b, w2, s2)                 \
    STEP(f, b, c, d, a, w3, s3)
#define STEPS                                      \
    FOUR(F, 0, 1, 2, 3, 7, 12, 17, 22)             \
    FOUR(F, 4, 5, 6, 7, 7, 12, 17, 22)             \
    FOUR(F, 8, 9, 10, 11, 7, 12, 17, 22)           \
    FOUR(F, 12, 13, 14, 15, 7, 12, 17, 22)         \
    FOUR(G, 1, 6, 11, 0, 5, 9, 14, 20)             \
    FOUR(G, 5, 10, 15, 4, 5, 9, 14, 20)            \
    FOUR(G, 9, 14, 3, 8, 5, 9, 14, 20)             \
    FOUR(G, 13, 2, 7, 12, 5, 9, 14, 20)            \
    FOUR(H, 5, 8, 11, 14, 4, 11, 16, 23)           \
    FOUR(H, 1, 4, 7, 10, 4, 11, 16, 23)            \
    FOUR(H, 13, 0, 3, 6, 4, 11, 16, 23)            \
    FOUR(H, 9, 12, 15, 2, 4, 11, 16, 23)           \
    FOUR(I, 0, 7, 14, 5, 6, 10, 15, 21)            \
    FOUR(I, 12, 3, 10, 1, 6, 10, 15, 21)           \
    FOUR(I, 8, 15, 6, 13, 6, 10, 15, 21)           \
    FOUR(I, 4, 11, 2, 9, 6, 10, 15, 21)

/* A path over N groups of WORD, of `width` integers; LOAD gives the words of group n. */
#define PATH(name, target, groups, WORD, width, LOAD)                                    \
    target void name(uint32_t *const *state, const uint8_t *const *data, int64_t count)  \
    {                                                                                    \
        enum { N = groups };                                                             \
        WORD h[4][N];                                                                    \
        for (int i = 0; i < 4; i++)                                                      \
            for (int lane = 0; lane < N * (width); lane++)                               \
                ((uint32_t *)h[i])[lane] = state[lane][i];                               \
        for (int64_t at = 0; at < count * 64; at += 64) {                                \
            WORD w[N][16], a[N], b[N], c[N], d[N];                                       \
            int k = 0;                                                                   \
            for (int n = 0; n < N; n++) {                                                \
                a[n] = h[0][n], b[n] = h[1][n], c[n] = h[2][n], d[n] = h[3][n];          \
                LOAD;                                                                    \
            }                                                                            \
            STEPS                                                                        \
            for (int n = 0; n < N; n++)                                                  \
                h[0][n] += a[n], h[1][n] += b[n], h[2][n] += c[n], h[3][n] += d[n];      \
        }                                                                                \
        for (int i = 0; i < 4; i++)                                                      \
            for (int lane = 0; lane < N * (width); lane++)                               \
                state[lane][i] = ((uint32_t *)h[i])[lane];                               \
    }

DI_INLINE void load1(const uint8_t *const *data, int64_t at, uint32_t *w)
{
    for (int i = 0; i < 16; i++) {
        const uint8_t *p = data[0] + at + 4 * i;
        w[i] = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    }
}

PATH(di_md5_portable, , 1, uint32_t, 1, load1(data + n, at, w[n]))

#if DI_X86

PATH(di_md5_avx2, AVX2, 1, v8, 8, load8(data + 8 * n, at, (__m256i *)w[n]))
PATH(di_md5_avx2_16, AVX2, 2, v8, 8, load8(data + 8 * n, at, (__m256i *)w[n]))

/* one instruction for any function of three words; its table is the function of F0, CC, AA */
#undef F
#undef H
#undef I
#define THREE(x, y, z, table) \
    ((v16)_mm512_ternarylogic_epi32((__m512i)(x), (__m512i)(y), (__m512i)(z), table))
#define F(x, y, z) THREE(x, y, z, 0xCA)
#define H(x, y, z) THREE(x, y, z, 0x96)
#define I(x, y, z) THREE(x, y, z, 0x39)

PATH(di_md5_avx512, AVX512, 1, v16, 16, load16(data + 16 * n, at, (__m512i *)w[n]))
PATH(di_md5_avx512_32, AVX512, 2, v16, 16, load16(data + 16 * n, at, (__m512i *)w[n]))

#endif
