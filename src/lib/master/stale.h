/* Late results: their worker was silent, and the task was started elsewhere or settled meanwhile.
 * A success still counts if the task is not settled; a failure does not. */
#ifndef RPI_STALE_H
#define RPI_STALE_H

#include "master/settle.h"

/* Takes a frame that no future waits for.  RP_ERR_NOMEM: give it again. */
RP_MUST_USE rp_status rpi_late_frame(struct rpi_master *master, const struct rpi_frame *frame,
                                     const struct rpi_settled *how);
/* Takes the large payload that such a frame announced.  RP_ERR_NOMEM: call again. */
RP_MUST_USE rp_status rpi_late_arrived(struct rpi_master *master, struct rpi_arrival *arrival,
                                       const struct rpi_settled *how);

#endif
