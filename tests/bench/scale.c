/* How far one master reaches: the real engine of rank 0 with 10 to 100,000 modelled workers in
 * virtual time (the simulator's events).
 *
 *   a message: 1 us and 10 GB/s on its way; 0.2 us of rank 0's CPU, sent or received
 *   the engine: what its calls take here, in real nanoseconds, as running means by batch and by
 *   task
 *   a worker: runs what it has one by one, and sends each result when it is there
 *
 * The application submits as fast as it can, a few tasks between two looks at what has come.
 * Prints the efficiency: the tasks' time
 * over the workers' time until the last result is in.
 *   scale [FILE]     FILE: lines "workers seconds-a-task efficiency tasks-a-second" for the plot */
#include "base/clock.h"
#include "open/register.h"
#include "figure.h"
#include "master/master.h"
#include "transport_sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAY     1e-6
#define BYTE    1e-10
#define MESSAGE 0.2e-6
#define BURST   16     /* submits between two looks */
#define LOOKS   32     /* messages taken in one look */
#define ROOM    4096   /* bytes: a batch */
#define TASKS   300000 /* of one cell, about */
#define LEAST   4      /* a worker, on the mean */
#define MOST    1000
#define OUTLIER 30.0 /* times the mean: a call that took so long was interrupted */
#define TICKS   1000 /* first calls that are not judged so */

/* What a kind of call takes. */
struct cost {
    double seconds, units;
    uint64_t calls;
};

struct worker {
    struct rpi_link inbox; /* of struct parcel */
    double busy_until;
};

/* A batch of tasks, on its way or at a worker. */
struct parcel {
    struct rpi_link link;
    uint32_t size;
    uint16_t done; /* tasks */
    _Alignas(16) uint8_t bytes[ROOM];
};

struct cell {
    struct rpi_registry registry;
    struct rpi_master master;
    struct transport_sim events;
    struct worker *workers;
    uint64_t *ids;
    struct cost submit, receive, dispatch;
    double free_at; /* rank 0 */
    double duration, tick;
    uint64_t tasks, submitted;
};

static rp_status work(rp_call *call, const void *arg, size_t size)
{
    (void)call;
    (void)arg;
    (void)size;
    return RP_OK;
}
RP_TASK(work);

/* ---- what the engine's calls take */

/* Charges rank 0 for a call of `units`, by the running mean of what such calls took a unit. */
static void charge(struct cell *cell, struct cost *cost, uint64_t begin, double units)
{
    double took = (double)(rpi_ticks() - begin) * cell->tick;
    double mean = cost->units > 0 ? cost->seconds / cost->units : took;
    if (cost->calls < TICKS || took < OUTLIER * mean * (units + 1)) {
        cost->seconds += took;
        cost->units += units;
        cost->calls++;
    }
    cell->free_at += cost->seconds / cost->units * units;
}

static double tick_seconds(void)
{
    double begin = seconds();
    uint64_t ticks = rpi_ticks();
    pause_for(20e-3);
    return (seconds() - begin) / (double)(rpi_ticks() - ticks);
}

/* ---- workers */

static void send_result(struct cell *cell, int number, const struct rpi_frame *task, double at)
{
    struct parcel *parcel = malloc(sizeof *parcel);
    struct rpi_writer writer;
    struct rpi_frame frame = { .id = task->id,
                               .function = task->function,
                               .attempt = task->attempt,
                               .flags = RPI_FRAME_RAN,
                               .length = 8 };
    must(parcel ? RP_OK : RP_ERR_NOMEM, "scale");
    frame.ran = (uint64_t)(1e9 * cell->duration);
    rpi_writer_open(&writer, parcel->bytes, ROOM);
    rpi_wire_put_payload(rpi_writer_frame(&writer, &frame), &task->id, 8);
    rpi_writer_close(&writer, RPI_RESULTS, 0);
    parcel->size = writer.used;
    at += WAY + BYTE * parcel->size;
    transport_sim_add(
        &cell->events,
        (struct sim_event){
            .at = at, .kind = SIM_BATCH, .side = SIM_MASTER, .worker = number, .cookie = parcel });
}

/* Runs the tasks of a batch that has come; each result goes when its task ends. */
static void run(struct cell *cell, int number, struct parcel *parcel, double now)
{
    struct worker *worker = &cell->workers[number];
    struct rpi_reader reader;
    must(rpi_reader_open(&reader, parcel->bytes, parcel->size), "a batch");
    if (worker->busy_until < now)
        worker->busy_until = now;
    while (reader.left) {
        struct rpi_frame frame = { 0 };
        must(rpi_reader_frame(&reader, &frame), "a frame");
        worker->busy_until += cell->duration;
        send_result(cell, number, &frame, worker->busy_until);
    }
    free(parcel);
}

/* ---- rank 0 */

static void send_batches(struct cell *cell)
{
    struct rpi_batch *batch;
    while ((batch = rpi_master_outgoing(&cell->master))) {
        struct parcel *parcel = malloc(sizeof *parcel);
        must(parcel ? RP_OK : RP_ERR_NOMEM, "scale");
        memcpy(parcel->bytes, batch->bytes, batch->size);
        parcel->size = batch->size;
        cell->free_at += MESSAGE;
        double at = cell->free_at + WAY + BYTE * batch->size;
        transport_sim_add(&cell->events, (struct sim_event){ .at = at,
                                                             .kind = SIM_BATCH,
                                                             .side = SIM_WORKER,
                                                             .worker = batch->peer,
                                                             .cookie = parcel });
        rpi_master_sent(&cell->master, batch);
    }
}

static void submit_some(struct cell *cell)
{
    struct rpi_request request = { .arg = &cell->submitted, .size = 8 };
    uint64_t begin = rpi_ticks(), before = cell->submitted;
    for (int i = 0; i < BURST && cell->submitted < cell->tasks; i++, cell->submitted++)
        must(rpi_master_submit(&cell->master, &request, cell->free_at, &cell->ids[cell->submitted]),
             "rpi_master_submit");
    charge(cell, &cell->submit, begin, (double)(cell->submitted - before));
}

static void take_result(struct cell *cell, const struct sim_event *event)
{
    struct parcel *parcel = event->cookie;
    cell->free_at += MESSAGE;
    uint64_t begin = rpi_ticks();
    must(rpi_master_receive(&cell->master, event->worker, parcel->bytes, parcel->size,
                            cell->free_at),
         "rpi_master_receive");
    charge(cell, &cell->receive, begin, 1);
    free(parcel);
}

static void dispatch(struct cell *cell)
{
    uint64_t before = cell->master.counts.messages_out, begin = rpi_ticks();
    rpi_master_dispatch(&cell->master, cell->free_at);
    charge(cell, &cell->dispatch, begin, (double)(cell->master.counts.messages_out - before) + 0.2);
    send_batches(cell);
}

/* Rank 0 is free: it takes what has come, and hands out.  What comes to workers in between is
 * theirs. */
static void step(struct cell *cell)
{
    struct sim_event event;
    int taken = 0;
    bool hungry = cell->submitted < cell->tasks;
    if (hungry)
        submit_some(cell);
    while (taken < LOOKS && cell->events.count &&
           (taken == 0 && !hungry ? true : cell->events.heap[0].at <= cell->free_at)) {
        (void)transport_sim_next(&cell->events, &event);
        if (event.side == SIM_WORKER) {
            run(cell, event.worker, event.cookie, event.at);
            continue;
        }
        if (event.at > cell->free_at)
            cell->free_at = event.at;
        take_result(cell, &event);
        taken++;
    }
    dispatch(cell);
}

/* ---- cells */

static void open_cell(struct cell *cell, int workers, double duration, double tick)
{
    static struct rpi_log log;
    struct rpi_alloc alloc = rpi_alloc_of(NULL, NULL);
    *cell = (struct cell){ .duration = duration, .tick = tick };
    must(rpi_register_snapshot(&cell->registry, &alloc), "the registry");
    struct rpi_master_config config = { .alloc = alloc,
                                        .log = &log,
                                        .registry = &cell->registry,
                                        .workers = workers,
                                        .batch_limit = RPI_BATCH_DEFAULT,
                                        .first_generation = 7 };
    must(rpi_master_init(&cell->master, &config), "the master");
    transport_sim_init(&cell->events, 1, WAY, workers);
    uint64_t each = TASKS / (uint64_t)workers;
    cell->tasks = (uint64_t)workers * (each < LEAST ? LEAST : each > MOST ? MOST : each);
    cell->workers = calloc((size_t)workers + 1, sizeof *cell->workers);
    cell->ids = calloc(cell->tasks, sizeof *cell->ids);
    must(cell->workers && cell->ids ? RP_OK : RP_ERR_NOMEM, "scale");
}

static void close_cell(struct cell *cell)
{
    rpi_master_fini(&cell->master);
    rpi_registry_fini(&cell->registry);
    transport_sim_fini(&cell->events);
    free(cell->workers);
    free(cell->ids);
}

struct found {
    double efficiency, rate, engine; /* of one; tasks a second; seconds of the engine for a task */
};

static struct found measure(int workers, double duration, double tick)
{
    static struct cell cell;
    open_cell(&cell, workers, duration, tick);
    while (cell.submitted < cell.tasks || cell.master.unsettled)
        step(&cell);
    struct found found = { .rate = (double)cell.tasks / cell.free_at };
    found.efficiency = found.rate * duration / workers;
    found.engine = (cell.submit.seconds / cell.submit.units) +
                   (cell.receive.seconds / cell.receive.units) +
                   (cell.dispatch.seconds / cell.dispatch.units);
    close_cell(&cell);
    return found;
}

int main(int argc, char **argv)
{
    static const int crowds[] = { 10, 100, 1000, 10000, 100000 };
    static const double durations[] = { 1e-3, 10e-3, 100e-3, 1 };
    static const char *const names[] = { "1ms", "10ms", "100ms", "1s" };
    FILE *file = argc > 1 ? fopen(argv[1], "w") : NULL;
    double tick = tick_seconds(), most = 0, engine = 0;
    for (int d = 0; d < 4; d++) {
        for (int w = 0; w < 5; w++) {
            char name[64];
            struct found found = measure(crowds[w], durations[d], tick);
            (void)snprintf(name, sizeof name, "scale-%s-%d", names[d], crowds[w]);
            figure_one(name, "efficiency", found.efficiency, "ideal", 1);
            if (file)
                (void)fprintf(file, "%d %g %.4f %.0f\n", crowds[w], durations[d], found.efficiency,
                              found.rate);
            if (found.rate > most) {
                most = found.rate;
                engine = found.engine;
            }
        }
    }
    figure_one("scale-most", "Mtasks/s", 1e-6 * most, "two-messages-a-task", 1e-6 / (2 * MESSAGE));
    figure_one("scale-engine", "ns/task", 1e9 * engine, "two-messages", 2e9 * MESSAGE);
    if (file)
        (void)fclose(file);
    return 0;
}
