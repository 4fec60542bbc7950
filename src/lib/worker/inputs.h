/* Outcomes of other tasks, kept at a worker for the tasks that come after them. */
#ifndef RPI_INPUTS_H
#define RPI_INPUTS_H

#include "base/table.h"
#include "proto/batch.h"

struct rpi_inputs {
    struct rpi_alloc alloc;
    struct rpi_table kept;  /* outcomes, by id */
    struct rpi_table lists; /* what a task needs, by the task's id */
    uint64_t list_count;
    rp_bytes *views; /* of the running task's inputs */
    uint32_t view_capacity;
};

void rpi_inputs_init(struct rpi_inputs *inputs, const struct rpi_alloc *alloc);
void rpi_inputs_fini(struct rpi_inputs *inputs);

/* One frame of an INPUT message.  A large outcome sets *arrival, to be posted.  RP_ERR_NOMEM: give
 * it again; RP_ERR_BROKEN. */
RP_MUST_USE rp_status rpi_inputs_take(struct rpi_inputs *inputs, const struct rpi_frame *frame,
                                      struct rpi_arrival **arrival);

/* The inputs of a task.  false: not all are here yet (or no memory for the list of them). */
bool rpi_inputs_for(struct rpi_inputs *inputs, uint64_t task, const rp_bytes **views,
                    uint32_t *count);
/* The task is done. */
void rpi_inputs_done(struct rpi_inputs *inputs, uint64_t task);

#endif
