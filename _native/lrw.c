/* The tweaks of LRW: F times the number of each block in GF(2^128). */
#include "kernels.h"

#include <string.h>

enum { BLOCK = 16, BITS = 64 };

typedef struct {
    uint64_t half[2];
} block;

static block mixed(block a, const block *b)
{
    a.half[0] ^= b->half[0];
    a.half[1] ^= b->half[1];
    return a;
}

void di_lrw_mask(const uint8_t *data, int64_t count, const uint8_t *powers, uint64_t number,
                 uint8_t *out)
{
    block ones[BITS], tweak = {{0, 0}}, sum = {{0, 0}};
    for (int bit = 0; bit < BITS; bit++) {
        block power;
        memcpy(&power, powers + BLOCK * bit, BLOCK);
        if (number >> bit & 1)
            tweak = mixed(tweak, &power);
        ones[bit] = sum = mixed(sum, &power); /* of the number that is `bit` + 1 ones */
    }
    for (; count; count--, data += BLOCK, out += BLOCK) {
        block one;
        memcpy(&one, data, BLOCK);
        one = mixed(one, &tweak);
        memcpy(out, &one, BLOCK);
        number++; /* differs from the one before in its lowest one and what is below */
        tweak = mixed(tweak, &ones[__builtin_ctzll(number)]);
    }
}
