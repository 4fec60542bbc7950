/* Rank 0 runs tasks too while it waits: what it takes off the others, and that results and counts
 * are right. */
/* run: alone, -n 1, -n 2, -n 4 */
/* machine: alone */
#include "fixture.h"
#include "threads.h"

#include <string.h>

static bool open_working(void)
{
    rp_config config = RP_CONFIG_INIT;
    config.master_works = RP_ON;
    return open_pool(&config);
}

static uint64_t done_by(int worker)
{
    rp_worker_info info = RP_WORKER_INFO_INIT;
    IS(RP_OK, rp_worker_info_of(pool, worker, &info));
    return info.done;
}

static void maps(void)
{
    enum { COUNT = 100000 };
    static int64_t in[COUNT], out[COUNT];
    int64_t wrong = 0;
    uint64_t all = 0;
    if (!open_working())
        return;
    for (int64_t i = 0; i < COUNT; i++)
        in[i] = i;
    for (int round = 0; round < 3; round++) {
        memset(out, 0, sizeof out);
        IS(RP_OK, rp_map(pool, twice, in, sizeof *in, COUNT, out, sizeof *out, NULL));
        for (int64_t i = 0; i < COUNT; i++)
            wrong += out[i] != 2 * i;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    for (int worker = 0; worker <= (int)rp_workers(pool); worker++)
        all += done_by(worker);
    CU_ASSERT_EQUAL(all, 3 * COUNT);
    CU_ASSERT_TRUE(ranks() > 1 ? done_by(0) > 0 : done_by(0) == 0);
    close_pool();
}

static void outcomes(void)
{
    enum { COUNT = 500 };
    static rp_future futures[COUNT];
    double length = 2e-4;
    uint64_t here = 0;
    rp_worker_info info = RP_WORKER_INFO_INIT;
    if (!open_working())
        return;
    for (int i = 0; i < COUNT; i++)
        futures[i] = submit(wakeup, &length, sizeof length);
    IS(RP_OK, rp_wait_all(pool, futures, COUNT, RP_ALL, RP_FOREVER));
    IS(RP_OK, rp_worker_info_of(pool, 0, &info));
    for (int i = 0; i < COUNT; i++) {
        rp_outcome outcome = RP_OUTCOME_INIT;
        IS(RP_OK, rp_outcome_of(pool, futures[i], &outcome));
        CU_ASSERT_EQUAL(outcome.status, RP_OK);
        if (outcome.worker == 0)
            CU_ASSERT_STRING_EQUAL(outcome.host, info.host);
        here += outcome.worker == 0;
    }
    CU_ASSERT_EQUAL(here, info.done);
    CU_ASSERT_TRUE(ranks() > 1 ? here > 0 : here == 0);
    close_pool();
}

/* A wait ends in time, whatever rank 0 is at. */
static void timeouts(void)
{
    double length = 0.05, begin;
    if (!open_working())
        return;
    if (ranks() > 1) {
        for (int i = 0; i < 40; i++)
            IS(RP_OK, rp_release(pool, submit(wakeup, &length, sizeof length)));
        rp_future last = submit(wakeup, &length, sizeof length);
        IS(RP_ERR_TIMEOUT, rp_wait(pool, last, 0.15)); /* the function is measured */
        begin = seconds();
        IS(RP_ERR_TIMEOUT, rp_wait(pool, last, 0.02));
        CU_ASSERT_TRUE(seconds() - begin < 0.045);
        IS(RP_OK, rp_terminate(&pool));
    } else {
        close_pool();
    }
}

static void threads(void)
{
    if (!open_working())
        return;
    CU_ASSERT_EQUAL(threads_mix(pool, 4, 50), 0);
    close_pool();
}

int main(int argc, char **argv)
{
    static CU_TestInfo tests[] = { { "maps", maps },
                                   { "outcomes", outcomes },
                                   { "timeouts", timeouts },
                                   { "threads", threads },
                                   CU_TEST_INFO_NULL };
    static CU_SuiteInfo suites[] = { { "master_works", NULL, NULL, NULL, end_pool, tests },
                                     CU_SUITE_INFO_NULL };
    return harness_main(argc, argv, suites);
}
