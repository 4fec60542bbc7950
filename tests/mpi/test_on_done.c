/* What an on_done function may call, and what it may not: nothing that waits, and nothing that ends
 * what it is called in. */
/* run: alone, -n 1, -n 2, -n 4 */
#include "fixture.h"

static rp_future unsettled, made;
static rp_stream *stream;
static int calls;
static rp_status got, submitted;
static rp_status refused[16];
static size_t refusals;

static void refuse(rp_status status)
{
    refused[refusals++] = status;
}

static void tries_to_wait(rp_pool *caller, rp_future future, const rp_outcome *outcome, void *user)
{
    int64_t value = 21, result = 0;
    size_t index;
    (void)outcome;
    (void)user;
    got = rp_get(caller, future, 0, &result, sizeof result, NULL); /* it is settled */
    submitted = rp_submit(caller, twice, &value, sizeof value, NULL, &made);
    refuse(rp_apply(caller, twice, &value, sizeof value, &result, sizeof result, NULL));
    refuse(rp_map(caller, twice, &value, sizeof value, 1, &result, sizeof result, NULL));
    refuse(rp_on_each_worker(caller, nothing, NULL, 0, NULL));
    refuse(rp_get(caller, unsettled, RP_FOREVER, NULL, 0, NULL));
    refuse(rp_wait(caller, unsettled, 0));
    refuse(rp_wait_all(caller, &unsettled, 1, RP_ALL, RP_FOREVER));
    refuse(rp_wait_any(caller, &unsettled, 1, RP_FOREVER, &index));
    refuse(rp_drain(caller, RP_FOREVER));
    refuse(rp_stream_close(&stream));
    refuse(rp_close(&pool));
    refuse(rp_terminate(&pool));
    calls++;
}

static void waits_for_nothing(void)
{
    int64_t value = 7, result = 0;
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    rp_future future;
    rp_stats stats = RP_STATS_INIT;
    if (!open_pool(NULL))
        return;
    IS(RP_OK, rp_stream_open(pool, NULL, &stream));
    options.on_done = tries_to_wait;
    IS(RP_OK, rp_submit(pool, twice, &value, sizeof value, &options, &future));
    unsettled = close_gate();
    for (double deadline = seconds() + 30; !calls && seconds() < deadline;)
        IS(RP_OK, rp_progress(pool));
    CU_ASSERT_EQUAL_FATAL(calls, 1);
    IS(RP_ERR_STALE, rp_release(pool, future)); /* its on_done has got it */
    CU_ASSERT_EQUAL(got, RP_OK);
    CU_ASSERT_EQUAL(submitted, RP_OK);
    for (size_t i = 0; i < refusals; i++)
        CU_ASSERT_EQUAL(refused[i], RP_ERR_CONTEXT);
    IS(RP_OK, rp_stats_of(pool, &stats));
    CU_ASSERT_EQUAL(stats.submitted, 3); /* a refused call submits nothing */
    open_gate();
    IS(RP_OK, rp_get(pool, unsettled, RP_FOREVER, NULL, 0, NULL));
    IS(RP_OK, rp_get(pool, made, RP_FOREVER, &result, sizeof result, NULL));
    CU_ASSERT_EQUAL(result, 42);
    CU_ASSERT_PTR_NOT_NULL_FATAL(stream);
    IS(RP_OK, rp_stream_close(&stream));
    close_pool();
}

int main(int argc, char **argv)
{
    static CU_TestInfo on_done[] = { { "waits_for_nothing", waits_for_nothing },
                                     CU_TEST_INFO_NULL };
    static CU_SuiteInfo suites[] = { { "on_done", NULL, NULL, NULL, end_pool, on_done },
                                     CU_SUITE_INFO_NULL };
    return harness_main(argc, argv, suites);
}
