#include "input.h"

/* Any codes end inside their buffers, and the bytes told are those written. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {data, size};
    int64_t want = below(&in, 9000), coded = below(&in, 4096);
    uint8_t *codes = bytes(&in, coded), *out = room(want), *again = room(want);
    if (coded && below(&in, 2))
        codes[0] = 0xFF; /* literals first: copies have something to copy */
    int64_t got = di_adc_read(codes, coded, out, want);
    HOLDS(got >= -1 && got <= want);
    if (got > 0)
        HOLDS(di_adc_read(codes, coded, again, got) == got && !memcmp(out, again, (size_t)got));
    free(codes), free(out), free(again);
    return 0;
}
