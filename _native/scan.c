/* Where bytes are zero, where two buffers differ. Memory is the limit, save straight after a read
 * into a small buffer: there wide registers pay. */
#include "kernels.h"
#include "paths.h"

#include <string.h>

typedef uint64_t vector __attribute__((vector_size(32), aligned(1), may_alias));

enum { STRIDE = 4 * sizeof(vector) };

DI_INLINE int64_t nonzero(const uint8_t *data, int64_t size, int64_t start)
{
    int64_t at = start;
    for (; size - at >= STRIDE; at += STRIDE) {
        const vector *v = (const vector *)(const void *)(data + at);
        vector any = (v[0] | v[1]) | (v[2] | v[3]);
        if (any[0] | any[1] | any[2] | any[3])
            break;
    }
    while (at < size && !data[at])
        at++;
    return at;
}

int64_t di_nonzero_portable(const uint8_t *data, int64_t size, int64_t start)
{
    return nonzero(data, size, start);
}

#if DI_X86
DI_TARGET("avx2") int64_t di_nonzero_avx2(const uint8_t *data, int64_t size, int64_t start)
{
    return nonzero(data, size, start);
}
#endif

int64_t di_first_nonzero(const uint8_t *data, int64_t size, int64_t start)
{
    return di_select()->nonzero(data, size, start);
}

void di_zero_blocks(const uint8_t *data, int64_t size, int64_t block, uint8_t *flags)
{
    di_nonzero_path *path = di_select()->nonzero;
    for (int64_t at = 0; at < size; at += block) {
        int64_t length = size - at < block ? size - at : block;
        *flags++ = path(data + at, length, 0) == length;
    }
}

void di_filled_blocks(const uint8_t *data, int64_t size, int64_t block, uint8_t *flags)
{
    for (int64_t at = 0; at < size; at += block)
        *flags++ = !memcmp(data + at, data + at + 4, (size_t)block - 4);
}

void di_differing_blocks(const uint8_t *a, const uint8_t *b, int64_t size, int64_t block,
                         uint8_t *flags)
{
    for (int64_t at = 0; at < size; at += block) {
        int64_t length = size - at < block ? size - at : block;
        *flags++ = memcmp(a + at, b + at, (size_t)length) != 0;
    }
}
