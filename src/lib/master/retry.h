/* Starting a task again, from the copy that its batch retains, or settling it as failed. */
#ifndef RPI_RETRY_H
#define RPI_RETRY_H

#include "master/settle.h"

/* A frame of a batch that was filled here. */
struct rpi_retry_retained {
    struct rpi_batch *batch;
    struct rpi_frame frame;
    uint16_t piece; /* with RPI_FRAME_LARGE: which of the batch's pieces */
};

/* Goes through a batch: open, and next puts one frame after the other into `now`. */
struct rpi_retry_retained_reader {
    struct rpi_reader reader;
    struct rpi_retry_retained now;
    uint16_t pieces; /* up to and with it */
};
bool rpi_retry_retained_open(struct rpi_retry_retained_reader *reader, struct rpi_batch *batch);
bool rpi_retry_retained_next(struct rpi_retry_retained_reader *reader);

/* Queues the task, or the chunk of a map, where its options want it, before its equals, and alone
 * if it was lost before; `flags`: of its entry.  The batch still counts it.  RP_ERR_NOMEM: nothing
 * changed. */
RP_MUST_USE rp_status rpi_retry(struct rpi_master *master,
                                const struct rpi_retry_retained *retained,
                                struct rpi_future *future, uint16_t flags);

/* The same for a task known by its future only, which leaves its batch.  *place, zero at first, is
 * where the last one was found: those that follow it are found at once.  RP_ERR_NOMEM: nothing
 * changed. */
RP_MUST_USE rp_status rpi_retry_at(struct rpi_master *master, uint64_t id,
                                   struct rpi_future *future, double ran, uint16_t flags,
                                   struct rpi_retry_retained_reader *place);

/* Settles a failed task, or queues it again.  RP_ERR_NOMEM: nothing changed. */
RP_MUST_USE rp_status rpi_retry_or_fail(struct rpi_master *master, uint64_t id,
                                        struct rpi_future *future, const struct rpi_settled *how);

#endif
