/* Apple Data Compression: literals, and copies of what is up to 64 KiB back. */
#include "kernels.h"

#include <string.h>

static void copy_back(uint8_t *to, int64_t distance, int64_t length)
{
    if (distance >= length)
        memcpy(to, to - distance, (size_t)length);
    else if (distance == 1)
        memset(to, to[-1], (size_t)length);
    else
        for (int64_t i = 0; i < length; i++)
            to[i] = to[i - distance];
}

int64_t di_adc_read(const uint8_t *coded, int64_t size, uint8_t *out, int64_t want)
{
    int64_t at = 0, done = 0;
    while (at < size && done < want) {
        int32_t code = coded[at++];
        if (code & 0x80) {
            int64_t length = (code & 0x7F) + 1;
            if (length > size - at || length > want - done)
                return -1;
            memcpy(out + done, coded + at, (size_t)length);
            at += length, done += length;
            continue;
        }
        int64_t length, distance;
        if (code & 0x40) {
            if (size - at < 2)
                return -1;
            length = (code & 0x3F) + 4;
            distance = (coded[at] << 8 | coded[at + 1]) + 1;
            at += 2;
        } else {
            if (size - at < 1)
                return -1;
            length = (code >> 2 & 0x0F) + 3;
            distance = ((code & 3) << 8 | coded[at]) + 1;
            at += 1;
        }
        if (distance > done || length > want - done)
            return -1;
        copy_back(out + done, distance, length);
        done += length;
    }
    return done;
}
