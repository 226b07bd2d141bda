#include "input.h"

enum { MOST = 12 };

static int64_t number(input *in)
{
    return below(in, 3) ? below(in, 5) * 512 : (int64_t)word(in);
}

static int64_t *column(input *in, int64_t rows)
{
    int64_t *made = (int64_t *)(void *)room(8 * rows);
    for (int64_t i = 0; i < rows; i++)
        made[i] = number(in);
    return made;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t kinds[8] = {0, 0, 1, 2, 3, 4, 0x82, 9};
    input in = {data, size};
    int64_t rows = below(&in, MOST), end = 0;
    int bare = (int)below(&in, 2), follows = (int)below(&in, 2);
    int64_t *start = column(&in, rows), *length = column(&in, rows), *at = column(&in, rows);
    int64_t *stored = column(&in, rows), *skip = column(&in, rows), totals[256] = {0};
    uint8_t *kind = room(rows), seen[256] = {0};
    for (int64_t i = 0; i < rows; i++) {
        kind[i] = kinds[below(&in, 8)];
        if (follows) {
            length[i] = below(&in, 9) + 1;
            start[i] = end;
            end += length[i];
        }
    }
    di_columns runs = {start, length, at, kind, bare ? 0 : stored, bare ? 0 : skip, rows,
                       below(&in, 2) * 2048, 2352};
    int32_t broken;
    int64_t row = di_guard(&runs, number(&in), number(&in), number(&in), &broken);
    HOLDS(row < rows && (row < 0) == !broken);
    di_count_by_kind(length, kind, rows, totals, seen);
    runs.rows = di_coalesce(&runs);
    HOLDS(runs.rows <= rows && (runs.rows > 0) == (rows > 0));
    if (follows) {
        int64_t sum = 0;
        for (int64_t i = 0; i < runs.rows; i++)
            sum += length[i];
        HOLDS(sum == end);
        di_guard(&runs, 0, end, INT64_MAX, &broken);
        HOLDS(broken != 6);
    }
    di_shift(start, runs.rows, (int64_t)word(&in));
    free(start), free(length), free(at), free(kind), free(stored), free(skip);
    return 0;
}
