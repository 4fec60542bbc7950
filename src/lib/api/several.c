/* Waiting for several futures at once. */
#include "api/pool_submit.h"
#include "base/status.h"
#include "pool/callbacks.h"
#include "pool/pool.h"
#include "pool/wait.h"

struct several {
    const rp_future *futures;
    size_t count;
    rp_when when;
    size_t at;       /* RP_ALL, RP_FIRST_ERROR: those before are settled, and none failed */
    uint64_t looked; /* tasks settled at the last look at all of them, + 1 */
    size_t found;    /* the first settled or failed one */
    bool stale;      /* found is not live */
};

/* Looks on from where it stopped: over all calls together once at each future. */
static bool look_on(rp_pool *pool, struct several *several)
{
    for (; several->at < several->count; several->at++) {
        const struct rpi_future *future = rpi_master_future(&pool->master,
                                                            several->futures[several->at].id);
        several->found = several->at;
        if (!future)
            return several->stale = true;
        if (future->state != RP_DONE)
            return false;
        if (several->when == RP_FIRST_ERROR && future->status != RP_OK)
            return true;
    }
    return true;
}

/* Looks at all; only when something has settled since the last time. */
static bool look_at_all(rp_pool *pool, struct several *several)
{
    const struct rpi_counts *counts = &pool->master.counts;
    uint64_t settled = counts->done + counts->failed + counts->cancelled + 1;
    if (several->looked == settled)
        return false;
    several->looked = settled;
    for (size_t i = 0; i < several->count; i++) {
        const struct rpi_future *future = rpi_master_future(&pool->master, several->futures[i].id);
        several->found = i;
        if (!future)
            return several->stale = true;
        if (future->state == RP_DONE && (several->when == RP_FIRST_DONE || future->status != RP_OK))
            return true;
    }
    return false;
}

static bool several_ready(rp_pool *pool, const void *context)
{
    struct several *several = *(struct several *const *)context;
    if (several->when != RP_ALL && look_at_all(pool, several))
        return true;
    return several->when != RP_FIRST_DONE && look_on(pool, several);
}

static rp_status wait_for(rp_pool *pool, struct several *several, double timeout,
                          const char *function)
{
    struct several *context = several;
    if (!several->futures)
        return rpi_error(RP_ERR_INVALID, "%s: futures is NULL", function);
    if (!rpi_pool_submit_fits(several->count, sizeof *several->futures))
        return rpi_error(RP_ERR_INVALID, "%s: %zu futures are more than memory can hold", function,
                         several->count);
    if ((unsigned)several->when > RP_FIRST_ERROR || !rpi_is_time(timeout))
        return rpi_error(RP_ERR_INVALID, "%s: when, or the timeout, is none of its values",
                         function);
    rp_status status = rpi_wait(pool, several_ready, &context, timeout);
    if (status == RP_OK && several->stale)
        status = rpi_error(
            RP_ERR_STALE, "%s: futures[%zu] is no such future: %s", function, several->found,
            rpi_future_why_stale(&pool->master.futures, several->futures[several->found].id));
    return rpi_named(function, status);
}

rp_status rp_wait_all(rp_pool *pool, const rp_future *futures, size_t count, rp_when when,
                      double timeout)
{
    struct several several = { .futures = futures, .count = count, .when = when };
    rp_status status = rpi_pool_enter(pool, "rp_wait_all");
    if (status != RP_OK)
        return status;
    if (count > 0)
        status = wait_for(pool, &several, timeout, "rp_wait_all");
    rpi_step_drive(pool);
    rpi_callbacks_deliver(pool);
    rpi_pool_leave(pool);
    return status;
}

rp_status rp_wait_any(rp_pool *pool, const rp_future *futures, size_t count, double timeout,
                      size_t *index)
{
    struct several several = { .futures = futures, .count = count, .when = RP_FIRST_DONE };
    rp_status status = rpi_pool_enter(pool, "rp_wait_any");
    if (status != RP_OK)
        return status;
    if (count == 0 || !index)
        status = rpi_error(RP_ERR_INVALID, "rp_wait_any: %s",
                           index ? "there is no future to wait for" : "index is NULL");
    else
        status = wait_for(pool, &several, timeout, "rp_wait_any");
    if (status == RP_OK)
        *index = several.found;
    rpi_step_drive(pool);
    rpi_callbacks_deliver(pool);
    rpi_pool_leave(pool);
    return status;
}
