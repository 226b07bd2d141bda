#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {data, size};
    int64_t block = below(&in, 5000) + 1, length = (int64_t)in.size;
    int64_t start = below(&in, length + 1), want, count = (length + block - 1) / block;
    uint8_t *a = bytes(&in, length), *b = bytes(&in, length);
    uint8_t *zero = room(count), *differs = room(count);
    if (length)
        b[start % length] ^= 1;
    for (want = start; want < length && !a[want]; want++)
        ;
    HOLDS(di_first_nonzero(a, length, start) == want);
    HOLDS(di_nonzero_portable(a, length, start) == want);
    di_zero_blocks(a, length, block, zero);
    di_differing_blocks(a, b, length, block, differs);
    for (int64_t i = 0; i < count; i++) {
        int64_t stop = (i + 1) * block < length ? (i + 1) * block : length;
        HOLDS(zero[i] == (di_nonzero_portable(a, stop, i * block) == stop));
        HOLDS(differs[i] == (start % length / block == i));
    }
    int64_t words = length / (4 * block);
    di_filled_blocks(a, words * 4 * block, 4 * block, zero);
    for (int64_t i = 0; i < words; i++) {
        const uint8_t *from = a + i * 4 * block;
        for (want = 4; want < 4 * block && from[want] == from[want & 3]; want++)
            ;
        HOLDS(zero[i] == (want == 4 * block));
    }
    free(a), free(b), free(zero), free(differs);
    return 0;
}
