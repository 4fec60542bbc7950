#include "base/shm.h"

#include "base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NAME_BYTES 64

uint64_t rpi_shm_token(void)
{
    uint64_t token = 0;
    struct timespec now;
    if (getrandom(&token, sizeof token, GRND_NONBLOCK) == (ssize_t)sizeof token)
        return token;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_nsec << 32 ^ (uint64_t)now.tv_sec ^ (uint64_t)getpid() << 20;
}

/* The token is in the name, which every process can see that opens it. */
static void name_of(const struct rpi_shm *segment, char *name)
{
    (void)snprintf(name, NAME_BYTES, "rankpool-%016llx", (unsigned long long)segment->token);
}

/* ---- making */

/* Whether the kernel would give so much to anybody: it says no to what is over all memory, where
 * filling it would end in a kill. */
static bool is_thinkable(uint64_t size)
{
    if (size > PTRDIFF_MAX)
        return false;
    /* cppcheck-suppress invalidFunctionArg ; no file */
    void *place = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                       0);
    if (place == MAP_FAILED)
        return false;
    (void)munmap(place, (size_t)size);
    return true;
}

/* Room whose pages are there already: a lack of memory shows here, not as SIGBUS when they are
 * written. */
static int new_file(const struct rpi_shm *segment)
{
    char name[NAME_BYTES];
    name_of(segment, name);
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -1;
    int status;
    do
        status = fallocate(fd, 0, 0, (off_t)segment->size);
    while (status != 0 && errno == EINTR);
    if (status == 0)
        return fd;
    (void)close(fd);
    return -1;
}

rp_status rpi_shm_make(struct rpi_shm *segment)
{
    segment->data = NULL;
    segment->fd = is_thinkable(segment->size) ? new_file(segment) : -1;
    int flags = segment->fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    void *data = mmap(NULL, (size_t)segment->size, PROT_READ | PROT_WRITE, flags, segment->fd, 0);
    if (data == MAP_FAILED) {
        rpi_shm_free(segment);
        return rpi_error(RP_ERR_NOMEM, "out of memory for %llu bytes of shared data",
                         (unsigned long long)segment->size);
    }
    segment->data = data;
    return RP_OK;
}

#define WRITE_MOST ((uint64_t)1 << 30) /* bytes; the kernel takes less than 2 GiB at once */

static bool write_all(int fd, const uint8_t *data, uint64_t size)
{
    for (uint64_t done = 0; done < size;) {
        uint64_t left = size - done;
        ssize_t written = pwrite(fd, data + done, left < WRITE_MOST ? left : WRITE_MOST,
                                 (off_t)done);
        if (written <= 0 && errno != EINTR)
            return false;
        done += written > 0 ? (uint64_t)written : 0;
    }
    return true;
}

/* Written to the file, not through a mapping: that would cost a page fault for each page, twice the
 * time of all the rest. */
rp_status rpi_shm_copy(struct rpi_shm *segment, const void *data)
{
    segment->data = NULL;
    segment->fd = is_thinkable(segment->size) ? new_file(segment) : -1;
    if (segment->fd >= 0 && write_all(segment->fd, data, segment->size)) {
        segment->data = mmap(NULL, (size_t)segment->size, PROT_READ, MAP_SHARED, segment->fd, 0);
        if (segment->data == MAP_FAILED)
            segment->data = NULL;
    }
    if (!segment->data) {
        rpi_shm_free(segment);
        rp_status status = rpi_shm_make(segment);
        if (status != RP_OK)
            return status;
        memcpy(segment->data, data, (size_t)segment->size);
    }
    rpi_shm_seal(segment);
    return RP_OK;
}

/* The kernel does not seal a file that is mapped for writing.  The read-only mapping takes the same
 * address, so pointers into it stay valid. */
void rpi_shm_seal(struct rpi_shm *segment)
{
    if (segment->fd < 0) {
        (void)mprotect(segment->data, (size_t)segment->size, PROT_READ);
        return;
    }
    void *place = segment->data;
    segment->data = mmap(place, (size_t)segment->size, PROT_READ, MAP_SHARED | MAP_FIXED,
                         segment->fd, 0);
    if (segment->data == MAP_FAILED)
        segment->data = place; /* it stays writable here, which is harmless */
    else
        (void)fcntl(segment->fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK);
}

void rpi_shm_free(struct rpi_shm *segment)
{
    if (segment->data)
        (void)munmap(segment->data, (size_t)segment->size);
    if (segment->fd >= 0)
        (void)close(segment->fd);
    segment->data = NULL;
    segment->fd = -1;
}

/* ---- mapping another process's */

/* The same descriptor number is another file on another host or in another container: only the name
 * tells.  It is read before open(), which may have side effects on a foreign file, and again after
 * it. */
static bool is_it(const struct rpi_shm *segment, const char *path)
{
    char name[NAME_BYTES], wanted[NAME_BYTES + 32], found[NAME_BYTES + 32];
    name_of(segment, name);
    (void)snprintf(wanted, sizeof wanted, "/memfd:%s (deleted)", name);
    ssize_t length = readlink(path, found, sizeof found - 1);
    if (length < 0)
        return false;
    found[length] = '\0';
    return strcmp(found, wanted) == 0;
}

static bool is_whole(const struct rpi_shm *segment, int fd)
{
    char path[NAME_BYTES];
    struct stat about;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return is_it(segment, path) && fstat(fd, &about) == 0 &&
           (uint64_t)about.st_size >= segment->size;
}

bool rpi_shm_map(struct rpi_shm *segment, int64_t pid, int32_t fd, bool keep)
{
    char path[NAME_BYTES];
    void *data = MAP_FAILED;
    if (fd < 0)
        return false;
    (void)snprintf(path, sizeof path, "/proc/%lld/fd/%d", (long long)pid, (int)fd);
    if (!is_it(segment, path))
        return false;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    if (is_whole(segment, file))
        data = mmap(NULL, (size_t)segment->size, PROT_READ, MAP_SHARED, file, 0);
    keep = keep && data != MAP_FAILED;
    if (!keep)
        (void)close(file); /* the mapping keeps it */
    if (data == MAP_FAILED)
        return false;
    segment->data = data;
    if (keep)
        segment->fd = file;
    return true;
}
