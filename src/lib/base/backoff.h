/* How a thread that waits looks again: at once, then less and less often. */
#ifndef RPI_BACKOFF_H
#define RPI_BACKOFF_H

#include "base/clock.h"

/* How one waiting thread spends the time until something happens. */
struct rpi_backoff {
    uint64_t began; /* ticks, when it began to find nothing; 0: not waiting */
    double since;   /* seconds, when it had looked in vain for long enough to give its core away; 0:
                       not yet */
    bool crowded;   /* more ranks than cores: give the core away at once */
    bool moving;    /* bytes are on their way, and come forward only while this thread asks: it does
                       not sleep yet */
    double rest;    /* the next long sleep */
};

/* Something happened: the next wait begins anew. */
static inline void rpi_backoff_reset(struct rpi_backoff *backoff)
{
    backoff->began = 0;
    backoff->since = backoff->rest = 0;
}

/* It has found nothing, a moment ago. */
static inline bool rpi_backoff_spins(const struct rpi_backoff *backoff)
{
    return backoff->began && !(backoff->since > 0);
}

/* Called each time nothing was found: returns at once for some tens of microseconds, then yields
 * the core, then sleeps for longer and longer, 1 ms at the most. */
void rpi_backoff_wait(struct rpi_backoff *backoff);

/* Seconds: a rank that has found nothing for this long may sleep until it is woken. */
#define RPI_BACKOFF_DROWSY 5e-3
/* Whether this one has. */
static inline bool rpi_backoff_is_drowsy(const struct rpi_backoff *backoff)
{
    return backoff->since > 0 && rpi_now() - backoff->since >= RPI_BACKOFF_DROWSY;
}
#define RPI_BACKOFF_IDLE_MOST 1.0
/* How long it sleeps at the most: from a millisecond, twice as long each time, to
 * RPI_BACKOFF_IDLE_MOST seconds.  It is woken for what comes; but where that comes late, or moves
 * inside MPI only while it is asked, nothing wakes it. */
double rpi_backoff_rest(struct rpi_backoff *backoff);
/* It was woken before that: if nothing is there yet, the next sleep is a short one. */
static inline void rpi_backoff_rouse(struct rpi_backoff *backoff)
{
    backoff->rest = 0;
}

#endif
