/* The caretaker thread: rank 0 computes without a call, and the workers go on; it costs nothing
 * when there is nothing to do. */
/* run: alone, -n 1, -n 2, -n 4 */
/* machine: alone */
#include "fixture.h"

#include <rankpool_mpi.h>
#include <fcntl.h>
#include <mpi.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PERIOD 1.0 /* seconds */

static double cpu_seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void pause_for(double length)
{
    struct timespec t = { .tv_sec = (time_t)length,
                          .tv_nsec = (long)((length - (double)(time_t)length) * 1e9) };
    (void)nanosleep(&t, NULL);
}

/* ---- tasks that rank 0 can count without a call: in a page of a file, which every rank of this
 * host maps ---- */

#define PATIENCE 50 /* seconds, on a machine however busy */

struct counted {
    char path[64];
    int place; /* in the page */
};

static atomic_uint *page_of(const char *path, int flags)
{
    int fd = open(path, O_RDWR | flags, 0600);
    if (fd < 0)
        return NULL;
    void *page = ftruncate(fd, 4096) == 0
                     ? mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
                     : MAP_FAILED;
    (void)close(fd);
    return page == MAP_FAILED ? NULL : page;
}

/* 1 ms. */
static rp_status count_nap(rp_call *call, const void *arg, size_t size)
{
    static atomic_uint *page;
    static char path[64];
    const struct counted *counted = arg;
    if (!page || strcmp(path, counted->path) != 0) {
        page = page_of(counted->path, 0);
        (void)snprintf(path, sizeof path, "%s", counted->path);
    }
    if (!page || size != sizeof *counted)
        return rp_fail(call, 1, "%s cannot be mapped", counted->path);
    pause_for(1e-3);
    (void)atomic_fetch_add(&page[counted->place], 1);
    return RP_OK;
}
RP_TASK(count_nap);

static struct counted counted;
static atomic_uint *page;

static void begin_count(void)
{
    static int begun;
    (void)snprintf(counted.path, sizeof counted.path, "/tmp/rankpool-count-%ld-%d", (long)getpid(),
                   ++begun);
    page = page_of(counted.path, O_CREAT | O_TRUNC);
    CU_ASSERT_PTR_NOT_NULL_FATAL(page);
}

static void end_count(void)
{
    (void)munmap(page, 4096);
    (void)unlink(counted.path);
}

static void submit_counted(rp_pool *to, int place, unsigned tasks)
{
    counted.place = place;
    for (unsigned i = 0; i < tasks; i++)
        IS(RP_OK, rp_submit(to, count_nap, &counted, sizeof counted, NULL, NULL));
}

/* Makes no rankpool call until `tasks` have run at `place`; false: they do not.  `computes`: is
 * busy all the while. */
static bool comes_to(int place, unsigned tasks, bool computes)
{
    for (double end = seconds() + PATIENCE; atomic_load(&page[place]) < tasks;) {
        if (seconds() > end)
            return false;
        if (!computes)
            pause_for(1e-3);
    }
    return true;
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
        IS(RP_OK, rp_submit(to, wakeup, &length, sizeof length, NULL, &future));
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

/* Many times what a worker is given ahead: somebody hands out tasks without a call.  (How fast,
 * tests/bench measures.) */
static void works_while_rank_0(bool computes)
{
    if (!open_pool(NULL))
        return;
    if (ranks() > 1) {
        unsigned tasks = 500 * (unsigned)rp_workers(pool);
        begin_count();
        submit_counted(pool, 0, tasks);
        CU_ASSERT_TRUE(comes_to(0, tasks, computes));
        IS(RP_OK, rp_drain(pool, RP_FOREVER));
        CU_ASSERT_EQUAL(stats_of(pool).done, tasks);
        end_count();
    }
    close_pool();
}

static void works_while_rank_0_computes(void)
{
    works_while_rank_0(true);
}

static void works_while_rank_0_is_away(void)
{
    works_while_rank_0(false);
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

/* Rank 0 has one pool with the odd ranks and one with the even ones; both work at once while it is
 * away. */
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
        (void)MPI_Comm_split(MPI_COMM_WORLD, rank == 0 || rank % 2 == i ? 0 : MPI_UNDEFINED, rank,
                             &comms[i]);
    for (int i = 0; i < 2; i++)
        if (comms[i] != MPI_COMM_NULL)
            IS(RP_OK, rp_open_comm(comms[i], NULL, &pools[i]));
    if (rank == 0) {
        begin_count();
        for (int i = 0; i < 2; i++)
            submit_counted(pools[i], i, 300);
        for (int i = 0; i < 2; i++)
            CU_ASSERT_TRUE(comes_to(i, 300, i == 0));
        for (int i = 0; i < 2; i++)
            IS(RP_OK, rp_drain(pools[i], RP_FOREVER));
        end_count();
    }
    for (int i = 0; i < 2; i++) {
        if (pools[i]) {
            CU_ASSERT_EQUAL(stats_of(pools[i]).done, 300);
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
                                       { "works_while_rank_0_computes",
                                         works_while_rank_0_computes },
                                       { "works_while_rank_0_is_away", works_while_rank_0_is_away },
                                       { "idles_for_nothing", idles_for_nothing },
                                       { "two_pools", two_pools },
                                       { "opens_and_closes", opens_and_closes },
                                       CU_TEST_INFO_NULL };
    static CU_SuiteInfo suites[] = { { "caretaker", NULL, NULL, NULL, end_pool, caretaker },
                                     CU_SUITE_INFO_NULL };
    return harness_main(argc, argv, suites);
}
