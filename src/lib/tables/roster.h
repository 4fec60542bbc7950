/* The workers and how many batches are in flight at each.  Workers with equally many stand in one
 * ring, so that the next one to serve is found without a look at the others.  A worker that is
 * lost, or has a task that goes alone, may not be served and is in no ring. */
#ifndef RPI_ROSTER_H
#define RPI_ROSTER_H

#include "base/alloc.h"
#include "base/death.h"
#include "base/list.h"

#include <stdint.h>

#define RPI_ROSTER_DEPTH 4 /* batches in flight at one worker, at the most */

struct rpi_batch;

struct rpi_seat {
    struct rpi_link link;
    uint32_t in_flight; /* batches */
    bool lost;          /* gone for good */
    bool alone;         /* what is in flight there goes alone: nothing else until it is done */
    uint64_t done;      /* tasks */
    double busy;        /* seconds its tasks ran */
    int64_t pid;
    struct rpi_link held;      /* children of tasks that run there */
    struct rpi_link load;      /* in roster->loaded, or alone */
    struct rpi_batch *cancels; /* the message that the next cancel may share, or NULL */
    uint32_t movable;          /* tasks there that others may run */
    double due;                /* when all of them should be done, seconds */
    bool asked;                /* for what it has not started, and has not answered */
    bool overdue;     /* when it was asked last, it should have been done with all it had */
    bool halted;      /* since then it was not heard of: it gets nothing meanwhile */
    uint32_t taken;   /* frames of its answer that were taken when memory ran out */
    bool again;       /* memory ran out in its last batch of results, which comes again */
    const char *host; /* borrowed */
};

struct rpi_roster {
    struct rpi_alloc alloc;
    struct rpi_seat *seats;   /* [1 .. workers]; seat 0 is rank 0's own */
    struct rpi_death *deaths; /* by worker: what it said of its end */
    int workers;
    int lost;                                    /* of them */
    struct rpi_link rings[RPI_ROSTER_DEPTH + 1]; /* by batches in flight */
    /* workers by their last batch, those left out that have nothing to hand back */
    struct rpi_link loaded;
    int idle, asked; /* workers */
};

RP_MUST_USE rp_status rpi_roster_init(struct rpi_roster *roster, const struct rpi_alloc *alloc,
                                      int workers);
void rpi_roster_fini(struct rpi_roster *roster);

/* The worker with the fewest batches in flight, longest in that state; 0: every one has
 * RPI_ROSTER_DEPTH, or may not be served. */
int rpi_roster_least(const struct rpi_roster *roster);

static inline bool rpi_roster_has_idle(const struct rpi_roster *roster)
{
    return !rpi_list_empty(&roster->rings[0]);
}

/* Whether it may have one batch more. */
static inline bool rpi_roster_has_credit(const struct rpi_roster *roster, int worker)
{
    const struct rpi_seat *seat = &roster->seats[worker];
    return !seat->lost && !seat->alone && !seat->halted && seat->in_flight < RPI_ROSTER_DEPTH;
}

/* Every worker is lost. */
static inline bool rpi_roster_deserted(const struct rpi_roster *roster)
{
    return roster->lost == roster->workers;
}

void rpi_roster_sent(struct rpi_roster *roster, int worker); /* one batch more */
void rpi_roster_done(struct rpi_roster *roster, int worker); /* one less */

/* Adds `tasks` tasks that others may run, of `seconds` in all. */
void rpi_roster_load(struct rpi_roster *roster, int worker, uint32_t tasks, double now,
                     double seconds);
/* It is asked for them, and is not looked at again until it gets more. */
void rpi_roster_ask(struct rpi_roster *roster, int worker);
void rpi_roster_answered(struct rpi_roster *roster, int worker);
/* A result came from it: it may get more. */
void rpi_roster_heard(struct rpi_roster *roster, int worker);
/* It is gone for good, and is asked for nothing. */
void rpi_roster_lost(struct rpi_roster *roster, int worker);
/* Another process, in which nothing is in flight, takes a lost worker's seat.  What it has done is
 * counted on. */
void rpi_roster_replace(struct rpi_roster *roster, int worker, int64_t pid);
/* What it was just sent goes alone; over with the next rpi_roster_done. */
void rpi_roster_alone(struct rpi_roster *roster, int worker);

#endif
