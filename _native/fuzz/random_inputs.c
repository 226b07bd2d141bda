/* Runs a driver on inputs that are the same every time: random_inputs [seconds] [seed]. */
#include "input.h"

#include <time.h>

static uint64_t state;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

int main(int count, char **words)
{
    static uint8_t data[1 << 16];
    time_t stop = time(0) + (count > 1 ? atoi(words[1]) : 3);
    long runs = 0;
    state = count > 2 ? strtoull(words[2], 0, 0) | 1 : 0x9E3779B97F4A7C15;
    do {
        size_t size = next() % (runs % 8 ? 300 : sizeof data);
        int sparse = next() % 3 == 0;
        for (size_t i = 0; i < size; i++)
            data[i] = sparse && next() % 16 ? (next() % 8 ? 0 : 0xFF) : (uint8_t)next();
        LLVMFuzzerTestOneInput(data, size);
        runs++;
    } while (time(0) < stop);
    printf("%s: %ld inputs\n", words[0], runs);
    return 0;
}
