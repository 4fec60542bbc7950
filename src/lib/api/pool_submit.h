/* What submitting one task and many have in common. */
#ifndef RPI_POOL_SUBMIT_H
#define RPI_POOL_SUBMIT_H

#include "pool/pool.h"
#include "pool/step.h"

/* Checks the application's options (NULL: defaults) against the pool and takes what the engine
 * keeps of them.  RP_ERR_INVALID. */
RP_MUST_USE rp_status rpi_pool_submit_options(const rp_task_options *given, const rp_pool *pool,
                                              struct rpi_options *options);

/* A task as the application gives it. */
struct rpi_submission {
    rp_fn *fn;
    const void *arg;
    size_t size;
    const rp_task_options *options; /* NULL: defaults */
    /* of the stream it belongs to, or NULL: what `options` does not say */
    const struct rpi_options *kept;
    uint32_t link;   /* its index there */
    uint64_t number; /* its identity; 0: the next number of submission */
    bool held;       /* the application keeps the future */
};

/* Whether the queue has room for a task with so large an argument. */
bool rpi_pool_submit_has_room(rp_pool *pool, size_t size);
/* Waits for room in the queue where there is a limit, or fails with RP_ERR_FULL.  The lock is held,
 * but let go while it waits. */
RP_MUST_USE rp_status rpi_pool_submit_room(rp_pool *pool, size_t size,
                                           const rp_task_options *options);

/* Checks it, makes room for it and queues it.  The lock is held. */
RP_MUST_USE rp_status rpi_pool_submit(rp_pool *pool, const struct rpi_submission *submission,
                                      uint64_t *id);

/* The function's number, for a task without options of its own, while nothing stands in the short
 * way; or RPI_NO_FUNCTION. */
static inline uint16_t rpi_pool_submit_plainly(const rp_pool *pool, rp_fn *fn, const void *arg,
                                               size_t size)
{
    const struct rpi_master *master = &pool->master;
    if (!fn || !arg || size > rpi_wire_inline_limit(master->config.batch_limit) ||
        pool->broken != RP_OK || master->dropped ||
        (master->versions.current | pool->limits.tasks | pool->limits.bytes) != 0)
        return RPI_NO_FUNCTION;
    return rpi_registry_find(&pool->registry, fn);
}

/* A task more: an idle worker gets it at once, unless many more come. */
static inline void rpi_pool_submitted(rp_pool *pool)
{
    if (!pool->steps.burst && rpi_roster_has_idle(&pool->master.roster))
        rpi_step_dispatch(pool);
    rpi_step_drive(pool);
}

/* Whether an array of `count` items of `size` bytes can be in memory. */
static inline bool rpi_pool_submit_fits(size_t count, size_t size)
{
    return size == 0 || count <= PTRDIFF_MAX / size;
}

#endif
