/* Many tasks: maps, and waiting for several futures. */
#include "pool/pool.h"
#include "master/subtasks.h"
#include "base/status.h"
#include "api/pool_submit.h"
#include "pool/callbacks.h"
#include "pool/step.h"
#include "pool/wait.h"

#include <stdio.h>

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

/* Whether an array of `count` items of `size` bytes can be in memory. */
static bool is_thinkable(size_t count, size_t size)
{
    return size == 0 || count <= PTRDIFF_MAX / size;
}

static rp_status check_arrays(const struct rpi_map_request *request, size_t in_size,
                              size_t out_size, const rp_map_options *options)
{
    size_t count = request->count;
    if (in_size > UINT32_MAX - 64 || out_size > UINT32_MAX - 64)
        return rpi_error(RP_ERR_INVALID, "rp_map: an item is over 4 GiB");
    if (!is_thinkable(count, in_size) || !is_thinkable(count, out_size) ||
        (options && options->statuses && !is_thinkable(count, sizeof *options->statuses)))
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
    status = rpi_task_options(options->task, pool, &request->options);
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

/* ---- several futures */

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
    if (!is_thinkable(several->count, sizeof *several->futures))
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

/* ---- every worker */

/* Waits for one task, which is known to this function only: no on_done function can release it. */
static rp_status wait_for_one(rp_pool *pool, uint64_t id)
{
    rp_status status;
    while ((status = rpi_wait(pool, map_done, &id, RP_FOREVER)) == RP_ERR_NOMEM)
        continue;
    return status;
}

/* What became of it; one that is not settled never will be. */
static rp_status end_one(rp_pool *pool, uint64_t id)
{
    struct rpi_future *future = rpi_future_of(&pool->master.futures, id);
    rp_status status = future->state == RP_DONE ? (rp_status)future->status : rpi_pool_sound(pool);
    if (future->state == RP_DONE && status != RP_OK)
        status = rpi_error(status, "%s", ((const struct rpi_failure *)future->done.data)->message);
    rpi_master_release(&pool->master, id, future);
    return status;
}

/* The status of the lowest worker that failed, with its message. */
static rp_status end_all(rp_pool *pool, const uint64_t *ids, size_t count, rp_status *statuses)
{
    rp_status first = RP_OK, waited = RP_OK;
    for (size_t i = 0; i < count && waited == RP_OK; i++)
        waited = wait_for_one(pool, ids[i]);
    for (size_t i = count; i-- > 0;) { /* backwards: the message set last is the lowest worker's */
        rp_status status = end_one(pool, ids[i]);
        if (statuses)
            statuses[i] = status;
        if (status != RP_OK)
            first = status;
    }
    return first;
}

/* One submission, whatever the number of workers: each worker's task has its identity from that and
 * its worker's number. */
static rp_status start_all(rp_pool *pool, struct rpi_submission submission, size_t count,
                           uint64_t *ids, size_t *started)
{
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    uint64_t number = pool->master.next_number++;
    rp_status status = RP_OK;
    options.worker_hard = true;
    submission.options = &options;
    for (; status == RP_OK && *started < count; *started += status == RP_OK) {
        options.worker = (int)*started + 1;
        submission.number = rpi_subtasks_number(number, (uint64_t)options.worker);
        status = rpi_pool_submit(pool, &submission, &ids[*started]);
    }
    return status;
}

rp_status rp_on_each_worker(rp_pool *pool, rp_fn *fn, const void *arg, size_t size,
                            rp_status *statuses)
{
    struct rpi_submission submission = { .fn = fn, .arg = arg, .size = size, .held = true };
    char why[512];
    rp_status status = rpi_pool_enter(pool, "rp_on_each_worker");
    if (status != RP_OK)
        return status;
    size_t count = (size_t)pool->master.roster.workers, started = 0;
    uint64_t *ids = NULL;
    status = rpi_callbacks_may_wait("rp_on_each_worker");
    if (status == RP_OK && !(ids = rpi_reserve(&pool->alloc, count * sizeof *ids)))
        status = rpi_no_memory("one task for each worker");
    if (status == RP_OK)
        status = start_all(pool, submission, count, ids, &started);
    if (status != RP_OK)
        (void)snprintf(why, sizeof why, "%s", rp_error_message());
    rp_status failed = end_all(pool, ids, started, statuses);
    rpi_free(&pool->alloc, ids);
    rpi_pool_leave(pool);
    if (status != RP_OK)
        failed = rpi_error(status, "%s", why);
    return rpi_named("rp_on_each_worker", failed);
}
