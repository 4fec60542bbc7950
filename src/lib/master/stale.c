#include "master/stale.h"

#include "tables/copies.h"
#include "master/ready.h"
#include "master/subtasks.h"
#include "base/status.h"

/* Its future, if this is a result that it can be settled with. */
static struct rpi_future *wanted(const struct rpi_master *master, const struct rpi_frame *frame)
{
    struct rpi_future *future = rpi_future_of(&master->futures, frame->id);
    if (frame->flags & RPI_FRAME_FAILED || !future ||
        (future->state != RP_QUEUED && future->state != RP_SENT))
        return NULL;
    if (!(future->flags & RPI_FUTURE_CHUNK) != !(frame->flags & RPI_FRAME_CHUNK))
        return NULL;
    if (frame->flags & RPI_FRAME_CHUNK && rpi_map_check(frame, future) != RP_OK)
        return NULL; /* it was cut to pieces since */
    return future;
}

/* A chunk waits in the common queue, whose entry is void once its future is gone. */
static rp_status settle_chunk(struct rpi_master *master, const struct rpi_frame *frame,
                              struct rpi_future *chunk, const uint8_t *payload, int worker)
{
    bool queued = chunk->state == RP_QUEUED;
    int64_t items = chunk->pending.items, bytes = items * chunk->pending.map->request.in_size;
    rp_status status = rpi_map_chunk_done(master, frame, chunk, payload, worker);
    if (status == RP_OK && queued)
        rpi_ready_count(master, &master->queue, -items, -bytes);
    return status;
}

/* `buffer`: holds the payload and is taken over; NULL: the payload is copied.  What can fail comes
 * first: with its children queued the task is settled. */
static rp_status settle_task(struct rpi_master *master, const struct rpi_frame *frame,
                             struct rpi_future *future, const uint8_t *payload, void *buffer,
                             const struct rpi_settled *how)
{
    const struct rpi_options options = *rpi_options_at(&master->options, future->options);
    bool queued = future->state == RP_QUEUED;
    uint32_t size = rpi_future_size(future); /* if it is queued */
    void *data = buffer;
    rp_status status = buffer ? RP_OK : rpi_settle_room(master, payload, frame->length, &data);
    if (status == RP_OK)
        status = rpi_subtasks_commit(master, how->worker, frame, future);
    if (status != RP_OK) {
        if (!buffer)
            rpi_buffer_free(data);
        return status;
    }
    future->state = RP_QUEUED; /* no batch hears of it */
    if (data)
        rpi_settle_buffer(master, frame->id, future, data, frame->length, how);
    else
        status = rpi_settle_result(master, frame->id, future, payload, frame->length,
                                   how); /* in its place: it cannot fail */
    if (queued)
        rpi_ready_void(master, &options, size);
    return status;
}

/* The worker that has the task now runs it in vain: its result will be a late one. */
static rp_status settle(struct rpi_master *master, const struct rpi_frame *frame,
                        struct rpi_future *future, const uint8_t *payload, void *buffer,
                        const struct rpi_settled *how)
{
    bool sent = future->state == RP_SENT, running = sent && !(future->flags & RPI_FUTURE_ARRIVING);
    uint8_t attempt = future->attempts;
    uint32_t batch = future->pending.batch;
    int peer = sent ? master->batches.table[batch]->peer : 0;
    if (running && !rpi_copies_add(&master->roster, peer, frame->id, attempt, batch))
        return rpi_no_memory("a late result");
    rp_status status = frame->flags & RPI_FRAME_CHUNK
                           ? settle_chunk(master, frame, future, payload, how->worker)
                           : settle_task(master, frame, future, payload, buffer, how);
    if (status != RP_OK && running)
        (void)rpi_copies_take(&master->roster, peer, frame->id, attempt, &batch);
    if (status == RP_OK && sent && !running)
        rpi_settle_leave(master, batch, 1, 0);
    return status;
}

rp_status rpi_late_frame(struct rpi_master *master, const struct rpi_frame *frame,
                         const struct rpi_settled *how)
{
    struct rpi_settled late = *how;
    bool large = frame->flags & RPI_FRAME_LARGE;
    uint32_t batch;
    late.function = frame->function;
    if (!rpi_copies_has(&master->roster, how->worker, frame->id, frame->attempt))
        return rpi_settle_strange(master, how->worker);
    struct rpi_future *future = wanted(master, frame);
    rp_status status = RP_OK;
    if (large)
        status = rpi_settle_announce(master, frame, how->worker, true);
    else if (future)
        status = settle(master, frame, future, frame->payload, NULL, &late);
    else
        rpi_subtasks_drop(master, how->worker, frame);
    if (status == RP_OK &&
        rpi_copies_take(&master->roster, how->worker, frame->id, frame->attempt, &batch))
        rpi_settle_leave(master, batch, 1, how->ran);
    return status;
}

rp_status rpi_late_arrived(struct rpi_master *master, struct rpi_arrival *arrival,
                           const struct rpi_settled *how)
{
    const struct rpi_frame *frame = &arrival->frame;
    struct rpi_future *future = wanted(master, frame);
    if (!future) {
        rpi_subtasks_drop(master, arrival->peer, frame);
        return RP_OK;
    }
    bool chunk = frame->flags & RPI_FRAME_CHUNK;
    rp_status status = settle(master, frame, future, arrival->buffer,
                              chunk ? NULL : arrival->buffer, how);
    if (status == RP_OK && !chunk)
        arrival->buffer = NULL; /* the future has it */
    return status;
}
