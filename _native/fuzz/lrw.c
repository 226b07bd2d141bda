#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {data, size};
    int64_t count = below(&in, 70);
    uint64_t number = word(&in);
    uint8_t *powers = bytes(&in, 64 * 16), *plain = bytes(&in, count * 16);
    uint8_t *out = room(count * 16), mask[16];
    di_lrw_mask(plain, count, powers, number, out);
    for (int64_t i = 0; i < count; i++) {
        memset(mask, 0, sizeof mask);
        for (int bit = 0; bit < 64; bit++)
            for (int k = 0; k < 16 && (number + (uint64_t)i) >> bit & 1; k++)
                mask[k] ^= powers[16 * bit + k];
        for (int k = 0; k < 16; k++)
            HOLDS(out[16 * i + k] == (plain[16 * i + k] ^ mask[k]));
    }
    di_lrw_mask(out, count, powers, number, out);
    HOLDS(!count || !memcmp(out, plain, (size_t)count * 16));
    free(powers), free(plain), free(out);
    return 0;
}
