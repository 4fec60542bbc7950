/* Calls that wait: they drive the pool meanwhile, or sleep. */
#ifndef RPI_WAIT_H
#define RPI_WAIT_H

#include "pool/state.h"

/* Steps until ready(context) or `timeout` seconds have passed.  The lock is held, but let go in
 * between. RP_ERR_TIMEOUT, RP_ERR_NOMEM, RP_ERR_BROKEN. */
RP_MUST_USE rp_status rpi_wait(rp_pool *pool, bool (*ready)(rp_pool *pool, const void *context),
                               const void *context, double timeout);
/* The same without limit, and no on_done function is called meanwhile. */
RP_MUST_USE rp_status rpi_wait_quietly(rp_pool *pool,
                                       bool (*ready)(rp_pool *pool, const void *context),
                                       const void *context);
/* Whether every task is settled and every on_done function called. */
bool rpi_wait_at_rest(rp_pool *pool, const void *unused);

#endif
