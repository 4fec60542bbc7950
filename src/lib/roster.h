/* The workers and how many batches are in flight at each.  Workers with equally many stand in one ring, so that the next one to
 * serve is found without a look at the others. */
#ifndef RPI_ROSTER_H
#define RPI_ROSTER_H

#include "alloc.h"
#include "list.h"

#define RPI_DEPTH 4 /* batches in flight at one worker, at the most */

struct rpi_seat {
    struct rpi_link link;
    uint32_t in_flight; /* batches */
    uint64_t done;      /* tasks */
    double busy;        /* seconds its tasks ran */
    int64_t pid;
    struct rpi_link held; /* children of tasks that run there */
    const char *host;     /* borrowed */
};

struct rpi_roster {
    struct rpi_alloc alloc;
    struct rpi_seat *seats; /* [1 .. workers]; seat 0 is rank 0's own */
    int workers;
    struct rpi_link rings[RPI_DEPTH + 1]; /* by batches in flight */
};

RP_MUST_USE rp_status rpi_roster_init(struct rpi_roster *roster, const struct rpi_alloc *alloc, int workers);
void rpi_roster_fini(struct rpi_roster *roster);

/* The worker with the fewest batches in flight, longest in that state; 0: every one has RPI_DEPTH. */
int rpi_roster_least(const struct rpi_roster *roster);

static inline bool rpi_roster_has_idle(const struct rpi_roster *roster)
{
    return !rpi_list_empty(&roster->rings[0]);
}

void rpi_roster_sent(struct rpi_roster *roster, int worker); /* one batch more */
void rpi_roster_done(struct rpi_roster *roster, int worker); /* one less */

#endif
