/* Both ends of a transport inside one process, for the pool that has only this one.  Copies nothing
 * but large payloads. */
#ifndef RPI_TRANSPORT_LOCAL_H
#define RPI_TRANSPORT_LOCAL_H

#include "base/alloc.h"
#include "proto/transport.h"

/* Makes the two ends; the worker's end is peer 1 of the master's.  Each is closed by its
 * ops->close. */
RP_MUST_USE rp_status rpi_transport_local_open(const struct rpi_alloc *alloc,
                                               struct rpi_transport **master,
                                               struct rpi_transport **worker);

#endif
