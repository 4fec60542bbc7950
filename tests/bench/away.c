/* A master that computes: tasks of 1 ms (asleep, so that cores do not count) while rank 0 waits for them, and while it computes without
 * a call; what the caretaker thread takes of the computation; what it takes when nothing is to be done.  run: mpirun -n 2 or more. */
#include <mpi.h>
#include <rankpool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 5
#define PERIOD 2.0 /* seconds of waiting, of computing, of idling */

static rp_status nap(rp_call *call, const void *arg, size_t size)
{
    struct timespec t = { .tv_nsec = *(const long *)arg };
    (void)call;
    (void)size;
    (void)nanosleep(&t, NULL);
    return RP_OK;
}
RP_TASK(nap);

static void check(rp_status status, const char *what)
{
    if (status == RP_OK)
        return;
    (void)fprintf(stderr, "away: %s: %s\n", what, rp_error_message());
    (void)MPI_Abort(MPI_COMM_WORLD, 1);
}

static double cpu_seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static uint64_t done(rp_pool *pool)
{
    rp_stats stats = RP_STATS_INIT;
    check(rp_stats_of(pool, &stats), "rp_stats_of");
    return stats.done;
}

static void submit(rp_pool *pool, int tasks, long nanoseconds)
{
    for (int i = 0; i < tasks; i++) {
        rp_future future;
        check(rp_submit(pool, nap, &nanoseconds, sizeof nanoseconds, NULL, &future), "rp_submit");
        check(rp_release(pool, future), "rp_release");
    }
}

/* Returns what it computed, in steps. */
static double compute(double seconds)
{
    volatile double x = 0;
    long steps = 0;
    for (double end = MPI_Wtime() + seconds; MPI_Wtime() < end; steps++)
        for (int i = 0; i < 10000; i++)
            x += 1;
    return (double)steps;
}

static void wait_for(rp_pool *pool, double seconds)
{
    if (rp_drain(pool, seconds) != RP_ERR_TIMEOUT)
        check(RP_ERR_TASK, "too few tasks");
}

/* Tasks a second. */
static double waiting(rp_pool *pool, double seconds)
{
    uint64_t before = done(pool);
    double begin = MPI_Wtime();
    wait_for(pool, seconds);
    return (double)(done(pool) - before) / (MPI_Wtime() - begin);
}

static double away(rp_pool *pool, double seconds, double *steps)
{
    uint64_t before = done(pool);
    double begin = MPI_Wtime();
    *steps = compute(seconds);
    return (double)(done(pool) - before) / (MPI_Wtime() - begin);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values)
{
    qsort(values, ROUNDS, sizeof *values, by_value);
    return values[ROUNDS / 2];
}

int main(void)
{
    rp_pool *pool;
    double rate_waiting[ROUNDS], rate_away[ROUNDS], ratio[ROUNDS], taken[ROUNDS], idle[ROUNDS];
    check(rp_open(NULL, &pool), "rp_open");
    if (!pool)
        return 0;
    long task = getenv("NAP") ? strtol(getenv("NAP"), NULL, 10) : 1000000;
    double period = getenv("PERIOD") ? strtod(getenv("PERIOD"), NULL) : PERIOD;
    int tasks = (int)(2.2 * period / (1e-9 * (double)task) * (double)rp_workers(pool)) + 1000;
    for (int i = 0; i < ROUNDS; i++) {
        double quiet = compute(period), steps, cpu = cpu_seconds();
        struct timespec t = { .tv_sec = (time_t)period, .tv_nsec = (long)((period - (double)(time_t)period) * 1e9) };
        (void)nanosleep(&t, NULL);
        idle[i] = (cpu_seconds() - cpu) / period;
        submit(pool, tasks, task);
        rate_waiting[i] = waiting(pool, period);
        rate_away[i] = away(pool, period, &steps);
        ratio[i] = rate_away[i] / rate_waiting[i];
        taken[i] = 1 - steps / quiet;
        check(rp_drain(pool, RP_FOREVER), "rp_drain");
    }
    (void)printf("bench away %.1f tasks/s", median(rate_away));
    (void)printf("  waiting %.1f", median(rate_waiting));
    (void)printf("  ratio %.3f", median(ratio));
    (void)printf("  of-the-computation %.2f %%", 100 * median(taken));
    (void)printf("  idle %.3f %%\n", 100 * median(idle));
    return rp_close(&pool) != RP_OK;
}
