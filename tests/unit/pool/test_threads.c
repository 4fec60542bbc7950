/* Several threads at one pool, and the caretaker thread; without MPI, for the thread sanitizer. */
/* limit: 120 */
#include "harness.h"
#include "threads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

static atomic_int ran;
static atomic_bool let_go, inside;

static void rest(double seconds)
{
    struct timespec t = { .tv_nsec = (long)(seconds * 1e9) };
    (void)nanosleep(&t, NULL);
}

/* Whether it comes true within 20 s. */
static bool comes(atomic_int *counter, int value)
{
    for (int i = 0; i < 20000 && atomic_load(counter) < value; i++)
        rest(1e-3);
    return atomic_load(counter) >= value;
}

static rp_status counted(rp_call *call, const void *arg, size_t size)
{
    (void)call;
    (void)arg;
    (void)size;
    atomic_fetch_add(&ran, 1);
    return RP_OK;
}
RP_TASK(counted);

static rp_status counted_nap(rp_call *call, const void *arg, size_t size)
{
    rest(1e-3);
    return counted(call, arg, size);
}
RP_TASK(counted_nap);

static rp_status held(rp_call *call, const void *arg, size_t size)
{
    (void)call;
    (void)arg;
    (void)size;
    atomic_store(&inside, true);
    while (!atomic_load(&let_go))
        rest(1e-4);
    return RP_OK;
}
RP_TASK(held);

static void submit_many(rp_pool *pool, rp_fn *fn, int tasks)
{
    atomic_store(&ran, 0);
    for (int i = 0; i < tasks; i++) {
        rp_future future;
        CU_ASSERT_EQUAL(rp_submit(pool, fn, NULL, 0, NULL, &future), RP_OK);
        CU_ASSERT_EQUAL(rp_release(pool, future), RP_OK);
    }
}

static rp_toggle caretaker_of(rp_pool *pool)
{
    rp_stats stats = RP_STATS_INIT;
    CU_ASSERT_EQUAL(rp_stats_of(pool, &stats), RP_OK);
    return stats.caretaker;
}

/* ---- any function from any thread ---- */

static void one_process(void)
{
    rp_pool *pool = threads_open(0, NULL);
    CU_ASSERT_EQUAL(threads_mix(pool, 4, 30), 0);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

static void three_workers(void)
{
    rp_pool *pool = threads_open(3, NULL);
    CU_ASSERT_EQUAL(threads_mix(pool, 4, 30), 0);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

static void narrow_queue(void)
{
    rp_config config = RP_CONFIG_INIT;
    config.queue_limit_tasks = 3;
    rp_pool *pool = threads_open(2, &config);
    CU_ASSERT_EQUAL(threads_mix(pool, 4, 10), 0);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

struct waiter {
    rp_pool *pool;
    rp_future future;
    rp_status status;
};

static void *get(void *context)
{
    struct waiter *waiter = context;
    waiter->status = rp_get(waiter->pool, waiter->future, RP_FOREVER, NULL, 0, NULL);
    return NULL;
}

/* One thread runs a task of the pool of one process; the others' calls go on meanwhile. */
static void calls_while_a_task_runs(void)
{
    pthread_t thread;
    rp_future future;
    struct waiter waiter = { .pool = threads_open(0, NULL), .status = RP_ERR_INVALID };
    atomic_store(&let_go, false);
    atomic_store(&inside, false);
    CU_ASSERT_EQUAL(rp_submit(waiter.pool, held, NULL, 0, NULL, &waiter.future), RP_OK);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, get, &waiter), 0);
    while (!atomic_load(&inside))
        rest(1e-4);
    CU_ASSERT_EQUAL(rp_submit(waiter.pool, counted, NULL, 0, NULL, &future), RP_OK);
    CU_ASSERT_EQUAL(rp_wait(waiter.pool, future, 0.02), RP_ERR_TIMEOUT);
    CU_ASSERT_EQUAL(rp_state_of(waiter.pool, waiter.future), RP_SENT);
    CU_ASSERT_EQUAL(caretaker_of(waiter.pool), RP_OFF);
    atomic_store(&let_go, true);
    CU_ASSERT_EQUAL(rp_get(waiter.pool, future, RP_FOREVER, NULL, 0, NULL), RP_OK);
    (void)pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(waiter.status, RP_OK);
    CU_ASSERT_EQUAL(rp_close(&waiter.pool), RP_OK);
}

/* Two threads wait for one future: one has it, for the other it is gone. */
static void two_want_one(void)
{
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        struct waiter waiter = { .pool = threads_open(1, NULL), .status = RP_ERR_INVALID };
        CU_ASSERT_EQUAL(rp_submit(waiter.pool, counted_nap, NULL, 0, NULL, &waiter.future), RP_OK);
        struct waiter here = waiter;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, get, &waiter), 0);
        (void)get(&here);
        (void)pthread_join(thread, NULL);
        CU_ASSERT((waiter.status == RP_OK && here.status == RP_ERR_STALE) ||
                  (here.status == RP_OK && waiter.status == RP_ERR_STALE));
        CU_ASSERT_EQUAL(rp_close(&waiter.pool), RP_OK);
    }
}

struct stream_user {
    rp_stream *stream;
    int submitted;
};

/* Submits to the one stream, of a pool with a narrow queue. */
static void *feed(void *context)
{
    struct stream_user *user = context;
    for (int i = 0; i < 500; i++) {
        rp_status status;
        while ((status = rp_stream_submit(user->stream, counted, NULL, 0, NULL, NULL)) ==
               RP_ERR_FULL)
            rest(1e-5);
        user->submitted += status == RP_OK;
    }
    return NULL;
}

static void several_feed_a_stream(void)
{
    rp_config config = RP_CONFIG_INIT;
    rp_stream_options options = RP_STREAM_OPTIONS_INIT;
    pthread_t threads[3];
    struct stream_user users[3] = { 0 };
    uint64_t next = 0;
    rp_item item = RP_ITEM_INIT;
    config.queue_limit_tasks = 2;
    options.ordered = true;
    rp_pool *pool = threads_open(2, &config);
    CU_ASSERT_EQUAL_FATAL(rp_stream_open(pool, &options, &users[0].stream), RP_OK);
    for (int i = 0; i < 3; i++) {
        users[i].stream = users[0].stream;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, feed, &users[i]), 0);
    }
    for (; next < 1500 && rp_stream_next(users[0].stream, 20, &item) == RP_OK; next++)
        if (item.index != next)
            break;
    CU_ASSERT_EQUAL(next, 1500);
    for (int i = 0; i < 3; i++) {
        (void)pthread_join(threads[i], NULL);
        CU_ASSERT_EQUAL(users[i].submitted, 500);
    }
    CU_ASSERT_EQUAL(rp_stream_close(&users[0].stream), RP_OK);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

/* ---- the caretaker ---- */

static void is_there_by_default(void)
{
    rp_config config = RP_CONFIG_INIT;
    config.background = RP_OFF;
    rp_pool *with = threads_open(2, NULL), *without = threads_open(2, &config);
    CU_ASSERT_EQUAL(caretaker_of(with), RP_ON);
    CU_ASSERT_EQUAL(caretaker_of(without), RP_OFF);
    CU_ASSERT_EQUAL(rp_close(&with), RP_OK);
    CU_ASSERT_EQUAL(rp_close(&without), RP_OK);
    config.background = RP_ON;
    rp_pool *alone = threads_open(0, &config);
    CU_ASSERT_EQUAL(caretaker_of(alone), RP_OFF);
    CU_ASSERT_EQUAL(rp_close(&alone), RP_OK);
}

static void drives_while_nobody_calls(void)
{
    rp_pool *pool = threads_open(2, NULL);
    for (int i = 0; i < 3; i++) {
        submit_many(pool, counted_nap, 100);
        CU_ASSERT_TRUE(comes(&ran, 100));
        rest(2e-2); /* it falls asleep, and must be woken */
    }
    submit_many(pool, counted, 20000);
    CU_ASSERT_TRUE(comes(&ran, 20000));
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

static void nobody_drives_without_it(void)
{
    rp_config config = RP_CONFIG_INIT;
    config.background = RP_OFF;
    rp_pool *pool = threads_open(1, &config);
    submit_many(pool, counted_nap, 100);
    rest(0.3);
    CU_ASSERT_TRUE(atomic_load(&ran) < 100);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
    CU_ASSERT_EQUAL(atomic_load(&ran), 100);
}

static void count_line(rp_level level, const char *line, void *lines)
{
    (void)level;
    (void)line;
    atomic_fetch_add((atomic_int *)lines, 1);
}

/* It has nothing to wait for, and takes notice all the same. */
static void a_drain_at_rest_drives(void)
{
    rp_config config = RP_CONFIG_INIT;
    atomic_int lines = 0;
    config.background = RP_OFF;
    config.log = count_line;
    config.log_user = &lines;
    IGNORE_LEAKS();
    rp_pool *pool = threads_open(2, &config);
    threads_lose(pool, 1);
    for (int i = 0; i < 1000 && atomic_load(&lines) == 0; i++) {
        CU_ASSERT_EQUAL(rp_drain(pool, 0), RP_OK);
        rest(1e-4);
    }
    CU_ASSERT_EQUAL(atomic_load(&lines), 1); /* that the worker is lost */
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
    COUNT_LEAKS();
}

static void every_pool_has_its_own(void)
{
    rp_pool *pools[3];
    for (int i = 0; i < 3; i++)
        pools[i] = threads_open(1, NULL);
    for (int i = 0; i < 3; i++) {
        submit_many(pools[i], counted_nap, 50);
        CU_ASSERT_TRUE(comes(&ran, 50));
    }
    for (int i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(rp_close(&pools[i]), RP_OK);
}

static void ends_with_the_pool(void)
{
    for (int i = 0; i < 100; i++) {
        rp_pool *pool = threads_open(2, NULL);
        submit_many(pool, counted_nap, i % 8);
        if (i % 3 == 0)
            rest(1e-3); /* it may be at work by then */
        CU_ASSERT_EQUAL(i % 2 ? rp_close(&pool) : rp_terminate(&pool), RP_OK);
    }
}

static pthread_t called_on;
static int called;

static void note_call(rp_pool *pool, rp_future future, const rp_outcome *outcome, void *user)
{
    (void)pool;
    (void)future;
    (void)user;
    called_on = pthread_self();
    called += outcome->status == RP_OK && outcome->size == sizeof(double);
}

static rp_status gives_a_number(rp_call *call, const void *arg, size_t size)
{
    double x = 1;
    rp_status status = rp_return(call, &x, sizeof x);
    (void)counted(call, arg, size);
    return status;
}
RP_TASK(gives_a_number);

/* It settles the task; on_done waits for a call of the application's, even one that takes the
 * result away. */
static void calls_nothing_back(void)
{
    rp_pool *pool = threads_open(1, NULL);
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    options.on_done = note_call;
    for (int i = 0; i < 20; i++) {
        rp_future future;
        double x = 0;
        called = 0;
        atomic_store(&ran, 0);
        CU_ASSERT_EQUAL(rp_submit(pool, gives_a_number, NULL, 0, &options, &future), RP_OK);
        CU_ASSERT_TRUE(comes(&ran, 1));
        rest(5e-3);
        CU_ASSERT_EQUAL(called, 0);
        CU_ASSERT_EQUAL(rp_get(pool, future, RP_FOREVER, &x, sizeof x, NULL), RP_OK);
        CU_ASSERT_EQUAL(rp_drain(pool, RP_FOREVER), RP_OK);
        CU_ASSERT_EQUAL(called, 1);
        CU_ASSERT_TRUE(pthread_equal(called_on, pthread_self()));
    }
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

/* A failure while no call runs is reported by the next call. */
static void keeps_a_failure(void)
{
    IGNORE_LEAKS();
    rp_pool *pool = threads_open(1, NULL);
    rp_future future;
    atomic_store(&let_go, false);
    atomic_store(&inside, false);
    CU_ASSERT_EQUAL(rp_submit(pool, held, NULL, 0, NULL, &future), RP_OK);
    while (!atomic_load(&inside))
        rest(1e-4);
    rest(2e-2);
    threads_fail(true);
    rest(5e-2);
    threads_fail(false);
    CU_ASSERT_EQUAL(rp_wait(pool, future, 10), RP_ERR_BROKEN);
    CU_ASSERT_PTR_NOT_NULL(strstr(rp_error_message(), "the test's transport fails"));
    atomic_store(&let_go, true);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_ERR_BROKEN);
    CU_ASSERT_PTR_NULL(pool);
    COUNT_LEAKS();
}

int main(int argc, char **argv)
{
    static CU_TestInfo calls[] = { { "one_process", one_process },
                                   { "three_workers", three_workers },
                                   { "narrow_queue", narrow_queue },
                                   { "calls_while_a_task_runs", calls_while_a_task_runs },
                                   { "two_want_one", two_want_one },
                                   { "several_feed_a_stream", several_feed_a_stream },
                                   CU_TEST_INFO_NULL };
    static CU_TestInfo caretaker[] = { { "is_there_by_default", is_there_by_default },
                                       { "drives_while_nobody_calls", drives_while_nobody_calls },
                                       { "nobody_drives_without_it", nobody_drives_without_it },
                                       { "a_drain_at_rest_drives", a_drain_at_rest_drives },
                                       { "every_pool_has_its_own", every_pool_has_its_own },
                                       { "ends_with_the_pool", ends_with_the_pool },
                                       { "calls_nothing_back", calls_nothing_back },
                                       { "keeps_a_failure", keeps_a_failure },
                                       CU_TEST_INFO_NULL };
    static CU_SuiteInfo suites[] = { { "calls", NULL, NULL, NULL, NULL, calls },
                                     { "caretaker", NULL, NULL, NULL, NULL, caretaker },
                                     CU_SUITE_INFO_NULL };
    return harness_main(argc, argv, suites);
}
