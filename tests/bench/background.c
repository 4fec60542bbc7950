/* A master that computes: tasks of 1 ms (asleep, so that cores do not count) while rank 0 waits for
 * them, and while it computes for five seconds without a call; what the caretaker thread takes of
 * the computation.  run: mpirun -n 3 */
#include "figure.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

#define AWAY    5.0 /* seconds */
#define WAITING 1.5

static rp_status wakeup(rp_call *call, const void *arg, size_t size)
{
    (void)call;
    (void)arg;
    (void)size;
    pause_for(1e-3);
    return RP_OK;
}
RP_TASK(wakeup);

static uint64_t done(rp_pool *pool)
{
    rp_stats stats = RP_STATS_INIT;
    must(rp_stats_of(pool, &stats), "rp_stats_of");
    return stats.done;
}

/* Returns what it computed, in steps a second. */
static double compute(double time)
{
    volatile double x = 0;
    double begin = seconds();
    long steps = 0;
    for (; seconds() < begin + time; steps++)
        for (int i = 0; i < 10000; i++)
            x += 1;
    return (double)steps / (seconds() - begin);
}

/* Tasks a second. */
static double waiting(rp_pool *pool)
{
    uint64_t before = done(pool);
    double begin = seconds();
    rp_status status = rp_drain(pool, WAITING);
    must(status == RP_ERR_TIMEOUT ? RP_OK : RP_ERR_BROKEN, "rp_drain: too few tasks");
    return (double)(done(pool) - before) / (seconds() - begin);
}

static double away(rp_pool *pool, double *steps)
{
    uint64_t before = done(pool);
    double begin = seconds();
    *steps = compute(AWAY);
    return (double)(done(pool) - before) / (seconds() - begin);
}

int main(void)
{
    rp_pool *pool;
    double rate[BENCH_ROUNDS], limit[BENCH_ROUNDS], steps[BENCH_ROUNDS], quiet[BENCH_ROUNDS];
    must(rp_open(NULL, &pool), "rp_open");
    if (!pool)
        return 0;
    int tasks = (int)(1000 * (AWAY + 2 * WAITING) * (double)rp_workers(pool));
    for (int i = 0; i < BENCH_ROUNDS; i++) {
        quiet[i] = compute(0.5);
        for (int k = 0; k < tasks; k++) {
            rp_future future;
            must(rp_submit(pool, wakeup, NULL, 0, NULL, &future), "rp_submit");
            must(rp_release(pool, future), "rp_release");
        }
        limit[i] = waiting(pool);
        rate[i] = away(pool, &steps[i]);
        must(rp_cancel_all(pool), "rp_cancel_all");
        must(rp_drain(pool, RP_FOREVER), "rp_drain");
    }
    figure("background", "tasks/s", rate, "waiting", limit, BENCH_ROUNDS);
    figure("background-computation", "steps/s", steps, "undisturbed", quiet, BENCH_ROUNDS);
    return rp_close(&pool) != RP_OK;
}
