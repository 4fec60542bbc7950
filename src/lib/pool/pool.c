/* Driving a pool: steps, waiting, the lock. */
#include "pool/local_worker.h"
#include "pool/journaling.h"
#include "pool/members.h"

#include "base/shm.h"
#include "base/bufcache.h"
#include "base/status.h"
#include "pool/tracing.h"

#include <stdio.h>
#include <unistd.h>

#define STEP_TICKS ((uint64_t)RPI_TICKS_US) /* between two steps of calls that need none */
#define STEP_SHARE 4                        /* and so many times what the last took: over tcp it is tens of microseconds */
#define STEP_MOST  (200 * (uint64_t)RPI_TICKS_US)
#define BURST      8   /* tasks that came since the last step: there will be more */
#define HELD       3   /* steps that they wait for more at the most */
#define ALONE      1.0 /* seconds without a step that are worth a word */

/* Why this process has no pool: a fact of its last rp_open. */
static _Atomic(const char *) absence;

void rpi_pool_is_elsewhere(const char *why)
{
    atomic_store(&absence, why);
}

const char *rpi_pool_absence(void)
{
    return atomic_load(&absence);
}

rp_status rpi_pool_refused(const char *function)
{
    const char *why = rpi_pool_absence();
    if (rpi_call_current())
        return rpi_call_forbidden(function);
    return rpi_error(RP_ERR_INVALID, "%s: the pool is NULL: %s", function,
                     why ? why : "rp_open has not made one, or rp_close has ended it");
}

static rp_status is_shut(rp_pool *pool, const char *function)
{
    if (pool->left)
        return rpi_error(RP_ERR_CONTEXT,
                         "%s: this process (pid %ld) is a child of fork(), and the pool is its parent's: only that one may "
                         "use it",
                         function, (long)getpid());
    return rpi_error(RP_ERR_INVALID,
                     "%s: the pool is closed: the process is ending, and exit() has ended the pools that were open",
                     function);
}

rp_status rpi_pool_function(const rp_pool *pool, rp_fn *fn, const char *caller, uint16_t *number)
{
    if (!fn)
        return rpi_error(RP_ERR_INVALID, "%s: the function is NULL", caller);
    *number = rpi_registry_find(&pool->registry, fn);
    if (*number == RPI_NO_FUNCTION)
        return rpi_error(RP_ERR_UNREGISTERED,
                         "%s: the function at %p is not registered: put RP_TASK(its name); at file scope, or call "
                         "rp_register before rp_open on every rank",
                         caller, (void *)(uintptr_t)fn);
    return RP_OK;
}

rp_status rpi_pool_enter_late(rp_pool *pool, const char *function)
{
    if (rpi_lock_is_shut(&pool->lock))
        return is_shut(pool, function);
    rpi_biased_lock_contend(&pool->lock);
    if (!rpi_lock_is_shut(&pool->lock))
        return RP_OK;
    rpi_biased_lock_give(&pool->lock);
    return is_shut(pool, function);
}

void rpi_pool_come_back(rp_pool *pool, const char *what)
{
    if (pool->left)
        rpi_call_came_back(what, "of the pool's");
    rpi_biased_lock_take(&pool->lock);
}

void rpi_pool_call_caretaker(rp_pool *pool)
{
    if (pool->master.unsettled == 0 || rpi_pool_attended(pool))
        return;
    pool->caretaker.blocked = false;
    rpi_wakeup_wake(&pool->caretaker.nap);
}

void rpi_pool_break(rp_pool *pool, rp_status status)
{
    if (pool->broken != RP_OK)
        return;
    pool->broken = status;
    (void)snprintf(pool->why, sizeof pool->why, "%s", rp_error_message());
    rpi_say(&pool->log, RP_LOG_ERROR, "the pool cannot go on: %s", pool->why);
    rpi_tracing_event(pool, 0, pool->why);
}

rp_status rpi_pool_sound(const rp_pool *pool)
{
    return pool->broken == RP_OK ? RP_OK : rpi_error(RP_ERR_BROKEN, "the pool cannot go on: %s", pool->why);
}

rp_status rpi_pool_open(const rp_pool *pool)
{
    rp_status status = rpi_pool_sound(pool);
    if (status == RP_OK && pool->master.dropped)
        status = rpi_error(RP_ERR_CONTEXT, "the pool is being terminated: it takes no more tasks");
    return status;
}

/* ---- what the transport reports */

/* Tells a shortage of memory, which passes, from an end. */
static bool taken(rp_pool *pool, rp_status status)
{
    if (status == RP_ERR_NOMEM) {
        pool->shortage = status;
        return false;
    }
    if (status != RP_OK)
        rpi_pool_break(pool, status);
    return true;
}

void rpi_pool_note(rp_pool *pool, rp_status status)
{
    (void)taken(pool, status);
}

static bool take_batch(rp_pool *pool, int peer, const void *data, size_t size)
{
    if (pool->trace)
        rpi_tracing_batch(pool, peer, data, size);
    rp_status status = rpi_master_receive(&pool->master, peer, data, size, pool->now);
    if (status == RP_OK || status == RP_ERR_NOMEM)
        return taken(pool, status);
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
    if (rpi_reader_open(&reader, data, size) == RP_OK && reader.kind == RPI_STOP && pool->master.versions.closed) {
        rpi_members_left(pool, peer);
        return true;
    }
    if (peer < 1 || peer > pool->master.roster.workers)
        return true;
    if (pool->detector.limit > 0)
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
    pool->ranks[((const struct rpi_batch *)cookie)->peer].sending--;
    rpi_master_sent(&pool->master, cookie);
}

static bool on_received(void *context, void *cookie)
{
    rp_pool *pool = context;
    if (pool->trace)
        rpi_tracing_arrived(pool, cookie);
    return taken(pool, rpi_master_arrived(&pool->master, cookie, pool->now));
}

/* ---- handing the transport what the engine has for it */

static struct rpi_transport *way_to(const rp_pool *pool, int peer)
{
    return peer ? pool->transport : pool->here;
}

void rpi_pool_pump(rp_pool *pool)
{
    struct rpi_master *master = &pool->master;
    rp_status status = pool->broken;
    struct rpi_arrival *arrival;
    struct rpi_batch *batch;
    while (status == RP_OK && (arrival = rpi_master_incoming(master))) {
        struct rpi_transport *transport = way_to(pool, arrival->peer);
        status = transport->ops->receive_large(transport, arrival->peer, arrival->buffer, arrival->size, arrival);
        if (status == RP_ERR_NOMEM)
            rpi_master_unposted(master, arrival);
    }
    while (status == RP_OK && (batch = rpi_master_outgoing(master))) {
        uint16_t done, before = batch->begun;
        status = rpi_batch_send(batch, way_to(pool, batch->peer), &done);
        if (batch->peer) {
            uint64_t more = (uint64_t)batch->begun - before - done;
            pool->sending += more;
            pool->ranks[batch->peer].sending += more;
        }
        if (status == RP_ERR_NOMEM)
            rpi_master_unsent(master, batch);
        for (; done > 0; done--)
            rpi_master_sent(master, batch);
    }
    rpi_pool_note(pool, status);
}

bool rpi_pool_carries(const rp_pool *pool)
{
    return pool->sending > 0 || !rpi_list_empty(&pool->master.arriving);
}

void rpi_pool_free_shares(rp_pool *pool)
{
    for (struct rpi_shared_version *version; (version = rpi_shared_versions_dead(&pool->master.versions));) {
        rpi_shm_free(&version->segment);
        rpi_shared_version_free(&pool->master.versions, version);
    }
}

void rpi_pool_dispatch(rp_pool *pool)
{
    if (pool->journal)
        rpi_journaling_step(pool);
    rpi_master_dispatch(&pool->master, pool->now);
    rpi_pool_pump(pool);
    if (!rpi_list_empty(&pool->master.versions.dead))
        rpi_pool_free_shares(pool);
}

/* ---- steps */

static bool poll_one(rp_pool *pool, struct rpi_transport *transport, const struct rpi_events *events)
{
    bool any = false;
    rp_status status = transport->ops->poll(transport, events, &any);
    if (status != RP_OK)
        rpi_pool_break(pool, status);
    return any;
}

/* The lock is held: nobody else writes it. */
static void count_poll(rp_pool *pool)
{
    unsigned polls = atomic_load_explicit(&pool->polls, memory_order_relaxed);
    atomic_store_explicit(&pool->polls, polls + 1, memory_order_relaxed);
}

bool rpi_pool_poll(rp_pool *pool)
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

bool rpi_pool_poll_here(rp_pool *pool)
{
    struct rpi_events events = { .batch = on_batch_here, .sent = on_sent_here, .received = on_received, .context = pool };
    return poll_one(pool, pool->here, &events);
}

/* Where short tasks come in one behind the other, and nobody waits, an idle worker is not sent the few that are there: a message for each
 * handful costs rank 0 more than they do.  They wait for a full batch, and a few steps at the most. */
static bool is_burst(rp_pool *pool)
{
    uint64_t submitted = pool->master.counts.submitted, more = submitted - pool->submitted;
    pool->submitted = submitted;
    pool->held = more >= BURST && pool->held < HELD && rpi_master_gathers(&pool->master) ? pool->held + 1 : 0;
    return pool->held > 0;
}

/* Where there is no caretaker: a step that hands out tasks to idle workers comes so long after the last one, which left tasks
 * unsettled, that they have waited for it.  That is said once. */
static void look_back(rp_pool *pool, double before, uint64_t queued)
{
    bool waited = pool->left_work && pool->now - before > ALONE && rpi_master_queued(&pool->master) < queued;
    pool->left_work = pool->master.unsettled > 0;
    if (!waited)
        return;
    pool->lonely = false;
    rpi_say(
        &pool->log, RP_LOG_WARNING,
        "tasks were queued and workers idle while no call drove the pool for %.1f s: there is no caretaker thread, because "
        "MPI was initialised without MPI_THREAD_MULTIPLE.  Leave MPI's start to rp_open, or call MPI_Init_thread with it, "
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
    pool->stepped = rpi_ticks();
    pool->now = rpi_watch_at(&pool->watch, pool->stepped);
    if (pool->now - before > RPI_IDLE_MOST && !pool->caretaker.live)
        rpi_bufcache_trim(pool->alloc.cache); /* for so long nobody drove the pool */
    bool any = rpi_pool_poll(pool);
    rpi_members_step(pool);
    pool->burst = gather && is_burst(pool);
    pool->late = pool->master.queue.tasks > 0 && rpi_roster_has_idle(&pool->master.roster);
    if (pool->lonely && rpi_roster_has_idle(&pool->master.roster))
        queued = rpi_master_queued(&pool->master);
    if (!pool->burst)
        rpi_pool_dispatch(pool);
    if (pool->lonely)
        look_back(pool, before, queued);
    if (run && rpi_pool_is_alone(pool) && !pool->executing && pool->broken == RP_OK) {
        any = rpi_local_worker_run(pool) || any;
        rpi_pool_dispatch(pool);
    }
    rpi_pool_rouse(pool);
    return any;
}

bool rpi_pool_step(rp_pool *pool, bool run)
{
    return step(pool, run, false);
}

void rpi_pool_drive_now(rp_pool *pool)
{
    uint64_t now = rpi_ticks();
    if (now - pool->stepped <= STEP_TICKS + pool->pause)
        return;
    (void)step(pool, false, true);
    uint64_t pause = STEP_SHARE * (rpi_ticks() - now);
    pool->pause = pause < STEP_MOST ? pause : STEP_MOST;
}

static _Thread_local bool in_callback;

bool rpi_pool_in_callback(void)
{
    return in_callback;
}

void rpi_pool_leave_callback(void)
{
    in_callback = false;
}

rp_status rpi_pool_may_wait(const char *function)
{
    return in_callback ? rpi_error(RP_ERR_CONTEXT, "%s waits: an on_done function may not", function) : RP_OK;
}

static void call_on_done(rp_pool *pool, uint64_t id)
{
    struct rpi_master *master = &pool->master;
    struct rpi_future *future = rpi_future_of(&master->futures, id);
    struct rpi_options options = *rpi_options_at(&master->options, future->options);
    rp_outcome outcome = RP_OUTCOME_INIT;
    rpi_master_outcome(master, future, &outcome);
    rpi_pool_leave(pool);
    in_callback = true;
    options.on_done(pool, (rp_future){ id }, &outcome, options.user);
    in_callback = false;
    rpi_pool_come_back(pool, "an on_done function");
    rpi_master_forget_options(master, future); /* until now nobody could free it */
    if (future->flags & RPI_FUTURE_RELEASED)
        rpi_master_release(master, id, future);
}

void rpi_pool_deliver(rp_pool *pool)
{
    if (pool->delivering || in_callback)
        return;
    pool->delivering = true;
    while (pool->master.called.count) {
        pool->master.calls_due--;
        call_on_done(pool, rpi_idqueue_pop(&pool->master.called));
        pool->turns++;
    }
    pool->delivering = false;
}

/* A step has found nothing.  Returns whether this thread is about to sleep, and wants to look once more before. */
static bool wait_a_while(rp_pool *pool, struct rpi_patience *patience, bool dozing, double left)
{
    if (dozing) {
        double limit = rpi_idle_limit(pool, patience);
        if (rpi_idle_take(pool, limit < left ? limit : left, false))
            rpi_patience_rouse(patience);
    } else if (rpi_patience_is_drowsy(patience) && rpi_idle_doze(pool)) {
        return true;
    } else {
        patience->moving = pool->transport->moving;
        rpi_biased_lock_give(&pool->lock);
        rpi_patience_wait(patience);
        rpi_biased_lock_take(&pool->lock);
    }
    return false;
}

static rp_status wait_until(rp_pool *pool, bool (*ready)(rp_pool *pool, const void *context), const void *context,
                            double timeout, bool deliver)
{
    struct rpi_patience patience = { .crowded = pool->transport->crowd > 1 };
    double deadline = 0;
    bool dozing = false;
    while (!ready(pool, context)) {
        rp_status status = rpi_pool_sound(pool);
        if (status == RP_OK)
            status = rpi_pool_may_wait("the call");
        if (status != RP_OK)
            return status;
        pool->transport->hasty = rpi_patience_spins(&patience);
        bool any = rpi_pool_step(pool, true);
        if (deliver && pool->master.called.count)
            rpi_pool_deliver(pool);
        if (deadline <= 0)
            deadline = rpi_deadline(pool->now, timeout);
        if (ready(pool, context))
            return RP_OK;
        if (pool->shortage != RP_OK)
            return rpi_no_memory("what came from the workers; it waits");
        if (pool->now >= deadline)
            return rpi_error(RP_ERR_TIMEOUT, "not settled within %g s", timeout);
        if (pool->here && rpi_local_worker_help(pool, deadline - pool->now))
            any = true;
        if (any)
            rpi_patience_reset(&patience);
        dozing = !any && wait_a_while(pool, &patience, dozing, deadline - pool->now);
    }
    return RP_OK;
}

static rp_status wait_counted(rp_pool *pool, bool (*ready)(rp_pool *pool, const void *context), const void *context,
                              double timeout, bool deliver)
{
    pool->waiting++;
    rp_status status = wait_until(pool, ready, context, timeout, deliver);
    pool->waiting--;
    return status;
}

rp_status rpi_pool_wait(rp_pool *pool, bool (*ready)(rp_pool *pool, const void *context), const void *context,
                        double timeout)
{
    return wait_counted(pool, ready, context, timeout, true);
}

rp_status rpi_pool_wait_quietly(rp_pool *pool, bool (*ready)(rp_pool *pool, const void *context), const void *context)
{
    return wait_counted(pool, ready, context, RP_FOREVER, false);
}

rp_status rp_progress(rp_pool *pool)
{
    rp_status status = rpi_pool_enter(pool, "rp_progress");
    if (status != RP_OK)
        return status;
    (void)rpi_pool_step(pool, true);
    rpi_pool_deliver(pool);
    status = rpi_pool_sound(pool);
    rpi_pool_leave(pool);
    return rpi_named("rp_progress", status);
}

bool rpi_pool_at_rest(rp_pool *pool, const void *unused)
{
    (void)unused;
    return pool->master.unsettled == 0 && pool->master.called.count == 0 && !pool->delivering &&
           rpi_journaling_at_rest(pool);
}

rp_status rp_drain(rp_pool *pool, double timeout)
{
    rp_status status = rpi_pool_enter(pool, "rp_drain");
    if (status != RP_OK)
        return status;
    rpi_pool_drive_now(pool); /* at rest there is nothing to wait for */
    status = rpi_is_time(timeout) ? rpi_pool_wait(pool, rpi_pool_at_rest, NULL, timeout)
                                  : rpi_error(RP_ERR_INVALID, "rp_drain: the timeout is not a number");
    if (status == RP_ERR_TIMEOUT)
        status = rpi_error(RP_ERR_TIMEOUT, "rp_drain: %llu tasks are not settled after %g s",
                           (unsigned long long)pool->master.unsettled, timeout);
    if (status == RP_OK)
        status = rpi_journaling_sound(pool);
    rpi_pool_leave(pool);
    return rpi_named("rp_drain", status);
}
