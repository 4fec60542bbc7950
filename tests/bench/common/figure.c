#include "figure.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MOST 64 /* rounds */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, by_value);
    return values[count / 2];
}

static double median_of(const double *values, int count)
{
    double sorted[MOST];
    memcpy(sorted, values, (size_t)count * sizeof *sorted);
    return median(sorted, count);
}

static void print(const char *name, const char *unit, double value, const char *peer, double limit,
                  double ratio)
{
    (void)printf("bench %s %.4g %s  %s %.4g  ratio %.3g\n", name, value, unit, peer, limit, ratio);
    (void)fflush(stdout);
}

void figure(const char *name, const char *unit, const double *values, const char *peer,
            const double *peers, int rounds)
{
    double ratios[MOST] = { 0 };
    rounds = rounds < MOST ? rounds : MOST;
    for (int i = 0; i < rounds; i++)
        ratios[i] = values[i] / peers[i];
    print(name, unit, median_of(values, rounds), peer, median_of(peers, rounds),
          median(ratios, rounds));
}

void figure_one(const char *name, const char *unit, double value, const char *peer, double limit)
{
    print(name, unit, value, peer, limit, value / limit);
}

void must(rp_status status, const char *what)
{
    if (status == RP_OK)
        return;
    (void)fprintf(stderr, "%s: %s\n", what, rp_error_message());
    (void)MPI_Abort(MPI_COMM_WORLD, 1);
}

static double read_clock(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double seconds(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

double cpu_seconds(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

void pause_for(double time)
{
    struct timespec t = { .tv_sec = (time_t)time,
                          .tv_nsec = (long)((time - (double)(time_t)time) * 1e9) };
    while (nanosleep(&t, &t) != 0)
        continue;
}

double child(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%*d %ld", &pages) != 1)
        pages = 0;
    if (file)
        (void)fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}
