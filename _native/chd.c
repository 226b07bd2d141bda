/* CHD: CRC-16, canonical Huffman codes, the map of version 5, CD frames parted and joined. */
#include "kernels.h"
#include "paths.h"

#include <pthread.h>
#include <string.h>

enum { CODES = 16, MAP_BITS = 8, BYTE_BITS = 16, SMALL = 24, SMALL_BITS = 7, WIDEST = 16 };
enum { PLAIN = 4, SELF = 5, PARENT = 6, RUN = 7, LONG_RUN = 8 };
enum { SELF_SAME = 9, SELF_NEXT = 10, PARENT_HERE = 11, PARENT_SAME = 12, PARENT_NEXT = 13 };
enum { FRAME = 2352, SUB = 96, UNIT = FRAME + SUB, MODE = 15, CODED_AT = 2076 };

/* ---- CRC-16, four bytes at a time ---- */

static uint16_t slice[4][256];
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;

static void crc_prepare(void)
{
    for (int byte = 0; byte < 256; byte++) {
        uint32_t value = (uint32_t)byte << 8;
        for (int bit = 0; bit < 8; bit++)
            value = value << 1 ^ (value & 0x8000 ? 0x1021 : 0);
        slice[0][byte] = (uint16_t)value;
    }
    for (int n = 1; n < 4; n++)
        for (int byte = 0; byte < 256; byte++) {
            uint16_t value = slice[n - 1][byte];
            slice[n][byte] = (uint16_t)(value << 8 ^ slice[0][value >> 8]);
        }
}

uint32_t di_crc16(const uint8_t *data, int64_t size, uint32_t value)
{
    pthread_once(&crc_once, crc_prepare);
    uint16_t crc = (uint16_t)value;
    for (; size >= 4; size -= 4, data += 4)
        crc = slice[3][data[0] ^ crc >> 8] ^ slice[2][data[1] ^ (crc & 0xFF)] ^
              slice[1][data[2]] ^ slice[0][data[3]];
    for (; size; size--, data++)
        crc = (uint16_t)(crc << 8 ^ slice[0][crc >> 8 ^ *data]);
    return crc;
}

/* ---- bits, the highest first; past the end they are zeros and `left` is negative ---- */

typedef struct {
    const uint8_t *at, *stop;
    uint64_t held; /* `have` bits at the top */
    int have;
    int64_t left;
} reader;

static reader reader_of(const uint8_t *data, int64_t size)
{
    return (reader){data, data + size, 0, 0, size * 8};
}

DI_INLINE uint32_t peek(reader *in, int count)
{
    while (in->have <= 56) {
        if (in->at < in->stop)
            in->held |= (uint64_t)*in->at++ << (56 - in->have);
        in->have += 8;
    }
    return count ? (uint32_t)(in->held >> (64 - count)) : 0;
}

DI_INLINE void drop(reader *in, int count)
{
    in->held <<= count;
    in->have -= count;
    in->left -= count;
}

static uint32_t take(reader *in, int count)
{
    uint32_t value = peek(in, count);
    drop(in, count);
    return value;
}

static uint64_t take_wide(reader *in, int count)
{
    uint64_t high = count > 32 ? (uint64_t)take(in, count - 32) << 32 : 0;
    return high | take(in, count > 32 ? 32 : count);
}

/* ---- canonical codes, of which the longest have the lowest values ---- */

typedef struct {
    int width;
    uint16_t entry[1 << WIDEST]; /* symbol * 32 + length; 0: no code */
} codes;

/* 0 where the lengths are no complete code of at most `width` bits. */
static int codes_of(codes *table, const uint8_t *lengths, int symbols, int width)
{
    uint32_t count[33] = {0}, first[33] = {0}, start = 0;
    for (int i = 0; i < symbols; i++) {
        if (lengths[i] > width)
            return 0;
        count[lengths[i]]++;
    }
    for (int length = 32; length > 0; length--) {
        uint32_t here = start + count[length];
        if (length > 1 && here & 1)
            return 0;
        first[length] = start;
        start = here >> 1;
    }
    if (start > 1)
        return 0;
    table->width = width;
    memset(table->entry, 0, sizeof *table->entry << width);
    for (int i = 0; i < symbols; i++) {
        int length = lengths[i];
        if (!length)
            continue;
        uint32_t code = first[length]++, shift = (uint32_t)(width - length);
        if (code >> length)
            return 0;
        for (uint32_t n = code << shift; n < (code + 1) << shift; n++)
            table->entry[n] = (uint16_t)(i << 5 | length);
    }
    return 1;
}

/* A symbol, or -1 where the bits are no code or go past the end. */
DI_INLINE int symbol(reader *in, const codes *table)
{
    uint32_t entry = table->entry[peek(in, table->width)];
    drop(in, entry & 31);
    return entry && in->left >= 0 ? (int)(entry >> 5) : -1;
}

/* ---- the map ---- */

static int map_codes(reader *in, codes *table)
{
    uint8_t lengths[CODES];
    for (int i = 0; i < CODES;) {
        uint32_t length = take(in, 4), repeat = 1;
        if (length == 1 && (length = take(in, 4)) != 1)
            repeat = take(in, 4) + 3;
        while (repeat-- && i < CODES)
            lengths[i++] = (uint8_t)length;
    }
    return in->left >= 0 && codes_of(table, lengths, CODES, MAP_BITS);
}

static int64_t map_types(reader *in, const codes *table, int64_t hunks, uint8_t *out)
{
    int64_t repeat = 0;
    int last = 0;
    for (int64_t i = 0; i < hunks; i++) {
        if (repeat)
            repeat--;
        else {
            int type = symbol(in, table);
            if (type == RUN || type == LONG_RUN) {
                int high = type == LONG_RUN ? symbol(in, table) : 0, low = symbol(in, table);
                if (high < 0 || low < 0)
                    return i;
                repeat = type == RUN ? 2 + low : 18 + high * 16 + low;
            } else if (type < 0 || type > PARENT_NEXT)
                return i;
            else
                last = type;
        }
        out[i * DI_CHD_ROW] = (uint8_t)last;
    }
    return hunks;
}

static void put(uint8_t *out, int bytes, uint64_t value)
{
    for (; bytes--; value >>= 8)
        out[bytes] = (uint8_t)value;
}

static uint64_t get(const uint8_t *data, int bytes)
{
    uint64_t value = 0;
    while (bytes--)
        value = value << 8 | *data++;
    return value;
}

int64_t di_chd_map_read(const uint8_t *data, int64_t size, const di_chd *how, int64_t hunks,
                        uint8_t *out)
{
    reader in = reader_of(data, size);
    codes table;
    if (!map_codes(&in, &table))
        return 0;
    hunks = map_types(&in, &table, hunks, out);
    uint64_t at = (uint64_t)how->first, self = 0, parent = 0, units = (uint64_t)how->hunk_units;
    for (int64_t i = 0; i < hunks; i++) {
        uint8_t *row = out + i * DI_CHD_ROW;
        uint64_t length = 0, crc = 0, place = at;
        switch (row[0]) {
        case SELF: self = take_wide(&in, how->self_bits); break;
        case SELF_NEXT: self++; break;
        case PARENT: parent = take_wide(&in, how->parent_bits); break;
        case PARENT_HERE: parent = (uint64_t)i * units; break;
        case PARENT_NEXT: parent += units; break;
        case SELF_SAME: case PARENT_SAME: break;
        default:
            length = row[0] == PLAIN ? (uint64_t)how->hunk : take(&in, how->length_bits);
            crc = take(&in, 16);
            at += length;
        }
        if (in.left < 0)
            return i;
        if (row[0] == SELF || row[0] == SELF_SAME || row[0] == SELF_NEXT)
            row[0] = SELF, place = self;
        else if (row[0] >= PARENT)
            row[0] = PARENT, place = parent;
        put(row + 1, 3, length), put(row + 4, 6, place), put(row + 10, 2, crc);
    }
    return hunks;
}

typedef struct {
    uint8_t *at, *stop;
    uint64_t held; /* `have` bits at the bottom */
    int have;
    int full; /* there was no room */
} writer;

static void add(writer *out, int count, uint64_t value)
{
    for (; count > 32; count -= 32)
        add(out, 32, value >> (count - 32));
    out->held = out->held << count | (value & ((1ull << count) - 1));
    for (out->have += count; out->have >= 8; out->have -= 8) {
        if (out->at < out->stop)
            *out->at++ = (uint8_t)(out->held >> (out->have - 8));
        else
            out->full = 1;
    }
}

/* The lengths of a code for symbols of such counts: by weight, halved until none is too long. */
static void lengths_of(const int64_t *counts, uint8_t *lengths)
{
    int64_t weight[CODES];
    for (int i = 0; i < CODES; i++)
        weight[i] = counts[i];
    for (;;) {
        int64_t tree[2 * CODES];
        int parent[2 * CODES], nodes = CODES, deepest = 0;
        for (int i = 0; i < CODES; i++)
            tree[i] = weight[i], parent[i] = -1;
        for (;;) { /* join the two lightest */
            int a = -1, b = -1;
            for (int i = 0; i < nodes; i++) {
                if (!tree[i])
                    continue;
                if (a < 0 || tree[i] < tree[a])
                    b = a, a = i;
                else if (b < 0 || tree[i] < tree[b])
                    b = i;
            }
            if (b < 0)
                break;
            parent[a] = parent[b] = nodes, parent[nodes] = -1;
            tree[nodes++] = tree[a] + tree[b];
            tree[a] = tree[b] = 0;
        }
        for (int i = 0; i < CODES; i++) {
            int depth = 0;
            for (int node = i; parent[node] >= 0; node = parent[node])
                depth++;
            lengths[i] = (uint8_t)(weight[i] && !depth ? 1 : depth);
            deepest = depth > deepest ? depth : deepest;
        }
        if (deepest <= MAP_BITS)
            return;
        for (int i = 0; i < CODES; i++)
            weight[i] = weight[i] ? weight[i] / 2 + 1 : 0;
    }
}

/* The symbols of the types of [first, hunks): each counted, and written where `out` is given. */
static void map_symbols(const uint8_t *map, int64_t hunks, int64_t *counts, const uint8_t *lengths,
                        const uint32_t *values, writer *out)
{
    uint64_t self = 0;
    int last = 0;
    int64_t run = 0;
    for (int64_t i = 0; i <= hunks; i++) {
        int type = -1;
        if (i < hunks) {
            const uint8_t *row = map + i * DI_CHD_ROW;
            type = row[0];
            if (type == SELF) {
                uint64_t place = get(row + 4, 6);
                type = place == self ? SELF_SAME : place == self + 1 ? SELF_NEXT : SELF;
                self = place;
            }
            if (type == last) {
                run++;
                continue;
            }
        }
        while (run) {
            int64_t now = run < 3 ? 1 : run < 19 ? run : run < 19 + 256 ? run : 19 + 255;
            int said[3] = {last, 0, 0}, count = 1;
            if (now >= 19)
                said[0] = LONG_RUN, said[1] = (int)(now - 19) >> 4, said[2] = (now - 19) & 15,
                count = 3;
            else if (now >= 3)
                said[0] = RUN, said[1] = (int)now - 3, count = 2;
            for (int n = 0; n < count; n++) {
                if (out)
                    add(out, lengths[said[n]], values[said[n]]);
                else
                    counts[said[n]]++;
            }
            run -= now;
        }
        if (type < 0)
            break;
        if (out)
            add(out, lengths[type], values[type]);
        else
            counts[type]++;
        last = type;
    }
}

static void map_details(const uint8_t *map, int64_t hunks, const di_chd *how, writer *out)
{
    uint64_t self = 0;
    for (int64_t i = 0; i < hunks; i++) {
        const uint8_t *row = map + i * DI_CHD_ROW;
        if (row[0] == SELF) {
            uint64_t place = get(row + 4, 6);
            if (place != self && place != self + 1)
                add(out, how->self_bits, place);
            self = place;
            continue;
        }
        if (row[0] != PLAIN)
            add(out, how->length_bits, get(row + 1, 3));
        add(out, 16, get(row + 10, 2));
    }
}

int64_t di_chd_map_write(const uint8_t *map, int64_t hunks, const di_chd *how, uint8_t *out,
                         int64_t room)
{
    int64_t counts[CODES] = {0};
    uint8_t lengths[CODES];
    uint32_t values[CODES] = {0}, start = 0;
    map_symbols(map, hunks, counts, 0, 0, 0);
    lengths_of(counts, lengths);
    for (int length = MAP_BITS; length > 0; length--) {
        for (int i = 0; i < CODES; i++)
            if (lengths[i] == length)
                values[i] = start++;
        start >>= 1;
    }
    writer to = {out, out + room, 0, 0, 0};
    for (int i = 0; i < CODES; i++) {
        if (lengths[i] == 1)
            add(&to, 4, 1);
        add(&to, 4, lengths[i]);
    }
    map_symbols(map, hunks, counts, lengths, values, &to);
    map_details(map, hunks, how, &to);
    if (to.have)
        add(&to, 8 - to.have, 0);
    return to.full ? -1 : to.at - out;
}

/* ---- bytes coded one by one ---- */

/* The lengths of 256 codes, themselves coded, with repeats of the one before. */
static int byte_codes(reader *in, codes *table)
{
    uint8_t small[SMALL] = {0}, lengths[256];
    small[0] = (uint8_t)take(in, 3);
    int first = (int)take(in, 3) + 1;
    for (int i = first; i < SMALL; i++) {
        uint32_t length = take(in, 3);
        if (length == 7)
            break;
        small[i] = (uint8_t)length;
    }
    if (!codes_of(table, small, SMALL, SMALL_BITS))
        return 0;
    int last = 0;
    for (int i = 0; i < 256;) {
        int value = symbol(in, table);
        if (value < 0)
            return 0;
        if (value) {
            lengths[i++] = (uint8_t)(last = value - 1);
            continue;
        }
        int repeat = (int)take(in, 3) + 2;
        if (repeat == 9)
            repeat += (int)take(in, 8);
        while (repeat-- && i < 256)
            lengths[i++] = (uint8_t)last;
    }
    return in->left >= 0 && codes_of(table, lengths, 256, BYTE_BITS);
}

int64_t di_huffman_read(const uint8_t *coded, int64_t size, uint8_t *out, int64_t want)
{
    reader in = reader_of(coded, size);
    codes table;
    if (!byte_codes(&in, &table))
        return 0;
    for (int64_t i = 0; i < want; i++) {
        int value = symbol(&in, &table);
        if (value < 0)
            return i;
        out[i] = (uint8_t)value;
    }
    return want;
}

/* ---- CD frames ---- */

DI_INLINE int32_t mode_of(const uint8_t *frame)
{
    return frame[MODE] == 2 ? 2 : 1;
}

void di_cd_join(const uint8_t *main, const uint8_t *sub, int64_t frames, const uint8_t *marked,
                uint8_t *out)
{
    for (int64_t i = 0; i < frames; i++, out += UNIT, main += FRAME, sub += SUB) {
        memcpy(out, main, FRAME);
        memcpy(out + FRAME, sub, SUB);
        if (marked && marked[i >> 3] >> (i & 7) & 1) {
            memcpy(out, di_sync, sizeof di_sync);
            di_ecc(out, mode_of(out));
        }
    }
}

void di_cd_split(const uint8_t *units, int64_t frames, uint8_t *main, uint8_t *sub,
                 uint8_t *marked)
{
    if (marked)
        memset(marked, 0, (size_t)(frames + 7) / 8);
    for (int64_t i = 0; i < frames; i++, units += UNIT, main += FRAME, sub += SUB) {
        memcpy(main, units, FRAME);
        memcpy(sub, units + FRAME, SUB);
        if (!marked || memcmp(main, di_sync, sizeof di_sync))
            continue;
        di_ecc(main, mode_of(main));
        if (memcmp(main + CODED_AT, units + CODED_AT, FRAME - CODED_AT)) {
            memcpy(main + CODED_AT, units + CODED_AT, FRAME - CODED_AT);
            continue;
        }
        memset(main, 0, sizeof di_sync);
        memset(main + CODED_AT, 0, FRAME - CODED_AT);
        marked[i >> 3] |= (uint8_t)(1 << (i & 7));
    }
}
