/* on_done: called once for each task, in order of settling, by the application's own thread, with
 * no lock held. */
/* run: alone, -n 1, -n 2, -n 4 */
#include "pool/pool.h" /* before the fixture, which has a variable of that name */

#include "fixture.h"

#include <pthread.h>
#include <string.h>

#define MOST 20000

static pthread_t thread; /* that the test runs on */
static rp_pool *opened;
static int called, depth, wrong;
static bool in_submit;
static uint64_t order[MOST];

static uint64_t live(void)
{
    return pool->master.futures.live;
}

/* Takes down the call; what holds of every one. */
static void note(rp_pool *where, rp_future future, const rp_outcome *outcome)
{
    wrong += where != opened || depth != 1 || in_submit || !pthread_equal(thread, pthread_self()) ||
             future.id == 0 || outcome->struct_size != sizeof *outcome;
    order[called++ % MOST] = future.id;
}

static bool begin(const rp_config *config)
{
    thread = pthread_self();
    called = depth = wrong = 0;
    bool master = open_pool(config);
    opened = pool;
    return master;
}

static void notes(rp_pool *where, rp_future future, const rp_outcome *outcome, void *user)
{
    depth++;
    note(where, future, outcome);
    if (user)
        *(rp_status *)user = outcome->status;
    depth--;
}

static rp_task_options with(rp_done *on_done, void *user)
{
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    options.on_done = on_done;
    options.user = user;
    return options;
}

static rp_status submit_with(rp_fn *fn, const void *arg, size_t size,
                             const rp_task_options *options, rp_future *future)
{
    in_submit = true;
    rp_status status = rp_submit(pool, fn, arg, size, options, future);
    in_submit = false;
    return status;
}

/* ---- order ---- */

static void one_worker_in_order(void)
{
    enum { COUNT = 5000 };
    static rp_future futures[COUNT];
    rp_config config = RP_CONFIG_INIT;
    rp_task_options options = with(notes, NULL);
    int strange = 0;
    config.processes = ranks() > 1;
    if (!begin(&config))
        return;
    for (int i = 0; i < COUNT; i++)
        IS(RP_OK, submit_with(nothing, NULL, 0, &options, &futures[i]));
    IS(RP_OK, rp_drain(pool, RP_FOREVER));
    CU_ASSERT_EQUAL(called, COUNT);
    for (int i = 0; i < COUNT; i++) {
        strange += order[i] != futures[i].id;
        IS(RP_OK, rp_release(pool, futures[i]));
    }
    CU_ASSERT_EQUAL(strange, 0);
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(live(), 0);
    close_pool();
}

/* A task's end is told before a wait for it ends. */
static void before_the_wait_ends(void)
{
    rp_status status = RP_END;
    rp_task_options options = with(notes, &status);
    rp_future future;
    int64_t value = 1;
    if (!begin(NULL))
        return;
    IS(RP_OK, submit_with(twice, &value, sizeof value, &options, &future));
    IS(RP_OK, rp_wait(pool, future, RP_FOREVER));
    IS(RP_OK, status);
    IS(RP_OK, rp_get(pool, future, 0, &value, sizeof value, NULL));
    CU_ASSERT_EQUAL(value, 2);
    CU_ASSERT_EQUAL(called, 1);
    CU_ASSERT_EQUAL(wrong, 0);
    close_pool();
}

static int left;

static void submits_the_next(rp_pool *where, rp_future future, const rp_outcome *outcome,
                             void *user)
{
    depth++;
    note(where, future, outcome);
    if (left-- > 0) {
        rp_task_options options = with(submits_the_next, user);
        IS(RP_OK, rp_submit(where, nothing, NULL, 0, &options, NULL));
        IS(RP_OK, rp_progress(where)); /* drives, but calls nothing */
    }
    depth--;
}

static void chain(void)
{
    rp_task_options options = with(submits_the_next, NULL);
    if (!begin(NULL))
        return;
    left = 10000;
    IS(RP_OK, submit_with(nothing, NULL, 0, &options, NULL));
    IS(RP_OK, rp_drain(pool, RP_FOREVER));
    CU_ASSERT_EQUAL(called, 10001);
    left = 1000;
    IS(RP_OK, submit_with(nothing, NULL, 0, &options, NULL));
    IS(RP_OK, rp_close(&pool)); /* waits for what callbacks submit, too */
    CU_ASSERT_EQUAL(called, 11002);
    CU_ASSERT_EQUAL(wrong, 0);
}

/* ---- ends ---- */

/* Tasks that settle inside rp_submit are told by whatever call comes next. */
static void settle_inside_submit(void)
{
    if (ranks() == 1)
        return;
    static rp_future futures[MOST];
    rp_task_options options = with(notes, NULL);
    int64_t value = 1, result;
    int count = 0;
    while (pool->master.called.ids.count < 8 && count < MOST)
        IS(RP_OK, submit_with(twice, &value, sizeof value, &options, &futures[count++]));
    for (int i = 0; i < count; i++) { /* the first are done already, and have not been told */
        IS(RP_OK, rp_get(pool, futures[i], RP_FOREVER, &result, sizeof result, NULL));
        CU_ASSERT_EQUAL(result, 2);
    }
    CU_ASSERT_EQUAL(called, count);
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(live(), 0);
}

static void got_before_told(void)
{
    if (!begin(NULL))
        return;
    settle_inside_submit();
    close_pool();
}

/* Some are settled and not told, and nothing is under way, when the pool's end comes. */
static void told_at_the_end(bool drain)
{
    rp_task_options options = with(notes, NULL);
    int count = 0;
    if (!begin(NULL))
        return;
    rp_pool *same = pool;
    for (; count < 100; count++)
        IS(RP_OK, submit_with(nothing, NULL, 0, &options, NULL));
    while (ranks() > 1 && same->master.unsettled > 0) { /* settles without telling */
        IS(RP_OK, submit_with(nothing, NULL, 0, NULL, NULL));
        if (same->master.called.ids.count >= 100)
            break;
    }
    if (drain) {
        IS(RP_OK, rp_drain(pool, RP_FOREVER));
        CU_ASSERT_EQUAL(called, count);
    }
    close_pool();
    CU_ASSERT_EQUAL(called, count);
}

static void told_by_close(void)
{
    told_at_the_end(false);
}

static void told_by_drain(void)
{
    told_at_the_end(true);
}

static rp_status refusal;

static void submits_at_the_end(rp_pool *where, rp_future future, const rp_outcome *outcome,
                               void *user)
{
    (void)future;
    (void)outcome;
    (void)user;
    called++;
    refusal = rp_submit(where, nothing, NULL, 0, NULL, NULL);
}

/* rp_terminate tells of running tasks; what they submit is refused. */
static void told_by_terminate(void)
{
    rp_task_options options = with(submits_at_the_end, NULL);
    double length = ranks() > 1 ? 0.05 : 0;
    if (!begin(NULL))
        return;
    refusal = RP_ERR_CONTEXT;
    for (size_t i = 0; i < rp_workers(pool); i++)
        IS(RP_OK, rp_submit(pool, wakeup, &length, sizeof length, &options, NULL));
    IS(RP_OK, rp_terminate(&pool));
    IS(RP_ERR_CONTEXT, refusal);
}

/* ---- what it may call ---- */

static rp_future other;
static rp_stream *stream; /* opened inside, closed outside */
static int refusals;

static void calls_everything(rp_pool *where, rp_future future, const rp_outcome *outcome,
                             void *user)
{
    rp_outcome seen = RP_OUTCOME_INIT;
    rp_stats stats = RP_STATS_INIT;
    void *data;
    rp_item item = RP_ITEM_INIT;
    size_t index;
    char byte;
    rp_future async;
    rp_pool *copy = where;
    (void)user;
    depth++;
    note(where, future, outcome);
    if (called > 1) {
        depth--;
        return;
    }
    IS(RP_ERR_CONTEXT, rp_apply(where, nothing, NULL, 0, NULL, 0, NULL));
    IS(RP_ERR_CONTEXT, rp_map(where, echo, "abc", 1, 3, &byte, 1, NULL));
    IS(RP_ERR_CONTEXT, rp_on_each_worker(where, nothing, NULL, 0, NULL));
    IS(RP_ERR_CONTEXT, rp_get(where, other, RP_FOREVER, NULL, 0, NULL));
    IS(RP_ERR_CONTEXT, rp_take(where, other, 1, &data, NULL));
    IS(RP_ERR_CONTEXT, rp_wait(where, other, 0));
    IS(RP_ERR_CONTEXT, rp_wait_all(where, &other, 1, RP_ALL, RP_FOREVER));
    IS(RP_ERR_CONTEXT, rp_wait_any(where, &other, 1, RP_FOREVER, &index));
    IS(RP_ERR_CONTEXT, rp_drain(where, RP_FOREVER));
    IS(RP_ERR_CONTEXT, rp_close(&copy));
    IS(RP_ERR_CONTEXT, rp_terminate(&copy));
    CU_ASSERT_PTR_EQUAL(copy, where);
    IS(RP_OK, rp_stream_open(where, NULL, &stream));
    IS(RP_OK, rp_stream_submit(stream, nothing, NULL, 0, NULL, NULL));
    IS(RP_ERR_CONTEXT, rp_stream_next(stream, RP_FOREVER, &item));
    IS(RP_ERR_CONTEXT, rp_stream_close(&stream));
    IS(RP_OK, rp_map_async(where, nothing, NULL, 0, 10, NULL, 0, NULL, &async));
    IS(RP_OK, rp_release(where, async));
    IS(RP_OK, rp_submit(where, nothing, NULL, 0, NULL, &async));
    IS(RP_OK, rp_cancel(where, async));
    IS(RP_OK, rp_release(where, async));
    IS(RP_OK, rp_stats_of(where, &stats));
    IS(RP_OK, rp_outcome_of(where, future, &seen));
    CU_ASSERT_EQUAL(rp_state_of(where, future), RP_DONE);
    IS(RP_OK, rp_wait(where, future, 0));
    IS(RP_OK, rp_get(where, future, 0, &byte, 1, NULL)); /* it is done */
    IS(RP_OK,
       rp_submit(where, nothing, NULL, 0, NULL, &async)); /* not in the slot of the one just got */
    CU_ASSERT_EQUAL(outcome->size, 1);
    CU_ASSERT_EQUAL(*(const char *)outcome->data, 'x');
    IS(RP_OK, rp_release(where, async));
    depth--;
}

static void may_and_may_not(void)
{
    rp_task_options options = with(calls_everything, NULL);
    rp_future future;
    rp_stats stats = RP_STATS_INIT;
    if (!begin(NULL))
        return;
    IS(RP_OK, submit_with(echo, "x", 1, &options, &future));
    other = close_gate();
    if (ranks() == 1)
        other = submit(nothing, NULL, 0);
    while (called == 0)
        IS(RP_OK, rp_progress(pool));
    open_gate();
    IS(RP_OK, rp_drain(pool, RP_FOREVER));
    IS(RP_ERR_STALE, rp_get(pool, future, 0, NULL, 0, NULL));
    IS(RP_OK, rp_stream_close(&stream));
    IS(RP_OK, rp_stats_of(pool, &stats));
    CU_ASSERT_EQUAL(stats.submitted,
                    stats.done + stats.cancelled); /* the refused calls left nothing */
    CU_ASSERT_EQUAL(wrong, 0);
    IS(RP_OK, rp_release(pool, other));
    CU_ASSERT_TRUE(live() <= 1); /* alone: the gate's */
    close_pool();
}

static void gets_and_submits(rp_pool *where, rp_future future, const rp_outcome *outcome,
                             void *user)
{
    int64_t value;
    rp_future *next = user;
    depth++;
    note(where, future, outcome);
    IS(RP_OK, rp_get(where, future, 0, &value, sizeof value, NULL));
    CU_ASSERT_EQUAL(value, 2 * called);
    if (called < 500) {
        rp_task_options options = with(gets_and_submits, user);
        value = called + 1;
        IS(RP_OK, rp_submit(where, twice, &value, sizeof value, &options, next));
    }
    depth--;
}

/* A callback gets its own future, and submits into the freed room. */
static void gets_its_own(void)
{
    rp_future future;
    rp_task_options options = with(gets_and_submits, &future);
    int64_t value = 1;
    if (!begin(NULL))
        return;
    IS(RP_OK, submit_with(twice, &value, sizeof value, &options, &future));
    IS(RP_OK, rp_drain(pool, RP_FOREVER));
    CU_ASSERT_EQUAL(called, 500);
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(live(), 0);
    close_pool();
}

static rp_status does_nothing_long(rp_call *call, const void *arg, size_t size)
{
    return nothing(call, arg, size);
}
RP_TASK(does_nothing_long);

static void fills(rp_pool *where, rp_future future, const rp_outcome *outcome, void *user)
{
    rp_status status = RP_OK;
    (void)user;
    depth++;
    note(where, future, outcome);
    for (int i = 0; i < 1000000 && status == RP_OK; i++)
        status = rp_submit(where, does_nothing_long, NULL, 0, NULL, NULL);
    refusals += status == RP_ERR_FULL;
    depth--;
}

/* Where a limit is reached a callback's submission is refused, for it may not wait. */
static void full_inside(void)
{
    rp_config config = RP_CONFIG_INIT;
    rp_task_options options = with(fills, NULL);
    rp_future gate = { 0 };
    config.queue_limit_tasks = 3;
    config.processes = ranks() > 1;
    if (!begin(&config))
        return;
    refusals = 0;
    IS(RP_OK, submit_with(nothing, NULL, 0, &options, NULL));
    if (ranks() > 1)
        gate = close_gate();
    while (called == 0)
        IS(RP_OK, rp_progress(pool));
    open_gate();
    CU_ASSERT_EQUAL(refusals, 1);
    if (ranks() > 1)
        IS(RP_OK, rp_get(pool, gate, RP_FOREVER, NULL, 0, NULL));
    close_pool();
}

/* ---- kinds of tasks ---- */

static rp_status fails_at_first(rp_call *call, const void *arg, size_t size)
{
    rp_call_info info = RP_CALL_INFO_INIT;
    (void)arg;
    (void)size;
    rp_call_info_of(call, &info);
    return info.attempt < 3 ? rp_fail(call, 7, "at attempt %d", info.attempt)
                            : rp_return(call, "done", 4);
}
RP_TASK(fails_at_first);

static void failures(void)
{
    rp_status status = RP_END;
    rp_task_options options = with(notes, &status);
    rp_future future;
    if (!begin(NULL))
        return;
    IS(RP_OK, submit_with(fails_at_first, NULL, 0, &options, &future));
    IS(RP_ERR_TASK, rp_get(pool, future, RP_FOREVER, NULL, 0, NULL));
    IS(RP_ERR_TASK, status);
    CU_ASSERT_EQUAL(called, 1);
    options.retries = 2;
    IS(RP_OK, submit_with(fails_at_first, NULL, 0, &options, &future));
    IS(RP_OK, rp_wait(pool, future, RP_FOREVER));
    IS(RP_OK, status);
    CU_ASSERT_EQUAL(called, 2); /* once for all its attempts */
    IS(RP_OK, rp_release(pool, future));
    IS(RP_OK, rp_drain(pool, RP_FOREVER));
    CU_ASSERT_EQUAL(live(), 0);
    CU_ASSERT_EQUAL(wrong, 0);
    close_pool();
}

static int lines;

static void count_lines(rp_level level, const char *line, void *user)
{
    (void)line;
    (void)user;
    lines += level <= RP_LOG_WARNING;
}

static void tries_the_handle(rp_pool *where, rp_future future, const rp_outcome *outcome,
                             void *user)
{
    (void)user;
    depth++;
    note(where, future, outcome);
    IS(RP_ERR_STALE, rp_release(where, future)); /* it is detached or released */
    IS(RP_ERR_STALE, rp_get(where, future, 0, NULL, 0, NULL));
    depth--;
}

static void detached_and_released(void)
{
    rp_config config = RP_CONFIG_INIT;
    rp_task_options options = with(tries_the_handle, NULL);
    rp_future future;
    char big[20000];
    config.log = count_lines;
    lines = 0;
    if (!begin(&config))
        return;
    memset(big, 'b', sizeof big);
    IS(RP_OK, submit_with(nothing, NULL, 0, &options, NULL));
    IS(RP_OK, submit_with(fails_at_first, NULL, 0, &options, NULL));
    IS(RP_OK, submit_with(echo, big, sizeof big, &options, &future));
    IS(RP_OK, rp_release(pool, future)); /* before it is settled */
    IS(RP_OK, rp_drain(pool, RP_FOREVER));
    CU_ASSERT_EQUAL(called, 3);
    CU_ASSERT_EQUAL(lines, 1); /* the detached failure */
    CU_ASSERT_EQUAL(live(), 0);
    CU_ASSERT_EQUAL(wrong, 0);
    close_pool();
}

static void releases(rp_pool *where, rp_future future, const rp_outcome *outcome, void *user)
{
    depth++;
    note(where, future, outcome);
    refusals += rp_release(where, future) != RP_OK;
    *(rp_status *)user = outcome->status;
    depth--;
}

static void maps(void)
{
    enum { COUNT = 1000 };
    static int64_t in[COUNT], out[COUNT];
    rp_status status = RP_END;
    rp_map_options options = RP_MAP_OPTIONS_INIT;
    rp_task_options task = with(releases, &status);
    rp_future all;
    options.task = &task;
    if (!begin(NULL))
        return;
    refusals = 0;
    for (int64_t i = 0; i < COUNT; i++)
        in[i] = i;
    IS(RP_OK, rp_map(pool, twice, in, 8, COUNT, out, 8, &options)); /* its future is rp_map's */
    IS(RP_OK, status);
    CU_ASSERT_EQUAL(refusals, 1);
    CU_ASSERT_EQUAL(out[COUNT - 1], 2 * (COUNT - 1));
    IS(RP_ERR_SIZE, rp_map(pool, twice, in, 8, COUNT, NULL, 0, &options));
    IS(RP_ERR_SIZE, status);
    IS(RP_OK, rp_map_async(pool, twice, in, 8, COUNT, out, 8, &options, &all));
    IS(RP_OK, rp_drain(pool, RP_FOREVER));
    CU_ASSERT_EQUAL(refusals, 2);
    IS(RP_OK, status);
    IS(RP_ERR_STALE, rp_get(pool, all, 0, NULL, 0, NULL)); /* the callback released it */
    IS(RP_OK,
       rp_map_async(pool, twice, in, 8, 0, out, 8, &options, &all)); /* no items: done at once */
    IS(RP_OK, rp_drain(pool, 0));
    CU_ASSERT_EQUAL(called, 4);
    CU_ASSERT_EQUAL(live(), 0);
    CU_ASSERT_EQUAL(wrong, 0);
    close_pool();
}

static void cancelled_ones(void)
{
    rp_status status = RP_END;
    rp_task_options options = with(notes, &status);
    rp_future futures[50], gates[4];
    size_t busy = 0;
    if (!begin(NULL))
        return;
    for (; ranks() > 1 && busy < rp_workers(pool); busy++)
        gates[busy] = close_gate();
    for (int i = 0; i < 50; i++)
        IS(RP_OK, submit_with(does_nothing_long, NULL, 0, &options, &futures[i]));
    for (int i = 0; i < 50; i++)
        IS(RP_OK, rp_cancel(pool, futures[i]));
    open_gate();
    for (size_t i = 0; i < busy; i++)
        IS(RP_OK, rp_get(pool, gates[i], RP_FOREVER, NULL, 0, NULL));
    IS(RP_OK, rp_drain(pool, RP_FOREVER));
    CU_ASSERT_EQUAL(called, 50);
    IS(RP_ERR_CANCELLED, status);
    for (int i = 0; i < 50; i++)
        IS(RP_OK, rp_release(pool, futures[i]));
    CU_ASSERT_EQUAL(live(), 0);
    CU_ASSERT_EQUAL(wrong, 0);
    close_pool();
}

/* ---- no order but of settling: several workers, many tasks, all kinds of calls ---- */

static void storm(void)
{
    static rp_future futures[MOST / 2];
    rp_task_options options = with(notes, NULL);
    int64_t value;
    int strange = 0;
    if (!begin(NULL))
        return;
    for (int64_t i = 0; i < MOST / 2; i++) {
        IS(RP_OK, submit_with(twice, &i, sizeof i, &options, &futures[i]));
        if (i % 3 == 0)
            IS(RP_OK, rp_release(pool, futures[i]));
        else if (i % 500 == 499)
            IS(RP_OK, rp_wait(pool, futures[i], RP_FOREVER));
        else if (i % 7 == 0)
            (void)rp_state_of(pool, futures[i]);
    }
    for (int64_t i = 0; i < MOST / 2; i++) {
        if (i % 3 == 0)
            continue;
        strange += rp_get(pool, futures[i], RP_FOREVER, &value, sizeof value, NULL) != RP_OK ||
                   value != 2 * i;
    }
    IS(RP_OK, rp_drain(pool, RP_FOREVER));
    CU_ASSERT_EQUAL(strange, 0);
    CU_ASSERT_EQUAL(called, MOST / 2);
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(live(), 0);
    close_pool();
}

static CU_TestInfo tests[] = { { "one_worker_in_order", one_worker_in_order },
                               { "before_the_wait_ends", before_the_wait_ends },
                               { "chain", chain },
                               { "got_before_told", got_before_told },
                               { "told_by_close", told_by_close },
                               { "told_by_drain", told_by_drain },
                               { "told_by_terminate", told_by_terminate },
                               { "may_and_may_not", may_and_may_not },
                               { "gets_its_own", gets_its_own },
                               { "full_inside", full_inside },
                               { "failures", failures },
                               { "detached_and_released", detached_and_released },
                               { "maps", maps },
                               { "cancelled_ones", cancelled_ones },
                               { "storm", storm },
                               CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "done", NULL, NULL, NULL, end_pool, tests },
                                 CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
