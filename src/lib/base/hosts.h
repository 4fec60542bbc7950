/* Which ranks share a host, and when a host is given up. */
#ifndef RPI_HOSTS_H
#define RPI_HOSTS_H

#include "base/alloc.h"

#define RPI_HOST_BYTES 64 /* of a host's name, with its zero */

/* Seconds after which a host that does not answer is given up, by default.  A cable that is mended
 * within half of it, where that is 3 s and more, costs no worker, and a host whose cable was out
 * asks who has which address before it answers, once a second: 2.5 s.  It is added to what a cut
 * cable costs. */
#define RPI_HOST_TIMEOUT       3.0
#define RPI_HOST_TIMEOUT_LEAST 1.0
#define RPI_HOST_TIMEOUT_MOST  3600.0

/* How many ranks share each rank's host; `hosts` has their names, RPI_HOST_BYTES a rank.  NULL: no
 * memory. */
int *rpi_hosts_crowds(const char *hosts, size_t ranks, const struct rpi_alloc *alloc);

#endif
