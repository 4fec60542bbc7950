#include "exec/mailbox.h"

#include "base/status.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* a third for the report: a result of 4 GiB, and as much of spawned tasks */
#define MOST  ((uint64_t)24 << 30)
#define LEAST ((uint64_t)16 << 20)
#define LARGE ((size_t)1 << 20) /* more than that is given back after use */
#define STEP  ((size_t)64 << 20)

/* ---- the line */

static uint64_t ends_of(uint32_t given, uint32_t begun)
{
    return (uint64_t)given << 32 | begun;
}

uint32_t rpi_mailbox_given(const struct rpi_mailbox *mailbox)
{
    return (uint32_t)(atomic_load(&mailbox->ends) >> 32);
}

uint32_t rpi_mailbox_begun(const struct rpi_mailbox *mailbox)
{
    return (uint32_t)atomic_load(&mailbox->ends);
}

bool rpi_mailbox_is_done(const struct rpi_mailbox *mailbox, uint32_t number)
{
    return !rpi_mailbox_is_after(number, atomic_load(&mailbox->done));
}

void rpi_mailbox_set(struct rpi_mailbox *mailbox, uint32_t given, uint32_t begun)
{
    atomic_store(&mailbox->ends, ends_of(given, begun));
}

bool rpi_mailbox_begin(struct rpi_mailbox *mailbox, uint32_t *number)
{
    uint64_t ends = atomic_load(&mailbox->ends);
    uint32_t given, begun;
    do {
        given = (uint32_t)(ends >> 32);
        begun = (uint32_t)ends;
        if (given == begun)
            return false;
    } while (!atomic_compare_exchange_weak(&mailbox->ends, &ends, ends_of(given, begun + 1)));
    *number = begun + 1;
    return true;
}

uint32_t rpi_mailbox_withdraw(struct rpi_mailbox *mailbox, uint32_t kept)
{
    uint64_t ends = atomic_load(&mailbox->ends);
    uint32_t given, begun, last;
    do {
        given = (uint32_t)(ends >> 32);
        begun = (uint32_t)ends;
        last = rpi_mailbox_is_after(begun, kept) ? begun : kept;
        if (given == last)
            break;
    } while (!atomic_compare_exchange_weak(&mailbox->ends, &ends, ends_of(last, begun)));
    return last;
}

/* ---- the area */

rp_status rpi_mailbox_area_map(struct rpi_mailbox_area *area)
{
    uint64_t size = sizeof(size_t) > 4 ? MOST : (uint64_t)256 << 20;
    const int flags = MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE;
    void *place = MAP_FAILED;
    for (; size >= LEAST && place == MAP_FAILED; size /= 2) {
        area->mapped = (size_t)size;
        /* cppcheck-suppress invalidFunctionArg ; no file */
        place = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, flags, -1, 0);
    }
    if (place == MAP_FAILED)
        return rpi_no_memory("the memory that a worker shares with its tasks' process");
    (void)madvise(place, area->mapped, MADV_DONTDUMP);
    size_t page = (size_t)sysconf(_SC_PAGESIZE),
           mailbox = (sizeof *area->mailbox + page - 1) / page * page;
    area->mailbox = place;
    area->out_room = area->mapped / 3 / page * page;
    area->in_room = area->mapped - mailbox - area->out_room;
    area->out = (uint8_t *)place + mailbox;
    area->in = area->out + area->out_room;
    return RP_OK;
}

void rpi_mailbox_area_unmap(struct rpi_mailbox_area *area)
{
    if (area->mailbox)
        (void)munmap(area->mailbox, area->mapped);
    area->mailbox = NULL;
}

void rpi_mailbox_area_drop(uint8_t *from, size_t size)
{
    if (size <= LARGE)
        return;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *begin = from + (page - (uintptr_t)from % page) % page;
    uint8_t *end = from + size;
    end -= (uintptr_t)end % page;
    if (end > begin)
        (void)madvise(begin, (size_t)(end - begin), MADV_REMOVE);
}

void rpi_mailbox_area_take(void *to, uint8_t *from, size_t size)
{
    uint8_t *place = to;
    while (size) {
        size_t step = size < STEP ? size : STEP;
        memcpy(place, from, step);
        rpi_mailbox_area_drop(from, step);
        place += step;
        from += step;
        size -= step;
    }
}
