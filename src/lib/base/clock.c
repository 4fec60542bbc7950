#include "base/clock.h"

#include <float.h>
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

double rpi_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A thread that lost its core in between does not know which tick belongs to the time it was told:
 * it asks again the next time. */
double rpi_watch_set(struct rpi_watch *watch)
{
    uint64_t ticks = rpi_ticks();
    double now = rpi_now(), said = watch->now + (double)RPI_WATCH_TICKS * watch->tick;
    if (now < said)
        now = said;
    if (rpi_ticks() - ticks > RPI_TICKS_US ||
        (watch->ticks && ticks - watch->ticks < RPI_WATCH_TICKS))
        return now;
    if (watch->ticks)
        watch->tick = (now - watch->now) / (double)(ticks - watch->ticks);
    watch->ticks = ticks;
    watch->now = now;
    return now;
}

double rpi_deadline(double now, double timeout)
{
    return timeout < 0 ? DBL_MAX : now + timeout;
}

static void sleep_for(double seconds)
{
    struct timespec t = { .tv_sec = 0, .tv_nsec = (long)(seconds * 1e9) };
    (void)nanosleep(&t, NULL); /* woken early: the caller looks again */
}

void rpi_patience_wait(struct rpi_patience *patience)
{
    uint64_t ticks = rpi_ticks();
    if (!patience->began)
        patience->began = ticks;
    if (ticks - patience->began < SPIN && !patience->crowded)
        return;
    double now = rpi_now();
    if (!(patience->since > 0))
        patience->since = now;
    double waited = now - patience->since;
    if (waited < (patience->moving ? MOVING : YIELD)) {
        (void)sched_yield();
        return;
    }
    double sleep = waited * SHARE;
    sleep_for(sleep < SHORTEST ? SHORTEST : sleep > LONGEST ? LONGEST : sleep);
}

double rpi_patience_rest(struct rpi_patience *patience)
{
    patience->rest = patience->rest > 0 ? 2 * patience->rest : REST;
    if (patience->rest > RPI_IDLE_MOST)
        patience->rest = RPI_IDLE_MOST;
    return patience->rest;
}
