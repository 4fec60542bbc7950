/* Workers in the places of lost ones, spawned by MPI. */
#ifndef RPI_RESPAWN_MPI_H
#define RPI_RESPAWN_MPI_H

#include "open/handshake.h"
#include "pool/respawn.h"

/* For a pool that is being opened, of which `opening` says what its workers are told; `turn`: which
 * of the program's opens it is; `beat`: seconds between heartbeats.  *respawn is NULL where
 * config wants none, or where none can be: then a warning says why.  RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_respawn_mpi_make(const rp_config *config,
                                           const struct rpi_handshake *opening, unsigned turn,
                                           double beat, struct rpi_respawn **respawn);

#endif
