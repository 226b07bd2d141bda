/* The rules of runs over columns. Values come from whatever a format made of a file: no sum below
 * may overflow, whatever they are. */
#include "kernels.h"

enum { DATA = 0, CODED = 1, ZERO = 2, ABSENT = 3, BAD = 4, HOLE = 0x82 };
enum { NONE, LENGTH, ORDER, BEYOND, KIND, OUTSIDE, APART };

static int64_t skip_of(const di_columns *runs, int64_t row)
{
    return runs->skip ? runs->skip[row] : 0;
}

static int64_t stored_of(const di_columns *runs, int64_t row)
{
    return runs->stored ? runs->stored[row] : 0;
}

/* The host bytes from a DATA row's first record to the end of its last taken byte; -1 for
 * too many. */
static int64_t span_of(const di_columns *runs, int64_t row)
{
    int64_t skip = skip_of(runs, row), length = runs->length[row], span;
    if (!runs->take)
        return skip ? -1 : length;
    if (__builtin_add_overflow(skip, length - 1, &span))
        return -1;
    int64_t rest = span % runs->take + 1;
    if (__builtin_mul_overflow(span / runs->take, runs->pitch, &span) ||
        __builtin_add_overflow(span, rest, &span))
        return -1;
    return span;
}

static int outside(const di_columns *runs, int64_t row, int64_t size)
{
    int64_t at = runs->at[row], span;
    if (at < 0 || skip_of(runs, row) < 0)
        return 1;
    span = runs->kind[row] == CODED ? stored_of(runs, row) : span_of(runs, row);
    return span <= 0 || at > size || span > size - at;
}

/* Whether row b could be one with row a. Both are known to lie inside their source, or the sums are
 * made without a sign: what wraps around cannot be a neighbour's position by accident alone. */
static int one(const di_columns *runs, int64_t a, int64_t b)
{
    uint8_t kind = runs->kind[a];
    if (kind != runs->kind[b])
        return 0;
    uint64_t at = (uint64_t)runs->at[a], next = (uint64_t)runs->at[b];
    uint64_t skip = (uint64_t)skip_of(runs, a) + (uint64_t)runs->length[a];
    if (kind == CODED)
        return at == next && stored_of(runs, a) == stored_of(runs, b) &&
               skip == (uint64_t)skip_of(runs, b);
    if (kind != DATA)
        return 1;
    if (!runs->take)
        return next == at + (uint64_t)runs->length[a];
    uint64_t take = (uint64_t)runs->take;
    return next == at + skip / take * (uint64_t)runs->pitch &&
           (uint64_t)skip_of(runs, b) == skip % take;
}

static int known(uint8_t kind)
{
    return kind <= BAD || kind == HOLE;
}

static int broken_rule(const di_columns *runs, int64_t row, int64_t expected, int64_t stop,
                       int64_t size)
{
    int64_t start = runs->start[row], length = runs->length[row];
    uint8_t kind = runs->kind[row];
    if (length <= 0)
        return LENGTH;
    if (start != expected)
        return ORDER;
    if (start > stop || length > stop - start)
        return BEYOND;
    if (!known(kind))
        return KIND;
    if (kind <= CODED && outside(runs, row, size))
        return OUTSIDE;
    return row && one(runs, row - 1, row) ? APART : NONE;
}

int64_t di_guard(const di_columns *runs, int64_t first, int64_t stop, int64_t size,
                 int32_t *broken)
{
    int64_t expected = first;
    for (int64_t row = 0; row < runs->rows; row++) {
        *broken = broken_rule(runs, row, expected, stop, size);
        if (*broken)
            return row;
        expected = runs->start[row] + runs->length[row];
    }
    *broken = NONE;
    return -1;
}

static void move_row(const di_columns *runs, int64_t from, int64_t to)
{
    runs->start[to] = runs->start[from];
    runs->length[to] = runs->length[from];
    runs->at[to] = runs->at[from];
    runs->kind[to] = runs->kind[from];
    if (runs->stored)
        runs->stored[to] = runs->stored[from];
    if (runs->skip)
        runs->skip[to] = runs->skip[from];
}

int64_t di_coalesce(const di_columns *runs)
{
    int64_t kept = 0;
    for (int64_t row = 0; row < runs->rows; row++) {
        int64_t last = kept - 1;
        if (kept && (uint64_t)runs->start[row] ==
                        (uint64_t)runs->start[last] + (uint64_t)runs->length[last]) {
            int64_t sum;
            if (one(runs, last, row) &&
                !__builtin_add_overflow(runs->length[last], runs->length[row], &sum)) {
                runs->length[last] = sum;
                continue;
            }
        }
        move_row(runs, row, kept++);
    }
    return kept;
}

void di_shift(int64_t *values, int64_t rows, int64_t by)
{
    for (int64_t row = 0; row < rows; row++)
        values[row] = (int64_t)((uint64_t)values[row] + (uint64_t)by);
}

void di_count_by_kind(const int64_t *length, const uint8_t *kind, int64_t rows, int64_t *totals,
                      uint8_t *seen)
{
    for (int64_t row = 0; row < rows; row++) {
        totals[kind[row]] = (int64_t)((uint64_t)totals[kind[row]] + (uint64_t)length[row]);
        seen[kind[row]] = 1;
    }
}
