/* A table of one integer a block, as runs. */
#include "kernels.h"

#include <string.h>


enum { DATA = 0, CODED = 1, ZERO = 2, ABSENT = 3, HOLE = 0x82 };
enum { NONE, RESERVED, ALIGN, RANGE, SUBCLUSTERS };
enum { PARTS = 32 };

typedef struct {
    int64_t length, at, stored;
    int32_t kind;
} run;

static uint64_t load(const uint8_t *data, int width, int big_endian)
{
    int swap = big_endian == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
    if (width == 4) {
        uint32_t value;
        memcpy(&value, data, sizeof value);
        return swap ? __builtin_bswap32(value) : value;
    }
    uint64_t value;
    memcpy(&value, data, sizeof value);
    return swap ? __builtin_bswap64(value) : value;
}

static int joins(const di_columns *runs, int64_t rows, const run *next)
{
    if (!rows || runs->kind[rows - 1] != next->kind || next->kind == CODED)
        return 0;
    return next->kind != DATA || runs->at[rows - 1] + runs->length[rows - 1] == next->at;
}

static int64_t add(const di_columns *runs, int64_t rows, int64_t start, const run *next)
{
    if (joins(runs, rows, next)) {
        runs->length[rows - 1] += next->length;
        return rows;
    }
    runs->start[rows] = start;
    runs->length[rows] = next->length;
    runs->at[rows] = next->at;
    runs->kind[rows] = (uint8_t)next->kind;
    runs->stored[rows] = next->stored;
    return rows + 1;
}

static void coded(const di_rule *rule, uint64_t entry, run *out)
{
    uint64_t at = entry & (((uint64_t)1 << rule->coded_split) - 1);
    uint64_t sectors = (entry & (rule->coded - 1)) >> rule->coded_split;
    int64_t stored = (int64_t)((sectors + 1) * 512 - (at & 511));
    out->kind = CODED;
    out->at = (int64_t)at;
    if (rule->clip && stored > rule->clip - out->at)
        stored = rule->clip > out->at ? rule->clip - out->at : 0;
    out->stored = stored;
}

static int placed(const di_rule *rule, uint64_t entry, int64_t block, run *out)
{
    uint64_t units = (entry & rule->mask) >> rule->shift;
    int64_t at;
    if (units > INT64_MAX || __builtin_mul_overflow((int64_t)units, rule->scale, &at) ||
        __builtin_add_overflow(at, rule->base, &at) || at < 0 || at > INT64_MAX - block)
        return RANGE;
    out->at = at;
    if (!(rule->align & (rule->align - 1))) /* a power of two, as nearly always: no division */
        return at & (rule->align - 1) ? ALIGN : NONE;
    return at % rule->align ? ALIGN : NONE;
}

static int decode(const di_rule *rule, uint64_t entry, int64_t block, run *out)
{
    out->at = out->stored = 0;
    out->kind = DATA;
    if (entry & rule->coded) {
        coded(rule, entry, out);
        return NONE;
    }
    if (entry & rule->reserved)
        return RESERVED;
    for (int i = 0; i < rule->matches; i++) {
        if ((entry & rule->match[i].mask) == rule->match[i].value) {
            out->kind = rule->match[i].kind;
            break;
        }
    }
    return out->kind == DATA ? placed(rule, entry, block, out) : NONE;
}

/* The parts of a cluster; their number, or -1 where the bitmap contradicts itself. */
static int split(uint64_t bitmap, const run *cluster, int64_t block, run *parts)
{
    uint32_t allocated = (uint32_t)bitmap, zero = (uint32_t)(bitmap >> 32);
    int64_t part = block / PARTS;
    int count = 0;
    if (allocated & zero || (allocated && cluster->kind != DATA))
        return -1;
    for (int64_t at = 0; at < cluster->length; at += part, count++) {
        run *next = &parts[count];
        next->length = cluster->length - at < part ? cluster->length - at : part;
        next->at = next->stored = 0;
        if (allocated >> count & 1) {
            next->kind = DATA;
            next->at = cluster->at + at;
        } else if (zero >> count & 1) {
            next->kind = cluster->kind == DATA ? ZERO : HOLE;
        } else {
            next->kind = ABSENT;
        }
    }
    return count;
}

int32_t di_table_runs(const di_rule *rule, const uint8_t *table, int64_t entries,
                      int64_t first_block, int64_t block, int64_t size, const di_columns *runs,
                      int64_t *counts)
{
    int64_t rows = 0, taken = 0, start;
    int illegal = NONE, extended = rule->width == 16;
    run parts[PARTS];
    if (__builtin_mul_overflow(first_block, block, &start))
        start = size;
    for (; taken < entries && start < size; taken++) {
        const uint8_t *raw = table + taken * rule->width;
        int count = 1;
        illegal = decode(rule, load(raw, rule->width, rule->big_endian), block, parts);
        parts->length = size - start < block ? size - start : block;
        if (!illegal && extended && parts->kind != CODED) {
            run cluster = parts[0];
            count = split(load(raw + 8, 8, rule->big_endian), &cluster, block, parts);
            if (count < 0)
                illegal = SUBCLUSTERS;
        }
        if (illegal)
            break;
        if (extended ? rows + PARTS > runs->rows
                     : rows == runs->rows && !joins(runs, rows, parts))
            break;
        for (int i = 0; i < count; i++) {
            rows = add(runs, rows, start, &parts[i]);
            start += parts[i].length;
        }
    }
    counts[0] = rows;
    counts[1] = taken;
    return illegal;
}
