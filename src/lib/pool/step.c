#include "pool/step.h"

#include "base/backoff.h"
#include "base/bufcache.h"
#include "base/shm.h"
#include "pool/journaling.h"
#include "pool/local_worker.h"
#include "pool/members.h"
#include "pool/pool.h"
#include "pool/tracing.h"

#define STEP_TICKS ((uint64_t)RPI_TICKS_US) /* between two steps of calls that need none */
/* and this many times what the last took: over tcp it is tens of microseconds */
#define STEP_SHARE 4
#define STEP_MOST  (200 * (uint64_t)RPI_TICKS_US)
#define BURST      8   /* tasks that came since the last step: there will be more */
#define HELD       3   /* steps that they wait for more at the most */
#define ALONE      1.0 /* seconds without a step that are worth a word */

/* ---- what the transport reports */

static bool take_batch(rp_pool *pool, int peer, const void *data, size_t size)
{
    if (pool->trace)
        rpi_tracing_batch(pool, peer, data, size);
    rp_status status = rpi_master_receive(&pool->master, peer, data, size, pool->now);
    if (status == RP_OK || status == RP_ERR_NOMEM)
        return rpi_pool_note(pool, status);
    if (peer)
        rpi_members_give_up(pool, peer);
    else
        rpi_pool_break(pool, status);
    return true;
}

static bool on_batch(void *context, int peer, const void *data, size_t size)
{
    rp_pool *pool = context;
    struct rpi_reader reader;
    if (rpi_reader_open(&reader, data, size) == RP_OK && reader.kind == RPI_STOP &&
        pool->master.versions.closed) {
        rpi_members_left(pool, peer);
        return true;
    }
    if (peer < 1 || peer > pool->master.roster.workers)
        return true;
    if (pool->members.detector.limit > 0)
        rpi_members_heard(pool, peer);
    return take_batch(pool, peer, data, size);
}

static bool on_batch_here(void *context, int peer, const void *data, size_t size)
{
    (void)peer; /* the local transport's number for it */
    return take_batch(context, 0, data, size);
}

static void on_sent_here(void *context, void *cookie)
{
    rp_pool *pool = context;
    rpi_master_sent(&pool->master, cookie);
}

static void on_sent(void *context, void *cookie)
{
    rp_pool *pool = context;
    if (!cookie)
        return;
    pool->sending--;
    pool->members.peers[((const struct rpi_batch *)cookie)->peer].sending--;
    rpi_master_sent(&pool->master, cookie);
}

static bool on_received(void *context, void *cookie)
{
    rp_pool *pool = context;
    if (pool->trace)
        rpi_tracing_arrived(pool, cookie);
    return rpi_pool_note(pool, rpi_master_arrived(&pool->master, cookie, pool->now));
}

/* ---- handing the transport what the engine has for it */

static struct rpi_transport *way_to(const rp_pool *pool, int peer)
{
    return peer ? pool->transport : pool->local.here;
}

void rpi_step_pump(rp_pool *pool)
{
    struct rpi_master *master = &pool->master;
    rp_status status = pool->broken;
    struct rpi_arrival *arrival;
    struct rpi_batch *batch;
    while (status == RP_OK && (arrival = rpi_master_incoming(master))) {
        struct rpi_transport *transport = way_to(pool, arrival->peer);
        status = transport->ops->receive_large(transport, arrival->peer, arrival->buffer,
                                               arrival->size, arrival);
        if (status == RP_ERR_NOMEM)
            rpi_master_unposted(master, arrival);
    }
    while (status == RP_OK && (batch = rpi_master_outgoing(master))) {
        uint16_t done, before = batch->begun;
        status = rpi_batch_send(batch, way_to(pool, batch->peer), &done);
        if (batch->peer) {
            uint64_t more = (uint64_t)batch->begun - before - done;
            pool->sending += more;
            pool->members.peers[batch->peer].sending += more;
        }
        if (status == RP_ERR_NOMEM)
            rpi_master_unsent(master, batch);
        for (; done > 0; done--)
            rpi_master_sent(master, batch);
    }
    (void)rpi_pool_note(pool, status);
}

bool rpi_step_carries(const rp_pool *pool)
{
    return pool->sending > 0 || !rpi_list_empty(&pool->master.inflight.arriving);
}

void rpi_step_free_shares(rp_pool *pool)
{
    for (struct rpi_shared_version *version;
         (version = rpi_shared_versions_dead(&pool->master.versions));) {
        rpi_shm_free(&version->segment);
        rpi_shared_version_free(&pool->master.versions, version);
    }
}

void rpi_step_dispatch(rp_pool *pool)
{
    if (pool->journaling.journal)
        rpi_journaling_step(pool);
    rpi_master_dispatch(&pool->master, pool->now);
    rpi_step_pump(pool);
    if (!rpi_list_empty(&pool->master.versions.dead))
        rpi_step_free_shares(pool);
}

/* ---- steps */

static bool poll_one(rp_pool *pool, struct rpi_transport *transport,
                     const struct rpi_events *events)
{
    bool any = false;
    rp_status status = transport->ops->poll(transport, events, &any);
    if (status != RP_OK)
        rpi_pool_break(pool, status);
    return any;
}

/* The lock is held: no other thread writes it. */
static void count_poll(rp_pool *pool)
{
    unsigned polls = atomic_load_explicit(&pool->polls, memory_order_relaxed);
    atomic_store_explicit(&pool->polls, polls + 1, memory_order_relaxed);
}

/* Takes what the workers sent. */
static bool poll_all(rp_pool *pool)
{
    struct rpi_events events = { .batch = on_batch,
                                 .sent = on_sent,
                                 .received = on_received,
                                 .died = rpi_members_died,
                                 .lost = rpi_members_lost,
                                 .astray = rpi_members_astray,
                                 .alive = rpi_members_heard,
                                 .context = pool };
    count_poll(pool);
    bool any = poll_one(pool, pool->transport, &events);
    count_poll(pool);
    return any;
}

bool rpi_step_poll_here(rp_pool *pool)
{
    struct rpi_events events = {
        .batch = on_batch_here, .sent = on_sent_here, .received = on_received, .context = pool
    };
    return poll_one(pool, pool->local.here, &events);
}

/* While short tasks come one after the other, and no call waits, an idle worker is not sent the few
 * that are there: a message for each handful costs rank 0 more than they do.  They wait for a full
 * batch, and a few steps at the most. */
static bool is_burst(rp_pool *pool)
{
    uint64_t submitted = pool->master.counts.submitted, more = submitted - pool->steps.submitted;
    pool->steps.submitted = submitted;
    pool->steps.held = more >= BURST && pool->steps.held < HELD && rpi_master_gathers(&pool->master)
                           ? pool->steps.held + 1
                           : 0;
    return pool->steps.held > 0;
}

/* Without a caretaker: warns once if a step hands out tasks to idle workers so long after the last
 * one, which left tasks unsettled, that they have waited for it. */
static void look_back(rp_pool *pool, double before, uint64_t queued)
{
    bool waited = pool->steps.left_work && pool->now - before > ALONE &&
                  rpi_master_queued(&pool->master) < queued;
    pool->steps.left_work = pool->master.unsettled > 0;
    if (!waited)
        return;
    pool->steps.lonely = false;
    rpi_say(&pool->log, RP_LOG_WARNING,
            "tasks were queued and workers idle while no call drove the pool for %.1f s: there is "
            "no caretaker thread, because "
            "MPI was initialised without MPI_THREAD_MULTIPLE.  Leave MPI's start to rp_open, or "
            "call MPI_Init_thread with it, "
            "or call rp_progress now and then",
            pool->now - before);
}

static bool step(rp_pool *pool, bool run, bool gather)
{
    double before = pool->now;
    uint64_t queued = 0;
    if (pool->broken != RP_OK)
        return false;
    pool->shortage = RP_OK;
    pool->steps.at = rpi_ticks();
    pool->now = rpi_watch_at(&pool->steps.watch, pool->steps.at);
    if (pool->now - before > RPI_BACKOFF_IDLE_MOST && !pool->progress_thread.live)
        rpi_bufcache_trim(pool->alloc.cache); /* no call drove the pool for that long */
    bool any = poll_all(pool);
    rpi_members_step(pool);
    pool->steps.burst = gather && is_burst(pool);
    pool->steps.late = pool->master.ready.queue.tasks > 0 &&
                       rpi_roster_has_idle(&pool->master.roster);
    if (pool->steps.lonely && rpi_roster_has_idle(&pool->master.roster))
        queued = rpi_master_queued(&pool->master);
    if (!pool->steps.burst)
        rpi_step_dispatch(pool);
    if (pool->steps.lonely)
        look_back(pool, before, queued);
    if (run && rpi_pool_is_alone(pool) && !pool->local.executing && pool->broken == RP_OK) {
        bool ran = rpi_local_worker_run(pool, 1);
        any = poll_all(pool) || ran || any;
        rpi_step_dispatch(pool);
    }
    rpi_pool_rouse(pool);
    return any;
}

bool rpi_step(rp_pool *pool, bool run)
{
    return step(pool, run, false);
}

void rpi_step_drive_now(rp_pool *pool)
{
    uint64_t now = rpi_ticks();
    if (now - pool->steps.at <= STEP_TICKS + pool->steps.pause)
        return;
    (void)step(pool, false, true);
    uint64_t pause = STEP_SHARE * (rpi_ticks() - now);
    pool->steps.pause = pause < STEP_MOST ? pause : STEP_MOST;
}
