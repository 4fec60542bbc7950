/* rp_on_each_worker: once on each, and what it says when some fail. */
/* run: alone, -n 1, -n 2, -n 4 */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

#define MOST 64 /* workers */

static int runs_here;

static rp_status count_run(rp_call *call, const void *arg, size_t size)
{
    (void)call;
    (void)arg;
    (void)size;
    runs_here++;
    return RP_OK;
}
RP_TASK(count_run);

static rp_status give_runs(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    return rp_return(call, &runs_here, sizeof runs_here);
}
RP_TASK(give_runs);

/* The argument: a bit for each worker that must fail, from bit 1 on; the others give an unwanted
 * result. */
static rp_status fails_on(rp_call *call, const void *arg, size_t size)
{
    rp_call_info info = RP_CALL_INFO_INIT;
    rp_call_info_of(call, &info);
    if (*(const uint64_t *)arg >> info.worker & 1)
        return rp_fail(call, info.worker, "worker %d is against it", info.worker);
    return rp_return(call, arg, size);
}
RP_TASK(fails_on);

static int runs_of(int worker)
{
    int runs = -1;
    rp_future future;
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    options.worker = worker;
    options.worker_hard = true;
    IS(RP_OK, rp_submit(pool, give_runs, NULL, 0, &options, &future));
    IS(RP_OK, rp_get(pool, future, RP_FOREVER, &runs, sizeof runs, NULL));
    return runs;
}

/* Among many others, which may go anywhere. */
static void once_on_each(void)
{
    runs_here = 0;
    if (!open_pool(NULL))
        return;
    for (int round = 1; round <= 20; round++) {
        for (int i = 0; i < 100; i++)
            IS(RP_OK, rp_submit(pool, nothing, NULL, 0, NULL, NULL));
        IS(RP_OK, rp_on_each_worker(pool, count_run, NULL, 0, NULL));
        for (int worker = 1; worker <= (int)rp_workers(pool); worker++)
            CU_ASSERT_EQUAL(runs_of(worker), round);
    }
    close_pool();
}

/* Every set of failing workers: each has its own status, and the call has that of the lowest with
 * its words. */
static void the_lowest_that_fails(void)
{
    rp_status statuses[MOST];
    char words[60];
    if (!open_pool(NULL))
        return;
    uint64_t workers = rp_workers(pool);
    for (uint64_t set = 0; set < (uint64_t)2 << workers; set += 2) {
        int lowest = 0;
        for (int worker = (int)workers; worker > 0; worker--)
            lowest = set >> worker & 1 ? worker : lowest;
        (void)snprintf(words, sizeof words, "code %d: worker %d is against it", lowest, lowest);
        IS(set ? RP_ERR_TASK : RP_OK,
           rp_on_each_worker(pool, fails_on, &set, sizeof set, statuses));
        if (set)
            SAYS(words);
        for (uint64_t worker = 1; worker <= workers; worker++)
            CU_ASSERT_EQUAL(statuses[worker - 1], set >> worker & 1 ? RP_ERR_TASK : RP_OK);
        IS(set ? RP_ERR_TASK : RP_OK, rp_on_each_worker(pool, fails_on, &set, sizeof set, NULL));
    }
    close_pool();
}

static void refused(void)
{
    rp_status statuses[MOST];
    IS(RP_ERR_INVALID, rp_on_each_worker(NULL, nothing, NULL, 0, statuses));
    if (!open_pool(NULL))
        return;
    IS(RP_ERR_INVALID, rp_on_each_worker(pool, NULL, NULL, 0, statuses));
    IS(RP_ERR_INVALID, rp_on_each_worker(pool, nothing, NULL, 1, statuses));
    IS(RP_ERR_UNREGISTERED, rp_on_each_worker(pool, stranger, NULL, 0, statuses));
    SAYS("not registered");
    close_pool();
}

int main(int argc, char **argv)
{
    static CU_TestInfo each[] = { { "once_on_each", once_on_each },
                                  { "the_lowest_that_fails", the_lowest_that_fails },
                                  { "refused", refused },
                                  CU_TEST_INFO_NULL };
    static CU_SuiteInfo suites[] = { { "each_worker", NULL, NULL, NULL, end_pool, each },
                                     CU_SUITE_INFO_NULL };
    return harness_main(argc, argv, suites);
}
