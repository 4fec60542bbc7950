/* More ranks than cores: sleeping tasks of 100 us on pools of 2, 8, 32 and all ranks, interleaved,
 * and what opening and closing the largest adds to a program.  Ranks outside a pool wait asleep.
 * run: mpirun -n 64 */
#include "figure.h"

#include <rankpool_mpi.h>
#include <stdio.h>

#define SIZES 4
#define PART  0.4 /* seconds of one measurement, about */

static rp_status wakeup(rp_call *call, const void *arg, size_t size)
{
    (void)call;
    (void)arg;
    (void)size;
    pause_for(100e-6);
    return RP_OK;
}
RP_TASK(wakeup);

/* A barrier in which no rank spins: there are two cores. */
static void meet(void)
{
    MPI_Request barrier;
    int flag = 0;
    (void)MPI_Ibarrier(MPI_COMM_WORLD, &barrier);
    for (;;) {
        (void)MPI_Test(&barrier, &flag, MPI_STATUS_IGNORE);
        if (flag)
            return;
        pause_for(10e-3);
    }
}

static void run(rp_pool *pool, int tasks)
{
    for (int i = 0; i < tasks; i++)
        must(rp_submit(pool, wakeup, NULL, 0, NULL, NULL), "rp_submit");
    must(rp_drain(pool, RP_FOREVER), "rp_drain");
}

/* Tasks a second, and the seconds that opening and closing took. */
static void measure(MPI_Comm comm, int ranks, double *rate, double *around)
{
    rp_pool *pool;
    int tasks = (ranks - 1) * 1000 < 20000 ? (ranks - 1) * 1000 : 20000;
    double begin = seconds();
    must(rp_open_comm(comm, NULL, &pool), "rp_open_comm");
    *around = seconds() - begin;
    if (!pool)
        return;
    run(pool, tasks / 4);
    begin = seconds();
    run(pool, tasks);
    *rate = tasks / (seconds() - begin);
    begin = seconds();
    must(rp_close(&pool), "rp_close");
    *around += seconds() - begin;
}

int main(int argc, char **argv)
{
    int sizes[SIZES] = { 2, 8, 32, 64 }, rank, size, provided;
    double rates[SIZES][BENCH_ROUNDS] = { { 0 } }, around[BENCH_ROUNDS], allowed[BENCH_ROUNDS];
    MPI_Comm comms[SIZES];
    (void)MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
    (void)MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    (void)MPI_Comm_size(MPI_COMM_WORLD, &size);
    must(size >= 64 ? RP_OK : RP_ERR_INVALID, "oversubscribed: run it with mpirun -n 64");
    for (int k = 0; k < SIZES; k++)
        (void)MPI_Comm_split(MPI_COMM_WORLD, rank < sizes[k] ? 0 : MPI_UNDEFINED, rank, &comms[k]);
    for (int i = 0; i < BENCH_ROUNDS; i++) {
        for (int k = 0; k < SIZES; k++) {
            if (comms[k] != MPI_COMM_NULL)
                measure(comms[k], sizes[k], &rates[k][i], &around[i]);
            meet();
        }
        allowed[i] = 2;
    }
    for (int k = 1; k < SIZES && rank == 0; k++) {
        char name[32], peer[32];
        (void)snprintf(name, sizeof name, "oversubscribed-%d", sizes[k]);
        (void)snprintf(peer, sizeof peer, "oversubscribed-%d", sizes[k - 1]);
        figure(name, "tasks/s", rates[k], peer, rates[k - 1], BENCH_ROUNDS);
    }
    if (rank == 0)
        figure("oversubscribed-64-open-close", "s", around, "allowed", allowed, BENCH_ROUNDS);
    return MPI_Finalize();
}
