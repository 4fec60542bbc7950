/* The ranks of a communicator come together on a duplicate of it. */
#ifndef RPI_MPI_DUP_H
#define RPI_MPI_DUP_H

#include "base/alloc.h"

#include <mpi.h>

/* the highest tag that rankpool uses on the application's communicator, with the one below it */
#define RPI_TAG_MOST 29471

/* *ranks: the duplicate, which must stay where it is: where the time is over the duplication goes
 * on inside MPI and writes there.  Collective over comm. RP_ERR_BROKEN: after `timeout` seconds a
 * rank had not come; rank 0's message names it.  A rank that comes after another has given up gets
 * RP_ERR_BROKEN at once, and is told which, and when.  RP_ERR_NOMEM, RP_ERR_MPI. */
RP_MUST_USE rp_status rpi_mpi_dup(MPI_Comm comm, double timeout, const struct rpi_alloc *alloc,
                                  MPI_Comm *ranks);

/* RP_ERR_MPI, with MPI's own text. */
rp_status rpi_mpi_dup_failed(const char *call, int code);

#endif
