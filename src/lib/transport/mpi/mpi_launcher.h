/* What has started this process, by what it leaves in the environment. */
#ifndef RPI_MPI_LAUNCHER_H
#define RPI_MPI_LAUNCHER_H

#include <rankpool.h>
#include <stdbool.h>

/* Whether a launcher of MPI programs has. */
bool rpi_mpi_launcher_is_there(void);
/* RP_ERR_MPI where the launcher counts several ranks and MPI, which is initialised, one: it is
 * another MPI's launcher, and each of its processes would be a pool of its own.  Not where the
 * environment is only inherited, from a rank that has started this process itself. */
RP_MUST_USE rp_status rpi_mpi_launcher_check(void);

#endif
