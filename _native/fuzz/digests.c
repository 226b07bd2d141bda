#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {data, size};
    int64_t block = below(&in, 700) + 1, length = below(&in, 30000);
    int64_t count = (length + block - 1) / block;
    uint8_t *a = bytes(&in, length), *want = room(32 * count), *got = room(32 * count);
    for (int32_t number = 0; number < 2; number++) {
        int32_t portable = di_digest_paths(number) - 1;
        int64_t total = count * (number ? 32 : 16);
        di_digest_blocks(number, portable, a, length, block, want);
        for (int32_t path = -1; path < portable; path++) {
            if (path >= 0 && di_digest_path_state(number, path) <= 0)
                continue;
            memset(got, 0, (size_t)total);
            di_digest_blocks(number, path, a, length, block, got);
            HOLDS(!memcmp(want, got, (size_t)total));
        }
    }
    free(a), free(want), free(got);
    return 0;
}
