/* ULFM, user-level failure mitigation, where this MPI has it (mpi-ext.h): a call that a peer's end
 * has made fail says so, and the others go on.  Without it nothing here does anything; the side
 * channel tells of the same ends in either case. */
#ifndef RPI_MPI_ULFM_H
#define RPI_MPI_ULFM_H

#include <mpi.h>
#include <stdbool.h>

/* Whether rankpool was compiled for an MPI that has it. */
bool rpi_mpi_ulfm_is_here(void);

/* Whether this code of an MPI call says that a process has ended. */
bool rpi_mpi_ulfm_is_end(int code);

/* Calls ended(context, rank) for each rank of the communicator that MPI knows to have ended; from
 * then on receives from any rank go on without these. */
void rpi_mpi_ulfm_ended(MPI_Comm comm, void (*ended)(void *context, int rank), void *context);

#endif
