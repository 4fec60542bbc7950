/* One rank's way into a pool of several: it meets the others, shakes hands, and is then the pool's
 * rank 0, or serves as a worker until the pool ends. */
#ifndef RPI_RANKS_H
#define RPI_RANKS_H

#include "open/handshake.h"
#include "open/oob_setup.h"

#include <mpi.h>

/* A rank on its way into a pool. */
struct rpi_ranks {
    rp_config config;
    struct rpi_alloc alloc;
    struct rpi_registry registry;
    struct rpi_handshake opening;
    struct rpi_oob_setup_mpi side;
    double began;
    struct rpi_journal *journal; /* rank 0's; NULL: none */
    struct rpi_trace *trace;     /* likewise */
    struct rpi_respawn *respawn; /* likewise */
    bool spawned; /* the other ranks are: a communicator of ours, and no launcher that ends all with
                     one */
};

/* `failure`: what already went wrong on this rank; rp_error_message() tells it, and the others are
 * told. */
void rpi_ranks_prepare(struct rpi_ranks *ranks, const rp_config *config, rp_status failure);
/* Over a communicator, after rpi_ranks_prepare.  *pool: rank 0's; NULL: a worker, whose service is
 * over. */
RP_MUST_USE rp_status rpi_ranks_open(MPI_Comm comm, struct rpi_ranks *ranks, rp_pool **pool);

/* What ends the job when a task leaves its process; NULL: nothing does. */
void (*rpi_ranks_job_ender(void))(int code);

/* This process's opens that went well.  A spawned worker counts those it passes: by their number it
 * finds the one it was spawned for. */
unsigned rpi_ranks_passed(void);
/* One more; returns how many they are now. */
unsigned rpi_ranks_pass(void);

#endif
