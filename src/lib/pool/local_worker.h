/* The worker in this process: the only one of a pool of one process, or worker 0, where rank 0 works beside its other workers.  Its
 * functions run on application threads inside calls on the pool, one at a time, with the pool's lock let go. */
#ifndef RPI_LOCAL_WORKER_H
#define RPI_LOCAL_WORKER_H

#include "pool/pool.h"

/* Makes it, as number 1 or 0; *end is the master's end of its transport, which the caller closes before rpi_local_worker_free. */
RP_MUST_USE rp_status rpi_local_worker_make(rp_pool *pool, int number, uint32_t batch_limit, const rp_config *config,
                                            struct rpi_transport **end);
/* None: no effect. */
void rpi_local_worker_free(rp_pool *pool);

/* In a pool of one process: takes what came, runs a task, answers.  Returns whether anything happened. */
bool rpi_local_worker_run(rp_pool *pool);

/* In a waiting call with `left` seconds to go, when no other worker can be given more: takes a task for rank 0 itself, or a few very
 * short ones, and runs them.  Returns whether anything happened. */
bool rpi_local_worker_help(rp_pool *pool, double left);

#endif
