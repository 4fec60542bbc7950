/* Which ranks share a host. */
#ifndef RPI_HOSTS_H
#define RPI_HOSTS_H

#include "base/alloc.h"

#define RPI_HOST_BYTES 64 /* of a host's name, with its zero */

/* How many ranks share each rank's host; `hosts` has their names, RPI_HOST_BYTES a rank.  NULL: no memory. */
int *rpi_hosts_crowds(const char *hosts, size_t ranks, const struct rpi_alloc *alloc);

#endif
