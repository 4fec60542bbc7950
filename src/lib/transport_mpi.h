/* Batches over MPI.  MPI-3.1 calls only; nothing here blocks. */
#ifndef RPI_TRANSPORT_MPI_H
#define RPI_TRANSPORT_MPI_H

#include "alloc.h"
#include "log.h"
#include "transport.h"

#include <mpi.h>

/* Opens one over a duplicate of `comm`; every rank of it is a peer by its number.  Collective over comm.
 * RP_ERR_BROKEN: after `timeout` seconds a rank had not come; rank 0's message names it.  RP_ERR_NOMEM, RP_ERR_MPI. */
RP_MUST_USE rp_status rpi_transport_mpi_open(MPI_Comm comm, double timeout, const struct rpi_alloc *alloc,
                                             struct rpi_transport **transport);

#endif
