#include "input.h"

enum { BLOCK = 65536, MOST = 40 };

static di_rule any_rule(input *in)
{
    static const int32_t widths[3] = {4, 8, 16};
    di_rule rule = {
        .width = widths[below(in, 3)],
        .big_endian = (int32_t)below(in, 2),
        .matches = (int32_t)below(in, 5),
        .shift = (int32_t)below(in, 64),
        .coded_split = 54,
        .mask = word(in),
        .scale = below(in, 2) ? 1 : (int64_t)(word(in) >> 1 | 1),
        .base = (int64_t)word(in) / 4,
        .align = below(in, 2) ? 1 : 512,
        .reserved = below(in, 2) ? 0 : word(in) & word(in) & word(in),
        .coded = below(in, 2) ? (uint64_t)1 << 62 : 0,
        .clip = (int64_t)(word(in) >> 1),
    };
    for (int i = 0; i < 4; i++) {
        static const int32_t kinds[5] = {2, 3, 4, 0x82, 0};
        uint64_t mask = word(in) & word(in);
        rule.match[i] = (di_match){mask, word(in) & mask, kinds[below(in, 5)]};
    }
    return rule;
}

/* Bitmaps that do not contradict themselves: random ones hardly ever get past the first entry. */
static void agree(uint8_t *table, int64_t entries)
{
    for (int64_t i = 0; i < entries; i++)
        for (int byte = 8; byte < 12; byte++)
            table[16 * i + byte] &= (uint8_t)~table[16 * i + byte + 4];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {data, size};
    di_rule rule = any_rule(&in);
    int64_t limit = rule.width == 16 ? 32 + below(&in, MOST) : 1 + below(&in, MOST);
    int64_t first = below(&in, 2) ? below(&in, 9) : (int64_t)(word(&in) >> 1);
    int64_t guest = below(&in, 2) ? below(&in, 1 << 23) : (int64_t)(word(&in) >> 1);
    int64_t entries = (int64_t)in.size / rule.width, counts[2];
    uint8_t *table = bytes(&in, entries * rule.width), *kind = room(limit);
    int64_t *columns[4];
    if (rule.width == 16 && below(&in, 4))
        agree(table, entries);
    for (int i = 0; i < 4; i++)
        columns[i] = (int64_t *)(void *)room(8 * limit);
    di_columns runs = {columns[0], columns[1], columns[2], kind, columns[3], 0, limit, 0, 0};
    int32_t illegal =
        di_table_runs(&rule, table, entries, first, BLOCK, guest, &runs, counts);
    HOLDS(counts[0] <= limit && counts[1] <= entries && counts[0] <= 32 * counts[1]);
    HOLDS(!illegal || counts[1] < entries);
    if (counts[0]) {
        int64_t end = first * BLOCK;
        for (int64_t row = 0; row < counts[0]; row++) {
            HOLDS(columns[0][row] == end && columns[1][row] > 0);
            end += columns[1][row];
        }
        int64_t stop = first + counts[1] > INT64_MAX / BLOCK ? guest : (first + counts[1]) * BLOCK;
        HOLDS(end == (stop < guest ? stop : guest));
    }
    for (int i = 0; i < 4; i++)
        free(columns[i]);
    free(table), free(kind);
    return 0;
}
