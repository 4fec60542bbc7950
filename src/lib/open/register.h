/* Names of task functions.  One table per process, filled before any open; each pool takes a
 * snapshot.  Functions of a plug-in that was unloaded are in no snapshot taken afterwards. */
#ifndef RPI_REGISTER_H
#define RPI_REGISTER_H

#include "proto/registry.h"

/* RP_ERR_INVALID with a message when an earlier registration was bad (a name that two functions
 * have); RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_register_snapshot(struct rpi_registry *registry,
                                            const struct rpi_alloc *alloc);

#endif
