/* Rank 0 works too: what it takes, when, and that all of an outcome is right there.  The other
 * workers are threads. */
/* limit: 120 */
#include "harness.h"
#include "threads.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static atomic_bool let_go;

static double seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void rest(double length)
{
    struct timespec t = { .tv_nsec = (long)(length * 1e9) };
    (void)nanosleep(&t, NULL);
}

/* ---- tasks ---- */

static rp_status short_nap(rp_call *call, const void *arg, size_t size)
{
    rest(1e-4);
    return rp_return(call, arg, size);
}
RP_TASK(short_nap);

static rp_status long_nap(rp_call *call, const void *arg, size_t size)
{
    rest(2e-2);
    return rp_return(call, arg, size);
}
RP_TASK(long_nap);

static rp_status brief(rp_call *call, const void *arg, size_t size)
{
    return rp_return(call, arg, size);
}
RP_TASK(brief);

static rp_status until_let_go(rp_call *call, const void *arg, size_t size)
{
    (void)call;
    (void)arg;
    (void)size;
    while (!atomic_load(&let_go))
        rest(1e-4);
    return RP_OK;
}
RP_TASK(until_let_go);

static rp_status fails_on_0(rp_call *call, const void *arg, size_t size)
{
    rp_call_info info = RP_CALL_INFO_INIT;
    (void)arg;
    (void)size;
    rest(1e-4);
    rp_call_info_of(call, &info);
    return info.worker == 0 ? rp_fail(call, 7, "on rank 0") : RP_OK;
}
RP_TASK(fails_on_0);

static rp_status sum_of_inputs(rp_call *call, const void *arg, size_t size)
{
    int64_t sum = 0;
    (void)arg;
    (void)size;
    rest(1e-4);
    for (size_t i = 0; i < 2; i++) {
        size_t length = 0;
        const int64_t *input = rp_input(call, i, &length);
        if (!input || length != sizeof sum)
            return RP_ERR_INVALID;
        sum += *input;
    }
    return rp_return(call, &sum, sizeof sum);
}
RP_TASK(sum_of_inputs);

static rp_status give_number(rp_call *call, const void *arg, size_t size)
{
    rp_call_info info = RP_CALL_INFO_INIT;
    int *number = malloc(sizeof *number);
    (void)arg;
    (void)size;
    if (!number)
        return RP_ERR_NOMEM;
    rp_call_info_of(call, &info);
    *number = info.worker;
    *rp_worker_data(call) = number;
    return RP_OK;
}
RP_TASK(give_number);

static rp_status has_number(rp_call *call, const void *arg, size_t size)
{
    rp_call_info info = RP_CALL_INFO_INIT;
    const int *number = *rp_worker_data(call);
    (void)arg;
    (void)size;
    rest(1e-4);
    rp_call_info_of(call, &info);
    return number && *number == info.worker ? RP_OK : RP_ERR_TASK;
}
RP_TASK(has_number);

/* Sleeps for its argument in milliseconds; returns its worker's number. */
static rp_status nap_of(rp_call *call, const void *arg, size_t size)
{
    rp_call_info info = RP_CALL_INFO_INIT;
    int64_t length = 0, worker;
    memcpy(&length, arg, size);
    if (length)
        rest(1e-3 * (double)length);
    rp_call_info_of(call, &info);
    worker = info.worker;
    return rp_return(call, &worker, sizeof worker);
}
RP_TASK(nap_of);

/* ---- help ---- */

static rp_pool *open_working(int workers, rp_toggle background)
{
    rp_config config = RP_CONFIG_INIT;
    config.master_works = RP_ON;
    config.background = background;
    return threads_open(workers, &config);
}

static uint64_t done_by(rp_pool *pool, int worker)
{
    rp_worker_info info = RP_WORKER_INFO_INIT;
    CU_ASSERT_EQUAL(rp_worker_info_of(pool, worker, &info), RP_OK);
    return info.done;
}

static void submit_many(rp_pool *pool, rp_fn *fn, rp_future *futures, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        CU_ASSERT_EQUAL(rp_submit(pool, fn, &i, sizeof i, NULL, &futures[i]), RP_OK);
}

static void release_all(rp_pool *pool, const rp_future *futures, int count)
{
    for (int i = 0; i < count; i++)
        CU_ASSERT_EQUAL(rp_release(pool, futures[i]), RP_OK);
}

/* Makes the function's mean known. */
static void measure(rp_pool *pool, rp_fn *fn)
{
    rp_future futures[4];
    submit_many(pool, fn, futures, 4);
    CU_ASSERT_EQUAL(rp_drain(pool, RP_FOREVER), RP_OK);
    release_all(pool, futures, 4);
}

/* ---- tests ---- */

static void shares_the_work(void)
{
    enum { COUNT = 600 };
    static rp_future futures[COUNT];
    rp_pool *pool = open_working(2, RP_DEFAULT);
    uint64_t here = 0;
    submit_many(pool, short_nap, futures, COUNT);
    CU_ASSERT_EQUAL(rp_drain(pool, RP_FOREVER), RP_OK);
    for (int64_t i = 0; i < COUNT; i++) {
        rp_outcome outcome = RP_OUTCOME_INIT;
        CU_ASSERT_EQUAL(rp_outcome_of(pool, futures[i], &outcome), RP_OK);
        CU_ASSERT_EQUAL(outcome.status, RP_OK);
        CU_ASSERT_TRUE(outcome.size == sizeof i && memcmp(outcome.data, &i, sizeof i) == 0);
        CU_ASSERT_TRUE(outcome.ran > 5e-5);
        if (outcome.worker == 0)
            CU_ASSERT_STRING_EQUAL(outcome.host, "thread0");
        here += outcome.worker == 0;
    }
    CU_ASSERT_TRUE(here > COUNT / 20);
    CU_ASSERT_EQUAL(here, done_by(pool, 0));
    CU_ASSERT_EQUAL(here + done_by(pool, 1) + done_by(pool, 2), COUNT);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

static void not_unless_it_is_told(void)
{
    static rp_future futures[300];
    rp_pool *pool = threads_open(2, NULL);
    submit_many(pool, short_nap, futures, 300);
    CU_ASSERT_EQUAL(rp_drain(pool, RP_FOREVER), RP_OK);
    CU_ASSERT_EQUAL(done_by(pool, 0), 0);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

static void only_in_calls_that_wait(void)
{
    static rp_future futures[300];
    rp_pool *pool = open_working(1, RP_DEFAULT);
    measure(pool, short_nap);
    uint64_t before = done_by(pool, 0);
    submit_many(pool, short_nap, futures, 300);
    for (int i = 0; i < 300; i++) {
        CU_ASSERT_EQUAL(rp_progress(pool), RP_OK);
        CU_ASSERT_NOT_EQUAL(rp_state_of(pool, futures[i]), RP_STALE);
        rp_status status = rp_wait(pool, futures[299], 0);
        CU_ASSERT_TRUE(status == RP_OK || status == RP_ERR_TIMEOUT);
    }
    CU_ASSERT_EQUAL(done_by(pool, 0), before);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

/* Rank 0 leaves the first tasks of a function to others: their length is unknown. */
static void not_what_was_never_measured(void)
{
    rp_future futures[20];
    rp_pool *pool = open_working(2, RP_DEFAULT);
    atomic_store(&let_go, false);
    submit_many(pool, until_let_go, futures, 20);
    CU_ASSERT_EQUAL(rp_wait(pool, futures[19], 0.05), RP_ERR_TIMEOUT);
    atomic_store(&let_go, true);
    CU_ASSERT_EQUAL(rp_drain(pool, RP_FOREVER), RP_OK);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

/* Alone with long tasks it would keep the others waiting: it leaves them, or has the caretaker hand
 * out. */
static void long_tasks_need_a_caretaker(void)
{
    rp_future futures[40];
    rp_pool *without = open_working(1, RP_OFF), *with = open_working(1, RP_DEFAULT);
    measure(without, long_nap);
    submit_many(without, long_nap, futures, 40);
    CU_ASSERT_EQUAL(rp_drain(without, RP_FOREVER), RP_OK);
    CU_ASSERT_EQUAL(done_by(without, 0), 0);
    measure(with, long_nap);
    submit_many(with, long_nap, futures, 40);
    CU_ASSERT_EQUAL(rp_drain(with, RP_FOREVER), RP_OK);
    CU_ASSERT_TRUE(done_by(with, 0) > 5);
    CU_ASSERT_TRUE(done_by(with, 1) > 5);
    CU_ASSERT_EQUAL(rp_close(&without), RP_OK);
    CU_ASSERT_EQUAL(rp_close(&with), RP_OK);
}

static void timeouts_are_kept(void)
{
    rp_future futures[200];
    rp_pool *pool = open_working(1, RP_DEFAULT);
    double late = 0;
    measure(pool, long_nap);
    submit_many(pool, long_nap, futures, 40);
    uint64_t before = done_by(pool, 0);
    for (int i = 0; i < 20; i++) {
        double begin = seconds();
        CU_ASSERT_EQUAL(rp_wait(pool, futures[39], 5e-3), RP_ERR_TIMEOUT); /* less than one takes */
        late += seconds() - begin - 5e-3;
    }
    CU_ASSERT_EQUAL(done_by(pool, 0), before);
    CU_ASSERT_TRUE(late / 20 < 10e-3);
    CU_ASSERT_EQUAL(rp_terminate(&pool), RP_OK);
}

static void very_short_tasks(void)
{
    enum { COUNT = 200000 };
    static int64_t in[COUNT], out[COUNT];
    rp_pool *pool = open_working(2, RP_DEFAULT);
    int64_t wrong = 0;
    for (int64_t i = 0; i < COUNT; i++)
        in[i] = i;
    for (int round = 0; round < 3; round++) {
        memset(out, 0xff, sizeof out);
        CU_ASSERT_EQUAL(rp_map(pool, brief, in, sizeof *in, COUNT, out, sizeof *out, NULL), RP_OK);
        for (int64_t i = 0; i < COUNT; i++)
            wrong += out[i] != i;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_TRUE(done_by(pool, 0) > 0);
    CU_ASSERT_EQUAL(done_by(pool, 0) + done_by(pool, 1) + done_by(pool, 2), 3 * COUNT);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

/* A chunk that the application has made long is no short task. */
static void chosen_chunks(void)
{
    int64_t in[400], out[400];
    rp_map_options options = RP_MAP_OPTIONS_INIT;
    rp_pool *pool = open_working(1, RP_OFF);
    measure(pool, short_nap);
    uint64_t before = done_by(pool, 0);
    options.chunk = 40;
    for (int64_t i = 0; i < 400; i++)
        in[i] = i;
    CU_ASSERT_EQUAL(rp_map(pool, short_nap, in, sizeof *in, 400, out, sizeof *out, &options),
                    RP_OK);
    CU_ASSERT_EQUAL(memcmp(in, out, sizeof in), 0);
    CU_ASSERT_EQUAL(done_by(pool, 0), before);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

/* What rank 0 took for a moment's work proves long: others get what it has not begun, whether a
 * caretaker asks for it or not. */
static void gives_back_what_proves_long(void)
{
    enum { COUNT = 10000, LONG = 40 };
    static int64_t in[COUNT], out[COUNT];
    static const rp_toggle ways[] = { RP_ON, RP_OFF };
    rp_map_options options = RP_MAP_OPTIONS_INIT;
    options.chunk = LONG; /* all that are long are in one */
    for (size_t way = 0; way < 2; way++) {
        rp_pool *pool = open_working(2, ways[way]);
        for (int round = 0; round < 10; round++) {
            int by[3] = { 0 }, first = LONG * (40 + 20 * round);
            CU_ASSERT_EQUAL(rp_map(pool, nap_of, in, sizeof *in, COUNT, out, sizeof *out, NULL),
                            RP_OK); /* brief */
            for (int i = first; i < first + LONG; i++)
                in[i] = 10;
            CU_ASSERT_EQUAL(rp_map(pool, nap_of, in, sizeof *in, COUNT, out, sizeof *out, &options),
                            RP_OK);
            for (int i = first; i < first + LONG; i++) {
                in[i] = 0;
                by[out[i]]++;
            }
            for (int i = 0; i < 3; i++)
                CU_ASSERT_TRUE(by[i] <= 3 * LONG / 4);
        }
        CU_ASSERT_TRUE(done_by(pool, 0) > 0);
        CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
    }
}

static void failures_and_retries(void)
{
    rp_future futures[200];
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    rp_pool *pool = open_working(1, RP_DEFAULT);
    int failed = 0, named = 0;
    measure(pool, fails_on_0);
    submit_many(pool, fails_on_0, futures, 200);
    for (int i = 0; i < 200; i++) {
        rp_status status = rp_get(pool, futures[i], RP_FOREVER, NULL, 0, NULL);
        if (status == RP_ERR_TASK)
            named += strstr(rp_error_message(), "on worker 0 (thread0) with code 7: on rank 0") !=
                     NULL;
        failed += status == RP_ERR_TASK;
    }
    CU_ASSERT_TRUE(failed > 0 && named == failed);
    options.retries = 250;
    for (int i = 0; i < 200; i++)
        CU_ASSERT_EQUAL(rp_submit(pool, fails_on_0, NULL, 0, &options, &futures[i]), RP_OK);
    for (int i = 0; i < 200; i++)
        CU_ASSERT_EQUAL(rp_get(pool, futures[i], RP_FOREVER, NULL, 0, NULL), RP_OK);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

static void large_payloads(void)
{
    enum { COUNT = 60, SIZE = 100000 };
    static uint8_t in[SIZE];
    rp_future futures[COUNT];
    rp_pool *pool = open_working(1, RP_DEFAULT);
    int wrong = 0;
    measure(pool, short_nap);
    for (int i = 0; i < COUNT; i++) {
        memset(in, i, sizeof in);
        CU_ASSERT_EQUAL(rp_submit(pool, short_nap, in, sizeof in, NULL, &futures[i]), RP_OK);
    }
    CU_ASSERT_EQUAL(rp_drain(pool, RP_FOREVER), RP_OK);
    for (int i = 0; i < COUNT; i++) {
        void *data = NULL;
        size_t size = 0;
        CU_ASSERT_EQUAL(rp_take(pool, futures[i], 0, &data, &size), RP_OK);
        memset(in, i, sizeof in);
        wrong += size != sizeof in || memcmp(data, in, sizeof in) != 0;
        rp_free(data);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_TRUE(done_by(pool, 0) > 0);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

static void inputs_come_along(void)
{
    enum { COUNT = 200 };
    rp_future first[2], futures[COUNT];
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    rp_pool *pool = open_working(1, RP_DEFAULT);
    submit_many(pool, short_nap, first, 2); /* 0 and 1 */
    options.after = first;
    options.after_count = 2;
    for (int i = 0; i < COUNT; i++)
        CU_ASSERT_EQUAL(rp_submit(pool, sum_of_inputs, NULL, 0, &options, &futures[i]), RP_OK);
    for (int i = 0; i < COUNT; i++) {
        int64_t sum = 0;
        CU_ASSERT_EQUAL(rp_get(pool, futures[i], RP_FOREVER, &sum, sizeof sum, NULL), RP_OK);
        CU_ASSERT_EQUAL(sum, 1);
    }
    CU_ASSERT_TRUE(done_by(pool, 0) > 0);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

static void with_an_initializer(void)
{
    rp_future futures[200];
    rp_config config = RP_CONFIG_INIT;
    config.master_works = RP_ON;
    config.initializer = give_number;
    config.finalizer = free;
    rp_pool *pool = threads_open(1, &config);
    measure(pool, has_number);
    submit_many(pool, has_number, futures, 200);
    for (int i = 0; i < 200; i++)
        CU_ASSERT_EQUAL(rp_get(pool, futures[i], RP_FOREVER, NULL, 0, NULL), RP_OK);
    CU_ASSERT_TRUE(done_by(pool, 0) > 0);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

static void one_process_is_as_ever(void)
{
    rp_config config = RP_CONFIG_INIT;
    rp_future future;
    rp_outcome outcome = RP_OUTCOME_INIT;
    config.master_works = RP_ON;
    rp_pool *pool = threads_open(0, &config);
    CU_ASSERT_EQUAL(rp_submit(pool, brief, NULL, 0, NULL, &future), RP_OK);
    CU_ASSERT_EQUAL(rp_wait(pool, future, RP_FOREVER), RP_OK);
    CU_ASSERT_EQUAL(rp_outcome_of(pool, future, &outcome), RP_OK);
    CU_ASSERT_EQUAL(outcome.worker, 1);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

static void several_threads(void)
{
    rp_pool *pool = open_working(2, RP_DEFAULT), *without = open_working(2, RP_OFF);
    CU_ASSERT_EQUAL(threads_mix(pool, 4, 30), 0);
    CU_ASSERT_EQUAL(threads_mix(without, 4, 30), 0);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
    CU_ASSERT_EQUAL(rp_close(&without), RP_OK);
}

int main(int argc, char **argv)
{
    static CU_TestInfo what[] = { { "shares_the_work", shares_the_work },
                                  { "not_unless_it_is_told", not_unless_it_is_told },
                                  { "only_in_calls_that_wait", only_in_calls_that_wait },
                                  { "not_what_was_never_measured", not_what_was_never_measured },
                                  { "long_tasks_need_a_caretaker", long_tasks_need_a_caretaker },
                                  { "timeouts_are_kept", timeouts_are_kept },
                                  { "chosen_chunks", chosen_chunks },
                                  { "gives_back_what_proves_long", gives_back_what_proves_long },
                                  { "gives_back_what_proves_long", gives_back_what_proves_long },
                                  { "one_process_is_as_ever", one_process_is_as_ever },
                                  CU_TEST_INFO_NULL };
    static CU_TestInfo how[] = { { "very_short_tasks", very_short_tasks },
                                 { "failures_and_retries", failures_and_retries },
                                 { "large_payloads", large_payloads },
                                 { "inputs_come_along", inputs_come_along },
                                 { "with_an_initializer", with_an_initializer },
                                 { "several_threads", several_threads },
                                 CU_TEST_INFO_NULL };
    static CU_SuiteInfo suites[] = { { "what", NULL, NULL, NULL, NULL, what },
                                     { "how", NULL, NULL, NULL, NULL, how },
                                     CU_SUITE_INFO_NULL };
    return harness_main(argc, argv, suites);
}
