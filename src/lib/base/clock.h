/* Monotonic seconds, and the ladder by which a waiting rank gives its core away. */
#ifndef RPI_CLOCK_H
#define RPI_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Seconds on the monotonic clock. */
double rpi_now(void);

/* Whether it is a number. */
static inline bool rpi_is_time(double seconds)
{
    return !__builtin_isnan(seconds);
}

/* The deadline `timeout` seconds from `now`; a negative timeout (RP_FOREVER) never comes. */
double rpi_deadline(double now, double timeout);

/* `seconds` must not be negative. */
static inline struct timespec rpi_timespec(double seconds)
{
    time_t whole = (time_t)seconds;
    return (struct timespec){ .tv_sec = whole, .tv_nsec = (long)((seconds - (double)whole) * 1e9) };
}

/* A cheap count that grows steadily, for "is it time yet?": about RPI_TICKS_US in a microsecond,
 * within a factor of three. */
#if defined(__x86_64__)
#define RPI_TICKS_US 2500
static inline uint64_t rpi_ticks(void)
{
    return __builtin_ia32_rdtsc();
}
#else
#define RPI_TICKS_US 1000
static inline uint64_t rpi_ticks(void)
{
    return (uint64_t)(rpi_now() * 1e9);
}
#endif

/* One thread's way to tell the time without asking the system, which takes as long as looking for a
 * message: ticks carry it on from the last time it asked, a millisecond ago at the most or a few.
 * It never goes back, and is wrong by less than a microsecond while ticks keep their length. */
struct rpi_watch {
    uint64_t ticks; /* when it asked */
    double now;     /* what it was told */
    double tick;    /* seconds of one, of late; 0: not known yet */
};
#define RPI_WATCH_TICKS ((uint64_t)RPI_TICKS_US * 1000)

double rpi_watch_set(struct rpi_watch *watch);

/* Seconds on the monotonic clock, `ticks` being rpi_ticks() now. */
static inline double rpi_watch_at(struct rpi_watch *watch, uint64_t ticks)
{
    uint64_t gone = ticks - watch->ticks;
    return gone < RPI_WATCH_TICKS && watch->tick > 0 ? watch->now + (double)gone * watch->tick
                                                     : rpi_watch_set(watch);
}

static inline double rpi_watch_look(struct rpi_watch *watch)
{
    return rpi_watch_at(watch, rpi_ticks());
}

#endif
