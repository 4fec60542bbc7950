#include "caretaker.h"

#include "pool.h"

#include <signal.h>
#ifdef __linux__
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

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
    return pool->stepped != pool->caretaker.seen || rpi_pool_attended(pool);
}

/* Calls go on driving: the longer they do, the more seldom it looks.  A look costs 2 to 30 us, of a core that it shares with them. */
static double watch(struct rpi_caretaker *care)
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

/* Drives a step, and finds out how seldom is enough: a worker found idle while a task was queued says that it came too late.  (What
 * such a worker costs, the engine takes for its round trip, and sends more ahead: so the rests grow to a task's length.) */
static double drive(rp_pool *pool)
{
    struct rpi_caretaker *care = &pool->caretaker;
    double rest = care->driving ? care->rest : FIRST;
    bool any = rpi_pool_step(pool, false);
    care->driving = true;
    care->seen = pool->stepped;
    if (any)
        care->heard = pool->now;
    if (pool->late || rpi_pool_carries(pool))
        return faster(rest);
    return any ? rest : slower(rest, pool->now - care->heard);
}

/* One look; returns the seconds until the next. */
static double look(rp_pool *pool)
{
    struct rpi_caretaker *care = &pool->caretaker;
    if (!rpi_lock_try(&pool->lock))
        return care->rest = watch(care); /* a call is under way */
    if (is_driven(pool)) {
        care->rest = watch(care);
        care->seen = pool->stepped;
    } else if (pool->master.unsettled > 0 && pool->broken == RP_OK) {
        care->rest = drive(pool);
    } else {
        care->blocked = pool->broken == RP_OK;
        care->rest = UNTIL_WORK;
    }
    rpi_lock_give(&pool->lock);
    return care->rest;
}

/* Beside a thread that computes on the same core it must come to its turn when its rest is over.  All of this is a wish: a kernel that
 * does not know it refuses it. */
static void be_prompt(void)
{
#ifdef __linux__
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } scheduling = { .size = sizeof scheduling };
    (void)prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL); /* ns; the default of 50,000 is longer than a short sleep */
    if (syscall(SYS_sched_getattr, 0, &scheduling, sizeof scheduling, 0) != 0)
        return;
    scheduling.runtime = 100000; /* ns at a time: who asks for less is served earlier (Linux 6.12) */
    (void)syscall(SYS_sched_setattr, 0, &scheduling, 0);
#endif
}

static void *care_for(void *context)
{
    rp_pool *pool = context;
    double rest = UNTIL_WORK;
    be_prompt();
    while (rpi_nap_take(&pool->caretaker.nap, rest))
        rest = look(pool);
    return NULL;
}

void rpi_caretaker_start(rp_pool *pool)
{
    struct rpi_caretaker *care = &pool->caretaker;
    sigset_t all, before;
    rpi_nap_init(&care->nap);
    care->rest = UNTIL_WORK;
    care->blocked = true;
    (void)sigfillset(&all); /* signals are the application's threads' */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&care->thread, NULL, care_for, pool);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    care->live = code == 0;
    if (care->live)
        return;
    care->blocked = false;
    rpi_nap_fini(&care->nap);
    rpi_say(&pool->log, RP_LOG_WARNING,
            "the caretaker thread could not be started (error %d): tasks move only while calls on the pool drive it", code);
}

void rpi_caretaker_stop(rp_pool *pool)
{
    struct rpi_caretaker *care = &pool->caretaker;
    if (!care->live)
        return;
    rpi_nap_end(&care->nap);
    (void)pthread_join(care->thread, NULL); /* it never waits for the pool's lock */
    rpi_nap_fini(&care->nap);
    care->live = care->blocked = false;
}
