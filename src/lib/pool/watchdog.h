/* The thread at rank 0 that ends it where MPI does not come back.  A worker that is killed while it
 * writes into memory that MPI shares on a host may leave there what MPI at rank 0 waits for ever to
 * be completed (Open MPI 4.1: the queue of mca_btl_vader).  Nothing can be done for this process
 * then, but to say so and end it.  The thread sleeps until a worker of this host ends, and looks
 * for some seconds then. (Workers in the places of lost ones are reached over tcp.)
 *
 * Only where workers may be lost, and where the system tells of a process's end (pidfd_open,
 * Linux 5.3). */
#ifndef RPI_WATCHDOG_H
#define RPI_WATCHDOG_H

#include "pool/state.h"

/* NULL: there is none, for want of workers on this host, or of memory or descriptors. */
struct rpi_watchdog *rpi_watchdog_start(rp_pool *pool);
/* NULL: no effect. */
void rpi_watchdog_stop(struct rpi_watchdog *warden);

#endif
