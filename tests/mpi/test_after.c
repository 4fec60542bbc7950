/* Tasks that come after others: options->after and rp_input. */
/* run: alone, -n 1, -n 2, -n 4 */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

#define CHAIN 1000

/* Adds 1 to the sum of its inputs, which are int64_t each; a longer one counts by its bytes, which
 * must be as filled. */
static rp_status adds(rp_call *call, const void *arg, size_t size)
{
    int64_t sum = 1;
    size_t length;
    const void *input;
    (void)arg;
    (void)size;
    for (size_t i = 0; (input = rp_input(call, i, &length)); i++) {
        int64_t value = (int64_t)length;
        if (length == sizeof value)
            memcpy(&value, input, sizeof value);
        else if (!filled(input, length, length))
            return rp_fail(call, 2, "input %zu has other bytes", i);
        sum += value;
    }
    return rp_return(call, &sum, sizeof sum);
}
RP_TASK(adds);

static rp_status makes(rp_call *call, const void *arg, size_t size)
{
    int64_t wanted;
    memcpy(&wanted, arg, size);
    void *room = rp_reserve(call, (size_t)wanted);
    if (wanted && !room)
        return rp_fail(call, 1, "no memory");
    fill(room, (size_t)wanted, (uint64_t)wanted);
    return RP_OK;
}
RP_TASK(makes);

/* Says how many inputs it sees, and whether those outside are none. */
static rp_status looks(rp_call *call, const void *arg, size_t size)
{
    size_t length = 77;
    int64_t seen = 0;
    (void)arg;
    (void)size;
    for (size_t i = 0; i < 3; i++)
        seen += rp_input(call, i, NULL) != NULL;
    if (rp_input(call, 3, &length) || length != 77 || rp_input(NULL, 0, NULL))
        return rp_fail(call, 3, "an input that is none");
    return rp_return(call, &seen, sizeof seen);
}
RP_TASK(looks);

static rp_future after(rp_fn *fn, const rp_future *inputs, size_t count)
{
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    rp_future future = { 0 };
    options.after = inputs;
    options.after_count = count;
    IS(RP_OK, rp_submit(pool, fn, NULL, 0, &options, &future));
    return future;
}

static int64_t value_of(rp_future future)
{
    int64_t value = -1;
    IS(RP_OK, rp_get(pool, future, 60, &value, sizeof value, NULL));
    return value;
}

static void chain(void)
{
    rp_future future, next;
    if (!open_pool(NULL))
        return;
    future = submit(adds, NULL, 0);
    for (int i = 1; i < CHAIN; i++) {
        next = after(adds, &future, 1);
        IS(RP_OK, rp_release(pool, future)); /* its result is still needed */
        future = next;
    }
    CU_ASSERT_EQUAL(value_of(future), CHAIN);
    close_pool();
}

static void many_inputs(void)
{
    static rp_future inputs[CHAIN];
    if (!open_pool(NULL))
        return;
    for (size_t i = 0; i < CHAIN; i++)
        inputs[i] = submit(adds, NULL, 0);
    rp_future all = after(adds, inputs, CHAIN), some = after(adds, inputs, 3);
    CU_ASSERT_EQUAL(value_of(all), CHAIN + 1);
    CU_ASSERT_EQUAL(value_of(some), 4);
    for (size_t i = 0; i < CHAIN; i++)
        CU_ASSERT_EQUAL(value_of(inputs[i]), 1);
    close_pool();
}

static void sizes(void)
{
    static const int64_t bytes[] = { 9, 4000, 70000, 5000000 };
    rp_future inputs[4], sums[20];
    if (!open_pool(NULL))
        return;
    for (size_t i = 0; i < 4; i++)
        inputs[i] = submit(makes, &bytes[i], sizeof bytes[i]);
    for (size_t i = 0; i < 20; i++)
        sums[i] = after(adds, inputs, 4);
    for (size_t i = 0; i < 20; i++)
        CU_ASSERT_EQUAL(value_of(sums[i]), 1 + 9 + 4000 + 70000 + 5000000);
    void *data = NULL;
    size_t size = 0;
    IS(RP_OK, rp_take(pool, inputs[3], 10, &data, &size));
    CU_ASSERT_TRUE(size == 5000000 && filled(data, size, size));
    rp_free(data);
    close_pool();
}

/* However many tasks need it there, a result goes to each worker at most once. */
static void travels_once(void)
{
    enum { SIZE = 1 << 20, TASKS = 50 };
    const int64_t size = SIZE;
    rp_stats before = RP_STATS_INIT, later = RP_STATS_INIT;
    rp_future sums[TASKS];
    if (!open_pool(NULL))
        return;
    rp_future input = submit(makes, &size, sizeof size);
    IS(RP_OK, rp_wait(pool, input, 60));
    IS(RP_OK, rp_stats_of(pool, &before));
    for (size_t i = 0; i < TASKS; i++)
        sums[i] = after(adds, &input, 1);
    IS(RP_OK, rp_release(pool, input));
    for (size_t i = 0; i < TASKS; i++)
        CU_ASSERT_EQUAL(value_of(sums[i]), 1 + SIZE);
    IS(RP_OK, rp_stats_of(pool, &later));
    uint64_t sent = (later.bytes_out - before.bytes_out) / SIZE;
    CU_ASSERT_TRUE(sent >= 1 && sent <= rp_workers(pool));
    close_pool();
}

static void edges(void)
{
    int64_t none = 0, one = 1;
    if (!open_pool(NULL))
        return;
    rp_future inputs[3] = { submit(makes, &one, sizeof one), submit(makes, &none, sizeof none),
                            submit(makes, &one, sizeof one) };
    IS(RP_OK, rp_drain(pool, 30));
    CU_ASSERT_EQUAL(value_of(after(looks, inputs, 3)),
                    2); /* settled already; an empty one is NULL */
    rp_future same[2] = { inputs[0], inputs[0] };
    CU_ASSERT_EQUAL(value_of(after(adds, same, 2)), 3);
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    rp_future future = { 5 };
    options.after_count = 1;
    IS(RP_ERR_INVALID, rp_submit(pool, adds, NULL, 0, &options, &future));
    SAYS("after");
    rp_future gone[2] = { inputs[0], { 12345 } };
    options.after = gone;
    options.after_count = 2;
    IS(RP_ERR_STALE, rp_submit(pool, adds, NULL, 0, &options, &future));
    SAYS("after[1]");
    CU_ASSERT_EQUAL(future.id, 5);
    close_pool();
}

static void failing(void)
{
    int status = 40;
    if (!open_pool(NULL))
        return;
    rp_future chain_of[4] = { submit(returns, &status, sizeof status) };
    for (size_t i = 1; i < 4; i++)
        chain_of[i] = after(adds, &chain_of[i - 1], 1);
    rp_future late;
    IS(RP_ERR_INPUT, rp_get(pool, chain_of[3], 30, NULL, 0, NULL));
    SAYS("adds");
    SAYS("returns");
    SAYS("code 40");
    late = after(adds, chain_of, 3); /* all of them failed before */
    IS(RP_ERR_INPUT, rp_get(pool, late, 30, NULL, 0, NULL));
    IS(RP_ERR_TASK, rp_get(pool, chain_of[0], 30, NULL, 0, NULL));
    close_pool();
}

/* Of a chain too long to be told, the failure that it began with is. */
static void failing_at_length(void)
{
    enum { LENGTH = 300 };
    static rp_future chain_of[LENGTH];
    char last[100];
    int status = 40;
    if (!open_pool(NULL))
        return;
    chain_of[0] = submit(returns, &status, sizeof status);
    for (size_t i = 1; i < LENGTH; i++)
        chain_of[i] = after(adds, &chain_of[i - 1], 1);
    for (size_t i = LENGTH - 1; i > 0; i--) {
        IS(RP_ERR_INPUT, rp_get(pool, chain_of[i], 30, NULL, 0, NULL));
        (void)snprintf(last, sizeof last, "task adds (number %zu) was not run", i);
        SAYS(last);
        (void)snprintf(last, sizeof last, "failed: task %s (number %zu)",
                       i > 1 ? "adds" : "returns", i - 1);
        SAYS(last);
        SAYS("task returns (number 0) failed");
        SAYS("code 40");
    }
    close_pool();
}

static void cancelled(void)
{
    if (ranks() == 1)
        return; /* the gate would keep the one process */
    if (!open_pool(NULL))
        return;
    rp_stats stats = RP_STATS_INIT;
    rp_future gate = close_gate();
    rp_future first = after(adds, &gate, 1), second = after(adds, &first, 1),
              third = after(adds, &second, 1);
    CU_ASSERT_EQUAL(rp_state_of(pool, second), RP_WAITING);
    IS(RP_OK, rp_stats_of(pool, &stats));
    CU_ASSERT_EQUAL(stats.waiting, 3);
    IS(RP_OK, rp_cancel(pool, second));
    IS(RP_ERR_CANCELLED, rp_get(pool, second, 0, NULL, 0, NULL));
    IS(RP_ERR_INPUT, rp_get(pool, third, 30, NULL, 0, NULL));
    SAYS("was cancelled before it started");
    open_gate();
    IS(RP_OK, rp_get(pool, gate, 30, NULL, 0, NULL));
    CU_ASSERT_EQUAL(value_of(first), 1);
    close_pool();
}

static void left_behind(void)
{
    if (!open_pool(NULL))
        return;
    rp_future first = submit(adds, NULL, 0), last = first;
    for (int i = 0; i < 100; i++)
        last = after(adds, &last, 1);
    (void)after(adds, &last, 1);
    IS(RP_OK, rp_terminate(&pool)); /* nothing waits for ever, nothing leaks */
}

static CU_TestInfo tests[] = { { "chain", chain },
                               { "many_inputs", many_inputs },
                               { "sizes", sizes },
                               { "travels_once", travels_once },
                               { "edges", edges },
                               { "failing", failing },
                               { "failing_at_length", failing_at_length },
                               { "cancelled", cancelled },
                               { "left_behind", left_behind },
                               CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "after", NULL, NULL, NULL, end_pool, tests },
                                 CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
