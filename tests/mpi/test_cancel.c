/* Cancelling over MPI: what is queued, what is in a worker's inbox, what runs; and what a worker
 * hands back while a long task runs. */
/* run: -n 2, -n 3 */
/* limit: 120 */
#include "fixture.h"

#include <time.h>

#define MANY 500
#define MOST 8 /* workers */
/* seconds; longer: an obedient task was never told, one after a long task never moved */
#define LONG 20.0

static void compute(double length)
{
    for (double end = seconds() + length; seconds() < end;)
        continue;
}

/* Runs until it is cancelled; fails after LONG. */
static rp_status obedient(rp_call *call, const void *arg, size_t size)
{
    double began = seconds();
    (void)arg;
    (void)size;
    while (!rp_cancelled(call))
        if (seconds() - began > LONG)
            return rp_fail(call, 1, "it was never told");
    return RP_ERR_CANCELLED;
}
RP_TASK(obedient);

static rp_status obedient_or_short(rp_call *call, const void *arg, size_t size)
{
    uint32_t runs;
    memcpy(&runs, arg, sizeof runs);
    return runs ? obedient(call, arg, size) : RP_OK;
}
RP_TASK(obedient_or_short);

static rp_status outcome_of(rp_future future)
{
    rp_outcome outcome = RP_OUTCOME_INIT;
    IS(RP_OK, rp_outcome_of(pool, future, &outcome));
    rp_status status = outcome.status;
    IS(RP_OK, rp_release(pool, future));
    return status;
}

static void wait_until_sent(rp_future future, double limit)
{
    for (double end = seconds() + limit; rp_state_of(pool, future) != RP_SENT && seconds() < end;)
        continue;
}

/* Rank 0 computes after the cancel: the caretakers carry it; without them, rp_cancel and the task's
 * rp_cancelled do. */
static void running(rp_toggle background)
{
    rp_config config = RP_CONFIG_INIT;
    config.background = background;
    if (!open_pool(&config))
        return;
    for (int i = 0; i < 3; i++) {
        rp_future future = submit(obedient, NULL, 0);
        wait_until_sent(future, LONG);
        compute(0.01);
        IS(RP_OK, rp_cancel(pool, future));
        compute(0.05);
        IS(RP_OK, rp_wait(pool, future, LONG));
        CU_ASSERT_EQUAL(outcome_of(future), RP_ERR_CANCELLED);
    }
    close_pool();
}

static void running_ones(void)
{
    running(RP_DEFAULT);
}

static void running_ones_without_caretakers(void)
{
    running(RP_OFF);
}

/* Tasks after a long one at every worker: none begins; without caretakers a worker may begin those
 * it has before the cancel arrives. */
static void many_behind_a_long_one(rp_toggle background)
{
    static rp_future futures[MANY];
    rp_config config = RP_CONFIG_INIT;
    double length = 0.2;
    config.background = background;
    if (!open_pool(&config))
        return;
    for (int i = 0; i < 100; i++) /* so that their length is known */
        IS(RP_OK, rp_apply(pool, nothing, NULL, 0, NULL, 0, NULL));
    rp_future long_ones[MOST];
    int crew = (int)rp_workers(pool);
    CU_ASSERT_FATAL(crew <= MOST);
    for (int i = 0; i < crew; i++)
        long_ones[i] = submit(wakeup, &length, sizeof length);
    for (int i = 0; i < MANY; i++)
        futures[i] = submit(nothing, NULL, 0);
    compute(0.05);
    for (int i = 0; i < MANY; i++)
        IS(RP_OK, rp_cancel(pool, futures[i]));
    IS(RP_OK, rp_drain(pool, RP_FOREVER));
    int cancelled = 0;
    for (int i = 0; i < MANY; i++)
        cancelled += outcome_of(futures[i]) == RP_ERR_CANCELLED;
    CU_ASSERT_TRUE(background == RP_DEFAULT ? cancelled == MANY : cancelled > 0);
    for (int i = 0; i < crew; i++)
        CU_ASSERT_EQUAL(outcome_of(long_ones[i]), RP_OK);
    close_pool();
}

static void many_of_them(void)
{
    many_behind_a_long_one(RP_DEFAULT);
}

static void many_without_caretakers(void)
{
    many_behind_a_long_one(RP_OFF);
}

/* Tasks after one that runs until it is told, at the same worker, do not wait for its end. */
static void behind_one_that_runs(void)
{
    enum { TASKS = 300, LONG_ONE = 100 };
    static rp_future futures[TASKS];
    rp_task_options there = RP_TASK_OPTIONS_INIT;
    static const uint32_t runs[TASKS] = { [LONG_ONE] = 1 };
    there.worker = 1;
    there.worker_hard = true; /* or they are handed back before they are cancelled */
    if (!open_pool(NULL))
        return;
    for (int i = 0; i < 200; i++) /* so that they share messages with the long one */
        IS(RP_OK, rp_apply(pool, obedient_or_short, runs, sizeof *runs, NULL, 0, NULL));
    for (int i = 0; i < TASKS; i++)
        IS(RP_OK, rp_submit(pool, obedient_or_short, &runs[i], sizeof *runs, &there, &futures[i]));
    IS(RP_OK, rp_wait(pool, futures[LONG_ONE - 1], LONG));
    wait_until_sent(
        futures[LONG_ONE + 1],
        LONG / 4); /* where the long one was its message's last, the others stay at rank 0 */
    compute(0.01);
    for (int i = LONG_ONE + 1; i < TASKS; i++)
        IS(RP_OK, rp_cancel(pool, futures[i]));
    IS(RP_OK, rp_wait_all(pool, futures + LONG_ONE + 1, TASKS - LONG_ONE - 1, RP_ALL, LONG));
    CU_ASSERT_EQUAL(rp_state_of(pool, futures[LONG_ONE]), RP_SENT);
    IS(RP_OK, rp_cancel(pool, futures[LONG_ONE]));
    for (int i = 0; i < TASKS; i++) {
        IS(RP_OK, rp_wait(pool, futures[i], LONG));
        CU_ASSERT_EQUAL(outcome_of(futures[i]), i < LONG_ONE ? RP_OK : RP_ERR_CANCELLED);
    }
    close_pool();
}

/* Its items that run end; the others do not begin. */
static void a_map(void)
{
    static double lengths[200];
    rp_status statuses[200];
    rp_map_options options = RP_MAP_OPTIONS_INIT;
    rp_future future;
    if (!open_pool(NULL))
        return;
    for (int i = 0; i < 200; i++)
        lengths[i] = 0.02;
    options.statuses = statuses;
    options.chunk = 50;
    IS(RP_OK,
       rp_map_async(pool, wakeup, lengths, sizeof *lengths, 200, NULL, 0, &options, &future));
    compute(0.05);
    IS(RP_OK, rp_cancel(pool, future));
    IS(RP_OK, rp_wait(pool, future, LONG));
    int cancelled = 0;
    for (int i = 0; i < 200; i++)
        cancelled += statuses[i] == RP_ERR_CANCELLED;
    CU_ASSERT_TRUE(cancelled > 100 && cancelled < 200);
    CU_ASSERT_EQUAL(outcome_of(future), RP_ERR_CANCELLED);
    close_pool();
}

static int errors;

static void on_log(rp_level level, const char *line, void *user)
{
    (void)line;
    (void)user;
    errors += level == RP_LOG_ERROR;
}

static void detached_ones_in_silence(void)
{
    rp_config config = RP_CONFIG_INIT;
    double length = 0.05;
    config.log = on_log;
    errors = 0;
    if (!open_pool(&config))
        return;
    for (int i = 0; i < 100; i++)
        IS(RP_OK, rp_submit(pool, wakeup, &length, sizeof length, NULL, NULL));
    IS(RP_OK, rp_cancel_all(pool));
    IS(RP_OK, rp_drain(pool, RP_FOREVER));
    CU_ASSERT_EQUAL(errors, 0);
    close_pool();
}

/* ---- handing back */

/* long (double) or very short: a long one is hidden among many, in a batch with others. */
static rp_status mostly_short(rp_call *call, const void *arg, size_t size)
{
    double length;
    memcpy(&length, arg, sizeof length);
    return length > 0 ? wakeup(call, arg, size) : RP_OK;
}
RP_TASK(mostly_short);

/* With two workers, all but the long one are done long before it. */
static void hidden_long_one(void)
{
    if (!open_pool(NULL))
        return;
    if (ranks() > 2) {
        enum { TASKS = 3000 };
        static rp_future futures[TASKS];
        double none = 0, length = 1.5;
        rp_stats stats = RP_STATS_INIT;
        for (int i = 0; i < 200; i++)
            IS(RP_OK, rp_apply(pool, mostly_short, &none, sizeof none, NULL, 0, NULL));
        double began = seconds();
        for (int i = 0; i < TASKS; i++)
            futures[i] = submit(mostly_short, i == TASKS / 2 ? &length : &none, sizeof none);
        uint64_t done = 0;
        while (done < 200 + TASKS - 1 && seconds() - began < length - 0.1) {
            IS(RP_OK, rp_progress(pool));
            IS(RP_OK, rp_stats_of(pool, &stats));
            done = stats.done;
        }
        IS(RP_OK, rp_stats_of(pool, &stats));
        CU_ASSERT_EQUAL(done, 200 + TASKS - 1); /* no task waits for the long one */
        IS(RP_OK, rp_drain(pool, RP_FOREVER));
        for (int i = 0; i < TASKS; i++)
            CU_ASSERT_EQUAL(outcome_of(futures[i]), RP_OK);
    }
    close_pool();
}

static CU_TestInfo tests[] = { { "running_ones", running_ones },
                               { "running_ones_without_caretakers",
                                 running_ones_without_caretakers },
                               { "many_of_them", many_of_them },
                               { "many_without_caretakers", many_without_caretakers },
                               { "behind_one_that_runs", behind_one_that_runs },
                               { "a_map", a_map },
                               { "detached_ones_in_silence", detached_ones_in_silence },
                               { "hidden_long_one", hidden_long_one },
                               CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "cancel", NULL, NULL, NULL, end_pool, tests },
                                 CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
