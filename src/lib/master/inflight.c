#include "master/inflight.h"

#include "base/status.h"
#include "master/master.h"
#include "master/ready.h"

#define ROUND_TRIP_MIN 0.5e-6
#define ROUND_TRIP_MAX 1e-3

/* ---- batches: effects */

void rpi_inflight_send(struct rpi_master *master, struct rpi_batch *batch)
{
    rpi_list_append(&master->inflight.outgoing, &batch->link);
    master->counts.messages_out++;
    master->counts.bytes_out += batch->size;
    for (uint16_t i = 0; i < batch->piece_count; i++)
        master->counts.bytes_out += batch->pieces[i].size;
}

struct rpi_batch *rpi_master_outgoing(struct rpi_master *master)
{
    struct rpi_link *link = rpi_list_pop(&master->inflight.outgoing);
    if (!link)
        return NULL;
    struct rpi_batch *batch = RPI_MEMBER(link, struct rpi_batch, link);
    if (master->roster.seats[batch->peer].cancels == batch)
        master->roster.seats[batch->peer].cancels = NULL;
    batch->handed = true;
    return batch;
}

void rpi_master_unsent(struct rpi_master *master, struct rpi_batch *batch)
{
    rpi_list_prepend(&master->inflight.outgoing, &batch->link);
    batch->handed = batch->begun > 0;
}

/* ---- their end */

/* What a batch to an idle worker cost beside its tasks: keeps the least, and slowly forgets it. */
static void measured_round_trip(struct rpi_master *master, const struct rpi_batch *batch)
{
    double sample = master->now - batch->sent_at - batch->ran;
    if (sample < master->timing.round_trip)
        master->timing.round_trip = sample > ROUND_TRIP_MIN ? sample : ROUND_TRIP_MIN;
    else
        master->timing.round_trip += ((sample < ROUND_TRIP_MAX ? sample : ROUND_TRIP_MAX) -
                                      master->timing.round_trip) /
                                     64;
}

static void retire(struct rpi_master *master, struct rpi_batch *batch)
{
    if (batch->remaining == 0 && batch->sends == 0)
        rpi_batch_put(&master->batches, batch);
}

/* Releases what its piece points at. */
static void let_bytes_go(struct rpi_master *master, struct rpi_batch *batch)
{
    if (batch->version)
        batch->version->sending--;
    if (batch->input)
        batch->unpin(master, batch->input);
}

void rpi_master_sent(struct rpi_master *master, struct rpi_batch *batch)
{
    if (--batch->sends == 0 && (batch->version || batch->input))
        let_bytes_go(master, batch);
    retire(master, batch);
}

void rpi_inflight_leave(struct rpi_master *master, uint32_t index, uint32_t tasks, double ran)
{
    struct rpi_batch *batch = master->batches.table[index];
    batch->ran += ran;
    if (batch->movable)
        master->roster.seats[batch->peer].movable -= tasks;
    batch->remaining -= tasks;
    if (batch->remaining)
        return;
    if (batch->movable)
        master->roster.seats[batch->peer].movable -= batch->divisible;
    if (batch->to_idle)
        measured_round_trip(master, batch);
    rpi_roster_done(&master->roster, batch->peer);
    rpi_ready_wake(master, batch->peer);
    retire(master, batch);
}

/* ---- tasks and large results */

/* A result counts only for the attempt that is under way at that worker, and once. */
struct rpi_future *rpi_inflight_awaited(const struct rpi_master *master, int worker,
                                        const struct rpi_frame *frame)
{
    struct rpi_future *future = rpi_future_of(&master->futures, frame->id);
    if (!future || future->flags & (RPI_FUTURE_ARRIVING | RPI_FUTURE_MAP))
        return NULL;
    return rpi_inflight_is_at(master, future, worker, frame->attempt) ? future : NULL;
}

rp_status rpi_inflight_announce(struct rpi_master *master, const struct rpi_frame *frame,
                                int worker)
{
    struct rpi_arrival *arrival = rpi_reserve(&master->config.alloc, sizeof *arrival);
    void *buffer = arrival ? rpi_buffer_new(&master->config.alloc, frame->length) : NULL;
    if (!buffer) {
        rpi_free(&master->config.alloc, arrival);
        return rpi_no_memory("a large result");
    }
    *arrival = (struct rpi_arrival){
        .peer = worker, .size = frame->length, .buffer = buffer, .frame = *frame
    };
    rpi_list_append(&master->inflight.incoming, &arrival->link);
    return RP_OK;
}

void rpi_inflight_drop_arrival(struct rpi_master *master, struct rpi_arrival *arrival)
{
    rpi_list_remove(&arrival->link);
    rpi_buffer_free(arrival->buffer);
    rpi_free(&master->config.alloc, arrival);
}

void rpi_master_unposted(struct rpi_master *master, struct rpi_arrival *arrival)
{
    rpi_list_remove(&arrival->link);
    rpi_list_prepend(&master->inflight.incoming, &arrival->link);
}

struct rpi_arrival *rpi_master_incoming(struct rpi_master *master)
{
    struct rpi_link *link = rpi_list_pop(&master->inflight.incoming);
    if (!link)
        return NULL;
    rpi_list_append(&master->inflight.arriving, link);
    return RPI_MEMBER(link, struct rpi_arrival, link);
}
