/* What rank 0's memory grows by for each of ten million queued tasks of 8 bytes, and for each
 * result of 8 bytes that is there and not yet asked for; the application's own handles are not
 * counted.  run: mpirun -n 2 */
#include "figure.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TASKS 10000000

/* Runs until it is cancelled: nothing leaves the queue meanwhile. */
static rp_status gate(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    while (!rp_cancelled(call))
        pause_for(1e-3);
    return RP_ERR_CANCELLED;
}
RP_TASK(gate);

static rp_status twice(rp_call *call, const void *arg, size_t size)
{
    double x = 2 * *(const double *)arg;
    (void)size;
    return rp_return(call, &x, sizeof x);
}
RP_TASK(twice);

int main(void)
{
    rp_pool *pool;
    rp_future closed;
    must(rp_open(NULL, &pool), "rp_open");
    if (!pool)
        return 0;
    rp_future *futures = malloc(TASKS * sizeof *futures);
    must(futures ? RP_OK : RP_ERR_NOMEM, "memory");
    memset(futures, 1, TASKS * sizeof *futures);
    must(rp_submit(pool, gate, NULL, 0, NULL, &closed), "rp_submit");
    double before = child();
    for (int i = 0; i < TASKS; i++) {
        double x = i;
        must(rp_submit(pool, twice, &x, sizeof x, NULL, &futures[i]), "rp_submit");
    }
    double queued = child();
    must(rp_cancel(pool, closed), "rp_cancel");
    must(rp_drain(pool, RP_FOREVER), "rp_drain");
    double done = child();
    figure_one("memory-queued", "B", (queued - before) / TASKS, "allowed", 72);
    figure_one("memory-done", "B", (done - before) / TASKS, "allowed", 48);
    for (int i = 0; i < TASKS; i++) {
        double y;
        must(rp_get(pool, futures[i], RP_FOREVER, &y, sizeof y, NULL), "rp_get");
    }
    free(futures);
    return rp_close(&pool) != RP_OK;
}
