/* Batches over MPI.  MPI-3.1 calls only; nothing here blocks. */
#ifndef RPI_TRANSPORT_MPI_H
#define RPI_TRANSPORT_MPI_H

#include "oob/oob_master.h"
#include "oob/oob_worker.h"
#include "proto/transport.h"

#include <mpi.h>

/* Opens one over a duplicate of `comm`; every rank of it is a peer by its number.  Collective over
 * comm. RP_ERR_BROKEN: after `timeout` seconds a rank had not come; rank 0's message names it.
 * RP_ERR_NOMEM, RP_ERR_MPI. */
RP_MUST_USE rp_status rpi_transport_mpi_open(MPI_Comm comm, double timeout,
                                             const struct rpi_alloc *alloc,
                                             struct rpi_transport **transport);

/* The side channel's ends, for who opens them: from then on this rank sleeps, and notices the end
 * of others.  Closed with the transport. */
struct rpi_oob_master *rpi_transport_mpi_channel(struct rpi_transport *transport);
struct rpi_oob_worker *rpi_transport_mpi_oob(struct rpi_transport *transport);
/* Messages may go over tcp: a peer is looked at right before each, for a message to one that has
 * ended might never return from MPI. */
void rpi_transport_mpi_be_shy(struct rpi_transport *transport);

/* Rank 0's `number`, which has ended, is from now on the one peer of `from`, over the communicator
 * and the side channel that they met by; `from` is taken over.  Its messages are not waited for any
 * more, nor is anything under way.  RP_ERR_BROKEN: it has ended as well; `from` is as it was. */
RP_MUST_USE rp_status rpi_transport_mpi_adopt(struct rpi_transport *transport, int number,
                                              struct rpi_transport *from);

#endif
