/* A pool's beginning and end. */
#include "base/backoff.h"
#include "base/bufcache.h"
#include "base/status.h"
#include "pool/callbacks.h"
#include "pool/journaling.h"
#include "pool/local_worker.h"
#include "pool/members.h"
#include "pool/pool.h"
#include "pool/progress_thread.h"
#include "pool/respawn.h"
#include "pool/step.h"
#include "pool/streams.h"
#include "pool/tracing.h"
#include "pool/wait.h"
#include "pool/watchdog.h"
#include "store/trace.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* The process's open pools, for its end. */
static struct {
    pthread_mutex_t lock;
    pthread_once_t once;
    struct rpi_link pools;
    struct rpi_link over; /* those whose memory stays: ended at exit, or another process's */
} open_pools = { .lock = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT };

static void init_open_pools(void)
{
    rpi_list_init(&open_pools.pools);
    rpi_list_init(&open_pools.over);
}

static void enlist(rp_pool *pool)
{
    (void)pthread_once(&open_pools.once, init_open_pools);
    (void)pthread_mutex_lock(&open_pools.lock);
    rpi_list_append(&open_pools.pools, &pool->link);
    (void)pthread_mutex_unlock(&open_pools.lock);
}

static void strike_out(rp_pool *pool)
{
    (void)pthread_mutex_lock(&open_pools.lock);
    rpi_list_remove(&pool->link);
    (void)pthread_mutex_unlock(&open_pools.lock);
}

/* Calls on it are refused from now on. */
static void keep(rp_pool *pool)
{
    rpi_biased_lock_shut(&pool->lock);
    (void)pthread_mutex_lock(&open_pools.lock);
    rpi_list_append(&open_pools.over, &pool->link);
    (void)pthread_mutex_unlock(&open_pools.lock);
}

/* ---- fork */

void rpi_pools_hold(void)
{
    (void)pthread_once(&open_pools.once, init_open_pools);
    (void)pthread_mutex_lock(&open_pools.lock);
}

void rpi_pools_release(void)
{
    (void)pthread_mutex_unlock(&open_pools.lock);
}

void rpi_pools_leave_to_parent(void)
{
    for (struct rpi_link *link; (link = rpi_list_pop(&open_pools.pools));) {
        rp_pool *pool = RPI_MEMBER(link, rp_pool, link);
        pool->closing.left = true;
        rpi_biased_lock_leave(&pool->lock);
        rpi_list_append(&open_pools.over, link);
    }
    rpi_pools_release();
}

/* ---- beginning */

static rp_status make_hosts(rp_pool *pool, const struct rpi_pool_parts *parts)
{
    pool->hosts = parts->hosts;
    if (pool->hosts)
        return RP_OK;
    pool->hosts = rpi_zeroed(&pool->alloc, RPI_HOST_BYTES);
    if (!pool->hosts)
        return rpi_no_memory("a pool");
    (void)gethostname(pool->hosts, RPI_HOST_BYTES - 1);
    return RP_OK;
}

static void name_workers(rp_pool *pool, const struct rpi_pool_parts *parts)
{
    for (int worker = 0; worker <= parts->workers; worker++) {
        struct rpi_seat *seat = &pool->master.roster.seats[worker];
        seat->host = parts->transport ? pool->hosts + (size_t)worker * RPI_HOST_BYTES : pool->hosts;
        seat->pid = parts->transport && worker ? parts->pids[worker] : getpid();
    }
}

static uint32_t random_generation(const rp_pool *pool)
{
    uint64_t seed = (uint64_t)(rpi_now() * 1e9) ^ (uint64_t)(uintptr_t)pool ^
                    (uint64_t)getpid() << 40;
    seed = (seed ^ seed >> 31) * 0x9E3779B97F4A7C15U;
    return (uint32_t)(seed >> 32);
}

static rp_status make_master(rp_pool *pool, const struct rpi_pool_parts *parts)
{
    struct rpi_master_config config = { .alloc = pool->alloc,
                                        .log = &pool->log,
                                        .registry = &pool->registry,
                                        .workers = parts->workers,
                                        .batch_limit = parts->batch_limit,
                                        .first_generation = random_generation(pool) };
    return rpi_master_init(&pool->master, &config);
}

/* In one process tasks run on the application's threads only: there is nothing to drive without
 * them. */
static void start_caretaker(rp_pool *pool, const rp_config *config,
                            const struct rpi_pool_parts *parts)
{
    if (!parts->transport || config->background == RP_OFF)
        return;
    pool->steps.lonely = !parts->threads;
    if (parts->threads)
        rpi_progress_thread_start(pool);
    else
        rpi_say(&pool->log, RP_LOG_INFO,
                "there is no caretaker thread: MPI does not give MPI_THREAD_MULTIPLE, so tasks "
                "move only while calls on the "
                "pool drive it");
}

/* Without a caretaker no thread hands out tasks while rank 0 runs a longer one. */
static void tell_of_worker_here(const rp_pool *pool, const rp_config *config)
{
    if (pool->local.here && !pool->progress_thread.live)
        rpi_say(&pool->log, RP_LOG_WARNING,
                "config.master_works = RP_ON has no effect on tasks of 1 ms and more, because "
                "there is no caretaker thread: %s",
                config->background == RP_OFF ? "config.background is RP_OFF"
                                             : "MPI was initialised without MPI_THREAD_MULTIPLE");
}

static rp_status make_worker_here(rp_pool *pool, const struct rpi_pool_parts *parts,
                                  const rp_config *config)
{
    if (!parts->transport)
        return rpi_local_worker_make(pool, 1, parts->batch_limit, config, &pool->transport);
    if (config->master_works == RP_ON)
        return rpi_local_worker_make(pool, 0, parts->batch_limit, config, &pool->local.here);
    return RP_OK;
}

static void take_parts(rp_pool *new, const rp_config *config, const struct rpi_pool_parts *parts)
{
    rpi_list_init(&new->streams);
    rpi_list_init(&new->journaling.storing);
    new->journaling.journal = parts->journal;
    new->journaling.sync = config->journal_sync;
    new->trace = parts->trace;
    new->members.respawn = parts->respawn;
    new->log = (struct rpi_log){ .sink = config->log, .user = config->log_user };
    new->registry = *parts->registry;
    new->transport = parts->transport;
    new->closing.collective = parts->transport;
    new->members.recovery = parts->recovery;
    new->limits.tasks = config->queue_limit_tasks;
    new->limits.bytes = config->queue_limit_bytes;
    new->now = new->opening.at = rpi_now();
    new->opening.seconds = new->now - parts->began;
}

rp_status rpi_pool_make(const rp_config *config, struct rpi_pool_parts *parts, rp_pool **pool)
{
    struct rpi_alloc alloc = rpi_alloc_of(config->alloc, config->alloc_user);
    rp_pool *new = rpi_zeroed(&alloc, sizeof *new);
    if (!new)
        return rpi_no_memory("a pool");
    new->alloc = alloc;
    rp_status status = RP_OK;
    if (!rpi_bufcache_begin(&new->alloc, RPI_BUFCACHE_IDLE)) {
        status = rpi_no_memory("a pool");
        goto free_pool;
    }
    take_parts(new, config, parts);
    status = make_hosts(new, parts);
    if (status != RP_OK)
        goto end_bufcache;
    status = rpi_members_init(new, parts->transport ? parts->transport->peers + 1 : 2,
                              parts->transport ? config->lost_after : 0);
    if (status != RP_OK)
        goto free_hosts;
    status = make_master(new, parts);
    if (status != RP_OK)
        goto free_ranks;
    name_workers(new, parts);
    if (new->trace)
        status = rpi_tracing_begin(new);
    if (status == RP_OK)
        status = make_worker_here(new, parts, config);
    if (status != RP_OK)
        goto end_master;
    rpi_biased_lock_own(&new->lock);
    rpi_idle_init(&new->idle);
    start_caretaker(new, config, parts);
    tell_of_worker_here(new, config);
    if (new->members.recovery)
        new->watchdog = rpi_watchdog_start(new);
    enlist(new);
    rpi_pool_is_elsewhere(NULL);
    *pool = new;
    return RP_OK;

end_master:
    rpi_master_fini(&new->master);
free_ranks:
    rpi_members_fini(new);
free_hosts:
    if (!parts->hosts)
        rpi_free(&alloc, new->hosts);
end_bufcache:
    rpi_bufcache_end(new->alloc.cache);
free_pool:
    rpi_free(&alloc, new);
    return status;
}

/* ---- end */

static rp_status tell_workers(rp_pool *pool, uint64_t how)
{
    uint8_t *stop = pool->closing.stop;
    pool->master.versions.closed = true;
    struct rpi_writer writer;
    rpi_writer_open(&writer, stop, RPI_BATCH_HEADER);
    rpi_writer_close(&writer, RPI_STOP, how);
    for (int peer = 1; peer <= pool->transport->peers; peer++) {
        bool done = false;
        rp_status status;
        do /* some ranks know by now, so there is no way back: a lack of memory is waited out */
            status = pool->transport->ops->send(pool->transport, peer, stop, RPI_BATCH_HEADER, NULL,
                                                &done);
        while (status == RP_ERR_NOMEM);
        if (status != RP_OK)
            return status;
    }
    return RP_OK;
}

/* Tells every rank that nothing more will come, and waits for their goodbyes: what they still send
 * is taken meanwhile. */
static rp_status stop_workers(rp_pool *pool, bool drop)
{
    rp_status status = tell_workers(pool, drop ? RPI_STOP_DROP : 0);
    if (status == RP_OK)
        do
            status = rpi_wait(pool, rpi_members_all_left, NULL, RP_FOREVER);
        while (status == RP_ERR_NOMEM);
    return status;
}

/* From workers, and from the one in this process.  `used`: another thread is inside one of its
 * tasks, and may stay there. */
static void part(rp_pool *pool, bool together, bool used)
{
    rpi_watchdog_stop(pool->watchdog);
    if (pool->local.here && !used)
        pool->local.here->ops->close(pool->local.here, true);
    if (pool->closing.collective || !used)
        pool->transport->ops->close(pool->transport, together);
    if (!used)
        rpi_local_worker_free(pool);
}

static void destroy(rp_pool *pool)
{
    struct rpi_alloc alloc = pool->alloc;
    rpi_streams_free(pool);
    rpi_shared_versions_end(&pool->master.versions);
    rpi_step_free_shares(pool);
    rpi_master_fini(&pool->master);
    rpi_registry_fini(&pool->registry);
    rpi_idle_fini(&pool->idle);
    rpi_members_fini(pool);
    rpi_respawn_free(pool->members.respawn);
    rpi_free(&alloc, pool->hosts);
    rpi_free(&alloc, pool);
    rpi_bufcache_end(alloc.cache);
}

#define LEAVING 1.0 /* seconds for threads that wait in the pool, which nothing keeps */

/* The process ends: other threads that still wait in the pool leave it.  The lock is held. */
static void see_out(rp_pool *pool)
{
    struct rpi_backoff backoff = { .crowded = true };
    double deadline = rpi_now() + LEAVING;
    if (pool->broken == RP_OK)
        (void)snprintf(pool->why, sizeof pool->why, "the process is ending");
    pool->broken = RP_ERR_BROKEN;
    while (rpi_pool_attended(pool) && rpi_now() < deadline) {
        pool->turns++;
        rpi_pool_leave(pool);
        rpi_backoff_wait(&backoff);
        rpi_biased_lock_take(&pool->lock);
    }
}

/* Another thread ends the pool already. At the process's exit it has a moment to come to the end of
 * that. The lock is held. */
static rp_status is_being_ended(rp_pool *pool, bool leaves, const char *function)
{
    static const struct timespec moment = { .tv_sec = (time_t)LEAVING };
    rpi_pool_leave(pool);
    if (leaves)
        (void)nanosleep(&moment, NULL);
    return rpi_error(RP_ERR_CONTEXT, "%s: another thread is ending the pool", function);
}

/* `leaves`: the process ends, and all that is still to run there may call on the pool. */
static rp_status end(rp_pool **pool, bool drop, bool leaves, const char *function)
{
    rp_pool *old = pool ? *pool : NULL;
    rp_status status = rpi_pool_enter(old, function);
    if (status != RP_OK)
        return status;
    if (rpi_callbacks_inside()) {
        rpi_pool_leave(old);
        return rpi_error(RP_ERR_CONTEXT, "%s may not be called by an on_done function", function);
    }
    if (old->closing.ending)
        return is_being_ended(old, leaves, function);
    old->closing.ending = true;
    if (drop)
        rpi_master_drop_queued(&old->master);
    else
        status = rpi_wait(old, rpi_wait_at_rest, NULL, RP_FOREVER);
    if (status == RP_ERR_NOMEM) {
        old->closing.ending = false;
        rpi_pool_leave(old);
        return rpi_named(function, status);
    }
    rpi_members_replaced(old, rpi_respawn_stop(old));
    rpi_progress_thread_stop(old);
    if (status == RP_OK)
        status = rpi_pool_sound(old);
    if (status == RP_OK && old->closing.collective)
        status = stop_workers(old, drop);
    else if (old->closing.collective)
        (void)tell_workers(
            old, RPI_STOP_DROP | RPI_STOP_ALONE); /* the launcher ends ranks that cannot hear it */
    rp_status kept = rpi_journaling_close(old);
    rpi_callbacks_deliver(old); /* rp_terminate: of what is settled */
    rpi_trace_close(old->trace);
    old->trace = NULL; /* a task that still runs at the process's exit may end later */
    bool together = !old->closing.collective ||
                    (status == RP_OK &&
                     !old->members.lost); /* a collective would wait for lost ranks */
    if (leaves)
        see_out(old);
    bool used = leaves && old->local.executing;
    rpi_pool_leave(old);
    strike_out(old);
    if (leaves)
        keep(old);
    part(old, together, used);
    if (!leaves && together) /* else MPI may still write into its memory */
        destroy(old);
    *pool = NULL;
    return rpi_named(function, status == RP_OK ? kept : status);
}

rp_status rp_close(rp_pool **pool)
{
    return end(pool, false, false, "rp_close");
}

rp_status rp_terminate(rp_pool **pool)
{
    return end(pool, true, false, "rp_terminate");
}

static void tell_of_dropped(rp_pool *pool)
{
    const struct rpi_counts *counts = &pool->master.counts;
    if (rpi_pool_enter(pool, "exit()") != RP_OK)
        return;
    uint64_t dropped = counts->submitted - counts->done - counts->failed - counts->cancelled;
    if (dropped > 0)
        rpi_say(&pool->log, RP_LOG_WARNING,
                "the process ends with a pool that was not closed: %llu of its tasks are dropped; "
                "rp_close waits for them",
                (unsigned long long)dropped);
    rpi_pool_leave(pool);
}

void rpi_pools_terminate(void)
{
    rpi_callbacks_leave();
    (void)pthread_once(&open_pools.once, init_open_pools);
    for (;;) {
        (void)pthread_mutex_lock(&open_pools.lock);
        struct rpi_link *link = rpi_list_first(&open_pools.pools);
        (void)pthread_mutex_unlock(&open_pools.lock);
        if (!link)
            return;
        rp_pool *pool = RPI_MEMBER(link, rp_pool, link);
        tell_of_dropped(pool);
        if (end(&pool, true, true, "exit()") != RP_OK && pool)
            return;
    }
}
