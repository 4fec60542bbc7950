/* MPI's life in this process: rankpool initialises it only if the application has not, and then
 * finalises it once, at exit. */
#ifndef RPI_MPI_RUNTIME_H
#define RPI_MPI_RUNTIME_H

#include <rankpool.h>

/* Whether a launcher started this process, or the application has initialised MPI. */
bool rpi_mpi_runtime_launched(void);
/* Whether MPI can be called: initialised, and not finalised. */
bool rpi_mpi_runtime_active(void);
/* In a child of fork(): the MPI that its parent has initialised is not its own. */
void rpi_mpi_runtime_leave_to_parent(void);
/* RP_ERR_CONTEXT in such a child. */
RP_MUST_USE rp_status rpi_mpi_runtime_fork_check(const char *function);
/* RP_ERR_MPI where srun started several copies that this MPI would take for one process each. */
RP_MUST_USE rp_status rpi_mpi_runtime_srun_check(void);
/* Initialises MPI unless it is.  RP_ERR_MPI: it cannot be, or it is finalised already.
 * RP_ERR_BROKEN: it takes more than `timeout` seconds, and the launcher lets ranks go on without
 * one that has ended. */
RP_MUST_USE rp_status rpi_mpi_runtime_begin(double timeout);
/* Whether any thread may call MPI at any time. */
bool rpi_mpi_runtime_threads(void);
/* Whether the launcher lets a job go on when one of its ranks has ended. */
bool rpi_mpi_runtime_recovers(void);
/* A pool has ended without one of its ranks. */
void rpi_mpi_runtime_bereft(void);
/* Finalises MPI if rpi_mpi_runtime_begin initialised it; after rpi_mpi_runtime_bereft it may be
 * given up. */
void rpi_mpi_runtime_end(void);
/* MPI is never finalised: a thread of ours does not come back from it. */
void rpi_mpi_runtime_give_up(void);
/* Ends the whole job at once. */
void rpi_mpi_runtime_abort(int code);

/* Whether this is a child of fork() whose parent has initialised MPI. */
bool rpi_mpi_runtime_inherited(void);
/* MPI_Finalize, as the application calls it; after rpi_mpi_runtime_bereft it may be given up. */
int rpi_mpi_runtime_finalize(void);

#endif
