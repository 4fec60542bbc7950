/* Handing back: while a worker has nothing to do and no task is queued, those that have more than
 * they run are asked for the rest.
 *
 * Workers stand in a list by the time of their last batch.  The first of it has been left alone
 * longest; one that has nothing to hand back leaves the list until it gets more, so a look costs no
 * more than the batches before it did. */
#ifndef RPI_REBALANCE_H
#define RPI_REBALANCE_H

#include "master/master.h"

/* When no task is queued.  Sets master->look_again. */
void rpi_rebalance_look(struct rpi_master *master);

/* A RETURNED message: what it names is queued again, before others, and no start of it is counted.
 * RP_ERR_NOMEM: give it again. */
RP_MUST_USE rp_status rpi_rebalance_returned(struct rpi_master *master, int worker,
                                             struct rpi_reader *reader);

#endif
