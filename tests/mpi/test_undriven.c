/* MPI was initialised without threads before rp_open: there is no caretaker, and what that costs is
 * said, once, when it does. */
/* run: -n 3 */
#include "fixture.h"

#include <rankpool_mpi.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static struct {
    int count;
    char first[1000];
} warnings;

static void note(rp_level level, const char *line, void *user)
{
    (void)user;
    if (level != RP_LOG_WARNING)
        return;
    if (warnings.count++ == 0)
        (void)snprintf(warnings.first, sizeof warnings.first, "%s", line);
}

static bool open_noted(rp_config config)
{
    config.log = note;
    warnings.count = 0;
    return open_pool(&config);
}

static void be_away(double seconds)
{
    struct timespec t = { .tv_sec = (time_t)seconds,
                          .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9) };
    (void)nanosleep(&t, NULL);
}

/* More than workers are sent ahead, so that some stay queued. */
static void submit_naps(int count, double seconds)
{
    for (int i = 0; i < count; i++)
        (void)submit(wakeup, &seconds, sizeof seconds);
}

static void said_once(void)
{
    rp_config config = RP_CONFIG_INIT;
    rp_stats stats = RP_STATS_INIT;
    if (!open_noted(config))
        return;
    IS(RP_OK, rp_stats_of(pool, &stats));
    CU_ASSERT_EQUAL(stats.caretaker, RP_OFF);
    for (int round = 0; round < 2; round++) {
        submit_naps(40, 0.05);
        be_away(2.5);
        IS(RP_OK, rp_drain(pool, RP_FOREVER));
        CU_ASSERT_EQUAL(warnings.count, 1);
    }
    says(warnings.first, "no call drove the pool for ", __FILE__, __LINE__);
    says(warnings.first, "MPI_THREAD_MULTIPLE", __FILE__, __LINE__);
    says(warnings.first, "rp_progress", __FILE__, __LINE__);
    close_pool();
}

/* Rank 0 was away with nothing to hand out, or waited in a call. */
static void not_said(void)
{
    rp_config config = RP_CONFIG_INIT;
    rp_task_options pinned = RP_TASK_OPTIONS_INIT;
    double seconds = 0.6;
    if (!open_noted(config))
        return;
    be_away(1.5); /* before the first task */
    submit_naps(20, 0.01);
    IS(RP_OK, rp_drain(pool, RP_FOREVER));
    be_away(1.5); /* after the last */
    submit_naps(1, 0.01);
    be_away(1.5); /* with one that a worker has */
    IS(RP_OK, rp_drain(pool, RP_FOREVER));
    pinned.worker = 1;
    pinned.worker_hard = true;
    for (int i = 0; i < 6; i++) /* one worker idle, and tasks queued that are the other's */
        IS(RP_OK, rp_submit(pool, wakeup, &seconds, sizeof seconds, &pinned, NULL));
    IS(RP_OK, rp_drain(pool, RP_FOREVER));
    CU_ASSERT_EQUAL(warnings.count, 0);
    close_pool();
}

/* It was asked for. */
static void not_said_of_a_wish(void)
{
    rp_config config = RP_CONFIG_INIT;
    config.background = RP_OFF;
    if (!open_noted(config))
        return;
    submit_naps(40, 0.05);
    be_away(2.5);
    IS(RP_OK, rp_drain(pool, RP_FOREVER));
    CU_ASSERT_EQUAL(warnings.count, 0);
    close_pool();
}

static void master_that_cannot_work(void)
{
    for (int off = 0; off < 2; off++) {
        rp_config config = RP_CONFIG_INIT;
        config.master_works = RP_ON;
        config.background = off ? RP_OFF : RP_DEFAULT;
        if (!open_noted(config))
            continue;
        CU_ASSERT_EQUAL(warnings.count, 1);
        says(warnings.first, "config.master_works = RP_ON has no effect on tasks of 1 ms and more",
             __FILE__, __LINE__);
        says(warnings.first, off ? "config.background is RP_OFF" : "without MPI_THREAD_MULTIPLE",
             __FILE__, __LINE__);
        close_pool();
    }
}

int main(int argc, char **argv)
{
    static CU_TestInfo tests[] = { { "said_once", said_once },
                                   { "not_said", not_said },
                                   { "not_said_of_a_wish", not_said_of_a_wish },
                                   { "master_that_cannot_work", master_that_cannot_work },
                                   CU_TEST_INFO_NULL };
    static CU_SuiteInfo suites[] = { { "undriven", NULL, NULL, NULL, end_pool, tests },
                                     CU_SUITE_INFO_NULL };
    (void)MPI_Init(&argc, &argv);
    int code = harness_main(argc, argv, suites);
    (void)MPI_Finalize();
    return code;
}
