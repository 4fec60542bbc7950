/* First speed: rp_submit and rp_get of 8-byte tasks with one worker, beside what the same two processes reach by raw MPI in the same
 * mpirun: placement on cores alone moves these threefold between runs.  run: mpirun -n 2. */
#include <mpi.h>
#include <rankpool_mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TASKS   2000000
#define ROUNDS  5
#define TRIPS   100000
#define APPLIES 50000

static rp_status twice(rp_call *call, const void *arg, size_t size)
{
    double x = 2 * *(const double *)arg;
    (void)size;
    return rp_return(call, &x, sizeof x);
}
RP_TASK(twice);

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, by_value);
    return values[count / 2];
}

/* Seconds of one round trip of 8 bytes. */
static double ping_pong(MPI_Comm comm, int rank)
{
    double x = 1, begin = MPI_Wtime();
    for (int i = 0; i < TRIPS; i++) {
        if (rank == 0) {
            (void)MPI_Send(&x, 8, MPI_BYTE, 1, 1, comm);
            (void)MPI_Recv(&x, 8, MPI_BYTE, 1, 1, comm, MPI_STATUS_IGNORE);
        } else {
            (void)MPI_Recv(&x, 8, MPI_BYTE, 0, 1, comm, MPI_STATUS_IGNORE);
            (void)MPI_Send(&x, 8, MPI_BYTE, 0, 1, comm);
        }
    }
    return (MPI_Wtime() - begin) / TRIPS;
}

/* Tasks a second with one message of 8 bytes each way per task and `window` of them under way. */
static double windowed_echo(MPI_Comm comm, int rank, int window, int tasks)
{
    MPI_Request in[256], out[256];
    double sent[256], received[256];
    double begin = MPI_Wtime();
    for (int i = 0; i < window; i++)
        in[i] = out[i] = MPI_REQUEST_NULL;
    for (int i = 0; i < tasks + window; i++) {
        int slot = i % window;
        if (i >= window) {
            (void)MPI_Wait(&in[slot], MPI_STATUS_IGNORE);
            (void)MPI_Wait(&out[slot], MPI_STATUS_IGNORE);
            if (rank == 1) {
                sent[slot] = 2 * received[slot];
                (void)MPI_Isend(&sent[slot], 8, MPI_BYTE, 0, 2, comm, &out[slot]);
            }
        }
        if (i < tasks) {
            if (rank == 0) {
                sent[slot] = i;
                (void)MPI_Isend(&sent[slot], 8, MPI_BYTE, 1, 2, comm, &out[slot]);
            } else {
                (void)MPI_Wait(&out[slot], MPI_STATUS_IGNORE);
            }
            (void)MPI_Irecv(&received[slot], 8, MPI_BYTE, 1 - rank, 2, comm, &in[slot]);
        }
    }
    for (int i = 0; i < window; i++)
        (void)MPI_Wait(&out[i], MPI_STATUS_IGNORE);
    return tasks / (MPI_Wtime() - begin);
}

/* The echo before and after a row, best of several windows. */
static double best_echo(MPI_Comm comm, int rank)
{
    static const int windows[] = { 4, 16, 64, 256 };
    double best = 0;
    for (int i = 0; i < 4; i++) {
        double rate = windowed_echo(comm, rank, windows[i], 300000);
        best = rate > best ? rate : best;
    }
    return best;
}

static void die(const char *what)
{
    (void)fprintf(stderr, "throughput: %s: %s\n", what, rp_error_message());
    (void)MPI_Abort(MPI_COMM_WORLD, 1);
}

static double submit_round(rp_pool *pool, rp_future *futures)
{
    double begin = MPI_Wtime();
    for (int i = 0; i < TASKS; i++) {
        double x = i;
        if (rp_submit(pool, twice, &x, sizeof x, NULL, &futures[i]) != RP_OK)
            die("rp_submit");
    }
    for (int i = 0; i < TASKS; i++) {
        double y;
        if (rp_get(pool, futures[i], RP_FOREVER, &y, sizeof y, NULL) != RP_OK || y < 2.0 * i || y > 2.0 * i)
            die("rp_get");
    }
    return TASKS / (MPI_Wtime() - begin);
}

static double apply_trip(rp_pool *pool)
{
    double begin = MPI_Wtime();
    for (int i = 0; i < APPLIES; i++) {
        double x = i, y;
        if (rp_apply(pool, twice, &x, sizeof x, &y, sizeof y, NULL) != RP_OK)
            die("rp_apply");
    }
    return (MPI_Wtime() - begin) / APPLIES;
}

/* One row: the raw figures, the pool's, the raw figures again; the pool is open only in between. */
static void row(int rank, double (*measure)(rp_pool *, rp_future *), rp_future *futures, double *rate, double *echo,
                double *trip)
{
    rp_pool *pool;
    double echo_before = best_echo(MPI_COMM_WORLD, rank), trip_before = ping_pong(MPI_COMM_WORLD, rank);
    if (rp_open(NULL, &pool) != RP_OK)
        die("rp_open");
    if (pool) {
        *rate = measure(pool, futures);
        if (rp_close(&pool) != RP_OK)
            die("rp_close");
    }
    double echo_after = best_echo(MPI_COMM_WORLD, rank), trip_after = ping_pong(MPI_COMM_WORLD, rank);
    *echo = echo_before > echo_after ? echo_before : echo_after;
    *trip = (trip_before + trip_after) / 2;
}

static double first_round;

static double measure_submit(rp_pool *pool, rp_future *futures)
{
    double rates[3];
    double first = submit_round(pool, futures); /* touches the memory */
    if (first_round <= 0)
        first_round = first;
    for (int i = 0; i < 3; i++)
        rates[i] = submit_round(pool, futures);
    return median(rates, 3);
}

static double measure_apply(rp_pool *pool, rp_future *futures)
{
    double trips[3];
    (void)futures;
    (void)apply_trip(pool);
    for (int i = 0; i < 3; i++)
        trips[i] = apply_trip(pool);
    return median(trips, 3);
}

int main(void)
{
    int rank, size, provided;
    double submit[ROUNDS] = { 0 }, echo[ROUNDS] = { 0 }, submit_ratio[ROUNDS], apply[ROUNDS] = { 0 }, trip[ROUNDS] = { 0 };
    double apply_ratio[ROUNDS], unused;
    (void)MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &provided);
    (void)MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    (void)MPI_Comm_size(MPI_COMM_WORLD, &size);
    static rp_future futures[TASKS];
    if (size != 2) {
        (void)fprintf(stderr, "throughput: run it with mpirun -n 2\n");
        return 2;
    }
    for (int i = 0; i < ROUNDS; i++) {
        row(rank, measure_submit, futures, &submit[i], &echo[i], &unused);
        row(rank, measure_apply, futures, &apply[i], &unused, &trip[i]);
        submit_ratio[i] = submit[i] / echo[i];
        apply_ratio[i] = apply[i] / trip[i];
    }
    if (rank == 0) {
        (void)printf("bench submit-first %.2f Mtasks/s  windowed-echo %.2f  ratio %.2f\n", first_round / 1e6, echo[0] / 1e6,
                     first_round / echo[0]);
        (void)printf("bench submit %.2f Mtasks/s", median(submit, ROUNDS) / 1e6);
        (void)printf("  windowed-echo %.2f", median(echo, ROUNDS) / 1e6);
        (void)printf("  ratio %.2f\n", median(submit_ratio, ROUNDS));
        (void)printf("bench apply %.3f us", median(apply, ROUNDS) * 1e6);
        (void)printf("  ping-pong %.3f", median(trip, ROUNDS) * 1e6);
        (void)printf("  ratio %.2f\n", median(apply_ratio, ROUNDS));
    }
    return MPI_Finalize();
}
