/* The tweaks of XTS: that of each unit times x to the number of the block in it, in GF(2^128). */
#include "kernels.h"

#include <string.h>

enum { BLOCK = 16, POLYNOMIAL = 0x87 };

static uint64_t little(uint64_t value)
{
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? value : __builtin_bswap64(value);
}

void di_xts_mask(const uint8_t *data, int64_t units, int64_t blocks, const uint8_t *tweaks,
                 uint8_t *out)
{
    for (; units; units--, tweaks += BLOCK) {
        uint64_t half[2], one[2];
        memcpy(half, tweaks, BLOCK);
        uint64_t low = little(half[0]), high = little(half[1]);
        for (int64_t n = blocks; n; n--, data += BLOCK, out += BLOCK) {
            memcpy(one, data, BLOCK);
            one[0] ^= little(low);
            one[1] ^= little(high);
            memcpy(out, one, BLOCK);
            uint64_t carry = (high >> 63) * POLYNOMIAL;
            high = high << 1 | low >> 63;
            low = low << 1 ^ carry;
        }
    }
}
