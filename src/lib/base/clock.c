#include "base/clock.h"

#include <float.h>
#include <time.h>

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
