/* A program for leaving.sh: calls on a pool that main left open, late in the process's end; each
 * is answered.
 *   leaving before       from a function that atexit got before rp_open, as the destructor of a
 *                        C++ global is
 *   leaving after        from one that it got after rp_open
 *   leaving destructor   from a destructor of the program's
 *   leaving callback     as before, and exit() is called by an on_done function
 *   leaving twice        from the first, which opens a pool and leaves that open too
 * isolated: with RP_FORK; waiting: another thread waits for a task meanwhile */
#include <rankpool.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *when = "";
static rp_pool *pool;
static rp_stream *stream;
static rp_future last;
static bool launched;

static rp_status answer(rp_call *call, const void *arg, size_t size)
{
    return rp_return(call, arg, size);
}
RP_TASK(answer);

static rp_status naps(rp_call *call, const void *arg, size_t size)
{
    const struct timespec wakeup = { .tv_nsec = 300000000 };
    (void)nanosleep(&wakeup, NULL);
    return rp_return(call, arg, size);
}
RP_TASK(naps);

static void want(const char *what, rp_status status, rp_status wanted)
{
    if (status == wanted)
        return;
    (void)fprintf(stderr, "%s: %s, not %s: %s\n", what, rp_strerror(status), rp_strerror(wanted),
                  rp_error_message());
    _exit(9);
}
#define WANT(wanted, call) want(#call, call, wanted)

static void open_late(bool leaves)
{
    rp_pool *late = NULL;
    int in = 1, out = 0;
    if (launched) {
        WANT(RP_ERR_MPI, rp_open(NULL, &late)); /* which was finalised */
        return;
    }
    WANT(RP_OK, rp_open(NULL, &late));
    WANT(RP_OK, rp_apply(late, answer, &in, sizeof in, &out, sizeof out, NULL));
    if (!leaves)
        WANT(RP_OK, rp_close(&late));
}

static void call_all(void)
{
    bool over = strcmp(when, "after") != 0;
    rp_status right = over ? RP_ERR_INVALID : RP_OK;
    rp_stats stats = RP_STATS_INIT;
    rp_item item = RP_ITEM_INIT;
    int in = 7, out = 0;
    if (!pool) { /* a worker */
        WANT(RP_ERR_INVALID, rp_submit(pool, answer, &in, sizeof in, NULL, &last));
        WANT(RP_ERR_INVALID, rp_close(&pool));
        WANT(RP_ERR_MPI, over ? rp_open(NULL, &pool) : RP_ERR_MPI);
        return;
    }
    WANT(right, rp_get(pool, last, 5, &out, sizeof out, NULL));
    WANT(right, rp_stream_next(stream, 5, &item));
    WANT(right, rp_submit(pool, answer, &in, sizeof in, NULL, &last));
    WANT(right, rp_apply(pool, answer, &in, sizeof in, &out, sizeof out, NULL));
    WANT(right, rp_share(pool, "late", &in, sizeof in));
    WANT(right, rp_progress(pool));
    WANT(right, rp_stats_of(pool, &stats));
    WANT(right, rp_stream_close(&stream));
    WANT(right, rp_drain(pool, 5));
    if (over)
        WANT(right, rp_terminate(&pool));
    WANT(right, rp_close(&pool));
    if (over)
        open_late(strcmp(when, "twice") == 0);
    (void)puts("every call was answered");
}

static void at_exit(void)
{
    if (strcmp(when, "destructor") != 0)
        call_all();
}

__attribute__((destructor)) static void at_end(void)
{
    if (strcmp(when, "destructor") == 0)
        call_all();
    (void)fflush(NULL);
}

static void *wait_for_it(void *future)
{
    for (;;)
        if (rp_wait(pool, *(const rp_future *)future, 60) != RP_OK)
            break;
    return NULL;
}

static bool leave_a_thread(void)
{
    static rp_future future;
    pthread_t thread;
    const struct timespec wakeup = { .tv_nsec = 50000000 };
    if (rp_submit(pool, naps, "", 1, NULL, &future) != RP_OK ||
        pthread_create(&thread, NULL, wait_for_it, &future) != 0)
        return false;
    (void)pthread_detach(thread);
    (void)nanosleep(&wakeup, NULL); /* most of the time it waits by then, or runs the task */
    return true;
}

static void leave(rp_pool *of, rp_future future, const rp_outcome *outcome, void *user)
{
    (void)of, (void)future, (void)outcome, (void)user;
    exit(0);
}

int main(int argc, char **argv)
{
    rp_config config = RP_CONFIG_INIT;
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    const char *how = argc > 2 ? argv[2] : "";
    int value = 5;
    if (argc < 2)
        return 2;
    when = argv[1];
    launched = getenv("OMPI_COMM_WORLD_SIZE");
    if (strcmp(how, "isolated") == 0)
        config.isolation = RP_FORK;
    if (strcmp(when, "after") != 0 && atexit(at_exit) != 0)
        return 3;
    if (rp_open(&config, &pool) != RP_OK)
        return 4;
    if (strcmp(when, "after") == 0 && atexit(at_exit) != 0)
        return 3;
    if (!pool)
        return 0;
    if (rp_submit(pool, answer, &value, sizeof value, NULL, &last) != RP_OK ||
        rp_stream_open(pool, NULL, &stream) != RP_OK ||
        rp_stream_submit(stream, answer, &value, sizeof value, NULL, NULL) != RP_OK ||
        rp_drain(pool, 30) != RP_OK)
        return 5;
    options.on_done = leave;
    if (strcmp(when, "callback") == 0 &&
        (rp_submit(pool, answer, &value, sizeof value, &options, NULL) != RP_OK ||
         rp_drain(pool, 30) == RP_OK))
        return 7;
    return strcmp(how, "waiting") == 0 && !leave_a_thread() ? 6 : 0;
}
