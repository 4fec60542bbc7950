/* rp_share: data for every task to come. */
#include "base/shm.h"
#include "base/status.h"
#include "master/shared.h"
#include "pool/pool.h"
#include "pool/step.h"

static rp_status check(rp_pool *pool, const char *name, const void *data, size_t size)
{
    rp_status status = rpi_pool_enter(pool, "rp_share");
    if (status != RP_OK)
        return status;
    status = rpi_pool_sound(pool);
    rpi_pool_leave(pool);
    if (status != RP_OK)
        return status;
    if (!name || !name[0] || strlen(name) > RPI_SHARE_NAME)
        return rpi_error(RP_ERR_INVALID, "rp_share: the name is %s",
                         !name     ? "NULL"
                         : name[0] ? "over 255 bytes"
                                   : "empty");
    if (!data && size > 0)
        return rpi_error(RP_ERR_INVALID, "rp_share: data is NULL, and size is %zu", size);
    return RP_OK;
}

/* With no lock held: copying gigabytes takes its time. */
static rp_status copy(const void *data, size_t size, struct rpi_shm *segment)
{
    *segment = (struct rpi_shm){ .size = size, .fd = -1 };
    if (size == 0)
        return RP_OK;
    segment->token = rpi_shm_token();
    return rpi_shm_copy(segment, data);
}

rp_status rp_share(rp_pool *pool, const char *name, const void *data, size_t size)
{
    struct rpi_shm segment;
    rp_status status = check(pool, name, data, size);
    if (status == RP_OK)
        status = copy(data, size, &segment);
    if (status != RP_OK)
        return rpi_named("rp_share", status);
    rpi_biased_lock_take(&pool->lock);
    status = rpi_master_share(&pool->master, name, &segment);
    if (status != RP_OK)
        rpi_shm_free(&segment);
    rpi_step_dispatch(pool); /* the version before may be dead now */
    rpi_pool_leave(pool);
    return rpi_named("rp_share", status);
}
