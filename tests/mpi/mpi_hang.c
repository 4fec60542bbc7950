/* Rank 0 is inside an MPI call that does not return; lost.sh runs it.
 *   mpi_hang killed    after a worker was killed: as if MPI waited for something that it held
 *   mpi_hang slow      for SLOW seconds, and no process has died */
#include <rankpool.h>

#include <mpi.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SLOW 25

static atomic_int rounds; /* seconds that the next call takes */

/* In the place of MPI's own, which has this other name (MPI-3.1, 14.2). */
int MPI_Test(MPI_Request *request, int *flag, MPI_Status *status)
{
    while (atomic_load(&rounds) > 0) {
        (void)sleep(1);
        atomic_fetch_sub(&rounds, 1);
    }
    return PMPI_Test(request, flag, status);
}

static rp_status rest(rp_call *call, const void *arg, size_t size)
{
    (void)call;
    (void)arg;
    (void)size;
    (void)usleep(500000);
    return RP_OK;
}
RP_TASK(rest);

int main(int argc, char **argv)
{
    rp_pool *pool;
    rp_future future;
    rp_worker_info info = RP_WORKER_INFO_INIT;
    if (argc < 2 || rp_open(NULL, &pool) != RP_OK) {
        printf("open: %s\n", rp_error_message());
        return 1;
    }
    if (!pool)
        return 0;
    rp_status status = rp_worker_info_of(pool, 1, &info);
    if (status == RP_OK)
        status = rp_submit(pool, rest, NULL, 0, NULL, &future);
    atomic_store(&rounds, strcmp(argv[1], "killed") == 0 ? 1000 : SLOW);
    if (strcmp(argv[1], "killed") == 0)
        (void)kill((pid_t)info.pid, SIGKILL);
    if (status == RP_OK)
        status = rp_wait(pool, future, 2 * SLOW);
    printf("wait: %s\n", status == RP_OK ? "settled" : rp_error_message());
    return rp_close(&pool) != RP_OK || status != RP_OK;
}
