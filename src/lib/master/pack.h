/* Filling batches: queued tasks become frames. */
#ifndef RPI_PACK_H
#define RPI_PACK_H

#include "master/master.h"
#include "tables/policy.h"

/* Fills a batch from this queue up to the grant, and makes it an effect.  false: no memory, nothing
 * went. */
bool rpi_pack_send(struct rpi_master *master, struct rpi_taskq *queue, int worker,
                   struct rpi_grant grant, double now);

/* The worker that this task prefers, if it is present and has not handed the task back, or
 * `otherwise`. */
int rpi_pack_wanted(const struct rpi_master *master, const struct rpi_entry *entry,
                    const struct rpi_future *future, int otherwise);

#endif
