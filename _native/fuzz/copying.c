#define _GNU_SOURCE
#include "input.h"

#include <sys/mman.h>
#include <unistd.h>

enum { SOURCE = 400000, ROWS = 12, MOST = 150000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {data, size};
    int src = memfd_create("source", 0), dst = memfd_create("target", 0);
    int64_t rows = below(&in, ROWS), space = below(&in, 9000) + 1;
    int64_t at[ROWS], length[ROWS], to[ROWS], end = 0, total = 0;
    uint8_t *buffer = room(space), *content = bytes(&in, SOURCE);
    HOLDS(src >= 0 && dst >= 0 && di_write_all(src, 0, SOURCE, content) == SOURCE);
    for (int64_t i = 0; i < rows; i++) {
        length[i] = below(&in, below(&in, 4) ? 5000 : MOST);
        at[i] = i && below(&in, 2) && at[i - 1] + length[i - 1] + length[i] <= SOURCE
                    ? at[i - 1] + length[i - 1]
                    : below(&in, SOURCE - MOST);
        to[i] = end + (below(&in, 3) ? 0 : below(&in, 5000));
        end = to[i] + length[i];
        total += length[i];
    }
    uint8_t *want = calloc((size_t)end + 1, 1), *got = room(end), *joined = room(total);
    HOLDS(want && di_copy_runs(src, at, length, to, rows, dst, buffer, space) == total);
    HOLDS(di_read_runs(src, at, length, rows, joined, total) == total);
    for (int64_t i = 0, done = 0; i < rows; done += length[i++]) {
        memcpy(want + to[i], content + at[i], (size_t)length[i]);
        HOLDS(!memcmp(joined + done, content + at[i], (size_t)length[i]));
    }
    int64_t stored = di_read_all(dst, 0, end, got);
    HOLDS(stored >= 0 && !memcmp(want, got, (size_t)stored));
    close(src), close(dst);
    free(buffer), free(content), free(want), free(got), free(joined);
    return 0;
}
