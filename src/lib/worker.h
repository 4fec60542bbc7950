/* The worker's engine: takes batches of tasks in, gives tasks out one by one, collects their results into batches.  Pure: effects are
 * left to be fetched (batches to send, large payloads to receive). */
#ifndef RPI_WORKER_H
#define RPI_WORKER_H

#include "batch.h"
#include "catalogue.h"
#include "outcomes.h"

#include <stdatomic.h>

struct rpi_worker_config {
    struct rpi_alloc alloc;
    uint32_t batch_limit; /* bytes */
    uint32_t functions;   /* registered */
};

struct rpi_worker {
    struct rpi_worker_config config;
    struct rpi_batches batches;
    struct rpi_link inbox;        /* batches of tasks, the first one under way */
    struct rpi_link outgoing;     /* batches to send */
    struct rpi_link incoming;     /* arrivals to post, in the order of their frames */
    struct rpi_link arriving;     /* posted, in the same order */
    struct rpi_link filling;      /* posted, of shared data */
    struct rpi_outcomes outcomes; /* of tasks that others here come after */
    uint32_t outcomes_coming;
    struct rpi_catalogue catalogue;
    struct rpi_reader reader; /* of the inbox's first batch */
    bool reading;
    struct rpi_arrival *current;   /* holds the running task's argument, or NULL */
    struct rpi_batch *out, *spare; /* results so far; what follows when it is full */
    struct rpi_writer writer;
    bool starved;           /* there was no memory for the next task's result, or to know of shared data */
    uint32_t untimed;       /* results in `out` without a time of their own */
    double untimed_seconds; /* that they took together */
    struct rpi_task running;
    bool busy;          /* `running` is */
    atomic_bool cancel; /* it is to stop: rp_cancelled() asks */
    bool stopping;      /* rank 0 said that nothing more will come */
    bool alone;         /* and that the pool has failed */
};

void rpi_worker_init(struct rpi_worker *worker, const struct rpi_worker_config *config);
void rpi_worker_fini(struct rpi_worker *worker);

/* A batch came from rank 0.  RP_ERR_BROKEN: it is damaged.  RP_ERR_NOMEM: nothing changed, give it again later. */
RP_MUST_USE rp_status rpi_worker_receive(struct rpi_worker *worker, const void *data, size_t size);
/* A posted arrival is complete. */
void rpi_worker_arrived(struct rpi_worker *worker, struct rpi_arrival *arrival);
/* The bytes of a batch, or of one of its pieces, are on their way. */
void rpi_worker_sent(struct rpi_worker *worker, struct rpi_batch *batch);

/* The next task to run, valid until rpi_worker_done and the next call.  false: none now (or no memory for its result). */
bool rpi_worker_next(struct rpi_worker *worker, struct rpi_task *task);

/* Whether the result has room; if not, rpi_worker_flush makes it. */
bool rpi_worker_fits(const struct rpi_worker *worker, const struct rpi_result *result);
/* The task given last is done; the result's buffer is taken over.  `ran`: seconds, or negative: part of what
 * rpi_worker_spent says of several tasks. */
void rpi_worker_done(struct rpi_worker *worker, const struct rpi_task *task, const struct rpi_result *result, double ran);
/* A child that the running task has spawned goes before its result: whether its frame fits, and the putting of it.  Behind a flush
 * rpi_worker_make_room looks for room; false: no memory. */
bool rpi_worker_fits_frame(const struct rpi_worker *worker, uint32_t size);
void rpi_worker_put_frame(struct rpi_worker *worker, const uint8_t *frame, uint32_t size);
bool rpi_worker_make_room(struct rpi_worker *worker);
/* Tasks without a time of their own took so many seconds together. */
void rpi_worker_spent(struct rpi_worker *worker, double seconds);
/* The results so far go out. */
void rpi_worker_flush(struct rpi_worker *worker);

/* The next effect, or NULL. */
struct rpi_batch *rpi_worker_outgoing(struct rpi_worker *worker);
struct rpi_arrival *rpi_worker_incoming(struct rpi_worker *worker);
/* The transport has no memory for it: it is the next one again. */
void rpi_worker_unsent(struct rpi_worker *worker, struct rpi_batch *batch);
void rpi_worker_unposted(struct rpi_worker *worker, struct rpi_arrival *arrival);

/* Told to stop, and nothing is left to run or to send. */
bool rpi_worker_finished(const struct rpi_worker *worker);

#endif
