/* FLAC frames (RFC 9639 section 9) of two channels of 16 bits, without the stream's header. */
#include "kernels.h"
#include "paths.h"

#include <string.h>

enum { LONGEST = DI_FLAC_LONGEST, ORDER = 32, SIDE = 1 };

typedef struct {
    const uint8_t *at, *stop;
    uint64_t held; /* `have` bits at the top */
    int have;
    int64_t left; /* bits; negative once they went past the end */
} reader;

DI_INLINE void fill(reader *in)
{
    while (in->have <= 56) {
        if (in->at < in->stop)
            in->held |= (uint64_t)*in->at++ << (56 - in->have);
        in->have += 8;
    }
}

DI_INLINE void drop(reader *in, int count)
{
    in->held <<= count;
    in->have -= count;
    in->left -= count;
}

DI_INLINE uint32_t take(reader *in, int count)
{
    fill(in);
    uint32_t value = count ? (uint32_t)(in->held >> (64 - count)) : 0;
    drop(in, count);
    return value;
}

DI_INLINE int32_t take_signed(reader *in, int count)
{
    uint32_t value = take(in, count);
    return count ? (int32_t)(value << (32 - count)) >> (32 - count) : 0;
}

/* Zeros before the next 1, and that 1; past the end it stops and `left` is negative. */
DI_INLINE uint32_t unary(reader *in)
{
    uint32_t zeros = 0;
    for (;;) {
        fill(in);
        if (in->held) {
            int here = __builtin_clzll(in->held);
            if (here < in->have) {
                drop(in, here);
                drop(in, 1);
                return zeros + (uint32_t)here;
            }
        }
        zeros += (uint32_t)in->have;
        drop(in, 32);
        drop(in, in->have);
        if (in->left < 0)
            return zeros;
    }
}

/* The residual of `count` samples after the first `order`, in their places. */
static int residual(reader *in, int order, int count, int32_t *out)
{
    uint32_t method = take(in, 2);
    int log = (int)take(in, 4), width = method ? 5 : 4;
    int each = count >> log;
    if (method > 1 || each << log != count || each < order)
        return 0;
    for (int part = 0, i = order; part < 1 << log; part++) {
        int stop = (part + 1) * each;
        int rice = (int)take(in, width);
        if (rice == (1 << width) - 1) {
            int bits = (int)take(in, 5);
            for (; i < stop; i++)
                out[i] = take_signed(in, bits);
        } else {
            for (; i < stop; i++) {
                uint32_t high = unary(in);
                if (in->left < 0)
                    return 0;
                uint32_t value = high << rice | take(in, rice);
                out[i] = (int32_t)(value >> 1 ^ (0u - (value & 1)));
            }
        }
        if (in->left < 0)
            return 0;
    }
    return 1;
}

static void fixed(int order, int count, int32_t *s)
{
    for (int i = order; i < count; i++) {
        uint32_t a = order > 0 ? (uint32_t)s[i - 1] : 0, b = order > 1 ? (uint32_t)s[i - 2] : 0;
        uint32_t c = order > 2 ? (uint32_t)s[i - 3] : 0, d = order > 3 ? (uint32_t)s[i - 4] : 0;
        uint32_t guess = order == 1 ? a
                         : order == 2 ? 2 * a - b
                         : order == 3 ? 3 * (a - b) + c
                         : order == 4 ? 4 * (a + c) - 6 * b - d
                                      : 0;
        s[i] = (int32_t)((uint32_t)s[i] + guess);
    }
}

typedef void narrow(const int32_t *factor, int shift, int count, int32_t *s);

#define NARROW(ORDER_)                                                                  \
    static void narrow_##ORDER_(const int32_t *factor, int shift, int count, int32_t *s) \
    {                                                                                   \
        for (int i = ORDER_; i < count; i++) {                                          \
            uint32_t sum = 0;                                                           \
            for (int k = 0; k < ORDER_; k++)                                            \
                sum += (uint32_t)factor[k] * (uint32_t)s[i - ORDER_ + k];               \
            s[i] = (int32_t)((uint32_t)s[i] + (uint32_t)((int32_t)sum >> shift));       \
        }                                                                               \
    }
NARROW(1)
NARROW(2)
NARROW(3)
NARROW(4)
NARROW(5)
NARROW(6)
NARROW(7)
NARROW(8)
NARROW(9)
NARROW(10)
NARROW(11)
NARROW(12)

static int linear(reader *in, int order, int bits, int count, int32_t *s)
{
    int32_t factor[ORDER];
    int precision = (int)take(in, 4) + 1, shift = take_signed(in, 5);
    if (precision == 16 || shift < 0)
        return 0;
    for (int k = 0; k < order; k++)
        factor[order - 1 - k] = take_signed(in, precision);
    if (!residual(in, order, count, s))
        return 0;
    if (order <= 12 && bits + precision + 4 <= 33) { /* a sum of lawful products has 32 bits */
        static narrow *const by_order[13] = {0,        narrow_1, narrow_2, narrow_3,  narrow_4,
                                             narrow_5, narrow_6, narrow_7, narrow_8,  narrow_9,
                                             narrow_10, narrow_11, narrow_12};
        by_order[order](factor, shift, count, s);
        return 1;
    }
    for (int i = order; i < count; i++) {
        int64_t sum = 0;
        for (int k = 0; k < order; k++)
            sum += (int64_t)factor[k] * s[i - order + k];
        s[i] = (int32_t)((uint32_t)s[i] + (uint32_t)(sum >> shift));
    }
    return 1;
}

static int subframe(reader *in, int bits, int count, int32_t *s)
{
    uint32_t head = take(in, 8);
    int type = (int)(head >> 1 & 63), wasted = 0;
    if (head & 0x80)
        return 0;
    if (head & 1) {
        uint32_t more = unary(in) + 1;
        if (in->left < 0 || more >= (uint32_t)bits)
            return 0;
        wasted = (int)more;
        bits -= wasted;
    }
    int order = type >= 32 ? type - 31 : type >= 8 && type <= 12 ? type - 8 : -1;
    if (type > 1 && (order < 0 || order > count))
        return 0;
    if (type == 0) {
        int32_t value = take_signed(in, bits);
        for (int i = 0; i < count; i++)
            s[i] = value;
    } else if (type == 1) {
        for (int i = 0; i < count; i++)
            s[i] = take_signed(in, bits);
    } else {
        for (int i = 0; i < order; i++)
            s[i] = take_signed(in, bits);
        if (type >= 32) {
            if (!linear(in, order, bits, count, s))
                return 0;
        } else {
            if (!residual(in, order, count, s))
                return 0;
            fixed(order, count, s);
        }
    }
    for (int i = 0; wasted && i < count; i++)
        s[i] = (int32_t)((uint32_t)s[i] << wasted);
    return in->left >= 0;
}

/* Samples of the frame whose header is next, 0 where it is unlawful; `channels` is its code. */
static int header(reader *in, int *channels)
{
    static const uint16_t sizes[16] = {0, 192, 576, 1152, 2304, 4608, 0, 0,
                                       256, 512, 1024, 2048, 4096, 0, 0, 0};
    if (take(in, 15) != 0x7FFC)
        return 0;
    take(in, 1);
    uint32_t size = take(in, 4), rate = take(in, 4), depth;
    *channels = (int)take(in, 4);
    depth = take(in, 3);
    if (take(in, 1) || (depth != 0 && depth != 4) || rate == 15)
        return 0;
    if (*channels != 1 && (*channels < 8 || *channels > 10))
        return 0;
    uint32_t number = take(in, 8); /* as in UTF-8: the bits set at the top tell the bytes */
    for (uint32_t bit = 0x40; number & 0x80 && number & bit; bit >>= 1)
        take(in, 8);
    uint32_t count = size == 6 ? take(in, 8) + 1 : size == 7 ? take(in, 16) + 1 : sizes[size];
    take(in, rate == 12 ? 8 : rate == 13 || rate == 14 ? 16 : 0);
    take(in, 8);
    return in->left >= 0 && count <= LONGEST ? (int)count : 0;
}

static void joined(int channels, int count, int32_t *left, int32_t *right)
{
    for (int i = 0; i < count; i++) {
        uint32_t a = (uint32_t)left[i], b = (uint32_t)right[i];
        if (channels == 8) /* left, side */
            right[i] = (int32_t)(a - b);
        else if (channels == 9) /* side, right */
            left[i] = (int32_t)(a + b);
        else if (channels == 10) { /* middle, side */
            uint32_t sum = a << 1 | (b & 1);
            left[i] = (int32_t)(sum + b) >> 1;
            right[i] = (int32_t)(sum - b) >> 1;
        }
    }
}

int64_t di_flac_read(const uint8_t *coded, int64_t size, int32_t big_endian, uint8_t *out,
                     int64_t want)
{
    reader in = {coded, coded + size, 0, 0, size * 8};
    int32_t left[LONGEST], right[LONGEST];
    while (want > 0) {
        int channels, count = header(&in, &channels);
        if (!count || count * 4 > want)
            return -1;
        if (!subframe(&in, 16 + (channels == 9), count, left) ||
            !subframe(&in, 16 + (channels == 8 || channels == 10), count, right))
            return -1;
        joined(channels, count, left, right);
        int low = big_endian ? 1 : 0;
        for (int i = 0; i < count; i++, out += 4) {
            out[low] = (uint8_t)left[i], out[1 - low] = (uint8_t)(left[i] >> 8);
            out[2 + low] = (uint8_t)right[i], out[3 - low] = (uint8_t)(right[i] >> 8);
        }
        want -= count * 4;
        take(&in, (int)(in.left & 7));
        take(&in, 16);
        if (in.left < 0)
            return -1;
    }
    return size - in.left / 8;
}
