/* One task for each worker. */
#include "api/pool_submit.h"
#include "base/status.h"
#include "master/subtasks.h"
#include "pool/callbacks.h"
#include "pool/pool.h"
#include "pool/wait.h"

#include <stdio.h>

static bool is_done(rp_pool *pool, const void *context)
{
    return rpi_future_of(&pool->master.futures, *(const uint64_t *)context)->state == RP_DONE;
}

/* Waits for one task, which is known to this function only: no on_done function can release it. */
static rp_status wait_for_one(rp_pool *pool, uint64_t id)
{
    rp_status status;
    while ((status = rpi_wait(pool, is_done, &id, RP_FOREVER)) == RP_ERR_NOMEM)
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
