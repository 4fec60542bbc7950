/* What a worker's engine remembers. */
#ifndef RPI_WORKER_STATE_H
#define RPI_WORKER_STATE_H

#include "proto/batch.h"
#include "proto/shared_cache.h"
#include "worker/inputs.h"

#include <stdatomic.h>

struct rpi_worker_config {
    struct rpi_alloc alloc;
    uint32_t batch_limit; /* bytes */
    uint32_t functions;   /* registered */
    /* NULL, or: ends the running chunk before its first item that has not begun; returns how many
     * items it then has */
    uint32_t (*cut)(void *context);
    void *context;
};

struct rpi_worker {
    struct rpi_worker_config config;
    struct rpi_batches batches;
    struct rpi_link inbox;    /* batches of tasks, the first one under way */
    struct rpi_link outgoing; /* batches to send */
    struct rpi_link incoming; /* arrivals to post, in the order of their frames */
    struct rpi_link arriving; /* posted, in the same order */
    struct rpi_link filling;  /* posted, of shared data */
    struct rpi_inputs inputs; /* of tasks that others here come after */
    uint32_t inputs_coming;
    struct rpi_shared_cache shared_cache;
    struct rpi_reader reader; /* of the inbox's first batch */
    bool reading;
    struct rpi_arrival *current;   /* holds the running task's argument, or NULL */
    struct rpi_batch *out, *spare; /* results so far; what follows when it is full */
    struct rpi_writer writer;
    bool starved; /* there was no memory for the next task's result, or to know of shared data */
    uint32_t untimed;       /* results in `out` without a time of their own */
    double untimed_seconds; /* that they took together */
    double usual; /* seconds: the mean of those before, for results that go before their time is
                     known */
    /* what a message may mean of it; of a chunk the items that it has now */
    struct rpi_task running;
    bool busy;      /* `running` is */
    uint16_t ahead; /* tasks after it, or after the last one, that have begun too: they cannot be
                       cancelled or handed back */
    atomic_bool cancel; /* it must stop: rp_cancelled() asks */
    bool stopping;      /* rank 0 said that nothing more will come */
    bool alone;         /* and that the pool has failed */
};

#endif
