/* The worker in this process: the only one of a pool of one process, or worker 0, where rank 0
 * works beside its other workers.  Its functions run on application threads inside calls on the
 * pool, one at a time, with the pool's lock let go. */
#ifndef RPI_LOCAL_WORKER_H
#define RPI_LOCAL_WORKER_H

#include "pool/state.h"

/* Seconds: a task that may delay a timeout, or what other workers wait for. */
#define RPI_LOCAL_WORKER_SHORT 1e-3

/* Makes it, as number 1 or 0; *end is the master's end of its transport, which the caller closes
 * before rpi_local_worker_free. */
RP_MUST_USE rp_status rpi_local_worker_make(rp_pool *pool, int number, uint32_t batch_limit,
                                            const rp_config *config, struct rpi_transport **end);
/* No effect without one. */
void rpi_local_worker_free(rp_pool *pool);

/* Takes what came to it, runs `most` tasks at the most, with the lock let go meanwhile, and
 * answers.  Returns whether anything happened. */
bool rpi_local_worker_run(rp_pool *pool, uint32_t most);

#endif
