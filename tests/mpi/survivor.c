/* Work while workers are killed; lost.sh says how.  Prints how many futures settled, and how.
 *   survivor TASKS KILLS SEED    each of KILLS workers, by turns, is killed at a random moment
 *                                between the submits
 *   survivor all                 every worker is
 *   survivor vanish              rank 0 is; its workers' pids are printed before */
#include "padded.h"

#include <rankpool.h>

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static rp_status twice(rp_call *call, const void *arg, size_t size)
{
    int64_t value;
    if (size < sizeof value)
        return RP_ERR_TASK;
    memcpy(&value, arg, sizeof value);
    if (value % 50 == 0)
        (void)usleep(2000);
    value *= 2;
    return return_padded(call, value, size);
}
RP_TASK(twice);

static rp_status forever(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    while (!rp_cancelled(call))
        (void)usleep(100000);
    return RP_ERR_CANCELLED;
}
RP_TASK(forever);

static int64_t pid_of(rp_pool *pool, int worker)
{
    rp_worker_info info = RP_WORKER_INFO_INIT;
    return rp_worker_info_of(pool, worker, &info) == RP_OK ? info.pid : 0;
}

static void end(rp_pool *pool, int worker)
{
    int64_t pid = pid_of(pool, worker);
    if (pid > 0)
        (void)kill((pid_t)pid, SIGKILL);
}

static int work(rp_pool *pool, int tasks, int kills, unsigned seed)
{
    static char large[200000];
    int right = 0, lost = 0, wrong = 0, killed = 0;
    rp_future *futures = calloc((size_t)tasks, sizeof *futures);
    for (int i = 0; futures && i < tasks; i++) {
        int64_t value = i;
        memcpy(large, &value, sizeof value);
        if (rp_submit(pool, twice, large, i % 100 == 1 ? sizeof large : sizeof value, NULL,
                      &futures[i]) != RP_OK)
            wrong++;
        if (killed < kills && rand_r(&seed) % (tasks / (kills + 1)) == 0)
            end(pool, ++killed);
    }
    while (killed < kills)
        end(pool, ++killed);
    for (int i = 0; futures && i < tasks; i++) {
        int64_t value = 0;
        void *data = NULL;
        size_t size = 0;
        rp_status status = rp_take(pool, futures[i], 60, &data, &size);
        if (status == RP_OK && size >= sizeof value)
            memcpy(&value, data, sizeof value);
        rp_free(data);
        if (status == RP_ERR_LOST)
            lost++;
        else if (status == RP_OK && value == 2 * (int64_t)i)
            right++;
        else if (wrong++ == 0)
            printf("task %d: %s: %s\n", i, rp_strerror(status), rp_error_message());
    }
    free(futures);
    rp_stats stats = RP_STATS_INIT;
    (void)!rp_stats_of(pool, &stats);
    printf("%d right, %d lost, %d wrong; %d workers, %d lost\n", right, lost, wrong, stats.workers,
           stats.lost);
    return wrong;
}

static int lose_all(rp_pool *pool)
{
    rp_future future;
    int wrong = rp_submit(pool, forever, NULL, 0, NULL, &future) != RP_OK;
    int workers = (int)rp_workers(pool);
    for (int i = 1; i <= workers; i++)
        end(pool, i);
    rp_status status = rp_wait(pool, future, 30);
    printf("wait: %s\n", status == RP_OK ? "settled" : rp_error_message());
    return wrong;
}

int main(int argc, char **argv)
{
    rp_pool *pool;
    if (argc < 2 || rp_open(NULL, &pool) != RP_OK) {
        printf("open: %s\n", rp_error_message());
        return 1;
    }
    if (!pool)
        return 0;
    (void)setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    int bad = 0;
    if (strcmp(argv[1], "vanish") == 0) {
        rp_future future;
        for (int i = 1; i <= (int)rp_workers(pool); i++)
            printf("pid %lld\n", (long long)pid_of(pool, i));
        bad = rp_submit(pool, forever, NULL, 0, NULL, &future) != RP_OK ||
              rp_wait(pool, future, 0.3) == RP_OK;
        (void)raise(SIGKILL);
    } else if (strcmp(argv[1], "all") == 0) {
        bad = lose_all(pool);
    } else if (argc == 4) {
        bad = work(pool, atoi(argv[1]), atoi(argv[2]), (unsigned)atoi(argv[3]));
    }
    rp_status status = rp_close(&pool);
    printf("close: %s\n", status == RP_OK ? "fine" : rp_error_message());
    return bad;
}
