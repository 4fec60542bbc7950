/* Large payloads: bytes a second to a worker (its argument) and from it (its result), in place and
 * with copies, beside raw MPI messages of the same size between the same two processes, each
 * answered by 8 bytes: in both the best of the same numbers under way, and buffers that are used
 * again.
 *   bytes [-t PREFIX] [-s SMALLEST] [-m LARGEST] [-d TIMES]
 * PREFIX goes before the rows' names; sizes in bytes; -d measures TIMES times less.
 * run: mpirun -n 2 */
#include "figure.h"
#include "raw.h"

#include <rankpool_mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIZES  6
#define LEAST  8                  /* messages of one measurement */
#define VOLUME ((size_t)64 << 20) /* bytes of one measurement */
#define KINDS  4

static const size_t sizes[SIZES] = { 1 << 10, 8 << 10, 64 << 10, 512 << 10, 4 << 20, 64 << 20 };
enum kind { TO_BORROWED, TO_COPIED, FROM_TAKEN, FROM_COPIED };
static const char *const kind_names[KINDS] = { "to-borrowed", "to-copied", "from-taken",
                                               "from-copied" };

static char *ready; /* at the worker: what it returns copies of */

static rp_status swallow(rp_call *call, const void *arg, size_t size)
{
    uint64_t ends = ((const unsigned char *)arg)[0] +
                    (uint64_t)((const unsigned char *)arg)[size - 1];
    return rp_return(call, &ends, sizeof ends);
}
RP_TASK(swallow);

static rp_status give_in_place(rp_call *call, const void *arg, size_t size)
{
    size_t wanted = *(const size_t *)arg;
    (void)size;
    char *room = rp_reserve(call, wanted);
    if (!room)
        return rp_fail(call, 1, "no memory");
    room[0] = room[wanted - 1] = 1;
    return RP_OK;
}
RP_TASK(give_in_place);

static rp_status give_copy(rp_call *call, const void *arg, size_t size)
{
    (void)size;
    return rp_return(call, ready, *(const size_t *)arg);
}
RP_TASK(give_copy);

/* ---- the pool's rates */

static rp_future start(rp_pool *pool, enum kind kind, const void *argument, size_t size)
{
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    rp_future future;
    options.borrow = true;
    if (kind == TO_BORROWED || kind == TO_COPIED)
        must(rp_submit(pool, swallow, argument, size, kind == TO_BORROWED ? &options : NULL,
                       &future),
             "rp_submit");
    else
        must(rp_submit(pool, kind == FROM_TAKEN ? give_in_place : give_copy, &size, sizeof size,
                       NULL, &future),
             "rp_submit");
    return future;
}

static void finish(rp_pool *pool, enum kind kind, rp_future future, void *room, size_t size)
{
    void *taken;
    uint64_t ends;
    size_t got = 0;
    if (kind == FROM_TAKEN) {
        must(rp_take(pool, future, RP_FOREVER, &taken, &got), "rp_take");
        rp_free(taken);
    } else if (kind == FROM_COPIED) {
        must(rp_get(pool, future, RP_FOREVER, room, size, &got), "rp_get");
    } else {
        must(rp_get(pool, future, RP_FOREVER, &ends, sizeof ends, NULL), "rp_get");
        got = size;
    }
    must(got == size ? RP_OK : RP_ERR_SIZE, "a result");
}

static double rate_of(rp_pool *pool, enum kind kind, size_t size, int under, int tasks,
                      char *argument, char *room)
{
    rp_future futures[BANDWIDTH_MOST];
    double begin = seconds();
    for (int i = 0; i < tasks + under; i++) {
        if (i >= under)
            finish(pool, kind, futures[i % under], room, size);
        if (i < tasks)
            futures[i % under] = start(pool, kind, argument, size);
    }
    return (double)size * tasks / (seconds() - begin);
}

/* The best over the windows of bandwidth(); before them, as there, the buffers are touched: by a
 * round of the largest window. */
static double best_rate(rp_pool *pool, enum kind kind, size_t size, int tasks, char *argument,
                        char *room)
{
    double best = 0;
    int most = 0;
    for (int under = 0; (under = next_window(size, under));)
        most = under;
    (void)rate_of(pool, kind, size, most, tasks, argument, room);
    for (int under = 0; (under = next_window(size, under));) {
        double rate = rate_of(pool, kind, size, under, tasks, argument, room);
        best = rate > best ? rate : best;
    }
    return best;
}

/* ---- rows */

struct round {
    double raw[2], rate[KINDS]; /* bytes a second; raw: to the worker, from it */
};

static size_t shorter = 1;

static int messages_of(size_t size)
{
    size_t messages = VOLUME / shorter / size;
    return messages > 4000 ? 4000 : messages < LEAST ? LEAST : (int)messages;
}

static void measure(int rank, size_t size, struct round *round, char *argument, char *room)
{
    rp_pool *pool;
    int messages = messages_of(size);
    double raw[2][2];
    for (int from = 0; from < 2; from++)
        raw[0][from] = bandwidth(MPI_COMM_WORLD, rank, from, size, messages);
    must(rp_open(NULL, &pool), "rp_open");
    if (pool) {
        for (int kind = 0; kind < KINDS; kind++)
            round->rate[kind] = best_rate(pool, (enum kind)kind, size, messages, argument, room);
        must(rp_close(&pool), "rp_close");
    }
    for (int from = 0; from < 2; from++)
        raw[1][from] = bandwidth(MPI_COMM_WORLD, rank, from, size, messages);
    for (int from = 0; from < 2; from++)
        round->raw[from] = raw[0][from] > raw[1][from] ? raw[0][from] : raw[1][from];
}

static void report(const char *prefix, size_t size, const struct round *rounds)
{
    for (int kind = 0; kind < KINDS; kind++) {
        double rates[BENCH_ROUNDS], raw[BENCH_ROUNDS];
        char name[64];
        for (int i = 0; i < BENCH_ROUNDS; i++) {
            rates[i] = 1e-6 * rounds[i].rate[kind];
            raw[i] = 1e-6 * rounds[i].raw[kind >= FROM_TAKEN];
        }
        (void)snprintf(name, sizeof name, "%sbytes-%zuKiB-%s", prefix, size >> 10,
                       kind_names[kind]);
        figure(name, "MB/s", rates, "raw-MPI", raw, BENCH_ROUNDS);
    }
}

static struct round rounds[SIZES][BENCH_ROUNDS];

int main(int argc, char **argv)
{
    const char *prefix = "";
    size_t smallest = 0, largest = sizes[SIZES - 1];
    int first = 0, count = 0, rank, provided, letter;
    (void)MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
    (void)MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    while ((letter = getopt(argc, argv, "t:s:m:d:")) != -1) {
        if (letter == 't')
            prefix = optarg;
        else if (letter == 's')
            smallest = (size_t)strtoull(optarg, NULL, 10);
        else if (letter == 'm')
            largest = (size_t)strtoull(optarg, NULL, 10);
        else if (letter == 'd')
            shorter = atoi(optarg) > 0 ? (size_t)atoi(optarg) : 1;
    }
    while (count < SIZES && sizes[count] <= largest)
        count++;
    while (first < count && sizes[first] < smallest)
        first++;
    char *argument = malloc(largest), *room = malloc(largest);
    must(argument && room ? RP_OK : RP_ERR_NOMEM, "bytes");
    memset(argument, 1, largest);
    memset(room, 2, largest);
    ready = argument;
    for (int i = 0; i < BENCH_ROUNDS; i++)
        for (int size = first; size < count; size++)
            measure(rank, sizes[size], &rounds[size][i], argument, room);
    for (int size = first; size < count && rank == 0; size++)
        report(prefix, sizes[size], rounds[size]);
    free(argument);
    free(room);
    return MPI_Finalize();
}
