/* Digests of each block of a buffer. Blocks are messages of their own, so that as many as a path
 * has lanes are hashed side by side, padding among them. */
#include "kernels.h"
#include "paths.h"

#include <pthread.h>
#include <string.h>

enum { MOST_LANES = 32, PIECE = 64, MOST_PATHS = 5 };

/* Best first. MD5's and SHA-256's rates a core were measured against OpenSSL's in the project's
 * benchmark of kernels. `worth` is about lanes times the rate of one message on the path after it
 * over that of all lanes here. */
static const di_digest_path md5_paths[MOST_PATHS] = {
#if DI_X86
    {"avx512 x32", DI_AVX512, 32, 17, di_md5_avx512_32},
    {"avx512 x16", DI_AVX512, 16, 2, di_md5_avx512},
    {"avx2 x16", DI_AVX2, 16, 9, di_md5_avx2_16},
    {"avx2 x8", DI_AVX2, 8, 2, di_md5_avx2},
#endif
    {"portable", 0, 1, 1, di_md5_portable},
};
static const di_digest_path sha256_paths[MOST_PATHS] = {
#if DI_X86
    {"sha-ni x2", DI_SHA, 2, 1, di_sha256_ni},
    {"avx512 x16", DI_AVX512, 16, 3, di_sha256_avx512},
    {"avx2 x8", DI_AVX2, 8, 3, di_sha256_avx2},
#endif
    {"portable", 0, 1, 1, di_sha256_portable},
};

typedef struct {
    const di_digest_path *paths;
    int words; /* of a digest and of the state */
    int big_endian;
    uint32_t start[8];
} algorithm;

static const algorithm algorithms[2] = {
    {md5_paths, 4, 0, {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}},
    {sha256_paths,
     8,
     1,
     {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab,
      0x5be0cd19}},
};

static int32_t states[2][MOST_PATHS];
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Writes what stands after a message's whole pieces: its last bytes, a one bit, zeros, its length
 * in bits. Answers the number of pieces, 1 or 2. */
static int pad(const algorithm *a, const uint8_t *rest, int64_t length, uint8_t *out)
{
    int size = (int)(length % PIECE), pieces = size < PIECE - 8 ? 1 : 2;
    uint64_t bits = (uint64_t)length * 8;
    memset(out, 0, (size_t)(2 * PIECE));
    if (size)
        memcpy(out, rest, (size_t)size);
    out[size] = 0x80;
    for (int i = 0; i < 8; i++)
        out[pieces * PIECE - 8 + i] = (uint8_t)(bits >> (a->big_endian ? 56 - 8 * i : 8 * i));
    return pieces;
}

static void put_words(const algorithm *a, const uint32_t *state, uint8_t *out)
{
    for (int i = 0; i < 4 * a->words; i++) {
        int shift = a->big_endian ? 24 - 8 * (i % 4) : 8 * (i % 4);
        out[i] = (uint8_t)(state[i / 4] >> shift);
    }
}

/* `count` messages of `length` bytes, `step` apart, at most as many as the path has lanes. Lanes
 * without a message repeat the last. */
static void group(const algorithm *a, const di_digest_path *path, const uint8_t *data, int count,
                  int64_t length, int64_t step, uint8_t *out)
{
    uint32_t state[MOST_LANES][8], *states_of[MOST_LANES];
    uint8_t ends[MOST_LANES][2 * PIECE];
    const uint8_t *from[MOST_LANES], *end_of[MOST_LANES];
    int pieces = 0;
    for (int lane = 0; lane < path->lanes; lane++) {
        int message = lane < count ? lane : count - 1;
        memcpy(state[lane], a->start, sizeof state[lane]);
        states_of[lane] = state[lane];
        from[lane] = data + message * step;
        pieces = pad(a, from[lane] + length / PIECE * PIECE, length, ends[lane]);
        end_of[lane] = ends[lane];
    }
    path->compress(states_of, from, length / PIECE);
    path->compress(states_of, end_of, pieces);
    for (int lane = 0; lane < count; lane++)
        put_words(a, state[lane], out + lane * 4 * a->words);
}

/* The first usable path from `path` on that is worth it for so many messages. */
static int path_for(const algorithm *a, const int32_t *usable, int64_t messages)
{
    int path = 0;
    while (a->paths[path].lanes > 1 && (usable[path] <= 0 || messages < a->paths[path].worth))
        path++;
    return path;
}

static void blocks(const algorithm *a, const int32_t *usable, int forced, const uint8_t *data,
                   int64_t size, int64_t block, uint8_t *out)
{
    int64_t whole = size / block, rest = size % block;
    while (whole > 0) {
        const di_digest_path *path = &a->paths[forced < 0 ? path_for(a, usable, whole) : forced];
        int count = whole < path->lanes ? (int)whole : path->lanes;
        group(a, path, data, count, block, block, out);
        data += count * block;
        out += count * 4 * a->words;
        whole -= count;
    }
    if (rest) {
        int path = forced < 0 ? path_for(a, usable, 1) : forced;
        group(a, &a->paths[path], data, 1, rest, 0, out);
    }
}

static int path_count(const algorithm *a)
{
    int count = 1;
    while (a->paths[count - 1].lanes > 1)
        count++;
    return count;
}

static int test(const algorithm *a, int path)
{
    uint8_t data[37 * 131], ours[37 * 32] = {0}, judge[37 * 32] = {0};
    int portable = path_count(a) - 1;
    di_test_bytes(data, sizeof data);
    for (int64_t block = 1; block < 600; block += block < 131 ? 13 : 57) {
        int64_t size = block < 131 ? 37 * block - (block > 1) : (int64_t)sizeof data;
        blocks(a, 0, path, data, size, block, ours);
        blocks(a, 0, portable, data, size, block, judge);
        if (memcmp(ours, judge, sizeof ours))
            return 0;
    }
    return 1;
}

static void prepare(void)
{
    uint32_t features = di_features();
    for (int i = 0; i < 2; i++) {
        const algorithm *a = &algorithms[i];
        int found = 0;
        for (int path = 0; path < path_count(a); path++) {
            int able = (features & a->paths[path].needs) == a->paths[path].needs;
            int good = able && (a->paths[path].lanes == 1 || test(a, path));
            states[i][path] = !able ? DI_LACKS : !good ? DI_FAILED
                            : found ? DI_AVAILABLE : DI_SELECTED;
            found |= good;
        }
    }
}

static const algorithm *known(int32_t number)
{
    return number == 0 || number == 1 ? &algorithms[number] : 0;
}

int32_t di_digest_paths(int32_t number)
{
    const algorithm *a = known(number);
    return a ? path_count(a) : 0;
}

const char *di_digest_path_name(int32_t number, int32_t path)
{
    return path >= 0 && path < di_digest_paths(number) ? algorithms[number].paths[path].name : 0;
}

int32_t di_digest_path_state(int32_t number, int32_t path)
{
    pthread_once(&once, prepare);
    return path >= 0 && path < di_digest_paths(number) ? states[number][path] : DI_LACKS;
}

void di_digest_blocks(int32_t number, int32_t path, const uint8_t *data, int64_t size,
                      int64_t block, uint8_t *out)
{
    const algorithm *a = known(number);
    pthread_once(&once, prepare);
    if (!a || path >= path_count(a) || (path >= 0 && states[number][path] <= 0))
        return;
    blocks(a, states[number], path, data, size, block, out);
}
