#include "pool/idle.h"

#include "base/backoff.h"
#include "base/bufcache.h"

#include <time.h>

void rpi_idle_init(struct rpi_idle *idle)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes); /* none of these can fail with these arguments */
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&idle->lock, NULL);
    (void)pthread_cond_init(&idle->wake, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

void rpi_idle_fini(struct rpi_idle *idle)
{
    (void)pthread_cond_destroy(&idle->wake);
    (void)pthread_mutex_destroy(&idle->lock);
}

/* Grows with all that a waiting call may wait for. */
static uint64_t progress(const rp_pool *pool)
{
    const struct rpi_counts *counts = &pool->master.counts;
    return counts->done + counts->failed + counts->cancelled + counts->messages_in + pool->turns;
}

static void wake_others(struct rpi_idle *idle)
{
    (void)pthread_mutex_lock(&idle->lock);
    idle->news++;
    (void)pthread_cond_broadcast(&idle->wake);
    (void)pthread_mutex_unlock(&idle->lock);
}

static void rouse(rp_pool *pool)
{
    struct rpi_idle *idle = &pool->idle;
    if (idle->parked)
        pool->transport->ops->wake(pool->transport);
    if (idle->sleepers > idle->parked)
        wake_others(idle);
}

void rpi_idle_rouse_now(rp_pool *pool)
{
    uint64_t now = progress(pool);
    if (now == pool->idle.seen)
        return;
    pool->idle.seen = now;
    rouse(pool);
}

/* What the journal's thread has committed is found by looking. */
static bool journal_is_busy(const rp_pool *pool)
{
    return pool->journaling.journal &&
           (!rpi_list_empty(&pool->journaling.storing) || pool->master.unsettled == 0);
}

bool rpi_idle_doze(const rp_pool *pool)
{
    return !journal_is_busy(pool) && pool->transport->ops->doze(pool->transport);
}

static double sooner(double rest, double other)
{
    return other < rest ? other : rest;
}

/* Rests end before silence would no longer count, when rank 0 must look again for work that one
 * worker has and another could do, and when it must ask after workers on other hosts.  What is done
 * for long rests is also done for those that these make short. */
double rpi_idle_limit(const rp_pool *pool, struct rpi_backoff *backoff)
{
    double rest = rpi_backoff_rest(backoff), pause = rpi_detector_pause(&pool->members.detector);
    double again = pool->master.rebalance.look_again - pool->now;
    bool is_long = rest >= RPI_BACKOFF_IDLE_MOST;
    if (pause > 0)
        rest = sooner(rest, pause);
    if (pool->transport->again > 0)
        rest = sooner(rest, pool->transport->again);
    if (pool->master.rebalance.look_again >= 0)
        rest = sooner(rest, again > 0 ? again : 0);
    if (is_long && rest < RPI_BACKOFF_IDLE_MOST)
        rpi_bufcache_trim(pool->alloc.cache);
    return rest;
}

static bool sleep_beside(struct rpi_idle *idle, uint64_t seen, double seconds)
{
    double end = rpi_now() + seconds;
    const struct timespec until = rpi_timespec(end);
    int code = 0;
    (void)pthread_mutex_lock(&idle->lock);
    while (idle->news == seen && code == 0)
        code = pthread_cond_timedwait(&idle->wake, &idle->lock, &until);
    (void)pthread_mutex_unlock(&idle->lock);
    return code == 0;
}

static uint64_t news_of(struct rpi_idle *idle)
{
    (void)pthread_mutex_lock(&idle->lock);
    uint64_t news = idle->news;
    (void)pthread_mutex_unlock(&idle->lock);
    return news;
}

/* Without being the first that waits for the lock, which would cost its owner what it saves. */
static void take_lock_politely(rp_pool *pool)
{
    struct rpi_backoff backoff = { .crowded = true };
    while (!rpi_biased_lock_try(&pool->lock))
        rpi_backoff_wait(&backoff);
}

bool rpi_idle_take(rp_pool *pool, double seconds, bool polite)
{
    struct rpi_idle *idle = &pool->idle;
    struct rpi_transport *transport = pool->transport;
    bool leads = !idle->parked;
    uint64_t news = news_of(idle); /* it grows only under the pool's lock */
    double began = rpi_now();
    if (idle->sleepers++ == 0)
        idle->seen = progress(pool);
    if (seconds >= RPI_BACKOFF_IDLE_MOST)
        rpi_bufcache_trim(pool->alloc.cache);
    idle->parked = true;
    rpi_biased_lock_give(&pool->lock);
    if (leads)
        transport->ops->park(transport, seconds);
    else
        (void)sleep_beside(idle, news, seconds);
    if (polite)
        take_lock_politely(pool);
    else
        rpi_biased_lock_take(&pool->lock);
    idle->sleepers--;
    pool->now = rpi_now(); /* a sleep is not counted as time without a step */
    if (leads) {
        idle->parked = false;
        if (idle->sleepers)
            wake_others(idle); /* one of them sleeps on the transport next */
    }
    return pool->now < began + seconds;
}
