/* Tasks of very different lengths on three workers (asleep, so that cores do not count): when the
 * last one ends, beside what a list gives that hands each, in order, to the worker that is free
 * first, of the lengths that the tasks measured themselves. run: mpirun -n 4 [PART...] */
#include "figure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 10000

static rp_status sleeps(rp_call *call, const void *arg, size_t size)
{
    double length, began = seconds();
    (void)size;
    memcpy(&length, arg, sizeof length);
    if (length > 0)
        pause_for(length);
    double took = seconds() - began;
    return rp_return(call, &took, sizeof took);
}
RP_TASK(sleeps);

static double unit_random(uint64_t *state)
{
    *state += 0x9E3779B97F4A7C15U;
    uint64_t z = *state;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9U;
    z = (z ^ z >> 27) * 0x94D049BB133111EBU;
    return ((double)((z ^ z >> 31) >> 11) + 0.5) * 0x1p-53;
}

static double lognormal(uint64_t *state, double mean, double spread)
{
    double normal = sqrt(-2 * log(unit_random(state))) *
                    cos(6.283185307179586 * unit_random(state));
    return mean * exp(spread * normal - spread * spread / 2);
}

static double greedy(const double *lengths, int count, int workers)
{
    double *free_at = calloc((size_t)workers, sizeof *free_at), end = 0;
    must(free_at ? RP_OK : RP_ERR_NOMEM, "calloc");
    for (int i = 0; i < count; i++) {
        int first = 0;
        for (int worker = 1; worker < workers; worker++)
            if (free_at[worker] < free_at[first])
                first = worker;
        free_at[first] += lengths[i];
        end = free_at[first] > end ? free_at[first] : end;
    }
    free(free_at);
    return end;
}

/* Seconds until all are done; *bound: what the list gives. */
static double makespan(rp_pool *pool, const double *lengths, int count, double *bound)
{
    static rp_future futures[MOST];
    static double took[MOST];
    double began = seconds();
    for (int i = 0; i < count; i++)
        must(rp_submit(pool, sleeps, &lengths[i], sizeof *lengths, NULL, &futures[i]), "rp_submit");
    must(rp_drain(pool, RP_FOREVER), "rp_drain");
    double end = seconds() - began;
    for (int i = 0; i < count; i++)
        must(rp_get(pool, futures[i], RP_FOREVER, &took[i], sizeof *took, NULL), "rp_get");
    *bound = greedy(took, count, (int)rp_workers(pool));
    return end;
}

/* `hidden`: seconds of one task in the middle; 0: none. */
static void row(rp_pool *pool, const char *name, int count, double mean, double spread,
                double hidden, int rounds)
{
    static double lengths[MOST];
    double values[BENCH_ROUNDS], bounds[BENCH_ROUNDS];
    uint64_t state = 1;
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < count; i++)
            lengths[i] = spread > 0 ? lognormal(&state, mean, spread) : mean;
        if (hidden > 0)
            lengths[count / 2] = hidden;
        values[round] = makespan(pool, lengths, count, &bounds[round]);
    }
    figure(name, "s", values, "greedy", bounds, rounds);
}

/* ---- lumpy maps: items of nothing, and long ones, in orders that look harmless at first */

#define LUMPS 200 /* items of most shapes */

static int lump(const char *shape, double *lengths)
{
    int count = strcmp(shape, "mostly") == 0 ? MOST : LUMPS;
    for (int i = 0; i < count; i++)
        lengths[i] = 0;
    if (strcmp(shape, "half") == 0) {
        count = 24;
        for (int i = 12; i < count; i++)
            lengths[i] = 0.1;
    } else if (strcmp(shape, "mostly") == 0) {
        for (int i = count - 40; i < count; i++)
            lengths[i] = 0.05;
    } else if (strcmp(shape, "ramp") == 0) {
        for (int i = 0; i < count; i++)
            lengths[i] = 1e-4 * i;
    } else if (strcmp(shape, "tens") == 0) {
        for (int i = 0; i < count; i++)
            lengths[i] = i / 10 % 2 ? 0.02 : 0;
    } else {
        for (int i = 0; i < count; i++)
            lengths[i] = 5e-3;
        lengths[strcmp(shape, "first") == 0    ? 0
                : strcmp(shape, "middle") == 0 ? count / 2
                                               : count - 1] = 0.2;
    }
    return count;
}

static void lumpy(rp_pool *pool, const char *name)
{
    static double lengths[MOST], took[MOST];
    double values[3], bounds[3];
    int count = lump(name + strlen("balance-lumpy-"), lengths);
    for (int round = 0; round < 3; round++) {
        double began = seconds();
        must(
            rp_map(pool, sleeps, lengths, sizeof *lengths, (size_t)count, took, sizeof *took, NULL),
            "rp_map");
        values[round] = seconds() - began;
        bounds[round] = greedy(took, count, (int)rp_workers(pool));
    }
    figure(name, "s", values, "greedy", bounds, 3);
}

int main(int argc, char **argv)
{
    static const char *const shapes[] = { "balance-lumpy-half",   "balance-lumpy-mostly",
                                          "balance-lumpy-ramp",   "balance-lumpy-first",
                                          "balance-lumpy-middle", "balance-lumpy-last",
                                          "balance-lumpy-tens" };
    rp_pool *pool;
    must(rp_open(NULL, &pool), "rp_open");
    if (!pool)
        return 0;
    const char *part = argc > 1 ? argv[1] : "";
    if (strstr("balance-2ms", part))
        row(pool, "balance-2ms", 2000, 2e-3, 1.5, 0, 3);
    if (strstr("balance-20ms", part))
        row(pool, "balance-20ms", 2000, 20e-3, 1.5, 0, 1);
    if (strstr("balance-100us", part))
        row(pool, "balance-100us", 2000, 100e-6, 1.5, 0, BENCH_ROUNDS);
    if (strstr("balance-hidden", part))
        row(pool, "balance-hidden", MOST, 50e-6, 0, 1, BENCH_ROUNDS);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (strstr(shapes[i], part))
            lumpy(pool, shapes[i]);
    return rp_close(&pool) != RP_OK;
}
