/* The thread at rank 0 that ends it if MPI does not come back.  A worker that is killed while it
 * writes into memory that MPI shares on a host may leave something incomplete there, for which MPI
 * at rank 0 waits for ever (Open MPI 4.1: the queue of mca_btl_vader).  This process can then only
 * say so and end.  The thread sleeps until a worker of this host ends, and then looks for some
 * seconds.  (Workers in the places of lost ones are reached over tcp.)
 *
 * It runs only where workers may be lost, and the system tells of a process's end (pidfd_open,
 * Linux 5.3). */
#ifndef RPI_WATCHDOG_H
#define RPI_WATCHDOG_H

#include "pool/state.h"

/* NULL: no worker on this host can be watched, or no memory, thread or descriptor was free. */
struct rpi_watchdog *rpi_watchdog_start(rp_pool *pool);
/* NULL: no effect. */
void rpi_watchdog_stop(struct rpi_watchdog *watchdog);

#endif
