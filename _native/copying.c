/* Ranges of one descriptor to another, as far as possible inside the operating system. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* copy_file_range, fallocate */
#endif
#include "kernels.h"
#include "paths.h"

#include <errno.h>
#include <unistd.h>

#ifdef __linux__
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#endif

enum { PIECE = 1 << 18, LARGE = 1 << 17 };
/* Bytes of one system call: between two of them a process can be stopped. */
static const int64_t TURN = (int64_t)1 << 30;

int64_t di_read_all(int fd, int64_t at, int64_t length, uint8_t *buffer)
{
    int64_t done = 0;
    while (done < length) {
        int64_t want = length - done < TURN ? length - done : TURN;
        ssize_t count = pread(fd, buffer + done, (size_t)want, (off_t)(at + done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        if (!count)
            break;
        done += count;
    }
    return done;
}

int64_t di_write_all(int fd, int64_t to, int64_t length, const uint8_t *buffer)
{
    int64_t done = 0;
    while (done < length) {
        int64_t want = length - done < TURN ? length - done : TURN;
        ssize_t count = pwrite(fd, buffer + done, (size_t)want, (off_t)(to + done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        if (!count)
            return -EIO;
        done += count;
    }
    return done;
}

static int64_t copy_by_buffer(int src, int64_t at, int dst, int64_t to, int64_t length,
                              uint8_t *buffer, int64_t room)
{
    int64_t done = 0;
    while (done < length) {
        int64_t want = length - done < room ? length - done : room;
        int64_t got = di_read_all(src, at + done, want, buffer);
        if (got <= 0)
            return got < 0 ? got : done;
        int64_t put = di_write_all(dst, to + done, got, buffer);
        if (put < 0)
            return put;
        done += got;
    }
    return done;
}

/* Errors after which reading and writing may still do: other file systems, pipes, old kernels. */
static int may_fall_back(int error)
{
    return error == EXDEV || error == EINVAL || error == EOPNOTSUPP || error == ENOSYS ||
           error == EPERM || error == ETXTBSY || error == EIO;
}

static int64_t copy_inside(int src, int64_t at, int dst, int64_t to, int64_t length)
{
    int64_t done = 0;
#ifdef __linux__
    while (done < length) {
        int64_t want = length - done < TURN ? length - done : TURN;
        off_t from = (off_t)(at + done), target = (off_t)(to + done);
        ssize_t count = copy_file_range(src, &from, dst, &target, (size_t)want, 0);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return may_fall_back(errno) ? done : -errno;
        if (!count) /* the end, or a file of /proc or /sys, which a read will tell */
            break;
        done += count;
    }
#else
    (void)src, (void)at, (void)dst, (void)to, (void)length;
#endif
    return done;
}

int64_t di_copy_range(int src, int64_t at, int dst, int64_t to, int64_t length)
{
    uint8_t buffer[PIECE];
    int64_t done = copy_inside(src, at, dst, to, length);
    if (done < 0 || done >= length)
        return done;
    int64_t rest = copy_by_buffer(src, at + done, dst, to + done, length - done, buffer, PIECE);
    return rest < 0 ? rest : done + rest;
}

int64_t di_clone_range(int src, int64_t at, int dst, int64_t to, int64_t length)
{
#ifdef FICLONERANGE
    struct file_clone_range range = {src, (uint64_t)at, (uint64_t)length, (uint64_t)to};
    if (length == 0) /* the ioctl takes 0 for "to the end" */
        return 1;
    if (!ioctl(dst, FICLONERANGE, &range))
        return 1;
    if (errno == EOPNOTSUPP || errno == EINVAL || errno == EXDEV || errno == ENOTTY ||
        errno == ENOSYS || errno == EPERM || errno == ETXTBSY || errno == EISDIR)
        return 0;
    return -errno;
#else
    (void)src, (void)at, (void)dst, (void)to, (void)length;
    return 0;
#endif
}

/* Reads rows [row, rows) into the buffer while they touch in the target, are short and have room;
 * rows that touch in the source too are one read. `next` is the first row not read. */
static int64_t fill(int src, const int64_t *at, const int64_t *length, const int64_t *to,
                    int64_t rows, int64_t row, uint8_t *buffer, int64_t room, int64_t *next,
                    int *ended)
{
    int64_t filled = 0;
    do {
        int64_t from = at[row], want = length[row];
        for (row++; row < rows && length[row] < LARGE && from + want == at[row] &&
                    to[row] == to[row - 1] + length[row - 1] &&
                    length[row] <= room - filled - want;
             row++)
            want += length[row];
        int64_t got = di_read_all(src, from, want, buffer + filled);
        if (got < 0)
            return got;
        filled += got;
        *ended = got < want;
    } while (!*ended && row < rows && length[row] < LARGE && length[row] <= room - filled &&
             to[row] == to[row - 1] + length[row - 1]);
    *next = row;
    return filled;
}

int64_t di_copy_runs(int src, const int64_t *at, const int64_t *length, const int64_t *to,
                     int64_t rows, int dst, uint8_t *buffer, int64_t room)
{
    int64_t done = 0, row = 0;
    int ended = 0;
    while (row < rows && !ended) {
        int64_t count, first = row;
        if (length[row] >= LARGE || length[row] > room) {
            count = di_copy_range(src, at[row], dst, to[row], length[row]);
            ended = count >= 0 && count < length[row];
            row++;
        } else {
            count = fill(src, at, length, to, rows, row, buffer, room, &row, &ended);
            if (count > 0)
                count = di_write_all(dst, to[first], count, buffer);
        }
        if (count < 0)
            return count;
        done += count;
    }
    return done;
}

int64_t di_read_runs(int src, const int64_t *at, const int64_t *length, int64_t rows,
                     uint8_t *buffer, int64_t room)
{
    int64_t done = 0, row = 0;
    while (row < rows) {
        int64_t from = at[row], want = length[row];
        for (row++; row < rows && at[row] == from + want; row++)
            want += length[row];
        if (want < 0 || want > room - done)
            break;
        int64_t got = di_read_all(src, from, want, buffer + done);
        if (got < 0)
            return got;
        done += got;
        if (got < want)
            break;
    }
    return done;
}

#ifdef __linux__
static int64_t allocate(int fd, int mode, int64_t at, int64_t length)
{
    if (length == 0)
        return 1;
    while (fallocate(fd, mode, (off_t)at, (off_t)length)) {
        if (errno == EOPNOTSUPP || errno == ENOSYS || errno == ENODEV || errno == ESPIPE)
            return 0;
        if (errno != EINTR)
            return -errno;
    }
    return 1;
}
#endif

int64_t di_punch(int fd, int64_t at, int64_t length)
{
#ifdef __linux__
    return allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, length);
#else
    (void)fd, (void)at, (void)length;
    return 0;
#endif
}

int64_t di_zero_range(int fd, int64_t at, int64_t length)
{
#ifdef __linux__
    return allocate(fd, FALLOC_FL_ZERO_RANGE, at, length);
#else
    (void)fd, (void)at, (void)length;
    return 0;
#endif
}
