#ifndef RPI_MPI_START_H
#define RPI_MPI_START_H

#include <rankpool.h>

/* MPI_Init_thread, asking for MPI_THREAD_MULTIPLE; given up after `timeout` seconds, up to ten times as many
 * where ranks share cores, unless that is negative: where a launcher lets a job go on without
 * one of its ranks, and that rank ended on its way here, MPI waits for it for ever.  RP_ERR_BROKEN: given up, for ever; RP_ERR_MPI. */
RP_MUST_USE rp_status rpi_mpi_runtime_start(double timeout);

/* MPI_Finalize; given up after `timeout` seconds, unless that is negative. */
void rpi_mpi_stop(double timeout);

#endif
