#include "base/wakeup.h"

#include "base/clock.h"

#include <stdint.h>
#include <time.h>
#ifdef __linux__
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

void rpi_wakeup_init(struct rpi_wakeup *wakeup)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes); /* none of these can fail with these arguments */
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&wakeup->lock, NULL);
    (void)pthread_cond_init(&wakeup->wake, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    wakeup->called = wakeup->over = false;
}

void rpi_wakeup_fini(struct rpi_wakeup *wakeup)
{
    (void)pthread_cond_destroy(&wakeup->wake);
    (void)pthread_mutex_destroy(&wakeup->lock);
}

bool rpi_wakeup_take(struct rpi_wakeup *wakeup, double seconds)
{
    double end = rpi_now() + seconds;
    const struct timespec until = rpi_timespec(end);
    int status = 0;
    (void)pthread_mutex_lock(&wakeup->lock);
    while (!wakeup->called && !wakeup->over && status == 0)
        status = seconds < 0 ? pthread_cond_wait(&wakeup->wake, &wakeup->lock)
                             : pthread_cond_timedwait(&wakeup->wake, &wakeup->lock, &until);
    bool over = wakeup->over;
    wakeup->called = false;
    (void)pthread_mutex_unlock(&wakeup->lock);
    return !over;
}

static void call(struct rpi_wakeup *wakeup, bool over)
{
    (void)pthread_mutex_lock(&wakeup->lock);
    wakeup->called = true;
    wakeup->over = wakeup->over || over;
    (void)pthread_cond_signal(&wakeup->wake);
    (void)pthread_mutex_unlock(&wakeup->lock);
}

void rpi_wakeup_wake(struct rpi_wakeup *wakeup)
{
    call(wakeup, false);
}

void rpi_wakeup_end(struct rpi_wakeup *wakeup)
{
    call(wakeup, true);
}

void rpi_wakeup_prompt(void)
{
#ifdef __linux__
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } scheduling = { .size = sizeof scheduling };
    (void)prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL,
                0UL); /* ns; the default of 50,000 is longer than a short sleep */
    if (syscall(SYS_sched_getattr, 0, &scheduling, sizeof scheduling, 0) != 0)
        return;
    scheduling.runtime = 100000; /* ns at a time: asking for less is served earlier (Linux 6.12) */
    (void)syscall(SYS_sched_setattr, 0, &scheduling, 0);
#endif
}
