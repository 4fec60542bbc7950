/* What every program that measures shares: the line of a figure, medians, clocks, the memory of
 * this process. */
#ifndef FIGURE_H
#define FIGURE_H

#include <rankpool.h>

#define BENCH_ROUNDS 5 /* that a median is taken of */

/* Prints "bench NAME VALUE UNIT  PEER VALUE  ratio R": the medians over `rounds` rounds of the
 * figure, of its peer, and of their ratio. */
void figure(const char *name, const char *unit, const double *values, const char *peer,
            const double *peers, int rounds);

/* As figure, of one round, or of sums. */
void figure_one(const char *name, const char *unit, double value, const char *peer, double limit);

/* Sorts the values. */
double median(double *values, int count);

/* Ends every rank where status is not RP_OK, and says why. */
void must(rp_status status, const char *what);

/* Monotonic seconds; CPU seconds of this process with all its threads. */
double seconds(void);
double cpu_seconds(void);
void pause_for(double seconds);

/* Bytes of this process that are in memory. */
double child(void);

#endif
