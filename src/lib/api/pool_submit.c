/* Submitting tasks. */
#include "api/pool_submit.h"

#include "base/status.h"
#include "master/submit.h"
#include "pool/callbacks.h"
#include "pool/journaling.h"
#include "pool/pool.h"
#include "pool/step.h"
#include "pool/wait.h"

#define MOST_KEY 65535

static rp_status check_key(const rp_task_options *given)
{
    if (!given->key.data || given->key.size > MOST_KEY)
        return rpi_error(RP_ERR_INVALID, "options.key is NULL, or over %d bytes", MOST_KEY);
    if (given->after_count)
        return rpi_error(
            RP_ERR_INVALID,
            "options.key is not available for a task with options.after in this version: what it "
            "gets from the others is no part of its argument");
    return RP_OK;
}

static rp_status check_size(const rp_task_options *given)
{
    if (given->struct_size == sizeof *given)
        return RP_OK;
    return rpi_error(RP_ERR_INVALID,
                     "options.struct_size is %zu, not %zu: set it with RP_TASK_OPTIONS_INIT",
                     given->struct_size, sizeof *given);
}

static rp_status check(const rp_task_options *given, const rp_pool *pool)
{
    rp_status status = check_size(given);
    if (status != RP_OK)
        return status;
    if (!rpi_wire_starts_fit(given->attempts, given->retries))
        return rpi_error(RP_ERR_INVALID,
                         "options.attempts and retries go from 0 to %d, and so does their sum",
                         RPI_STARTS_MOST);
    if (!(given->cost >= 0) || !(given->time_limit >= 0))
        return rpi_error(RP_ERR_INVALID, "options.%s is negative or not a number",
                         given->cost >= 0 ? "time_limit" : "cost");
    if (given->worker < 0 || given->worker > pool->master.roster.workers)
        return rpi_error(RP_ERR_INVALID, "options.worker is %d: 0 means any, and there are %d",
                         given->worker, pool->master.roster.workers);
    if (given->worker_hard && !given->worker)
        return rpi_error(RP_ERR_INVALID, "options.worker_hard needs options.worker");
    if (given->after_count && !given->after)
        return rpi_error(RP_ERR_INVALID, "options.after is NULL, but after_count is %zu",
                         given->after_count);
    if (given->after_count > UINT32_MAX)
        return rpi_error(RP_ERR_INVALID, "options.after_count is over 4,294,967,295");
    return given->key.size ? check_key(given) : RP_OK;
}

rp_status rpi_pool_submit_options(const rp_task_options *given, const rp_pool *pool,
                                  struct rpi_options *options)
{
    *options = (struct rpi_options){ 0 };
    if (!given)
        return RP_OK;
    rp_status status = check(given, pool);
    if (status != RP_OK)
        return status;
    options->priority = given->priority;
    options->retries = (uint32_t)given->retries;
    options->attempts = (uint32_t)given->attempts;
    options->cost = given->cost;
    options->time_limit = given->time_limit;
    options->worker = given->worker;
    options->hard = given->worker_hard;
    options->on_done = given->on_done;
    options->user = given->on_done ? given->user : NULL;
    return RP_OK;
}

static bool has_room(rp_pool *pool, const void *context)
{
    uint64_t size = *(const size_t *)context;
    if (pool->limits.tasks && rpi_master_queued(&pool->master) >= pool->limits.tasks)
        return false;
    return !pool->limits.bytes || rpi_master_queued(&pool->master) == 0 ||
           pool->master.ready.queue.bytes + pool->master.ready.own_bytes + size <=
               pool->limits.bytes;
}

bool rpi_pool_submit_has_room(rp_pool *pool, size_t size)
{
    return has_room(pool, &size);
}

static rp_status make_room(rp_pool *pool, size_t size, bool wait)
{
    if (has_room(pool, &size))
        return RP_OK;
    if (!wait)
        (void)rpi_step(pool, false);
    if (!wait && !has_room(pool, &size))
        return rpi_error(RP_ERR_FULL, "the queue is full: %llu tasks, %llu bytes",
                         (unsigned long long)pool->master.ready.queue.tasks,
                         (unsigned long long)pool->master.ready.queue.bytes);
    return wait ? rpi_wait_quietly(pool, has_room, &size) : RP_OK;
}

rp_status rpi_pool_submit_room(rp_pool *pool, size_t size, const rp_task_options *options)
{
    rp_status status = RP_OK;
    if (!pool->limits.tasks && !pool->limits.bytes)
        return RP_OK;
    if (options)
        status = check_size(options);
    if (status != RP_OK)
        return status;
    return make_room(pool, size, !(options && options->no_wait) && !rpi_callbacks_inside());
}

rp_status rpi_pool_submit(rp_pool *pool, const struct rpi_submission *submission, uint64_t *id)
{
    const rp_task_options *options = submission->options;
    size_t size = submission->size;
    struct rpi_options own;
    struct rpi_request request = { .arg = submission->arg,
                                   .size = (uint32_t)size,
                                   .released = !submission->held,
                                   .options = submission->kept,
                                   .number = submission->number,
                                   .link = submission->link };
    rp_status status = rpi_pool_function(pool, submission->fn, "rp_submit", &request.function);
    if (status != RP_OK)
        return status;
    if ((!request.arg && size > 0) || size > UINT32_MAX)
        return rpi_error(RP_ERR_INVALID, "rp_submit: an argument of %zu bytes %s", size,
                         request.arg ? "is over 4,294,967,295" : "is NULL");
    if (options) {
        request.borrow = options->borrow;
        request.after = options->after;
        request.after_count = options->after_count;
        status = rpi_pool_submit_options(options, pool, &own);
        if (status != RP_OK)
            return status;
        own.completions = submission->kept ? submission->kept->completions : NULL;
        request.options = &own;
    }
    status = rpi_pool_open(pool);
    if (status == RP_OK)
        status = rpi_pool_submit_room(pool, size, options);
    if (status == RP_OK)
        status = pool->journaling.journal && options && options->key.size
                     ? rpi_journaling_submit(pool, &request, &options->key, id)
                     : rpi_master_submit(&pool->master, &request, pool->now, id);
    if (status != RP_OK)
        return status;
    rpi_pool_submitted(pool);
    return RP_OK;
}

/* Nearly every task: without options, while nothing stands in its way.  false: it takes the long
 * way, which says why. */
static inline bool submit_plain(rp_pool *pool, rp_fn *fn, const void *arg, size_t size,
                                uint64_t *id)
{
    struct rpi_master *master = &pool->master;
    uint16_t function = rpi_pool_submit_plainly(pool, fn, arg, size);
    return function != RPI_NO_FUNCTION &&
           rpi_submit_plain(master, function, arg, (uint32_t)size, pool->now, id) == RP_OK;
}

static rp_status submit_any(rp_pool *pool, const struct rpi_submission *submission,
                            rp_future *future)
{
    uint64_t id;
    rp_status status = rpi_pool_submit(pool, submission, &id);
    if (status == RP_OK && future)
        future->id = id;
    return status;
}

rp_status rp_submit(rp_pool *pool, rp_fn *fn, const void *arg, size_t size,
                    const rp_task_options *options, rp_future *future)
{
    rp_status status = rpi_pool_enter(pool, "rp_submit");
    if (status != RP_OK)
        return status;
    if (!options && future && submit_plain(pool, fn, arg, size, &future->id))
        rpi_pool_submitted(pool);
    else
        status = rpi_named(
            "rp_submit",
            submit_any(pool,
                       &(struct rpi_submission){
                           .fn = fn, .arg = arg, .size = size, .options = options, .held = future },
                       future));
    rpi_pool_leave(pool);
    return status;
}

static rp_status without_result(const rp_pool *pool, size_t capacity)
{
    if (!pool || rpi_call_current())
        return rpi_pool_refused("rp_apply");
    return rpi_error(RP_ERR_INVALID, "rp_apply: the result is NULL, but has room for %zu bytes",
                     capacity);
}

rp_status rp_apply(rp_pool *pool, rp_fn *fn, const void *arg, size_t size, void *result,
                   size_t capacity, size_t *result_size)
{
    rp_future future = { 0 };
    rp_status status = rpi_callbacks_may_wait("rp_apply");
    if (status == RP_OK && !result && capacity > 0)
        return without_result(pool, capacity);
    if (status == RP_OK)
        status = rp_submit(pool, fn, arg, size, NULL, &future);
    if (status != RP_OK)
        return rpi_name_error("rp_apply", status);
    status = rp_get(pool, future, RP_FOREVER, result, capacity, result_size);
    if (status == RP_ERR_SIZE || status == RP_ERR_NOMEM)
        (void)rp_release(pool, future); /* the message stays rp_get's */
    return rpi_named("rp_apply", status);
}
