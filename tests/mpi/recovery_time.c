/* A program for recovery_time.sh: rounds of tasks that keep some of the workers busy and leave the
 * others idle, so that a lost worker costs no time but that of the repeated work.
 *   recovery_time ROUNDS MILLISECONDS FILE WORKER...
 * A round is one task of MILLISECONDS for each WORKER, if it is there.  In the middle of a task of
 * round ROUNDS / 3, FILE is made; if it is "kill", these workers are killed.  Prints when the work
 * begins, how long it and its longest round took, and how many tasks were started again. */
#include <rankpool.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MOST 16

static struct {
    int rounds;
    double seconds;
    const char *file;
    int workers[MOST], count;
} plan;

static double seconds_of(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double now(void)
{
    return seconds_of(CLOCK_MONOTONIC);
}

static void nap_for(double seconds)
{
    struct timespec t = { .tv_sec = (time_t)seconds,
                          .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9) };
    while (nanosleep(&t, &t) != 0 && errno == EINTR)
        continue;
}

/* Gives the number of its start. */
static rp_status serve(rp_call *call, const void *arg, size_t size)
{
    rp_call_info info = RP_CALL_INFO_INIT;
    double seconds;
    memcpy(&seconds, arg, size < sizeof seconds ? size : sizeof seconds);
    rp_call_info_of(call, &info);
    nap_for(seconds);
    return rp_return(call, &info.attempt, sizeof info.attempt);
}
RP_TASK(serve);

static void do_harm(rp_pool *pool)
{
    rp_worker_info info = RP_WORKER_INFO_INIT;
    if (strcmp(plan.file, "kill") != 0) {
        (void)close(open(plan.file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        return;
    }
    for (int i = 0; i < plan.count; i++)
        if (rp_worker_info_of(pool, plan.workers[i], &info) == RP_OK && info.pid > 1)
            (void)kill((pid_t)info.pid, SIGKILL);
}

/* Returns how many of its tasks were started again; -1, after saying why: one failed. */
static int one_round(rp_pool *pool, int number)
{
    rp_future futures[MOST];
    int again = 0;
    for (int i = 0; i < plan.count; i++) {
        rp_task_options there = RP_TASK_OPTIONS_INIT;
        there.worker = plan.workers[i];
        if (rp_submit(pool, serve, &plan.seconds, sizeof plan.seconds, &there, &futures[i]) !=
            RP_OK) {
            printf("submit: %s\n", rp_error_message());
            return -1;
        }
    }
    if (number == plan.rounds / 3) {
        (void)!rp_wait(pool, futures[0], plan.seconds / 2);
        do_harm(pool);
    }
    for (int i = 0; i < plan.count; i++) {
        int attempt = 0;
        if (rp_get(pool, futures[i], 60, &attempt, sizeof attempt, NULL) != RP_OK) {
            printf("a task: %s\n", rp_error_message());
            return -1;
        }
        again += attempt > 1;
    }
    return again;
}

static int work(rp_pool *pool)
{
    double began = now(), longest = 0;
    int again = 0;
    printf("began %.6f\n", seconds_of(CLOCK_REALTIME));
    for (int i = 0; i < plan.rounds; i++) {
        double start = now();
        int more = one_round(pool, i);
        if (more < 0)
            return 1;
        again += more;
        longest = now() - start > longest ? now() - start : longest;
    }
    printf("%.2f s of work, the longest round %.2f s, %d tasks started again\n", now() - began,
           longest, again);
    return 0;
}

int main(int argc, char **argv)
{
    rp_pool *pool;
    if (argc < 5 || argc > 4 + MOST)
        return 2;
    plan.rounds = atoi(argv[1]);
    plan.seconds = atoi(argv[2]) * 1e-3;
    plan.file = argv[3];
    for (int i = 4; i < argc; i++)
        plan.workers[plan.count++] = atoi(argv[i]);
    if (rp_open(NULL, &pool) != RP_OK) {
        printf("open: %s\n", rp_error_message());
        return 1;
    }
    if (!pool)
        return 0;
    int bad = work(pool);
    return rp_close(&pool) != RP_OK || bad;
}
