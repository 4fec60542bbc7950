/* A task calls MPI_Abort, in Fortran: it alone fails.  Or a child that it forks calls
 * MPI_Finalize: that does nothing.
 *   aborts [fork | child] */
#include <rankpool.h>

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* In Fortran. */
void abort_mpi(void);
void finalize_mpi(void);

static rp_status work(rp_call *call, const void *arg, size_t size)
{
    (void)call;
    (void)arg;
    (void)size;
    abort_mpi();
    return RP_OK;
}
RP_TASK(work);

static rp_status forks(rp_call *call, const void *arg, size_t size)
{
    int status = 0;
    pid_t pid = fork();
    (void)arg;
    (void)size;
    if (pid == 0) {
        (void)alarm(10);
        finalize_mpi();
        _exit(7);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return RP_ERR_TASK;
    return WIFEXITED(status) && WEXITSTATUS(status) == 7
               ? RP_OK
               : rp_fail(call, status, "the child ended with %d", status);
}
RP_TASK(forks);

int main(int argc, char **argv)
{
    rp_config config = RP_CONFIG_INIT;
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    rp_outcome outcome = RP_OUTCOME_INIT;
    rp_future future;
    rp_pool *pool;
    int child = argc > 1 && strcmp(argv[1], "child") == 0;
    config.isolation = argc > 1 && !child ? RP_FORK : RP_INLINE;
    options.attempts = 1;
    if (rp_open(&config, &pool) != RP_OK)
        return 2;
    if (!pool)
        return 0;
    if (rp_submit(pool, child ? forks : work, NULL, 0, &options, &future) != RP_OK ||
        rp_wait(pool, future, 30) != RP_OK || rp_outcome_of(pool, future, &outcome) != RP_OK)
        return 3;
    printf("%s, code %d: %s\n", rp_strerror(outcome.status), outcome.code, outcome.message);
    int good = child ? outcome.status == RP_OK
                     : outcome.status == RP_ERR_CRASHED && outcome.code == 7;
    return good && rp_close(&pool) == RP_OK ? 0 : 4;
}
