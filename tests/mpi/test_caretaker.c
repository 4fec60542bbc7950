/* The caretaker thread: rank 0 computes without a call, and the workers go on; it costs nothing when there is nothing to do. */
/* run: alone, -n 1, -n 2, -n 4 */
#include "fixture.h"

#include <rankpool_mpi.h>
#include <mpi.h>
#include <time.h>

#define PERIOD 1.0 /* seconds */

static double cpu_seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void pause_for(double length)
{
    struct timespec t = { .tv_sec = (time_t)length, .tv_nsec = (long)((length - (double)(time_t)length) * 1e9) };
    (void)nanosleep(&t, NULL);
}

static void compute(double length)
{
    for (double end = seconds() + length; seconds() < end;)
        continue;
}

static rp_stats stats_of(rp_pool *of)
{
    rp_stats stats = RP_STATS_INIT;
    IS(RP_OK, rp_stats_of(of, &stats));
    return stats;
}

static void submit_naps(rp_pool *to, int tasks)
{
    double length = 1e-3;
    for (int i = 0; i < tasks; i++) {
        rp_future future;
        IS(RP_OK, rp_submit(to, nap, &length, sizeof length, NULL, &future));
        IS(RP_OK, rp_release(to, future));
    }
}

/* ---- whether there is one ---- */

static void is_there(void)
{
    rp_config config = RP_CONFIG_INIT;
    rp_toggle wanted = ranks() > 1 ? RP_ON : RP_OFF;
    if (open_pool(NULL)) {
        CU_ASSERT_EQUAL(stats_of(pool).caretaker, wanted);
        close_pool();
    }
    config.background = RP_ON;
    if (open_pool(&config)) {
        CU_ASSERT_EQUAL(stats_of(pool).caretaker, wanted);
        close_pool();
    }
    config.background = RP_OFF;
    if (open_pool(&config)) {
        CU_ASSERT_EQUAL(stats_of(pool).caretaker, RP_OFF);
        close_pool();
    }
}

/* ---- what it does ---- */

static uint64_t done_while(void (*how)(double), double length)
{
    uint64_t before = stats_of(pool).done;
    how(length);
    return stats_of(pool).done - before;
}

static void wait_for(double length)
{
    IS(RP_ERR_TIMEOUT, rp_drain(pool, length));
}

/* Four fifths at the least of what is done while rank 0 waits; a machine that is busy with other things gets more than one try. */
static void works_while_rank_0_computes(void)
{
    bool enough = false;
    if (!open_pool(NULL))
        return;
    for (int i = 0; i < 4 && !enough && ranks() > 1; i++) {
        submit_naps(pool, (int)(3000 * PERIOD * (ranks() - 1)));
        uint64_t waiting = done_while(wait_for, PERIOD), away = done_while(compute, PERIOD);
        enough = (double)away >= 0.8 * (double)waiting;
        IS(RP_OK, rp_cancel_all(pool));
    }
    CU_ASSERT_TRUE(enough || ranks() == 1);
    close_pool();
}

/* Done before the next call. */
static void finishes_while_rank_0_is_away(void)
{
    if (!open_pool(NULL))
        return;
    if (ranks() > 1) {
        submit_naps(pool, 200);
        pause_for(0.8);
        CU_ASSERT_EQUAL(stats_of(pool).done, 200);
    }
    close_pool();
}

static void idles_for_nothing(void)
{
    if (!open_pool(NULL))
        return;
    submit_naps(pool, 10);
    IS(RP_OK, rp_drain(pool, RP_FOREVER));
    pause_for(0.05);
    double before = cpu_seconds();
    pause_for(PERIOD);
    CU_ASSERT_TRUE(cpu_seconds() - before < 0.003 * PERIOD);
    close_pool();
}

/* ---- several pools ---- */

/* Rank 0 has one pool with the odd ranks and one with the even ones; both work at once while it is away. */
static void two_pools(void)
{
    int initialised = 0, rank = 0;
    MPI_Comm comms[2];
    rp_pool *pools[2] = { NULL, NULL };
    (void)MPI_Initialized(&initialised);
    if (!initialised || ranks() < 3) {
        CU_PASS("too few ranks");
        return;
    }
    (void)MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    for (int i = 0; i < 2; i++)
        (void)MPI_Comm_split(MPI_COMM_WORLD, rank == 0 || rank % 2 == i ? 0 : MPI_UNDEFINED, rank, &comms[i]);
    for (int i = 0; i < 2; i++)
        if (comms[i] != MPI_COMM_NULL)
            IS(RP_OK, rp_open_comm(comms[i], NULL, &pools[i]));
    if (rank == 0) {
        submit_naps(pools[0], 100);
        submit_naps(pools[1], 100);
        pause_for(0.8);
    }
    for (int i = 0; i < 2; i++) {
        if (pools[i]) {
            CU_ASSERT_EQUAL(stats_of(pools[i]).done, 100);
            IS(RP_OK, rp_close(&pools[i]));
        }
        if (comms[i] != MPI_COMM_NULL)
            (void)MPI_Comm_free(&comms[i]);
    }
}

static void opens_and_closes(void)
{
    for (int i = 0; i < 20; i++) {
        if (!open_pool(NULL))
            continue;
        submit_naps(pool, i % 5);
        if (i % 2)
            close_pool();
        else
            IS(RP_OK, rp_terminate(&pool));
    }
}

int main(int argc, char **argv)
{
    static CU_TestInfo caretaker[] = { { "is_there", is_there },
                                       { "works_while_rank_0_computes", works_while_rank_0_computes },
                                       { "finishes_while_rank_0_is_away", finishes_while_rank_0_is_away },
                                       { "idles_for_nothing", idles_for_nothing },
                                       { "two_pools", two_pools },
                                       { "opens_and_closes", opens_and_closes },
                                       CU_TEST_INFO_NULL };
    static CU_SuiteInfo suites[] = { { "caretaker", NULL, NULL, NULL, end_pool, caretaker }, CU_SUITE_INFO_NULL };
    return harness_main(argc, argv, suites);
}
