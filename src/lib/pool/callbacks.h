/* The on_done functions. */
#ifndef RPI_CALLBACKS_H
#define RPI_CALLBACKS_H

#include "pool/state.h"

/* Calls the on_done functions that are due, with the lock let go.  Not nested, and by one thread at
 * a time. */
void rpi_callbacks_deliver(rp_pool *pool);
/* Whether this thread is inside an on_done function. */
bool rpi_callbacks_inside(void);
/* It called exit(), and does not come back to it. */
void rpi_callbacks_leave(void);
/* RP_ERR_CONTEXT there. */
RP_MUST_USE rp_status rpi_callbacks_may_wait(const char *function);

#endif
