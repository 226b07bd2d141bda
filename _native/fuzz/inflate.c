#include "input.h"

enum { CODED = 6000, ROOM = 40000 };

/* Any bytes decode inside their buffers, and in two pieces as in one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {data, size};
    int64_t coded = 1 + below(&in, CODED), wanted = 320 + below(&in, ROOM), cut = below(&in, coded);
    int64_t border = below(&in, 2) ? below(&in, ROOM) : INT64_MAX;
    int64_t whole[2] = {0, 0}, parts[2] = {0, 0};
    uint32_t *memory = calloc(1, (size_t)di_inflate_state());
    uint32_t *again = calloc(1, (size_t)di_inflate_state());
    uint8_t *codes = bytes(&in, coded), *out = room(wanted), *same = room(wanted);
    uint8_t *head = bytes(&in, cut);
    memcpy(head, codes, (size_t)cut);
    HOLDS(memory && again);
    int32_t told = di_inflate(codes, coded, out, wanted, 0, border, whole, memory);
    HOLDS(told >= -2 && told <= 3 && whole[0] >= 0 && whole[0] <= 8 * coded && whole[1] <= wanted);
    int32_t first = di_inflate(head, cut, same, wanted, 0, border, parts, again);
    HOLDS(parts[0] <= 8 * cut && parts[1] <= wanted);
    if (first == 0)
        first = di_inflate(codes, coded, same, wanted, 0, border, parts, again);
    if (told >= 0) {
        HOLDS(first == told && parts[0] == whole[0] && parts[1] == whole[1]);
        HOLDS(!memcmp(out, same, (size_t)whole[1]));
    }
    free(codes), free(head), free(out), free(same), free(memory), free(again);
    return 0;
}
