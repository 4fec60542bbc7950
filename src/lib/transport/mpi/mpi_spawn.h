/* Workers that a process spawns: copies of the program, on its own arguments.  A spawned worker
 * knows itself by RANKPOOL_SPAWNED in its environment, set for the spawn alone, and is told there
 * which of the program's opens it was spawned by. */
#ifndef RPI_MPI_SPAWN_H
#define RPI_MPI_SPAWN_H

#include "base/alloc.h"

#include <mpi.h>

/* What they are for: a pool's first workers, or one in the place of a lost one. */
enum rpi_mpi_spawn_why { RPI_MPI_SPAWN_FIRST, RPI_MPI_SPAWN_HEIR };

/* Spawns `count` workers for this program's open of that `number` (from 1), on that host (NULL:
 * where MPI likes).  *ranks: this process as rank 0, then them; the caller's to free. RP_ERR_MPI:
 * MPI refuses; the message says what to do.  RP_ERR_BROKEN: they had not all come after `timeout`
 * seconds. */
RP_MUST_USE rp_status rpi_mpi_spawn_spawn(enum rpi_mpi_spawn_why why, int count, unsigned number,
                                          const char *host, double timeout,
                                          const struct rpi_alloc *alloc, MPI_Comm *ranks);

/* In a spawned worker the number of the open it was spawned for, else 0.  MPI must be
 * initialised. */
unsigned rpi_mpi_spawn_turn(void);

/* A spawned worker meets its parent: the *ranks that rpi_mpi_spawn_spawn has made there.  Once. */
RP_MUST_USE rp_status rpi_mpi_spawn_join(MPI_Comm *ranks);

/* For a process's very end, after MPI's: a spawned worker waits until the launcher's daemon has
 * taken note. */
void rpi_mpi_spawn_leave(void);

#endif
