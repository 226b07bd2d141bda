/* Which implementation of a kernel runs: the first whose needs the processor meets and whose
 * answers in a self-test are those of the portable one. */
#include "kernels.h"
#include "paths.h"

#include <pthread.h>
#include <string.h>

#if DI_X86
#include <cpuid.h>

static uint64_t enabled_registers(void)
{
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

uint32_t di_features(void)
{
    enum { OSXSAVE = 1 << 27, YMM = 0x6, ZMM = 0xE6 };
    const uint32_t avx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31; /* F DQ BW VL */
    uint32_t a, b, c, d, b7 = 0, found = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d))
        return 0;
    uint64_t enabled = c & OSXSAVE ? enabled_registers() : 0;
    if (c & bit_PCLMUL && c & bit_SSE4_1)
        found |= DI_CARRYLESS;
    if (__get_cpuid_count(7, 0, &a, &b7, &c, &d)) {
        if (b7 & 1u << 5 && (enabled & YMM) == YMM)
            found |= DI_AVX2;
        if ((b7 & avx512) == avx512 && (enabled & ZMM) == ZMM)
            found |= DI_AVX512;
        if (b7 & 1u << 29 && found & DI_CARRYLESS)
            found |= DI_SHA;
    }
    return found;
}
#elif DI_ARM
#include <sys/auxv.h>

uint32_t di_features(void)
{
    enum { HAS_PMULL = 1 << 4 }; /* Linux, arch/arm64 elf_hwcaps */
    return getauxval(AT_HWCAP) & HAS_PMULL ? DI_CARRYLESS : 0;
}
#else
uint32_t di_features(void)
{
    return 0;
}
#endif

enum { TESTED = 4099 };

static di_selected selected = {di_crc_portable, di_parity_portable, di_nonzero_portable};

/* Bytes without a pattern that a kernel could be right about by accident (a 64-bit xorshift). */
void di_test_bytes(uint8_t *out, int64_t size)
{
    uint64_t state = 0x9E3779B97F4A7C15;
    for (int64_t i = 0; i < size; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out[i] = (uint8_t)(state >> 56);
    }
}

#if DI_X86 || DI_ARM
static int test_crc(void)
{
    uint8_t data[TESTED];
    di_test_bytes(data, TESTED);
    for (int size = 0; size < TESTED; size += size < 300 ? 1 : 379) {
        for (int i = 0; i < 2; i++) {
            const di_crc *crc = i ? &di_crc_edc : &di_crc_castagnoli;
            const uint8_t *from = data + size % 3;
            int64_t length = size < TESTED - 3 ? size : TESTED - 3;
            if (di_crc_folded(crc, from, length, 7) != di_crc_portable(crc, from, length, 7))
                return 0;
        }
    }
    return 1;
}

static void use_crc(void)
{
    selected.crc = di_crc_folded;
}
#endif

#if DI_X86
static int test_parity(void)
{
    uint8_t data[43 * 96], one[4][96] = {{0}};
    const uint8_t *rows[43];
    di_test_bytes(data, sizeof data);
    for (int t = 0; t < 43; t++)
        rows[t] = data + 96 * t;
    di_parity_portable(rows, 43, 96, one[0], one[1]);
    di_parity_avx2(rows, 43, 96, one[2], one[3]);
    return !memcmp(one[0], one[2], 2 * 96);
}

static void use_parity(void)
{
    selected.parity = di_parity_avx2;
}

static int test_nonzero(void)
{
    uint8_t data[600] = {0};
    for (int at = 0; at < 600; at += 7) {
        data[at] = 0x80;
        for (int start = 0; start < 64; start += 3)
            if (di_nonzero_avx2(data, 600, start) != di_nonzero_portable(data, 600, start))
                return 0;
        data[at] = 0;
    }
    return di_nonzero_avx2(data, 600, 1) == 600;
}

static void use_nonzero(void)
{
    selected.nonzero = di_nonzero_avx2;
}
#endif

enum { CRC, PARITY, SCAN, KERNELS };

/* Best first; the portable path, which is the judge, has neither test nor use. */
static struct {
    const char *name;
    int kernel;
    uint32_t needs;
    int (*test)(void);
    void (*use)(void);
    int32_t state;
} paths[] = {
#if DI_X86
    {"crc pclmul", CRC, DI_CARRYLESS, test_crc, use_crc, 0},
    {"parity avx2", PARITY, DI_AVX2, test_parity, use_parity, 0},
    {"scan avx2", SCAN, DI_AVX2, test_nonzero, use_nonzero, 0},
#elif DI_ARM
    {"crc pmull", CRC, DI_CARRYLESS, test_crc, use_crc, 0},
#endif
    {"crc portable", CRC, 0, 0, 0, 0},
    {"parity portable", PARITY, 0, 0, 0, 0},
    {"scan portable", SCAN, 0, 0, 0, 0},
};
enum { PATHS = sizeof paths / sizeof *paths };

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void prepare(void)
{
    uint32_t features = di_features();
    int found[KERNELS] = {0};
    di_crc_prepare();
    di_parity_prepare();
    for (int i = 0; i < PATHS; i++) {
        int able = (features & paths[i].needs) == paths[i].needs;
        int good = able && (!paths[i].test || paths[i].test());
        int first = good && !found[paths[i].kernel];
        paths[i].state = !able ? DI_LACKS : !good ? DI_FAILED : first ? DI_SELECTED : DI_AVAILABLE;
        found[paths[i].kernel] |= good;
        if (first && paths[i].use)
            paths[i].use();
    }
}

const di_selected *di_select(void)
{
    pthread_once(&once, prepare);
    return &selected;
}

const char *di_path_name(int32_t path)
{
    return path >= 0 && path < PATHS ? paths[path].name : 0;
}

int32_t di_path_state(int32_t path)
{
    di_select();
    return path >= 0 && path < PATHS ? paths[path].state : DI_LACKS;
}
