/* A task calls MPI_Abort, in Fortran: it alone fails.
 *   aborts [fork] */
#include <rankpool.h>

#include <stdio.h>

void end_mpi(void); /* in Fortran */

static rp_status work(rp_call *call, const void *arg, size_t size)
{
    (void)call;
    (void)arg;
    (void)size;
    end_mpi();
    return RP_OK;
}
RP_TASK(work);

int main(int argc, char **argv)
{
    rp_config config = RP_CONFIG_INIT;
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    rp_outcome outcome = RP_OUTCOME_INIT;
    rp_future future;
    rp_pool *pool;
    (void)argv;
    config.isolation = argc > 1 ? RP_FORK : RP_INLINE;
    options.attempts = 1;
    if (rp_open(&config, &pool) != RP_OK)
        return 2;
    if (!pool)
        return 0;
    if (rp_submit(pool, work, NULL, 0, &options, &future) != RP_OK || rp_wait(pool, future, 30) != RP_OK ||
        rp_outcome_of(pool, future, &outcome) != RP_OK)
        return 3;
    printf("%s, code %d: %s\n", rp_strerror(outcome.status), outcome.code, outcome.message);
    return outcome.status == RP_ERR_CRASHED && outcome.code == 7 && rp_close(&pool) == RP_OK ? 0 : 4;
}
