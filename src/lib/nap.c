#include "nap.h"

#include "clock.h"

#include <time.h>

void rpi_nap_init(struct rpi_nap *nap)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes); /* none of these can fail with these arguments */
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&nap->lock, NULL);
    (void)pthread_cond_init(&nap->wake, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    nap->called = nap->over = false;
}

void rpi_nap_fini(struct rpi_nap *nap)
{
    (void)pthread_cond_destroy(&nap->wake);
    (void)pthread_mutex_destroy(&nap->lock);
}

bool rpi_nap_take(struct rpi_nap *nap, double seconds)
{
    double end = rpi_now() + seconds;
    struct timespec until = { .tv_sec = (time_t)end, .tv_nsec = (long)((end - (double)(time_t)end) * 1e9) };
    int status = 0;
    (void)pthread_mutex_lock(&nap->lock);
    while (!nap->called && !nap->over && status == 0)
        status = seconds < 0 ? pthread_cond_wait(&nap->wake, &nap->lock)
                             : pthread_cond_timedwait(&nap->wake, &nap->lock, &until);
    bool goes_on = !nap->over;
    nap->called = false;
    (void)pthread_mutex_unlock(&nap->lock);
    return goes_on;
}

static void call(struct rpi_nap *nap, bool over)
{
    (void)pthread_mutex_lock(&nap->lock);
    nap->called = true;
    nap->over = nap->over || over;
    (void)pthread_cond_signal(&nap->wake);
    (void)pthread_mutex_unlock(&nap->lock);
}

void rpi_nap_wake(struct rpi_nap *nap)
{
    call(nap, false);
}

void rpi_nap_end(struct rpi_nap *nap)
{
    call(nap, true);
}
