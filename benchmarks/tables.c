/* 2048-byte sectors to 2352-byte Mode 1 frames by byte tables: what ISO to BIN is measured against.
   ECMA-130 clause 14 and annex A, one table lookup a byte, no vector code. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint32_t edc_table[256];
static uint8_t forward[256], backward[256];

static void fill(void)
{
    for (int i = 0; i < 256; i++) {
        uint32_t value = (uint32_t)i;
        for (int bit = 0; bit < 8; bit++)
            value = value >> 1 ^ (value & 1 ? 0xD8018001u : 0);
        edc_table[i] = value;
        forward[i] = (uint8_t)(i << 1 ^ (i & 0x80 ? 0x11D : 0));
    }
    for (int i = 0; i < 256; i++)
        backward[i ^ forward[i]] = (uint8_t)i;
}

static void parity(uint8_t *frame, int at, int major, int minor, int major_step, int minor_step)
{
    int size = major * minor;
    for (int i = 0; i < major; i++) {
        int index = (i >> 1) * major_step + (i & 1);
        uint8_t a = 0, b = 0;
        for (int j = 0; j < minor; j++) {
            uint8_t value = frame[12 + index];
            index += minor_step;
            if (index >= size)
                index -= size;
            a = forward[a ^ value];
            b ^= value;
        }
        a = backward[forward[a] ^ b];
        frame[at + i] = a;
        frame[at + major + i] = a ^ b;
    }
}

int main(int count, char **names)
{
    static uint8_t sectors[512 * 2048], frames[512 * 2352];
    FILE *in = count == 3 ? fopen(names[1], "rb") : NULL;
    FILE *out = count == 3 ? fopen(names[2], "wb") : NULL;
    if (count == 2 && !strcmp(names[1], "--help"))
        return 0;
    if (!in || !out)
        return 2;
    fill();
    setvbuf(in, NULL, _IONBF, 0);
    setvbuf(out, NULL, _IONBF, 0);
    size_t got;
    for (uint32_t lba = 150; (got = fread(sectors, 2048, 512, in)) > 0;) {
        for (size_t i = 0; i < got; i++, lba++) {
            uint8_t *frame = frames + i * 2352;
            uint32_t msf[3] = {lba / 4500, lba / 75 % 60, lba % 75}, edc = 0;
            memset(frame, 0xFF, 12);
            frame[0] = frame[11] = 0;
            for (int n = 0; n < 3; n++)
                frame[12 + n] = (uint8_t)(msf[n] / 10 % 10 << 4 | msf[n] % 10);
            frame[15] = 1;
            memcpy(frame + 16, sectors + i * 2048, 2048);
            for (int n = 0; n < 2064; n++)
                edc = edc >> 8 ^ edc_table[(edc ^ frame[n]) & 0xFF];
            for (int n = 0; n < 4; n++)
                frame[2064 + n] = (uint8_t)(edc >> 8 * n);
            memset(frame + 2068, 0, 8);
            parity(frame, 2076, 86, 24, 2, 86);
            parity(frame, 2248, 52, 43, 86, 88);
        }
        if (fwrite(frames, 2352, got, out) != got)
            return 1;
    }
    return fclose(out) ? 1 : 0;
}
