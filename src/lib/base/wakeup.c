#include "base/wakeup.h"

#include "base/clock.h"

#include <stdint.h>
#include <time.h>
#ifdef __linux__
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

void rpi_wakeup_init(struct rpi_wakeup *nap)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes); /* none of these can fail with these arguments */
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&nap->lock, NULL);
    (void)pthread_cond_init(&nap->wake, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    nap->called = nap->over = false;
}

void rpi_wakeup_fini(struct rpi_wakeup *nap)
{
    (void)pthread_cond_destroy(&nap->wake);
    (void)pthread_mutex_destroy(&nap->lock);
}

/* Returns whether it was called. */
static bool rest(struct rpi_wakeup *nap, double seconds, bool *over)
{
    double end = rpi_now() + seconds;
    const struct timespec until = rpi_timespec(end);
    int status = 0;
    (void)pthread_mutex_lock(&nap->lock);
    while (!nap->called && !nap->over && status == 0)
        status = seconds < 0 ? pthread_cond_wait(&nap->wake, &nap->lock)
                             : pthread_cond_timedwait(&nap->wake, &nap->lock, &until);
    bool called = nap->called;
    *over = nap->over;
    nap->called = false;
    (void)pthread_mutex_unlock(&nap->lock);
    return called;
}

bool rpi_wakeup_take(struct rpi_wakeup *nap, double seconds)
{
    bool over;
    (void)rest(nap, seconds, &over);
    return !over;
}

bool rpi_wakeup_until_called(struct rpi_wakeup *nap, double seconds)
{
    bool over;
    return rest(nap, seconds, &over);
}

static void call(struct rpi_wakeup *nap, bool over)
{
    (void)pthread_mutex_lock(&nap->lock);
    nap->called = true;
    nap->over = nap->over || over;
    (void)pthread_cond_signal(&nap->wake);
    (void)pthread_mutex_unlock(&nap->lock);
}

void rpi_wakeup_wake(struct rpi_wakeup *nap)
{
    call(nap, false);
}

void rpi_wakeup_end(struct rpi_wakeup *nap)
{
    call(nap, true);
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
