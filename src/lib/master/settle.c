#include "master/settle.h"

#include "base/status.h"
#include "master/deps.h"
#include "master/inflight.h"
#include "master/keyed.h"
#include "master/master.h"
#include "tables/completions.h"

/* ---- a task's end */

void rpi_settle_done(struct rpi_master *master, struct rpi_future *future,
                     const struct rpi_settled *how)
{
    uint32_t depth = future->pending.depth;
    double queued = master->now - future->pending.submitted - how->ran;
    if (future->state == RP_SENT) /* else it was cancelled before */
        rpi_inflight_leave(master, future->pending.batch, 1, how->ran);
    if (future->state == RP_WAITING)
        master->deps.waiting--;
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

void rpi_master_forget_options(struct rpi_master *master, struct rpi_future *future)
{
    uint64_t epoch = rpi_options_at(&master->options, future->options)->epoch;
    rpi_options_release(&master->options, future->options);
    future->options = 0;
    if (epoch)
        rpi_shared_versions_release(&master->versions, epoch);
}

/* Tells the waiters named in its options.  Returns whether one of them frees it later. */
static bool tell_waiting(struct rpi_master *master, uint64_t id, struct rpi_future *future)
{
    const struct rpi_options options = *rpi_options_at(&master->options, future->options);
    struct rpi_completions *completions = options.completions;
    if (options.dependent)
        rpi_deps_let_go(master, options.dependent);
    if (completions && completions->skip_empty && future->status == RP_OK &&
        future->done.size == 0) {
        completions->open--;
        completions = NULL;
        future->flags &= (uint8_t)~RPI_FUTURE_STREAMED;
    }
    if (completions && !completions->ordered)
        rpi_idqueue_push(&completions->ready, id);
    if (options.on_done)
        rpi_idqueue_push(&master->called.ids, id);
    else
        rpi_master_forget_options(master, future);
    return options.on_done || future->flags & RPI_FUTURE_STREAMED;
}

/* Tells all that wait for the future, and frees it if it is released and not needed. */
static void tell(struct rpi_master *master, uint64_t id, struct rpi_future *future)
{
    bool needed = future->options ? tell_waiting(master, id, future)
                                  : future->flags & RPI_FUTURE_STREAMED;
    rpi_settle_attempts(master, id);
    if (master->deps.count) {
        rpi_deps_settled(master, id, future);
        needed = needed || rpi_deps_hold(&master->deps, id);
    }
    if (future->flags & RPI_FUTURE_RELEASED && !needed)
        rpi_future_free(&master->futures, id, future);
}

void rpi_settle_end(struct rpi_master *master, uint64_t id, struct rpi_future *future)
{
    if (future->options) {
        struct rpi_keyed *keyed = rpi_options_at(&master->options, future->options)->keyed;
        if (keyed && rpi_keyed_waits(master, future, keyed))
            return;
    }
    tell(master, id, future);
}

void rpi_settle_small(struct rpi_master *master, uint64_t id, struct rpi_future *future,
                      const uint8_t *data, uint32_t size, const struct rpi_settled *how)
{
    rpi_settle_done(master, future, how);
    future->done.size = size;
    if (size == RPI_SMALL_RESULT)
        memcpy(future->done.small, data, RPI_SMALL_RESULT);
    else if (size)
        memcpy(future->done.small, data, size);
    master->counts.done++;
    rpi_settle_end(master, id, future);
}

void rpi_settle_buffer(struct rpi_master *master, uint64_t id, struct rpi_future *future,
                       void *buffer, uint32_t size, const struct rpi_settled *how)
{
    rpi_settle_done(master, future, how);
    future->done.size = size;
    future->done.data = buffer;
    future->flags |= RPI_FUTURE_BUFFER;
    master->counts.done++;
    rpi_settle_end(master, id, future);
}

rp_status rpi_settle_room(const struct rpi_master *master, const uint8_t *data, uint32_t size,
                          void **buffer)
{
    if (size <= RPI_SMALL_RESULT)
        return RP_OK;
    *buffer = rpi_buffer_new(&master->config.alloc, size);
    if (!*buffer)
        return rpi_no_memory("a result");
    memcpy(*buffer, data, size);
    return RP_OK;
}

rp_status rpi_settle_result(struct rpi_master *master, uint64_t id, struct rpi_future *future,
                            const uint8_t *data, uint32_t size, const struct rpi_settled *how)
{
    void *buffer = NULL;
    rp_status status = rpi_settle_room(master, data, size, &buffer);
    if (buffer)
        rpi_settle_buffer(master, id, future, buffer, size, how);
    else if (status == RP_OK)
        rpi_settle_small(master, id, future, data, size, how);
    return status;
}

/* ---- with the journal */

void rpi_master_stored(struct rpi_master *master, struct rpi_keyed *keyed)
{
    uint64_t id = keyed->id;
    struct rpi_future *future = rpi_future_of(&master->futures, id);
    rpi_keyed_free(master, keyed);
    future->state = RP_DONE;
    master->unsettled--;
    master->counts.done++;
    tell(master, id, future);
}

void rpi_settle_stored(struct rpi_master *master, uint64_t id, struct rpi_future *future,
                       const struct rpi_stored *stored, double now)
{
    static const struct rpi_settled how = { .status = RP_OK, .message = "" };
    master->now = now;
    rpi_settle_done(master, future, &how);
    future->done.size = stored->size;
    if (stored->size > RPI_SMALL_RESULT) {
        future->done.data = stored->buffer;
        future->flags |= RPI_FUTURE_BUFFER;
    } else {
        memcpy(future->done.small, stored->buffer, stored->size);
        rpi_buffer_free(stored->buffer);
    }
    master->counts.done++;
    tell(master, id, future);
}

/* ---- for callers */

const char *rpi_settle_verb(rp_status status)
{
    return status == RP_ERR_CANCELLED  ? "was cancelled"
           : status == RP_ERR_DEADLINE ? "overran its time limit"
           : status == RP_ERR_CRASHED  ? "crashed"
           : status == RP_ERR_LOST     ? "was lost"
           : status == RP_ERR_INPUT    ? RPI_SETTLE_BEHIND_A_FAILED
                                       : "failed";
}

void rpi_master_outcome(const struct rpi_master *master, const struct rpi_future *future,
                        rp_outcome *outcome)
{
    const struct rpi_failure *failure = future->status != RP_OK ? future->done.data : NULL;
    outcome->status = (rp_status)future->status;
    outcome->code = failure ? failure->code : 0;
    outcome->message = failure ? failure->message : "";
    outcome->size = failure ? 0 : future->done.size;
    outcome->data = NULL;
    if (outcome->size)
        outcome->data = future->flags & RPI_FUTURE_BUFFER ? future->done.data : future->done.small;
    outcome->worker = (int)future->done.worker;
    outcome->host = master->roster.seats[future->done.worker].host;
    outcome->attempts = future->attempts;
    outcome->queued = future->flags & RPI_FUTURE_SPAWNED ? 0 : (double)future->done.queued;
    outcome->ran = (double)future->done.ran;
}
