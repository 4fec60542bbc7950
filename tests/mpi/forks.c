/* A program for forks.sh: children of fork(), without exec, do as the other arguments say, where
 * the first says, and the pool goes on.
 *   app closed thread callback source task isolated finalizer    where: before a pool is used,
 *   after it is closed, in another thread, ...
 *   exit _exit main signal fault pthread_exit calls opens finalize back    how the child ends, or
 *   what it tries before
 *   system popen vfork spawn                           or another program is run
 *   held                                               or it lives on, and its worker is killed */
#include <rankpool.h>

#include <mpi.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TASKS 200

static const char *where, *how;
static char **hows; /* in every rank */
static int current; /* of them, at rank 0 */
static rp_pool *pool;
static rp_stream *stream;
static bool in_child_of_main;

/* ---- what the child does */

#define REFUSED(call) refused(#call, call, RP_ERR_CONTEXT)

static int refused(const char *what, rp_status status, rp_status wanted)
{
    if (status == wanted && strstr(rp_error_message(), "fork()"))
        return 0;
    (void)fprintf(stderr, "in the child: %s: %s: %s\n", what, rp_strerror(status),
                  rp_error_message());
    return 1;
}

/* On the pool of its parent. */
static int call_all(void)
{
    rp_stats stats = RP_STATS_INIT;
    rp_pool *other = NULL;
    rp_future future = { 1 };
    rp_item item = RP_ITEM_INIT;
    size_t size;
    char byte = 0;
    int bad = REFUSED(rp_submit(pool, NULL, NULL, 0, NULL, &future)) +
              REFUSED(rp_get(pool, future, 5, &byte, 1, &size)) + REFUSED(rp_drain(pool, 5)) +
              REFUSED(rp_stats_of(pool, &stats)) + REFUSED(rp_share(pool, "a", &byte, 1)) +
              REFUSED(rp_progress(pool)) + REFUSED(rp_cancel_all(pool)) + REFUSED(rp_close(&pool)) +
              REFUSED(rp_terminate(&pool));
    if (stream)
        bad += REFUSED(rp_stream_next(stream, 5, &item)) + REFUSED(rp_stream_close(&stream));
    if (getenv("OMPI_COMM_WORLD_SIZE"))
        bad += REFUSED(rp_open(NULL, &other));
    return bad;
}

static rp_status answer(rp_call *call, const void *arg, size_t size)
{
    return rp_return(call, arg, size);
}
RP_TASK(answer);

/* A pool of its own, where the parent's uses no MPI. */
static int open_own(void)
{
    rp_pool *own;
    int in = 42, out = 0;
    if (rp_open(NULL, &own) != RP_OK ||
        rp_apply(own, answer, &in, sizeof in, &out, sizeof out, NULL) != RP_OK)
        return 1;
    return out != 42; /* and left open */
}

/* false: it comes back. */
static bool end_child(void)
{
    if (strcmp(how, "exit") == 0)
        exit(127);
    if (strcmp(how, "_exit") == 0)
        _exit(127);
    if (strcmp(how, "signal") == 0)
        (void)raise(SIGKILL);
    if (strcmp(how, "fault") == 0)
        /* cppcheck-suppress nullPointer ; it must crash */
        *(volatile int *)(uintptr_t)strlen("") = 1;
    if (strcmp(how, "pthread_exit") == 0)
        pthread_exit(NULL);
    if (strcmp(how, "finalize") == 0) {
        (void)MPI_Finalize();
        exit(127);
    }
    if (strcmp(how, "calls") == 0)
        exit(call_all() ? 1 : 127);
    if (strcmp(how, "opens") == 0)
        exit(open_own() ? 1 : 127);
    if (strcmp(how, "held") == 0) {
        (void)sleep(60);
        _exit(0);
    }
    return false;
}

/* ---- and the parent */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

static bool ended_well(pid_t pid)
{
    int status = 0;
    if (waitpid(pid, &status, 0) != pid)
        return false;
    if (strcmp(how, "back") == 0)
        return WIFEXITED(status) && WEXITSTATUS(status) == 1;
    if (strcmp(how, "fault") == 0 && SANITIZED) /* which ends the process itself */
        return WIFEXITED(status) && WEXITSTATUS(status) == 1;
    if (strcmp(how, "signal") == 0 || strcmp(how, "fault") == 0)
        return WIFSIGNALED(status);
    if (strcmp(how, "pthread_exit") == 0)
        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
    return WIFEXITED(status) && WEXITSTATUS(status) == 127;
}

static bool run_program(bool *good)
{
    pid_t pid;
    char shell[] = "sh", option[] = "-c", text[] = "exit 127",
         *arguments[] = { shell, option, text, NULL };
    int status = 0;
    if (strcmp(how, "system") == 0) {
        status = system("exit 127"); /* NOLINT(cert-env33-c) */
    } else if (strcmp(how, "popen") == 0) {
        FILE *file = popen("exit 127", "r"); /* NOLINT(cert-env33-c) */
        status = file ? pclose(file) : 0;
    } else if (strcmp(how, "spawn") == 0) {
        if (posix_spawn(&pid, "/bin/sh", NULL, NULL, arguments, NULL) == 0)
            (void)waitpid(pid, &status, 0);
    } else if (strcmp(how, "vfork") == 0) {
        pid = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */
        if (pid == 0)
            _exit(127);
        (void)waitpid(pid, &status, 0);
    } else {
        return false;
    }
    *good = WIFEXITED(status) && WEXITSTATUS(status) == 127;
    return true;
}

/* true in the child, where it comes back. */
static bool fork_one(bool *good)
{
    if (run_program(good))
        return false;
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        (void)end_child();
        return true;
    }
    if (strcmp(how, "held") == 0)
        (void)raise(SIGKILL);
    *good = ended_well(pid);
    return false;
}

static rp_status forks(rp_call *call, const void *arg, size_t size)
{
    rp_call_info info = RP_CALL_INFO_INIT;
    const int *which = arg;
    bool good = true;
    rp_call_info_of(call, &info);
    how = hows[which[1]];
    if (strcmp(how, "held") != 0 || info.attempt == 1)
        (void)fork_one(&good);
    (void)size;
    return good ? rp_return(call, which, sizeof *which)
                : rp_fail(call, 1, "the child ended otherwise");
}
RP_TASK(forks);

static bool callback_good;

static void finalizer(void *data)
{
    bool good = false;
    (void)data;
    how = hows[2];
    (void)fork_one(&good);
}

static void on_done(rp_pool *of, rp_future future, const rp_outcome *outcome, void *user)
{
    (void)of, (void)future, (void)outcome, (void)user;
    (void)fork_one(&callback_good);
}

static bool source(void *context, rp_bytes *item)
{
    bool *asked = context;
    static const int value = 1;
    if (*asked)
        return false;
    *asked = true;
    (void)fork_one(&callback_good);
    *item = (rp_bytes){ .data = &value, .size = sizeof value };
    return true;
}

static void *in_thread(void *good)
{
    (void)fork_one(good);
    return NULL;
}

/* Some tasks, each of which must give what it should. */
static int use_pool(rp_fn *fn)
{
    rp_future futures[TASKS];
    int bad = 0;
    for (int i = 0; i < TASKS; i++) {
        int arg[2] = { i, current };
        bool one = i == TASKS / 2;
        if (rp_submit(pool, one ? fn : answer, arg, one ? sizeof arg : sizeof i, NULL,
                      &futures[i]) != RP_OK)
            return TASKS;
    }
    for (int i = 0; i < TASKS; i++) {
        int value[2] = { -1 };
        rp_status status = rp_get(pool, futures[i], 30, value, sizeof value, NULL);
        if (status != RP_OK || value[0] != i) {
            (void)fprintf(stderr, "task %d: %s\n", i, rp_error_message());
            bad++;
        }
    }
    return bad;
}

static bool fork_there(void)
{
    bool good = false, asked = false;
    int value = 1;
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    pthread_t thread;
    rp_item item = RP_ITEM_INIT;
    if (strcmp(where, "app") == 0 || strcmp(where, "closed") == 0) {
        in_child_of_main = fork_one(&good);
    } else if (strcmp(where, "thread") == 0) {
        good = pthread_create(&thread, NULL, in_thread, &good) == 0 &&
               pthread_join(thread, NULL) == 0 && good;
    } else if (strcmp(where, "callback") == 0) {
        options.on_done = on_done;
        good = rp_submit(pool, answer, &value, sizeof value, &options, NULL) == RP_OK &&
               rp_drain(pool, 30) == RP_OK && callback_good;
    } else if (strcmp(where, "source") == 0) {
        good = rp_imap(pool, answer, source, &asked, NULL, &stream) == RP_OK &&
               rp_stream_next(stream, 30, &item) == RP_OK && callback_good &&
               rp_stream_close(&stream) == RP_OK;
    } else if (strcmp(where, "finalizer") == 0) {
        good = true; /* it comes at the pool's end */
    } else {
        good = use_pool(forks) == 0;
    }
    return good;
}

int main(int argc, char **argv)
{
    rp_config config = RP_CONFIG_INIT;
    if (argc < 3)
        return 2;
    where = argv[1];
    hows = argv;
    if (strcmp(where, "isolated") == 0)
        config.isolation = RP_FORK;
    if (strcmp(where, "finalizer") == 0)
        config.finalizer = finalizer;
    if (rp_open(&config, &pool) != RP_OK)
        return 3;
    if (!pool)
        return 0;
    bool closed = strcmp(where, "closed") == 0;
    if (use_pool(answer) != 0 || (closed && rp_close(&pool) != RP_OK))
        return 4;
    for (current = 2; current < argc; current++) {
        how = argv[current];
        bool good = fork_there();
        if (in_child_of_main)
            return 127;
        if (!good) {
            (void)fprintf(stderr, "after a child that does: %s\n", how);
            return 5;
        }
    }
    if (!closed && (use_pool(answer) != 0 || rp_close(&pool) != RP_OK))
        return 6;
    (void)puts("the pool went on");
    return 0;
}
