#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {data, size};
    int64_t count = below(&in, 40), pitch = below(&in, 100) + 12;
    uint8_t *packed = bytes(&in, count * DI_SUB), *q = bytes(&in, count * pitch);
    uint8_t *woven = room(count * DI_SUB), *back = room(count * DI_SUB), *wrong = room(count);
    di_sub_interleave(packed, count, woven);
    for (int64_t bit = 0; bit < count * DI_SUB * 8; bit++) {
        int64_t frame = bit / 768, channel = bit % 768 / 96, place = bit % 96;
        int has = packed[frame * DI_SUB + channel * 12 + place / 8] >> (7 - place % 8) & 1;
        HOLDS((woven[frame * DI_SUB + place] >> (7 - channel) & 1) == has);
    }
    di_sub_pack(woven, count, back);
    HOLDS(!memcmp(packed, back, (size_t)(count * DI_SUB)));
    di_q_seal(q, count, pitch);
    di_q_check(q, count, pitch, wrong);
    for (int64_t i = 0; i < count; i++)
        HOLDS(!wrong[i]);
    if (count) {
        q[data[0] % 12] ^= 4;
        di_q_check(q, count, pitch, wrong);
        HOLDS(wrong[0]);
    }
    free(packed), free(q), free(woven), free(back), free(wrong);
    return 0;
}
