/* Maps. */
#include "api/pool_submit.h"
#include "base/status.h"
#include "pool/callbacks.h"
#include "pool/pool.h"
#include "pool/step.h"
#include "pool/wait.h"

/* ---- maps */

/* Of the options of a task, what is for single ones. */
static rp_status check_map_task(const rp_task_options *task)
{
    if (task->retries)
        return rpi_error(RP_ERR_INVALID,
                         "options.retries is not available for maps in this version: leave it 0");
    if (task->after_count)
        return rpi_error(RP_ERR_INVALID,
                         "options.after is not available for maps in this version: leave it 0");
    if (task->key.size)
        return rpi_error(
            RP_ERR_INVALID,
            "rp_map: options.task.key is for single tasks, which are submitted one by one");
    if (task->worker_hard)
        return rpi_error(RP_ERR_INVALID, "rp_map: options.worker_hard is for single tasks");
    return RP_OK;
}

static rp_status check_arrays(const struct rpi_map_request *request, size_t in_size,
                              size_t out_size, const rp_map_options *options)
{
    size_t count = request->count;
    if (in_size > UINT32_MAX - 64 || out_size > UINT32_MAX - 64)
        return rpi_error(RP_ERR_INVALID, "rp_map: an item is over 4 GiB");
    if (!rpi_pool_submit_fits(count, in_size) || !rpi_pool_submit_fits(count, out_size) ||
        (options && options->statuses && !rpi_pool_submit_fits(count, sizeof *options->statuses)))
        return rpi_error(RP_ERR_INVALID,
                         "rp_map: %zu items of %zu and %zu bytes are more than memory can hold",
                         count, in_size, out_size);
    if ((!request->in && in_size > 0 && count > 0) || (!request->out && out_size > 0 && count > 0))
        return rpi_error(RP_ERR_INVALID, "rp_map: in or out is NULL, but its items have a size");
    return RP_OK;
}

static rp_status check_map(const rp_pool *pool, rp_fn *fn, const rp_map_options *options,
                           struct rpi_map_request *request)
{
    rp_status status = rpi_pool_function(pool, fn, "rp_map", &request->function);
    if (status != RP_OK || !options)
        return status;
    if (options->struct_size != sizeof *options)
        return rpi_error(
            RP_ERR_INVALID,
            "rp_map: options.struct_size is %zu, not %zu: set it with RP_MAP_OPTIONS_INIT",
            options->struct_size, sizeof *options);
    request->chunk = options->chunk;
    request->statuses = options->statuses;
    status = rpi_pool_submit_options(options->task, pool, &request->options);
    return status == RP_OK && options->task ? check_map_task(options->task) : status;
}

static bool map_done(rp_pool *pool, const void *context)
{
    return rpi_future_of(&pool->master.futures, *(const uint64_t *)context)->state == RP_DONE;
}

static rp_status finish_map(rp_pool *pool, uint64_t id)
{
    rp_status status;
    /* no on_done function can release what rp_map waits for */
    rpi_future_of(&pool->master.futures, id)->flags |= RPI_FUTURE_RELEASED | RPI_FUTURE_STREAMED;
    /* whatever comes, the application's arrays are written until the map's end */
    while ((status = rpi_wait(pool, map_done, &id, RP_FOREVER)) == RP_ERR_NOMEM)
        continue;
    if (status != RP_OK)
        return status;
    struct rpi_future *future = rpi_future_of(&pool->master.futures, id);
    if (future->status != RP_OK)
        status = rpi_error((rp_status)future->status, "%s",
                           ((const struct rpi_failure *)future->done.data)->message);
    future->flags &= (uint8_t)~RPI_FUTURE_STREAMED;
    rpi_master_release(&pool->master, id, future);
    return status;
}

/* The statuses of items whose end the pool does not live to see. */
static void expect_nothing(const struct rpi_map_request *request)
{
    for (uint64_t i = 0; request->statuses && i < request->count; i++)
        request->statuses[i] = RP_ERR_BROKEN;
}

/* The lock is held. */
static rp_status start_map(rp_pool *pool, rp_fn *fn, struct rpi_map_request *request,
                           size_t in_size, size_t out_size, const rp_map_options *options,
                           uint64_t *id)
{
    request->in_size = (uint32_t)in_size;
    request->out_size = (uint32_t)out_size;
    rp_status status = check_map(pool, fn, options, request);
    if (status == RP_OK)
        status = check_arrays(request, in_size, out_size, options);
    if (status == RP_OK) {
        expect_nothing(request);
        status = rpi_pool_open(pool);
    }
    if (status == RP_OK)
        status = rpi_master_map(&pool->master, request, pool->now, id);
    return status;
}

rp_status rp_map(rp_pool *pool, rp_fn *fn, const void *in, size_t in_size, size_t count, void *out,
                 size_t out_size, const rp_map_options *options)
{
    struct rpi_map_request request = { .in = in, .out = out, .count = count };
    uint64_t id;
    rp_status status = rpi_pool_enter(pool, "rp_map");
    if (status != RP_OK)
        return status;
    status = rpi_callbacks_may_wait("rp_map");
    if (status == RP_OK)
        status = start_map(pool, fn, &request, in_size, out_size, options, &id);
    if (status == RP_OK)
        status = finish_map(pool, id);
    rpi_pool_leave(pool);
    return rpi_named("rp_map", status);
}

rp_status rp_map_async(rp_pool *pool, rp_fn *fn, const void *in, size_t in_size, size_t count,
                       void *out, size_t out_size, const rp_map_options *options, rp_future *all)
{
    struct rpi_map_request request = { .in = in, .out = out, .count = count };
    uint64_t id;
    rp_status status = rpi_pool_enter(pool, "rp_map_async");
    if (status != RP_OK)
        return status;
    status = all ? start_map(pool, fn, &request, in_size, out_size, options, &id)
                 : rpi_error(RP_ERR_INVALID, "rp_map_async: all is NULL");
    if (status == RP_OK)
        all->id = id;
    status = rpi_named("rp_map_async", status);
    rpi_step_drive_now(pool);
    rpi_pool_leave(pool);
    return status;
}
