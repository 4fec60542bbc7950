/* The side channel's opening over MPI's transport: rank 0 opens a gate, and lets in each worker
 * that comes to it with the token. */
#ifndef RPI_OOB_SETUP_H
#define RPI_OOB_SETUP_H

#include "oob/oob_listener.h"
#include "open/handshake.h"

struct rpi_oob_setup_mpi {
    struct rpi_oob_setup base;
    const struct rpi_handshake *opening; /* borrowed, as is all it has */
    struct rpi_oob_listener gate;
    double beat;         /* rank 0: seconds between workers' heartbeats; 0: none */
    double host_timeout; /* rank 0: seconds */
    bool foreign;        /* messages go over tcp wherever the peers are */
};

/* Makes opening->side out of `side`, for an opening over MPI. */
void rpi_oob_setup_prepare(struct rpi_oob_setup_mpi *side, struct rpi_handshake *opening);

#endif
