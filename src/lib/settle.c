#include "settle.h"

#include "inputs.h"
#include "sharing.h"
#include "spawned.h"
#include "status.h"

#include <stdio.h>

#define ROUND_TRIP_MIN 0.5e-6
#define ROUND_TRIP_MAX 1e-3
#define MEAN_SAMPLES   32 /* a function's mean follows about so many of its last tasks */

/* ---- measured times */

static void measured(struct rpi_master *master, uint16_t function, uint64_t tasks, double seconds)
{
    struct rpi_function_time *time = &master->times[function];
    double sample = seconds / (double)tasks;
    time->samples += tasks;
    if (time->mean < 0)
        time->mean = sample;
    else
        time->mean += (sample - time->mean) * (double)tasks /
                      (double)(tasks + (time->samples < MEAN_SAMPLES ? time->samples : MEAN_SAMPLES));
}

/* What a batch to an idle worker cost beside its tasks: the least is what counts, slowly forgotten. */
static void measured_round_trip(struct rpi_master *master, const struct rpi_batch *batch)
{
    double sample = master->now - batch->sent_at - batch->ran;
    if (sample < master->round_trip)
        master->round_trip = sample > ROUND_TRIP_MIN ? sample : ROUND_TRIP_MIN;
    else
        master->round_trip += ((sample < ROUND_TRIP_MAX ? sample : ROUND_TRIP_MAX) - master->round_trip) / 64;
}

/* ---- a batch's end */

static void retire(struct rpi_master *master, struct rpi_batch *batch)
{
    if (batch->remaining == 0 && batch->sends == 0)
        rpi_batch_put(&master->batches, batch);
}

void rpi_master_sent(struct rpi_master *master, struct rpi_batch *batch)
{
    if (--batch->sends == 0 && batch->version)
        rpi_sharing_sent(master, batch->version);
    retire(master, batch);
}

/* One task of the batch needs it no more. */
static void leave_batch(struct rpi_master *master, uint32_t index, double ran)
{
    struct rpi_batch *batch = master->batches.table[index];
    batch->ran += ran;
    if (--batch->remaining)
        return;
    if (batch->to_idle)
        measured_round_trip(master, batch);
    rpi_roster_done(&master->roster, batch->peer);
    rpi_master_wake(master, batch->peer);
    retire(master, batch);
}

/* ---- a task's end */

static void account(struct rpi_master *master, const struct rpi_settled *how, uint64_t tasks)
{
    struct rpi_seat *seat = &master->roster.seats[how->worker];
    seat->done += tasks;
    seat->busy += how->ran;
    master->counts.busy += how->ran;
}

/* All that settling has in common; the caller has read what it needs of future->pending and sets the data. */
static void become_done(struct rpi_master *master, struct rpi_future *future, const struct rpi_settled *how)
{
    uint32_t depth = future->pending.depth;
    double queued = master->now - future->pending.submitted - how->ran;
    if (future->state == RP_SENT) /* else it was cancelled before */
        leave_batch(master, future->pending.batch, how->ran);
    if (future->state == RP_WAITING)
        master->inputs.waiting--;
    future->state = RP_DONE;
    future->status = (uint8_t)how->status;
    future->flags &= (uint8_t)~RPI_FUTURE_ARRIVING;
    future->done.worker = (uint32_t)how->worker;
    if (future->flags & RPI_FUTURE_SPAWNED)
        future->done.depth = depth;
    else
        future->done.queued = (float)(queued > 0 ? queued : 0);
    future->done.ran = (float)how->ran;
    master->unsettled--;
}

/* The options know who waits.  Returns whether somebody will free it later. */
static bool tell_waiting(struct rpi_master *master, uint64_t id, struct rpi_future *future)
{
    const struct rpi_options options = *rpi_options_at(&master->options, future->options);
    struct rpi_outbox *outbox = options.outbox;
    if (options.dependent)
        rpi_inputs_let_go(master, options.dependent);
    if (outbox && outbox->skip_empty && future->status == RP_OK && future->done.size == 0) {
        outbox->open--;
        outbox = NULL;
        future->flags &= (uint8_t)~RPI_FUTURE_STREAMED;
    }
    if (outbox && !outbox->ordered)
        rpi_ring_push(&outbox->ready, id);
    if (options.on_done)
        rpi_ring_push(&master->called, id);
    else
        rpi_master_forget_options(master, future);
    return options.on_done || future->flags & RPI_FUTURE_STREAMED;
}

void rpi_settle_end(struct rpi_master *master, uint64_t id, struct rpi_future *future)
{
    bool needed = future->options ? tell_waiting(master, id, future) : future->flags & RPI_FUTURE_STREAMED;
    if (master->inputs.count) {
        rpi_inputs_settled(master, id, future);
        needed = needed || rpi_inputs_hold(&master->inputs, id);
    }
    if (future->flags & RPI_FUTURE_RELEASED && !needed)
        rpi_future_free(&master->futures, id, future);
}

static void settle_small(struct rpi_master *master, uint64_t id, struct rpi_future *future, const uint8_t *data,
                         uint32_t size, const struct rpi_settled *how)
{
    become_done(master, future, how);
    future->done.size = size;
    if (size == RPI_SMALL_RESULT)
        memcpy(future->done.small, data, RPI_SMALL_RESULT);
    else if (size)
        memcpy(future->done.small, data, size);
    master->counts.done++;
    rpi_settle_end(master, id, future);
}

void rpi_settle_buffer(struct rpi_master *master, uint64_t id, struct rpi_future *future, void *buffer, uint32_t size,
                       const struct rpi_settled *how)
{
    become_done(master, future, how);
    future->done.size = size;
    future->done.data = buffer;
    future->flags |= RPI_FUTURE_BUFFER;
    master->counts.done++;
    rpi_settle_end(master, id, future);
}

static rp_status settle_result(struct rpi_master *master, uint64_t id, struct rpi_future *future, const uint8_t *data,
                               uint32_t size, const struct rpi_settled *how)
{
    if (size <= RPI_SMALL_RESULT) {
        settle_small(master, id, future, data, size, how);
        return RP_OK;
    }
    void *buffer = rpi_buffer_new(&master->config.alloc, size);
    if (!buffer)
        return rpi_no_memory("a result");
    memcpy(buffer, data, size);
    rpi_settle_buffer(master, id, future, buffer, size, how);
    return RP_OK;
}

/* ---- failures */

static bool find_frame(const struct rpi_batch *batch, uint64_t id, struct rpi_frame *frame, uint16_t *piece)
{
    struct rpi_reader reader;
    if (rpi_reader_open(&reader, batch->bytes, batch->size) != RP_OK)
        return false;
    *piece = 0;
    while (reader.left && rpi_reader_frame(&reader, frame) == RP_OK) {
        if (frame->id == id)
            return true;
        if (frame->flags & RPI_FRAME_LARGE)
            ++*piece;
    }
    return false;
}

/* Gives the queue an argument that travelled as a piece.  While its send is not reported, the batch keeps the bytes. */
static rp_status reuse_piece(struct rpi_master *master, const struct rpi_batch *batch, const struct rpi_piece *piece,
                             struct rpi_entry *entry)
{
    entry->data = piece->data;
    entry->flags = (uint16_t)(RPI_ENTRY_LARGE | (piece->owned ? RPI_ENTRY_OWNED : 0));
    if (!piece->owned || batch->sends == 0)
        return RP_OK;
    void *copy = rpi_buffer_new(&master->config.alloc, piece->size);
    if (!copy)
        return rpi_no_memory("a task's argument");
    memcpy(copy, piece->data, piece->size);
    entry->data = copy;
    return RP_OK;
}

/* Queues a task again from the copy that its batch retains.  RP_ERR_NOMEM: nothing changed. */
static rp_status queue_again(struct rpi_master *master, uint64_t id, struct rpi_future *future, double ran)
{
    struct rpi_batch *batch = master->batches.table[future->pending.batch];
    const struct rpi_options *options = rpi_options_at(&master->options, future->options);
    struct rpi_frame frame;
    uint16_t piece;
    if (!find_frame(batch, id, &frame, &piece))
        return rpi_reader_bad("it answers a task that its batch has not");
    struct rpi_entry entry = { .id = id, .size = frame.length, .function = frame.function, .data = frame.payload };
    bool large = frame.flags & RPI_FRAME_LARGE;
    rp_status status = large ? reuse_piece(master, batch, &batch->pieces[piece], &entry) : RP_OK;
    if (status != RP_OK)
        return status;
    bool copied = large && entry.data != batch->pieces[piece].data;
    status = rpi_master_enqueue(master, &entry, options, true, future->pending.number);
    if (status != RP_OK) {
        if (copied)
            rpi_buffer_free((void *)(uintptr_t)entry.data);
        return status;
    }
    if (large && !copied)
        batch->pieces[piece].owned = NULL; /* the queue has it now */
    leave_batch(master, future->pending.batch, ran);
    future->state = RP_QUEUED;
    future->pending.function = entry.function;
    future->pending.retried++;
    master->counts.retried++;
    return RP_OK;
}

/* What happened, for a person. */
static size_t tell(const struct rpi_master *master, uint64_t number, const struct rpi_settled *how, char *text, size_t size)
{
    const struct rpi_registry *registry = master->config.registry;
    const char *name = how->function < registry->count ? registry->names[how->function] : "?";
    char place[RPI_NAME_MAX + 64] = "", what[64] = "was cancelled";
    if (how->at_worker)
        (void)snprintf(place, sizeof place, " on worker %d (%s)", how->worker, master->roster.seats[how->worker].host);
    else if (how->status == RP_ERR_CANCELLED)
        (void)snprintf(place, sizeof place, " before it started");
    if (how->status == RP_ERR_DEADLINE)
        (void)snprintf(what, sizeof what, "overran its time limit");
    else if (how->status == RP_ERR_INPUT)
        (void)snprintf(what, sizeof what, "was not run, a task before it failed");
    else if (how->status != RP_ERR_CANCELLED)
        (void)snprintf(what, sizeof what, "failed");
    int length = snprintf(text, size, "task %s (number %llu) %s%s", name, (unsigned long long)number, what, place);
    size_t used = (size_t)length < size ? (size_t)length : size - 1;
    if (how->status == RP_ERR_TASK)
        length = snprintf(text + used, size - used, " with code %d", how->code);
    else
        length = 0;
    used = (size_t)length < size - used ? used + (size_t)length : size - 1;
    if (how->message[0])
        (void)snprintf(text + used, size - used, ": %s", how->message);
    return strlen(text);
}

static struct rpi_failure *describe(struct rpi_master *master, uint64_t number, const struct rpi_settled *how)
{
    char text[RPI_MESSAGE_MAX + 512];
    size_t length = tell(master, number, how, text, sizeof text);
    struct rpi_failure *failure = rpi_reserve(&master->config.alloc, sizeof *failure + length + 1);
    if (!failure)
        return NULL;
    failure->code = how->code;
    memcpy(failure->message, text, length + 1);
    return failure;
}

rp_status rpi_settle_failure(struct rpi_master *master, uint64_t id, struct rpi_future *future,
                             const struct rpi_settled *how)
{
    const struct rpi_options *options = rpi_options_at(&master->options, future->options);
    if ((how->status == RP_ERR_TASK || how->status == RP_ERR_DEADLINE) && !master->dropped &&
        future->pending.retried < options->retries)
        return queue_again(master, id, future, how->ran);
    struct rpi_failure *failure = describe(master, future->pending.number, how);
    if (!failure)
        return rpi_no_memory("a failure's message");
    if (future->flags & RPI_FUTURE_DETACHED)
        rpi_say(master->config.log, RP_LOG_ERROR, "a detached task failed: %s", failure->message);
    become_done(master, future, how);
    future->done.size = 0;
    future->done.data = failure;
    if (how->status == RP_ERR_CANCELLED)
        master->counts.cancelled++;
    else
        master->counts.failed++;
    rpi_settle_end(master, id, future);
    return RP_OK;
}

/* ---- what comes from workers */

static rp_status settle_frame(struct rpi_master *master, const struct rpi_frame *frame, struct rpi_future *future,
                              const uint8_t *payload, const struct rpi_settled *how)
{
    char message[RPI_MESSAGE_MAX + 1];
    if (future->flags & RPI_FUTURE_CHUNK) {
        uint32_t batch = future->pending.batch;
        rp_status status = rpi_map_chunk_done(master, frame, future, payload, how->worker);
        if (status == RP_OK)
            leave_batch(master, batch, how->ran);
        return status;
    }
    if (!(frame->flags & RPI_FRAME_FAILED))
        return settle_result(master, frame->id, future, payload, frame->length, how);
    struct rpi_settled failed = *how;
    failed.message = message;
    rp_status status = rpi_failure_get(payload, frame->length, &failed.status, &failed.code, message);
    return status == RP_OK ? rpi_settle_failure(master, frame->id, future, &failed) : status;
}

/* A large result: its buffer waits for it, and its future stays as it is. */
static rp_status announce(struct rpi_master *master, const struct rpi_frame *frame, struct rpi_future *future,
                          const struct rpi_settled *how)
{
    struct rpi_arrival *arrival = rpi_reserve(&master->config.alloc, sizeof *arrival);
    void *buffer = arrival ? rpi_buffer_new(&master->config.alloc, frame->length) : NULL;
    if (!buffer) {
        rpi_free(&master->config.alloc, arrival);
        return rpi_no_memory("a large result");
    }
    *arrival = (struct rpi_arrival){ .peer = how->worker, .size = frame->length, .buffer = buffer, .frame = *frame };
    rpi_list_append(&master->incoming, &arrival->link);
    future->flags |= RPI_FUTURE_ARRIVING;
    return RP_OK;
}

/* A result counts only for the attempt that is under way at that worker, and once. */
static struct rpi_future *awaited(const struct rpi_master *master, int worker, const struct rpi_frame *frame)
{
    struct rpi_future *future = rpi_future_of(&master->futures, frame->id);
    if (!future || future->state != RP_SENT || future->attempts != frame->attempt ||
        future->flags & (RPI_FUTURE_ARRIVING | RPI_FUTURE_MAP))
        return NULL;
    return master->batches.table[future->pending.batch]->peer == worker ? future : NULL;
}

/* Times of one function's frames that follow each other are taken together. */
struct run {
    uint16_t function;
    uint64_t tasks;
    double seconds;
};

static void end_run(struct rpi_master *master, const struct run *run, int worker)
{
    struct rpi_settled how = { .worker = worker, .ran = run->seconds };
    if (!run->tasks)
        return;
    measured(master, run->function, run->tasks, run->seconds);
    account(master, &how, run->tasks);
}

static void extend_run(struct rpi_master *master, struct run *run, const struct rpi_frame *frame, uint64_t tasks,
                       double ran, int worker)
{
    if (run->function != frame->function) {
        end_run(master, run, worker);
        *run = (struct run){ .function = frame->function };
    }
    run->tasks += tasks;
    run->seconds += ran;
}

/* What becomes of a task's children with its result; a large result's only when it is there. */
static rp_status children(struct rpi_master *master, const struct rpi_frame *frame, const struct rpi_future *future,
                          int worker)
{
    if (rpi_list_empty(&master->roster.seats[worker].held) ||
        (frame->flags & RPI_FRAME_LARGE && !(future->flags & RPI_FUTURE_ARRIVING)))
        return RP_OK;
    if (!(frame->flags & RPI_FRAME_FAILED))
        return rpi_spawned_commit(master, worker, frame->id, future);
    rpi_spawned_drop(master, worker, frame->id);
    return RP_OK;
}

/* A cancelled task's time, if it ran at all, is not its function's. */
static bool is_measure(const struct rpi_frame *frame, const struct rpi_future *future)
{
    if (future->flags & RPI_FUTURE_CHUNK)
        return !future->pending.map->stopped;
    return !(frame->flags & RPI_FRAME_FAILED) || frame->flags & RPI_FRAME_LARGE || frame->length < 4 ||
           rpi_get32(frame->payload) != RP_ERR_CANCELLED;
}

static rp_status take_frame(struct rpi_master *master, const struct rpi_frame *frame, struct rpi_settled *how,
                            struct run *run)
{
    struct rpi_future *future = awaited(master, how->worker, frame);
    if (!future)
        return RP_OK;
    if (frame->function >= master->config.registry->count)
        return rpi_reader_bad("its function has no such number");
    uint64_t tasks = future->flags & RPI_FUTURE_CHUNK ? future->pending.items : 1;
    bool measure = is_measure(frame, future);
    how->function = frame->function;
    rp_status status = children(master, frame, future, how->worker);
    if (status != RP_OK)
        return status;
    status = frame->flags & RPI_FRAME_LARGE ? announce(master, frame, future, how)
                                            : settle_frame(master, frame, future, frame->payload, how);
    if (status == RP_OK && measure)
        extend_run(master, run, frame, tasks, how->ran, how->worker);
    else if (status == RP_OK)
        account(master, how, tasks);
    return status;
}

rp_status rpi_master_receive(struct rpi_master *master, int worker, const void *data, size_t size, double now)
{
    struct rpi_reader reader;
    struct run run = { 0 };
    rp_status status = rpi_reader_open(&reader, data, size);
    if (status != RP_OK)
        return status;
    if (reader.kind == RPI_SHARE)
        return rpi_sharing_receive(master, worker, &reader);
    if (reader.kind != RPI_RESULTS)
        return rpi_reader_bad("a worker sends results only");
    double mean = 1e-9 * (double)reader.word;
    master->now = now;
    master->counts.messages_in++;
    master->counts.bytes_in += size;
    while (reader.left && status == RP_OK) {
        struct rpi_frame frame = { 0 };
        struct rpi_settled how = { .status = RP_OK, .worker = worker, .at_worker = true, .message = "" };
        const uint8_t *from = reader.at;
        status = rpi_reader_frame(&reader, &frame);
        if (status != RP_OK)
            break;
        how.ran = frame.flags & RPI_FRAME_RAN ? 1e-9 * (double)frame.ran : mean;
        if (frame.flags & RPI_FRAME_SPAWNED)
            status = awaited(master, worker, &frame) ? rpi_spawned_hold(master, worker, &frame, from, reader.at) : RP_OK;
        else
            status = take_frame(master, &frame, &how, &run);
    }
    end_run(master, &run, worker);
    return status;
}

rp_status rpi_master_arrived(struct rpi_master *master, struct rpi_arrival *arrival, double now)
{
    const struct rpi_frame *frame = &arrival->frame;
    struct rpi_future *future = rpi_future_of(&master->futures, frame->id);
    struct rpi_settled how = { .worker = arrival->peer, .at_worker = true, .message = "", .function = frame->function };
    how.ran = frame->flags & RPI_FRAME_RAN ? 1e-9 * (double)frame->ran : 0;
    master->now = now;
    master->counts.bytes_in += arrival->size;
    if (!future || !(future->flags & RPI_FUTURE_ARRIVING))
        goto drop; /* nobody waits for it any more */
    rp_status status = children(master, frame, future, arrival->peer);
    if (status != RP_OK)
        return status;
    if (!(future->flags & RPI_FUTURE_CHUNK) && !(frame->flags & RPI_FRAME_FAILED)) {
        rpi_settle_buffer(master, frame->id, future, arrival->buffer, (uint32_t)arrival->size, &how);
        arrival->buffer = NULL; /* the future has it */
    } else {
        status = settle_frame(master, frame, future, arrival->buffer, &how);
        if (status != RP_OK)
            return status;
    }
drop:
    rpi_list_remove(&arrival->link);
    rpi_buffer_free(arrival->buffer);
    rpi_free(&master->config.alloc, arrival);
    return RP_OK;
}
