/* Several implementations of a kernel, of which one is selected at run time. Not part of the
 * contract. A path is selected when the processor has what it needs and its answers in a self-test
 * equal the portable path's. */
#ifndef DISKIMAGE_PATHS_H
#define DISKIMAGE_PATHS_H

#include <stdint.h>

#define DI_X86 0
#define DI_ARM 0
#if defined(__x86_64__) && !defined(DISKIMAGE_PORTABLE)
#undef DI_X86
#define DI_X86 1
#elif defined(__aarch64__) && defined(__ARM_NEON) && defined(__AARCH64EL__) && \
    !defined(__clang__) && !defined(DISKIMAGE_PORTABLE)
#undef DI_ARM /* clang names the features of functions otherwise from version to version */
#define DI_ARM 1
#endif
#define DI_TARGET(features) __attribute__((target(features)))

#define DI_INLINE static inline __attribute__((always_inline))

enum { DI_FAILED = -1, DI_LACKS = 0, DI_AVAILABLE = 1, DI_SELECTED = 2 };

/* Feature bits of this processor that the operating system lets a program use. */
enum {
    DI_CARRYLESS = 1, /* PCLMUL and SSE4.1, or PMULL */
    DI_AVX2 = 2,
    DI_AVX512 = 4, /* F, BW, DQ and VL */
    DI_SHA = 8,
};
uint32_t di_features(void);
void di_test_bytes(uint8_t *out, int64_t size);

/* ---- reflected 32-bit CRCs, crc.c ---- */

typedef struct {
    uint32_t slice[16][256]; /* slice[n][b]: the CRC of byte b followed by n zero bytes */
    uint64_t fold[2][2];     /* by 512 and by 128 bits: for the low and the high word */
} di_crc;
typedef uint32_t di_crc_path(const di_crc *crc, const uint8_t *data, int64_t size, uint32_t value);
di_crc_path di_crc_portable, di_crc_folded;
extern di_crc di_crc_edc, di_crc_castagnoli;
void di_crc_prepare(void);

/* ---- Reed-Solomon parity of frames, ecc.c ---- */

/* Both parity bytes of `width` (64 or 96) codewords side by side, of which row t holds byte t. */
typedef void di_parity_path(const uint8_t *const *rows, int count, int width, uint8_t *p0,
                            uint8_t *p1);
di_parity_path di_parity_portable, di_parity_avx2;
void di_parity_prepare(void);

/* ---- scans, scan.c ---- */

typedef int64_t di_nonzero_path(const uint8_t *data, int64_t size, int64_t start);
di_nonzero_path di_nonzero_portable, di_nonzero_avx2;

/* ---- what is selected, dispatch.c ---- */

typedef struct {
    di_crc_path *crc;
    di_parity_path *parity;
    di_nonzero_path *nonzero;
} di_selected;
const di_selected *di_select(void);

/* ---- frames, between frames.c and ecc.c ---- */

enum { DI_RAW = 2352, DI_USER = 2048, DI_P_AT = 2076, DI_Q_AT = 2248 };
extern const uint8_t di_sync[12];
/* The parity of `frame`, whose header has to be zero in mode 2, by the parity it holds itself. */
void di_parity_p(const uint8_t *frame, uint8_t parity[172]);
void di_parity_q(const uint8_t *frame, uint8_t parity[104]);

/* ---- input and output, copying.c ---- */

/* Bytes read until the end of the source, or -errno. */
int64_t di_read_all(int fd, int64_t at, int64_t length, uint8_t *buffer);
/* `length`, or -errno. */
int64_t di_write_all(int fd, int64_t to, int64_t length, const uint8_t *buffer);

/* ---- digests of many blocks side by side, digests.c ---- */

/* Compresses `count` pieces of 64 bytes of each of `lanes` messages into `state`, lane
 * after lane. */
typedef void di_lanes_path(uint32_t *const *state, const uint8_t *const *data, int64_t count);

typedef struct {
    const char *name;
    uint32_t needs;
    int lanes;
    int worth; /* fewer messages than this go to the path after it */
    di_lanes_path *compress;
} di_digest_path;

di_lanes_path di_md5_portable, di_md5_avx2, di_md5_avx2_16, di_md5_avx512, di_md5_avx512_32;
di_lanes_path di_sha256_portable, di_sha256_ni, di_sha256_avx2, di_sha256_avx512;

#endif
