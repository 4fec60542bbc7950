/* The speed of small tasks, each row beside what the same two processes reach by MPI alone, right
 * before and right after it: placement on cores alone moves these threefold between runs.
 *   small [-t PREFIX] [-d TIMES] [ROW...]     rows: latency submit map stream (default: all)
 * PREFIX goes before their names; -d makes loops of single messages TIMES times shorter.
 * run: mpirun -n 2 */
#include "figure.h"
#include "raw.h"

#include <rankpool_mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TASKS   2000000
#define ITEMS   10000000
#define APPLIES 50000
#define TRIES   3 /* of submit in one round, after one that touches the memory */

static int shorter = 1;

static rp_status twice(rp_call *call, const void *arg, size_t size)
{
    double x = 2 * *(const double *)arg;
    (void)size;
    return rp_return(call, &x, sizeof x);
}
RP_TASK(twice);

static void right(double got, double x)
{
    must(got < 2 * x || got > 2 * x ? RP_ERR_BROKEN : RP_OK, "a wrong result");
}

/* ---- tasks a second, or seconds of one */

static double submit_round(rp_pool *pool)
{
    static rp_future futures[TASKS];
    int tasks = TASKS / shorter;
    double begin = seconds();
    for (int i = 0; i < tasks; i++) {
        double x = i;
        must(rp_submit(pool, twice, &x, sizeof x, NULL, &futures[i]), "rp_submit");
    }
    for (int i = 0; i < tasks; i++) {
        double y;
        must(rp_get(pool, futures[i], RP_FOREVER, &y, sizeof y, NULL), "rp_get");
        right(y, i);
    }
    return tasks / (seconds() - begin);
}

static double apply_trip(rp_pool *pool)
{
    int applies = APPLIES / shorter;
    double begin = seconds();
    for (int i = 0; i < applies; i++) {
        double x = i, y;
        must(rp_apply(pool, twice, &x, sizeof x, &y, sizeof y, NULL), "rp_apply");
        right(y, x);
    }
    return (seconds() - begin) / applies;
}

static double map_round(rp_pool *pool)
{
    static double in[ITEMS], out[ITEMS];
    for (int i = 0; i < ITEMS; i++) {
        in[i] = i;
        out[i] = 1;
    }
    double begin = seconds();
    must(rp_map(pool, twice, in, sizeof *in, ITEMS, out, sizeof *out, NULL), "rp_map");
    double time = seconds() - begin;
    for (int i = 0; i < ITEMS; i++)
        right(out[i], i);
    return ITEMS / time;
}

static bool count_up(void *context, rp_bytes *next)
{
    double *x = context;
    if (*x >= ITEMS)
        return false;
    ++*x;
    *next = (rp_bytes){ .data = x, .size = sizeof *x };
    return true;
}

/* Also how much more memory rank 0 had at any time than at the start. */
static double stream_round(rp_pool *pool, double *growth)
{
    rp_stream *stream;
    rp_item item = RP_ITEM_INIT;
    double x = 0, sum = 0, begin = seconds(), before = child();
    rp_status status;
    must(rp_imap(pool, twice, count_up, &x, NULL, &stream), "rp_imap");
    *growth = 0;
    for (int i = 0; (status = rp_stream_next(stream, RP_FOREVER, &item)) == RP_OK; i++) {
        must(item.outcome->status, "a task");
        sum += *(const double *)item.outcome->data;
        if (i % 1000000 == 0 && child() - before > *growth)
            *growth = child() - before;
    }
    must(status == RP_END ? RP_OK : status, "rp_stream_next");
    double rate = ITEMS / (seconds() - begin);
    must(rp_stream_close(&stream), "rp_stream_close");
    right(sum, (double)ITEMS * (ITEMS + 1.0) / 2);
    return rate;
}

/* ---- rows: the raw figures, the pool's, the raw figures again */

struct limits {
    double trip, echo, framed;
};

/* What the row is compared with; a stream's limit is the pool's own. */
static struct limits raw(const char *row, int rank)
{
    struct limits limits = { 0 };
    if (strcmp(row, "latency") == 0)
        limits.trip = ping_pong(MPI_COMM_WORLD, rank);
    if (strcmp(row, "submit") == 0)
        limits.echo = windowed_echo(MPI_COMM_WORLD, rank);
    if (strcmp(row, "submit") == 0 || strcmp(row, "map") == 0)
        limits.framed = framed_echo(MPI_COMM_WORLD, rank);
    return limits;
}

/* The better of two measurements of a limit, and the mean of two trips. */
static struct limits both(struct limits a, struct limits b)
{
    return (struct limits){ .trip = (a.trip + b.trip) / 2,
                            .echo = a.echo > b.echo ? a.echo : b.echo,
                            .framed = a.framed > b.framed ? a.framed : b.framed };
}

/* One round of every row. */
struct round {
    double trip, apply, echo, framed, first, submit, map_framed, map, stream_submit, stream, growth;
};

static void use_pool(rp_pool *pool, const char *row, struct round *round)
{
    if (strcmp(row, "latency") == 0) {
        double trips[TRIES];
        (void)apply_trip(pool);
        for (int i = 0; i < TRIES; i++)
            trips[i] = apply_trip(pool);
        round->apply = median(trips, TRIES);
    } else if (strcmp(row, "submit") == 0) {
        double rates[TRIES];
        round->first = submit_round(pool);
        for (int i = 0; i < TRIES; i++)
            rates[i] = submit_round(pool);
        round->submit = median(rates, TRIES);
    } else if (strcmp(row, "map") == 0) {
        round->map = map_round(pool);
    } else {
        (void)submit_round(pool);
        round->stream_submit = submit_round(pool);
        round->stream = stream_round(pool, &round->growth);
        double after = submit_round(pool);
        round->stream_submit = after > round->stream_submit ? after : round->stream_submit;
    }
}

static void measure(const char *row, int rank, struct round *round)
{
    rp_pool *pool;
    struct limits limits = raw(row, rank);
    must(rp_open(NULL, &pool), "rp_open");
    if (pool) {
        use_pool(pool, row, round);
        must(rp_close(&pool), "rp_close");
    }
    limits = both(limits, raw(row, rank));
    if (limits.trip > 0)
        round->trip = limits.trip;
    if (limits.echo > 0)
        round->echo = limits.echo;
    if (strcmp(row, "submit") == 0)
        round->framed = limits.framed;
    else if (limits.framed > 0)
        round->map_framed = limits.framed;
}

/* ---- lines */

/* One member of every round. */
static const double *column(const struct round *rounds, size_t member, double scale)
{
    static double columns[4][BENCH_ROUNDS];
    static int next;
    double *values = columns[next++ % 4];
    for (int i = 0; i < BENCH_ROUNDS; i++) {
        memcpy(&values[i], (const char *)&rounds[i] + member, sizeof *values);
        values[i] *= scale;
    }
    return values;
}
#define COLUMN(member, scale) column(rounds, offsetof(struct round, member), scale)

static void line(const char *prefix, const char *row, const char *unit, const double *values,
                 const char *peer, const double *peers, int count)
{
    char name[64];
    (void)snprintf(name, sizeof name, "%s%s", prefix, row);
    figure(name, unit, values, peer, peers, count);
}

static void report(const char *prefix, const char *row, const struct round *rounds)
{
    static const double flat[BENCH_ROUNDS] = { 10, 10, 10, 10, 10 };
    if (strcmp(row, "latency") == 0)
        line(prefix, "latency", "us", COLUMN(apply, 1e6), "ping-pong", COLUMN(trip, 1e6),
             BENCH_ROUNDS);
    if (strcmp(row, "submit") == 0) {
        line(prefix, "submit-first", "Mtasks/s", COLUMN(first, 1e-6), "windowed-echo",
             COLUMN(echo, 1e-6), 1);
        line(prefix, "submit", "Mtasks/s", COLUMN(submit, 1e-6), "windowed-echo",
             COLUMN(echo, 1e-6), BENCH_ROUNDS);
        line(prefix, "submit", "Mtasks/s", COLUMN(submit, 1e-6), "framed-echo",
             COLUMN(framed, 1e-6), BENCH_ROUNDS);
    }
    if (strcmp(row, "map") == 0)
        line(prefix, "map", "Mitems/s", COLUMN(map, 1e-6), "framed-echo", COLUMN(map_framed, 1e-6),
             BENCH_ROUNDS);
    if (strcmp(row, "stream") == 0) {
        line(prefix, "stream", "Mtasks/s", COLUMN(stream, 1e-6), "submit",
             COLUMN(stream_submit, 1e-6), BENCH_ROUNDS);
        line(prefix, "stream-memory", "MB", COLUMN(growth, 1e-6), "allowed", flat, BENCH_ROUNDS);
    }
}

int main(int argc, char **argv)
{
    static const char *const all[] = { "latency", "submit", "map", "stream" };
    struct round rounds[BENCH_ROUNDS] = { { 0 } };
    const char *const *rows = all, *prefix = "";
    int count = 4, rank, size, provided, letter;
    (void)MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
    (void)MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    (void)MPI_Comm_size(MPI_COMM_WORLD, &size);
    while ((letter = getopt(argc, argv, "t:d:")) != -1) {
        if (letter == 't')
            prefix = optarg;
        else if (letter == 'd')
            shorter = atoi(optarg) > 0 ? atoi(optarg) : 1;
    }
    raw_shorten(shorter);
    if (optind < argc) {
        rows = (const char *const *)argv + optind;
        count = argc - optind;
    }
    must(size == 2 ? RP_OK : RP_ERR_INVALID, "small: run it with mpirun -n 2");
    for (int i = 0; i < BENCH_ROUNDS; i++)
        for (int row = 0; row < count; row++)
            measure(rows[row], rank, &rounds[i]);
    for (int row = 0; row < count && rank == 0; row++)
        report(prefix, rows[row], rounds);
    return MPI_Finalize();
}
