/* Tasks that workers hand back: the model hears of each what the engine makes of it. */
#include "inside.h"

#include <stdlib.h>

#define NUMBER(n) ((unsigned long long)(n))

/* A frame's task before the engine hears of it. */
struct known {
    uint64_t id, number, first;
    uint32_t items;
    uint32_t kept;      /* items of a chunk that stays; 0: it does not */
    bool out, is_chunk; /* out: at that worker, in this attempt */
};

static struct known look_up(const struct sim *sim, int worker, const struct rpi_frame *frame)
{
    const struct rpi_future *future = rpi_future_of(&sim->master.futures, frame->id);
    struct known known = { .id = frame->id };
    if (!future || future->state != RP_SENT || future->attempts != frame->attempt ||
        future->flags & RPI_FUTURE_ARRIVING ||
        sim->master.batches.table[future->pending.batch]->peer != worker)
        return known;
    known.out = !sim->master.dropped;
    known.is_chunk = future->flags & RPI_FUTURE_CHUNK;
    known.number = model_find(&sim->model, known.is_chunk ? future->pending.map->number
                                                          : future->pending.number);
    known.first = future->pending.number;
    known.items = future->pending.items;
    if (frame->flags & RPI_FRAME_CHUNK && known.items > frame->chunk.count) {
        known.kept = frame->chunk.count;
        known.first += known.kept;
        known.items -= known.kept;
    }
    return known;
}

static void chunk_came_back(struct sim *sim, const struct known *known)
{
    struct model_map *map = sim->model.tasks[known->number]->map;
    for (uint64_t i = known->first; i < known->first + known->items; i++) {
        if (!map->out_now[i] || (map->runs[i] && !map->given_up[i]))
            model_fail(&sim->model, "task %llu: item %llu is handed back, but it %s",
                       NUMBER(known->number), NUMBER(i),
                       map->runs[i] ? "ran" : "was not handed out");
        map->out_now[i] = false;
    }
    map->handed -= known->items;
}

static void task_came_back(struct sim *sim, const struct known *known)
{
    struct model_task *task = sim->model.tasks[known->number];
    const struct rpi_future *future = rpi_future_of(&sim->master.futures, known->id);
    if (!task->given_up && (task->running || task->runs >= task->handed))
        model_fail(&sim->model, "task %llu is handed back, but it has run", NUMBER(known->number));
    task->handed--;
    if (task->restarted)
        task->restart = true; /* it goes out by the same right again */
    else if (task->handed > 0)
        task->retried--;
    if (future && future->state == RP_QUEUED && !task->never_again)
        return;
    task->cancelled_here = true;
    if (!task->cancel_asked || (future && future->state != RP_DONE))
        model_fail(&sim->model, "task %llu was handed back, and is in state %d",
                   NUMBER(known->number), future ? future->state : 0);
}

/* It will go out again with the same attempt. */
static void leave_flight(struct sim_worker *worker, uint64_t id)
{
    for (int i = 0; i < worker->flight_count; i++)
        for (uint16_t k = worker->flights[i].first; k < worker->flights[i].count; k++)
            if (worker->flights[i].ids[k] == id)
                worker->flights[i].ids[k] = 0;
}

static void came_back(struct sim *sim, int worker, const struct known *known)
{
    const struct rpi_future *future = rpi_future_of(&sim->master.futures, known->id);
    if (future && future->state == RP_SENT &&
        (!known->kept || future->pending.items != known->kept))
        return; /* memory ran out before it */
    sim->report->returned++;
    sim->report->cut += known->kept > 0;
    if (!known->kept)
        leave_flight(&sim->workers[worker], known->id);
    if (known->is_chunk)
        chunk_came_back(sim, known);
    else
        task_came_back(sim, known);
}

rp_status returns_receive(struct sim *sim, int worker, const struct sim_message *message)
{
    struct rpi_reader reader;
    struct rpi_frame frame = { 0 };
    uint32_t count = 0;
    rp_status status = rpi_reader_open(&reader, message->bytes, message->size);
    if (status != RP_OK)
        return status;
    struct known *known = test_zeroed((reader.left + 1U) * sizeof *known);
    while (reader.left && rpi_reader_frame(&reader, &frame) == RP_OK)
        known[count++] = look_up(sim, worker, &frame);
    status = rpi_master_receive(&sim->master, worker, message->bytes, message->size, sim->now);
    for (uint32_t i = 0; i < count && !sim->model.violation[0]; i++)
        if (known[i].out)
            came_back(sim, worker, &known[i]);
    free(known);
    return status;
}

static void send(struct sim *sim, enum sim_side from, int worker, enum rpi_kind kind,
                 const struct rpi_frame *frame)
{
    uint8_t bytes[RPI_BATCH_HEADER + RPI_FRAME_HEADER];
    struct rpi_writer writer;
    rpi_writer_open(&writer, bytes, sizeof bytes);
    if (frame)
        (void)rpi_writer_frame(&writer, frame);
    rpi_writer_close(&writer, kind, 0);
    transport_sim_send_bytes(&sim->transport, from, worker, bytes, writer.used, sim->now);
}

void returns_recall(struct sim *sim)
{
    int worker = 1 + (int)chance_below(&sim->chance, (uint32_t)sim->plan.workers);
    if (!sim->workers[worker].told)
        send(sim, SIM_MASTER, worker, RPI_RECALL, NULL);
}

void returns_forge(struct sim *sim, const struct rpi_batch *batch)
{
    struct rpi_reader reader;
    struct rpi_frame frame = { 0 };
    if (rpi_reader_open(&reader, batch->bytes, batch->size) != RP_OK ||
        rpi_reader_frame(&reader, &frame) != RP_OK)
        return;
    frame = (struct rpi_frame){ .id = frame.id, .attempt = frame.attempt };
    send(sim, SIM_WORKER, batch->peer, RPI_RETURNED, &frame);
}
