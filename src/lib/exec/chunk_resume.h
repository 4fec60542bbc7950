/* A chunk of a map whose process died in the middle: what was done is kept, the item that ran has
 * failed, the rest is a task for a fresh process.  No item runs twice, or fails for another's
 * fault. */
#ifndef RPI_CHUNK_RESUME_H
#define RPI_CHUNK_RESUME_H

#include "base/alloc.h"
#include "proto/task.h"

struct rpi_chunk_resume {
    struct rpi_alloc alloc;
    const struct rpi_task *task; /* the whole chunk; borrowed */
    uint32_t items, done;        /* to do in all, and done */
    uint8_t *results;            /* an rpi_buffer: of all items, then their failures */
    uint32_t failures, failures_size, capacity;
};

/* RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_chunk_resume_begin(struct rpi_chunk_resume *resume,
                                             const struct rpi_alloc *alloc,
                                             const struct rpi_task *task);
void rpi_chunk_resume_drop(struct rpi_chunk_resume *resume);

/* Sets the items to do in all, after others were taken from the chunk. */
void rpi_chunk_resume_cut(struct rpi_chunk_resume *resume, uint32_t items);
/* What is not done. */
void rpi_chunk_resume_rest(const struct rpi_chunk_resume *resume, struct rpi_task *rest);
/* The next `items` items are done: their results, and `count` failures of `size` bytes, checked
 * (rpi_child_result_failures), that count from the first of them.  RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_chunk_resume_add(struct rpi_chunk_resume *resume, const uint8_t *results,
                                           uint32_t items, const uint8_t *failures, uint32_t size,
                                           uint32_t count);
/* Fails the next `items` items in this way.  RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_chunk_resume_fail(struct rpi_chunk_resume *resume, uint32_t items,
                                            const struct rpi_result *how);
/* The whole chunk's result; nothing is left in *resume. */
void rpi_chunk_resume_finish(struct rpi_chunk_resume *resume, struct rpi_result *result);

#endif
