/* P and Q parity of compact disc frames: two Reed-Solomon product codes over GF(2^8) with
 * polynomial 0x11D (ECMA-130 annex A). Bytes 12..2351 are 1170 words of 16 bits, whose low and high
 * bytes are coded apart. P's codewords are 86 columns of 24 rows, Q's 52 diagonals of 43. */
#include "kernels.h"
#include "paths.h"

#include <string.h>

enum { AREA = 12, P_WIDTH = 86, P_COUNT = 24, Q_WIDTH = 52, Q_COUNT = 43, Q_ROWS = 26 };
enum { P_PADDED = 96, Q_PADDED = 64, MOST = 3, ROUNDS = 8 };

const uint8_t di_sync[12] = {0,    0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                             0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0};

static uint8_t logarithms[256];

static uint8_t twice(uint8_t value)
{
    return (uint8_t)(value << 1 ^ (value & 0x80 ? 0x1D : 0));
}

void di_parity_prepare(void)
{
    uint8_t value = 1;
    for (int power = 0; power < 255; power++, value = twice(value))
        logarithms[value] = (uint8_t)power;
}

/* ---- the inner loop, once for each width of registers that a compiler may use ---- */

typedef uint8_t vector __attribute__((vector_size(32), aligned(1), may_alias));
typedef int8_t signs __attribute__((vector_size(32)));

/* By address, since a vector as an argument would depend on the processor the caller is
 * built for. */
DI_INLINE void double_all(vector *values)
{
    vector high = (vector)((signs)*values < (signs){0});
    *values = (*values + *values) ^ (high & 0x1D);
}

/* Division by alpha + 1: multiplication by its inverse. */
DI_INLINE void third_all(vector *values)
{
    enum { INVERSE = 0xF4 };
    vector once = *values;
    for (int bit = 6; bit >= 0; bit--) {
        double_all(values);
        if (INVERSE >> bit & 1)
            *values ^= once;
    }
}

/* With a the sum of row t times alpha^(count - t) and b that of the rows: 3 p0 = 2 a + b and
 * p1 = p0 + b. The vectors of a row go side by side to hide each other's latency. */
DI_INLINE void parity_rows(const uint8_t *const *rows, int count, int vectors, uint8_t *p0,
                           uint8_t *p1)
{
    vector a[MOST] = {0}, b[MOST] = {0};
    for (int t = 0; t < count; t++) {
        const vector *row = (const vector *)(const void *)rows[t];
        for (int i = 0; i < vectors; i++) {
            b[i] ^= row[i];
            a[i] ^= row[i];
            double_all(&a[i]);
        }
    }
    for (int i = 0; i < vectors; i++) {
        double_all(&a[i]);
        a[i] ^= b[i];
        third_all(&a[i]);
        ((vector *)(void *)p0)[i] = a[i];
        ((vector *)(void *)p1)[i] = a[i] ^ b[i];
    }
}

DI_INLINE void parity_of(const uint8_t *const *rows, int count, int width, uint8_t *p0, uint8_t *p1)
{
    if (width == 3 * 32)
        parity_rows(rows, count, 3, p0, p1);
    else
        parity_rows(rows, count, 2, p0, p1);
}

void di_parity_portable(const uint8_t *const *rows, int count, int width, uint8_t *p0, uint8_t *p1)
{
    parity_of(rows, count, width, p0, p1);
}

#if DI_X86
DI_TARGET("avx2")
void di_parity_avx2(const uint8_t *const *rows, int count, int width, uint8_t *p0, uint8_t *p1)
{
    parity_of(rows, count, width, p0, p1);
}
#endif

void di_parity_p(const uint8_t *frame, uint8_t parity[172])
{
    const uint8_t *rows[P_COUNT];
    uint8_t first[P_PADDED], second[P_PADDED];
    for (int t = 0; t < P_COUNT; t++)
        rows[t] = frame + AREA + t * P_WIDTH; /* the last is read to byte 2086 */
    di_select()->parity(rows, P_COUNT, P_PADDED, first, second);
    memcpy(parity, first, P_WIDTH);
    memcpy(parity + P_WIDTH, second, P_WIDTH);
}

typedef uint16_t eight __attribute__((vector_size(16), aligned(1), may_alias));

#define LOW(x, y) __builtin_shufflevector(x, y, 0, 8, 1, 9, 2, 10, 3, 11)
#define HIGH(x, y) __builtin_shufflevector(x, y, 4, 12, 5, 13, 6, 14, 7, 15)

/* Writes the transpose of 8 rows of 8 words: column c goes to out + c * step, and
 * `again` further. */
DI_INLINE void transpose(const uint8_t *in, int pitch, uint8_t *out, int step, int again)
{
    eight r[8], s[8];
    for (int i = 0; i < 8; i++)
        r[i] = *(const eight *)(const void *)(in + i * pitch);
    for (int i = 0; i < 4; i++) {
        s[2 * i] = LOW(r[i], r[i + 4]);
        s[2 * i + 1] = HIGH(r[i], r[i + 4]);
    }
    for (int i = 0; i < 4; i++) {
        r[2 * i] = LOW(s[i], s[i + 4]);
        r[2 * i + 1] = HIGH(s[i], s[i + 4]);
    }
    for (int i = 0; i < 4; i++) {
        s[2 * i] = LOW(r[i], r[i + 4]);
        s[2 * i + 1] = HIGH(r[i], r[i + 4]);
    }
    for (int i = 0; i < 8; i++) {
        *(eight *)(void *)(out + i * step) = s[i];
        *(eight *)(void *)(out + i * step + again) = s[i];
    }
}

/* Q's 1118 words are 26 rows of 43, of which diagonal k takes column t of row (k + t) mod 26. So
 * the transpose, each column twice in a row, holds element t of all diagonals side by side. */
void di_parity_q(const uint8_t *frame, uint8_t parity[104])
{
    enum { PITCH = 2 * Q_COUNT, HALF = 2 * Q_ROWS, STEP = 2 * HALF };
    static const int bands[4] = {0, 8, 16, 18}, columns[6] = {0, 8, 16, 24, 32, 35};
    uint8_t turned[Q_COUNT * STEP + 16], first[Q_PADDED], second[Q_PADDED];
    const uint8_t *rows[Q_COUNT];
    memset(turned + Q_COUNT * STEP, 0, 16);
    for (int j = 0; j < 6; j++)
        for (int i = 0; i < 4; i++)
            transpose(frame + AREA + bands[i] * PITCH + 2 * columns[j], PITCH,
                      turned + columns[j] * STEP + 2 * bands[i], STEP, HALF);
    for (int t = 0; t < Q_COUNT; t++)
        rows[t] = turned + t * STEP + 2 * (t % Q_ROWS); /* 64 bytes are read, 52 count */
    di_select()->parity(rows, Q_COUNT, Q_PADDED, first, second);
    memcpy(parity, first, Q_WIDTH);
    memcpy(parity + Q_WIDTH, second, Q_WIDTH);
}

void di_ecc(uint8_t *frame, int32_t mode)
{
    uint8_t header[4];
    memcpy(header, frame + AREA, 4);
    if (mode == 2) /* so that a frame can be moved */
        memset(frame + AREA, 0, 4);
    di_parity_p(frame, frame + DI_P_AT);
    di_parity_q(frame, frame + DI_Q_AT);
    memcpy(frame + AREA, header, 4);
}

/* ---- correction ---- */

typedef int place_of(int word, int t);

static int place_p(int word, int t)
{
    return AREA + word + P_WIDTH * t;
}

static int place_q(int word, int t)
{
    if (t >= Q_COUNT)
        return DI_Q_AT + word + (t - Q_COUNT) * Q_WIDTH;
    return AREA + ((word >> 1) * 86 + (word & 1) + t * 88) % 2236;
}

/* Corrects each codeword with one wrong byte: the plain sum is the error, the weighted one the
 * error times alpha to the power of its place from the end. `frozen` is where the header ends that
 * counts as zero. Answers whether anything changed. */
static int mend_words(uint8_t *frame, int frozen, place_of *place, int words, int length)
{
    int changed = 0;
    for (int word = 0; word < words; word++) {
        uint8_t sum = 0, weighted = 0;
        for (int t = 0; t < length; t++) {
            int at = place(word, t);
            uint8_t value = at < frozen ? 0 : frame[at];
            sum ^= value;
            weighted = twice(weighted) ^ value;
        }
        if (!sum || !weighted)
            continue;
        int from_end = (logarithms[weighted] + 255 - logarithms[sum]) % 255;
        if (from_end >= length)
            continue;
        int at = place(word, length - 1 - from_end);
        if (at < frozen)
            continue;
        frame[at] ^= sum;
        changed = 1;
    }
    return changed;
}

/* The EDC is the judge, never the parity alone. */
static int mend(uint8_t *frame, int mode)
{
    const uint8_t *judged = frame + (mode == 1 ? 0 : 16);
    int64_t size = mode == 1 ? 2068 : 2060;
    int frozen = mode == 2 ? 16 : 0;
    for (int round = 0; round < ROUNDS; round++) {
        if (!di_edc(judged, size, 0))
            return 1;
        int changed = mend_words(frame, frozen, place_p, P_WIDTH, P_COUNT + 2);
        if (changed && !di_edc(judged, size, 0))
            return 1;
        if (!mend_words(frame, frozen, place_q, Q_WIDTH, Q_COUNT + 2) && !changed)
            return 0;
    }
    return !di_edc(judged, size, 0);
}

static int form2(const uint8_t *frame)
{
    return !memcmp(frame + 16, frame + 20, 4) && frame[18] & 0x20;
}

int32_t di_repair(uint8_t *frame, int32_t mode)
{
    uint8_t work[DI_RAW];
    int32_t changed = 0;
    di_select();
    memcpy(work, frame, DI_RAW);
    memcpy(work, di_sync, sizeof di_sync);
    if (mode == 2 && form2(frame)) {
        static const uint8_t none[4];
        if (memcmp(frame + 2348, none, 4) && di_edc(frame + 16, DI_RAW - 16, 0))
            return -1;
    } else {
        if (!mend(work, mode))
            return -1;
        if (mode == 1)
            memset(work + 2068, 0, 8);
        di_ecc(work, mode);
    }
    for (int i = 0; i < DI_RAW; i++)
        changed += work[i] != frame[i];
    memcpy(frame, work, DI_RAW);
    return changed;
}
