/* Samples for peers.py, which runs it in turn with Python's pools: rates with one worker, each on
 * a line of its own.
 *   rate ROW      submit: 500,000 tasks of 8 bytes; map: 10 M doubles; apply: round trips; all a
 *                 second.  run: mpirun -n 2 */
#include "figure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TASKS 500000
#define ITEMS 10000000
#define TRIPS 50000

static rp_status twice(rp_call *call, const void *arg, size_t size)
{
    double x = 2 * *(const double *)arg;
    (void)size;
    return rp_return(call, &x, sizeof x);
}
RP_TASK(twice);

static double submit(rp_pool *pool)
{
    static rp_future futures[TASKS];
    double begin = seconds(), y;
    for (int i = 0; i < TASKS; i++) {
        double x = i;
        must(rp_submit(pool, twice, &x, sizeof x, NULL, &futures[i]), "rp_submit");
    }
    for (int i = 0; i < TASKS; i++)
        must(rp_get(pool, futures[i], RP_FOREVER, &y, sizeof y, NULL), "rp_get");
    return TASKS / (seconds() - begin);
}

static double map(rp_pool *pool)
{
    static double in[ITEMS], out[ITEMS];
    for (int i = 0; i < ITEMS; i++)
        in[i] = out[i] = i;
    double begin = seconds();
    must(rp_map(pool, twice, in, sizeof *in, ITEMS, out, sizeof *out, NULL), "rp_map");
    return ITEMS / (seconds() - begin);
}

static double apply(rp_pool *pool)
{
    double begin = seconds();
    for (int i = 0; i < TRIPS; i++) {
        double x = i, y;
        must(rp_apply(pool, twice, &x, sizeof x, &y, sizeof y, NULL), "rp_apply");
    }
    return TRIPS / (seconds() - begin);
}

int main(int argc, char **argv)
{
    rp_pool *pool;
    must(argc == 2 ? RP_OK : RP_ERR_INVALID, "usage: rate submit|map|apply");
    must(rp_open(NULL, &pool), "rp_open");
    if (!pool)
        return 0;
    double (*row)(rp_pool *) = argv[1][0] == 's' ? submit : argv[1][0] == 'm' ? map : apply;
    (void)row(pool); /* touches the memory */
    (void)printf("%.1f\n", row(pool));
    return rp_close(&pool) != RP_OK;
}
