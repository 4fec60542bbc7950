/* Opening a pool: in this process alone, or over MPI. */
#include "clock.h"
#include "crash.h"
#include "mpi_life.h"
#include "opening.h"
#include "pool.h"
#include "status.h"
#include "transport_mpi.h"

#include <rankpool_mpi.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- the process's end */

/* exit() inside a task would leave rank 0 waiting: it ends the job, after naming the task.  In a process alone it must not pass for
 * success: what was still to do is not done. */
static void at_exit(void)
{
    if (rpi_crash_exit()) {
        (void)fflush(NULL);
        rpi_mpi_abort(1);
        _exit(1);
    }
    rpi_pools_terminate();
    rpi_mpi_end();
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

/* ---- one process */

static rp_status open_local(const rp_config *config, double began, rp_pool **pool)
{
    rp_config checked;
    struct rpi_alloc alloc;
    struct rpi_registry registry;
    struct rpi_pool_parts parts = { .registry = &registry, .workers = 1, .began = began };
    rp_status status = rpi_config_check(config, &checked);
    if (status == RP_OK && checked.processes > 0)
        status = rpi_error(RP_ERR_INVALID,
                           "config.processes = %d in a run of one rank: spawning workers is not available in this version; "
                           "use mpirun -n %d",
                           checked.processes, checked.processes + 1);
    if (status == RP_OK)
        status = rpi_batch_limit(&parts.batch_limit);
    if (status != RP_OK)
        return status;
    alloc = rpi_alloc_of(checked.alloc, checked.alloc_user);
    status = rpi_registry_snapshot(&registry, &alloc);
    if (status != RP_OK)
        return status;
    status = rpi_pool_make(&checked, &parts, pool);
    if (status == RP_OK)
        rpi_crash_watch();
    else
        rpi_registry_fini(&registry);
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
};

static bool is_crowded(int ranks)
{
    return ranks > sysconf(_SC_NPROCESSORS_ONLN);
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
    if (opening->status == RP_OK && entry->config.initializer) {
        opening->initializer = rpi_registry_find(&entry->registry, entry->config.initializer);
        if (opening->initializer == RPI_NO_FUNCTION)
            opening->status = rpi_error(RP_ERR_UNREGISTERED,
                                        "config.initializer is not registered: put RP_TASK(its name); at file scope");
    }
    rp_status status = opening->hosts && opening->pids ? rpi_opening_master(opening) : rpi_no_memory("a pool");
    if (status == RP_OK) {
        struct rpi_pool_parts parts = { .transport = opening->transport,
                                        .registry = &entry->registry,
                                        .hosts = opening->hosts,
                                        .pids = opening->pids,
                                        .workers = opening->workers,
                                        .threads = rpi_mpi_threads(),
                                        .batch_limit = opening->batch_limit,
                                        .began = entry->began };
        opening->transport->crowded = is_crowded(opening->crowd);
        status = rpi_pool_make(&entry->config, &parts, pool);
        if (status != RP_OK)
            rpi_opening_take_back(opening);
        else if (entry->config.master_works == RP_ON)
            rpi_crash_watch();
    }
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

static rp_status check_background(const rp_config *config)
{
    if (config->background != RP_ON || rpi_mpi_threads())
        return RP_OK;
    return rpi_error(RP_ERR_INVALID,
                     "config.background = RP_ON needs MPI_THREAD_MULTIPLE, which this MPI was not initialised with: call "
                     "MPI_Init_thread with it, or leave MPI's start to rp_open, or leave background RP_DEFAULT");
}

static rp_status open_ranks(MPI_Comm comm, const rp_config *config, double began, rp_pool **pool)
{
    struct entry entry = { .began = began };
    struct rpi_opening *opening = &entry.opening;
    (void)MPI_Comm_rank(comm, &opening->rank);
    opening->status = rpi_config_check(config, &entry.config);
    if (opening->status == RP_OK)
        opening->status = rpi_batch_limit(&opening->batch_limit);
    entry.alloc = rpi_alloc_of(entry.config.alloc, entry.config.alloc_user);
    if (opening->status == RP_OK)
        opening->status = rpi_registry_snapshot(&entry.registry, &entry.alloc);
    if (opening->status == RP_OK && opening->rank == 0)
        opening->status = check_background(&entry.config);
    opening->alloc = entry.alloc;
    opening->registry = &entry.registry;
    opening->timeout = entry.config.open_timeout;
    rp_status failure = opening->status; /* told to the others, who wait */
    rp_status status = rpi_transport_mpi_open(comm, opening->timeout, &entry.alloc, &opening->transport);
    if (status != RP_OK) {
        rpi_registry_fini(&entry.registry);
        return status;
    }
    opening->status = failure;
    rp_pool *new = NULL;
    status = opening->rank == 0 ? master(&entry, &new) : worker(&entry);
    if (status != RP_OK || opening->rank > 0) {
        opening->transport->ops->close(opening->transport, status == RP_OK || opening->together);
        rpi_registry_fini(&entry.registry);
    }
    if (status == RP_OK)
        *pool = new;
    return status;
}

static rp_status open_comm(MPI_Comm comm, const rp_config *config, double began, rp_pool **pool)
{
    int size;
    if (MPI_Comm_size(comm, &size) != MPI_SUCCESS)
        return rpi_error(RP_ERR_MPI, "MPI_Comm_size failed");
    prepare_exit();
    return size == 1 ? open_local(config, began, pool) : open_ranks(comm, config, began, pool);
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
    if (!rpi_mpi_launched()) {
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
