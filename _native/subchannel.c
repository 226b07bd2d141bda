/* Subchannel of compact discs: 96 bytes a frame, by channel or by bit, and the CRC of Q. */
#include "kernels.h"

#include <string.h>

enum { CHANNELS = 8, CHANNEL = 12, Q_CODED = 10 };

/* Rows and columns of 8 x 8 bits exchanged, the highest bit first; its own inverse. */
static uint64_t transposed(uint64_t x)
{
    uint64_t t = (x ^ x >> 7) & 0x00AA00AA00AA00AAull;
    x ^= t ^ t << 7;
    t = (x ^ x >> 14) & 0x0000CCCC0000CCCCull;
    x ^= t ^ t << 14;
    t = (x ^ x >> 28) & 0x00000000F0F0F0F0ull;
    return x ^ t ^ t << 28;
}

void di_sub_interleave(const uint8_t *packed, int64_t count, uint8_t *out)
{
    for (; count; count--, packed += DI_SUB, out += DI_SUB)
        for (int k = 0; k < CHANNEL; k++) {
            uint64_t rows = 0;
            for (int c = 0; c < CHANNELS; c++)
                rows = rows << 8 | packed[c * CHANNEL + k];
            rows = transposed(rows);
            for (int i = 0; i < CHANNELS; i++)
                out[CHANNELS * k + i] = (uint8_t)(rows >> 8 * (CHANNELS - 1 - i));
        }
}

void di_sub_pack(const uint8_t *interleaved, int64_t count, uint8_t *out)
{
    for (; count; count--, interleaved += DI_SUB, out += DI_SUB)
        for (int k = 0; k < CHANNEL; k++) {
            uint64_t rows = 0;
            for (int i = 0; i < CHANNELS; i++)
                rows = rows << 8 | interleaved[CHANNELS * k + i];
            rows = transposed(rows);
            for (int c = 0; c < CHANNELS; c++)
                out[c * CHANNEL + k] = (uint8_t)(rows >> 8 * (CHANNELS - 1 - c));
        }
}

/* CRC-16, polynomial 0x1021, from 0, inverted: IEC 60908 17.5.1. */
static uint16_t q_crc(const uint8_t *q)
{
    uint16_t crc = 0;
    for (int i = 0; i < Q_CODED; i++) {
        uint16_t x = (uint16_t)(crc >> 8 ^ q[i]);
        x ^= x >> 4;
        crc = (uint16_t)(crc << 8 ^ x << 12 ^ x << 5 ^ x);
    }
    return (uint16_t)~crc;
}

void di_q_check(const uint8_t *q, int64_t count, int64_t pitch, uint8_t *wrong)
{
    for (; count; count--, q += pitch)
        *wrong++ = q_crc(q) != (q[Q_CODED] << 8 | q[Q_CODED + 1]);
}

void di_q_seal(uint8_t *q, int64_t count, int64_t pitch)
{
    for (; count; count--, q += pitch) {
        uint16_t crc = q_crc(q);
        q[Q_CODED] = (uint8_t)(crc >> 8);
        q[Q_CODED + 1] = (uint8_t)crc;
    }
}
