/* The master's engine: takes tasks, hands them to workers in batches, settles futures with what
 * comes back.  Pure: an event goes in with the time it happened, effects are left to be fetched
 * (batches to send, large payloads to receive).
 *
 *   rpi_master_submit ---> queue --rpi_master_dispatch--> outgoing --> (transport) --> worker
 * futures <--rpi_master_receive / _arrived-- (transport) <-- worker */
#ifndef RPI_MASTER_H
#define RPI_MASTER_H

#include "master/state.h"

RP_MUST_USE rp_status rpi_master_init(struct rpi_master *master,
                                      const struct rpi_master_config *config);
void rpi_master_fini(struct rpi_master *master);

/* Tasks that wait at rank 0; a map counts as its items. */
static inline uint64_t rpi_master_queued(const struct rpi_master *master)
{
    return master->ready.queue.tasks + master->ready.own_tasks;
}

/* A task to queue. */
struct rpi_request {
    uint16_t function;
    bool borrow;            /* arg outlives the task */
    uint32_t link;          /* kept with the future */
    const rp_future *after; /* that it needs */
    size_t after_count;
    bool spawned; /* by a task: number and depth are set, and it goes before older ones */
    uint32_t depth;
    uint64_t number; /* its identity, if not 0; else the next number of submission, which only such
                        a task takes */
    const struct rpi_key *key;       /* NULL: not journaled; no `after` then */
    const struct rpi_stored *stored; /* its outcome, taken over; NULL: it must run */
    bool released; /* the application has no handle; a failure that no stream delivers is logged */
    const void *arg;
    uint32_t size;
    const struct rpi_options *options; /* NULL: defaults */
};

/* RP_ERR_NOMEM: nothing is queued. */
RP_MUST_USE rp_status rpi_master_submit(struct rpi_master *master,
                                        const struct rpi_request *request, double now,
                                        uint64_t *id);

RP_MUST_USE rp_status rpi_master_map(struct rpi_master *master,
                                     const struct rpi_map_request *request, double now,
                                     uint64_t *id);

/* Hands out what the policy grants.  Afterwards no worker has credit while a task is queued, unless
 * memory ran out. */
void rpi_master_dispatch(struct rpi_master *master, double now);

/* Whether the tasks that are queued are shorter than a message's way and do not fill a batch
 * yet. */
bool rpi_master_gathers(struct rpi_master *master);

/* Hands rank 0 itself, as worker 0, a task of a function that takes less than `most` seconds by its
 * mean, or a few very short ones; only if it has none and no other worker has credit.  Returns
 * whether it did. */
bool rpi_master_dispatch_here(struct rpi_master *master, double most, double now);

/* Takes a batch from a worker.  RP_ERR_BROKEN: it is damaged, only what stood before the damage is
 * taken, and the worker must be given up.  RP_ERR_NOMEM: give the same batch again later; what was
 * taken from it already is not taken twice. */
RP_MUST_USE rp_status rpi_master_receive(struct rpi_master *master, int worker, const void *data,
                                         size_t size, double now);
/* What the worker has said of its end, before rpi_master_lost: the task that it names, if it is
 * there, fails with it (RP_ERR_CRASHED). */
void rpi_master_died(struct rpi_master *master, int worker, const struct rpi_death *death);
/* The worker is gone for good, and nothing more that it sent will be given here.  What it had that
 * may have started goes by its attempts; what cannot have started is queued as it was.  Batches and
 * arrivals of it that are not reported yet are kept until the engine's end. RP_ERR_NOMEM: call
 * again; it gets nothing any more all the same. */
RP_MUST_USE rp_status rpi_master_lost(struct rpi_master *master, int worker, double now);
/* Another process, with this pid and on the same host, has taken the place of a worker that
 * rpi_master_lost was told of with success. */
void rpi_master_replaced(struct rpi_master *master, int worker, int64_t pid, double now);

/* A posted arrival is complete.  RP_ERR_NOMEM: call again later. */
RP_MUST_USE rp_status rpi_master_arrived(struct rpi_master *master, struct rpi_arrival *arrival,
                                         double now);
/* The bytes of a batch, or of one of its pieces, are on their way. */
void rpi_master_sent(struct rpi_master *master, struct rpi_batch *batch);

/* The next effect, or NULL.  A batch goes to batch->peer, then its pieces; each of these is
 * reported with rpi_master_sent. */
struct rpi_batch *rpi_master_outgoing(struct rpi_master *master);
/* The transport has no memory for it, or for some of its pieces: it is the next effect again. */
void rpi_master_unsent(struct rpi_master *master, struct rpi_batch *batch);
/* A large payload to receive from arrival->peer into arrival->buffer; reported with
 * rpi_master_arrived. */
struct rpi_arrival *rpi_master_incoming(struct rpi_master *master);
/* The transport has no memory for it: it is the next one again. */
void rpi_master_unposted(struct rpi_master *master, struct rpi_arrival *arrival);

/* The live future the application holds, or NULL. */
static inline struct rpi_future *rpi_master_future(const struct rpi_master *master, uint64_t id)
{
    struct rpi_future *future = rpi_future_of(&master->futures, id);
    return future && !(future->flags & RPI_FUTURE_RELEASED) ? future : NULL;
}
/* Whether a settled future is needed beside the application: its on_done is due, a stream will
 * deliver it, a task comes after it. */
bool rpi_master_needs(const struct rpi_master *master, uint64_t id,
                      const struct rpi_future *future);
/* The application lets go of it. */
void rpi_master_release(struct rpi_master *master, uint64_t id, struct rpi_future *future);
/* Its options are needed no more. */
void rpi_master_forget_options(struct rpi_master *master, struct rpi_future *future);

/* Asks that it be cancelled: queued, it is settled now; at a worker, the worker is told.
 * RP_ERR_NOMEM: nothing changed. */
RP_MUST_USE rp_status rpi_master_cancel(struct rpi_master *master, uint64_t id,
                                        struct rpi_future *future, double now);
RP_MUST_USE rp_status rpi_master_cancel_all(struct rpi_master *master, double now);

/* The next task whose outcome must be stored, or NULL.  Its result stays until rpi_master_stored,
 * which settles it, stored or not.  Until then `due` may link it into another list. */
struct rpi_keyed *rpi_master_due(const struct rpi_master *master);
rp_bytes rpi_master_due_result(const struct rpi_master *master, const struct rpi_keyed *keyed);
void rpi_master_stored(struct rpi_master *master, struct rpi_keyed *keyed);

/* Fills all of *outcome but struct_size. */
void rpi_master_outcome(const struct rpi_master *master, const struct rpi_future *future,
                        rp_outcome *outcome);

/* Forgets all that is queued; its futures stay unsettled.  For the pool's end. */
void rpi_master_drop_queued(struct rpi_master *master);

/* Whether a task is queued while a worker has credit for it: never so after rpi_master_dispatch. */
bool rpi_master_starves(struct rpi_master *master);

#endif
