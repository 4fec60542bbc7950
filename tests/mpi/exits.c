/* A program for exits.sh: one task among many ends its process in the way that the argument
 * says. */
#include <rankpool_mpi.h>

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile int zero;

/* NOLINTNEXTLINE(misc-no-recursion): that is the point */
static int deeper(volatile char *above, int depth)
{
    volatile char frame[4096];
    frame[0] = above ? above[0] : 1;
    return depth < 0 ? frame[0] : deeper(frame, depth + 1) + frame[0];
}

static void *exit_here(void *unused)
{
    (void)unused;
    exit(5);
}

static void *crash_here(void *unused)
{
    *(volatile int *)(uintptr_t)(16 + zero) = 1;
    return unused;
}

static rp_status in_a_thread(void *(*what)(void *))
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, what, NULL) == 0)
        (void)pthread_join(thread, NULL);
    return RP_OK;
}

static void cancel_this_thread(void)
{
    (void)pthread_cancel(pthread_self());
    pthread_testcancel();
}

static jmp_buf in_main;

/* Those of more than a signal or exit(). */
static rp_status leave(const char *how)
{
    if (strcmp(how, "finalize") == 0)
        (void)MPI_Finalize();
    if (strcmp(how, "mpi_abort") == 0)
        (void)MPI_Abort(MPI_COMM_WORLD, 6);
    if (strcmp(how, "mpi_error") == 0)
        (void)MPI_Send(NULL, 0, MPI_BYTE, 999, 0, MPI_COMM_WORLD);
    if (strcmp(how, "term") == 0)
        (void)raise(SIGTERM);
    if (strcmp(how, "pthread_exit") == 0)
        pthread_exit(NULL);
    if (strcmp(how, "cancel") == 0)
        cancel_this_thread();
    if (strcmp(how, "quick_exit") == 0)
        quick_exit(7);
    if (strcmp(how, "longjmp") == 0)
        longjmp(in_main, 1);
    if (strcmp(how, "alarm") == 0) {
        (void)alarm(1);
        (void)pause();
    }
    if (strcmp(how, "thread_exit") == 0)
        return in_a_thread(exit_here);
    if (strcmp(how, "thread_segv") == 0)
        return in_a_thread(crash_here);
    return RP_OK;
}

static const char *in_finalizer = "";

static void finalizer(void *unused)
{
    (void)unused;
    if (strcmp(in_finalizer, "exit") == 0)
        exit(8);
    (void)leave(in_finalizer);
}

/* ---- handlers of the application, there before rp_open */

static sigjmp_buf in_task;

static void jumps(int number)
{
    (void)number;
    siglongjmp(in_task, 1);
}

static void comes_back(int number)
{
    (void)number;
}

static void gives_up(int number)
{
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

/* "jumps fpe", "jumps segv", "comes_back", "ignores", "gives_up fpe", ... */
static void install(const char *how)
{
    struct sigaction action = { .sa_handler = strstr(how, "jumps")        ? jumps
                                              : strstr(how, "comes_back") ? comes_back
                                              : strstr(how, "ignores")    ? SIG_IGN
                                                                          : gives_up };
    action.sa_flags = strstr(how, "once") ? (int)SA_RESETHAND : 0;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGFPE, &action, NULL);
    (void)sigaction(SIGSEGV, &action, NULL);
}

static rp_status with_handler(const char *how)
{
    if (sigsetjmp(in_task, 1))
        return RP_OK;
    if (strstr(how, "late"))
        install(how);
    if (strstr(how, "segv"))
        *(volatile int *)(uintptr_t)(16 + zero) = 1;
    (void)raise(SIGFPE);
    return RP_OK;
}

static rp_status the_culprit(rp_call *call, const void *arg, size_t size)
{
    const char *how = arg;
    (void)call;
    (void)size;
    if (strcmp(how, "exit0") == 0)
        exit(0);
    if (strcmp(how, "exit3") == 0)
        exit(3);
    if (strcmp(how, "_exit") == 0)
        _exit(4);
    if (strcmp(how, "abort") == 0)
        abort();
    if (strcmp(how, "segv") == 0)
        *(volatile int *)(uintptr_t)(16 + zero) = 1;
    if (strcmp(how, "fpe") == 0)
        (void)raise(SIGFPE);
    if (strcmp(how, "kill") == 0)
        (void)raise(SIGKILL);
    if (strcmp(how, "overflow") == 0)
        return (rp_status)deeper(NULL, 0);
    if (strncmp(how, "handler", 7) == 0)
        return with_handler(how);
    return leave(how);
}
RP_TASK(the_culprit);

static rp_status item(rp_call *call, const void *arg, size_t size)
{
    (void)size;
    return *(const int *)arg == 34 ? the_culprit(call, "exit3", sizeof "exit3") : RP_OK;
}
RP_TASK(item);

static rp_status bystander(rp_call *call, const void *arg, size_t size)
{
    return rp_return(call, arg, size);
}
RP_TASK(bystander);

/* Where the pool outlives it: what became of the culprit, of the others and of the workers. */
static void tell(rp_pool *pool, rp_future culprit)
{
    rp_stats stats = RP_STATS_INIT;
    rp_outcome outcome = RP_OUTCOME_INIT;
    if (rp_outcome_of(pool, culprit, &outcome) == RP_OK)
        printf("culprit: status %d, code %d, %d starts: %s\n", (int)outcome.status, outcome.code,
               outcome.attempts, outcome.message);
    if (rp_stats_of(pool, &stats) == RP_OK)
        printf("done %d, failed %d, workers lost %d\n", (int)stats.done, (int)stats.failed,
               stats.lost);
}

/* One among many others. */
static int many(rp_pool **pool, const char *how)
{
    rp_future culprit = { 0 };
    for (int i = 0; i < 1000; i++) {
        rp_fn *fn = i == 500 ? the_culprit : bystander;
        if (rp_submit(*pool, fn, how, strlen(how) + 1, NULL, i == 500 ? &culprit : NULL) != RP_OK)
            return 78;
    }
    rp_status status = rp_drain(*pool, 20);
    printf("drained: %s\n", rp_strerror(status));
    tell(*pool, culprit);
    return rp_close(pool) != RP_OK;
}

int main(int argc, char **argv)
{
    rp_pool *pool;
    const char *how = argc > 1 ? argv[1] : "";
    if (setjmp(in_main))
        return 9;
    rp_config config = RP_CONFIG_INIT;
    if (strncmp(how, "finalizer ", 10) == 0)
        in_finalizer = how + 10;
    config.finalizer = finalizer;
    if (strncmp(how, "handler", 7) == 0 && !strstr(how, "late"))
        install(how);
    config.isolation = argc > 2 && strcmp(argv[2], "fork") == 0 ? RP_FORK : RP_INLINE;
    if (rp_open(&config, &pool) != RP_OK)
        return 77;
    if (!pool)
        return 0;
    if (strcmp(how, "master") == 0) { /* rank 0 itself, with its workers busy */
        (void)!rp_submit(pool, bystander, how, 1, NULL, NULL);
        abort();
    }
    if (strcmp(how, "leave") == 0) { /* the pool open */
        for (int i = 0; i < 20; i++)
            if (rp_submit(pool, bystander, how, 1, NULL, NULL) != RP_OK)
                return 78;
        return 0;
    }
    if (strcmp(how, "item") == 0) {
        int items[100];
        for (int i = 0; i < 100; i++)
            items[i] = i;
        return rp_map(pool, item, items, sizeof *items, 100, NULL, 0, NULL) != RP_OK;
    }
    return many(&pool, how);
}
