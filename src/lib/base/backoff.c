#include "base/backoff.h"

#include <sched.h>
#include <time.h>

/* A look at the clock takes as long as one for a message: the first looks go without. */
#define SPIN ((uint64_t)RPI_TICKS_US * 30) /* ticks of looking again at once */
/* then of yielding; a crowded rank yields from the start */
#define YIELD   300e-6
#define MOVING  0.2  /* the same while something moves */
#define LONGEST 1e-3 /* the longest sleep */
/* a sleep is this part of the time already waited */
#define SHARE    0.1
#define SHORTEST 20e-6 /* and at least this */
#define REST     1e-3  /* the first sleep until it is woken */

static void sleep_for(double seconds)
{
    struct timespec t = { .tv_sec = 0, .tv_nsec = (long)(seconds * 1e9) };
    (void)nanosleep(&t, NULL); /* woken early: the caller looks again */
}

void rpi_backoff_wait(struct rpi_backoff *backoff)
{
    uint64_t ticks = rpi_ticks();
    if (!backoff->began)
        backoff->began = ticks;
    if (ticks - backoff->began < SPIN && !backoff->crowded)
        return;
    double now = rpi_now();
    if (!(backoff->since > 0))
        backoff->since = now;
    double waited = now - backoff->since;
    if (waited < (backoff->moving ? MOVING : YIELD)) {
        (void)sched_yield();
        return;
    }
    double sleep = waited * SHARE;
    sleep_for(sleep < SHORTEST ? SHORTEST : sleep > LONGEST ? LONGEST : sleep);
}

double rpi_backoff_rest(struct rpi_backoff *backoff)
{
    backoff->rest = backoff->rest > 0 ? 2 * backoff->rest : REST;
    if (backoff->rest > RPI_BACKOFF_IDLE_MOST)
        backoff->rest = RPI_BACKOFF_IDLE_MOST;
    return backoff->rest;
}
