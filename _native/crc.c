/* Reflected 32-bit CRCs: the EDC of compact discs (ECMA-130 14.3) and CRC-32C (RFC 3720 B.4). */
#include "kernels.h"
#include "paths.h"

#include <string.h>

#if DI_X86
#include <immintrin.h>
#elif DI_ARM
#include <arm_neon.h>
#endif

di_crc di_crc_edc, di_crc_castagnoli;

static uint32_t times_x(uint32_t value, uint32_t polynomial)
{
    return value >> 1 ^ (value & 1 ? polynomial : 0);
}

/* x^power modulo the polynomial, reflected: bit 31 is x^0. */
static uint32_t power_of_x(int power, uint32_t polynomial)
{
    uint32_t value = 0x80000000;
    while (power--)
        value = times_x(value, polynomial);
    return value;
}

static void prepare(di_crc *crc, uint32_t polynomial)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t value = byte;
        for (int bit = 0; bit < 8; bit++)
            value = times_x(value, polynomial);
        crc->slice[0][byte] = value;
    }
    for (int n = 1; n < 16; n++) {
        for (uint32_t byte = 0; byte < 256; byte++) {
            uint32_t value = crc->slice[n - 1][byte];
            crc->slice[n][byte] = value >> 8 ^ crc->slice[0][value & 0xFF];
        }
    }
    /* Of a 128-bit block, bit j stands for x^(127 - j), so its low word is 64 powers higher. A
     * carry-less product of two reflected 64-bit words is reflected in 127 bits: one power less. */
    static const int distance[2] = {512, 128};
    for (int i = 0; i < 2; i++) {
        crc->fold[i][0] = (uint64_t)power_of_x(distance[i] + 63, polynomial) << 32;
        crc->fold[i][1] = (uint64_t)power_of_x(distance[i] - 1, polynomial) << 32;
    }
}

void di_crc_prepare(void)
{
    prepare(&di_crc_edc, 0xD8018001);
    prepare(&di_crc_castagnoli, 0x82F63B78);
}

static uint32_t load32(const uint8_t *data)
{
    return (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 |
           (uint32_t)data[3] << 24;
}

uint32_t di_crc_portable(const di_crc *crc, const uint8_t *data, int64_t size, uint32_t value)
{
    const uint32_t(*slice)[256] = crc->slice;
    for (; size >= 16; data += 16, size -= 16) {
        uint32_t next = 0;
        for (int word = 0; word < 4; word++) {
            uint32_t bits = load32(data + 4 * word) ^ (word ? 0 : value);
            const uint32_t(*table)[256] = slice + 12 - 4 * word;
            next ^= table[3][bits & 0xFF] ^ table[2][bits >> 8 & 0xFF] ^
                    table[1][bits >> 16 & 0xFF] ^ table[0][bits >> 24];
        }
        value = next;
    }
    for (; size > 0; data++, size--)
        value = value >> 8 ^ slice[0][(value ^ *data) & 0xFF];
    return value;
}

#if DI_X86

#define CARRYLESS DI_TARGET("pclmul,sse4.1")
typedef __m128i block;

CARRYLESS DI_INLINE block load(const uint8_t *data)
{
    return _mm_loadu_si128((const __m128i *)(const void *)data);
}

CARRYLESS DI_INLINE block add(block a, block b)
{
    return _mm_xor_si128(a, b);
}

CARRYLESS DI_INLINE block fold(block a, block constants, block next)
{
    block low = _mm_clmulepi64_si128(a, constants, 0x00);
    block high = _mm_clmulepi64_si128(a, constants, 0x11);
    return add(add(low, high), next);
}

#elif DI_ARM

#define CARRYLESS DI_TARGET("+crypto")
typedef uint64x2_t block;

CARRYLESS DI_INLINE block load(const uint8_t *data)
{
    return vreinterpretq_u64_u8(vld1q_u8(data));
}

CARRYLESS DI_INLINE block add(block a, block b)
{
    return veorq_u64(a, b);
}

CARRYLESS DI_INLINE block fold(block a, block constants, block next)
{
    poly128_t low = vmull_p64((poly64_t)vgetq_lane_u64(a, 0),
                              (poly64_t)vgetq_lane_u64(constants, 0));
    poly128_t high = vmull_p64((poly64_t)vgetq_lane_u64(a, 1),
                               (poly64_t)vgetq_lane_u64(constants, 1));
    return add(add(vreinterpretq_u64_p128(low), vreinterpretq_u64_p128(high)), next);
}

#endif

#if DI_X86 || DI_ARM

CARRYLESS uint32_t di_crc_folded(const di_crc *crc, const uint8_t *data, int64_t size,
                                 uint32_t value)
{
    if (size < 64)
        return di_crc_portable(crc, data, size, value);
    uint8_t first[16] = {0}, rest[16];
    for (int i = 0; i < 4; i++)
        first[i] = (uint8_t)(value >> 8 * i);
    block by512 = load((const uint8_t *)crc->fold[0]);
    block by128 = load((const uint8_t *)crc->fold[1]);
    block a = add(load(data), load(first));
    block b = load(data + 16), c = load(data + 32), d = load(data + 48);
    for (data += 64, size -= 64; size >= 64; data += 64, size -= 64) {
        a = fold(a, by512, load(data));
        b = fold(b, by512, load(data + 16));
        c = fold(c, by512, load(data + 32));
        d = fold(d, by512, load(data + 48));
    }
    a = fold(fold(fold(a, by128, b), by128, c), by128, d);
    for (; size >= 16; data += 16, size -= 16)
        a = fold(a, by128, load(data));
    memcpy(rest, &a, sizeof rest);
    return di_crc_portable(crc, data, size, di_crc_portable(crc, rest, sizeof rest, 0));
}

#endif

uint32_t di_edc(const uint8_t *data, int64_t size, uint32_t value)
{
    return di_select()->crc(&di_crc_edc, data, size, value);
}

uint32_t di_crc32c(const uint8_t *data, int64_t size, uint32_t value)
{
    return ~di_select()->crc(&di_crc_castagnoli, data, size, ~value);
}
