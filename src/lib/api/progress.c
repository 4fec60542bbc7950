#include "base/clock.h"
#include "base/status.h"
#include "pool/callbacks.h"
#include "pool/journaling.h"
#include "pool/pool.h"
#include "pool/step.h"
#include "pool/wait.h"

rp_status rp_progress(rp_pool *pool)
{
    rp_status status = rpi_pool_enter(pool, "rp_progress");
    if (status != RP_OK)
        return status;
    (void)rpi_step(pool, true);
    rpi_callbacks_deliver(pool);
    status = rpi_pool_sound(pool);
    rpi_pool_leave(pool);
    return rpi_named("rp_progress", status);
}

rp_status rp_drain(rp_pool *pool, double timeout)
{
    rp_status status = rpi_pool_enter(pool, "rp_drain");
    if (status != RP_OK)
        return status;
    rpi_step_drive_now(pool); /* at rest there is nothing to wait for */
    status = rpi_is_time(timeout)
                 ? rpi_wait(pool, rpi_wait_at_rest, NULL, timeout)
                 : rpi_error(RP_ERR_INVALID, "rp_drain: the timeout is not a number");
    if (status == RP_ERR_TIMEOUT)
        status = rpi_error(RP_ERR_TIMEOUT, "rp_drain: %llu tasks are not settled after %g s",
                           (unsigned long long)pool->master.unsettled, timeout);
    if (status == RP_OK)
        status = rpi_journaling_sound(pool);
    rpi_pool_leave(pool);
    return rpi_named("rp_drain", status);
}
