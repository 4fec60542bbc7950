/* The master's engine: takes tasks, hands them to workers in batches, settles futures with what
 * comes back.  Pure: an event goes in with the time it happened, effects are left to be fetched
 * (batches to send, large payloads to receive).
 *
 *   rpi_master_submit ---> queue --rpi_master_dispatch--> outgoing --> (transport) --> worker
 * futures <--rpi_master_receive / _arrived-- (transport) <-- worker */
#ifndef RPI_MASTER_H
#define RPI_MASTER_H

#include "proto/batch.h"
#include "base/sha256.h"
#include "tables/futures.h"
#include "base/log.h"
#include "tables/attempts.h"
#include "tables/options.h"
#include "tables/completions.h"
#include "proto/registry.h"
#include "tables/roster.h"
#include "tables/taskq.h"
#include "tables/shared_versions.h"

struct rpi_master_config {
    struct rpi_alloc alloc;
    const struct rpi_log *log;           /* borrowed */
    const struct rpi_registry *registry; /* borrowed */
    int workers;
    uint32_t batch_limit;      /* bytes */
    uint32_t first_generation; /* of futures: random */
};

struct rpi_function_time {
    double mean; /* seconds; negative: never measured */
    uint64_t samples;
};

/* Tasks that come after others; deps.h. */
struct rpi_deps {
    struct rpi_link *buckets; /* of inputs; NULL before the first */
    uint64_t bucket_count, count;
    struct rpi_link all;    /* dependents */
    struct rpi_link moved;  /* those with nothing more to wait for, or with a failed input */
    struct rpi_link urgent; /* those that may be more urgent than what they wait for, the newest
                               first; urgency.h */
    uint64_t waiting;       /* dependents in RP_WAITING */
};

/* What names a task in the journal. */
struct rpi_key {
    rp_bytes bytes;
    uint8_t argument[RPI_SHA256];
    uint64_t hash; /* of the two */
};

/* An outcome that the journal had. */
struct rpi_stored {
    void *buffer; /* an rpi_buffer */
    uint32_t size;
};

/* Tasks with a key; keyed.h. */
struct rpi_keys {
    struct rpi_link *buckets; /* of those under way; NULL before the first */
    struct rpi_link due;      /* to store, in the order they ended */
};

struct rpi_counts {
    uint64_t submitted, done, failed, retried, cancelled;
    uint64_t messages_out, messages_in, bytes_out, bytes_in;
    double busy;
};

struct rpi_master {
    struct rpi_master_config config;
    struct rpi_futures futures;
    struct rpi_taskq queue;
    struct rpi_places places;   /* of what is queued, here and there */
    struct rpi_ready_own **own; /* by worker: tasks for that one only; NULL: none yet */
    struct rpi_link awake;      /* of these, those whose worker may have credit */
    uint64_t own_tasks, own_bytes;
    struct rpi_option_table options;
    struct rpi_shared_versions versions; /* of shared data */
    struct rpi_roster roster;
    struct rpi_batches batches;
    struct rpi_link outgoing; /* batches to send */
    struct rpi_link incoming; /* arrivals to post */
    struct rpi_link arriving; /* posted */
    struct rpi_link aside; /* posted, from workers that are lost: they never come, but MPI may write
                              into them until its end */
    struct rpi_subtasks_held *spare_held;
    struct rpi_idqueue called; /* settled futures whose on_done is due */
    size_t calls_due;          /* futures with on_done, not delivered */
    struct rpi_deps inputs;
    struct rpi_keys keys;
    struct rpi_attempts losses;
    struct rpi_link maps;            /* unfinished */
    struct rpi_function_time *times; /* by function */
    double round_trip;               /* seconds, measured */
    double now;                      /* of the last event */
    bool doubtful;        /* the worker that last handed back should have been done with it */
    double look_again;    /* when a dispatch may find something new to recall; negative: never */
    uint64_t next_number; /* of what the application submits: nothing that workers do moves it */
    uint64_t spawned;     /* tasks, so far: the newest goes first */
    uint64_t unsettled;   /* tasks; a map counts as one */
    bool dropped;         /* the workers are told to stop: nothing is queued again */
    struct rpi_counts counts;
};

RP_MUST_USE rp_status rpi_master_init(struct rpi_master *master,
                                      const struct rpi_master_config *config);
void rpi_master_fini(struct rpi_master *master);

/* Tasks that wait at rank 0; a map counts as its items. */
static inline uint64_t rpi_master_queued(const struct rpi_master *master)
{
    return master->queue.tasks + master->own_tasks;
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

/* A map to queue; in, out and statuses are borrowed until its future is settled. */
struct rpi_map_request {
    uint16_t function;
    const void *in;
    void *out;
    uint32_t in_size, out_size;
    uint64_t count; /* 0: done at once */
    uint64_t chunk; /* 0: from measured time */
    rp_status *statuses;
    struct rpi_options options;
};
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

/* Makes a batch an effect, the last one so far. */
void rpi_master_send(struct rpi_master *master, struct rpi_batch *batch);
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
struct rpi_future *rpi_master_future(const struct rpi_master *master, uint64_t id);
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
