/* What is under way with workers: batches from rpi_inflight_send until their last task and byte are
 * done with, and large results from their announcement on. */
#ifndef RPI_INFLIGHT_H
#define RPI_INFLIGHT_H

#include "master/master.h"

/* Makes a batch an effect, the last one so far. */
void rpi_inflight_send(struct rpi_master *master, struct rpi_batch *batch);
/* Takes `tasks` tasks, which ran for `ran` seconds in all, from the batch with this index. */
void rpi_inflight_leave(struct rpi_master *master, uint32_t index, uint32_t tasks, double ran);

/* Whether this attempt of a task is under way. */
static inline bool rpi_inflight_is_sent(const struct rpi_future *future, uint8_t attempt)
{
    return future && future->state == RP_SENT && future->attempts == attempt;
}

/* Whether it is under way at that worker. */
static inline bool rpi_inflight_is_at(const struct rpi_master *master,
                                      const struct rpi_future *future, int worker, uint8_t attempt)
{
    return rpi_inflight_is_sent(future, attempt) &&
           master->batches.table[future->pending.batch]->peer == worker;
}

/* The future of a frame's task if this attempt is under way at that worker and unanswered; else
 * NULL. */
struct rpi_future *rpi_inflight_awaited(const struct rpi_master *master, int worker,
                                        const struct rpi_frame *frame);
/* Makes room for the large result that `frame` announces.  RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_inflight_announce(struct rpi_master *master,
                                            const struct rpi_frame *frame, int worker);
void rpi_inflight_drop_arrival(struct rpi_master *master, struct rpi_arrival *arrival);

#endif
