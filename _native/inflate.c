/* Deflate (RFC 1951), stopping at the borders of its blocks: there one can begin again. */
#include "kernels.h"

#include <string.h>

enum { FAST_LENGTH = 11, FAST_DISTANCE = 9, LONGEST = 15, MARGIN = 320 };
enum { HEADER, STORED, CODES };           /* what the state is in the middle of */
enum { LITERAL, COPY, STOP, WRONG };      /* what a code stands for */
enum { MORE, FULL, BORDER, END, NEXT, BAD = -1, FAR = -2 }; /* why it stops; NEXT: it goes on */

/* An entry: bits 0..3 the code's length, 4..7 its extra bits, 8..9 what it stands for, 16..31 the
 * literal, or the least length or distance. 0 where the code is longer than the table's index. */
typedef struct {
    uint16_t count[16], symbol[288];
} code_t;

typedef struct {
    uint32_t mode, final, left, unused;
    uint32_t length[1 << FAST_LENGTH], distance[1 << FAST_DISTANCE];
    code_t slow_length, slow_distance;
} state_t;

typedef struct {
    const uint8_t *data;
    int64_t size, at;
    uint64_t held;
    int count;
} bits_t;

static const uint16_t LENGTHS[29] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,
                                     15, 17, 19, 23, 27, 31, 35, 43, 51,  59,
                                     67, 83, 99, 115, 131, 163, 195, 227, 258};
static const uint8_t LENGTH_BITS[29] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                        2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
static const uint16_t DISTANCES[30] = {1,   2,   3,    4,    5,    7,    9,    13,    17,    25,
                                       33,  49,  65,   97,   129,  193,  257,  385,   513,   769,
                                       1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385,
                                       24577};
static const uint8_t ORDER[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};

static inline void refill(bits_t *in)
{
    if (in->size - in->at >= 8) {
        uint64_t word;
        memcpy(&word, in->data + in->at, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        word = __builtin_bswap64(word);
#endif
        in->held |= word << in->count;
        in->at += (63 - in->count) >> 3;
        in->count |= 56;
        return;
    }
    while (in->count < 56 && in->at < in->size) {
        in->held |= (uint64_t)in->data[in->at++] << in->count;
        in->count += 8;
    }
}

/* The next bits, at most 16; `count` is negative once there were too few. */
static inline uint32_t take(bits_t *in, int bits)
{
    if (in->count < bits)
        refill(in);
    uint32_t value = (uint32_t)(in->held & ((1u << bits) - 1));
    in->held >>= bits;
    in->count -= bits;
    return value;
}

static bits_t begin(const uint8_t *data, int64_t size, int64_t bit)
{
    bits_t in = {data, size, bit >> 3, 0, 0};
    int skip = (int)(bit & 7);
    if (skip && in.at < size) {
        in.held = data[in.at++] >> skip;
        in.count = 8 - skip;
    }
    return in;
}

static inline int64_t place_of(const bits_t *in)
{
    return in->at * 8 - in->count;
}

static uint32_t length_entry(int symbol)
{
    if (symbol < 256)
        return (uint32_t)LITERAL << 8 | (uint32_t)symbol << 16;
    if (symbol == 256)
        return (uint32_t)STOP << 8;
    if (symbol > 285)
        return (uint32_t)WRONG << 8;
    return (uint32_t)COPY << 8 | (uint32_t)LENGTH_BITS[symbol - 257] << 4
           | (uint32_t)LENGTHS[symbol - 257] << 16;
}

static uint32_t distance_entry(int symbol)
{
    if (symbol > 29)
        return (uint32_t)WRONG << 8;
    uint32_t extra = symbol < 4 ? 0 : (uint32_t)(symbol - 2) >> 1;
    return (uint32_t)COPY << 8 | extra << 4 | (uint32_t)DISTANCES[symbol] << 16;
}

/* Lists the symbols of a code by length. 0 where the lengths make no whole code: of a code that is
 * not `whole` one symbol of one bit, or none at all, will do. */
static int list_symbols(code_t *code, const uint8_t *lengths, int symbols, int whole)
{
    uint16_t offset[17];
    int left = 1;
    memset(code->count, 0, sizeof code->count);
    for (int i = 0; i < symbols; i++)
        code->count[lengths[i]]++;
    int used = symbols - code->count[0];
    code->count[0] = 0;
    offset[1] = 0;
    for (int n = 1; n <= LONGEST; n++) {
        left = (left << 1) - code->count[n];
        if (left < 0)
            return 0;
        offset[n + 1] = (uint16_t)(offset[n] + code->count[n]);
    }
    for (int i = 0; i < symbols; i++)
        if (lengths[i])
            code->symbol[offset[lengths[i]]++] = (uint16_t)i;
    return left == 0 || (!whole && (used == 0 || (used == 1 && code->count[1] == 1)));
}

static uint32_t reversed(uint32_t code, int length)
{
    uint32_t made = 0;
    for (int i = 0; i < length; i++)
        made |= (code >> i & 1) << (length - 1 - i);
    return made;
}

static void fill_table(uint32_t *table, int index_bits, const code_t *code, uint32_t (*entry)(int))
{
    uint32_t next = 0;
    int row = 0;
    memset(table, 0, sizeof *table << index_bits);
    for (int n = 1; n <= index_bits; n++, next <<= 1)
        for (int i = 0; i < code->count[n]; i++, row++, next++) {
            uint32_t made = entry(code->symbol[row]) | (uint32_t)n;
            for (uint32_t at = reversed(next, n); at < 1u << index_bits; at += 1u << n)
                table[at] = made;
        }
}

/* The entry of a code bit by bit, whatever its length; its length 0 where there is no such code. */
static uint32_t look_slowly(uint64_t held, const code_t *code, uint32_t (*entry)(int))
{
    int value = 0, first = 0, index = 0;
    for (int n = 1; n <= LONGEST; n++) {
        value |= (int)(held >> (n - 1) & 1);
        int count = code->count[n];
        if (value - count < first)
            return entry(code->symbol[index + value - first]) | (uint32_t)n;
        index += count;
        first = (first + count) << 1;
        value <<= 1;
    }
    return (uint32_t)WRONG << 8;
}

static int make_tables(state_t *state, const uint8_t *lengths, int count, int distances)
{
    if (!lengths[256] || !list_symbols(&state->slow_length, lengths, count, 0)
        || !list_symbols(&state->slow_distance, lengths + count, distances, 0))
        return BAD;
    fill_table(state->length, FAST_LENGTH, &state->slow_length, length_entry);
    fill_table(state->distance, FAST_DISTANCE, &state->slow_distance, distance_entry);
    state->mode = CODES;
    return NEXT;
}

static int fixed_codes(state_t *state)
{
    uint8_t lengths[288 + 32];
    memset(lengths, 8, 144);
    memset(lengths + 144, 9, 112);
    memset(lengths + 256, 7, 24);
    memset(lengths + 280, 8, 8);
    memset(lengths + 288, 5, 32);
    return make_tables(state, lengths, 288, 32);
}

/* The lengths of both codes, themselves coded. MORE where the header is cut. */
static int own_codes(state_t *state, bits_t *in)
{
    uint8_t lengths[286 + 30], small[19] = {0};
    code_t code;
    int count = 257 + (int)take(in, 5), distances = 1 + (int)take(in, 5);
    int smalls = 4 + (int)take(in, 4), at = 0;
    for (int i = 0; i < smalls; i++)
        small[ORDER[i]] = (uint8_t)take(in, 3);
    if (in->count < 0)
        return MORE;
    if (count > 286 || distances > 30 || !list_symbols(&code, small, 19, 1))
        return BAD;
    while (at < count + distances) {
        refill(in);
        uint32_t value = 0;
        int width = 0, symbol = -1;
        for (int first = 0, index = 0; width < 7 && symbol < 0; first <<= 1) {
            int here = code.count[++width];
            value = value << 1 | (uint32_t)(in->held >> (width - 1) & 1);
            if ((int)value - here < first)
                symbol = code.symbol[index + (int)value - first];
            index += here, first += here;
        }
        in->held >>= width, in->count -= width;
        int repeat = 1;
        uint8_t again = (uint8_t)symbol;
        if (symbol >= 16) {
            repeat = symbol == 16 ? 3 + (int)take(in, 2) : symbol == 17 ? 3 + (int)take(in, 3)
                                                                         : 11 + (int)take(in, 7);
            again = symbol == 16 && at ? lengths[at - 1] : 0;
        }
        if (in->count < 0)
            return MORE;
        if (symbol < 0 || (symbol == 16 && !at) || repeat > count + distances - at)
            return BAD;
        memset(lengths + at, again, (size_t)repeat);
        at += repeat;
    }
    return make_tables(state, lengths, count, distances);
}

/* The header of a block: NEXT, MORE where it is cut, BAD. */
static int block_header(state_t *state, bits_t *in)
{
    state->final = take(in, 1);
    uint32_t kind = take(in, 2);
    if (in->count < 0)
        return MORE;
    if (kind == 1)
        return fixed_codes(state);
    if (kind == 2)
        return own_codes(state, in);
    if (kind == 3)
        return BAD;
    take(in, in->count & 7);
    uint32_t length = take(in, 16), again = take(in, 16);
    if (in->count < 0)
        return MORE;
    state->mode = STORED, state->left = length;
    return length == (~again & 0xFFFF) ? NEXT : BAD;
}

static inline void copy_back(uint8_t *to, uint32_t distance, uint32_t length)
{
    const uint8_t *from = to - distance, *stop = to + length;
    if (distance >= 8) {
        do { /* up to 7 bytes more than asked: MARGIN leaves room */
            memcpy(to, from, 8);
            to += 8, from += 8;
        } while (to < stop);
    } else if (distance == 1) {
        memset(to, *from, length);
    } else {
        while (to < stop)
            *to++ = *from++;
    }
}

/* Symbols until the block ends (NEXT), or a reason to stop. */
static int block_codes(state_t *state, bits_t *source, const uint8_t *least, uint8_t **to,
                       const uint8_t *stop)
{
    bits_t in = *source;
    uint8_t *out = *to;
    int told = FULL;
    while (out < stop) {
        if (in.count < 48)
            refill(&in);
        bits_t before = in;
        uint32_t entry = state->length[in.held & ((1u << FAST_LENGTH) - 1)];
        if (!entry)
            entry = look_slowly(in.held, &state->slow_length, length_entry);
        in.held >>= entry & 15, in.count -= (int)(entry & 15);
        uint32_t stands = entry >> 8 & 3, length = 0, distance = 0;
        if (stands == COPY) {
            int extra = (int)(entry >> 4 & 15);
            length = (entry >> 16) + (uint32_t)(in.held & ((1u << extra) - 1));
            in.held >>= extra, in.count -= extra;
            entry = state->distance[in.held & ((1u << FAST_DISTANCE) - 1)];
            if (!entry)
                entry = look_slowly(in.held, &state->slow_distance, distance_entry);
            extra = (int)(entry >> 4 & 15);
            in.held >>= entry & 15, in.count -= (int)(entry & 15) + extra;
            distance = (entry >> 16) + (uint32_t)(in.held & ((1u << extra) - 1));
            in.held >>= extra;
            stands = entry >> 8 & 3;
        }
        if (in.count < 0) {
            in = before, told = MORE;
            break;
        }
        if (stands == COPY) {
            if (distance > (uint64_t)(out - least)) {
                told = FAR;
                break;
            }
            copy_back(out, distance, length);
            out += length;
        } else if (stands == LITERAL) {
            *out++ = (uint8_t)(entry >> 16);
        } else {
            told = stands == STOP ? NEXT : BAD;
            break;
        }
    }
    *source = in, *to = out;
    return told;
}

/* The bytes of a stored block: NEXT at its end, or MORE, FULL. */
static int block_stored(state_t *state, bits_t *in, uint8_t **to, int64_t room)
{
    int64_t at = place_of(in) >> 3, count = in->size - at;
    count = count < state->left ? count : (int64_t)state->left;
    count = count < room ? count : room;
    memcpy(*to, in->data + at, (size_t)count);
    *to += count, state->left -= (uint32_t)count;
    *in = begin(in->data, in->size, (at + count) << 3);
    return !state->left ? NEXT : count == room ? FULL : MORE;
}

int64_t di_inflate_state(void)
{
    return (int64_t)sizeof(state_t);
}

int32_t di_inflate(const uint8_t *coded, int64_t size, uint8_t *out, int64_t room, int64_t first,
                   int64_t border, int64_t *place, uint32_t *memory)
{
    state_t *state = (state_t *)memory;
    bits_t in = begin(coded, size, place[0]);
    uint8_t *to = out + place[1];
    int told = NEXT;
    while (told == NEXT) {
        int64_t left = room - (to - out);
        if (left < MARGIN) {
            told = FULL;
            break;
        }
        if (state->mode == HEADER) {
            bits_t before = in;
            told = block_header(state, &in);
            if (told != NEXT) {
                in = before, state->mode = HEADER;
                break;
            }
        }
        told = state->mode == STORED
                   ? block_stored(state, &in, &to, left - MARGIN + 1)
                   : block_codes(state, &in, out + first, &to, out + room - MARGIN + 1);
        if (told != NEXT)
            break;
        state->mode = HEADER;
        if (state->final)
            told = END;
        else if (to - out >= border)
            told = BORDER;
    }
    place[0] = place_of(&in), place[1] = to - out;
    return told;
}
