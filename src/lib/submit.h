/* What submitting one task and many have in common. */
#ifndef RPI_SUBMIT_H
#define RPI_SUBMIT_H

#include "pool.h"

/* Checks the application's options (NULL: defaults) against the pool and takes what the engine keeps of them.  RP_ERR_INVALID. */
RP_MUST_USE rp_status rpi_task_options(const rp_task_options *given, const rp_pool *pool, struct rpi_options *options);

/* A task as the application gives it. */
struct rpi_submission {
    rp_fn *fn;
    const void *arg;
    size_t size;
    const rp_task_options *options; /* NULL: defaults */
    const struct rpi_options *kept; /* of the stream it belongs to, or NULL: what `options` does not say */
    uint32_t link;                  /* its index there */
    bool held;                      /* the application keeps the future */
};

/* Whether the queue has room for a task with so large an argument. */
bool rpi_pool_has_room(rp_pool *pool, size_t size);
/* Waits for room in the queue where there is a limit, or fails with RP_ERR_FULL.  The lock is held, but let go while it waits. */
RP_MUST_USE rp_status rpi_pool_room(rp_pool *pool, size_t size, const rp_task_options *options);

/* Checks it, makes room for it and queues it.  The lock is held. */
RP_MUST_USE rp_status rpi_pool_submit(rp_pool *pool, const struct rpi_submission *submission, uint64_t *id);

/* RP_ERR_INVALID (NULL), RP_ERR_UNREGISTERED. */
RP_MUST_USE rp_status rpi_function_number(const rp_pool *pool, rp_fn *fn, const char *caller, uint16_t *number);

#endif
