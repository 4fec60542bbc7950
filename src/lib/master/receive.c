/* What comes from workers: batches of results, and large results by themselves. */
#include "master/inflight.h"
#include "master/map.h"
#include "master/master.h"
#include "master/rebalance.h"
#include "master/retry.h"
#include "master/settle.h"
#include "master/shared.h"
#include "master/subtasks.h"
#include "tables/completions.h"

#define MEAN_SAMPLES 32 /* a function's mean follows about this many of its last tasks */
#define PLAIN_FRAME  (RPI_FRAME_HEADER + RPI_SMALL_RESULT) /* bytes of a plain result */

/* ---- measured times */

static void measured(struct rpi_master *master, uint16_t function, uint64_t tasks, double seconds)
{
    struct rpi_function_time *time = &master->timing.functions[function];
    double sample = seconds / (double)tasks;
    time->samples += tasks;
    if (time->mean < 0)
        time->mean = sample;
    else
        time->mean += (sample - time->mean) * (double)tasks /
                      (double)(tasks +
                               (time->samples < MEAN_SAMPLES ? time->samples : MEAN_SAMPLES));
}

static void account(struct rpi_master *master, const struct rpi_settled *how, uint64_t tasks)
{
    struct rpi_seat *seat = &master->roster.seats[how->worker];
    seat->done += tasks;
    seat->busy += how->ran;
    master->counts.busy += how->ran;
}

/* ---- plain results: the fast path of nearly every task, with the effects of the general one */

/* Where the results of tasks with these options go; NULL: not to a stream alone. */
struct way {
    uint32_t options;
    struct rpi_completions *completions;
};

static bool find_way(const struct rpi_master *master, uint32_t number, struct way *way)
{
    const struct rpi_options *options = rpi_options_at(&master->options, number);
    bool alone = !options->on_done && !options->dependent && !options->keyed && !options->epoch;
    *way = (struct way){ .options = number, .completions = alone ? options->completions : NULL };
    return way->completions;
}

/* Nothing but the application waits for it, or nothing but a stream. */
static bool is_simple(const struct rpi_master *master, const struct rpi_future *future,
                      struct way *way)
{
    const unsigned streamed = RPI_FUTURE_STREAMED | RPI_FUTURE_RELEASED;
    if (!future->options)
        return !future->flags;
    return (future->flags & ~(unsigned)RPI_FUTURE_SPAWNED) == streamed &&
           (future->options == way->options ? way->completions != NULL
                                            : find_way(master, future->options, way));
}

static void end_plain(struct rpi_future *future, double now, double ran, int worker,
                      const uint8_t *result)
{
    double queued = now - future->pending.submitted - ran;
    uint32_t depth = future->pending.depth;
    future->state = RP_DONE;
    future->status = RP_OK;
    memcpy(future->done.small, result, RPI_SMALL_RESULT);
    future->done.size = RPI_SMALL_RESULT;
    future->done.worker = (uint32_t)worker;
    if (future->flags & RPI_FUTURE_SPAWNED)
        future->done.depth = depth;
    else
        future->done.queued = (float)(queued > 0 ? queued : 0);
    future->done.ran = (float)ran;
}

static void tell_stream(struct rpi_master *master, uint64_t id, struct rpi_future *future,
                        struct rpi_completions *completions)
{
    rpi_options_release(&master->options, future->options);
    future->options = 0;
    if (completions && !completions->ordered)
        rpi_idqueue_push(&completions->ready, id);
}

/* Settles the reader's next results as long as they are plain and of one function; returns how
 * many.  Each ran for `ran` seconds, which the caller must count. */
static uint32_t settle_plain(struct rpi_master *master, int worker, struct rpi_reader *reader,
                             double ran, uint16_t *function)
{
    struct way way = { 0 };
    const uint8_t *at = reader->at;
    uint32_t most = (uint32_t)(reader->end - at) / PLAIN_FRAME, count = 0, leaving = 0, batch = 0;
    if (most > reader->left)
        most = reader->left;
    if (!most || master->deps.count || master->attempts.count ||
        !rpi_list_empty(&master->roster.seats[worker].held))
        return 0;
    const uint64_t alike = rpi_get64(at + 8); /* function, attempt, flags, length */
    if (alike >> 24 != (uint64_t)RPI_SMALL_RESULT << 8 ||
        (uint16_t)alike >= master->config.registry->count)
        return 0;
    for (; count < most && rpi_get64(at + 8) == alike; count++, at += PLAIN_FRAME) {
        uint64_t id = rpi_get64(at);
        struct rpi_future *future = rpi_future_of(&master->futures, id);
        if (!rpi_inflight_is_sent(future, (uint8_t)(alike >> 16)) ||
            !is_simple(master, future, &way))
            break;
        if (!leaving || future->pending.batch != batch) {
            if (master->batches.table[future->pending.batch]->peer != worker)
                break;
            if (leaving)
                rpi_inflight_leave(master, batch, leaving, ran * leaving);
            batch = future->pending.batch;
            leaving = 0;
        }
        leaving++;
        end_plain(future, master->now, ran, worker, at + RPI_FRAME_HEADER);
        if (future->options)
            tell_stream(master, id, future, way.completions);
    }
    if (leaving)
        rpi_inflight_leave(master, batch, leaving, ran * leaving);
    master->unsettled -= count;
    master->counts.done += count;
    reader->at = at;
    reader->left = (uint16_t)(reader->left - count);
    reader->next += count;
    *function = (uint16_t)alike;
    return count;
}

/* ---- results */

static rp_status settle_frame(struct rpi_master *master, const struct rpi_frame *frame,
                              struct rpi_future *future, const uint8_t *payload,
                              const struct rpi_settled *how)
{
    char message[RPI_MESSAGE_MAX + 1];
    if (future->flags & RPI_FUTURE_CHUNK) {
        uint32_t batch = future->pending.batch;
        rp_status status = rpi_map_chunk_done(master, frame, future, payload, how->worker);
        if (status == RP_OK)
            rpi_inflight_leave(master, batch, 1, how->ran);
        return status;
    }
    if (!(frame->flags & RPI_FRAME_FAILED))
        return rpi_settle_result(master, frame->id, future, payload, frame->length, how);
    struct rpi_settled failed = *how;
    failed.message = message;
    rp_status status = rpi_failure_get(payload, frame->length, &failed.status, &failed.code,
                                       message);
    return status == RP_OK ? rpi_retry_or_fail(master, frame->id, future, &failed) : status;
}

/* Provides a buffer for a large result; its future stays as it is. */
static rp_status announce(struct rpi_master *master, const struct rpi_frame *frame,
                          struct rpi_future *future, int worker)
{
    rp_status status = future->flags & RPI_FUTURE_CHUNK ? rpi_map_check(frame, future) : RP_OK;
    if (status == RP_OK)
        status = rpi_inflight_announce(master, frame, worker);
    if (status == RP_OK)
        future->flags |= RPI_FUTURE_ARRIVING;
    return status;
}

/* A result of a task that the worker does not have: RP_OK for a duplicate, else RP_ERR_BROKEN. */
static rp_status strange(const struct rpi_master *master, int worker)
{
    if (master->roster.seats[worker].again)
        return RP_OK; /* it was taken the first time; memory ran out later in the batch */
    return rpi_reader_bad("a result is of a task that this worker does not have");
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

static void extend_run(struct rpi_master *master, struct run *run, const struct rpi_frame *frame,
                       uint64_t tasks, double ran, int worker)
{
    if (run->function != frame->function) {
        end_run(master, run, worker);
        *run = (struct run){ .function = frame->function };
    }
    run->tasks += tasks;
    run->seconds += ran;
}

/* Settles a result in a batch, of a task that may have spawned others; on success it queues these,
 * once nothing more can fail. */
static rp_status settle_parent(struct rpi_master *master, const struct rpi_frame *frame,
                               struct rpi_future *future, const struct rpi_settled *how)
{
    void *buffer = NULL;
    if (frame->flags & RPI_FRAME_FAILED) {
        rpi_subtasks_drop(master, how->worker, frame);
        return settle_frame(master, frame, future, frame->payload, how);
    }
    rp_status status = rpi_settle_room(master, frame->payload, frame->length, &buffer);
    if (status == RP_OK)
        status = rpi_subtasks_commit(master, how->worker, frame, future);
    if (status != RP_OK) {
        rpi_buffer_free(buffer);
        return status;
    }
    if (buffer)
        rpi_settle_buffer(master, frame->id, future, buffer, frame->length, how);
    else
        rpi_settle_small(master, frame->id, future, frame->payload, frame->length, how);
    return RP_OK;
}

static rp_status settle_here(struct rpi_master *master, const struct rpi_frame *frame,
                             struct rpi_future *future, const struct rpi_settled *how)
{
    if (rpi_list_empty(&master->roster.seats[how->worker].held) || future->flags & RPI_FUTURE_CHUNK)
        return settle_frame(master, frame, future, frame->payload, how);
    return settle_parent(master, frame, future, how);
}

/* Whether its time counts for its function: a cancelled task's does not, if it ran at all. */
static bool is_measure(const struct rpi_frame *frame, const struct rpi_future *future)
{
    if (future->flags & RPI_FUTURE_CHUNK)
        return !future->pending.map->stopped;
    return !(frame->flags & RPI_FRAME_FAILED) || frame->flags & RPI_FRAME_LARGE ||
           frame->length < 4 || rpi_get32(frame->payload) != RP_ERR_CANCELLED;
}

/* Rejects frames that no sound worker writes. */
static rp_status check_frame(const struct rpi_master *master, const struct rpi_frame *frame)
{
    const unsigned known = RPI_FRAME_LARGE | RPI_FRAME_RAN | RPI_FRAME_CHUNK | RPI_FRAME_FAILED;
    bool large = frame->flags & RPI_FRAME_LARGE;
    if (frame->function >= master->config.registry->count)
        return rpi_reader_bad("its function has no such number");
    if (frame->flags & ~known)
        return rpi_reader_bad("a result has flags that no result has");
    if (large && (frame->flags & RPI_FRAME_FAILED ||
                  frame->length <= rpi_wire_inline_limit(master->config.batch_limit)))
        return rpi_reader_bad("a result is announced as large, but is not");
    return RP_OK;
}

static rp_status take_frame(struct rpi_master *master, const struct rpi_frame *frame,
                            struct rpi_settled *how, struct run *run)
{
    struct rpi_future *future = rpi_inflight_awaited(master, how->worker, frame);
    rp_status sound = check_frame(master, frame);
    if (sound != RP_OK)
        return sound;
    if (!future)
        return strange(master, how->worker);
    if ((frame->flags & RPI_FRAME_CHUNK) && !(future->flags & RPI_FUTURE_CHUNK))
        return rpi_reader_bad("a task is answered as a chunk of a map");
    uint64_t tasks = future->flags & RPI_FUTURE_CHUNK ? future->pending.items : 1;
    bool measure = is_measure(frame, future);
    how->function = frame->function;
    rp_status status = frame->flags & RPI_FRAME_LARGE ? announce(master, frame, future, how->worker)
                                                      : settle_here(master, frame, future, how);
    if (status == RP_OK && measure)
        extend_run(master, run, frame, tasks, how->ran, how->worker);
    else if (status == RP_OK)
        account(master, how, tasks);
    return status;
}

rp_status rpi_master_receive(struct rpi_master *master, int worker, const void *data, size_t size,
                             double now)
{
    struct rpi_reader reader;
    struct run run = { 0 };
    rp_status status = rpi_reader_open(&reader, data, size);
    if (status != RP_OK || master->roster.seats[worker].lost)
        return status; /* a lost worker is not heard any more */
    if (reader.kind == RPI_SHARE)
        return rpi_shared_receive(master, worker, &reader);
    if (reader.kind != RPI_RESULTS && reader.kind != RPI_RETURNED)
        return rpi_reader_bad("a worker sends results only");
    double mean = 1e-9 * (double)reader.word;
    master->now = now;
    master->counts.messages_in++;
    master->counts.bytes_in += size;
    if (reader.kind == RPI_RETURNED)
        return rpi_rebalance_returned(master, worker, &reader);
    if (reader.left)
        rpi_roster_heard(&master->roster, worker);
    while (reader.left && status == RP_OK) {
        struct rpi_frame frame = { 0 };
        struct rpi_settled how = {
            .status = RP_OK, .worker = worker, .at_worker = true, .message = ""
        };
        uint32_t taken = settle_plain(master, worker, &reader, mean, &frame.function);
        if (taken)
            extend_run(master, &run, &frame, taken, mean * taken, worker);
        if (!reader.left)
            break;
        const uint8_t *from = reader.at;
        status = rpi_reader_frame(&reader, &frame);
        if (status != RP_OK)
            break;
        how.ran = frame.flags & RPI_FRAME_RAN ? 1e-9 * (double)frame.ran : mean;
        if (frame.flags & RPI_FRAME_SPAWNED)
            status = rpi_inflight_awaited(master, worker, &frame)
                         ? rpi_subtasks_hold(master, worker, &frame, from, reader.at)
                         : strange(master, worker);
        else
            status = take_frame(master, &frame, &how, &run);
    }
    end_run(master, &run, worker);
    master->roster.seats[worker].again = status == RP_ERR_NOMEM;
    if (status == RP_OK && reader.at != reader.end)
        return rpi_reader_bad("there is something after its frames");
    return status;
}

rp_status rpi_master_arrived(struct rpi_master *master, struct rpi_arrival *arrival, double now)
{
    const struct rpi_frame *frame = &arrival->frame;
    struct rpi_future *future = rpi_future_of(&master->futures, frame->id);
    struct rpi_settled how = {
        .worker = arrival->peer, .at_worker = true, .message = "", .function = frame->function
    };
    how.ran = frame->flags & RPI_FRAME_RAN ? 1e-9 * (double)frame->ran : 0;
    master->now = now;
    master->counts.bytes_in += arrival->size;
    if (!future || !(future->flags & RPI_FUTURE_ARRIVING) ||
        !rpi_inflight_is_at(master, future, arrival->peer, frame->attempt))
        goto drop; /* its task no longer waits for it */
    if (!(future->flags & RPI_FUTURE_CHUNK) && !(frame->flags & RPI_FRAME_FAILED)) {
        rp_status status = rpi_subtasks_commit(master, arrival->peer, frame, future);
        if (status != RP_OK)
            return status;
        rpi_settle_buffer(master, frame->id, future, arrival->buffer, (uint32_t)arrival->size,
                          &how);
        arrival->buffer = NULL; /* the future has it */
    } else {
        rp_status status = settle_frame(master, frame, future, arrival->buffer, &how);
        if (status != RP_OK)
            return status;
    }
drop:
    rpi_inflight_drop_arrival(master, arrival);
    return RP_OK;
}
