/* Instructions of both engines, the executor and the wire for each task, in virtual time, so that
 * two runs count alike: a master and a
 * worker hand each other their batches.  Only what `counted` does counts (tests/bench/count runs
 * this under callgrind).
 *   count submit|map|spawn TASKS */
#include "exec/inline.h"
#include "open/register.h"
#include "figure.h"
#include "master/master.h"
#include "master/settle.h"
#include "worker/worker.h"
#include "tables/completions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PACE     50e-9 /* virtual seconds between two submits */
#define LATENCY  1e-6  /* of a batch */
#define DURATION 20e-9 /* of a task */
#define BURST    64    /* submits between two steps of the master */

struct bench {
    struct rpi_registry registry;
    struct rpi_master master;
    struct rpi_worker worker;
    struct rpi_inline executor;
    struct rpi_completions completions;
    double now;
    uint64_t tasks;
};

static rp_status twice(rp_call *call, const void *arg, size_t size)
{
    double x = 2 * *(const double *)arg;
    (void)size;
    return rp_return(call, &x, sizeof x);
}
RP_TASK(twice);

/* The argument says how many levels are below. */
static rp_status branch(rp_call *call, const void *arg, size_t size)
{
    int64_t levels = *(const int64_t *)arg - 1;
    for (int i = 0; i < 2 && levels >= 0; i++)
        must(rp_spawn(call, branch, &levels, sizeof levels, NULL), "rp_spawn");
    return rp_return(call, arg, size);
}
RP_TASK(branch);

static struct bench *open_bench(void)
{
    static struct rpi_log log;
    struct rpi_alloc alloc = rpi_alloc_of(NULL, NULL);
    struct bench *bench = calloc(1, sizeof *bench);
    must(bench ? RP_OK : RP_ERR_NOMEM, "count");
    must(rpi_register_snapshot(&bench->registry, &alloc), "the registry");
    struct rpi_master_config master = { .alloc = alloc,
                                        .log = &log,
                                        .registry = &bench->registry,
                                        .workers = 1,
                                        .batch_limit = RPI_BATCH_DEFAULT,
                                        .first_generation = 7 };
    struct rpi_worker_config worker = { .alloc = alloc,
                                        .batch_limit = RPI_BATCH_DEFAULT,
                                        .functions = bench->registry.count };
    must(rpi_master_init(&bench->master, &master), "the master");
    rpi_worker_init(&bench->worker, &worker);
    must(rpi_inline_init(&bench->executor, &alloc, &bench->registry,
                         rpi_wire_inline_limit(RPI_BATCH_DEFAULT), 1, "here"),
         "the executor");
    return bench;
}

static void close_bench(struct bench *bench)
{
    rpi_worker_fini(&bench->worker);
    rpi_inline_fini(&bench->executor);
    rpi_master_fini(&bench->master);
    rpi_idqueue_fini(&bench->completions.ready, &bench->registry.alloc);
    rpi_registry_fini(&bench->registry);
    free(bench);
}

/* ---- the worker's turn */

static void flush(struct bench *bench)
{
    struct rpi_batch *batch;
    rpi_worker_flush(&bench->worker);
    bench->now += LATENCY;
    while ((batch = rpi_worker_outgoing(&bench->worker))) {
        must(rpi_master_receive(&bench->master, 1, batch->bytes, batch->size, bench->now),
             "rpi_master_receive");
        rpi_worker_sent(&bench->worker, batch);
    }
}

static void put_children(struct bench *bench)
{
    const struct rp_call *call = &bench->executor.call;
    const uint8_t *at = call->children;
    for (uint32_t i = 0; i < call->children_count; i++) {
        uint32_t size = rpi_frame_size(at[11], rpi_get32(at + 12));
        if (!rpi_worker_fits_frame(&bench->worker, size))
            flush(bench);
        must(rpi_worker_make_room(&bench->worker) ? RP_OK : RP_ERR_NOMEM, "the worker's batches");
        rpi_worker_put_frame(&bench->worker, at, size);
        at += size;
    }
}

static void finish(struct bench *bench, const struct rpi_task *task,
                   const struct rpi_result *result)
{
    put_children(bench);
    if (!rpi_worker_fits(&bench->worker, result))
        flush(bench);
    rpi_worker_done(&bench->worker, task, result,
                    task->is_chunk ? DURATION * task->chunk.count : -1);
}

/* As serve.c does: plain tasks first, which are done at once. */
static bool next(struct bench *bench, struct rpi_task *task)
{
    struct rpi_task plain = { 0 };
    struct rpi_result result;
    while (rpi_worker_next_plain(&bench->worker, &plain)) {
        const void *data = rpi_inline_execute_plain(&bench->executor, &plain, &result);
        if (data)
            rpi_worker_done_plain(&bench->worker, &plain, data);
        else
            finish(bench, &plain, &result);
        rpi_worker_spent(&bench->worker, DURATION);
        bench->now += DURATION;
    }
    return rpi_worker_next(&bench->worker, task);
}

static void turn(struct bench *bench)
{
    struct rpi_task task;
    struct rpi_result result;
    while (next(bench, &task)) {
        rpi_inline_expect(&bench->executor, &task);
        rpi_inline_execute(&bench->executor, &task, &result);
        finish(bench, &task, &result);
        rpi_worker_spent(&bench->worker, task.is_chunk ? 0 : DURATION);
        bench->now += DURATION;
    }
    flush(bench);
}

static void step(struct bench *bench)
{
    struct rpi_batch *batch;
    bench->now += LATENCY;
    rpi_master_dispatch(&bench->master, bench->now);
    while ((batch = rpi_master_outgoing(&bench->master))) {
        must(rpi_worker_receive(&bench->worker, batch->bytes, batch->size), "rpi_worker_receive");
        rpi_master_sent(&bench->master, batch);
    }
    turn(bench);
}

/* ---- rows */

static void submit(struct bench *bench, uint64_t *ids)
{
    double sum = 0;
    struct rpi_request request = { .function = rpi_registry_find(&bench->registry, twice),
                                   .size = sizeof sum };
    for (uint64_t i = 0; i < bench->tasks; i++) {
        double x = (double)i;
        request.arg = &x;
        bench->now += PACE;
        must(rpi_master_submit(&bench->master, &request, bench->now, &ids[i]), "rpi_master_submit");
        if (i % BURST == 0)
            step(bench);
    }
    while (bench->master.unsettled)
        step(bench);
    for (uint64_t i = 0; i < bench->tasks; i++) {
        struct rpi_future *future = rpi_master_future(&bench->master, ids[i]);
        must(future && future->state == RP_DONE ? RP_OK : RP_ERR_BROKEN, "a future");
        double y;
        memcpy(&y, future->done.small, sizeof y);
        sum += y;
        rpi_master_release(&bench->master, ids[i], future);
    }
    must(sum < 0 ? RP_ERR_BROKEN : RP_OK, "the results");
}

static void map(struct bench *bench, uint64_t *room)
{
    struct rpi_map_request request = { .function = rpi_registry_find(&bench->registry, twice),
                                       .in = room,
                                       .out = room + bench->tasks,
                                       .in_size = sizeof(double),
                                       .out_size = sizeof(double),
                                       .count = bench->tasks };
    uint64_t id;
    must(rpi_master_map(&bench->master, &request, bench->now, &id), "rpi_master_map");
    while (bench->master.unsettled)
        step(bench);
    rpi_master_release(&bench->master, id, rpi_master_future(&bench->master, id));
}

static void take_items(struct bench *bench)
{
    while (bench->completions.ready.count) {
        uint64_t id = rpi_idqueue_pop(&bench->completions.ready);
        struct rpi_future *future = rpi_future_of(&bench->master.futures, id);
        future->flags &= (uint8_t)~RPI_FUTURE_STREAMED;
        rpi_future_free(&bench->master.futures, id, future);
        bench->completions.open--;
    }
}

/* A binary tree of bench->tasks nodes and less than as many again. */
static void spawn(struct bench *bench, uint64_t *unused)
{
    struct rpi_options options = { .completions = &bench->completions };
    int64_t levels = 0;
    uint64_t id;
    (void)unused;
    while (((uint64_t)2 << levels) - 1 < bench->tasks)
        levels++;
    bench->tasks = ((uint64_t)2 << levels) - 1;
    struct rpi_request request = { .function = rpi_registry_find(&bench->registry, branch),
                                   .arg = &levels,
                                   .size = sizeof levels,
                                   .released = true,
                                   .options = &options };
    must(rpi_idqueue_reserve(&bench->completions.ready, &bench->registry.alloc, 1), "the outbox");
    must(rpi_master_submit(&bench->master, &request, bench->now, &id), "rpi_master_submit");
    bench->completions.open = 1;
    while (bench->completions.open) {
        step(bench);
        take_items(bench);
    }
}

__attribute__((noinline)) static void counted(void (*row)(struct bench *, uint64_t *),
                                              struct bench *bench, uint64_t *room)
{
    row(bench, room);
    __asm__ volatile(""); /* no tail call: callgrind counts until this returns */
}

int main(int argc, char **argv)
{
    must(argc == 3 ? RP_OK : RP_ERR_INVALID, "usage: count submit|map|spawn TASKS");
    struct bench *bench = open_bench();
    bench->tasks = strtoull(argv[2], NULL, 10);
    uint64_t *room = calloc(2 * bench->tasks, sizeof *room);
    must(room ? RP_OK : RP_ERR_NOMEM, "count");
    counted(argv[1][0] == 's' && argv[1][1] == 'p' ? spawn
            : argv[1][0] == 's'                    ? submit
                                                   : map,
            bench, room);
    (void)printf("%llu tasks, %llu messages\n", (unsigned long long)bench->tasks,
                 (unsigned long long)bench->master.counts.messages_out);
    free(room);
    close_bench(bench);
    return 0;
}
