#ifndef RANKPOOL_CLI_JOB_H
#define RANKPOOL_CLI_JOB_H

#include "addresses.h"

/* Runs `command` (mpirun, with RANK_COMMAND in the program's place) to its end. Ends it itself when
 * the other ranks have not ended within `grace` seconds after rank 0, or when only mpirun is left.
 * A host that does not answer for `host_timeout` seconds is given up. Ranks report on this host's
 * loopback and on `addresses`. Returns the exit status to pass on: rank 0's if there is one. */
int job_run(const char *const *command, const struct addresses *addresses, double grace,
            double host_timeout);

#endif
