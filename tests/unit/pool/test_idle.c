/* What threads do that wait for a pool and have given the core away: for the thread sanitizer
 * too. */
/* limit: 120 */
#include "base/backoff.h"
#include "base/bufcache.h"
#include "base/clock.h"
#include "harness.h"
#include "memory.h"
#include "pool/idle.h"
#include "pool/state.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#define LONG 20.0 /* seconds: it has failed */

/* ---- a pool of nothing but what rests, on a transport that only sleeps */

static struct {
    struct rpi_transport transport;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int parks, wakes, inside;
    bool woken, may_doze, deaf;
    double seconds; /* of the last park */
} bed;

static rp_pool *pool;

static bool doze(struct rpi_transport *transport)
{
    (void)transport;
    return bed.may_doze;
}

/* Whoever parks has let the pool's lock go. */
static void park(struct rpi_transport *transport, double seconds)
{
    const struct timespec until = rpi_timespec(rpi_now() + seconds);
    int code = 0;
    (void)transport;
    rpi_biased_lock_take(&pool->lock);
    rpi_biased_lock_give(&pool->lock);
    (void)pthread_mutex_lock(&bed.lock);
    bed.parks++;
    bed.inside++;
    bed.seconds = seconds;
    (void)pthread_cond_broadcast(&bed.changed);
    while ((!bed.woken || bed.deaf) && code == 0)
        code = pthread_cond_timedwait(&bed.changed, &bed.lock, &until);
    bed.woken = false;
    bed.inside--;
    (void)pthread_mutex_unlock(&bed.lock);
}

static void wake(struct rpi_transport *transport)
{
    (void)transport;
    (void)pthread_mutex_lock(&bed.lock);
    bed.wakes++;
    bed.woken = true;
    (void)pthread_cond_broadcast(&bed.changed);
    (void)pthread_mutex_unlock(&bed.lock);
}

static const struct rpi_transport_ops ops = { .doze = doze, .park = park, .wake = wake };

static void begin(void)
{
    pthread_condattr_t attributes;
    pool = test_zeroed(sizeof *pool);
    pool->transport = &bed.transport;
    pool->master.rebalance.look_again = -1;
    rpi_list_init(&pool->journaling.storing);
    rpi_idle_init(&pool->idle);
    bed.transport.ops = &ops;
    bed.parks = bed.wakes = bed.inside = 0;
    bed.woken = bed.deaf = false;
    bed.may_doze = true;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&bed.lock, NULL);
    (void)pthread_cond_init(&bed.changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

static void end(void)
{
    CU_ASSERT_EQUAL(pool->idle.sleepers, 0);
    CU_ASSERT_FALSE(pool->idle.parked);
    rpi_idle_fini(&pool->idle);
    (void)pthread_cond_destroy(&bed.changed);
    (void)pthread_mutex_destroy(&bed.lock);
    free(pool);
}

/* ---- threads that rest */

struct sleeper {
    pthread_t thread;
    double seconds;
    bool polite;
    bool early; /* what rpi_idle_take returned */
};

static void *rest(void *context)
{
    struct sleeper *sleeper = context;
    rpi_biased_lock_take(&pool->lock);
    sleeper->early = rpi_idle_take(pool, sleeper->seconds, sleeper->polite);
    rpi_biased_lock_give(&pool->lock);
    return NULL;
}

static void start(struct sleeper *sleeper)
{
    if (pthread_create(&sleeper->thread, NULL, rest, sleeper) != 0)
        abort();
}

static bool join(struct sleeper *sleeper)
{
    (void)pthread_join(sleeper->thread, NULL);
    return sleeper->early;
}

static int sleepers(void)
{
    rpi_biased_lock_take(&pool->lock);
    int count = pool->idle.sleepers;
    rpi_biased_lock_give(&pool->lock);
    return count;
}

/* Waits until `count` threads have let the lock go, one of them to sleep on the transport. */
static void await_sleepers(int count)
{
    double limit = rpi_now() + LONG;
    while (sleepers() != count && rpi_now() < limit)
        (void)sched_yield();
    CU_ASSERT_EQUAL_FATAL(sleepers(), count);
    (void)pthread_mutex_lock(&bed.lock);
    while (bed.inside == 0)
        (void)pthread_cond_wait(&bed.changed, &bed.lock);
    (void)pthread_mutex_unlock(&bed.lock);
}

static void rouse(void)
{
    rpi_biased_lock_take(&pool->lock);
    rpi_idle_rouse_now(pool);
    rpi_biased_lock_give(&pool->lock);
}

/* ---- tests */

static void its_time_is_over(void)
{
    begin();
    struct sleeper one = { .seconds = 2e-3 };
    double began = rpi_now();
    start(&one);
    CU_ASSERT_FALSE(join(&one));
    CU_ASSERT_TRUE(rpi_now() - began >= 2e-3);
    CU_ASSERT_EQUAL(bed.parks, 1);
    CU_ASSERT_TRUE(bed.seconds > 1.9e-3 && bed.seconds < 2.1e-3);
    end();
}

/* Each counter of what may be waited for. */
static void woken_by_what_is_new(void)
{
    for (int i = 0; i < 5; i++) {
        begin();
        struct rpi_counts *counts = &pool->master.counts;
        uint64_t *const news[] = { &counts->done, &counts->failed, &counts->cancelled,
                                   &counts->messages_in, &pool->turns };
        struct sleeper one = { .seconds = LONG };
        *news[i] = 7; /* it is no news for who comes later */
        start(&one);
        await_sleepers(1);
        rouse();
        CU_ASSERT_EQUAL(bed.wakes, 0);
        rpi_biased_lock_take(&pool->lock);
        ++*news[i];
        rpi_idle_rouse_now(pool);
        rpi_idle_rouse_now(pool);
        rpi_biased_lock_give(&pool->lock);
        CU_ASSERT_TRUE(join(&one));
        CU_ASSERT_EQUAL(bed.wakes, 1);
        end();
    }
}

/* One parks, the others sleep beside it; news wake all. */
static void one_parks_for_all(void)
{
    enum { MANY = 4 };
    struct sleeper many[MANY];
    begin();
    for (int i = 0; i < MANY; i++) {
        many[i] = (struct sleeper){ .seconds = LONG };
        start(&many[i]);
    }
    await_sleepers(MANY);
    CU_ASSERT_EQUAL(bed.parks, 1);
    rpi_biased_lock_take(&pool->lock);
    pool->turns++;
    rpi_idle_rouse_now(pool);
    rpi_biased_lock_give(&pool->lock);
    for (int i = 0; i < MANY; i++)
        CU_ASSERT_TRUE(join(&many[i]));
    CU_ASSERT_EQUAL(bed.parks, 1);
    CU_ASSERT_EQUAL(bed.wakes, 1);
    end();
}

/* The others do not wait until it has come out of the transport. */
static void each_is_woken(void)
{
    begin();
    struct sleeper first = { .seconds = LONG }, second = { .seconds = LONG };
    bed.deaf = true;
    start(&first);
    await_sleepers(1);
    start(&second);
    await_sleepers(2);
    rpi_biased_lock_take(&pool->lock);
    pool->turns++;
    rpi_idle_rouse_now(pool);
    rpi_biased_lock_give(&pool->lock);
    CU_ASSERT_TRUE(join(&second));
    CU_ASSERT_EQUAL(sleepers(), 1);
    (void)pthread_mutex_lock(&bed.lock);
    bed.deaf = false;
    (void)pthread_mutex_unlock(&bed.lock);
    wake(&bed.transport);
    CU_ASSERT_TRUE(join(&first));
    end();
}

/* A message wakes the thread that sleeps on the transport.  That thread wakes the next sleeper,
 * which must sleep there next: otherwise no thread would. */
static void the_next_one_parks(void)
{
    begin();
    struct sleeper first = { .seconds = LONG }, second = { .seconds = LONG };
    start(&first);
    await_sleepers(1);
    start(&second);
    await_sleepers(2);
    wake(&bed.transport);
    CU_ASSERT_TRUE(join(&first));
    CU_ASSERT_TRUE(join(&second));
    CU_ASSERT_EQUAL(bed.parks, 1);
    start(&second);
    await_sleepers(1);
    CU_ASSERT_EQUAL(bed.parks, 2);
    wake(&bed.transport);
    CU_ASSERT_TRUE(join(&second));
    end();
}

static void time_beside_is_over(void)
{
    begin();
    struct sleeper first = { .seconds = LONG }, second = { .seconds = 2e-3 };
    start(&first);
    await_sleepers(1);
    start(&second);
    CU_ASSERT_FALSE(join(&second));
    CU_ASSERT_EQUAL(bed.parks, 1);
    CU_ASSERT_EQUAL(sleepers(), 1);
    wake(&bed.transport);
    CU_ASSERT_TRUE(join(&first));
    end();
}

/* News that come before a sleeper sleeps are not slept over. */
static void news_and_sleepers_meet(void)
{
    begin();
    struct sleeper first = { .seconds = LONG }, second = { .seconds = LONG };
    start(&first);
    await_sleepers(1);
    bed.deaf = true;
    bool early = true;
    for (int i = 0; i < 1000 && early; i++) {
        start(&second);
        for (bool there = false; !there;) { /* it has let the lock go, and may not sleep yet */
            rpi_biased_lock_take(&pool->lock);
            there = pool->idle.sleepers == 2;
            pool->turns += there;
            rpi_idle_rouse_now(pool);
            rpi_biased_lock_give(&pool->lock);
            (void)sched_yield();
        }
        early = join(&second);
    }
    CU_ASSERT_TRUE(early);
    (void)pthread_mutex_lock(&bed.lock);
    bed.deaf = false;
    (void)pthread_mutex_unlock(&bed.lock);
    wake(&bed.transport);
    CU_ASSERT_TRUE(join(&first));
    end();
}

static bool is_up(void)
{
    (void)pthread_mutex_lock(&bed.lock);
    bool up = bed.inside == 0;
    (void)pthread_mutex_unlock(&bed.lock);
    return up;
}

/* The lock's owner has it when the sleeper wakes: one that is polite does not even ask, and the
 * owner stays what it is. */
static void politely(void)
{
    for (int polite = 0; polite < 2; polite++) {
        begin();
        struct sleeper one = { .seconds = LONG, .polite = polite };
        double limit = rpi_now() + LONG;
        start(&one);
        await_sleepers(1);
        rpi_biased_lock_own(&pool->lock); /* no other thread is in it, or comes before the wake */
        bool owned = rpi_biased_lock_is_own(&pool->lock);
        rpi_biased_lock_take(&pool->lock);
        wake(&bed.transport);
        while (!is_up() && rpi_now() < limit)
            (void)sched_yield();
        for (int i = 0; polite && i < 1000; i++)
            (void)sched_yield(); /* so that it has the time to ask */
        while (!polite && owned && !atomic_load(&pool->lock.closed) && rpi_now() < limit)
            (void)sched_yield();
        CU_ASSERT_EQUAL(atomic_load(&pool->lock.closed), owned && !polite);
        rpi_biased_lock_give(&pool->lock);
        CU_ASSERT_TRUE(join(&one));
        CU_ASSERT_EQUAL(rpi_biased_lock_is_own(&pool->lock), owned && polite);
        end();
    }
}

/* ---- whether, and for how long */

static void when_nothing_else_goes_on(void)
{
    begin();
    CU_ASSERT_TRUE(rpi_idle_doze(pool));
    bed.may_doze = false;
    CU_ASSERT_FALSE(rpi_idle_doze(pool));
    bed.may_doze = true;
    int journal;
    pool->journaling.journal = (struct rpi_journal *)(void *)&journal; /* it is not looked into */
    CU_ASSERT_FALSE(
        rpi_idle_doze(pool)); /* all is settled: what is not committed may be waited for */
    pool->master.unsettled = 1;
    CU_ASSERT_TRUE(rpi_idle_doze(pool));
    struct rpi_link stored;
    rpi_list_init(&stored);
    rpi_list_append(&pool->journaling.storing, &stored);
    CU_ASSERT_FALSE(rpi_idle_doze(pool));
    rpi_list_remove(&stored);
    CU_ASSERT_TRUE(rpi_idle_doze(pool));
    end();
}

static bool about(double value, double expected)
{
    return value >= expected * 0.999 && value <= expected * 1.001;
}

static void longer_each_time(void)
{
    struct rpi_backoff backoff = { 0 };
    begin();
    CU_ASSERT_TRUE(about(rpi_idle_limit(pool, &backoff), 1e-3));
    CU_ASSERT_TRUE(about(rpi_idle_limit(pool, &backoff), 2e-3));
    for (int i = 0; i < 20; i++)
        (void)rpi_idle_limit(pool, &backoff);
    CU_ASSERT_TRUE(about(rpi_idle_limit(pool, &backoff), RPI_BACKOFF_IDLE_MOST));
    pool->now = 100;
    pool->master.rebalance.look_again = 100.25; /* for work that another worker could do */
    CU_ASSERT_TRUE(about(rpi_idle_limit(pool, &backoff), 0.25));
    pool->master.rebalance.look_again = 99;
    double due = rpi_idle_limit(pool, &backoff);
    CU_ASSERT_TRUE(!(due > 0) && !(due < 0));
    pool->master.rebalance.look_again = -1;
    end();
}

/* Rank 0, which listens for signs of life, never sleeps so long that silence would not count. */
static void while_silence_counts(void)
{
    struct memory memory = { 0 };
    const struct rpi_alloc alloc = memory_hook(&memory);
    struct rpi_backoff backoff = { 0 };
    begin();
    for (int i = 0; i < 20; i++)
        (void)rpi_idle_limit(pool, &backoff);
    CU_ASSERT_EQUAL_FATAL(rpi_detector_init(&pool->members.detector, &alloc, 2, 0.4, 0), RP_OK);
    double pause = rpi_detector_pause(&pool->members.detector);
    CU_ASSERT_TRUE(pause > 0 && pause < 0.4);
    CU_ASSERT_TRUE(about(rpi_idle_limit(pool, &backoff), pause));
    rpi_detector_fini(&pool->members.detector);
    CU_ASSERT_EQUAL(memory.live, 0);
    end();
}

/* A rest of RPI_BACKOFF_IDLE_MOST frees idle buffers when it begins; a shorter one keeps them. */
static void a_long_rest_trims(void)
{
    for (int is_long = 0; is_long < 2; is_long++) {
        struct memory memory = { 0 };
        const struct rpi_alloc alloc = memory_hook(&memory);
        begin();
        pool->alloc = alloc;
        CU_ASSERT_TRUE_FATAL(rpi_bufcache_begin(&pool->alloc, RPI_BUFCACHE_IDLE));
        uint64_t empty = memory.live;
        rpi_buffer_free(rpi_buffer_new(&pool->alloc, RPI_BUFFER_LARGE));
        CU_ASSERT_EQUAL(memory.live, empty + 1);
        struct sleeper one = { .seconds = is_long ? RPI_BACKOFF_IDLE_MOST
                                                  : RPI_BACKOFF_IDLE_MOST / 2 };
        start(&one);
        await_sleepers(1);
        CU_ASSERT_EQUAL(memory.live, is_long ? empty : empty + 1);
        wake(&bed.transport);
        CU_ASSERT_TRUE(join(&one));
        rpi_bufcache_end(pool->alloc.cache);
        CU_ASSERT_EQUAL(memory.live, 0);
        end();
    }
}

/* Rank 0 looks after peers elsewhere all the time; what a long rest would give back is given back
 * all the same. */
static void with_peers_elsewhere(void)
{
    struct memory memory = { 0 };
    const struct rpi_alloc alloc = memory_hook(&memory);
    struct rpi_backoff backoff = { 0 };
    begin();
    pool->alloc = alloc;
    CU_ASSERT_TRUE_FATAL(rpi_bufcache_begin(&pool->alloc, RPI_BUFCACHE_IDLE));
    uint64_t empty = memory.live;
    rpi_buffer_free(rpi_buffer_new(&pool->alloc, RPI_BUFFER_LARGE));
    bed.transport.again = 0.125;
    CU_ASSERT_TRUE(rpi_idle_limit(pool, &backoff) < 0.125);
    CU_ASSERT_EQUAL(memory.live, empty + 1);
    for (int i = 0; i < 20; i++)
        (void)rpi_idle_limit(pool, &backoff);
    CU_ASSERT_TRUE(about(rpi_idle_limit(pool, &backoff), 0.125));
    CU_ASSERT_EQUAL(memory.live, empty);
    bed.transport.again = 0;
    rpi_bufcache_end(pool->alloc.cache);
    CU_ASSERT_EQUAL(memory.live, 0);
    end();
}

static CU_TestInfo tests[] = { { "its_time_is_over", its_time_is_over },
                               { "woken_by_what_is_new", woken_by_what_is_new },
                               { "one_parks_for_all", one_parks_for_all },
                               { "each_is_woken", each_is_woken },
                               { "the_next_one_parks", the_next_one_parks },
                               { "time_beside_is_over", time_beside_is_over },
                               { "news_and_sleepers_meet", news_and_sleepers_meet },
                               { "politely", politely },
                               { "when_nothing_else_goes_on", when_nothing_else_goes_on },
                               { "longer_each_time", longer_each_time },
                               { "while_silence_counts", while_silence_counts },
                               { "a_long_rest_trims", a_long_rest_trims },
                               { "with_peers_elsewhere", with_peers_elsewhere },
                               CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "rest", NULL, NULL, NULL, NULL, tests }, CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
