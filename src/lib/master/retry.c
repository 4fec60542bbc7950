#include "master/retry.h"

#include "base/status.h"
#include "master/inflight.h"
#include "master/ready.h"
#include "master/settle.h"

#include <stdio.h>

/* ---- frames of a batch */

bool rpi_retry_retained_open(struct rpi_retry_retained_reader *reader, struct rpi_batch *batch)
{
    *reader = (struct rpi_retry_retained_reader){ .now = { .batch = batch } };
    return rpi_reader_open(&reader->reader, batch->bytes, batch->size) == RP_OK;
}

bool rpi_retry_retained_next(struct rpi_retry_retained_reader *reader)
{
    if (!reader->reader.left || rpi_reader_frame(&reader->reader, &reader->now.frame) != RP_OK)
        return false;
    reader->now.piece = reader->pieces;
    if (reader->now.frame.flags & RPI_FRAME_LARGE)
        reader->pieces++;
    return true;
}

/* Looks on from where the place is, then from the batch's beginning. */
static bool find(struct rpi_retry_retained_reader *place, struct rpi_batch *batch, uint64_t id)
{
    for (int round = 0; round < 2; round++) {
        bool elsewhere = !place->now.batch || place->now.batch != batch;
        if ((elsewhere || round) && !rpi_retry_retained_open(place, batch))
            return false;
        while (rpi_retry_retained_next(place))
            if (place->now.frame.id == id)
                return true;
    }
    return false;
}

/* ---- back into the queue */

/* Gives the queue an argument that travelled as a piece.  While its send is not reported, the batch
 * keeps the bytes. */
static rp_status reuse_piece(struct rpi_master *master, const struct rpi_batch *batch,
                             const struct rpi_piece *piece, struct rpi_entry *entry)
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

static bool was_lost(const struct rpi_master *master, uint64_t id)
{
    const struct rpi_attempt *attempt = rpi_attempts_find(&master->attempts, id);
    return attempt && attempt->times > 0;
}

static void become_queued(struct rpi_future *future)
{
    future->state = RP_QUEUED;
    future->flags &= (uint8_t)~RPI_FUTURE_ARRIVING;
}

static rp_status requeue_task(struct rpi_master *master, const struct rpi_retry_retained *retained,
                              struct rpi_future *future, uint16_t flags)
{
    const struct rpi_frame *frame = &retained->frame;
    const struct rpi_options *options = rpi_options_at(&master->options, future->options);
    struct rpi_piece *piece = frame->flags & RPI_FRAME_LARGE
                                  ? &retained->batch->pieces[retained->piece]
                                  : NULL;
    struct rpi_entry entry = {
        .id = frame->id, .size = frame->length, .function = frame->function, .data = frame->payload
    };
    rp_status status = piece ? reuse_piece(master, retained->batch, piece, &entry) : RP_OK;
    if (status != RP_OK)
        return status;
    bool copied = piece && entry.data != piece->data;
    entry.flags |= flags;
    if (was_lost(master, frame->id))
        entry.flags |= RPI_ENTRY_SOLO;
    status = rpi_ready_enqueue(master, &entry, options, true, future->pending.number);
    if (status != RP_OK) {
        if (copied)
            rpi_buffer_free((void *)(uintptr_t)entry.data);
        return status;
    }
    if (piece && !copied)
        piece->owned = NULL; /* the queue has it now */
    become_queued(future);
    rpi_future_queued(future, entry.function, entry.size);
    return RP_OK;
}

/* Its items are where they were: the application keeps them.  The record by which rpi_map_cancel
 * finds it is made if it has none. */
static rp_status requeue_chunk(struct rpi_master *master, const struct rpi_frame *frame,
                               struct rpi_future *future)
{
    struct rpi_map *map = future->pending.map;
    const struct rpi_options *options = &map->request.options;
    struct rpi_entry entry = {
        .id = frame->id, .function = frame->function, .flags = RPI_ENTRY_CHUNK, .data = map
    };
    const struct rpi_rank rank = {
        .priority = options->priority, .cost = options->cost, .order = map->number, .back = true
    };
    if (!rpi_attempts_of(&master->attempts, frame->id))
        return rpi_no_memory("a map's chunk");
    if (was_lost(master, frame->id))
        entry.flags |= RPI_ENTRY_SOLO;
    rp_status status = rpi_taskq_push(&master->ready.queue, &entry, &rank);
    if (status != RP_OK)
        return status;
    rpi_ready_count(master, &master->ready.queue, future->pending.items,
                    (int64_t)future->pending.items * map->request.in_size);
    become_queued(future);
    future->pending.function = entry.function;
    return RP_OK;
}

rp_status rpi_retry(struct rpi_master *master, const struct rpi_retry_retained *retained,
                    struct rpi_future *future, uint16_t flags)
{
    return future->flags & RPI_FUTURE_CHUNK ? requeue_chunk(master, &retained->frame, future)
                                            : requeue_task(master, retained, future, flags);
}

rp_status rpi_retry_at(struct rpi_master *master, uint64_t id, struct rpi_future *future,
                       double ran, uint16_t flags, struct rpi_retry_retained_reader *place)
{
    uint32_t batch = future->pending.batch;
    if (!find(place, master->batches.table[batch], id))
        return rpi_reader_bad("it answers a task that its batch has not");
    rp_status status = rpi_retry(master, &place->now, future, flags);
    if (status == RP_OK)
        rpi_inflight_leave(master, batch, 1, ran);
    return status;
}

/* ---- tasks that failed: tried again, or settled with what a person needs to know */

/* What happened, for a person. */
static size_t tell(const struct rpi_master *master, uint64_t number, const struct rpi_settled *how,
                   char *text, size_t size)
{
    const struct rpi_registry *registry = master->config.registry;
    const char *name = how->function < registry->count ? registry->names[how->function] : "?";
    char place[RPI_NAME_MAX + 64] = "";
    if (how->at_worker)
        (void)snprintf(place, sizeof place, " on worker %d (%s)", how->worker,
                       master->roster.seats[how->worker].host);
    else if (how->status == RP_ERR_CANCELLED)
        (void)snprintf(place, sizeof place, " before it started");
    int length = snprintf(text, size, "task %s (number %llu) %s%s", name,
                          (unsigned long long)number, rpi_settle_verb(how->status), place);
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

static struct rpi_failure *describe(struct rpi_master *master, uint64_t number,
                                    const struct rpi_settled *how)
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

/* Starts that its process did not survive are counted apart from those that returned an error. */
static bool may_crash_again(const struct rpi_future *future, const struct rpi_options *options)
{
    uint32_t allowed = rpi_options_attempts(options);
    return future->pending.retried < future->attempts &&
           (uint32_t)(future->attempts - future->pending.retried) < allowed;
}

/* Tries a task again, if it may be.  *again: it is. */
static rp_status try_again(struct rpi_master *master, uint64_t id, struct rpi_future *future,
                           const struct rpi_settled *how, bool *again)
{
    const struct rpi_options *options = rpi_options_at(&master->options, future->options);
    bool returned = how->status == RP_ERR_TASK || how->status == RP_ERR_DEADLINE;
    uint64_t number = future->pending.number;
    *again = !master->dropped && !how->final &&
             ((returned && future->pending.retried < options->retries) ||
              (how->status == RP_ERR_CRASHED && may_crash_again(future, options)));
    if (!*again)
        return RP_OK;
    struct rpi_retry_retained_reader place = { 0 };
    rp_status status = rpi_retry_at(master, id, future, how->ran, 0, &place);
    if (status != RP_OK)
        return status;
    master->counts.retried++;
    if (returned) {
        future->pending.retried++;
    } else {
        char text[RPI_MESSAGE_MAX + 512];
        (void)tell(master, number, how, text, sizeof text);
        rpi_say(master->config.log, RP_LOG_WARNING, "%s.  It is tried again (start %d of %u)", text,
                future->attempts + 1, rpi_options_attempts(options));
    }
    return RP_OK;
}

rp_status rpi_retry_or_fail(struct rpi_master *master, uint64_t id, struct rpi_future *future,
                            const struct rpi_settled *how)
{
    bool again;
    rp_status status = try_again(master, id, future, how, &again);
    if (status != RP_OK || again)
        return status;
    struct rpi_failure *failure = describe(master, future->pending.number, how);
    if (!failure)
        return rpi_no_memory("a failure's message");
    if (future->flags & RPI_FUTURE_DETACHED && how->status != RP_ERR_CANCELLED)
        rpi_say(master->config.log, RP_LOG_ERROR, "a detached task failed: %s", failure->message);
    rpi_settle_done(master, future, how);
    future->done.size = 0;
    future->done.data = failure;
    if (how->status == RP_ERR_CANCELLED)
        master->counts.cancelled++;
    else
        master->counts.failed++;
    rpi_settle_end(master, id, future);
    return RP_OK;
}
