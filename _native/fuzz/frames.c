#include "input.h"

/* Made frames hold, damaged ones are mended or left alone. */
static void make_and_mend(input *in, int mode)
{
    int64_t count = below(in, 4) + 1, lba = below(in, 400000) - 45150;
    uint8_t subheader[4] = {0, 0, 8, 0}, *user = bytes(in, count * DI_USER);
    uint8_t *made = room(count * DI_RAW), *cooked = room(count * DI_USER), *status = room(count);
    uint8_t frame[DI_RAW], before[DI_RAW];
    int32_t fault;
    di_make(user, count, mode, lba, subheader, made);
    di_check(made, count, DI_RAW, 0, mode, status);
    for (int64_t i = 0; i < count; i++)
        HOLDS(status[i] == 0);
    HOLDS(di_cook(made, count, DI_RAW, 0, mode, 15, cooked, &fault) == count && !fault);
    HOLDS(!memcmp(user, cooked, (size_t)(count * DI_USER)));
    di_odd(made, count, DI_RAW, 0, mode, lba, 4, status);
    HOLDS(!memchr(status, 1, (size_t)count));
    memcpy(frame, made, DI_RAW);
    for (int64_t flips = below(in, 40); flips > 0; flips--)
        frame[below(in, DI_RAW)] ^= (uint8_t)below(in, 256);
    di_odd(frame, 1, DI_RAW, 0, mode, lba, 0, status);
    HOLDS(status[0] == (memcmp(frame, made, DI_RAW) != 0));
    memcpy(before, frame, DI_RAW);
    int32_t changed = di_repair(frame, mode);
    HOLDS(changed >= 0 || !memcmp(before, frame, DI_RAW));
    di_scramble(made, count);
    di_scramble(made, count);
    di_check(made, count, DI_RAW, 0, mode, status);
    HOLDS(status[count - 1] == 0);
    free(user), free(made), free(cooked), free(status);
}

/* Any bytes at any pitch. */
static void look(input *in, int mode)
{
    static const int64_t pitches[5] = {2352, 2448, 2368, 2336, 2332};
    int64_t which = below(in, mode == 1 ? 3 : 5), pitch = pitches[which], base = which > 2 ? 16 : 0;
    int64_t held = pitch < DI_RAW - base ? pitch : DI_RAW - base, count = below(in, 5) + 1;
    int32_t flags = (int32_t)below(in, 16), fault;
    uint8_t *frames = bytes(in, (count - 1) * pitch + held);
    uint8_t *out = room(count * DI_USER), *status = room(count);
    int64_t done = di_cook(frames, count, pitch, base, mode, flags, out, &fault);
    HOLDS(done <= count && (done == count) == !fault);
    di_check(frames, count, pitch, base, mode, status);
    di_odd(frames, count, pitch, base, mode, below(in, 1000), flags & 4, status);
    free(frames), free(out), free(status);
}

static void gather_and_scatter(input *in)
{
    int64_t take = below(in, 3000) + 1, skip = below(in, 100), pitch = take + skip + below(in, 100);
    int64_t size = below(in, 9000), records = (size + take - 1) / take;
    int64_t last = size ? size - (records - 1) * take : 0;
    int64_t stored = records ? (records - 1) * pitch + skip + last : 0;
    uint8_t *src = bytes(in, stored), *out = room(size), *back = room(stored), *again = room(size);
    di_gather(src, pitch, skip, take, out, size);
    di_scatter(out, size, pitch, skip, take, back);
    di_gather(back, pitch, skip, take, again, size);
    HOLDS(!memcmp(out, again, (size_t)size));
    di_swap16(out, size & ~1, again);
    di_swap16(again, size & ~1, again);
    HOLDS(!memcmp(out, again, (size_t)(size & ~1)));
    free(src), free(out), free(back), free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {data, size};
    int mode = (int)below(&in, 2) + 1;
    make_and_mend(&in, mode);
    look(&in, mode);
    gather_and_scatter(&in);
    return 0;
}
