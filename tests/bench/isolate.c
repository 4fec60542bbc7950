/* What it costs that a task runs in a process of its own: microseconds over inline for a good one,
 * milliseconds for one that crashes until the next has run.  run: mpirun -n 2 */
#include "figure.h"

#include <stdlib.h>

#define TASKS   20000
#define CRASHES 100
#define ALLOWED 10.0 /* microseconds */

static rp_status echo(rp_call *call, const void *arg, size_t size)
{
    return rp_return(call, arg, size);
}
RP_TASK(echo);

static rp_status crash(rp_call *call, const void *arg, size_t size)
{
    (void)call;
    (void)arg;
    (void)size;
    abort();
}
RP_TASK(crash);

/* Seconds of a good task, in a stream of them. */
static double good(rp_pool *pool, rp_future *futures)
{
    double began = seconds(), value = 1;
    for (int i = 0; i < TASKS; i++)
        must(rp_submit(pool, echo, &value, sizeof value, NULL, &futures[i]), "rp_submit");
    for (int i = 0; i < TASKS; i++)
        must(rp_get(pool, futures[i], RP_FOREVER, &value, sizeof value, NULL), "rp_get");
    return (seconds() - began) / TASKS;
}

/* Seconds of a task that crashes, with a good one after it. */
static double crashed(rp_pool *pool)
{
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    double began = seconds();
    options.attempts = 1;
    for (int i = 0; i < CRASHES; i++) {
        rp_future future;
        must(rp_submit(pool, crash, NULL, 0, &options, &future), "rp_submit");
        rp_status status = rp_get(pool, future, RP_FOREVER, NULL, 0, NULL);
        must(status == RP_ERR_CRASHED ? RP_OK : RP_ERR_BROKEN, "a task that crashes");
        must(rp_apply(pool, echo, NULL, 0, NULL, 0, NULL), "rp_apply");
    }
    return (seconds() - began) / CRASHES;
}

int main(void)
{
    rp_future *futures = malloc(TASKS * sizeof *futures);
    double over[BENCH_ROUNDS], allowed[BENCH_ROUNDS], dying[BENCH_ROUNDS], slow[BENCH_ROUNDS];
    if (!futures)
        return 1;
    for (int i = 0; i < BENCH_ROUNDS; i++) {
        rp_config config = RP_CONFIG_INIT;
        rp_pool *pool;
        double inline_cost = 0;
        must(rp_open(&config, &pool), "rp_open");
        if (pool) {
            inline_cost = good(pool, futures);
            must(rp_close(&pool), "rp_close");
        }
        config.isolation = RP_FORK;
        must(rp_open(&config, &pool), "rp_open");
        if (pool) {
            over[i] = 1e6 * (good(pool, futures) - inline_cost);
            dying[i] = 1e3 * crashed(pool);
            allowed[i] = ALLOWED;
            slow[i] = 1;
            must(rp_close(&pool), "rp_close");
        } else if (i == BENCH_ROUNDS - 1) {
            free(futures);
            return 0;
        }
    }
    figure("isolate", "us", over, "allowed", allowed, BENCH_ROUNDS);
    figure("isolate-crash", "ms", dying, "allowed", slow, BENCH_ROUNDS);
    free(futures);
    return 0;
}
