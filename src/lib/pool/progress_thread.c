#include "pool/progress_thread.h"

#include "base/backoff.h"
#include "base/bufcache.h"
#include "base/thread.h"
#include "pool/pool.h"
#include "pool/step.h"

#define UNTIL_WORK (-1.0)
#define WATCH      0.5e-3 /* seconds without a step of a call's, after which it takes over */
#define WATCH_MOST 8e-3   /* between two looks while calls drive the pool all the time */
#define FIRST      100e-6 /* between the first two steps of its own */
#define SHORTEST   50e-6
#define LONGEST    0.5e-3
#define GROWTH     1.1
#define SHARE      0.01 /* of the time in which nothing came: a longer rest than LONGEST */
#define MOST       20e-3

static bool is_driven(const rp_pool *pool)
{
    return pool->steps.at != pool->progress_thread.seen || rpi_pool_attended(pool);
}

/* Calls go on driving: the longer they do, the more seldom it looks.  A look costs 2 to 30 us, of a
 * core that it shares with them. */
static double watch(struct rpi_progress_thread *care)
{
    double rest = care->driving || care->rest < WATCH ? WATCH : care->rest * 1.5;
    care->driving = false;
    return rest < WATCH_MOST ? rest : WATCH_MOST;
}

static double slower(double rest, double quiet)
{
    double most = quiet * SHARE < LONGEST ? LONGEST : quiet * SHARE > MOST ? MOST : quiet * SHARE;
    return rest * GROWTH < most ? rest * GROWTH : most;
}

static double faster(double rest)
{
    return rest / 2 > SHORTEST ? rest / 2 : SHORTEST;
}

/* Nothing has come for so long that it may sleep until a worker rings, unless this last look finds
 * something. */
static bool doze(rp_pool *pool, bool *any)
{
    struct rpi_progress_thread *care = &pool->progress_thread;
    if (*any || pool->steps.late || pool->now - care->heard < RPI_BACKOFF_DROWSY ||
        pool->idle.parked || !rpi_idle_doze(pool))
        return false;
    *any = rpi_step(pool, false);
    return !*any && !pool->steps.late && pool->broken == RP_OK;
}

/* Drives a step, and finds out how seldom is enough: a worker found idle while a task was queued
 * says that it came too late.  (What such a worker costs, the engine takes for its round trip, and
 * sends more ahead: so the rests grow to a task's length.) */
static double drive(rp_pool *pool)
{
    struct rpi_progress_thread *care = &pool->progress_thread;
    double rest = care->driving ? care->rest : FIRST;
    bool any = rpi_step(pool, false);
    if (!care->driving)
        care->heard = pool->now; /* of those before it knows nothing */
    care->driving = true;
    care->parked = doze(pool, &any);
    care->seen = pool->steps.at;
    if (any) {
        care->heard = pool->now;
        rpi_backoff_reset(&care->backoff);
    }
    if (care->parked)
        return rest;
    if (pool->steps.late || rpi_step_carries(pool))
        return faster(rest);
    return any ? rest : slower(rest, pool->now - care->heard);
}

/* Until a worker rings, a call changes something, or it is time to look again. */
static void park(rp_pool *pool)
{
    struct rpi_progress_thread *care = &pool->progress_thread;
    if (rpi_idle_take(pool, rpi_idle_limit(pool, &care->backoff), true))
        rpi_backoff_rouse(&care->backoff);
    care->rest = FIRST;
}

static void stir(void *context)
{
    rp_pool *pool = context;
    rpi_wakeup_wake(&pool->progress_thread.wakeup);
}

/* Nothing is unsettled.  While buffers are idle it looks every second, and gives them back when no
 * call has driven the pool for one; later the application may free more of them. */
static double block(rp_pool *pool)
{
    struct rpi_progress_thread *care = &pool->progress_thread;
    bool quiet = care->keeps && care->seen == pool->steps.at;
    care->blocked = pool->broken == RP_OK;
    care->driving = false;
    care->seen = pool->steps.at;
    if (quiet)
        rpi_bufcache_trim(pool->alloc.cache);
    care->keeps = rpi_bufcache_watch(pool->alloc.cache, stir, pool);
    return care->keeps ? RPI_BACKOFF_IDLE_MOST : UNTIL_WORK;
}

/* One look; returns the seconds until the next. */
static double look(rp_pool *pool)
{
    struct rpi_progress_thread *care = &pool->progress_thread;
    care->parked = false;
    if (!rpi_biased_lock_try(&pool->lock))
        return care->rest = watch(care); /* a call is under way */
    if (rpi_pool_attended(pool) && pool->idle.parked && !pool->local.here) {
        care->blocked = true; /* a call sleeps until a worker rings: it lets this one know when it
                                 leaves, or calls back */
        care->driving = false;
        care->keeps = rpi_bufcache_watch(pool->alloc.cache, stir,
                                         pool); /* or, with all settled, leaves without a word */
        care->rest = care->keeps ? RPI_BACKOFF_IDLE_MOST : UNTIL_WORK;
    } else if (is_driven(pool) && !(care->keeps && pool->master.unsettled == 0)) {
        care->rest = watch(care);
        care->seen = pool->steps.at;
        care->keeps = false;
    } else if (pool->master.unsettled > 0 && pool->broken == RP_OK) {
        care->keeps = false;
        care->rest = drive(pool);
        if (care->parked)
            park(pool);
    } else {
        care->rest = block(pool);
    }
    rpi_biased_lock_give(&pool->lock);
    return care->rest;
}

static void *care_for(void *context)
{
    rp_pool *pool = context;
    double rest = UNTIL_WORK;
    rpi_wakeup_prompt();
    while (rpi_wakeup_take(&pool->progress_thread.wakeup, rest))
        rest = look(pool);
    return NULL;
}

void rpi_progress_thread_start(rp_pool *pool)
{
    struct rpi_progress_thread *care = &pool->progress_thread;
    rpi_wakeup_init(&care->wakeup);
    care->rest = UNTIL_WORK;
    care->blocked = true;
    int code = rpi_thread_start(&care->thread, care_for, pool);
    care->live = code == 0;
    if (care->live)
        return;
    care->blocked = false;
    rpi_wakeup_fini(&care->wakeup);
    rpi_say(&pool->log, RP_LOG_WARNING,
            "the caretaker thread could not be started (error %d): tasks move only while calls on "
            "the pool drive it",
            code);
}

void rpi_progress_thread_stop(rp_pool *pool)
{
    struct rpi_progress_thread *care = &pool->progress_thread;
    if (!care->live)
        return;
    rpi_wakeup_end(&care->wakeup);
    pool->transport->ops->wake(pool->transport);
    rpi_biased_lock_give(&pool->lock);
    (void)pthread_join(care->thread, NULL);
    (void)rpi_bufcache_watch(pool->alloc.cache, NULL, NULL);
    rpi_biased_lock_take(&pool->lock);
    rpi_wakeup_fini(&care->wakeup);
    care->live = care->blocked = false;
}
