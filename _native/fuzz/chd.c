#include "input.h"

enum { HUNKS = 300, UNIT = 2448, FRAMES = 5 };

static uint32_t crc16_by_bits(const uint8_t *data, int64_t size, uint32_t value)
{
    for (int64_t i = 0; i < size; i++) {
        value ^= (uint32_t)data[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            value = value << 1 ^ (value & 0x8000 ? 0x11021 : 0);
    }
    return value;
}

/* Rows as a writer may have them: places of stored ones follow from their lengths. */
static void lawful_rows(input *in, int64_t hunks, uint8_t *rows)
{
    int64_t at = 124, type = 0;
    for (int64_t i = 0; i < hunks; i++, rows += DI_CHD_ROW) {
        if (below(in, 3) == 0)
            type = below(in, 6);
        int64_t length = type == 5 ? 0 : type == 4 ? 4096 : below(in, 4096);
        int64_t place = type == 5 ? below(in, i + 1) : at, crc = type == 5 ? 0 : below(in, 65536);
        at += length;
        rows[0] = (uint8_t)type;
        for (int k = 0; k < 3; k++)
            rows[1 + k] = (uint8_t)(length >> (16 - 8 * k));
        for (int k = 0; k < 6; k++)
            rows[4 + k] = (uint8_t)(place >> (40 - 8 * k));
        rows[10] = (uint8_t)(crc >> 8), rows[11] = (uint8_t)crc;
    }
}

static void maps(input *in)
{
    di_chd how = {4096, 2, 124, 12, 9, (int32_t)below(in, 49)};
    int64_t hunks = below(in, HUNKS), most = 16 + 12 * hunks;
    uint8_t *rows = room(hunks * DI_CHD_ROW), *bits = room(most);
    uint8_t *back = room(hunks * DI_CHD_ROW);
    lawful_rows(in, hunks, rows);
    int64_t size = di_chd_map_write(rows, hunks, &how, bits, most);
    HOLDS(size >= 0 && di_chd_map_write(rows, hunks, &how, bits, size - 1) < 0);
    HOLDS(di_chd_map_read(bits, size, &how, hunks, back) == hunks);
    HOLDS(!memcmp(rows, back, (size_t)(hunks * DI_CHD_ROW)));
    int64_t any = below(in, 4096);
    uint8_t *noise = bytes(in, any);
    int64_t done = di_chd_map_read(noise, any, &how, hunks, back);
    HOLDS(done >= 0 && done <= hunks);
    for (int64_t i = 0; i < done; i++)
        HOLDS(back[i * DI_CHD_ROW] <= 6);
    int64_t want = below(in, 4096);
    uint8_t *plain = room(want);
    done = di_huffman_read(noise, any, plain, want);
    HOLDS(done >= 0 && done <= want);
    free(rows), free(bits), free(back), free(noise), free(plain);
}

static void frames(input *in)
{
    int64_t count = below(in, FRAMES);
    uint8_t *units = bytes(in, count * UNIT), *main = room(count * DI_RAW);
    uint8_t *sub = room(count * 96), *marked = room(1), *back = room(count * UNIT);
    int64_t made = 0;
    for (int64_t i = 0; i < count; i++) {
        if (below(in, 2))
            continue;
        memcpy(units + i * UNIT, di_sync, 12);
        di_ecc(units + i * UNIT, units[i * UNIT + 15] == 2 ? 2 : 1);
        made |= 1 << i;
    }
    di_cd_split(units, count, main, sub, marked);
    HOLDS((marked[0] & made) == made);
    di_cd_join(main, sub, count, marked, back);
    HOLDS(!memcmp(units, back, (size_t)(count * UNIT)));
    di_cd_split(units, count, main, sub, NULL);
    di_cd_join(main, sub, count, NULL, back);
    HOLDS(!memcmp(units, back, (size_t)(count * UNIT)));
    free(units), free(main), free(sub), free(marked), free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {data, size};
    uint32_t start = (uint32_t)below(&in, 65536);
    HOLDS(di_crc16(data, (int64_t)size, start) == crc16_by_bits(data, (int64_t)size, start));
    if (below(&in, 2))
        maps(&in);
    else
        frames(&in);
    return 0;
}
