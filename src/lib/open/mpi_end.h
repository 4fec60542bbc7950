/* Tasks that end MPI, or make an error in it, and MPI's own functions for that, which the library
 * has in their place. */
#ifndef RPI_MPI_END_H
#define RPI_MPI_END_H

#include <rankpool.h>

/* From now on a task that calls MPI_Finalize, which would wait for the other ranks, is noticed
 * first. */
void rpi_mpi_end_watch(void);

/* From now on an error in this process' calls of MPI that the application leaves to the default
 * handler names the task that made it, before it ends what it ends; until rpi_mpi_end_leave_errors.
 * MPI is initialised. */
void rpi_mpi_end_watch_errors(void);
void rpi_mpi_end_leave_errors(void);

#endif
