/* Pools over communicators of an application that looks after MPI itself. */
/* run: -n 1, -n 2, -n 4, -n 5 */
#include "fixture.h"

#include <rankpool_mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int rank, size; /* in MPI_COMM_WORLD */

static void works(rp_pool *p, int64_t salt)
{
    rp_future futures[200];
    int wrong = 0;
    for (int64_t i = 0; i < 200; i++)
        wrong += rp_submit(p, twice, &(int64_t){ i + salt }, sizeof i, NULL, &futures[i]) != RP_OK;
    for (int64_t i = 0; i < 200; i++) {
        int64_t out = 0;
        wrong += rp_get(p, futures[i], RP_FOREVER, &out, sizeof out, NULL) != RP_OK ||
                 out != 2 * (i + salt);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* The sum of every rank's 1, by the application's own means. */
static int all_are_here(void)
{
    int one = 1, sum = 0;
    (void)MPI_Allreduce(&one, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    return sum;
}

static bool has_message(MPI_Comm comm)
{
    int flag = 0;
    (void)MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, comm, &flag, MPI_STATUS_IGNORE);
    return flag;
}

static void nothing_is_left(MPI_Comm comm)
{
    (void)MPI_Barrier(comm);
    CU_ASSERT_FALSE(has_message(comm));
}

/* What a freed communicator still has would come to a later one of its number. */
int MPI_Comm_free(MPI_Comm *comm)
{
    CU_ASSERT_FALSE(has_message(*comm));
    return PMPI_Comm_free(comm);
}

static bool open_on(MPI_Comm comm)
{
    pool = NULL;
    return IS(RP_OK, rp_open_comm(comm, NULL, &pool)) && pool;
}

/* ---- */

static void world(void)
{
    int finalised = 1;
    for (int i = 0; i < 3; i++) {
        if (i == 1 ? open_pool(NULL) : open_on(MPI_COMM_WORLD)) {
            CU_ASSERT_EQUAL(rank, 0);
            works(pool, i);
            close_pool();
        }
        CU_ASSERT_EQUAL(all_are_here(), size);
        nothing_is_left(MPI_COMM_WORLD);
    }
    (void)MPI_Finalized(&finalised);
    CU_ASSERT_FALSE(finalised);
}

static void bad_communicators(void)
{
    rp_pool *new = NULL;
    MPI_Comm half, bridge = MPI_COMM_NULL;
    IS(RP_ERR_INVALID, rp_open_comm(MPI_COMM_NULL, NULL, &new));
    SAYS("MPI_COMM_NULL");
    IS(RP_ERR_INVALID, rp_open_comm(MPI_COMM_WORLD, NULL, NULL));
    CU_ASSERT_PTR_NULL(new);
    if (size == 1)
        return;
    (void)MPI_Comm_split(MPI_COMM_WORLD, rank % 2, 0, &half);
    (void)MPI_Intercomm_create(half, 0, MPI_COMM_WORLD, rank % 2 ? 0 : 1, 5, &bridge);
    IS(RP_ERR_INVALID, rp_open_comm(bridge, NULL, &new));
    SAYS("intercommunicator");
    CU_ASSERT_PTR_NULL(new);
    (void)MPI_Comm_free(&bridge);
    (void)MPI_Comm_free(&half);
}

/* The last rank of all is rank 0 of the pool. */
static void reversed(void)
{
    MPI_Comm comm;
    (void)MPI_Comm_split(MPI_COMM_WORLD, 0, size - rank, &comm);
    if (open_on(comm)) {
        CU_ASSERT_EQUAL(rank, size - 1);
        CU_ASSERT_EQUAL(rp_workers(pool), (size_t)(size > 1 ? size - 1 : 1));
        for (int i = 1; i < size; i++) {
            rp_worker_info info = RP_WORKER_INFO_INIT;
            IS(RP_OK, rp_worker_info_of(pool, i, &info));
        }
        works(pool, 0);
        close_pool();
    }
    (void)MPI_Comm_free(&comm);
    CU_ASSERT_EQUAL(all_are_here(), size);
}

/* Ranks that are in no pool go on with MPI meanwhile; several pools, each with ranks of its own. */
static void subset(void)
{
    MPI_Comm comm;
    int members = size > 3 ? size - 2 : 1;
    (void)MPI_Comm_split(MPI_COMM_WORLD, rank < members, rank, &comm);
    if (rank < members) {
        if (open_on(comm)) {
            CU_ASSERT_EQUAL(rank, 0);
            works(pool, 1);
            close_pool();
        }
    } else {
        int sum = 0, value = 1;
        for (int i = 0; i < 500; i++)
            (void)MPI_Allreduce(&value, &sum, 1, MPI_INT, MPI_SUM, comm);
        CU_ASSERT_EQUAL(sum, size - members);
    }
    (void)MPI_Comm_free(&comm);
    (void)MPI_Comm_split(MPI_COMM_WORLD, rank % 2, rank, &comm); /* side by side */
    if (open_on(comm)) {
        CU_ASSERT(rank < 2);
        works(pool, rank);
        close_pool();
    }
    (void)MPI_Comm_free(&comm);
    CU_ASSERT_EQUAL(all_are_here(), size);
    nothing_is_left(MPI_COMM_WORLD);
}

/* Rank 0 is master of two pools at once: the odd ranks are the workers of one, the even ones of the
 * other. */
static void two_at_once(void)
{
    MPI_Comm comms[2];
    rp_pool *pools[2] = { NULL, NULL };
    rp_future futures[2][300];
    for (int i = 0; i < 2; i++)
        (void)MPI_Comm_split(MPI_COMM_WORLD, rank == 0 || rank % 2 == i ? 0 : MPI_UNDEFINED, rank,
                             &comms[i]);
    for (int i = 0; i < 2; i++)
        if (comms[i] != MPI_COMM_NULL)
            IS(RP_OK, rp_open_comm(comms[i], NULL, &pools[i]));
    if (rank == 0) {
        int wrong = 0;
        for (int64_t i = 0; i < 300; i++)
            for (int j = 0; j < 2; j++)
                wrong += rp_submit(pools[j], twice, &(int64_t){ 1000 * j + i }, 8, NULL,
                                   &futures[j][i]) != RP_OK;
        CU_ASSERT_EQUAL(rp_state_of(pools[1], futures[0][7]), RP_STALE);
        CU_ASSERT_EQUAL(rp_state_of(pools[0], futures[1][7]), RP_STALE);
        for (int64_t i = 0; i < 300; i++)
            for (int j = 0; j < 2; j++) {
                int64_t out = 0;
                wrong += rp_get(pools[j], futures[j][i], RP_FOREVER, &out, sizeof out, NULL) !=
                         RP_OK;
                wrong += out != 2 * (1000 * j + i);
            }
        CU_ASSERT_EQUAL(wrong, 0);
        IS(RP_OK, rp_close(&pools[0]));
        works(pools[1], 5);
        IS(RP_OK, rp_close(&pools[1]));
    }
    for (int i = 0; i < 2; i++)
        if (comms[i] != MPI_COMM_NULL)
            (void)MPI_Comm_free(&comms[i]);
    CU_ASSERT_EQUAL(all_are_here(), size);
}

static void communicator_freed_early(void)
{
    MPI_Comm comm;
    (void)MPI_Comm_dup(MPI_COMM_WORLD, &comm);
    if (rank == 0) {
        (void)open_on(comm);
        (void)MPI_Comm_free(&comm); /* the pool has its own */
        works(pool, 3);
        close_pool();
    } else {
        (void)open_on(comm);
        (void)MPI_Comm_free(&comm);
    }
    CU_ASSERT_EQUAL(all_are_here(), size);
}

/* The application's receive from anybody, whatever the tag, gets the application's message. */
static void traffic_of_its_own(void)
{
    int value = 0, told = 42;
    MPI_Request request;
    MPI_Status status;
    if (rank == 0)
        (void)MPI_Irecv(&value, 1, MPI_INT, MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &request);
    if (open_on(MPI_COMM_WORLD)) {
        works(pool, 9);
        close_pool();
    }
    if (rank == size - 1)
        (void)MPI_Send(&told, 1, MPI_INT, 0, 17, MPI_COMM_WORLD);
    if (rank == 0) {
        (void)MPI_Wait(&request, &status);
        CU_ASSERT_EQUAL(value, 42);
        CU_ASSERT_EQUAL(status.MPI_TAG, 17);
    }
}

/* The application's communicator keeps its error handler and its name. */
static void communicator_untouched(void)
{
    char before[MPI_MAX_OBJECT_NAME], after[MPI_MAX_OBJECT_NAME];
    int length;
    MPI_Errhandler handler;
    (void)MPI_Comm_get_name(MPI_COMM_WORLD, before, &length);
    if (open_on(MPI_COMM_WORLD))
        close_pool();
    (void)MPI_Comm_get_name(MPI_COMM_WORLD, after, &length);
    CU_ASSERT_STRING_EQUAL(before, after);
    (void)MPI_Comm_get_errhandler(MPI_COMM_WORLD, &handler);
    CU_ASSERT_EQUAL(handler, MPI_ERRORS_ARE_FATAL);
    (void)MPI_Errhandler_free(&handler);
}

/* What anybody sends on the application's own communicator. */
static int sent_on_world;

int MPI_Isend(const void *data, int count, MPI_Datatype type, int to, int tag, MPI_Comm comm,
              MPI_Request *request)
{
    sent_on_world += comm == MPI_COMM_WORLD;
    return PMPI_Isend(data, count, type, to, tag, comm, request);
}

/* Late, but not too late.  Ranks that wait send no message: if it came after rank 0 has opened the
 * pool, it would stay unreceived, or reach a later communicator of the same number. */
static void late_rank(void)
{
    double wake = seconds() + 1.4;
    sent_on_world = 0;
    if (rank == size - 1)
        while (seconds() < wake)
            continue;
    if (open_on(MPI_COMM_WORLD)) {
        works(pool, 2);
        close_pool();
    }
    CU_ASSERT_EQUAL(sent_on_world, 0);
    nothing_is_left(MPI_COMM_WORLD);
}

int main(int argc, char **argv)
{
    static CU_TestInfo comm[] = { { "world", world },
                                  { "bad_communicators", bad_communicators },
                                  { "reversed", reversed },
                                  { "subset", subset },
                                  { "two_at_once", two_at_once },
                                  { "communicator_freed_early", communicator_freed_early },
                                  { "traffic_of_its_own", traffic_of_its_own },
                                  { "communicator_untouched", communicator_untouched },
                                  { "late_rank", late_rank },
                                  CU_TEST_INFO_NULL };
    static CU_SuiteInfo suites[] = { { "comm", NULL, NULL, NULL, end_pool, comm },
                                     CU_SUITE_INFO_NULL };
    (void)MPI_Init(&argc, &argv); /* no threads asked for */
    (void)MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    (void)MPI_Comm_size(MPI_COMM_WORLD, &size);
    int status = harness_main(argc, argv, suites);
    (void)MPI_Finalize();
    return status;
}
