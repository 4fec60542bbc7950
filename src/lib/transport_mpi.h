/* Batches over MPI.  MPI-3.1 calls only; nothing here blocks. */
#ifndef RPI_TRANSPORT_MPI_H
#define RPI_TRANSPORT_MPI_H

#include "alloc.h"
#include "log.h"
#include "transport.h"
#include "watch.h"

#include <mpi.h>

/* Opens one over a duplicate of `comm`; every rank of it is a peer by its number.  Collective over comm.
 * RP_ERR_BROKEN: after `timeout` seconds a rank had not come; rank 0's message names it.  RP_ERR_NOMEM, RP_ERR_MPI. */
RP_MUST_USE rp_status rpi_transport_mpi_open(MPI_Comm comm, double timeout, const struct rpi_alloc *alloc,
                                             struct rpi_transport **transport);

/* For rank 0 of a pool whose peers no launcher watches over: from now on the end of one of those in `watch` (taken over) breaks the
 * pool.  send, poll: RP_ERR_BROKEN; nothing is sent any more, which over tcp might never return. */
void rpi_transport_mpi_watch(struct rpi_transport *transport, const struct rpi_watch *watch);

#endif
