/* What ranks that have nothing to do cost: CPU of an idle worker and of an idle master over ten
 * seconds, of a master that waits for a long task, and how soon the first task after such a pause
 * has run, beside a thread that is woken after a pause and wakes who woke it. run: mpirun -n 3 */
#include "figure.h"

#include <mpi.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#define PAUSES  5
#define PAUSE   2.0 /* seconds; five make the ten */
#define SHORT   0.3
#define ALLOWED 0.3 /* percent of a core */

/* This process's CPU seconds so far. */
static rp_status cpu(rp_call *call, const void *arg, size_t size)
{
    double used = cpu_seconds();
    (void)arg;
    (void)size;
    return rp_return(call, &used, sizeof used);
}
RP_TASK(cpu);

static rp_status wakeup(rp_call *call, const void *arg, size_t size)
{
    (void)call;
    (void)size;
    pause_for(*(const double *)arg);
    return RP_OK;
}
RP_TASK(wakeup);

static double worker_cpu(rp_pool *pool)
{
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    rp_future future;
    double used = 0;
    options.worker = 1;
    options.worker_hard = true;
    must(rp_submit(pool, cpu, NULL, 0, &options, &future), "rp_submit");
    must(rp_get(pool, future, RP_FOREVER, &used, sizeof used, NULL), "rp_get");
    return used;
}

static int there[2], back[2]; /* pipes */

static void *answer(void *unused)
{
    char byte;
    while (read(there[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1)
        continue;
    return unused;
}

/* Milliseconds: what waking costs here without a pool. */
static double wake_trip(void)
{
    char byte = 0;
    pause_for(SHORT);
    double begin = seconds();
    must(write(there[1], &byte, 1) == 1 && read(back[0], &byte, 1) == 1 ? RP_OK : RP_ERR_BROKEN,
         "a pipe");
    return 1e3 * (seconds() - begin);
}

int main(void)
{
    pthread_t thread;
    rp_pool *pool;
    double first[PAUSES], limits[PAUSES], wakes[PAUSES], used, worker = 0, master = 0, waiting = 0,
                                                               pause = PAUSE;
    must(rp_open(NULL, &pool), "rp_open");
    if (!pool)
        return 0;
    must(pipe(there) == 0 && pipe(back) == 0 && pthread_create(&thread, NULL, answer, NULL) == 0
             ? RP_OK
             : RP_ERR_BROKEN,
         "a thread");
    for (int i = 0; i < PAUSES; i++) {
        wakes[i] = wake_trip();
        double before = worker_cpu(pool), mine = cpu_seconds();
        pause_for(pause);
        master += cpu_seconds() - mine;
        double begin = seconds();
        double after = worker_cpu(pool); /* the first task after the pause */
        first[i] = 1e3 * (seconds() - begin);
        limits[i] = 0.5;
        worker += after - before;
        mine = cpu_seconds();
        must(rp_apply(pool, wakeup, &pause, sizeof pause, NULL, 0, NULL), "rp_apply");
        waiting += cpu_seconds() - mine;
        used = worker_cpu(pool);
        (void)used;
    }
    figure_one("idle-worker", "%", 100 * worker / (PAUSES * PAUSE), "allowed", ALLOWED);
    figure_one("idle-master", "%", 100 * master / (PAUSES * PAUSE), "allowed", ALLOWED);
    figure_one("idle-waiting-master", "%", 100 * waiting / (PAUSES * PAUSE), "allowed", ALLOWED);
    figure("idle-first-task", "ms", first, "allowed", limits, PAUSES);
    figure("idle-first-task", "ms", first, "thread-wake", wakes, PAUSES);
    (void)close(there[1]);
    (void)pthread_join(thread, NULL);
    return rp_close(&pool) != RP_OK;
}
