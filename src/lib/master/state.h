/* What the engine remembers.  Others include master.h, read it, and change it only by the calls
 * there. */
#ifndef RPI_MASTER_STATE_H
#define RPI_MASTER_STATE_H

#include "base/idqueue.h"
#include "base/log.h"
#include "base/sha256.h"
#include "base/table.h"
#include "proto/batch.h"
#include "proto/registry.h"
#include "tables/attempts.h"
#include "tables/futures.h"
#include "tables/options.h"
#include "tables/roster.h"
#include "tables/shared_versions.h"
#include "tables/taskq.h"

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
    struct rpi_table table; /* of inputs, by id */
    uint64_t count;
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
    struct rpi_table table; /* of those under way, by hash */
    struct rpi_link due;    /* to store, in the order they ended */
};

struct rpi_counts {
    uint64_t submitted, done, failed, retried, cancelled;
    uint64_t messages_out, messages_in, bytes_out, bytes_in;
    double busy;
};

/* What waits at rank 0 to be handed out (ready.h). */
struct rpi_ready {
    struct rpi_taskq queue;
    struct rpi_places places;   /* of what is queued, here and there */
    struct rpi_ready_own **own; /* by worker: tasks for that one only; NULL: none yet */
    struct rpi_link awake;      /* of these, those whose worker may have credit */
    uint64_t own_tasks, own_bytes;
};

/* What is under way (inflight.h). */
struct rpi_inflight {
    struct rpi_link outgoing; /* batches to send */
    struct rpi_link incoming; /* arrivals to post */
    struct rpi_link arriving; /* posted */
    struct rpi_link aside; /* posted, from workers that are lost: they never come, but MPI may write
                              into them until its end */
};

/* Measured times (receive.c, inflight.c). */
struct rpi_timing {
    struct rpi_function_time *functions; /* by number */
    double round_trip;                   /* seconds */
};

/* What is asked back (rebalance.h). */
struct rpi_rebalance {
    bool doubtful;     /* the worker that last handed back should have been done with it */
    double look_again; /* when a dispatch may find something new to recall; negative: never */
};

struct rpi_master {
    struct rpi_master_config config;
    double now; /* of the last event */
    struct rpi_futures futures;
    struct rpi_ready ready;
    struct rpi_option_table options;
    struct rpi_shared_versions versions; /* of shared data */
    struct rpi_roster roster;
    struct rpi_batches batches;
    struct rpi_inflight inflight;
    struct rpi_subtasks_held *spare_held;
    struct {
        struct rpi_idqueue ids; /* settled futures whose on_done is due */
        size_t due;             /* futures with on_done, not delivered */
    } called;
    struct rpi_deps deps;
    struct rpi_keys keys;
    struct rpi_attempts attempts;
    struct rpi_link maps; /* unfinished */
    struct rpi_timing timing;
    struct rpi_rebalance rebalance;
    uint64_t next_number; /* of what the application submits: nothing that workers do moves it */
    uint64_t spawned;     /* tasks, so far: the newest goes first */
    uint64_t unsettled;   /* tasks; a map counts as one */
    bool dropped;         /* the workers are told to stop: nothing is queued again */
    struct rpi_counts counts;
};

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

/* Items that were handed out and came back. */
struct rpi_range {
    uint64_t first;
    uint32_t count;
};

/* A map whose items are not all settled. */
struct rpi_map {
    struct rpi_link link;
    struct rpi_map_request request;
    uint64_t id, number;
    uint64_t next;          /* the first item not handed out yet */
    struct rpi_range *back; /* these go before it */
    uint32_t back_count, back_capacity;
    uint64_t back_items;
    uint64_t left; /* items not settled */
    double submitted;
    bool stopped; /* it was cancelled */
    uint64_t failures;
    uint64_t cancelled; /* of them */
    uint64_t failed;    /* the lowest failing index */
    rp_status status;   /* its */
    int code;
    int worker;
    char message[RPI_MESSAGE_MAX + 1];
};

/* A future that others depend on. */
struct rpi_deps_input {
    struct rpi_link link; /* in its bucket */
    uint64_t id;
    uint32_t dependents;   /* unsettled ones, and messages under way with it as a piece */
    struct rpi_link edges; /* of those that wait for it */
    uint8_t *sent;         /* a bit for each worker that has it; NULL: no worker has */
};

struct rpi_deps_edge {
    struct rpi_link link;
    struct rpi_deps_dependent *owner;
    struct rpi_deps_input *input;
};

/* A task with inputs. */
struct rpi_deps_dependent {
    struct rpi_link link; /* in deps->moved when it can be queued or settled, else alone */
    struct rpi_link all;
    /* in deps->urgent when it may be more urgent than its inputs, else alone */
    struct rpi_link urgent;
    uint64_t id;
    struct rpi_entry entry; /* while it waits; data is an rpi_buffer, or borrowed */
    void *arg;              /* that buffer, or NULL */
    uint32_t count, unmet;
    uint64_t failed; /* an input that failed; 0: none */
    bool follows;    /* it does not run, but takes the outcome of its one input */
    struct rpi_deps_edge edges[];
};

#endif
