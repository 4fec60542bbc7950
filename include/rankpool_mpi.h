/* rankpool over a communicator of the application's: the only public line that knows MPI. */
#ifndef RANKPOOL_MPI_H
#define RANKPOOL_MPI_H

/* In C++, <mpi.h> would bring the C++ bindings too (Open MPI's MPI::Comm, MPICH's mpicxx.h), which
 * need a library that a C program's link line has not.  Whoever wants them includes <mpi.h>
 * first. */
#ifndef OMPI_SKIP_MPICXX
#define OMPI_SKIP_MPICXX 1
#endif
#ifndef MPICH_SKIP_MPICXX
#define MPICH_SKIP_MPICXX 1
#endif
#include <mpi.h>
#include <rankpool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As rp_open, over `comm` (an intracommunicator; a duplicate is used, comm itself stays the
 * caller's).  Two pools on two communicators may be open in one process at once.  Collective over
 * comm; MPI must be initialised. Errors: as rp_open: RP_ERR_INVALID (also: MPI_COMM_NULL, an
 * intercommunicator, MPI not initialised or already finalised), RP_ERR_UNREGISTERED, RP_ERR_NOMEM,
 * RP_ERR_FULL, RP_ERR_CONTEXT, RP_ERR_BROKEN, RP_ERR_MPI, RP_ERR_IO. */
RP_API RP_MUST_USE rp_status rp_open_comm(MPI_Comm comm, const rp_config *config, rp_pool **pool);

#ifdef __cplusplus
}
#endif
#endif
