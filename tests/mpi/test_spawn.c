/* config.processes in a run of one rank: workers that rank 0 spawns.  They run this program too,
 * and all its tests up to their pool. */
/* run: alone, -n 1 */
/* limit: 300 */
#include "fixture.h"

#include <rankpool_mpi.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORKERS 3

static rp_config spawning(int workers)
{
    rp_config config = RP_CONFIG_INIT;
    config.processes = workers;
    return config;
}

static bool spawn(int workers)
{
    rp_config config = spawning(workers);
    return open_pool(&config);
}

/* ---- tasks */

static rp_status whoami(rp_call *call, const void *arg, size_t size)
{
    int64_t pid = getpid();
    (void)arg;
    (void)size;
    return rp_return(call, &pid, sizeof pid);
}
RP_TASK(whoami);

/* Whether the environment still tells a worker's children that they are workers. */
static rp_status marked(rp_call *call, const void *arg, size_t size)
{
    bool is_marked = getenv("RANKPOOL_SPAWNED") != NULL;
    (void)arg;
    (void)size;
    return rp_return(call, &is_marked, sizeof is_marked);
}
RP_TASK(marked);

/* ---- serving */

static void workers_are_processes(void)
{
    char host[65] = "";
    (void)gethostname(host, sizeof host - 1);
    if (!spawn(WORKERS))
        return;
    CU_ASSERT_EQUAL(rp_workers(pool), WORKERS);
    for (int i = 1; i <= WORKERS; i++) {
        rp_worker_info info = RP_WORKER_INFO_INIT;
        IS(RP_OK, rp_worker_info_of(pool, i, &info));
        CU_ASSERT_STRING_EQUAL(info.host, host);
        CU_ASSERT_NOT_EQUAL(info.pid, getpid());
        CU_ASSERT_EQUAL(kill((pid_t)info.pid, 0), 0);
        CU_ASSERT_FALSE(info.lost);
    }
    close_pool();
}

static void tasks_run_where_they_say(void)
{
    enum { COUNT = 200 };
    if (!spawn(WORKERS))
        return;
    for (int i = 0; i < COUNT; i++) {
        rp_future future = submit(whoami, NULL, 0);
        rp_outcome outcome = RP_OUTCOME_INIT;
        rp_worker_info info = RP_WORKER_INFO_INIT;
        int64_t pid = 0;
        IS(RP_OK, rp_wait(pool, future, RP_FOREVER));
        IS(RP_OK, rp_outcome_of(pool, future, &outcome));
        IS(RP_OK, rp_worker_info_of(pool, outcome.worker, &info));
        CU_ASSERT_EQUAL_FATAL(outcome.size, sizeof pid);
        memcpy(&pid, outcome.data, sizeof pid);
        CU_ASSERT_EQUAL(pid, info.pid);
        IS(RP_OK, rp_release(pool, future));
    }
    close_pool();
}

static void many_and_large(void)
{
    enum { COUNT = 20000, SIZE = 5000003 };
    static int64_t values[COUNT], results[COUNT];
    static unsigned char data[SIZE], copy[SIZE];
    size_t size = 0;
    if (!spawn(WORKERS))
        return;
    for (int64_t i = 0; i < COUNT; i++)
        values[i] = i;
    IS(RP_OK, rp_map(pool, twice, values, sizeof *values, COUNT, results, sizeof *results, NULL));
    for (int64_t i = 0; i < COUNT; i++)
        CU_ASSERT_EQUAL_FATAL(results[i], 2 * i);
    fill(data, SIZE, 1);
    IS(RP_OK, rp_apply(pool, echo, data, SIZE, copy, SIZE, &size));
    CU_ASSERT_EQUAL(size, SIZE);
    CU_ASSERT(filled(copy, SIZE, 1));
    close_pool();
}

static void a_workers_children_are_not_marked(void)
{
    bool is_marked = true;
    if (!spawn(1))
        return;
    IS(RP_OK, rp_apply(pool, marked, NULL, 0, &is_marked, sizeof is_marked, NULL));
    CU_ASSERT_FALSE(is_marked);
    CU_ASSERT_PTR_NULL(getenv("RANKPOOL_SPAWNED"));
    close_pool();
}

/* ---- opens: a worker passes all but the one it was spawned for */

static void refused_opens_do_not_count(void)
{
    rp_config config = RP_CONFIG_INIT;
    pool = NULL;
    config.processes = -1;
    IS(RP_ERR_INVALID, rp_open(&config, &pool));
    if (!spawn(1))
        return;
    IS(RP_OK, rp_apply(pool, nothing, NULL, 0, NULL, 0, NULL));
    close_pool();
}

static void pools_without_workers_count(void)
{
    if (open_pool(NULL))
        close_pool();
    if (!spawn(1))
        return;
    IS(RP_OK, rp_apply(pool, nothing, NULL, 0, NULL, 0, NULL));
    close_pool();
}

static void two_at_once(void)
{
    rp_config config = spawning(1);
    rp_pool *first = NULL, *second = NULL;
    int64_t one = 0, other = 0;
    IS(RP_OK, rp_open(&config, &first));
    IS(RP_OK, rp_open(&config, &second));
    if (!first || !second)
        return;
    IS(RP_OK, rp_apply(first, whoami, NULL, 0, &one, sizeof one, NULL));
    IS(RP_OK, rp_apply(second, whoami, NULL, 0, &other, sizeof other, NULL));
    CU_ASSERT_NOT_EQUAL(one, other);
    IS(RP_OK, rp_close(&first));
    IS(RP_OK, rp_close(&second));
}

static void over_a_communicator(void)
{
    rp_config config = spawning(2);
    pool = NULL;
    IS(RP_OK, rp_open_comm(MPI_COMM_SELF, &config, &pool));
    if (!pool)
        return;
    CU_ASSERT_EQUAL(rp_workers(pool), 2);
    IS(RP_OK, rp_apply(pool, nothing, NULL, 0, NULL, 0, NULL));
    close_pool();
}

static int open_files(void)
{
    int count = 0;
    for (int file = 0; file < 1024; file++)
        count += fcntl(file, F_GETFD) >= 0;
    return count;
}

static void again_and_again(void)
{
    enum { TIMES = 20, WARM = 4 };
    int files = 0;
    for (int i = 0; i < TIMES; i++) {
        if (!spawn(1))
            continue;
        IS(RP_OK, rp_apply(pool, nothing, NULL, 0, NULL, 0, NULL));
        close_pool();
        if (i == WARM)
            files = open_files();
        if (i == TIMES - 1)
            CU_ASSERT(open_files() <= files + 1);
    }
}

static CU_TestInfo tests[] = { { "workers_are_processes", workers_are_processes },
                               { "tasks_run_where_they_say", tasks_run_where_they_say },
                               { "many_and_large", many_and_large },
                               { "a_workers_children_are_not_marked",
                                 a_workers_children_are_not_marked },
                               { "refused_opens_do_not_count", refused_opens_do_not_count },
                               { "pools_without_workers_count", pools_without_workers_count },
                               { "two_at_once", two_at_once },
                               { "over_a_communicator", over_a_communicator },
                               { "again_and_again", again_and_again },
                               CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "spawn", NULL, NULL, NULL, end_pool, tests },
                                 CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
