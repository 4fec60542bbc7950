/* A pool's beginning and end, where rankpool itself looks after MPI. */
/* run: alone, -n 1, -n 2, -n 4 */
/* machine: alone */
#include "fixture.h"

#include <rankpool_mpi.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool initialised(void)
{
    int flag = 0;
    (void)MPI_Initialized(&flag);
    return flag;
}

/* The first test: MPI is not initialised yet. */
static void before_mpi(void)
{
    rp_pool *new = NULL;
    CU_ASSERT_FALSE(initialised());
    IS(RP_ERR_INVALID, rp_open_comm(MPI_COMM_WORLD, NULL, &new));
    SAYS("MPI is not initialised");
    IS(RP_ERR_INVALID, rp_open(NULL, NULL));
    CU_ASSERT_FALSE(initialised());
    CU_ASSERT_PTR_NULL(new);
}

static void initialises_mpi(void)
{
    int64_t in = 3, out = 0;
    int level = -1, size = 0;
    double begin = seconds();
    bool master = open_pool(NULL);
    if (ranks() > 1 || getenv("OMPI_COMM_WORLD_SIZE")) {
        CU_ASSERT(initialised());
        (void)MPI_Query_thread(&level);
        CU_ASSERT_EQUAL(level, MPI_THREAD_MULTIPLE);
        (void)MPI_Comm_size(MPI_COMM_WORLD, &size);
        CU_ASSERT_EQUAL(size, ranks());
    } else {
        CU_ASSERT_FALSE(initialised());
        CU_ASSERT(seconds() - begin < 0.05); /* it starts at once: MPI_Init takes longer */
    }
    if (!master)
        return;
    IS(RP_OK, rp_apply(pool, twice, &in, sizeof in, &out, sizeof out, NULL));
    CU_ASSERT_EQUAL(out, 6);
    close_pool();
}

static void again_and_again(void)
{
    for (int64_t round = 0; round < 10; round++) {
        int64_t in = round, out = -1;
        if (!open_pool(NULL))
            continue;
        for (int i = 0; i < 100; i++)
            (void)submit(nothing, NULL, 0);
        IS(RP_OK, rp_apply(pool, twice, &in, sizeof in, &out, sizeof out, NULL));
        CU_ASSERT_EQUAL(out, 2 * round);
        if (round % 2)
            close_pool();
        else
            IS(RP_OK, rp_terminate(&pool));
        IS(RP_ERR_INVALID, rp_close(&pool));
    }
    CU_ASSERT_EQUAL(initialised(), getenv("OMPI_COMM_WORLD_SIZE") != NULL);
}

static void closed_untouched(void)
{
    for (int i = 0; i < 4; i++)
        if (open_pool(NULL))
            IS(RP_OK, i % 2 ? rp_close(&pool) : rp_terminate(&pool));
}

/* Fewer workers than ranks: the others come back, too. */
static void fewer_processes(void)
{
    if (ranks() == 1)
        return; /* it would spawn them: test_spawn.c */
    for (int asked = 1; asked <= ranks() + 1; asked++) {
        rp_config config = RP_CONFIG_INIT;
        rp_worker_info info = RP_WORKER_INFO_INIT;
        int64_t values[500];
        config.processes = asked;
        if (!open_pool(&config))
            continue;
        int workers = asked < ranks() ? asked : ranks() - 1;
        CU_ASSERT_EQUAL(rp_workers(pool), (size_t)workers);
        IS(RP_ERR_INVALID, rp_worker_info_of(pool, workers + 1, &info));
        for (int64_t i = 0; i < 500; i++)
            values[i] = i;
        IS(RP_OK, rp_map(pool, twice, values, 8, 500, values, 8, NULL));
        CU_ASSERT_EQUAL(values[499], 998);
        close_pool();
    }
}

static void config_of_rank_0(void)
{
    rp_config config = RP_CONFIG_INIT;
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    config.processes = rank_here() == 0 ? ranks() > 1 : 3;
    config.queue_limit_tasks = rank_here() == 0 ? 5 : 1;
    if (ranks() == 1)
        config.processes = 0;
    if (!open_pool(&config))
        return;
    CU_ASSERT_EQUAL(rp_workers(pool), 1);
    IS(RP_OK, rp_release(pool, close_gate()));
    options.no_wait = true;
    for (int i = 0; i < 4; i++)
        IS(RP_OK, rp_submit(pool, nothing, NULL, 0, &options, NULL));
    open_gate();
    close_pool();
}

static rp_status registered_late(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    return rp_return(call, "late", 4);
}

static void registered_between(void)
{
    char room[4];
    if (open_pool(NULL)) {
        IS(RP_OK, rp_register("registered_late", registered_late));
        IS(RP_ERR_UNREGISTERED,
           rp_apply(pool, registered_late, NULL, 0, room, 4, NULL)); /* this pool is older */
        close_pool();
    } else {
        IS(RP_OK, rp_register("registered_late", registered_late));
    }
    if (!open_pool(NULL))
        return;
    IS(RP_OK, rp_apply(pool, registered_late, NULL, 0, room, 4, NULL));
    CU_ASSERT_EQUAL(memcmp(room, "late", 4), 0);
    close_pool();
}

/* ---- ends ---- */

/* A close runs everything, which the next pool counts: its worker is the same process. */
static void close_drains(void)
{
    rp_config config = RP_CONFIG_INIT;
    config.processes = ranks() > 1;
    for (int end = 0; end < 2; end++) {
        int64_t out = 0;
        if (open_pool(&config)) {
            IS(RP_OK, rp_apply(pool, begin_ordinals, NULL, 0, NULL, 0, NULL));
            IS(RP_OK, rp_release(pool, close_gate()));
            for (int i = 0; i < 1000; i++)
                IS(RP_OK, rp_submit(pool, ordinal, NULL, 0, NULL, NULL));
            open_gate();
            if (end)
                IS(RP_OK, rp_terminate(&pool));
            else
                close_pool();
        }
        if (open_pool(&config)) {
            IS(RP_OK, rp_apply(pool, ordinal, NULL, 0, &out, sizeof out, NULL));
            CU_ASSERT(end ? out <= 1001
                          : out == 1001); /* terminated: what had not started was dropped */
            close_pool();
        }
    }
}

static void terminate_waits_for_what_runs(void)
{
    double length = 0.2;
    if (!open_pool(NULL))
        return;
    rp_future future = submit(wakeup, &length, sizeof length);
    for (int i = 0; i < 50; i++)
        (void)submit(wakeup, &length, sizeof length);
    while (ranks() > 1 && rp_state_of(pool, future) == RP_QUEUED)
        continue;
    double begin = seconds();
    IS(RP_OK, rp_terminate(&pool));
    CU_ASSERT(seconds() - begin < 0.2 * 51 / 2);
}

static void *close_it(void *status)
{
    *(rp_status *)status = rp_close(&pool);
    return NULL;
}

static void *open_it(void *status)
{
    *(rp_status *)status = rp_open(NULL, &pool);
    return NULL;
}

/* Any thread may open and close. */
static void other_threads(void)
{
    pthread_t thread;
    rp_status status = RP_END;
    int64_t in = 4, out = 0;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, open_it, &status), 0);
    (void)pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(status, RP_OK);
    if (!pool)
        return;
    IS(RP_OK, rp_apply(pool, twice, &in, sizeof in, &out, sizeof out, NULL));
    CU_ASSERT_EQUAL(out, 8);
    for (int i = 0; i < 100; i++)
        (void)submit(twice, &in, sizeof in);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, close_it, &status), 0);
    (void)pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(status, RP_OK);
    CU_ASSERT_PTR_NULL(pool);
}

/* Rank 0 runs out of memory: at the very end of opening, when the others serve already. */
struct budget {
    long calls, limit;
};

static void *limited(void *old, size_t size, void *user)
{
    struct budget *budget = user;
    if (size == 0) {
        free(old);
        return NULL;
    }
    return ++budget->calls > budget->limit ? NULL : realloc(old, size);
}

/* What MPI may still write to is left to it then, which a leak checker cannot know. */
#if defined(__SANITIZE_ADDRESS__)
#define LEAKS_COUNT true
#else
#define LEAKS_COUNT false
#endif

static void out_of_memory(void)
{
    if (LEAKS_COUNT)
        return;
    struct budget budget = { .limit = 1000000 };
    rp_config config = RP_CONFIG_INIT;
    config.alloc = rank_here() == 0 ? limited : NULL;
    config.alloc_user = &budget;
    rp_pool *new = NULL;
    IS(RP_OK, rp_open(&config, &new));
    long needed = budget.calls;
    if (new)
        IS(RP_OK, rp_close(&new));
    budget = (struct budget){ .limit = needed - 1 };
    rp_status status = rp_open(&config, &new);
    CU_ASSERT_EQUAL(status, rank_here() == 0 ? RP_ERR_NOMEM : RP_ERR_BROKEN);
    CU_ASSERT_PTR_NULL(new);
    if (open_pool(NULL)) {
        IS(RP_OK, rp_apply(pool, nothing, NULL, 0, NULL, 0, NULL));
        close_pool();
    }
}

/* Two pools of one process each, at once: what belongs to one is nothing to the other. */
static void two_alone(void)
{
    rp_pool *a = NULL, *b = NULL;
    rp_future futures[2][50];
    if (getenv("OMPI_COMM_WORLD_SIZE")) {
        IS(RP_OK, rp_open_comm(MPI_COMM_SELF, NULL, &a));
        IS(RP_OK, rp_open_comm(MPI_COMM_SELF, NULL, &b));
    } else {
        IS(RP_OK, rp_open(NULL, &a));
        IS(RP_OK, rp_open(NULL, &b));
    }
    CU_ASSERT_FATAL(a && b && a != b);
    for (int64_t i = 0; i < 50; i++) {
        IS(RP_OK, rp_submit(a, twice, &i, sizeof i, NULL, &futures[0][i]));
        IS(RP_OK, rp_submit(b, twice, &(int64_t){ -i }, sizeof i, NULL, &futures[1][i]));
    }
    for (int64_t i = 0; i < 50; i++) {
        int64_t out = 0;
        CU_ASSERT_EQUAL(rp_state_of(b, futures[0][i]), RP_STALE);
        IS(RP_ERR_STALE, rp_get(a, futures[1][i], RP_FOREVER, &out, sizeof out, NULL));
        IS(RP_OK, rp_get(b, futures[1][i], RP_FOREVER, &out, sizeof out, NULL));
        CU_ASSERT_EQUAL(out, -2 * i);
        IS(RP_OK, rp_get(a, futures[0][i], RP_FOREVER, &out, sizeof out, NULL));
        CU_ASSERT_EQUAL(out, 2 * i);
    }
    IS(RP_OK, rp_close(&a));
    IS(RP_OK, rp_apply(b, nothing, NULL, 0, NULL, 0, NULL));
    IS(RP_OK, rp_close(&b));
}

int main(int argc, char **argv)
{
    static CU_TestInfo begins[] = { { "before_mpi", before_mpi },
                                    { "initialises_mpi", initialises_mpi },
                                    { "again_and_again", again_and_again },
                                    { "closed_untouched", closed_untouched },
                                    { "fewer_processes", fewer_processes },
                                    { "config_of_rank_0", config_of_rank_0 },
                                    { "registered_between", registered_between },
                                    { "two_alone", two_alone },
                                    { "out_of_memory", out_of_memory },
                                    CU_TEST_INFO_NULL };
    static CU_TestInfo ends[] = { { "close_drains", close_drains },
                                  { "terminate_waits_for_what_runs",
                                    terminate_waits_for_what_runs },
                                  { "other_threads", other_threads },
                                  CU_TEST_INFO_NULL };
    static CU_SuiteInfo suites[] = { { "begins", NULL, NULL, NULL, end_pool, begins },
                                     { "ends", NULL, NULL, NULL, end_pool, ends },
                                     CU_SUITE_INFO_NULL };
    return harness_main(argc, argv, suites);
}
