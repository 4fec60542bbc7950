/* How many files this process may have open: rank 0 has a connection to every worker. */
#ifndef RPI_FILES_H
#define RPI_FILES_H

#include <rankpool.h>
#include <stdbool.h>

/* Raises the soft limit just enough that `more` further files can be opened, at most to the hard
 * limit.  RP_ERR_BROKEN: fewer than `least` more can be, even so. */
RP_MUST_USE rp_status rpi_files_allow(unsigned long least, unsigned long more);

/* Whether a call failed because no descriptor was free. */
bool rpi_files_are_short(int error);
/* RP_ERR_BROKEN, with a message that says so; `what` has failed. */
rp_status rpi_files_error(const char *what, int error);

#endif
