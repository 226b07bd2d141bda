#include "input.h"

/* Waves, noise and jumps, which the parts of a predictor are for. */
static uint8_t *sound(input *in, int64_t samples)
{
    uint8_t *pcm = room(samples * 4);
    int64_t value[2] = {0, 0}, slope[2] = {0, 0}, loud = 1 << below(in, 16), turn = below(in, 40);
    for (int64_t i = 0; i < samples * 2; i++) {
        int64_t *v = &value[i & 1], *s = &slope[i & 1];
        *s += below(in, loud) - loud / 2 - *v * turn / 400;
        *v += *s;
        int16_t one = (int16_t)(*v > 32767 ? 32767 : *v < -32768 ? -32768 : *v);
        memcpy(pcm + i * 2, &one, 2);
    }
    return pcm;
}

static void written(input *in, int32_t big)
{
    int64_t samples = below(in, 3000), room_ = samples * 5 + 200;
    int32_t block = (int32_t)below(in, DI_FLAC_LONGEST) + 1;
    if (samples > (int64_t)block * 60000)
        return;
    uint8_t *pcm = sound(in, samples), *coded = room(room_ * 20), *back = room(samples * 4);
    int64_t size = di_flac_write(pcm, samples, block, big, coded, room_ * 20);
    HOLDS(size >= 0 && (!samples || di_flac_write(pcm, samples, block, big, coded, size - 1) < 0));
    HOLDS(di_flac_write(pcm, samples, block, big, coded, size) == size);
    HOLDS(di_flac_read(coded, size, big, back, samples * 4) == size);
    HOLDS(!memcmp(pcm, back, (size_t)samples * 4));
    free(pcm), free(coded), free(back);
}

/* What is written reads back; noise behind a lawful header ends inside its buffers. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {data, size};
    int64_t coded = below(&in, 8192) + 8, want = 4 * below(&in, 6000);
    int32_t big = (int32_t)below(&in, 2);
    uint8_t *frames = bytes(&in, coded), *out = room(want);
    if (below(&in, 4)) {
        static const uint8_t channels[4] = {1, 8, 9, 10};
        uint8_t head[6] = {0xFF, 0xF8, (uint8_t)(below(&in, 16) << 4 | 9),
                           (uint8_t)(channels[below(&in, 4)] << 4 | 8), 0, 0};
        memcpy(frames, head, sizeof head);
        frames[coded > 9 ? 6 : 0] = coded > 9 ? (uint8_t)(below(&in, 64) << 1) : 0xFF;
    }
    int64_t taken = di_flac_read(frames, coded, big, out, want);
    HOLDS(taken >= -1 && taken <= coded);
    free(frames), free(out);
    written(&in, big);
    return 0;
}
