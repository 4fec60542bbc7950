/* Very many tasks, several threads, and random calls of every kind.  SEED=n in the environment
 * gives back a failed run's calls. */
/* run: alone, -n 2, -n 4, -n 8 */
/* limit: 120 */
#include "fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- chance ---- */

static uint64_t chance_state;

static uint32_t chance(uint32_t below)
{
    chance_state = chance_state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)((chance_state >> 33) % below);
}

static void seed(void)
{
    const char *text = getenv("SEED");
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    chance_state = text ? strtoull(text, NULL, 10) : (uint64_t)t.tv_nsec ^ (uint64_t)t.tv_sec << 20;
    if (rank_here() == 0)
        printf("SEED=%llu\n", (unsigned long long)chance_state);
    (void)fflush(stdout);
}

/* ---- a task that does as it is told ---- */

struct order {
    uint64_t seed;     /* of the data after the order, and of the result */
    uint32_t result;   /* bytes */
    int32_t code;      /* of its failure; 0: none */
    uint32_t enough;   /* attempts before it does not fail */
    uint32_t spinning; /* rounds of work */
};

static rp_status obey(rp_call *call, const void *arg, size_t size)
{
    struct order order;
    rp_call_info info = RP_CALL_INFO_INIT;
    if (size < sizeof order)
        return rp_fail(call, -1, "%zu bytes", size);
    memcpy(&order, arg, sizeof order);
    if (!filled((const char *)arg + sizeof order, size - sizeof order, order.seed))
        return rp_fail(call, -2, "a damaged argument of %zu bytes", size);
    for (volatile uint32_t i = 0; i < order.spinning; i++)
        continue;
    rp_call_info_of(call, &info);
    if ((uint32_t)info.attempt < order.enough)
        return rp_fail(call, -3, "attempt %d", info.attempt);
    if (order.code)
        return rp_fail(call, order.code, "as ordered: %d", order.code);
    void *room = rp_reserve(call, order.result);
    if (!room)
        return RP_ERR_NOMEM;
    fill(room, order.result, order.seed + 1);
    return RP_OK;
}
RP_TASK(obey);

/* ---- random calls ---- */

#define LIVE  600
#define LARGE 400000

struct live {
    rp_future future;
    struct order order;
    bool hopeless; /* more attempts are needed than it has */
    char *borrowed;
};

static struct live live[LIVE];
static size_t lives;
static rp_future gone[64]; /* no longer live */
static uint64_t submitted;
static char buffer[LARGE + 100];

static rp_status expected(const struct live *one)
{
    return one->hopeless || one->order.code ? RP_ERR_TASK : RP_OK;
}

static size_t random_size(void)
{
    uint32_t kind = chance(100);
    return kind < 50   ? chance(32)
           : kind < 85 ? chance(500)
           : kind < 97 ? chance(9000)
                       : chance(LARGE - (uint32_t)sizeof(struct order));
}

static void random_order(struct order *order, size_t *size)
{
    *order = (struct order){ .seed = chance(UINT32_MAX), .enough = 1 };
    order->result = (uint32_t)random_size();
    order->code = chance(10) == 0 ? (int32_t)chance(1000) + 1 : 0;
    order->spinning = chance(20) == 0 ? chance(200000) : chance(200);
    *size = sizeof *order + random_size();
}

static void write_order(char *arg, const struct order *order, size_t size)
{
    memcpy(arg, order, sizeof *order);
    fill(arg + sizeof *order, size - sizeof *order, order->seed);
}

static void strike_out(size_t i)
{
    gone[chance(64)] = live[i].future;
    free(live[i].borrowed);
    live[i] = live[--lives];
}

static bool right(const struct live *one, const void *data, size_t size)
{
    return size == one->order.result && filled(data, size, one->order.seed + 1);
}

static void do_submit(void)
{
    struct live one = { .borrowed = NULL };
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    size_t size;
    if (lives == LIVE)
        return;
    random_order(&one.order, &size);
    if (chance(5) == 0)
        options.priority = (int32_t)chance(7) - 3;
    if (chance(8) == 0)
        options.cost = chance(100);
    if (chance(6) == 0) {
        options.retries = (int)chance(3);
        one.order.enough = chance(4) + 1;
        one.hopeless = one.order.enough > (uint32_t)options.retries + 1;
    }
    options.no_wait = chance(4) == 0;
    char *arg = malloc(size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(arg);
    write_order(arg, &one.order, size);
    options.borrow = chance(6) == 0;
    bool detached = !options.borrow && !one.hopeless && !one.order.code && chance(10) == 0;
    rp_status status = rp_submit(pool, obey, arg, size, &options, detached ? NULL : &one.future);
    if (status == RP_OK && options.borrow) {
        one.borrowed = arg;
    } else {
        memset(arg, 0, size);
        free(arg);
    }
    if (status == RP_ERR_FULL && options.no_wait)
        return;
    if (!IS(RP_OK, status))
        return;
    submitted++;
    if (!detached)
        live[lives++] = one;
}

static void do_get(size_t i)
{
    struct live *one = &live[i];
    size_t size = SIZE_MAX, room = chance(4) ? LARGE : one->order.result / 2;
    double timeout = chance(3) ? RP_FOREVER : 0.0005 * chance(3);
    rp_status status = rp_get(pool, one->future, timeout, buffer, room, &size);
    if (status == RP_ERR_TIMEOUT && timeout >= 0)
        return;
    if (expected(one) == RP_OK && one->order.result > room) {
        CU_ASSERT(status == RP_ERR_SIZE && size == one->order.result);
        return;
    }
    CU_ASSERT(status == expected(one) && (status != RP_OK || right(one, buffer, size)));
    strike_out(i);
}

static void do_take(size_t i)
{
    void *data = NULL;
    size_t size = 0;
    double timeout = chance(3) ? RP_FOREVER : 0;
    rp_status status = rp_take(pool, live[i].future, timeout, &data, &size);
    if (status == RP_ERR_TIMEOUT && timeout >= 0)
        return;
    CU_ASSERT(status == expected(&live[i]) && (status != RP_OK || right(&live[i], data, size)));
    rp_free(data);
    strike_out(i);
}

static void do_outcome(size_t i)
{
    rp_outcome outcome = RP_OUTCOME_INIT;
    rp_status status = rp_wait(pool, live[i].future, chance(2) ? RP_FOREVER : 0);
    if (status == RP_ERR_TIMEOUT) {
        CU_ASSERT_NOT_EQUAL(rp_state_of(pool, live[i].future), RP_STALE);
        return;
    }
    CU_ASSERT_EQUAL(status, RP_OK);
    CU_ASSERT_EQUAL(rp_state_of(pool, live[i].future), RP_DONE);
    IS(RP_OK, rp_outcome_of(pool, live[i].future, &outcome));
    CU_ASSERT_EQUAL(outcome.status, expected(&live[i]));
    if (outcome.status == RP_OK) {
        CU_ASSERT(right(&live[i], outcome.data, outcome.size));
        CU_ASSERT_EQUAL((uint32_t)outcome.attempts, live[i].order.enough);
    } else {
        CU_ASSERT_EQUAL(outcome.code, live[i].hopeless ? -3 : live[i].order.code);
    }
}

static void do_release(size_t i)
{
    rp_state state = rp_state_of(pool, live[i].future);
    if (live[i].borrowed && state != RP_DONE)
        return; /* its argument is still needed */
    IS(RP_OK, rp_release(pool, live[i].future));
    strike_out(i);
}

static void do_stale(void)
{
    rp_future future = gone[chance(64)];
    CU_ASSERT_EQUAL(rp_state_of(pool, future), RP_STALE);
    IS(RP_ERR_STALE, rp_get(pool, future, RP_FOREVER, buffer, LARGE, NULL));
    IS(RP_ERR_STALE, rp_release(pool, future));
}

static void do_several(void)
{
    rp_future futures[20];
    size_t count = chance(20) + 1, index = SIZE_MAX;
    for (size_t i = 0; i < count; i++)
        futures[i] = live[chance((uint32_t)lives)].future;
    if (chance(2)) {
        IS(RP_OK, rp_wait_any(pool, futures, count, RP_FOREVER, &index));
        CU_ASSERT_FATAL(index < count);
        CU_ASSERT_EQUAL(rp_state_of(pool, futures[index]), RP_DONE);
    } else {
        IS(RP_OK, rp_wait_all(pool, futures, count, (rp_when)chance(3), RP_FOREVER));
    }
}

static void do_map(void)
{
    enum { SIZE = sizeof(struct order), OUT = 24 };
    size_t count = chance(10) ? chance(100) : chance(5000), wrong = 0, lowest = SIZE_MAX;
    struct order *orders = malloc((count + 1) * SIZE);
    char *out = malloc((count + 1) * OUT);
    rp_status *statuses = malloc((count + 1) * sizeof *statuses);
    rp_map_options options = RP_MAP_OPTIONS_INIT;
    CU_ASSERT_FATAL(orders && out && statuses);
    for (size_t i = 0; i < count; i++) {
        bool failing = chance(100) == 0;
        orders[i] = (struct order){ .seed = chance(UINT32_MAX),
                                    .result = OUT,
                                    .code = failing ? 7 : 0 };
        lowest = failing && lowest == SIZE_MAX ? i : lowest;
    }
    options.chunk = chance(3) ? 0 : chance(50);
    options.statuses = statuses;
    IS(lowest == SIZE_MAX ? RP_OK : RP_ERR_TASK,
       rp_map(pool, obey, orders, SIZE, count, out, OUT, &options));
    for (size_t i = 0; i < count; i++) {
        wrong += statuses[i] != (orders[i].code ? RP_ERR_TASK : RP_OK);
        wrong += !orders[i].code && !filled(out + i * OUT, OUT, orders[i].seed + 1);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    submitted += count;
    free(orders);
    free(out);
    free(statuses);
}

static void do_apply(void)
{
    struct order order;
    size_t size, got = 0;
    random_order(&order, &size);
    static char arg[LARGE];
    write_order(arg, &order, size);
    struct live one = { .order = order };
    rp_status status = rp_apply(pool, obey, arg, size, buffer, LARGE, &got);
    CU_ASSERT(status == expected(&one) && (status != RP_OK || right(&one, buffer, got)));
    submitted++;
}

static void do_stats(void)
{
    rp_stats stats = RP_STATS_INIT;
    IS(RP_OK, rp_stats_of(pool, &stats));
    CU_ASSERT_EQUAL(stats.submitted, submitted);
    CU_ASSERT_EQUAL(stats.done + stats.failed + stats.cancelled + stats.waiting + stats.queued +
                        stats.sent,
                    submitted);
}

static void do_something(void)
{
    uint32_t kind = chance(1000);
    size_t i = lives ? chance((uint32_t)lives) : 0;
    if (kind < 420 || (!lives && kind < 900))
        do_submit();
    else if (kind < 600)
        do_get(i);
    else if (kind < 700)
        do_take(i);
    else if (kind < 800)
        do_outcome(i);
    else if (kind < 860)
        do_release(i);
    else if (kind < 880)
        do_several();
    else if (kind < 930)
        do_stale();
    else if (kind < 940)
        do_map();
    else if (kind < 960)
        do_apply();
    else if (kind < 985)
        do_stats();
    else if (kind < 998)
        IS(RP_OK, rp_progress(pool));
    else
        IS(RP_OK, rp_drain(pool, RP_FOREVER));
}

static void settle_all(void)
{
    while (lives) {
        void *data = NULL;
        size_t size = 0;
        rp_status status = rp_take(pool, live[0].future, RP_FOREVER, &data, &size);
        CU_ASSERT(status == expected(&live[0]) && (status != RP_OK || right(&live[0], data, size)));
        rp_free(data);
        strike_out(0);
    }
}

static void random_calls(void)
{
    seed();
    for (int round = 0; round < 12; round++) {
        rp_config config = RP_CONFIG_INIT;
        config.processes = ranks() > 1 ? (int)chance((uint32_t)ranks()) : 0;
        config.queue_limit_tasks = chance(2) ? chance(40) : 0;
        config.queue_limit_bytes = chance(3) ? 0 : chance(100000) + 1000;
        if (!open_pool(&config))
            continue;
        lives = submitted = 0;
        memset(gone, 0, sizeof gone);
        for (int i = 0; i < 10000; i++)
            do_something();
        if (round % 3)
            settle_all();
        do_stats();
        IS(RP_OK, round % 2 ? rp_close(&pool) : rp_terminate(&pool));
        for (; lives; strike_out(0)) /* the pool borrows nothing any more */
            continue;
    }
}

/* ---- very many ---- */

static void tiny_tasks(void)
{
    enum { COUNT = 200000 };
    static rp_future futures[COUNT];
    uint64_t wrong = 0, done = 0;
    rp_stats stats = RP_STATS_INIT;
    if (!open_pool(NULL))
        return;
    for (int64_t i = 0; i < COUNT; i++)
        wrong += rp_submit(pool, twice, &i, sizeof i, NULL, &futures[i]) != RP_OK;
    for (int64_t i = 0; i < COUNT; i++) {
        int64_t out = -1;
        wrong += rp_get(pool, futures[i], RP_FOREVER, &out, sizeof out, NULL) != RP_OK ||
                 out != 2 * i;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    IS(RP_OK, rp_stats_of(pool, &stats));
    CU_ASSERT_EQUAL(stats.done, COUNT);
    for (int i = 1; i <= (int)rp_workers(pool); i++) {
        rp_worker_info info = RP_WORKER_INFO_INIT;
        IS(RP_OK, rp_worker_info_of(pool, i, &info));
        done += info.done;
    }
    CU_ASSERT_EQUAL(done, COUNT);
    close_pool();
}

/* One at a time: each waits for the one before. */
static void one_by_one(void)
{
    uint64_t wrong = 0;
    if (!open_pool(NULL))
        return;
    for (int64_t i = 0; i < 3000; i++) {
        int64_t out = -1;
        wrong += rp_apply(pool, twice, &i, sizeof i, &out, sizeof out, NULL) != RP_OK ||
                 out != 2 * i;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    close_pool();
}

/* ---- several threads ---- */

enum { THREADS = 3, TASKS = 20000, WINDOW = 100 };

static void *submit_and_get(void *salt)
{
    static _Thread_local rp_future futures[WINDOW];
    int64_t base = (int64_t)(intptr_t)salt * 1000000;
    uintptr_t wrong = 0;
    for (int64_t i = 0; i < TASKS + WINDOW; i++) {
        if (i >= WINDOW) {
            int64_t out = -1, before = base + i - WINDOW;
            wrong += rp_get(pool, futures[i % WINDOW], RP_FOREVER, &out, sizeof out, NULL) != RP_OK;
            wrong += out != 2 * before;
        }
        if (i < TASKS)
            wrong += rp_submit(pool, twice, &(int64_t){ base + i }, sizeof i, NULL,
                               &futures[i % WINDOW]) != RP_OK;
    }
    return (void *)wrong;
}

static void *look_and_map(void *unused)
{
    uintptr_t wrong = 0;
    (void)unused;
    for (int i = 0; i < 300; i++) {
        int64_t values[50];
        rp_stats stats = RP_STATS_INIT;
        for (int64_t j = 0; j < 50; j++)
            values[j] = j;
        wrong += rp_map(pool, twice, values, 8, 50, values, 8, NULL) != RP_OK || values[49] != 98;
        wrong += rp_progress(pool) != RP_OK;
        wrong += rp_stats_of(pool, &stats) != RP_OK || stats.done > stats.submitted;
        rp_status status = rp_drain(pool, 0.0001);
        wrong += status != RP_OK && status != RP_ERR_TIMEOUT;
        status = rp_apply(pool, returns, &(int){ 5 }, sizeof(int), NULL, 0, NULL);
        wrong += status != RP_ERR_TASK ||
                 !strstr(rp_error_message(), "code 5"); /* each thread has its own message */
    }
    return (void *)wrong;
}

static void threads(void)
{
    pthread_t all[THREADS + 1];
    rp_stats stats = RP_STATS_INIT;
    if (!open_pool(NULL))
        return;
    for (intptr_t i = 0; i <= THREADS; i++)
        CU_ASSERT_EQUAL_FATAL(
            pthread_create(&all[i], NULL, i < THREADS ? submit_and_get : look_and_map, (void *)i),
            0);
    for (int i = 0; i <= THREADS; i++) {
        void *wrong = all;
        (void)pthread_join(all[i], &wrong);
        CU_ASSERT_PTR_NULL(wrong);
    }
    IS(RP_OK, rp_stats_of(pool, &stats));
    CU_ASSERT_EQUAL(stats.submitted, THREADS * TASKS + 300 * 51);
    CU_ASSERT_EQUAL(stats.done + stats.failed, stats.submitted);
    close_pool();
}

/* Threads that wait for one future: all of them see it settle. */
static void *wait_for_it(void *future)
{
    return (void *)(uintptr_t)rp_wait(pool, *(rp_future *)future, RP_FOREVER);
}

static void threads_wait_for_one(void)
{
    pthread_t all[THREADS];
    if (!open_pool(NULL))
        return;
    for (int round = 0; round < 20; round++) {
        double length = 0.002;
        rp_future future = submit(wakeup, &length, sizeof length);
        for (int i = 0; i < THREADS; i++)
            CU_ASSERT_EQUAL_FATAL(pthread_create(&all[i], NULL, wait_for_it, &future), 0);
        for (int i = 0; i < THREADS; i++) {
            void *status = all;
            (void)pthread_join(all[i], &status);
            CU_ASSERT_EQUAL((uintptr_t)status, RP_OK);
        }
        IS(RP_OK, rp_release(pool, future));
    }
    close_pool();
}

int main(int argc, char **argv)
{
    static CU_TestInfo storm[] = {
        { "tiny_tasks", tiny_tasks },     { "one_by_one", one_by_one },
        { "threads", threads },           { "threads_wait_for_one", threads_wait_for_one },
        { "random_calls", random_calls }, CU_TEST_INFO_NULL
    };
    static CU_SuiteInfo suites[] = { { "storm", NULL, NULL, NULL, end_pool, storm },
                                     CU_SUITE_INFO_NULL };
    return harness_main(argc, argv, suites);
}
