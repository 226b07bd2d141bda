/* What the drivers of the kernels share: numbers and buffers out of an input. A driver is one
 * function, LLVMFuzzerTestOneInput, which libFuzzer or random_inputs.c calls. */
#ifndef DISKIMAGE_FUZZ_INPUT_H
#define DISKIMAGE_FUZZ_INPUT_H

#include "kernels.h"
#include "paths.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOLDS(condition)                                                          \
    do {                                                                          \
        if (!(condition)) {                                                       \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);       \
            abort();                                                              \
        }                                                                         \
    } while (0)

typedef struct {
    const uint8_t *data;
    size_t size;
} input;

static inline uint64_t word(input *in)
{
    uint64_t value = 0;
    size_t count = in->size < 8 ? in->size : 8;
    if (count)
        memcpy(&value, in->data, count);
    in->data += count;
    in->size -= count;
    return value;
}

static inline int64_t below(input *in, int64_t limit)
{
    uint64_t value = 0;
    size_t count = in->size < 3 ? in->size : 3;
    if (count)
        memcpy(&value, in->data, count);
    in->data += count;
    in->size -= count;
    return (int64_t)(value % (uint64_t)limit);
}

/* A copy of its own, so that a read past its end is seen. Bytes beyond the input are a pattern. */
static inline uint8_t *bytes(input *in, int64_t size)
{
    uint8_t *copy = malloc(size ? (size_t)size : 1);
    HOLDS(copy);
    for (int64_t i = 0; i < size; i++)
        copy[i] = (uint8_t)(in->size ? in->data[i % (int64_t)in->size] + i / (int64_t)in->size : 0);
    return copy;
}

static inline uint8_t *room(int64_t size)
{
    uint8_t *made = malloc(size ? (size_t)size : 1);
    HOLDS(made);
    memset(made, 0xEE, size ? (size_t)size : 1);
    return made;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
