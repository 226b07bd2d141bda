#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {data, size};
    int64_t units = below(&in, 6), blocks = below(&in, 40), count = units * blocks;
    uint8_t *tweaks = bytes(&in, units * 16), *plain = bytes(&in, count * 16);
    uint8_t *out = room(count * 16), mask[16];
    di_xts_mask(plain, units, blocks, tweaks, out);
    for (int64_t i = 0; i < count; i++) {
        if (i % blocks == 0)
            memcpy(mask, tweaks + i / blocks * 16, 16);
        for (int k = 0; k < 16; k++)
            HOLDS(out[16 * i + k] == (plain[16 * i + k] ^ mask[k]));
        int carry = 0;
        for (int k = 0; k < 16; k++) {
            int value = mask[k] << 1 | carry;
            mask[k] = (uint8_t)value;
            carry = value >> 8;
        }
        mask[0] ^= carry ? 0x87 : 0;
    }
    di_xts_mask(out, units, blocks, tweaks, out);
    HOLDS(!count || !memcmp(out, plain, (size_t)count * 16));
    free(tweaks), free(plain), free(out);
    return 0;
}
