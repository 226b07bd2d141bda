/* Frames of compact discs: user data out of them and back, checked (ECMA-130; CD-ROM XA). */
#include "kernels.h"
#include "paths.h"

#include <string.h>

enum { FAULT_SYNC = 1, FAULT_MODE, FAULT_SUBHEADER, FAULT_FORM2, FAULT_EDC, FAULT_SHORT };
enum { CHECK_SYNC = 1, CHECK_HEADER = 2, CHECK_EDC = 4, CHECK_FORM = 8 };
enum { WRONG_SYNC = 1, WRONG_MODE = 2, WRONG_SUBHEADER = 4, WRONG_EDC = 8 };
enum { WRONG_P = 16, WRONG_Q = 32, IS_FORM2 = 64 };
enum { MODE_BITS = 7, FORM2_BIT = 0x20 };
enum { MODE1_CODED = 2068, FORM1_CODED = 2060 }; /* from 0, from 16; with the code itself */

/* `body` is where byte 16 of the frame is. */
static int subheader_fault(di_crc_path *crc, const uint8_t *body)
{
    if (memcmp(body, body + 4, 4)) /* then only the EDC can tell the form */
        return crc(&di_crc_edc, body, FORM1_CODED, 0) ? FAULT_SUBHEADER : 0;
    return body[2] & FORM2_BIT ? FAULT_FORM2 : 0;
}

static int fault_of(di_crc_path *crc, const uint8_t *frame, int64_t base, int mode, int flags)
{
    if (!base) {
        if (flags & CHECK_SYNC && memcmp(frame, di_sync, sizeof di_sync))
            return FAULT_SYNC;
        if (flags & CHECK_HEADER && (frame[15] & MODE_BITS) != mode)
            return FAULT_MODE;
    }
    const uint8_t *body = frame + 16 - base;
    if (mode == 2 && flags & CHECK_FORM) {
        int fault = subheader_fault(crc, body);
        if (fault)
            return fault;
    }
    if (!(flags & CHECK_EDC))
        return 0;
    uint32_t code = mode == 1 ? crc(&di_crc_edc, frame, MODE1_CODED, 0)
                              : crc(&di_crc_edc, body, FORM1_CODED, 0);
    return code ? FAULT_EDC : 0;
}

int64_t di_cook(const uint8_t *frames, int64_t count, int64_t pitch, int64_t base, int32_t mode,
                int32_t flags, uint8_t *out, int32_t *fault)
{
    di_crc_path *crc = di_select()->crc;
    int64_t user_at = (mode == 1 ? 16 : 24) - base;
    *fault = 0;
    for (int64_t i = 0; i < count; i++) {
        *fault = fault_of(crc, frames, base, mode, flags);
        if (*fault)
            return i;
        memcpy(out, frames + user_at, DI_USER);
        frames += pitch;
        out += DI_USER;
    }
    return count;
}

static int wrong_form2(di_crc_path *crc, const uint8_t *frame, int64_t held)
{
    static const uint8_t unused[4];
    if (held < DI_RAW || !memcmp(frame + 2348, unused, 4))
        return 0;
    return crc(&di_crc_edc, frame + 16, DI_RAW - 16, 0) ? WRONG_EDC : 0;
}

/* The header has to be zero in mode 2. */
static int wrong_parity(const uint8_t *frame)
{
    uint8_t p[172], q[104];
    di_parity_p(frame, p);
    di_parity_q(frame, q);
    return (memcmp(p, frame + DI_P_AT, sizeof p) ? WRONG_P : 0) |
           (memcmp(q, frame + DI_Q_AT, sizeof q) ? WRONG_Q : 0);
}

/* `frame` is a copy of which `held` bytes are stored; its header may be changed. */
static int wrong(di_crc_path *crc, uint8_t *frame, int64_t base, int64_t held, int mode)
{
    int found = 0;
    if (!base) {
        found |= memcmp(frame, di_sync, sizeof di_sync) ? WRONG_SYNC : 0;
        found |= (frame[15] & MODE_BITS) != mode ? WRONG_MODE : 0;
    }
    if (mode == 1) {
        found |= crc(&di_crc_edc, frame, MODE1_CODED, 0) ? WRONG_EDC : 0;
    } else {
        if (memcmp(frame + 16, frame + 20, 4))
            found |= WRONG_SUBHEADER;
        else if (frame[18] & FORM2_BIT)
            return found | IS_FORM2 | wrong_form2(crc, frame, held);
        found |= crc(&di_crc_edc, frame + 16, FORM1_CODED, 0) ? WRONG_EDC : 0;
    }
    if (held < DI_RAW)
        return found;
    if (mode == 2)
        memset(frame + 12, 0, 4);
    return found | wrong_parity(frame);
}

void di_check(const uint8_t *frames, int64_t count, int64_t pitch, int64_t base, int32_t mode,
              uint8_t *status)
{
    di_crc_path *crc = di_select()->crc;
    int64_t stored = pitch < DI_RAW - base ? pitch : DI_RAW - base;
    uint8_t frame[DI_RAW] = {0};
    for (int64_t i = 0; i < count; i++) {
        memcpy(frame + base, frames + i * pitch, (size_t)stored);
        status[i] = (uint8_t)wrong(crc, frame, base, base + stored, mode);
    }
}

static uint8_t bcd(int64_t value)
{
    return (uint8_t)(value / 10 << 4 | value % 10);
}

/* MMC: addresses before -150 are lead-in, which counts from 90 minutes. */
static void put_address(uint8_t *header, int64_t lba, int mode)
{
    int64_t frames = lba + (lba >= -150 ? 150 : 450150);
    header[0] = bcd(frames / (75 * 60) % 100);
    header[1] = bcd(frames / 75 % 60);
    header[2] = bcd(frames % 75);
    header[3] = (uint8_t)mode;
}

static void put32(uint8_t *out, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> 8 * i);
}

/* `crc` is null where the EDC holds; the parity is not asked for unless the frame is `whole`. */
static int odd(const uint8_t *stored, int64_t base, int whole, int mode, const uint8_t *header,
               di_crc_path *crc)
{
    static const uint8_t plain[8] = {0, 0, 8, 0, 0, 0, 8, 0}, unused[8];
    uint8_t copy[DI_RAW];
    if (!base && (memcmp(stored, di_sync, sizeof di_sync) || memcmp(stored + 12, header, 4)))
        return 1;
    if (mode == 2 && memcmp(stored + 16 - base, plain, 8))
        return 1;
    if (mode == 1 && memcmp(stored + MODE1_CODED - base, unused, 8))
        return 1;
    if (crc && (mode == 1 ? crc(&di_crc_edc, stored, MODE1_CODED, 0)
                          : crc(&di_crc_edc, stored + 16 - base, FORM1_CODED, 0)))
        return 1;
    if (!whole)
        return 0;
    if (mode == 1)
        return wrong_parity(stored);
    memset(copy + 12, 0, 4);
    memcpy(copy + 16, stored + 16 - base, DI_RAW - 16);
    return wrong_parity(copy);
}

void di_odd(const uint8_t *frames, int64_t count, int64_t pitch, int64_t base, int32_t mode,
            int64_t lba, int32_t flags, uint8_t *out)
{
    di_crc_path *crc = flags & CHECK_EDC ? 0 : di_select()->crc;
    int whole = pitch >= DI_RAW - base;
    uint8_t header[4];
    for (int64_t i = 0; i < count; i++) {
        put_address(header, lba + i, mode);
        out[i] = odd(frames + i * pitch, base, whole, mode, header, crc) != 0;
    }
}

int64_t di_cook_file(int src, int64_t at, int64_t pitch, int64_t base, int32_t mode, int64_t count,
                     int dst, int64_t to, int32_t flags, uint8_t *buffer, int64_t room,
                     int64_t lba, uint8_t *odd, int32_t *fault)
{
    int64_t turn = room / (pitch + DI_USER), done = 0;
    int64_t held = pitch < DI_RAW - base ? pitch : DI_RAW - base; /* of the last frame */
    uint8_t *out = buffer + turn * pitch;
    *fault = 0;
    while (done < count && !*fault) {
        int64_t want = count - done < turn ? count - done : turn;
        int64_t got = di_read_all(src, at + done * pitch, (want - 1) * pitch + held, buffer);
        if (got < 0)
            return got;
        int64_t whole = (got + pitch - held) / pitch;
        int64_t good = di_cook(buffer, whole, pitch, base, mode, flags, out, fault);
        int64_t put = di_write_all(dst, to + done * DI_USER, good * DI_USER, out);
        if (put < 0)
            return put;
        if (odd)
            di_odd(buffer, good, pitch, base, mode, lba + done, flags, odd + done);
        done += good;
        if (!*fault && whole < want)
            *fault = FAULT_SHORT;
    }
    return done;
}

void di_make(const uint8_t *user, int64_t count, int32_t mode, int64_t lba,
             const uint8_t *subheader, uint8_t *out)
{
    di_crc_path *crc = di_select()->crc;
    for (int64_t i = 0; i < count; i++, user += DI_USER, out += DI_RAW) {
        memcpy(out, di_sync, sizeof di_sync);
        put_address(out + 12, lba + i, mode);
        if (mode == 1) {
            memcpy(out + 16, user, DI_USER);
            put32(out + 2064, crc(&di_crc_edc, out, 2064, 0));
            memset(out + 2068, 0, 8);
        } else {
            memcpy(out + 16, subheader, 4);
            memcpy(out + 20, subheader, 4);
            memcpy(out + 24, user, DI_USER);
            put32(out + 2072, crc(&di_crc_edc, out + 16, 2056, 0));
        }
        di_ecc(out, mode);
    }
}

/* ECMA-130 annex B: x^15 + x + 1, preset 1, the low bit first. */
void di_scramble(uint8_t *frames, int64_t count)
{
    uint8_t key[DI_RAW] = {0};
    unsigned state = 1;
    for (int i = 12; i < DI_RAW; i++) {
        for (int bit = 0; bit < 8; bit++) {
            key[i] |= (uint8_t)((state & 1) << bit);
            state = state >> 1 | ((state ^ state >> 1) & 1) << 14;
        }
    }
    for (; count > 0; count--, frames += DI_RAW)
        for (int i = 12; i < DI_RAW; i++)
            frames[i] ^= key[i];
}

void di_gather(const uint8_t *src, int64_t pitch, int64_t skip, int64_t take, uint8_t *out,
               int64_t size)
{
    for (src += skip; size > 0; src += pitch, out += take, size -= take)
        memcpy(out, src, (size_t)(size < take ? size : take));
}

void di_scatter(const uint8_t *src, int64_t size, int64_t pitch, int64_t skip, int64_t take,
                uint8_t *out)
{
    for (out += skip; size > 0; src += take, out += pitch, size -= take)
        memcpy(out, src, (size_t)(size < take ? size : take));
}

void di_swap16(const uint8_t *data, int64_t size, uint8_t *out)
{
    for (int64_t i = 0; i < size; i += 2) {
        uint8_t low = data[i];
        out[i] = data[i + 1];
        out[i + 1] = low;
    }
}
