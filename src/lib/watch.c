#include "watch.h"

#include "status.h"

#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434 /* the same on every architecture */
#endif

rp_status rpi_watch_init(struct rpi_watch *watch, const struct rpi_alloc *alloc, int most)
{
    *watch = (struct rpi_watch){ .alloc = *alloc, .epoll = -1, .capacity = most };
    watch->files = rpi_reserve(alloc, (size_t)most * sizeof *watch->files);
    if (!watch->files)
        return rpi_no_memory("watching the workers");
    watch->epoll = epoll_create1(EPOLL_CLOEXEC);
    return RP_OK;
}

void rpi_watch_fini(struct rpi_watch *watch)
{
    for (int i = 0; i < watch->count; i++)
        (void)close(watch->files[i]);
    if (watch->epoll >= 0)
        (void)close(watch->epoll);
    rpi_free(&watch->alloc, watch->files);
    watch->files = NULL;
    watch->count = 0;
    watch->epoll = -1;
}

bool rpi_watch_add(struct rpi_watch *watch, int64_t pid, int number)
{
    struct epoll_event event = { .events = EPOLLIN, .data = { .u32 = (uint32_t)number } };
    if (watch->epoll < 0 || watch->count == watch->capacity)
        return false;
    int file = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    if (file < 0)
        return false;
    watch->files[watch->count++] = file; /* close-on-exec, as the kernel makes them */
    return epoll_ctl(watch->epoll, EPOLL_CTL_ADD, file, &event) == 0;
}

int rpi_watch_ended(const struct rpi_watch *watch)
{
    struct epoll_event event;
    if (watch->epoll < 0 || epoll_wait(watch->epoll, &event, 1, 0) != 1)
        return 0;
    return (int)event.data.u32;
}
