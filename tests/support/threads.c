#include "threads.h"
#include "open/register.h"

#include "base/wakeup.h"
#include "pool/journaling.h"
#include "store/trace.h"
#include "pool/tracing.h"
#include "base/status.h"
#include "transport/transport_local.h"
#include "pool/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

static atomic_bool failing;

void threads_fail(bool fails)
{
    atomic_store(&failing, fails);
}

/* ---- the transport: for each worker a local one, all under one lock */

struct hub;

struct end {
    struct rpi_transport base;
    struct rpi_transport *local;
    struct hub *hub;
    struct rpi_wakeup wakeup;
    bool gone, told; /* under the hub's lock */
};

struct hub {
    struct rpi_transport base; /* the master's end */
    struct rpi_wakeup wakeup;  /* its sleep; whoever sends ends the other end's */
    pthread_mutex_t lock;      /* recursive: a handler may send; taken after the pool's lock */
    struct rpi_alloc alloc;
    struct rpi_transport **locals; /* the master's, by worker - 1 */
    struct worker *workers;
    int started;
};

struct worker {
    struct end end;
    struct rpi_registry registry;
    struct rpi_serve server;
    pthread_t thread;
};

static struct hub *hub_of(struct rpi_transport *transport)
{
    return RPI_MEMBER(transport, struct hub, base);
}

static struct end *end_of(struct rpi_transport *transport)
{
    return RPI_MEMBER(transport, struct end, base);
}

static rp_status end_send(struct rpi_transport *transport, int peer, const void *data, size_t size,
                          void *cookie, bool *done)
{
    struct end *end = end_of(transport);
    (void)pthread_mutex_lock(&end->hub->lock);
    rp_status status = end->local->ops->send(end->local, peer, data, size, cookie, done);
    (void)pthread_mutex_unlock(&end->hub->lock);
    rpi_wakeup_wake(&end->hub->wakeup);
    return status;
}

static rp_status end_send_large(struct rpi_transport *transport, int peer, const void *data,
                                size_t size, void *cookie, bool *done)
{
    struct end *end = end_of(transport);
    (void)pthread_mutex_lock(&end->hub->lock);
    rp_status status = end->local->ops->send_large(end->local, peer, data, size, cookie, done);
    (void)pthread_mutex_unlock(&end->hub->lock);
    rpi_wakeup_wake(&end->hub->wakeup);
    return status;
}

static rp_status end_receive_large(struct rpi_transport *transport, int peer, void *data,
                                   size_t size, void *cookie)
{
    struct end *end = end_of(transport);
    (void)pthread_mutex_lock(&end->hub->lock);
    rp_status status = end->local->ops->receive_large(end->local, peer, data, size, cookie);
    (void)pthread_mutex_unlock(&end->hub->lock);
    return status;
}

static rp_status end_poll(struct rpi_transport *transport, const struct rpi_events *events,
                          bool *any)
{
    struct end *end = end_of(transport);
    (void)pthread_mutex_lock(&end->hub->lock);
    rp_status status = end->gone ? rpi_error(RP_ERR_BROKEN, "this worker is lost")
                                 : end->local->ops->poll(end->local, events, any);
    (void)pthread_mutex_unlock(&end->hub->lock);
    return status;
}

static void end_forget(struct rpi_transport *transport, int peer)
{
    struct end *end = end_of(transport);
    (void)pthread_mutex_lock(&end->hub->lock);
    end->local->ops->forget(end->local, peer);
    (void)pthread_mutex_unlock(&end->hub->lock);
}

static bool end_doze(struct rpi_transport *transport)
{
    (void)transport;
    return true;
}

static void end_park(struct rpi_transport *transport, double seconds)
{
    (void)rpi_wakeup_take(&end_of(transport)->wakeup, seconds);
}

static void end_wake(struct rpi_transport *transport)
{
    rpi_wakeup_wake(&end_of(transport)->wakeup);
}

static void end_close(struct rpi_transport *transport, bool together)
{
    struct end *end = end_of(transport);
    (void)pthread_mutex_lock(&end->hub->lock);
    end->local->ops->close(end->local, together);
    (void)pthread_mutex_unlock(&end->hub->lock);
    rpi_wakeup_wake(&end->hub->wakeup);
}

static const struct rpi_transport_ops end_ops = {
    .send = end_send,
    .send_large = end_send_large,
    .receive_large = end_receive_large,
    .poll = end_poll,
    .forget = end_forget,
    .doze = end_doze,
    .park = end_park,
    .wake = end_wake,
    .close = end_close,
};

static rp_status hub_send(struct rpi_transport *transport, int peer, const void *data, size_t size,
                          void *cookie, bool *done)
{
    struct hub *hub = hub_of(transport);
    struct rpi_transport *local = hub->locals[peer - 1];
    (void)pthread_mutex_lock(&hub->lock);
    *done = hub->workers[peer - 1].end.gone; /* its end of the local transport may be closed */
    rp_status status = *done ? RP_OK : local->ops->send(local, 1, data, size, cookie, done);
    (void)pthread_mutex_unlock(&hub->lock);
    rpi_wakeup_wake(&hub->workers[peer - 1].end.wakeup);
    return status;
}

static rp_status hub_send_large(struct rpi_transport *transport, int peer, const void *data,
                                size_t size, void *cookie, bool *done)
{
    struct hub *hub = hub_of(transport);
    struct rpi_transport *local = hub->locals[peer - 1];
    (void)pthread_mutex_lock(&hub->lock);
    *done = hub->workers[peer - 1].end.gone; /* its end of the local transport may be closed */
    rp_status status = *done ? RP_OK : local->ops->send_large(local, 1, data, size, cookie, done);
    (void)pthread_mutex_unlock(&hub->lock);
    rpi_wakeup_wake(&hub->workers[peer - 1].end.wakeup);
    return status;
}

static rp_status hub_receive_large(struct rpi_transport *transport, int peer, void *data,
                                   size_t size, void *cookie)
{
    struct hub *hub = hub_of(transport);
    struct rpi_transport *local = hub->locals[peer - 1];
    (void)pthread_mutex_lock(&hub->lock);
    bool gone = hub->workers[peer - 1].end.gone;
    rp_status status = gone ? RP_OK : local->ops->receive_large(local, 1, data, size, cookie);
    (void)pthread_mutex_unlock(&hub->lock);
    return status;
}

/* Every local transport calls its peer 1. */
struct renamed {
    const struct rpi_events *events;
    int peer;
};

static bool renamed_batch(void *context, int peer, const void *data, size_t size)
{
    const struct renamed *renamed = context;
    (void)peer;
    return renamed->events->batch(renamed->events->context, renamed->peer, data, size);
}

static void renamed_sent(void *context, void *cookie)
{
    const struct renamed *renamed = context;
    renamed->events->sent(renamed->events->context, cookie);
}

static bool renamed_received(void *context, void *cookie)
{
    const struct renamed *renamed = context;
    return renamed->events->received(renamed->events->context, cookie);
}

/* Whether this worker is lost; the pool is told once. */
static bool is_lost(struct hub *hub, int peer, const struct rpi_events *events)
{
    struct end *end = &hub->workers[peer - 1].end;
    if (end->gone && !end->told) {
        end->told = true;
        hub->locals[peer - 1]->ops->forget(hub->locals[peer - 1], 1);
        events->lost(events->context, peer);
    }
    return end->gone;
}

void threads_lose(rp_pool *pool, int worker)
{
    struct hub *hub = hub_of(pool->transport);
    (void)pthread_mutex_lock(&hub->lock);
    hub->workers[worker - 1].end.gone = true;
    (void)pthread_mutex_unlock(&hub->lock);
    rpi_wakeup_wake(&hub->workers[worker - 1].end.wakeup);
    rpi_wakeup_wake(&hub->wakeup);
}

static rp_status hub_poll(struct rpi_transport *transport, const struct rpi_events *events,
                          bool *any)
{
    struct hub *hub = hub_of(transport);
    rp_status status = RP_OK;
    *any = false;
    if (atomic_load(&failing))
        return rpi_error(RP_ERR_MPI, "the test's transport fails");
    (void)pthread_mutex_lock(&hub->lock);
    for (int peer = 1; status == RP_OK && peer <= hub->base.peers; peer++) {
        struct renamed renamed = { .events = events, .peer = peer };
        struct rpi_events mine = { .batch = renamed_batch,
                                   .sent = renamed_sent,
                                   .received = renamed_received,
                                   .context = &renamed };
        bool here = false;
        if (is_lost(hub, peer, events))
            continue;
        status = hub->locals[peer - 1]->ops->poll(hub->locals[peer - 1], &mine, &here);
        *any = *any || here;
    }
    (void)pthread_mutex_unlock(&hub->lock);
    return status;
}

static void hub_forget(struct rpi_transport *transport, int peer)
{
    struct hub *hub = hub_of(transport);
    (void)pthread_mutex_lock(&hub->lock);
    hub->locals[peer - 1]->ops->forget(hub->locals[peer - 1], 1);
    (void)pthread_mutex_unlock(&hub->lock);
}

static bool hub_doze(struct rpi_transport *transport)
{
    (void)transport;
    return true;
}

static void hub_park(struct rpi_transport *transport, double seconds)
{
    (void)rpi_wakeup_take(&hub_of(transport)->wakeup, seconds);
}

static void hub_wake(struct rpi_transport *transport)
{
    rpi_wakeup_wake(&hub_of(transport)->wakeup);
}

static void hub_close(struct rpi_transport *transport, bool together)
{
    struct hub *hub = hub_of(transport);
    struct rpi_alloc alloc = hub->alloc;
    for (int i = 0; i < hub->started; i++)
        (void)pthread_join(hub->workers[i].thread, NULL);
    for (int i = 0; i < hub->base.peers; i++)
        rpi_wakeup_fini(&hub->workers[i].end.wakeup);
    rpi_wakeup_fini(&hub->wakeup);
    for (int i = 0; i < hub->base.peers; i++)
        hub->locals[i]->ops->close(hub->locals[i], together);
    (void)pthread_mutex_destroy(&hub->lock);
    rpi_free(&alloc, hub->locals);
    rpi_free(&alloc, hub->workers);
    rpi_free(&alloc, hub);
}

static const struct rpi_transport_ops hub_ops = {
    .send = hub_send,
    .send_large = hub_send_large,
    .receive_large = hub_receive_large,
    .poll = hub_poll,
    .forget = hub_forget,
    .doze = hub_doze,
    .park = hub_park,
    .wake = hub_wake,
    .close = hub_close,
};

/* ---- workers */

static void *serve(void *context)
{
    struct worker *worker = context;
    rp_status status = rpi_serve_loop(&worker->server);
    if (status != RP_OK && status != RP_ERR_BROKEN)
        (void)fprintf(stderr, "a worker thread: %s\n", rp_error_message());
    rpi_serve_fini(&worker->server);
    rpi_registry_fini(&worker->registry);
    worker->end.base.ops->close(&worker->end.base, true);
    return NULL;
}

static rp_status initialise(struct worker *worker, const rp_config *config)
{
    rp_status status = RP_OK;
    if (config->initializer)
        status = rpi_serve_initialise(&worker->server,
                                      rpi_registry_find(&worker->registry, config->initializer),
                                      config->init_arg.data, config->init_arg.size);
    worker->server.finalizer = config->finalizer;
    return status;
}

static rp_status start_worker(struct hub *hub, int number, const char *host,
                              const rp_config *pool_config)
{
    struct worker *worker = &hub->workers[number - 1];
    worker->end.base = (struct rpi_transport){ .ops = &end_ops, .peers = 1 };
    worker->end.hub = hub;
    rp_status status = rpi_register_snapshot(&worker->registry, &hub->alloc);
    if (status == RP_OK)
        status = rpi_transport_local_open(&hub->alloc, &hub->locals[number - 1],
                                          &worker->end.local);
    struct rpi_serve_config config = { .alloc = hub->alloc,
                                       .registry = &worker->registry,
                                       .transport = &worker->end.base,
                                       .batch_limit = RPI_BATCH_DEFAULT,
                                       .number = number,
                                       .host = host };
    if (status == RP_OK)
        status = rpi_serve_init(&worker->server, &config);
    if (status == RP_OK)
        status = initialise(worker, pool_config);
    if (status == RP_OK && pthread_create(&worker->thread, NULL, serve, worker) != 0)
        status = rpi_no_memory("a worker's thread");
    hub->started += status == RP_OK;
    return status;
}

static struct hub *make_hub(const struct rpi_alloc *alloc, int workers)
{
    pthread_mutexattr_t recursive;
    struct hub *hub = rpi_zeroed(alloc, sizeof *hub);
    hub->alloc = *alloc;
    hub->base = (struct rpi_transport){ .ops = &hub_ops, .peers = workers };
    hub->locals = rpi_zeroed(alloc, (size_t)workers * sizeof(struct rpi_transport *));
    hub->workers = rpi_zeroed(alloc, (size_t)workers * sizeof *hub->workers);
    rpi_wakeup_init(&hub->wakeup);
    for (int i = 0; i < workers; i++)
        rpi_wakeup_init(&hub->workers[i].end.wakeup);
    (void)pthread_mutexattr_init(&recursive);
    (void)pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    (void)pthread_mutex_init(&hub->lock, &recursive);
    (void)pthread_mutexattr_destroy(&recursive);
    return hub;
}

/* ---- opening */

static rp_status open_hub(struct rpi_pool_parts *parts, const struct rpi_alloc *alloc,
                          int64_t *pids, const rp_config *config)
{
    rp_status status = RP_OK;
    struct hub *hub = make_hub(alloc, parts->workers);
    parts->transport = &hub->base;
    parts->threads = true;
    parts->hosts = rpi_zeroed(alloc, (size_t)(parts->workers + 1) * RPI_HOST_BYTES);
    parts->pids = pids;
    for (int i = 0; i <= parts->workers; i++)
        (void)snprintf(parts->hosts + (size_t)i * RPI_HOST_BYTES, RPI_HOST_BYTES, "thread%d", i);
    for (int i = 1; status == RP_OK && i <= parts->workers; i++)
        status = start_worker(hub, i, parts->hosts + (size_t)i * RPI_HOST_BYTES, config);
    return status;
}

rp_pool *threads_open(int workers, const rp_config *config)
{
    rp_config checked;
    struct rpi_registry registry;
    struct rpi_pool_parts parts = { .registry = &registry,
                                    .workers = workers > 0 ? workers : 1,
                                    .batch_limit = RPI_BATCH_DEFAULT,
                                    .began = rpi_now() };
    int64_t pids[64] = { 0 };
    rp_pool *pool = NULL;
    rp_status status = rpi_pool_config_check(config, &checked);
    struct rpi_alloc alloc = rpi_alloc_of(checked.alloc, checked.alloc_user);
    if (status == RP_OK)
        status = rpi_register_snapshot(&registry, &alloc);
    if (status == RP_OK && workers > 0)
        status = open_hub(&parts, &alloc, pids, &checked);
    if (status == RP_OK)
        status = rpi_journaling_open(&checked, &parts.journal);
    if (status == RP_OK)
        status = rpi_tracing_open(&checked, &parts.trace);
    if (status == RP_OK)
        status = rpi_pool_make(&checked, &parts, &pool);
    if (status != RP_OK)
        (void)fprintf(stderr, "threads_open: %s\n", rp_error_message());
    return pool;
}
