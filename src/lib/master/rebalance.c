#include "master/rebalance.h"

#include "master/inflight.h"
#include "master/map.h"
#include "master/retry.h"
#include "master/settle.h"
#include "tables/policy.h"

/* ---- asking */

static bool ask(struct rpi_master *master, int worker)
{
    struct rpi_writer writer;
    struct rpi_batch *batch = rpi_batch_get(&master->batches);
    if (!batch)
        return false;
    rpi_writer_open(&writer, batch->bytes, master->batches.limit);
    rpi_writer_close(&writer, RPI_RECALL, 0);
    batch->size = writer.used;
    batch->peer = worker;
    batch->sends = 1;
    rpi_inflight_send(master, batch);
    rpi_roster_ask(&master->roster, worker);
    return true;
}

void rpi_rebalance_look(struct rpi_master *master)
{
    struct rpi_roster *roster = &master->roster;
    while (roster->idle > roster->asked && !rpi_list_empty(&roster->loaded)) {
        struct rpi_seat *seat = RPI_MEMBER(rpi_list_first(&roster->loaded), struct rpi_seat, load);
        const struct rpi_burden burden = { .now = master->now,
                                           .due = seat->due,
                                           .round_trip = master->timing.round_trip,
                                           .tasks = seat->movable };
        if (rpi_policy_recalls(&burden, &master->rebalance.look_again)) {
            seat->overdue = burden.now >= burden.due + burden.round_trip;
            if (!ask(master, (int)(seat - roster->seats)))
                return;
        } else if (master->rebalance.look_again >= 0) {
            return;
        } else {
            rpi_list_remove(&seat->load);
        }
    }
}

/* ---- what comes back */

/* Cancelled on its way: the worker no longer had it when it heard so. */
static rp_status settle_cancelled(struct rpi_master *master, uint64_t id, struct rpi_future *future)
{
    struct rpi_settled how = { .status = RP_ERR_CANCELLED,
                               .code = RP_ERR_CANCELLED,
                               .message = "" };
    struct rpi_reader reader;
    struct rpi_frame frame = { 0 };
    const struct rpi_batch *batch = master->batches.table[future->pending.batch];
    rp_status status = rpi_reader_open(&reader, batch->bytes, batch->size);
    while (status == RP_OK && reader.left &&
           (status = rpi_reader_frame(&reader, &frame)) == RP_OK && frame.id != id)
        continue;
    how.function = frame.function;
    return status == RP_OK ? rpi_retry_or_fail(master, id, future, &how) : status;
}

static rp_status take(struct rpi_master *master, const struct rpi_frame *frame,
                      struct rpi_future *future, struct rpi_retry_retained_reader *place)
{
    struct rpi_batch *batch = master->batches.table[future->pending.batch];
    batch->to_idle = false; /* its time says nothing */
    bool chunk = future->flags & RPI_FUTURE_CHUNK;
    if (chunk && (future->pending.map->stopped || !rpi_attempts_find(&master->attempts, frame->id)))
        return rpi_map_chunk_back(master, frame->id, future);
    if (!chunk && future->pending.retried == RPI_SETTLE_NEVER_AGAIN)
        return settle_cancelled(master, frame->id, future);
    return rpi_retry_at(master, frame->id, future, 0, RPI_ENTRY_SPENT, place);
}

/* Of a chunk that stays it keeps some items.  Once nothing is queued any more the others are
 * forgotten, as what is queued is. */
static rp_status take_cut(struct rpi_master *master, int worker, const struct rpi_frame *frame)
{
    struct rpi_future *future = rpi_inflight_awaited(master, worker, frame);
    uint32_t items = frame->chunk.count;
    if (!future)
        return RP_OK; /* it was given up there, or what becomes of it is known */
    if (!(future->flags & RPI_FUTURE_CHUNK) || items == 0 || items >= future->pending.items)
        return rpi_reader_bad("of a chunk that it cuts it keeps as much as it has, or nothing");
    master->batches.table[future->pending.batch]->to_idle = false;
    if (!master->dropped)
        return rpi_map_chunk_cut(master, future, items);
    future->pending.items = items;
    return RP_OK;
}

/* A task that it will not run. */
static rp_status take_back(struct rpi_master *master, int worker, const struct rpi_frame *frame,
                           struct rpi_retry_retained_reader *place)
{
    struct rpi_future *future = rpi_inflight_awaited(master, worker, frame);
    if (!future || master->dropped)
        return RP_OK;
    future->attempts--;
    rp_status status = take(master, frame, future, place);
    if (status != RP_OK)
        future->attempts++;
    return status;
}

rp_status rpi_rebalance_returned(struct rpi_master *master, int worker, struct rpi_reader *reader)
{
    struct rpi_seat *seat = &master->roster.seats[worker];
    struct rpi_retry_retained_reader place = { 0 };
    struct rpi_frame frame = { 0 };
    rp_status status = RP_OK;
    master->rebalance.doubtful = seat->overdue;
    for (uint32_t i = 0; reader->left; i++) {
        status = rpi_reader_frame(reader, &frame);
        if (status != RP_OK)
            return status;
        if (i < seat->taken)
            continue; /* whatever the worker has of that task now it got since */
        status = frame.flags & RPI_FRAME_CHUNK ? take_cut(master, worker, &frame)
                                               : take_back(master, worker, &frame, &place);
        if (status != RP_OK) {
            seat->taken = i;
            return status;
        }
    }
    seat->taken = 0;
    if (reader->word == RPI_RETURNED_ALL)
        rpi_roster_answered(&master->roster, worker);
    return RP_OK;
}
