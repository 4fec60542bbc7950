/* Who has nothing to do leaves the cores to others. */
/* run: -n 4 */
/* build: plain */
/* machine: alone */
#include "fixture.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define WATCHED 1.5 /* seconds */
#define SHARE   0.1 /* of a core, at the most */
#define TURNS   120 /* that rank 0's threads take in such a time: each wakes to find nothing */

/* Processor seconds of a process of this host so far. */
static double used_by(int64_t pid)
{
    char path[64], text[1000] = "";
    unsigned long user = 0, system = 0;
    (void)snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
    FILE *file = fopen(path, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    (void)fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    const char *after_name = strrchr(text, ')');
    CU_ASSERT_PTR_NOT_NULL_FATAL(after_name);
    int found = sscanf(after_name, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                       &system);
    CU_ASSERT_EQUAL(found, 2);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static double used_here(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/* Times that a thread of this process went to sleep. */
static long sleeps_here(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return usage.ru_nvcsw;
}

static void workers_used(double *used)
{
    for (int i = 1; i <= (int)rp_workers(pool); i++) {
        rp_worker_info info = RP_WORKER_INFO_INIT;
        IS(RP_OK, rp_worker_info_of(pool, i, &info));
        used[i] = used_by(info.pid);
    }
}

/* Workers before their first task, and after a storm of them; rank 0 meanwhile is the
 * application's. */
static void idle_workers(void)
{
    double before[8], after[8];
    if (!open_pool(NULL))
        return;
    for (int round = 0; round < 2; round++) {
        (void)usleep(200000); /* the last task is a while ago */
        workers_used(before);
        (void)usleep((useconds_t)(1e6 * WATCHED));
        workers_used(after);
        for (int i = 1; i <= (int)rp_workers(pool); i++)
            CU_ASSERT(after[i] - before[i] < SHARE * WATCHED);
        for (int i = 0; i < 20000; i++)
            IS(RP_OK, rp_submit(pool, nothing, NULL, 0, NULL, NULL));
        IS(RP_OK, rp_drain(pool, RP_FOREVER));
    }
    close_pool();
}

/* Rank 0 waits for one task, and so do the workers that have none. */
static void waiting_master(void)
{
    double before[8], after[8], length = WATCHED;
    rp_outcome outcome = RP_OUTCOME_INIT;
    if (!open_pool(NULL))
        return;
    rp_future future = submit(wakeup, &length, sizeof length);
    workers_used(before);
    double here = used_here();
    long sleeps = sleeps_here();
    IS(RP_OK, rp_wait(pool, future, RP_FOREVER));
    CU_ASSERT(used_here() - here < SHARE * WATCHED);
    printf("%ld sleeps\n", sleeps_here() - sleeps);
    CU_ASSERT(sleeps_here() - sleeps < TURNS);
    workers_used(after);
    for (int i = 1; i <= (int)rp_workers(pool); i++)
        CU_ASSERT(after[i] - before[i] < SHARE * WATCHED);
    IS(RP_OK, rp_outcome_of(pool, future, &outcome));
    CU_ASSERT(outcome.ran >= 0.99 * WATCHED);
    close_pool();
}

/* Ranks that wait for one that comes late, or that have no place in the pool. */
static void surplus_ranks(void)
{
    rp_config config = RP_CONFIG_INIT;
    double before = used_here(), length = WATCHED;
    config.processes = 1;
    if (!open_pool(&config)) {
        CU_ASSERT(rank_here() == 1 ||
                  used_here() - before < SHARE * WATCHED + 0.1); /* opening and closing, too */
        return;
    }
    IS(RP_OK, rp_apply(pool, wakeup, &length, sizeof length, NULL, 0, NULL));
    close_pool();
}

int main(int argc, char **argv)
{
    static CU_TestInfo idle[] = { { "idle_workers", idle_workers },
                                  { "waiting_master", waiting_master },
                                  { "surplus_ranks", surplus_ranks },
                                  CU_TEST_INFO_NULL };
    static CU_SuiteInfo suites[] = { { "idle", NULL, NULL, NULL, end_pool, idle },
                                     CU_SUITE_INFO_NULL };
    return harness_main(argc, argv, suites);
}
