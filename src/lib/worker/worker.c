#include "worker/worker.h"

#include "base/status.h"
#include "worker/inbox.h"
#include "worker/shared_fetch.h"

void rpi_worker_init(struct rpi_worker *worker, const struct rpi_worker_config *config)
{
    *worker = (struct rpi_worker){ .config = *config };
    rpi_batches_init(&worker->batches, &config->alloc, config->batch_limit);
    rpi_list_init(&worker->inbox);
    rpi_list_init(&worker->outgoing);
    rpi_list_init(&worker->incoming);
    rpi_list_init(&worker->arriving);
    rpi_inputs_init(&worker->inputs, &config->alloc);
    rpi_list_init(&worker->filling);
    rpi_shared_cache_init(&worker->shared_cache, &config->alloc);
}

static void drop_arrival(struct rpi_worker *worker, struct rpi_arrival *arrival)
{
    rpi_list_remove(&arrival->link);
    if (arrival->outcome)
        return; /* it is the inputs' own */
    if (!arrival->datum)
        rpi_buffer_free(arrival->buffer);
    rpi_free(&worker->config.alloc, arrival);
}

static void drop_list(struct rpi_worker *worker, struct rpi_link *list)
{
    for (struct rpi_link *link; (link = rpi_list_first(list));)
        drop_arrival(worker, RPI_MEMBER(link, struct rpi_arrival, link));
}

void rpi_worker_fini(struct rpi_worker *worker)
{
    drop_list(worker, &worker->incoming);
    drop_list(worker, &worker->arriving);
    drop_list(worker, &worker->filling);
    rpi_shared_cache_fini(&worker->shared_cache);
    if (worker->current)
        drop_arrival(worker, worker->current);
    rpi_inputs_fini(&worker->inputs);
    rpi_batches_fini(&worker->batches);
}

/* ---- in */

/* Moves the reader past tasks that are nothing but a function and an argument in the batch; at the
 * first that is not so, or is damaged, it stays. */
static void pass_plain(const struct rpi_worker *worker, struct rpi_reader *reader)
{
    const uint8_t *at = reader->at;
    for (; reader->left && reader->end - at >= RPI_FRAME_HEADER; reader->left--) {
        uint32_t length = rpi_get32(at + 12);
        if (at[11] & ~RPI_FRAME_MAY_SPAWN || !at[10] ||
            rpi_get16(at + 8) >= worker->config.functions || length > RPI_BATCH_MAX ||
            (size_t)(reader->end - at) < rpi_frame_size(0, length))
            break;
        at += rpi_frame_size(0, length);
    }
    reader->at = at;
}

/* Makes room for the large arguments that the batch announces, all or none. */
static rp_status expect_pieces(struct rpi_worker *worker, const struct rpi_batch *batch,
                               struct rpi_link *arrivals)
{
    struct rpi_reader reader;
    rp_status status = rpi_reader_open(&reader, batch->bytes, batch->size);
    while (status == RP_OK) {
        struct rpi_frame frame;
        pass_plain(worker, &reader);
        if (!reader.left)
            break;
        status = rpi_reader_frame(&reader, &frame);
        if (status == RP_OK && frame.function >= worker->config.functions)
            status = rpi_reader_bad("its function has no such number");
        if (status == RP_OK && frame.attempt == 0)
            status = rpi_reader_bad(
                "its attempt has no number"); /* rpi_inbox_give_back marks frames so */
        if (status == RP_OK && frame.flags & RPI_FRAME_CHUNK &&
            frame.length != (uint64_t)frame.chunk.count * frame.chunk.in_size)
            status = rpi_reader_bad("a chunk has another size than its items");
        if (status == RP_OK && frame.flags & RPI_FRAME_CHUNK && frame.chunk.count == 0)
            status = rpi_reader_bad(
                "a chunk has no items"); /* whoever runs it would wait for its limit */
        if (status != RP_OK || !(frame.flags & RPI_FRAME_LARGE))
            continue;
        struct rpi_arrival *arrival = rpi_zeroed(&worker->config.alloc, sizeof *arrival);
        if (!arrival)
            return rpi_no_memory("a large argument");
        arrival->size = frame.length;
        arrival->buffer = rpi_buffer_new(&worker->config.alloc, frame.length);
        rpi_list_append(arrivals, &arrival->link);
        if (!arrival->buffer)
            return rpi_no_memory("a large argument");
    }
    return status;
}

/* A running task's argument lies in the first batch, which stays until the task is done. */
static void drop_inbox(struct rpi_worker *worker)
{
    struct rpi_link *kept = worker->busy || worker->ahead ? rpi_list_first(&worker->inbox) : NULL;
    if (kept)
        worker->reader.left = worker->ahead;
    else
        worker->reading = false;
    for (struct rpi_link *link; (link = worker->inbox.previous) != &worker->inbox && link != kept;)
        rpi_batch_put(&worker->batches, RPI_MEMBER(link, struct rpi_batch, link));
}

static rp_status take_inputs(struct rpi_worker *worker, struct rpi_reader *reader)
{
    rp_status status = RP_OK;
    while (reader->left && status == RP_OK) {
        struct rpi_frame frame = { 0 };
        struct rpi_arrival *arrival = NULL;
        status = rpi_reader_frame(reader, &frame);
        if (status == RP_OK)
            status = rpi_inputs_take(&worker->inputs, &frame, &arrival);
        if (status == RP_OK && arrival) {
            rpi_list_append(&worker->incoming, &arrival->link);
            worker->inputs_coming++;
        }
    }
    return status;
}

static rp_status take_share(struct rpi_worker *worker, const struct rpi_reader *reader,
                            const void *data, size_t size)
{
    struct rpi_share_message message;
    rp_status status = rpi_share_get(reader, &message);
    if (status != RP_OK || !rpi_shared_fetch_in_order(&message))
        return status == RP_OK ? rpi_shared_fetch_receive(worker, &message) : status;
    struct rpi_batch *batch = rpi_batch_get(&worker->batches);
    if (!batch)
        return rpi_no_memory("a message about shared data");
    memcpy(batch->bytes, data,
           size); /* its size is checked: RPI_SHARE_MOST, which every batch has */
    batch->size = (uint32_t)size;
    rpi_list_append(&worker->inbox, &batch->link);
    return RP_OK;
}

rp_status rpi_worker_receive(struct rpi_worker *worker, const void *data, size_t size)
{
    struct rpi_reader reader;
    struct rpi_link arrivals;
    rpi_list_init(&arrivals);
    rp_status status = rpi_reader_open(&reader, data, size);
    if (status != RP_OK)
        return status;
    if (reader.kind == RPI_STOP) {
        worker->stopping = true;
        worker->alone = reader.word & RPI_STOP_ALONE;
        if (reader.word & RPI_STOP_DROP) {
            drop_inbox(worker);
            atomic_store_explicit(&worker->cancel, worker->busy, memory_order_relaxed);
        }
        return RP_OK;
    }
    if (reader.kind == RPI_CANCEL)
        return rpi_inbox_cancel(worker, &reader);
    if (reader.kind == RPI_RECALL)
        return rpi_inbox_give_back(worker);
    if (reader.kind == RPI_INPUT)
        return take_inputs(worker, &reader);
    if (reader.kind == RPI_SHARE)
        return take_share(worker, &reader, data, size);
    if (reader.kind != RPI_TASKS || size > worker->config.batch_limit)
        return rpi_reader_bad("rank 0 sends tasks only, in batches of the agreed size");
    struct rpi_batch *batch = rpi_batch_get(&worker->batches);
    if (!batch)
        return rpi_no_memory("a batch of tasks");
    memcpy(batch->bytes, data, size);
    batch->size = (uint32_t)size;
    status = expect_pieces(worker, batch, &arrivals);
    if (status != RP_OK) {
        drop_list(worker, &arrivals);
        rpi_batch_put(&worker->batches, batch);
        return status;
    }
    for (struct rpi_link *link; (link = rpi_list_pop(&arrivals));)
        rpi_list_append(&worker->incoming, link);
    rpi_list_append(&worker->inbox, &batch->link);
    return RP_OK;
}

struct rpi_arrival *rpi_worker_incoming(struct rpi_worker *worker)
{
    struct rpi_link *link = rpi_list_pop(&worker->incoming);
    if (!link)
        return NULL;
    struct rpi_arrival *arrival = RPI_MEMBER(link, struct rpi_arrival, link);
    if (!arrival->outcome)
        rpi_list_append(arrival->datum ? &worker->filling : &worker->arriving, link);
    return arrival;
}

void rpi_worker_arrived(struct rpi_worker *worker, struct rpi_arrival *arrival)
{
    arrival->complete = true;
    if (arrival->outcome)
        worker->inputs_coming--;
    if (arrival->datum) {
        rpi_shared_fetch_arrived(worker, arrival->datum);
        drop_arrival(worker, arrival);
    }
}

/* ---- tasks */

static bool have_room(struct rpi_worker *worker)
{
    if (!worker->out) {
        worker->out = rpi_batch_get(&worker->batches);
        if (!worker->out)
            return false;
        rpi_writer_open(&worker->writer, worker->out->bytes, worker->config.batch_limit);
    }
    if (!worker->spare)
        worker->spare = rpi_batch_get(&worker->batches);
    return worker->spare;
}

static bool apply_share(struct rpi_worker *worker)
{
    struct rpi_share_message message;
    worker->starved = rpi_share_get(&worker->reader, &message) == RP_OK &&
                      !rpi_shared_fetch_apply(worker, &message);
    return !worker->starved;
}

/* The inbox's first batch that has a task left, opened. */
static struct rpi_batch *open_inbox(struct rpi_worker *worker)
{
    for (struct rpi_link *link; (link = rpi_list_first(&worker->inbox));) {
        struct rpi_batch *batch = RPI_MEMBER(link, struct rpi_batch, link);
        if (!worker->reading &&
            rpi_reader_open(&worker->reader, batch->bytes, batch->size) == RP_OK)
            worker->reading = true;
        if (worker->reading && worker->reader.kind == RPI_SHARE && !apply_share(worker))
            return NULL;
        if (worker->reading && rpi_inbox_skip(&worker->reader))
            return batch;
        worker->reading = false;
        rpi_batch_put(&worker->batches, batch);
    }
    return NULL;
}

static void describe(struct rpi_task *task, const struct rpi_frame *frame, uint64_t epoch)
{
    task->id = frame->id;
    task->epoch = epoch;
    task->number = frame->number;
    task->function = frame->function;
    task->attempt = frame->attempt;
    task->is_chunk = frame->flags & RPI_FRAME_CHUNK;
    if (task->is_chunk)
        task->chunk = frame->chunk;
    task->may_spawn = frame->flags & RPI_FRAME_MAY_SPAWN;
    task->cancelled = frame->flags & RPI_FRAME_CANCELLED;
    task->limit = frame->flags & RPI_FRAME_RAN ? 1e-9 * (double)frame->ran : 0;
    task->arg = frame->payload;
    task->size = task->is_chunk ? (size_t)frame->chunk.count * frame->chunk.in_size
                                : frame->length; /* it may have been cut */
}

uint32_t rpi_worker_follow(const struct rpi_worker *worker, struct rpi_task *tasks, uint32_t most)
{
    struct rpi_reader reader = worker->reader;
    uint32_t count = 0;
    if (reader.epoch != worker->shared_cache.ready || worker->inputs.list_count)
        return 0;
    for (; count < most && reader.left && !rpi_inbox_has_left(reader.at); count++) {
        struct rpi_frame frame = { 0 };
        if (rpi_reader_frame(&reader, &frame) != RP_OK ||
            frame.flags & (RPI_FRAME_LARGE | RPI_FRAME_CHUNK | RPI_FRAME_CANCELLED))
            break;
        tasks[count] = (struct rpi_task){ 0 };
        describe(&tasks[count], &frame, reader.epoch);
    }
    return count;
}

bool rpi_worker_next(struct rpi_worker *worker, struct rpi_task *task)
{
    struct rpi_frame frame = { 0 };
    worker->starved = false;
    if (!open_inbox(worker))
        return false;
    worker->starved = !have_room(worker);
    if (worker->starved)
        return false;
    struct rpi_reader reader = worker->reader;
    if (rpi_reader_frame(&reader, &frame) != RP_OK)
        return false; /* cannot be: it was read through when it came */
    task->missing = NULL;
    if (reader.epoch != worker->shared_cache.ready && !(frame.flags & RPI_FRAME_CANCELLED) &&
        !rpi_shared_fetch_ready(worker, reader.epoch, &task->missing))
        return false;
    if (!rpi_inputs_for(&worker->inputs, frame.id, &task->inputs, &task->input_count))
        return false;
    describe(task, &frame, reader.epoch);
    if (frame.flags & RPI_FRAME_LARGE) {
        struct rpi_link *link = rpi_list_first(&worker->arriving);
        struct rpi_arrival *arrival = link ? RPI_MEMBER(link, struct rpi_arrival, link) : NULL;
        if (!arrival || !arrival->complete)
            return false;
        rpi_list_remove(link);
        worker->current = arrival;
        task->arg = arrival->buffer;
    }
    worker->reader = reader;
    rpi_worker_begin(worker, task);
    if (task->is_chunk) {
        worker->running.attempt = task->attempt;
        worker->running.chunk = task->chunk;
    }
    return true;
}

/* ---- results */

static size_t payload_size(const struct rpi_result *result)
{
    return result->status == RP_OK ? result->size : rpi_failure_size(strlen(result->message));
}

static uint8_t flags_of(const struct rpi_worker *worker, const struct rpi_result *result)
{
    return payload_size(result) > rpi_wire_inline_limit(worker->config.batch_limit)
               ? RPI_FRAME_LARGE
               : 0;
}

bool rpi_worker_fits(const struct rpi_worker *worker, const struct rpi_result *result)
{
    uint8_t flags = flags_of(worker, result);
    if (flags && worker->out->piece_count == RPI_BATCH_PIECES)
        return false;
    return rpi_writer_fits(&worker->writer, rpi_frame_size(flags | RPI_FRAME_RAN | RPI_FRAME_CHUNK,
                                                           (uint32_t)payload_size(result)));
}

static void put_payload(struct rpi_worker *worker, uint8_t *at, const struct rpi_frame *frame,
                        const struct rpi_result *result)
{
    if (result->status != RP_OK) {
        size_t length = strlen(result->message);
        rpi_failure_put(at, result->status, result->code, result->message, length);
        memset(at + frame->length, 0, rpi_wire_padded(frame->length) - frame->length);
    } else if (frame->flags & RPI_FRAME_LARGE) {
        struct rpi_batch *out = worker->out;
        out->pieces[out->piece_count++] = (struct rpi_piece){ .data = result->data,
                                                              .size = frame->length,
                                                              .owned = result->owned };
    } else {
        rpi_wire_put_payload(at, result->data, frame->length);
        if (result->owned)
            rpi_buffer_free(result->owned);
    }
}

void rpi_worker_done(struct rpi_worker *worker, const struct rpi_task *task,
                     const struct rpi_result *result, double ran)
{
    struct rpi_frame frame = { .id = task->id,
                               .function = task->function,
                               .attempt = task->attempt,
                               .failures = result->failures };
    frame.length = (uint32_t)payload_size(result);
    frame.flags = flags_of(worker, result);
    if (result->status != RP_OK)
        frame.flags |= RPI_FRAME_FAILED;
    if (task->is_chunk) {
        frame.flags |= RPI_FRAME_CHUNK;
        frame.chunk = worker->running.chunk;
    }
    if (ran >= 0) {
        frame.flags |= RPI_FRAME_RAN;
        frame.ran = (uint64_t)(ran * 1e9);
    } else {
        worker->untimed++;
    }
    worker->busy = false;
    if (worker->inputs.list_count)
        rpi_inputs_done(&worker->inputs, task->id);
    uint8_t *at = rpi_writer_frame(&worker->writer, &frame);
    put_payload(worker, at, &frame, result);
    if (worker->current) {
        drop_arrival(worker, worker->current);
        worker->current = NULL;
    }
}

bool rpi_worker_fits_frame(const struct rpi_worker *worker, uint32_t size)
{
    return worker->out && rpi_writer_fits(&worker->writer, size);
}

void rpi_worker_put_frame(struct rpi_worker *worker, const uint8_t *frame, uint32_t size)
{
    memcpy(worker->writer.base + worker->writer.used, frame, size);
    worker->writer.used += size;
    worker->writer.count++;
}

bool rpi_worker_make_room(struct rpi_worker *worker)
{
    return have_room(worker);
}

void rpi_worker_spent(struct rpi_worker *worker, double seconds)
{
    worker->untimed_seconds += seconds;
}

void rpi_worker_flush(struct rpi_worker *worker)
{
    struct rpi_batch *out = worker->out;
    if (!out || worker->writer.count == 0)
        return;
    if (worker->untimed && worker->untimed_seconds > 0)
        worker->usual = worker->untimed_seconds / worker->untimed;
    double mean = worker->untimed ? worker->usual : 0;
    rpi_writer_close(&worker->writer, RPI_RESULTS, (uint64_t)(mean * 1e9));
    out->size = worker->writer.used;
    out->peer = 0;
    out->sends = (uint16_t)(1 + out->piece_count);
    rpi_list_append(&worker->outgoing, &out->link);
    worker->untimed = 0;
    worker->untimed_seconds = 0;
    worker->out = worker->spare;
    worker->spare = NULL;
    if (worker->out)
        rpi_writer_open(&worker->writer, worker->out->bytes, worker->config.batch_limit);
}

struct rpi_batch *rpi_worker_outgoing(struct rpi_worker *worker)
{
    struct rpi_link *link = rpi_list_pop(&worker->outgoing);
    return link ? RPI_MEMBER(link, struct rpi_batch, link) : NULL;
}

void rpi_worker_unsent(struct rpi_worker *worker, struct rpi_batch *batch)
{
    rpi_list_prepend(&worker->outgoing, &batch->link);
}

void rpi_worker_unposted(struct rpi_worker *worker, struct rpi_arrival *arrival)
{
    rpi_list_remove(&arrival->link);
    rpi_list_prepend(&worker->incoming, &arrival->link);
}

void rpi_worker_sent(struct rpi_worker *worker, struct rpi_batch *batch)
{
    if (--batch->sends == 0)
        rpi_batch_put(&worker->batches, batch);
}

bool rpi_worker_finished(const struct rpi_worker *worker)
{
    uint32_t kept = (worker->out ? 1U : 0U) + (worker->spare ? 1U : 0U);
    uint32_t free = 0;
    if (!worker->stopping || worker->inputs_coming || !rpi_list_empty(&worker->inbox) ||
        !rpi_list_empty(&worker->outgoing) || !rpi_list_empty(&worker->incoming) ||
        !rpi_list_empty(&worker->filling))
        return false;
    for (const struct rpi_link *link = worker->arriving.next; link != &worker->arriving;
         link = link->next)
        if (!RPI_MEMBER(link, struct rpi_arrival, link)->complete)
            return false; /* of a task that was dropped: its bytes are still coming */
    for (const struct rpi_link *link = worker->batches.free.next; link != &worker->batches.free;
         link = link->next)
        free++;
    return free + kept == worker->batches.count; /* none is still being sent */
}
