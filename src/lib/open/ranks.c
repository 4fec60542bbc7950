#include "open/ranks.h"

#include "base/bufcache.h"
#include "base/status.h"
#include "exec/answer_thread.h"
#include "exec/crash.h"
#include "open/mpi_end.h"
#include "open/register.h"
#include "open/respawn_mpi.h"
#include "pool/journaling.h"
#include "pool/pool.h"
#include "pool/tracing.h"
#include "store/trace.h"
#include "transport/mpi/mpi_runtime.h"
#include "transport/mpi/ompi41.h"
#include "transport/mpi/transport_mpi.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BEAT 0.25 /* seconds between heartbeats */

static atomic_uint opens;

unsigned rpi_ranks_passed(void)
{
    return atomic_load(&opens);
}

unsigned rpi_ranks_pass(void)
{
    return atomic_fetch_add(&opens, 1) + 1;
}

/* A task that leaves its process ends the job: the others must not wait for this rank.  Where
 * they go on without it, nothing is aborted: mpirun may take them along, when two ranks do so at
 * once. */
void (*rpi_ranks_job_ender(void))(int code)
{
    return rpi_mpi_runtime_recovers() ? NULL : rpi_mpi_runtime_abort;
}

static double crowd_of(int ranks)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return (double)ranks / (double)(cores > 0 ? cores : 1);
}

static rp_status check_background(const rp_config *config)
{
    if (config->background != RP_ON || rpi_mpi_runtime_threads())
        return RP_OK;
    return rpi_error(
        RP_ERR_INVALID,
        "config.background = RP_ON needs MPI_THREAD_MULTIPLE, which this MPI was not initialised "
        "with: call "
        "MPI_Init_thread with it, or leave MPI's start to rp_open, or leave background RP_DEFAULT");
}

/* mpirun ends a host's ranks when it gives the host up: rankpool launch has told it when. */
static void compare_host_timeout(const rp_config *config, const struct rpi_log *log)
{
    const char *text = getenv(RPI_POOL_HOST_TIMEOUT_SETTING);
    char *end;
    double launch = text ? rpi_pool_config_seconds(text, &end) : 0;
    if (launch > 0 && config->host_timeout > launch)
        rpi_say(log, RP_LOG_WARNING,
                "config.host_timeout is %g s, but rankpool launch gives a host up after %g s: "
                "start the program with "
                "rankpool launch --host-timeout %g",
                config->host_timeout, launch, config->host_timeout);
}

/* After a verdict that let every rank in. */
static rp_status make_pool(struct rpi_ranks *ranks, rp_pool **pool)
{
    struct rpi_handshake *opening = &ranks->opening;
    struct rpi_pool_parts parts = { .transport = opening->transport,
                                    .registry = &ranks->registry,
                                    .journal = ranks->journal,
                                    .trace = ranks->trace,
                                    .respawn = ranks->respawn,
                                    .hosts = opening->hosts,
                                    .pids = opening->pids,
                                    .workers = opening->workers,
                                    .recovery = rpi_mpi_runtime_recovers(),
                                    .threads = rpi_mpi_runtime_threads(),
                                    .batch_limit = opening->batch_limit,
                                    .began = ranks->began };
    opening->transport->crowd = crowd_of(opening->crowd);
    if (parts.recovery)
        rpi_ompi41_outlive_peers();
    rpi_mpi_end_watch_errors(); /* for rank 0's tasks' processes, which are forked now */
    rp_status status = rpi_pool_make(&ranks->config, &parts, pool);
    rpi_mpi_end_leave_errors();
    if (status != RP_OK)
        rpi_handshake_take_back(opening);
    else if (ranks->config.master_works == RP_ON)
        rpi_crash_watch(RPI_CRASH_ENDS_JOB, rpi_ranks_job_ender());
    return status;
}

static rp_status master(struct rpi_ranks *ranks, rp_pool **pool)
{
    struct rpi_handshake *opening = &ranks->opening;
    size_t count = (size_t)opening->transport->peers + 1;
    opening->hosts = rpi_zeroed(&ranks->alloc, count * RPI_HOST_BYTES);
    opening->pids = rpi_zeroed(&ranks->alloc, count * sizeof *opening->pids);
    opening->processes = ranks->config.processes;
    opening->seed = ranks->config.seed;
    opening->attended = ranks->config.background != RP_OFF;
    opening->init_arg = ranks->config.init_arg;
    opening->initializer = RPI_NO_FUNCTION;
    opening->isolation = rpi_pool_config_isolation(&ranks->config);
    if (opening->status == RP_OK)
        opening->status = check_background(&ranks->config);
    if (opening->status == RP_OK)
        compare_host_timeout(&ranks->config, &opening->log);
    if (opening->status == RP_OK && ranks->config.initializer) {
        opening->initializer = rpi_registry_find(&ranks->registry, ranks->config.initializer);
        if (opening->initializer == RPI_NO_FUNCTION)
            opening->status = rpi_error(
                RP_ERR_UNREGISTERED,
                "config.initializer is not registered: put RP_TASK(its name); at file scope");
    }
    if (opening->status == RP_OK)
        opening->status = rpi_journaling_open(&ranks->config, &ranks->journal);
    if (opening->status == RP_OK)
        opening->status = rpi_tracing_open(&ranks->config, &ranks->trace);
    if (opening->status == RP_OK)
        opening->status = rpi_respawn_mpi_make(&ranks->config, opening, rpi_ranks_passed() + 1,
                                               ranks->side.beat, &ranks->respawn);
    rp_status status = RP_ERR_NOMEM;
    if (opening->hosts && opening->pids)
        status = rpi_handshake_master(opening);
    else
        rpi_handshake_take_back(opening);
    if (status == RP_OK)
        status = make_pool(ranks, pool);
    else if (!opening->hosts || !opening->pids)
        status = rpi_no_memory("a pool");
    if (status != RP_OK) {
        rpi_journaling_drop(ranks->journal);
        rpi_trace_close(ranks->trace);
        rpi_respawn_free(ranks->respawn);
    }
    rpi_free(&ranks->alloc, opening->pids);
    if (status != RP_OK)
        rpi_free(&ranks->alloc, opening->hosts);
    return status;
}

/* Runs the initializer, and says to rank 0 what this rank has come to.  Ranks beyond the pool's
 * workers have nothing to initialise, but take part in the talk. */
static rp_status make_ready(struct rpi_ranks *ranks, struct rpi_serve *server)
{
    struct rpi_handshake *opening = &ranks->opening;
    bool is_worker = opening->rank <= opening->workers,
         initialises = opening->initializer != RPI_NO_FUNCTION;
    rp_status status = RP_OK;
    if (initialises && opening->init_arg.size) {
        status = rpi_handshake_argument(opening);
        if (status != RP_OK)
            return status;
    }
    if (is_worker && opening->isolation.fork)
        status = rpi_serve_isolate(server, &opening->isolation, opening->initializer,
                                   opening->init_arg, ranks->config.finalizer);
    else if (is_worker && initialises)
        status = rpi_serve_initialise(server, opening->initializer, opening->init_arg.data,
                                      opening->init_arg.size);
    if (status == RP_OK && is_worker && initialises)
        server->finalizer = ranks->config.finalizer; /* though another's may have failed */
    status = rpi_handshake_report(opening, status);
    if (status == RP_OK && is_worker)
        server->finalizer = ranks->config.finalizer;
    return status;
}

/* A task that ends this thread is told of here, where the worker's memory on the stack is still its
 * own: a key's destructor runs above it. */
static rp_status loop(struct rpi_serve *server)
{
    rp_status status;
    pthread_cleanup_push(rpi_crash_thread_ends, NULL);
    status = rpi_serve_loop(server);
    pthread_cleanup_pop(0);
    return status;
}

static rp_status serve(struct rpi_ranks *ranks, struct rpi_serve *server)
{
    struct rpi_handshake *opening = &ranks->opening;
    rpi_pool_is_elsewhere(RPI_POOL_SERVES);
    rpi_crash_watch(rpi_mpi_runtime_recovers() ? RPI_CRASH_ENDS_WORKER
                    : ranks->spawned           ? RPI_CRASH_ENDS_SPAWNED
                                               : RPI_CRASH_ENDS_JOB,
                    rpi_ranks_job_ender());
    rpi_crash_serve(&server->executor.call);
    rpi_crash_tell(rpi_oob_worker_last_words, rpi_transport_mpi_oob(opening->transport));
    rpi_mpi_end_watch_errors();
    rpi_crash_phase(RPI_CRASH_IN_INITIALIZER);
    rp_status status = make_ready(ranks, server);
    rpi_crash_phase(RPI_CRASH_IN_TASKS);
    if (status == RP_OK) {
        opening->together = false; /* from here on only a good end is a common one */
        if (opening->attended && rpi_mpi_runtime_threads() &&
            !server->child) /* with it the main thread has time */
            rpi_answer_thread_start(server);
        status = loop(server);
        rpi_answer_thread_stop(server);
    }
    rpi_pool_is_elsewhere(RPI_POOL_SERVED);
    rpi_crash_phase(RPI_CRASH_IN_FINALIZER);
    rpi_serve_fini(server);
    rpi_crash_phase(RPI_CRASH_IN_TASKS);
    rpi_crash_tell(NULL, NULL);
    rpi_crash_serve(NULL);
    rpi_mpi_end_leave_errors();
    rpi_buffer_free((void *)(uintptr_t)opening->init_arg.data);
    return status;
}

static rp_status worker(struct rpi_ranks *ranks)
{
    struct rpi_handshake *opening = &ranks->opening;
    char host[RPI_HOST_BYTES] = "";
    struct rpi_serve server;
    rp_status status = rpi_handshake_worker(opening);
    if (status != RP_OK)
        return status;
    (void)gethostname(host, sizeof host - 1);
    opening->transport->crowd = crowd_of(opening->crowd);
    struct rpi_serve_config config = { .alloc = ranks->alloc,
                                       .registry = &ranks->registry,
                                       .transport = opening->transport,
                                       .batch_limit = opening->batch_limit,
                                       .number = opening->number,
                                       .seed = opening->seed,
                                       .host = host };
    (void)rpi_bufcache_begin(&config.alloc,
                             RPI_BUFCACHE_IDLE); /* else large buffers are not used again */
    status = rpi_handshake_join(opening);
    if (status == RP_OK)
        status = rpi_serve_init(&server, &config);
    status = status == RP_OK ? serve(ranks, &server) : rpi_handshake_report(opening, status);
    rpi_bufcache_end(config.alloc.cache);
    return status;
}

/* `failure`: what already went wrong on this rank; rp_error_message() tells it, and the others are
 * told. */
void rpi_ranks_prepare(struct rpi_ranks *ranks, const rp_config *config, rp_status failure)
{
    struct rpi_handshake *opening = &ranks->opening;
    rp_status checked = rpi_pool_config_check(failure == RP_OK ? config : NULL,
                                              &ranks->config); /* NULL: the defaults */
    opening->status = failure == RP_OK ? checked : failure;
    if (opening->status == RP_OK)
        opening->status = rpi_pool_batch_limit(&opening->batch_limit);
    opening->log = (struct rpi_log){ .sink = ranks->config.log, .user = ranks->config.log_user };
    ranks->alloc = rpi_alloc_of(ranks->config.alloc, ranks->config.alloc_user);
    if (opening->status == RP_OK)
        opening->status = rpi_register_snapshot(&ranks->registry, &ranks->alloc);
    opening->alloc = ranks->alloc;
    opening->registry = &ranks->registry;
    opening->timeout = ranks->config.open_timeout;
}

/* Seconds between a worker's heartbeats; 0: it sends none, as rank 0 does not listen. */
static double beat_of(const rp_config *config)
{
    double often = config->lost_after / 4;
    return often > 0 && often < BEAT ? often : config->lost_after > 0 ? BEAT : 0;
}

/* Over a prepared ranks. */
rp_status rpi_ranks_open(MPI_Comm comm, struct rpi_ranks *ranks, rp_pool **pool)
{
    struct rpi_handshake *opening = &ranks->opening;
    rp_status failure = opening->status; /* told to the others, which wait */
    (void)MPI_Comm_rank(comm, &opening->rank);
    rp_status status = rpi_transport_mpi_open(comm, opening->timeout, &ranks->alloc,
                                              &opening->transport);
    if (status != RP_OK) {
        rpi_registry_fini(&ranks->registry);
        return status;
    }
    if (ranks->spawned)
        (void)MPI_Comm_free(&comm);
    opening->status = failure;
    rpi_oob_setup_prepare(&ranks->side, opening);
    ranks->side.foreign = ranks->spawned;
    ranks->side.beat = beat_of(&ranks->config);
    ranks->side.host_timeout = ranks->config.host_timeout;
    rp_pool *new = NULL;
    status = opening->rank == 0 ? master(ranks, &new) : worker(ranks);
    if (status != RP_OK || opening->rank > 0) {
        opening->transport->ops->close(opening->transport, status == RP_OK || opening->together);
        rpi_registry_fini(&ranks->registry);
    }
    if (status == RP_OK) {
        *pool = new;
        (void)rpi_ranks_pass();
    }
    return status;
}
