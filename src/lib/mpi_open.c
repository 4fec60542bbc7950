/* Opening a pool: in this process alone, or over MPI. */
#include "clock.h"
#include "crash.h"
#include "mpi_life.h"
#include "mpi_family.h"
#include "opening.h"
#include "pool.h"
#include "status.h"
#include "transport_mpi.h"

#include <rankpool_mpi.h>
#include <pthread.h>
#include <stdio.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* This process's opens that went well.  A spawned worker counts those it passes: by their number it finds the one it was spawned for. */
static atomic_uint opens;

/* ---- one process */

static rp_status open_local(const rp_config *config, double began, rp_pool **pool)
{
    rp_config checked;
    struct rpi_alloc alloc;
    struct rpi_registry registry;
    struct rpi_pool_parts parts = { .registry = &registry, .workers = 1, .began = began };
    rp_status status = rpi_config_check(config, &checked);
    if (status == RP_OK)
        status = rpi_batch_limit(&parts.batch_limit);
    if (status != RP_OK)
        return status;
    alloc = rpi_alloc_of(checked.alloc, checked.alloc_user);
    status = rpi_registry_snapshot(&registry, &alloc);
    if (status != RP_OK)
        return status;
    status = rpi_pool_make(&checked, &parts, pool);
    if (status == RP_OK) {
        rpi_crash_watch();
        (void)atomic_fetch_add(&opens, 1);
    } else {
        rpi_registry_fini(&registry);
    }
    return status;
}

/* ---- several ranks */

/* A rank on its way into a pool. */
struct entry {
    rp_config config;
    struct rpi_alloc alloc;
    struct rpi_registry registry;
    struct rpi_opening opening;
    double began;
    bool spawned; /* the other ranks are: a communicator of ours, and no launcher that ends all with one */
};

static bool is_crowded(int ranks)
{
    return ranks > sysconf(_SC_NPROCESSORS_ONLN);
}

/* The workers of this host: they end together, so that one of them is enough.  Those of other hosts nobody watches. */
static rp_status watch_workers(const struct entry *entry)
{
    const struct rpi_opening *opening = &entry->opening;
    struct rpi_watch watch;
    int peers = opening->transport->peers;
    rp_status status = rpi_watch_init(&watch, &entry->alloc, peers);
    for (int rank = 1; status == RP_OK && rank <= peers; rank++)
        if (strcmp(opening->hosts + (size_t)rank * RPI_HOST_BYTES, opening->hosts) == 0)
            (void)rpi_watch_add(&watch, opening->pids[rank], rank);
    if (status == RP_OK)
        rpi_transport_mpi_watch(opening->transport, &watch);
    return status;
}

static rp_status check_background(const rp_config *config)
{
    if (config->background != RP_ON || rpi_mpi_threads())
        return RP_OK;
    return rpi_error(RP_ERR_INVALID,
                     "config.background = RP_ON needs MPI_THREAD_MULTIPLE, which this MPI was not initialised with: call "
                     "MPI_Init_thread with it, or leave MPI's start to rp_open, or leave background RP_DEFAULT");
}

/* After a verdict that let every rank in. */
static rp_status make_pool(struct entry *entry, rp_pool **pool)
{
    struct rpi_opening *opening = &entry->opening;
    struct rpi_pool_parts parts = { .transport = opening->transport,
                                    .registry = &entry->registry,
                                    .hosts = opening->hosts,
                                    .pids = opening->pids,
                                    .workers = opening->workers,
                                    .threads = rpi_mpi_threads(),
                                    .batch_limit = opening->batch_limit,
                                    .began = entry->began };
    opening->transport->crowded = is_crowded(opening->crowd);
    rp_status status = entry->spawned ? watch_workers(entry) : RP_OK;
    if (status == RP_OK)
        status = rpi_pool_make(&entry->config, &parts, pool);
    if (status != RP_OK)
        rpi_opening_take_back(opening);
    else if (entry->config.master_works == RP_ON)
        rpi_crash_watch();
    return status;
}

static rp_status master(struct entry *entry, rp_pool **pool)
{
    struct rpi_opening *opening = &entry->opening;
    size_t ranks = (size_t)opening->transport->peers + 1;
    opening->hosts = rpi_zeroed(&entry->alloc, ranks * RPI_HOST_BYTES);
    opening->pids = rpi_zeroed(&entry->alloc, ranks * sizeof *opening->pids);
    opening->processes = entry->config.processes;
    opening->seed = entry->config.seed;
    opening->init_arg = entry->config.init_arg;
    opening->initializer = RPI_NO_FUNCTION;
    if (opening->status == RP_OK)
        opening->status = check_background(&entry->config);
    if (opening->status == RP_OK && entry->config.initializer) {
        opening->initializer = rpi_registry_find(&entry->registry, entry->config.initializer);
        if (opening->initializer == RPI_NO_FUNCTION)
            opening->status = rpi_error(RP_ERR_UNREGISTERED,
                                        "config.initializer is not registered: put RP_TASK(its name); at file scope");
    }
    rp_status status = opening->hosts && opening->pids ? rpi_opening_master(opening) : rpi_no_memory("a pool");
    if (status == RP_OK)
        status = make_pool(entry, pool);
    rpi_free(&entry->alloc, opening->pids);
    if (status != RP_OK)
        rpi_free(&entry->alloc, opening->hosts);
    return status;
}

/* Ranks beyond the pool's workers have nothing to initialise, but take part in the talk. */
static rp_status initialise(struct entry *entry, struct rpi_server *server)
{
    struct rpi_opening *opening = &entry->opening;
    bool is_worker = opening->rank <= opening->workers;
    rp_status status = RP_OK;
    if (opening->initializer != RPI_NO_FUNCTION) {
        if (is_worker)
            status = rpi_server_initialise(server, opening->initializer, opening->init_arg.data, opening->init_arg.size);
        if (status == RP_OK && is_worker)
            server->finalizer = entry->config.finalizer; /* though another's may have failed */
        return rpi_opening_report(opening, status);
    }
    if (is_worker)
        server->finalizer = entry->config.finalizer;
    return status;
}

static rp_status worker(struct entry *entry)
{
    struct rpi_opening *opening = &entry->opening;
    char host[RPI_HOST_BYTES] = "";
    struct rpi_server server;
    rp_status status = rpi_opening_worker(opening);
    if (status != RP_OK)
        return status;
    (void)gethostname(host, sizeof host - 1);
    opening->transport->crowded = is_crowded(opening->crowd);
    struct rpi_server_config config = { .alloc = entry->alloc,
                                        .registry = &entry->registry,
                                        .transport = opening->transport,
                                        .batch_limit = opening->batch_limit,
                                        .number = opening->rank,
                                        .seed = opening->seed,
                                        .host = host };
    status = rpi_server_init(&server, &config);
    if (status == RP_OK) {
        rpi_crash_watch();
        status = initialise(entry, &server);
        if (status == RP_OK) {
            opening->together = false; /* from here on only a good end is a common one */
            status = rpi_server_loop(&server);
        }
        rpi_server_fini(&server);
    }
    rpi_buffer_free((void *)(uintptr_t)opening->init_arg.data);
    return status;
}

/* `failure`: what already went wrong on this rank; rp_error_message() tells it, and the others are told. */
static void prepare_entry(struct entry *entry, const rp_config *config, rp_status failure)
{
    struct rpi_opening *opening = &entry->opening;
    rp_status checked = rpi_config_check(failure == RP_OK ? config : NULL, &entry->config); /* NULL: the defaults */
    opening->status = failure == RP_OK ? checked : failure;
    if (opening->status == RP_OK)
        opening->status = rpi_batch_limit(&opening->batch_limit);
    entry->alloc = rpi_alloc_of(entry->config.alloc, entry->config.alloc_user);
    if (opening->status == RP_OK)
        opening->status = rpi_registry_snapshot(&entry->registry, &entry->alloc);
    opening->alloc = entry->alloc;
    opening->registry = &entry->registry;
    opening->timeout = entry->config.open_timeout;
}

/* Over a prepared entry. */
static rp_status open_ranks(MPI_Comm comm, struct entry *entry, rp_pool **pool)
{
    struct rpi_opening *opening = &entry->opening;
    rp_status failure = opening->status; /* told to the others, who wait */
    (void)MPI_Comm_rank(comm, &opening->rank);
    rp_status status = rpi_transport_mpi_open(comm, opening->timeout, &entry->alloc, &opening->transport);
    if (status != RP_OK) {
        rpi_registry_fini(&entry->registry);
        return status;
    }
    if (entry->spawned)
        (void)MPI_Comm_free(&comm);
    opening->status = failure;
    rp_pool *new = NULL;
    status = opening->rank == 0 ? master(entry, &new) : worker(entry);
    if (status != RP_OK || opening->rank > 0) {
        opening->transport->ops->close(opening->transport, status == RP_OK || opening->together);
        rpi_registry_fini(&entry->registry);
    }
    if (status == RP_OK) {
        *pool = new;
        (void)atomic_fetch_add(&opens, 1);
    }
    return status;
}

/* ---- one rank, and workers that it spawns */

static rp_status open_family(const rp_config *config, double began, rp_pool **pool)
{
    MPI_Comm ranks;
    struct entry entry = { .began = began, .spawned = true };
    prepare_entry(&entry, config, RP_OK);
    rp_status status = entry.opening.status;
    if (status == RP_OK)
        status = rpi_family_spawn(entry.config.processes, atomic_load(&opens) + 1, entry.opening.timeout, &entry.alloc,
                                  &ranks);
    if (status == RP_OK)
        return open_ranks(ranks, &entry, pool);
    rpi_registry_fini(&entry.registry);
    return status;
}

/* A spawned worker in the open that its parent waits in; `failure`: it cannot serve. */
static rp_status join_family(const rp_config *config, rp_status failure, double began, rp_pool **pool)
{
    MPI_Comm ranks;
    struct entry entry = { .began = began, .spawned = true };
    prepare_entry(&entry, config, failure);
    rp_status status = rpi_family_join(&ranks);
    if (status == RP_OK)
        return open_ranks(ranks, &entry, pool);
    rpi_registry_fini(&entry.registry);
    return status;
}

static rp_status open_spawned(const rp_config *config, double began, rp_pool **pool)
{
    rp_config checked;
    rp_status status = rpi_config_check(config, &checked);
    if (status != RP_OK)
        return status; /* so it was in the parent, which did not count it either */
    if (atomic_fetch_add(&opens, 1) + 1 == rpi_family_turn())
        return join_family(config, RP_OK, began, pool);
    *pool = NULL;
    return RP_OK;
}

/* ---- the process's end */

/* A spawned worker whose program comes to its end without the open that its parent waits in says so. */
static void answer_parent(void)
{
    rp_pool *none = NULL;
    unsigned passed = atomic_load(&opens), turn = rpi_family_turn();
    if (passed < turn)
        (void)join_family(
            NULL,
            rpi_error(RP_ERR_BROKEN,
                      "the program came to its end in a spawned worker after %u calls of rp_open, but call %u is "
                      "the one to serve in: a worker must make the same calls of rp_open as its parent",
                      passed, turn),
            rpi_now(), &none);
}

/* exit() inside a task would leave rank 0 waiting: it ends the job, after naming the task.  In a process alone it must not pass for
 * success: what was still to do is not done. */
static void at_exit(void)
{
    if (rpi_crash_exit()) {
        (void)fflush(NULL);
        rpi_mpi_abort(1);
        _exit(1);
    }
    if (rpi_mpi_active())
        answer_parent();
    rpi_pools_terminate();
    rpi_mpi_end();
    rpi_family_leave();
}

static void register_at_exit(void)
{
    if (atexit(at_exit) != 0)
        (void)rpi_error(RP_ERR_NOMEM, "no room for an exit handler: MPI will not be finalised");
}

static void prepare_exit(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, register_at_exit);
}

/* ---- any */

static bool spawns(const rp_config *config)
{
    return config && config->struct_size == sizeof *config && config->processes > 0;
}

static rp_status open_comm(MPI_Comm comm, const rp_config *config, double began, rp_pool **pool)
{
    int size;
    prepare_exit();
    if (rpi_family_turn())
        return open_spawned(config, began, pool);
    if (MPI_Comm_size(comm, &size) != MPI_SUCCESS)
        return rpi_error(RP_ERR_MPI, "MPI_Comm_size failed");
    if (size == 1)
        return spawns(config) ? open_family(config, began, pool) : open_local(config, began, pool);
    struct entry entry = { .began = began };
    prepare_entry(&entry, config, RP_OK);
    return open_ranks(comm, &entry, pool);
}

rp_status rp_open(const rp_config *config, rp_pool **pool)
{
    double began = rpi_now();
    if (!pool)
        return rpi_error(RP_ERR_INVALID, "rp_open: pool is NULL");
    rp_status status = rpi_call_forbid("rp_open");
    if (status == RP_OK)
        status = rpi_mpi_srun_check();
    if (status != RP_OK)
        return status;
    if (!rpi_mpi_launched() && !spawns(config)) {
        prepare_exit();
        return open_local(config, began, pool);
    }
    status = rpi_mpi_begin();
    return status == RP_OK ? open_comm(MPI_COMM_WORLD, config, began, pool) : status;
}

rp_status rp_open_comm(MPI_Comm comm, const rp_config *config, rp_pool **pool)
{
    double began = rpi_now();
    int initialised = 0, finalised = 0, inter = 0;
    if (!pool)
        return rpi_error(RP_ERR_INVALID, "rp_open_comm: pool is NULL");
    rp_status status = rpi_call_forbid("rp_open_comm");
    if (status != RP_OK)
        return status;
    (void)MPI_Initialized(&initialised);
    (void)MPI_Finalized(&finalised);
    if (!initialised || finalised)
        return rpi_error(RP_ERR_INVALID, "rp_open_comm: MPI is not initialised, or finalised already");
    if (comm == MPI_COMM_NULL)
        return rpi_error(RP_ERR_INVALID, "rp_open_comm: the communicator is MPI_COMM_NULL");
    (void)MPI_Comm_test_inter(comm, &inter);
    if (inter)
        return rpi_error(RP_ERR_INVALID, "rp_open_comm: the communicator is an intercommunicator");
    return open_comm(comm, config, began, pool);
}
