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
    free(a), free(b), free(zero), free(differs);
    return 0;
}
