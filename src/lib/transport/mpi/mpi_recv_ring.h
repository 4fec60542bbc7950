/* Receives that are posted before the batches come: MPI fills them in the order of posting.
 *
 *   to be posted again | head: looked at next | posted ... */
#ifndef RPI_MPI_RECV_RING_H
#define RPI_MPI_RECV_RING_H

#include "base/alloc.h"

#include <mpi.h>

#define RPI_MPI_RECV_RING 32 /* batches received before anyone looks; more wait inside MPI */

struct rpi_mpi_recv_ring {
    MPI_Comm comm;
    int tag;
    uint8_t *bytes; /* RPI_MPI_RECV_RING times RPI_BATCH_MAX */
    MPI_Request requests[RPI_MPI_RECV_RING];
    unsigned head;
    unsigned unposted; /* number of places before the head: posted again when nothing has come, so
                          that no message has to wait for it */
    bool held;         /* the head's batch is here */
    int size, source;  /* while it is */
};

/* NULL bytes: no memory.  Nothing is posted yet. */
void rpi_mpi_recv_ring_init(struct rpi_mpi_recv_ring *ring, const struct rpi_alloc *alloc);
void rpi_mpi_recv_ring_free(struct rpi_mpi_recv_ring *ring, const struct rpi_alloc *alloc);

RP_MUST_USE rp_status rpi_mpi_recv_ring_post(struct rpi_mpi_recv_ring *ring, MPI_Comm comm,
                                             int tag);
/* Takes all receives back. */
void rpi_mpi_recv_ring_cancel(struct rpi_mpi_recv_ring *ring);

/* Whether the head's batch has come: ring->held.  Returns its outcome, as below; a batch that was
 * longer than its room has come, with 0 bytes. */
int rpi_mpi_recv_ring_look(struct rpi_mpi_recv_ring *ring);
const void *rpi_mpi_recv_ring_batch(const struct rpi_mpi_recv_ring *ring);
/* The head's batch is done with. */
RP_MUST_USE rp_status rpi_mpi_recv_ring_pop(struct rpi_mpi_recv_ring *ring);
/* Posts what is missing: nothing has come, or a look has failed because a process ended. */
RP_MUST_USE rp_status rpi_mpi_recv_ring_fill(struct rpi_mpi_recv_ring *ring);

/* What has come of a request that is over: MPI's code for it, or RPI_MPI_RECV_RING_CANCELLED.  Only
 * where that is MPI_SUCCESS it has moved its bytes, whatever the status says besides. */
int rpi_mpi_recv_ring_outcome(int code, const MPI_Status *status);
/* No request is cancelled while a pool works.  Open MPI says it of a receive over libfabric whose
 * sender's connection has ended. */
#define RPI_MPI_RECV_RING_CANCELLED (-1)
/* Whether a message was longer than its buffer: its sender's fault, not MPI's. */
bool rpi_mpi_recv_ring_is_cut_off(int code);

#endif
