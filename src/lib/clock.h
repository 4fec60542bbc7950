/* Monotonic seconds, and the ladder by which a waiting rank gives its core away. */
#ifndef RPI_CLOCK_H
#define RPI_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Seconds on the monotonic clock. */
double rpi_now(void);

/* Whether it is a number. */
static inline bool rpi_is_time(double seconds)
{
    return !__builtin_isnan(seconds);
}

/* The deadline `timeout` seconds from `now`; a negative timeout (RP_FOREVER) never comes. */
double rpi_deadline(double now, double timeout);

/* A cheap count that grows steadily, for "is it time yet?": about RPI_TICKS_US in a microsecond, within a factor of three. */
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

/* How one waiting thread spends the time until something happens. */
struct rpi_patience {
    double since; /* when it began to find nothing; 0: not waiting */
    bool crowded; /* more ranks than cores: give the core away at once */
};

/* Something happened: the next wait begins anew. */
static inline void rpi_patience_reset(struct rpi_patience *patience)
{
    patience->since = 0;
}

/* Called each time nothing was found: returns at once for some tens of microseconds, then yields the core, then sleeps for longer
 * and longer, 1 ms at the most. */
void rpi_patience_wait(struct rpi_patience *patience);

#endif
