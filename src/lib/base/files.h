/* How many files this process may have open: rank 0 has a connection to every worker. */
#ifndef RPI_FILES_H
#define RPI_FILES_H

#include <rankpool.h>
#include <stdbool.h>

/* Raises the soft limit so far, and no further, that this many more can be opened, or to the hard
 * limit where that is less.  RP_ERR_BROKEN: fewer than `least` more can be, even so. */
RP_MUST_USE rp_status rpi_files_allow(unsigned long least, unsigned long more);

/* Whether a call failed for want of a free descriptor. */
bool rpi_files_are_short(int error);
/* RP_ERR_BROKEN, which says so of what was to be done here. */
rp_status rpi_files_error(const char *what, int error);

#endif
