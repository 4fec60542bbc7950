#include "pool/local_worker.h"

#include "base/status.h"
#include "exec/crash.h"
#include "pool/pool.h"
#include "transport/transport_local.h"

/* ---- beginning and end */

static void pause_lock(void *context)
{
    rpi_pool_leave(context);
}

static void resume_lock(void *context)
{
    rp_pool *pool = context;
    rpi_biased_lock_take(&pool->lock);
}

/* Whether to hand back tasks: no caretaker drives the pool meanwhile, and the work taken for a
 * moment's proves long, so that the other workers wait. */
static bool hurries(void *context)
{
    rp_pool *pool = context;
    bool late = pool->local.here && !pool->progress_thread.live &&
                rpi_now() - pool->now > RPI_LOCAL_WORKER_SHORT;
    bool first = late && !pool->local.hurried;
    pool->local.hurried = late;
    return first;
}

/* From a copy, as on a worker of its own: what the application gives need not be aligned. */
static rp_status run_initializer(struct rpi_serve *server, uint16_t number, const rp_bytes *arg,
                                 const rp_pool *pool)
{
    void *copy = NULL;
    if (arg->size) {
        copy = rpi_buffer_new(&pool->alloc, arg->size);
        if (!copy)
            return rpi_no_memory("the initializer's argument");
        memcpy(copy, arg->data, arg->size);
    }
    rp_status status = rpi_serve_initialise(server, number, copy, arg->size);
    rpi_buffer_free(copy);
    return status;
}

static rp_status initialise(struct rpi_serve *server, const rp_config *config, const rp_pool *pool)
{
    const struct rpi_isolation isolation = rpi_pool_config_isolation(config);
    uint16_t number = RPI_NO_FUNCTION;
    rp_status status = RP_OK;
    if (config->initializer)
        status = rpi_pool_function(pool, config->initializer, "rp_open", &number);
    if (status == RP_OK && isolation.fork)
        return rpi_serve_isolate(server, &isolation, number, config->init_arg, config->finalizer);
    if (status == RP_OK && config->initializer)
        status = run_initializer(server, number, &config->init_arg, pool);
    if (status == RP_OK)
        server->finalizer = config->finalizer;
    return status;
}

static rp_status make_server(rp_pool *pool, int number, uint32_t batch_limit,
                             const rp_config *config)
{
    struct rpi_serve *server = rpi_reserve(&pool->alloc, sizeof *server);
    if (!server)
        return rpi_no_memory("a worker");
    struct rpi_serve_config server_config = { .alloc = pool->alloc,
                                              .registry = &pool->registry,
                                              .transport = pool->local.end,
                                              .batch_limit = batch_limit,
                                              .number = number,
                                              .seed = config->seed,
                                              .host = pool->hosts };
    rp_status status = rpi_serve_init(server, &server_config);
    if (status != RP_OK)
        goto free_server;
    status = initialise(server, config, pool);
    if (status != RP_OK)
        goto end_server;
    server->pause = pause_lock;
    server->resume = resume_lock;
    server->hurries = hurries;
    server->context = pool;
    pool->local.server = server;
    return RP_OK;

end_server:
    rpi_serve_fini(server);
free_server:
    rpi_free(&pool->alloc, server);
    return status;
}

rp_status rpi_local_worker_make(rp_pool *pool, int number, uint32_t batch_limit,
                                const rp_config *config, struct rpi_transport **end)
{
    rp_status status = rpi_transport_local_open(&pool->alloc, end, &pool->local.end);
    if (status != RP_OK)
        return status;
    status = make_server(pool, number, batch_limit, config);
    if (status == RP_OK)
        return RP_OK;
    (*end)->ops->close(*end, true);
    pool->local.end->ops->close(pool->local.end, true);
    *end = pool->local.end = NULL;
    return status;
}

void rpi_local_worker_free(rp_pool *pool)
{
    if (!pool->local.server)
        return;
    pool->local.end->ops->close(pool->local.end, true);
    rpi_serve_fini(pool->local.server);
    rpi_free(&pool->alloc, pool->local.server);
    pool->local.server = NULL;
}

/* ---- running */

/* The lock is let go while a function runs: `executing` keeps other threads out meanwhile. */
bool rpi_local_worker_run(rp_pool *pool, uint32_t most)
{
    struct rpi_serve *server = pool->local.server;
    struct rpi_events events = rpi_serve_events(server);
    bool any = false;
    rpi_crash_arm();
    pool->local.executing = true;
    pool->local.hurried = false;
    server->shortage = RP_OK;
    rp_status status = pool->local.end->ops->poll(pool->local.end, &events, &any);
    if (status == RP_OK)
        status = rpi_serve_pump(server);
    if (status == RP_OK && rpi_serve_run(server, most))
        any = true;
    pool->local.executing = false;
    pool->turns++;
    pool->now = rpi_now();
    if (status == RP_OK)
        status = server->broken;
    (void)rpi_pool_note(pool, status != RP_OK ? status : server->shortage);
    return any;
}
