/* FLAC frames written (RFC 9639 section 9): fixed and linear prediction, Rice codes by parts. */
#include "kernels.h"
#include "paths.h"

#include <string.h>

enum {
    LONGEST = DI_FLAC_LONGEST,
    ORDER = 12,     /* of linear prediction: what the streamable subset allows at 44.1 kHz */
    PRECISION = 12, /* bits of a quantised factor: sums of lawful products have 32 bits */
    PARTS = 64,     /* partitions of one residual at most */
    RICE = 30,      /* the largest parameter */
};

typedef enum { CONSTANT, VERBATIM, FIXED, LINEAR } kind;

/* One channel of one frame, as it would be written. */
typedef struct {
    int bits; /* of a sample */
    kind how;
    int order, shift, log; /* log: of the number of partitions */
    int32_t factor[ORDER];
    uint8_t rice[PARTS];
    int64_t cost; /* bits */
    int32_t sample[LONGEST];
    int32_t rest[LONGEST];
} channel;

typedef struct {
    uint8_t *at, *stop;
    uint64_t held; /* `have` bits at the bottom */
    int have;
    int full; /* there was no room */
} writer;

DI_INLINE void add(writer *out, int count, uint32_t value)
{
    out->held = out->held << count | (value & (uint32_t)((1ull << count) - 1));
    for (out->have += count; out->have >= 8; out->have -= 8) {
        if (out->at < out->stop)
            *out->at++ = (uint8_t)(out->held >> (out->have - 8));
        else
            out->full = 1;
    }
}

DI_INLINE uint32_t folded(int32_t value)
{
    return (uint32_t)value << 1 ^ (uint32_t)(value >> 31);
}

/* The parameter that codes `count` values with such a sum in the fewest bits, and those bits. */
static int64_t rice_cost(uint64_t sum, int64_t count, uint8_t *rice)
{
    int best = 0;
    int64_t least = INT64_MAX;
    uint64_t mean = count ? sum / (uint64_t)count : 0;
    int near = mean ? 63 - __builtin_clzll(mean) : 0;
    for (int r = near ? near - 1 : 0; r <= near + 1 && r <= RICE; r++) {
        int64_t bits = count * (r + 1) + (int64_t)(sum >> r);
        if (bits < least)
            least = bits, best = r;
    }
    *rice = (uint8_t)best;
    return least + 5;
}

/* The bits of a residual of which the first `order` places are no part, by its best partitions. */
static int64_t residual_cost(const int32_t *rest, int order, int count, int *log, uint8_t *rice)
{
    uint64_t sums[PARTS];
    int finest = 0;
    while (2 << finest <= PARTS && count % (2 << finest) == 0 && count >> (finest + 1) > order)
        finest++;
    int each = count >> finest;
    for (int part = 0; part < 1 << finest; part++) {
        uint64_t sum = 0;
        for (int i = part ? part * each : order; i < (part + 1) * each; i++)
            sum += folded(rest[i]);
        sums[part] = sum;
    }
    int64_t least = INT64_MAX;
    for (int now = finest; now >= 0; now--) {
        uint8_t tried[PARTS];
        int64_t bits = 6;
        for (int part = 0; part < 1 << now; part++)
            bits += rice_cost(sums[part], (count >> now) - (part ? 0 : order), &tried[part]);
        if (bits < least) {
            least = bits, *log = now;
            memcpy(rice, tried, (size_t)1 << now);
        }
        for (int part = 0; part < 1 << now >> 1; part++)
            sums[part] = sums[2 * part] + sums[2 * part + 1];
    }
    return least;
}

/* Keeps a prediction whose residual is `rest` where it is the cheapest so far. */
static void tried(channel *c, int count, kind how, int order, const int32_t *rest, int64_t fixed)
{
    int log = 0;
    uint8_t rice[PARTS] = {0};
    int64_t bits = fixed + 8 + (int64_t)order * c->bits;
    bits += residual_cost(rest, order, count, &log, rice);
    if (bits >= c->cost)
        return;
    c->cost = bits, c->how = how, c->order = order, c->log = log;
    memcpy(c->rice, rice, sizeof rice);
    memcpy(c->rest, rest, sizeof *rest * (size_t)count);
}

static void try_fixed(channel *c, int count)
{
    int32_t rest[LONGEST], best[LONGEST];
    uint64_t least = UINT64_MAX;
    int order = 0;
    memcpy(rest, c->sample, sizeof *rest * (size_t)count);
    for (int now = 0; now <= 4 && now < count; now++) {
        uint64_t sum = 0;
        for (int i = count - 1; now && i >= now; i--)
            rest[i] -= rest[i - 1];
        for (int i = now; i < count; i++)
            sum += folded(rest[i]);
        if (sum < least) {
            least = sum, order = now;
            memcpy(best, rest, sizeof *rest * (size_t)count);
        }
    }
    tried(c, count, FIXED, order, best, 0);
}

/* About log2 of a positive number: exact at powers of two, straight between them. */
static double log2_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (double)(int64_t)(bits >> 52) - 1023 +
           (double)(bits & ((1ull << 52) - 1)) / (double)(1ull << 52);
}

/* Factors of every order by Levinson and Durbin; answers the order that promises the fewest bits,
 * 0 where none does. */
static int levinson(const double *auto_, int most, int count, int bits, double factor[][ORDER])
{
    double error = auto_[0], last[ORDER] = {0}, least = 0;
    int best = 0;
    for (int order = 1; order <= most; order++) {
        double r = auto_[order];
        for (int k = 0; k < order - 1; k++)
            r -= last[k] * auto_[order - 1 - k];
        r /= error;
        double next[ORDER];
        memcpy(next, last, sizeof next);
        next[order - 1] = r;
        for (int k = 0; k < order - 1; k++)
            next[k] = last[k] - r * last[order - 2 - k];
        memcpy(last, next, sizeof last);
        memcpy(factor[order - 1], last, sizeof last);
        error *= 1 - r * r;
        if (!(error > 0))
            break;
        double each = 0.5 * log2_of(error / count);
        double cost = count * (each > 0 ? each : 0) + (double)order * (bits + PRECISION);
        if (!best || cost < least)
            least = cost, best = order;
    }
    return best;
}

/* Whole numbers for `factor`, each one's rounding made good by the next; the shift, -1 for none. */
static int quantised(const double *factor, int order, int32_t *out)
{
    double most = 0, carried = 0;
    for (int k = 0; k < order; k++)
        most = factor[k] > most ? factor[k] : -factor[k] > most ? -factor[k] : most;
    if (!(most > 0))
        return -1;
    int shift = PRECISION - 2 - (int)log2_of(most) - (most < 1);
    if (shift < 0)
        return -1;
    shift = shift > 15 ? 15 : shift;
    int32_t bound = 1 << (PRECISION - 1);
    for (int k = 0; k < order; k++) {
        carried += factor[k] * (1 << shift);
        int32_t whole = (int32_t)(carried < 0 ? carried - 0.5 : carried + 0.5);
        whole = whole >= bound ? bound - 1 : whole < -bound ? -bound : whole;
        carried -= whole;
        out[k] = whole;
    }
    return shift;
}

static void try_linear(channel *c, int count)
{
    double window[LONGEST], auto_[ORDER + 1] = {0}, factor[ORDER][ORDER] = {{0}};
    int most = count > ORDER ? ORDER : count - 1;
    if (most < 1)
        return;
    double half = (count - 1) / 2.0;
    for (int i = 0; i < count; i++) {
        double x = half > 0 ? (i - half) / (half + 1) : 0;
        window[i] = c->sample[i] * (1 - x * x);
    }
    for (int i = 0; i < most; i++)
        for (int lag = 0; lag <= i; lag++)
            auto_[lag] += window[i] * window[i - lag];
    if (most == ORDER)
        for (int i = ORDER; i < count; i++)
            for (int lag = 0; lag <= ORDER; lag++)
                auto_[lag] += window[i] * window[i - lag];
    else
        for (int lag = 0; lag <= most; lag++)
            auto_[lag] += window[most] * window[most - lag];
    if (!(auto_[0] > 0))
        return;
    int32_t whole[ORDER], rest[LONGEST];
    int order = levinson(auto_, most, count, c->bits, factor);
    int shift = order ? quantised(factor[order - 1], order, whole) : -1;
    if (shift < 0)
        return;
    memset(rest, 0, sizeof *rest * (size_t)count);
    for (int k = 0; k < order; k++)
        for (int i = order; i < count; i++)
            rest[i] += whole[k] * c->sample[i - 1 - k];
    for (int i = order; i < count; i++)
        rest[i] = c->sample[i] - (rest[i] >> shift);
    tried(c, count, LINEAR, order, rest, 9 + (int64_t)order * PRECISION);
    if (c->how == LINEAR) {
        c->shift = shift;
        memcpy(c->factor, whole, sizeof whole);
    }
}

static void weigh(channel *c, int count, int bits)
{
    int same = 1;
    for (int i = 1; i < count && same; i++)
        same = c->sample[i] == c->sample[0];
    c->bits = bits;
    c->how = same ? CONSTANT : VERBATIM;
    c->cost = 8 + (int64_t)bits * (same ? 1 : count);
    if (same)
        return;
    try_fixed(c, count);
    try_linear(c, count);
}

static void residual(writer *out, const channel *c, int count)
{
    int wide = 0, parts = 1 << c->log, each = count >> c->log;
    for (int part = 0; part < parts; part++)
        wide |= c->rice[part] > 14;
    add(out, 2, (uint32_t)wide);
    add(out, 4, (uint32_t)c->log);
    for (int part = 0; part < parts; part++) {
        int rice = c->rice[part];
        add(out, wide ? 5 : 4, (uint32_t)rice);
        for (int i = part ? part * each : c->order; i < (part + 1) * each; i++) {
            uint32_t value = folded(c->rest[i]), zeros = value >> rice;
            for (; zeros >= 31; zeros -= 31)
                add(out, 31, 0);
            add(out, (int)zeros + 1, 1);
            add(out, rice, value);
        }
    }
}

static void subframe(writer *out, const channel *c, int count)
{
    static const uint32_t types[4] = {0, 1, 8, 31};
    uint32_t order = c->how >= FIXED ? (uint32_t)c->order : 0;
    add(out, 8, (types[c->how] + order) << 1);
    int raw = c->how == CONSTANT ? 1 : c->how == VERBATIM ? count : c->order;
    for (int i = 0; i < raw; i++)
        add(out, c->bits, (uint32_t)c->sample[i]);
    if (c->how == LINEAR) {
        add(out, 4, PRECISION - 1);
        add(out, 5, (uint32_t)c->shift);
        for (int k = 0; k < c->order; k++)
            add(out, PRECISION, (uint32_t)c->factor[k]);
    }
    if (c->how >= FIXED)
        residual(out, c, count);
}

/* A CRC of `width` bits from 0, the highest bit first. */
static uint32_t crc(const uint8_t *data, const uint8_t *stop, int width, uint32_t polynomial)
{
    uint32_t value = 0, top = 1u << (width - 1);
    for (; data < stop; data++) {
        value ^= (uint32_t)*data << (width - 8);
        for (int bit = 0; bit < 8; bit++)
            value = value << 1 ^ (value & top ? polynomial : 0);
    }
    return value & (top * 2 - 1);
}

static void frame(writer *out, uint32_t number, channel *c, int count)
{
    static const int pairs[4][3] = {{0, 1, 1}, {0, 3, 8}, {3, 1, 9}, {2, 3, 10}};
    const int *best = pairs[0];
    for (int i = 1; i < 4; i++)
        if (c[pairs[i][0]].cost + c[pairs[i][1]].cost < c[best[0]].cost + c[best[1]].cost)
            best = pairs[i];
    uint8_t *start = out->at;
    add(out, 16, 0xFFF8);
    add(out, 8, 0x79); /* the size follows in 16 bits; 44.1 kHz */
    add(out, 4, (uint32_t)best[2]);
    add(out, 4, 8); /* 16 bits a sample */
    if (number < 0x80)
        add(out, 8, number);
    else if (number < 0x800)
        add(out, 16, 0xC080 | (number & 0x7C0) << 2 | (number & 0x3F));
    else {
        add(out, 8, 0xE0 | number >> 12);
        add(out, 16, 0x8080 | (number & 0xFC0) << 2 | (number & 0x3F));
    }
    add(out, 16, (uint32_t)count - 1);
    add(out, 8, crc(start, out->at, 8, 0x07));
    subframe(out, &c[best[0]], count);
    subframe(out, &c[best[1]], count);
    if (out->have)
        add(out, 8 - out->have, 0);
    add(out, 16, crc(start, out->at, 16, 0x8005));
}

DI_INLINE int32_t sample(const uint8_t *pcm, int high)
{
    return (int16_t)(uint16_t)(pcm[high] << 8 | pcm[1 - high]);
}

int64_t di_flac_write(const uint8_t *pcm, int64_t samples, int32_t block, int32_t big_endian,
                      uint8_t *out, int64_t room)
{
    writer to = {out, out + room, 0, 0, 0};
    channel c[4]; /* left, right, middle, side */
    int high = big_endian ? 0 : 1;
    for (uint32_t number = 0; samples && !to.full; number++) {
        int count = samples < block ? (int)samples : block;
        for (int i = 0; i < count; i++, pcm += 4) {
            int32_t left = sample(pcm, high), right = sample(pcm + 2, high);
            c[0].sample[i] = left, c[1].sample[i] = right;
            c[2].sample[i] = (left + right) >> 1, c[3].sample[i] = left - right;
        }
        for (int i = 0; i < 4; i++)
            weigh(&c[i], count, i == 3 ? 17 : 16);
        frame(&to, number & 0xFFFF, c, count);
        samples -= count;
    }
    return to.full ? -1 : to.at - out;
}
