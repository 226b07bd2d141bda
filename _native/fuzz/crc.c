#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {data, size};
    uint32_t value = (uint32_t)word(&in);
    int64_t length = (int64_t)in.size, cut = below(&in, length + 1);
    uint8_t *a = bytes(&in, length);
    di_select();
    uint32_t edc = di_crc_portable(&di_crc_edc, a, length, value);
    HOLDS(di_edc(a, length, value) == edc);
    HOLDS(di_edc(a + cut, length - cut, di_edc(a, cut, value)) == edc);
    uint32_t crc = di_crc32c(a, length, value);
    HOLDS(~di_crc_portable(&di_crc_castagnoli, a, length, ~value) == crc);
    free(a);
    return 0;
}
