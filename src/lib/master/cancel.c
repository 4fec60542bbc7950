/* Cancelling at rank 0: what is queued is settled at once, workers are told about the rest. */
#include "base/status.h"
#include "master/inflight.h"
#include "master/map.h"
#include "master/master.h"
#include "master/ready.h"
#include "master/retry.h"
#include "master/settle.h"

/* Adds the frame to the worker's last cancel, if that has room, is unsent, and no task follows
 * it. */
static bool share_message(struct rpi_master *master, int worker, const struct rpi_frame *frame)
{
    struct rpi_batch *batch = master->roster.seats[worker].cancels;
    if (!batch || !frame)
        return false;
    struct rpi_writer writer = { .base = batch->bytes,
                                 .used = batch->size,
                                 .limit = master->batches.limit };
    writer.count = rpi_get16(batch->bytes + 2);
    if (!rpi_writer_fits(&writer, rpi_frame_size(frame->flags, 0)))
        return false;
    (void)rpi_writer_frame(&writer, frame);
    rpi_writer_close(&writer, RPI_CANCEL, 0);
    master->counts.bytes_out += writer.used - batch->size;
    batch->size = writer.used;
    return true;
}

/* `frame` NULL: all that the worker has. */
static rp_status tell_worker(struct rpi_master *master, int worker, const struct rpi_frame *frame)
{
    struct rpi_writer writer;
    if (share_message(master, worker, frame))
        return RP_OK;
    struct rpi_batch *batch = rpi_batch_get(&master->batches);
    if (!batch)
        return rpi_no_memory("a cancel");
    rpi_writer_open(&writer, batch->bytes, master->batches.limit);
    if (frame)
        (void)rpi_writer_frame(&writer, frame);
    rpi_writer_close(&writer, RPI_CANCEL, 0);
    batch->size = writer.used;
    batch->peer = worker;
    batch->sends = 1;
    rpi_inflight_send(master, batch);
    master->roster.seats[worker].cancels = frame ? batch : NULL;
    return RP_OK;
}

static rp_status tell_busy_workers(struct rpi_master *master, const struct rpi_frame *frame)
{
    rp_status status = RP_OK;
    for (int worker = 0; status == RP_OK && worker <= master->roster.workers; worker++)
        if (master->roster.seats[worker].in_flight && !master->roster.seats[worker].lost)
            status = tell_worker(master, worker, frame);
    return status;
}

static rp_status cancel_queued(struct rpi_master *master, uint64_t id, struct rpi_future *future,
                               uint16_t function)
{
    struct rpi_settled how = {
        .status = RP_ERR_CANCELLED, .code = RP_ERR_CANCELLED, .message = "", .function = function
    };
    const struct rpi_options options = *rpi_options_at(&master->options, future->options);
    uint32_t size = rpi_future_size(future);
    rp_status status = rpi_retry_or_fail(master, id, future, &how);
    if (status == RP_OK)
        rpi_ready_void(master, &options, size);
    return status;
}

static rp_status cancel_waiting(struct rpi_master *master, uint64_t id, struct rpi_future *future)
{
    struct rpi_settled how = { .status = RP_ERR_CANCELLED,
                               .code = RP_ERR_CANCELLED,
                               .message = "" };
    how.function = rpi_options_at(&master->options, future->options)->dependent->entry.function;
    return rpi_retry_or_fail(master, id, future, &how);
}

static rp_status cancel_map(struct rpi_master *master, struct rpi_map *map)
{
    struct rpi_frame frame = { .flags = RPI_FRAME_NUMBER, .number = map->number };
    rp_status status = map->left > rpi_map_waiting(map) ? tell_busy_workers(master, &frame) : RP_OK;
    if (status == RP_OK)
        status = rpi_map_cancel(master, map);
    return status;
}

rp_status rpi_master_cancel(struct rpi_master *master, uint64_t id, struct rpi_future *future,
                            double now)
{
    master->now = now;
    if (future->state == RP_DONE || future->state == RPI_STORING)
        return RP_OK;
    if (future->flags & RPI_FUTURE_MAP)
        return cancel_map(master, future->pending.map);
    if (future->state == RP_WAITING)
        return cancel_waiting(master, id, future);
    if (future->state == RP_QUEUED)
        return cancel_queued(master, id, future, future->pending.function);
    struct rpi_frame frame = { .id = id };
    int worker = master->batches.table[future->pending.batch]->peer;
    /* if memory ran out in rpi_master_lost, which will settle it */
    bool lost = master->roster.seats[worker].lost;
    rp_status status = lost ? RP_OK : tell_worker(master, worker, &frame);
    if (status != RP_OK)
        return status;
    future->pending.retried = RPI_SETTLE_NEVER_AGAIN;
    return RP_OK;
}

/* Tasks at workers are not tried again. */
static void forbid_retries(struct rpi_master *master)
{
    for (uint32_t i = 0; i < master->futures.touched; i++) {
        struct rpi_future *future = rpi_future_slot(&master->futures, i);
        if (future->state == RP_SENT && !(future->flags & (RPI_FUTURE_CHUNK | RPI_FUTURE_MAP)))
            future->pending.retried = RPI_SETTLE_NEVER_AGAIN;
    }
}

rp_status rpi_master_cancel_all(struct rpi_master *master, double now)
{
    rp_status status = tell_busy_workers(master, NULL);
    master->now = now;
    if (status != RP_OK)
        return status;
    forbid_retries(master);
    for (struct rpi_link *link = master->maps.next, *next; status == RP_OK && link != &master->maps;
         link = next) {
        next = link->next;
        status = rpi_map_cancel(master, RPI_MEMBER(link, struct rpi_map, link));
    }
    for (uint32_t i = 0; status == RP_OK && i < master->futures.touched; i++) {
        struct rpi_future *future = rpi_future_slot(&master->futures, i);
        uint64_t id = (uint64_t)future->generation << 32 | i;
        if (future->state == RP_QUEUED)
            status = cancel_queued(master, id, future, future->pending.function);
        else if (future->state == RP_WAITING)
            status = cancel_waiting(master, id, future);
    }
    return status;
}
