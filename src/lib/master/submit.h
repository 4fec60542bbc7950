/* Submission: the fast path of nearly every task, which has no options or only its stream's and a
 * small argument.  It has the effects of rpi_master_submit, which takes all other tasks. */
#ifndef RPI_SUBMIT_H
#define RPI_SUBMIT_H

#include "master/master.h"

static inline bool rpi_submit_is_plain(const struct rpi_master *master,
                                       const struct rpi_request *request)
{
    return !request->options && !request->after_count && !request->key && !request->stored &&
           !request->spawned && !request->released && !request->number && !request->link &&
           !master->versions.current &&
           request->size <= rpi_wire_inline_limit(master->config.batch_limit);
}

/* rpi_master_submit for a plain request of any size. */
RP_MUST_USE rp_status rpi_submit_plain_any(struct rpi_master *master, uint16_t function,
                                           const void *arg, uint32_t size, double now,
                                           uint64_t *id);

static inline void rpi_submit_begin(struct rpi_master *master, struct rpi_future *future,
                                    uint16_t function, uint32_t size, double now)
{
    rpi_future_queued(future, function, size);
    future->pending.number = master->next_number++;
    future->pending.submitted = now;
    master->unsettled++;
    master->counts.submitted++;
}

/* rpi_master_submit for a plain request. */
RP_MUST_USE static inline rp_status rpi_submit_plain(struct rpi_master *master, uint16_t function,
                                                     const void *arg, uint32_t size, double now,
                                                     uint64_t *id)
{
    struct rpi_future *future = NULL;
    if (size == RPI_SMALL_RESULT && rpi_taskq_has_room(&master->ready.queue))
        future = rpi_future_next(&master->futures, id);
    if (!future)
        return rpi_submit_plain_any(master, function, arg, size, now, id);
    rpi_taskq_push_short(&master->ready.queue, *id, function, arg);
    rpi_submit_begin(master, future, function, RPI_SMALL_RESULT, now);
    return RP_OK;
}

/* The same for a stream's item without options of its own: `options` is the number of the stream's,
 * and these completions must have room. */
RP_MUST_USE static inline rp_status rpi_submit_item(struct rpi_master *master, uint16_t function,
                                                    const rp_bytes *arg, double now,
                                                    uint32_t options, uint32_t link, uint64_t *id)
{
    rp_status status = rpi_submit_plain(master, function, arg->data, (uint32_t)arg->size, now, id);
    if (status != RP_OK)
        return status;
    struct rpi_future *future = rpi_future_slot(&master->futures, (uint32_t)*id);
    rpi_options_hold(&master->options, options);
    future->options = options;
    future->link = link;
    future->flags = RPI_FUTURE_STREAMED | RPI_FUTURE_RELEASED;
    return RP_OK;
}

#endif
