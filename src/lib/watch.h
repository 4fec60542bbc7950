/* Tells when one of some processes of this host has ended. */
#ifndef RPI_WATCH_H
#define RPI_WATCH_H

#include "alloc.h"

#include <stdint.h>

struct rpi_watch {
    struct rpi_alloc alloc;
    int epoll; /* -1: it watches nothing */
    int *files;
    int count, capacity;
};

/* Room for `most` processes.  A system without pidfd_open (Linux before 5.3) watches nothing.  RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_watch_init(struct rpi_watch *watch, const struct rpi_alloc *alloc, int most);
void rpi_watch_fini(struct rpi_watch *watch);

/* Watches a process, which rpi_watch_ended will call `number` (from 1).  Returns whether it is there to be watched. */
bool rpi_watch_add(struct rpi_watch *watch, int64_t pid, int number);

/* The number of one that has ended, or 0.  One system call, however many there are. */
int rpi_watch_ended(const struct rpi_watch *watch);

#endif
