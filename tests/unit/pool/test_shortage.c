/* A pool of one process while memory runs short: every allocation fails in turn, then at random.
 * What was refused has changed nothing and can be asked for again; nothing is lost and nothing
 * leaks. */
#include "harness.h"
#include "local_pool.h"
#include "scarce.h"

#include <stdlib.h>
#include <string.h>

#define LARGE 9000 /* bytes: more than a batch holds */

static struct memory memory;
static rp_pool *pool;

/* ---- tasks */

static rp_status echo(rp_call *call, const void *arg, size_t size)
{
    return rp_return(call, arg, size);
}

static rp_status grow(rp_call *call, const void *arg, size_t size)
{
    uint8_t *room = rp_reserve(call, LARGE);
    (void)size;
    if (!room)
        return RP_ERR_NOMEM;
    memset(room, *(const char *)arg, LARGE);
    return RP_OK;
}

static rp_status fail(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    return rp_fail(call, (int)size, "this one always fails");
}

static int register_tasks(void)
{
    return rp_register("echo", echo) != RP_OK || rp_register("grow", grow) != RP_OK ||
           rp_register("fail", fail) != RP_OK;
}

/* ---- calls, made again until there is memory */

static rp_future submit(rp_fn *fn, const void *arg, size_t size, const rp_task_options *options)
{
    rp_future future = { 0 };
    rp_status status;
    int tries = 0;
    while (again(status = rp_submit(pool, fn, arg, size, options, &future), &tries))
        CU_ASSERT_EQUAL(future.id, 0); /* nothing was written */
    CU_ASSERT_EQUAL(status, RP_OK);
    return future;
}

static rp_status get(rp_future future, void *result, size_t capacity, size_t *size)
{
    rp_status status;
    int tries = 0;
    while (again(status = rp_get(pool, future, RP_FOREVER, result, capacity, size), &tries))
        continue;
    return status;
}

/* Whether the task failed because its worker was out of memory: then it alone is submitted
 * again. */
static bool worker_was_short(rp_future future)
{
    rp_outcome outcome = RP_OUTCOME_INIT;
    if (rp_outcome_of(pool, future, &outcome) != RP_OK)
        return false;
    return outcome.status == RP_ERR_TASK && outcome.code == RP_ERR_NOMEM;
}

static void wait_settled(rp_future future)
{
    rp_status status;
    int tries = 0;
    while (again(status = rp_wait(pool, future, RP_FOREVER), &tries))
        continue;
    CU_ASSERT_EQUAL(status, RP_OK);
}

/* Submits and waits until the task was not short of memory. */
static rp_future run(rp_fn *fn, const void *arg, size_t size, const rp_task_options *options)
{
    for (int tries = 0;; tries++) {
        rp_future future = submit(fn, arg, size, options);
        wait_settled(future);
        if (!worker_was_short(future))
            return future;
        CU_ASSERT_EQUAL(rp_release(pool, future), RP_OK);
        if (tries == TRIES) {
            tired++;
            return future;
        }
    }
}

/* ---- what is tried */

static bool is_filled(const uint8_t *bytes, size_t size, uint8_t with)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != with)
            return false;
    return true;
}

static void short_tasks(void)
{
    rp_future futures[20];
    for (int i = 0; i < 20; i++)
        futures[i] = submit(echo, &i, sizeof i, NULL);
    for (int i = 0; i < 20; i++) {
        int result = -1;
        size_t size = 0;
        CU_ASSERT_EQUAL(get(futures[i], &result, sizeof result, &size), RP_OK);
        CU_ASSERT_TRUE(result == i && size == sizeof result);
        CU_ASSERT_EQUAL(rp_state_of(pool, futures[i]), RP_STALE);
    }
}

static void medium_results(void)
{
    char text[100];
    memset(text, 'm', sizeof text);
    rp_future future = run(echo, text, sizeof text, NULL);
    void *taken = NULL;
    size_t size = 0;
    int tries = 0;
    rp_status status;
    while (again(status = rp_take(pool, future, RP_FOREVER, &taken, &size), &tries))
        CU_ASSERT_EQUAL(rp_state_of(pool, future), RP_DONE);
    CU_ASSERT_TRUE(status == RP_OK && size == sizeof text && taken &&
                   memcmp(taken, text, size) == 0);
    rp_free(taken);
    future = run(echo, "four", 4, NULL); /* its result needs a buffer only to be taken */
    while (again(status = rp_take(pool, future, RP_FOREVER, &taken, &size), &tries))
        CU_ASSERT_EQUAL(rp_state_of(pool, future), RP_DONE);
    CU_ASSERT_TRUE(status == RP_OK && size == 4 && taken && memcmp(taken, "four", 4) == 0);
    rp_free(taken);
}

static void large_both_ways(void)
{
    static uint8_t arg[LARGE], result[LARGE];
    memset(arg, 'L', sizeof arg);
    rp_task_options borrow = RP_TASK_OPTIONS_INIT;
    borrow.borrow = true;
    for (int i = 0; i < 2; i++) {
        memset(result, 0, sizeof result);
        rp_future future = run(i ? grow : echo, arg, sizeof arg, i ? &borrow : NULL);
        CU_ASSERT_EQUAL(get(future, result, sizeof result, NULL), RP_OK);
        CU_ASSERT_TRUE(is_filled(result, LARGE, 'L'));
    }
}

static void failing_tasks(void)
{
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    options.retries = 2;
    options.priority = 3;
    rp_future future = submit(fail, "xyz", 3, &options);
    wait_settled(future);
    rp_outcome outcome = RP_OUTCOME_INIT;
    CU_ASSERT_EQUAL_FATAL(rp_outcome_of(pool, future, &outcome), RP_OK);
    CU_ASSERT_TRUE(outcome.status == RP_ERR_TASK && outcome.code == 3 && outcome.attempts == 3);
    CU_ASSERT_PTR_NOT_NULL(strstr(outcome.message, "this one always fails"));
    CU_ASSERT_EQUAL(get(future, NULL, 0, NULL), RP_ERR_TASK);
}

static void detached_task(void)
{
    rp_status status;
    int tries = 0;
    while (again(status = rp_submit(pool, fail, NULL, 0, NULL, NULL), &tries))
        continue;
    CU_ASSERT_EQUAL(status, RP_OK);
}

static void a_map(void)
{
    int in[300], out[300];
    rp_status status;
    int tries = 0;
    for (int i = 0; i < 300; i++)
        in[i] = 1000 + i;
    do {
        memset(out, 0, sizeof out);
        status = rp_map(pool, echo, in, sizeof *in, 300, out, sizeof *out, NULL);
    } while (
        again(status == RP_ERR_TASK ? RP_ERR_NOMEM : status, &tries)); /* a chunk found no room */
    CU_ASSERT_EQUAL(status, RP_OK);
    CU_ASSERT_EQUAL(memcmp(in, out, sizeof in), 0);
}

static void a_map_that_fails(void)
{
    rp_status statuses[50];
    rp_map_options options = RP_MAP_OPTIONS_INIT;
    rp_status status;
    int tries = 0;
    options.statuses = statuses;
    options.chunk = 20;
    while (again(status = rp_map(pool, fail, NULL, 0, 50, NULL, 0, &options), &tries))
        continue;
    CU_ASSERT_EQUAL(status, RP_ERR_TASK);
    for (int i = 0; i < 50; i++)
        CU_ASSERT_EQUAL(statuses[i], RP_ERR_TASK);
}

static void counts_are_right(void)
{
    rp_stats stats = RP_STATS_INIT;
    int tries = 0;
    rp_status status;
    while (again(status = rp_drain(pool, RP_FOREVER), &tries))
        continue;
    CU_ASSERT_EQUAL(status, RP_OK);
    CU_ASSERT_EQUAL(rp_stats_of(pool, &stats), RP_OK);
    CU_ASSERT_EQUAL(stats.submitted, stats.done + stats.failed + stats.cancelled);
    CU_ASSERT_EQUAL(stats.queued, 0);
}

/* ---- from open to close */

static void everything(void)
{
    rp_status status;
    int tries = 0;
    pool = NULL;
    while (again(status = local_pool_open(&memory, &pool), &tries))
        CU_ASSERT_TRUE(memory.live == 0 && pool == NULL);
    CU_ASSERT_EQUAL_FATAL(status, RP_OK);
    short_tasks();
    medium_results();
    large_both_ways();
    failing_tasks();
    detached_task();
    a_map();
    a_map_that_fails();
    counts_are_right();
    (void)submit(echo, "never asked for", 15, NULL);
    tries = 0;
    while (again(status = rp_close(&pool), &tries))
        CU_ASSERT_PTR_NOT_NULL(pool);
    CU_ASSERT_EQUAL(status, RP_OK);
    CU_ASSERT_PTR_NULL(pool);
    CU_ASSERT_EQUAL(memory.live, 0);
}

static void enough_memory(void)
{
    with_enough(&memory, everything, 50);
}

static void each_allocation_in_turn(void)
{
    with_each_refused(&memory, everything, 50);
}

static void some_in_a_row(void)
{
    with_some_refused(&memory, everything, 300);
}

/* Without any memory every call says so, and the pool lives on. */
static void none_at_all(void)
{
    static uint8_t arg[LARGE];
    rp_future future, first;
    memory = (struct memory){ 0 };
    CU_ASSERT_EQUAL_FATAL(local_pool_open(&memory, &pool), RP_OK);
    first = submit(echo, "a result of more than eight bytes", 33, NULL);
    memory.fail_at = memory.calls + 1;
    memory.fail_on = true;
    CU_ASSERT_EQUAL(rp_submit(pool, echo, arg, sizeof arg, NULL, &future), RP_ERR_NOMEM);
    CU_ASSERT_PTR_NOT_NULL(strstr(rp_error_message(), "out of memory"));
    CU_ASSERT_EQUAL(rp_map(pool, echo, arg, 1, 1, arg, 1, NULL), RP_ERR_NOMEM);
    CU_ASSERT_EQUAL(rp_get(pool, first, RP_FOREVER, arg, sizeof arg, NULL), RP_ERR_NOMEM);
    CU_ASSERT_NOT_EQUAL(rp_state_of(pool, first), RP_STALE);
    CU_ASSERT_EQUAL(rp_drain(pool, RP_FOREVER), RP_ERR_NOMEM);
    memory.fail_on = false;
    memory.fail_at = 0;
    CU_ASSERT_EQUAL(get(first, arg, sizeof arg, NULL), RP_OK);
    CU_ASSERT_EQUAL(memcmp(arg, "a result of more than", 21), 0);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
    CU_ASSERT_EQUAL(memory.live, 0);
}

static CU_TestInfo tests[] = { { "enough_memory", enough_memory },
                               { "each_allocation_in_turn", each_allocation_in_turn },
                               { "some_in_a_row", some_in_a_row },
                               { "none_at_all", none_at_all },
                               CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "shortage", register_tasks, NULL, NULL, NULL, tests },
                                 CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
