/* One future: waiting for it, its result, its end. */
#include "base/status.h"
#include "pool/callbacks.h"
#include "pool/pool.h"
#include "pool/step.h"
#include "pool/wait.h"

#include <string.h>

static rp_status stale(const rp_pool *pool, const char *function, uint64_t id)
{
    return rpi_error(RP_ERR_STALE, "%s: no such future (%llx): %s", function,
                     (unsigned long long)id, rpi_future_why_stale(&pool->master.futures, id));
}

static bool settled(rp_pool *pool, const void *context)
{
    const struct rpi_future *future = rpi_master_future(&pool->master, *(const uint64_t *)context);
    return !future || future->state == RP_DONE;
}

/* The settled future, after waiting for it.  The lock is held. */
static rp_status await(rp_pool *pool, uint64_t id, double timeout, const char *function,
                       struct rpi_future **future)
{
    *future = rpi_master_future(&pool->master, id);
    if (!*future)
        return stale(pool, function, id);
    if ((*future)->state == RP_DONE)
        return RP_OK;
    if (!rpi_is_time(timeout))
        return rpi_error(RP_ERR_INVALID, "%s: the timeout is not a number", function);
    rp_status status = rpi_wait(pool, settled, &id, timeout);
    if (status != RP_OK)
        return status;
    *future = rpi_master_future(&pool->master,
                                id); /* another thread may have released it meanwhile */
    return *future ? RP_OK : stale(pool, function, id);
}

static const void *data_of(const struct rpi_future *future)
{
    return future->flags & RPI_FUTURE_BUFFER ? future->done.data : future->done.small;
}

/* The task's own status, with its message. */
static rp_status verdict(const struct rpi_future *future)
{
    if (future->status == RP_OK)
        return RP_OK;
    const struct rpi_failure *failure = future->done.data;
    return rpi_error((rp_status)future->status, "%s", failure->message);
}

/* Done, with a result of exactly RPI_SMALL_RESULT bytes that lies in the slot, and not needed
 * elsewhere: a settled future has options while its on_done is due. */
static bool is_small_success(const struct rpi_future *future, size_t capacity)
{
    return future->state == RP_DONE && (future->flags | future->options) == 0 &&
           future->done.size == RPI_SMALL_RESULT && capacity >= RPI_SMALL_RESULT;
}

static rp_status get(rp_pool *pool, rp_future handle, double timeout, void *result, size_t capacity,
                     size_t *result_size)
{
    struct rpi_future *future;
    rp_status status = await(pool, handle.id, timeout, "rp_get", &future);
    if (status != RP_OK)
        return status;
    status = verdict(future);
    size_t size = status == RP_OK ? future->done.size : 0;
    if (size > capacity) {
        if (result_size)
            *result_size = size;
        return rpi_error(RP_ERR_SIZE, "rp_get: the result has %zu bytes, the buffer %zu", size,
                         capacity);
    }
    if (status == RP_OK) {
        if (size)
            memcpy(result, data_of(future), size);
        if (result_size)
            *result_size = size;
    }
    rpi_master_release(&pool->master, handle.id, future);
    return status;
}

rp_status rp_get(rp_pool *pool, rp_future future, double timeout, void *result, size_t capacity,
                 size_t *result_size)
{
    rp_status status = rpi_pool_enter(pool, "rp_get");
    if (status != RP_OK)
        return status;
    struct rpi_future *settled_future = rpi_future_of(&pool->master.futures, future.id);
    if (settled_future && result && is_small_success(settled_future, capacity) &&
        pool->master.deps.count == 0) { /* nearly every one */
        memcpy(result, settled_future->done.small, RPI_SMALL_RESULT);
        if (result_size)
            *result_size = RPI_SMALL_RESULT;
        rpi_future_free(&pool->master.futures, future.id, settled_future);
    } else if (!result && capacity > 0)
        status = rpi_error(RP_ERR_INVALID, "rp_get: the result is NULL, but has room for %zu bytes",
                           capacity);
    else
        status = rpi_named("rp_get", get(pool, future, timeout, result, capacity, result_size));
    rpi_step_drive(pool);
    if (pool->master.called.ids.count)
        rpi_callbacks_deliver(pool);
    rpi_pool_leave(pool);
    return status;
}

static rp_status take(rp_pool *pool, rp_future handle, double timeout, void **data, size_t *size)
{
    struct rpi_future *future;
    void *buffer = NULL;
    rp_status status = await(pool, handle.id, timeout, "rp_take", &future);
    if (status != RP_OK)
        return status;
    status = verdict(future);
    if (status == RP_OK && future->flags & RPI_FUTURE_BUFFER &&
        !rpi_master_needs(&pool->master, handle.id, future)) {
        buffer = future->done.data;
        future->flags &= (uint8_t)~RPI_FUTURE_BUFFER;
    } else if (status == RP_OK && future->done.size > 0) {
        buffer = rpi_buffer_new(&pool->alloc, future->done.size);
        if (!buffer)
            return rpi_no_memory("a result");
        memcpy(buffer, data_of(future), future->done.size);
    }
    if (status == RP_OK) {
        *data = buffer;
        if (size)
            *size = future->done.size;
    }
    rpi_master_release(&pool->master, handle.id, future);
    return status;
}

rp_status rp_take(rp_pool *pool, rp_future future, double timeout, void **data, size_t *size)
{
    rp_status status = rpi_pool_enter(pool, "rp_take");
    if (status != RP_OK)
        return status;
    status = data ? take(pool, future, timeout, data, size)
                  : rpi_error(RP_ERR_INVALID, "rp_take: data is NULL");
    status = rpi_named("rp_take", status);
    rpi_step_drive(pool);
    if (pool->master.called.ids.count)
        rpi_callbacks_deliver(pool);
    rpi_pool_leave(pool);
    return status;
}

rp_status rp_wait(rp_pool *pool, rp_future future, double timeout)
{
    struct rpi_future *settled_future;
    rp_status status = rpi_pool_enter(pool, "rp_wait");
    if (status != RP_OK)
        return status;
    status = rpi_named("rp_wait", await(pool, future.id, timeout, "rp_wait", &settled_future));
    rpi_step_drive(pool);
    if (pool->master.called.ids.count)
        rpi_callbacks_deliver(pool);
    rpi_pool_leave(pool);
    return status;
}

rp_status rp_outcome_of(rp_pool *pool, rp_future handle, rp_outcome *outcome)
{
    rp_status status = rpi_pool_enter(pool, "rp_outcome_of");
    if (status != RP_OK)
        return status;
    rpi_step_drive_now(pool);
    rpi_callbacks_deliver(pool);
    const struct rpi_future *future = rpi_master_future(&pool->master, handle.id);
    if (!outcome || outcome->struct_size != sizeof *outcome)
        status = rpi_error(RP_ERR_INVALID,
                           "rp_outcome_of: set outcome.struct_size with RP_OUTCOME_INIT");
    else if (!future)
        status = stale(pool, "rp_outcome_of", handle.id);
    else if (future->state != RP_DONE)
        status = rpi_error(RP_ERR_TIMEOUT, "rp_outcome_of: the task is not settled yet");
    else
        rpi_master_outcome(&pool->master, future, outcome);
    rpi_pool_leave(pool);
    return status;
}

rp_status rp_release(rp_pool *pool, rp_future handle)
{
    rp_status status = rpi_pool_enter(pool, "rp_release");
    if (status != RP_OK)
        return status;
    struct rpi_future *future = rpi_master_future(&pool->master, handle.id);
    if (future)
        rpi_master_release(&pool->master, handle.id, future);
    else
        status = stale(pool, "rp_release", handle.id);
    rpi_step_drive_now(pool);
    rpi_callbacks_deliver(pool);
    rpi_pool_leave(pool);
    return status;
}

rp_state rp_state_of(rp_pool *pool, rp_future handle)
{
    if (rpi_pool_enter(pool, "rp_state_of") != RP_OK)
        return RP_STALE;
    if (rpi_pool_is_alone(pool))
        (void)rpi_step(pool, true);
    else
        rpi_step_drive_now(pool);
    rpi_callbacks_deliver(pool);
    const struct rpi_future *future = rpi_master_future(&pool->master, handle.id);
    rp_state state = !future                        ? RP_STALE
                     : future->state == RPI_STORING ? RP_SENT
                                                    : (rp_state)future->state;
    rpi_pool_leave(pool);
    return state;
}

rp_status rp_cancel(rp_pool *pool, rp_future handle)
{
    rp_status status = rpi_pool_enter(pool, "rp_cancel");
    if (status != RP_OK)
        return status;
    struct rpi_future *future = rpi_master_future(&pool->master, handle.id);
    status = future ? rpi_master_cancel(&pool->master, handle.id, future, pool->now)
                    : stale(pool, "rp_cancel", handle.id);
    status = rpi_named("rp_cancel", status);
    if (!pool->progress_thread.live) /* else many share a message, and the last one does not wait
                                  for the next call */
        rpi_step_dispatch(pool);
    rpi_step_drive_now(pool);
    rpi_callbacks_deliver(pool);
    rpi_pool_leave(pool);
    return status;
}

rp_status rp_cancel_all(rp_pool *pool)
{
    rp_status status = rpi_pool_enter(pool, "rp_cancel_all");
    if (status != RP_OK)
        return status;
    (void)rpi_step(pool, false); /* what is done already is not cancelled */
    status = rpi_named("rp_cancel_all", rpi_master_cancel_all(&pool->master, pool->now));
    rpi_step_dispatch(pool);
    rpi_callbacks_deliver(pool);
    rpi_pool_leave(pool);
    return status;
}
