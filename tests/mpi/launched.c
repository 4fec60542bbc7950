/* A pool where the launcher is another MPI's, or has started something else: launched WAY
 * [COMMAND].
 * The command is run by rank 0 while the pool is open.  tests/mpi/launchers.sh runs it. */
#include <rankpool_mpi.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static rp_status open_pool(const char *way, rp_pool **pool)
{
    MPI_Comm copy;
    if (strcmp(way, "world") == 0)
        return rp_open(NULL, pool);
    (void)MPI_Init(NULL, NULL);
    if (strcmp(way, "own") == 0)
        return rp_open(NULL, pool);
    if (strcmp(way, "self") == 0)
        return rp_open_comm(MPI_COMM_SELF, NULL, pool);
    (void)MPI_Comm_dup(MPI_COMM_WORLD, &copy);
    rp_status status = rp_open_comm(copy, NULL, pool);
    (void)MPI_Comm_free(&copy);
    return status;
}

int main(int argc, char **argv)
{
    const char *way = argc > 1 ? argv[1] : "world";
    rp_pool *pool = NULL;
    rp_status status = open_pool(way, &pool);
    if (status != RP_OK)
        fprintf(stderr, "open: %s\n", rp_error_message());
    if (pool) {
        printf("workers: %d\n", (int)rp_workers(pool));
        fflush(stdout);
        if (argc > 2)
            printf("status: %d\n",
                   system(argv[2])); /* NOLINT(cert-env33-c): a launcher would be one, too */
        status = rp_close(&pool);
    }
    if (strcmp(way, "world") != 0)
        (void)MPI_Finalize();
    return status != RP_OK;
}
