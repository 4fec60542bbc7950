/* A program for unfinished.sh: rank 0 ends with status 7, breaks MPI's rules or leaves a process.
 *   unfinished plain      no rank initialises MPI
 *   unfinished exit       no rank finalises MPI; quick: nor runs its exit handlers
 *   unfinished pool       the application initialises MPI, uses a pool, and never finalises MPI;
 *                         open: nor closes the pool
 *   unfinished daemon     a daemon of rank 0's holds its standard output and error open for 30 s
 *   unfinished child      likewise without a session of its own; ahead: of each rank's, from before
 *                         MPI is initialised
 *   unfinished deaf       workers ignore every signal that can be ignored, for ever
 *   unfinished barrier    workers wait in MPI for rank 0
 *   unfinished stopped    workers stop themselves */
#include <rankpool.h>

#include <mpi.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATUS 7

static rp_status nothing(rp_call *call, const void *arg, size_t size)
{
    (void)call;
    (void)arg;
    (void)size;
    return RP_OK;
}
RP_TASK(nothing);

static int use_pool(bool closes)
{
    rp_pool *pool;
    if (rp_open(NULL, &pool) != RP_OK)
        return 1;
    for (int i = 0; pool && i < 100; i++)
        if (rp_submit(pool, nothing, NULL, 0, NULL, NULL) != RP_OK)
            return 2;
    if (pool && rp_drain(pool, 30) != RP_OK)
        return 3;
    return pool && closes && rp_close(&pool) != RP_OK ? 4 : STATUS;
}

static void leave_a_process(bool with_session)
{
    if (fork() != 0)
        return;
    if (with_session)
        (void)setsid();
    (void)sleep(30);
    _exit(0);
}

static void stay_for_ever(void)
{
    for (int number = 1; number < NSIG; number++)
        (void)signal(number, SIG_IGN);
    for (;;)
        (void)sleep(60);
}

static void initialise(int *rank)
{
    int level;
    (void)MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &level);
    (void)MPI_Comm_rank(MPI_COMM_WORLD, rank);
}

int main(int argc, char **argv)
{
    int rank = 1;
    if (argc != 2)
        return 2;
    const char *what = argv[1];
    if (strcmp(what, "plain") == 0)
        return STATUS;
    if (strcmp(what, "ahead") == 0)
        leave_a_process(false);
    initialise(&rank);
    if (strcmp(what, "quick") == 0)
        _exit(STATUS);
    if (strcmp(what, "pool") == 0 || strcmp(what, "open") == 0)
        return use_pool(what[0] == 'p');
    if (rank == 0 && (strcmp(what, "daemon") == 0 || strcmp(what, "child") == 0))
        leave_a_process(what[0] == 'd');
    if (rank != 0 && strcmp(what, "deaf") == 0)
        stay_for_ever();
    if (rank != 0 && strcmp(what, "stopped") == 0)
        (void)raise(SIGSTOP);
    if (rank != 0 && strcmp(what, "barrier") == 0)
        (void)MPI_Barrier(MPI_COMM_WORLD);
    return STATUS;
}
