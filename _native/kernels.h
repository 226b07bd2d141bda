/* The contract of the kernels.
 *
 * Buffers, columns and descriptors are the caller's; nothing is allocated here and nothing kept
 * between calls, save constants that are made once under pthread_once. Every function may run in
 * many threads at once. Pointers to bytes need no alignment, columns that of int64_t, and a pointer
 * may be null only where its length is 0 or where it says so. Buffers of one call must not overlap
 * unless it says so. Lengths are below 2^62. Functions that call the operating system answer a
 * count, or -errno. Each has a twin in diskimage/reference, named as here less "di_".
 */
#ifndef DISKIMAGE_KERNELS_H
#define DISKIMAGE_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* ---- scan.c ---- */

/* The first position at or after `start` (0..size) whose byte is not zero; `size` where none is. */
int64_t di_first_nonzero(const uint8_t *data, int64_t size, int64_t start);
/* One byte a block, the last of which may be short: 1 where all of it is zero. block > 0. */
void di_zero_blocks(const uint8_t *data, int64_t size, int64_t block, uint8_t *flags);
/* One byte a block: 1 where it repeats its first four bytes. size is a multiple of block, which is
 * 4 or more. */
void di_filled_blocks(const uint8_t *data, int64_t size, int64_t block, uint8_t *flags);
/* One byte a block: 1 where `a` and `b` differ. They may overlap. block > 0. */
void di_differing_blocks(const uint8_t *a, const uint8_t *b, int64_t size, int64_t block,
                         uint8_t *flags);

/* ---- copying.c ---- */

/* Bytes copied, fewer than `length` only where the source ends. Ranges of one file must not
 * overlap. */
int64_t di_copy_range(int src, int64_t at, int dst, int64_t to, int64_t length);
/* 1 where the blocks are now shared, 0 where they cannot be. */
int64_t di_clone_range(int src, int64_t at, int dst, int64_t to, int64_t length);
/* Bytes copied of `rows` ranges in turn; stops where the source ends. room > 0. */
int64_t di_copy_runs(int src, const int64_t *at, const int64_t *length, const int64_t *to,
                     int64_t rows, int dst, uint8_t *buffer, int64_t room);
/* Bytes read into `buffer`, row behind row; stops where the source ends or a row has no room. */
int64_t di_read_runs(int src, const int64_t *at, const int64_t *length, int64_t rows,
                     uint8_t *buffer, int64_t room);
/* 1 where [at, at + length) is now a hole, 0 where that cannot be. */
int64_t di_punch(int fd, int64_t at, int64_t length);
/* 1 where [at, at + length) now reads as zeros and has space, 0 where that cannot be. */
int64_t di_zero_range(int fd, int64_t at, int64_t length);

/* ---- crc.c, ecc.c, frames.c: frames of 2352 bytes, `pitch` apart, less their first `base` ---- */

uint32_t di_edc(const uint8_t *data, int64_t size, uint32_t value);
/* Writes P and Q parity. mode is 1 or 2. */
void di_ecc(uint8_t *frame, int32_t mode);
/* Bytes changed, or -1 and the frame as it was. */
int32_t di_repair(uint8_t *frame, int32_t mode);
/* Frames done; `fault` is that of the next. `frames` ends with the last frame's bytes 0..2351 or
 * its pitch, whichever is less; `out` has 2048 bytes a frame. flags: 1 sync, 2 header, 4 EDC, 8
 * form. */
int64_t di_cook(const uint8_t *frames, int64_t count, int64_t pitch, int64_t base, int32_t mode,
                int32_t flags, uint8_t *out, int32_t *fault);
/* A byte a frame: 1 where di_make around its user data, with the subheader 0 0 8 0, gives other
 * bytes than those stored. flags: 4 where the EDC is known to hold. base is 0 in mode 1, pitch at
 * least 2076 - base; parity is compared where all of it is stored. */
void di_odd(const uint8_t *frames, int64_t count, int64_t pitch, int64_t base, int32_t mode,
            int64_t lba, int32_t flags, uint8_t *odd);
/* di_cook from descriptor to descriptor; room >= pitch + 2048. `odd`, where not null, has `count`
 * bytes and is filled by di_odd for the frames done. */
int64_t di_cook_file(int src, int64_t at, int64_t pitch, int64_t base, int32_t mode, int64_t count,
                     int dst, int64_t to, int32_t flags, uint8_t *buffer, int64_t room,
                     int64_t lba, uint8_t *odd, int32_t *fault);
/* One byte a frame: 1 sync, 2 mode, 4 subheader, 8 EDC, 16 P, 32 Q, 64 form 2. */
void di_check(const uint8_t *frames, int64_t count, int64_t pitch, int64_t base, int32_t mode,
              uint8_t *status);
/* Builds `count` frames around 2048 bytes each; `subheader` has four bytes; minutes modulo 100. */
void di_make(const uint8_t *user, int64_t count, int32_t mode, int64_t lba,
             const uint8_t *subheader, uint8_t *out);
/* In place, `count` frames of 2352 bytes. */
void di_scramble(uint8_t *frames, int64_t count);
/* `size` bytes into `out`: `take` at `skip` of every `pitch` of `src`. */
void di_gather(const uint8_t *src, int64_t pitch, int64_t skip, int64_t take, uint8_t *out,
               int64_t size);
/* `size` bytes of `src` to `take` bytes at `skip` of every `pitch` of `out`. */
void di_scatter(const uint8_t *src, int64_t size, int64_t pitch, int64_t skip, int64_t take,
                uint8_t *out);
/* size is even; `out` may be `data`. */
void di_swap16(const uint8_t *data, int64_t size, uint8_t *out);

/* ---- digests.c, md5.c, sha256.c: algorithm 0 is MD5, 1 SHA-256 ---- */

/* The digest of each block behind that of the one before; path -1 is the selected one. block
 * > 0. */
void di_digest_blocks(int32_t algorithm, int32_t path, const uint8_t *data, int64_t size,
                      int64_t block, uint8_t *out);
int32_t di_digest_paths(int32_t algorithm);
const char *di_digest_path_name(int32_t algorithm, int32_t path);
/* 2 selected, 1 available, 0 the processor lacks it, -1 failed its self-test. */
int32_t di_digest_path_state(int32_t algorithm, int32_t path);

/* ---- subchannel.c: 96 bytes a frame; packed has 12 bytes of each channel P to W in turn ---- */

enum { DI_SUB = 96 };
void di_sub_interleave(const uint8_t *packed, int64_t count, uint8_t *out);
void di_sub_pack(const uint8_t *interleaved, int64_t count, uint8_t *out);
/* One byte a frame: 1 where the CRC of its 12 bytes of Q, `pitch` apart, is wrong. */
void di_q_check(const uint8_t *q, int64_t count, int64_t pitch, uint8_t *wrong);
/* Writes the CRC of each frame's Q. */
void di_q_seal(uint8_t *q, int64_t count, int64_t pitch);

/* ---- lrw.c ---- */

/* `count` blocks of 16 bytes from block `number` on, each under its tweak: the sum of those of 64
 * `powers` (blocks too) that its number's bits name. `out` may be `data`. number + count < 2^64. */
void di_lrw_mask(const uint8_t *data, int64_t count, const uint8_t *powers, uint64_t number,
                 uint8_t *out);

/* ---- xts.c ---- */

/* `units` of `blocks` blocks of 16 bytes, each block under its unit's tweak (16 bytes of `tweaks`)
 * times x to its number in the unit, as IEEE 1619 has it. `out` may be `data`. */
void di_xts_mask(const uint8_t *data, int64_t units, int64_t blocks, const uint8_t *tweaks,
                 uint8_t *out);

/* ---- columns.c ---- */

/* Columns of runs; `stored` and `skip` may be null. With take > 0, DATA is records. */
typedef struct {
    int64_t *start;
    int64_t *length;
    int64_t *at;
    uint8_t *kind;
    int64_t *stored;
    int64_t *skip;
    int64_t rows;
    int64_t take;
    int64_t pitch;
} di_columns;

/* The first row that breaks a rule and in `broken` which, or -1 and 0. Values may be anything. */
int64_t di_guard(const di_columns *runs, int64_t first, int64_t stop, int64_t size,
                 int32_t *broken);
/* Rows left, in place, after joining neighbours. */
int64_t di_coalesce(const di_columns *runs);
void di_shift(int64_t *values, int64_t rows, int64_t by);
/* Adds to totals[kind] and sets seen[kind], 256 of each. */
void di_count_by_kind(const int64_t *length, const uint8_t *kind, int64_t rows, int64_t *totals,
                      uint8_t *seen);

/* ---- tables.c ---- */

typedef struct {
    uint64_t mask;
    uint64_t value;
    int32_t kind;
} di_match;

/* As `Rule` in diskimage/reference/tables.py; coded is one bit or 0. */
typedef struct {
    int32_t width;
    int32_t big_endian;
    int32_t matches;
    int32_t shift;
    int32_t coded_split;
    di_match match[4];
    uint64_t mask;
    int64_t scale;
    int64_t base;
    int64_t align;
    uint64_t reserved;
    uint64_t coded;
    int64_t clip;
} di_rule;

/* Fills `runs` (rows: its room; stored present) and counts[0] rows, counts[1] entries taken.
 * Answers what is wrong with the next entry: 1 reserved, 2 align, 3 range, 4 subclusters, 0
 * nothing. */
int32_t di_table_runs(const di_rule *rule, const uint8_t *table, int64_t entries,
                      int64_t first_block, int64_t block, int64_t size, const di_columns *runs,
                      int64_t *counts);

/* ---- crc.c ---- */

uint32_t di_crc32c(const uint8_t *data, int64_t size, uint32_t value);

/* ---- chd.c ---- */

/* CRC-16 of polynomial 0x1021, the highest bit first, continued from `value`. */
uint32_t di_crc16(const uint8_t *data, int64_t size, uint32_t value);

#define DI_CHD_ROW 12 /* of an expanded map: type, length 3, place 6, CRC-16 2, big-endian */

/* Of a map of CHD version 5: bytes and units of a hunk, where the first stored one lies, and the
 * bits of fields: lengths at most 24, the others 48. */
typedef struct {
    int64_t hunk;
    int64_t hunk_units;
    int64_t first;
    int32_t length_bits;
    int32_t self_bits;
    int32_t parent_bits;
} di_chd;

/* Rows made, of types 0 to 6; fewer than `hunks` where the bits end or mean nothing. */
int64_t di_chd_map_read(const uint8_t *data, int64_t size, const di_chd *how, int64_t hunks,
                        uint8_t *out);
/* Bytes written, -1 where `room` is too little. Types are 0 to 5; places of stored rows follow
 * from their lengths. */
int64_t di_chd_map_write(const uint8_t *map, int64_t hunks, const di_chd *how, uint8_t *out,
                         int64_t room);
/* Bytes decoded, fewer than `want` where the codes end or mean nothing. */
int64_t di_huffman_read(const uint8_t *coded, int64_t size, uint8_t *out, int64_t want);
/* Frames of 2352 bytes and 96 of subchannel behind each other in `out`. A frame marked (a bit each,
 * the lowest first; null: none) gets sync and parity made. */
void di_cd_join(const uint8_t *main, const uint8_t *sub, int64_t frames, const uint8_t *marked,
                uint8_t *out);
/* The inverse: frames whose sync and parity can be made again are marked and lose them. */
void di_cd_split(const uint8_t *units, int64_t frames, uint8_t *main, uint8_t *sub,
                 uint8_t *marked);

/* ---- flac.c, flac_write.c ---- */

#define DI_FLAC_LONGEST 4608 /* samples of a frame, as in the format's streamable subset */

/* Bytes of whole frames that `want` bytes of 16-bit stereo came from, or -1. Sums are not held. */
int64_t di_flac_read(const uint8_t *coded, int64_t size, int32_t big_endian, uint8_t *out,
                     int64_t want);
/* Bytes written, -1 where `room` is too little: frames of `block` (1 to 4608) samples, the last
 * shorter; at most 65536 of them. */
int64_t di_flac_write(const uint8_t *pcm, int64_t samples, int32_t block, int32_t big_endian,
                      uint8_t *out, int64_t room);

/* ---- adc.c ---- */

/* Bytes decoded: `want`, or fewer where `coded` ends before; -1 where a copy begins before the
 * first byte, or a code is cut or gives more than `want`. What follows `want` bytes is ignored. */
int64_t di_adc_read(const uint8_t *coded, int64_t size, uint8_t *out, int64_t want);

/* ---- inflate.c ---- */

/* Bytes of memory that di_inflate keeps the tables of a block in, of the caller's. */
int64_t di_inflate_state(void);
/* Decodes raw deflate from bit place[0] of `coded` to byte place[1] of `out`, and moves both on.
 * out[first..place[1]) is what the stream gave before, 32 KiB of it or all. `memory` has
 * di_inflate_state bytes, zero where a stream begins or goes on at a border. Answers 0 where
 * `coded` ends first (go on with the rest of it and more), 1 where fewer than 320 bytes of `room`
 * are left, 2 where a block begins and place[1] >= border, 3 where the stream has ended, -1 for
 * what is no deflate, -2 for a copy from before `first`. Bytes of `out` from place[1] on may be
 * changed. */
int32_t di_inflate(const uint8_t *coded, int64_t size, uint8_t *out, int64_t room, int64_t first,
                   int64_t border, int64_t *place, uint32_t *memory);

/* ---- dispatch.c ---- */

/* The implementations of EDC, ECC, scans and CRC-32C, numbered from 0; names null past the last. */
const char *di_path_name(int32_t path);
/* As di_digest_path_state. */
int32_t di_path_state(int32_t path);

#endif
