/* Opening a pool: in this process alone, or over MPI. */
#include "open/register.h"
#include "base/advice.h"
#include "base/clock.h"
#include "exec/answer_thread.h"
#include "exec/crash.h"
#include "pool/journaling.h"
#include "open/mpi_end.h"
#include "transport/mpi/mpi_runtime.h"
#include "transport/mpi/mpi_spawn.h"
#include "open/respawn_mpi.h"
#include "transport/mpi/mpi_launcher.h"
#include "transport/mpi/ompi41.h"
#include "open/handshake.h"
#include "base/private.h"
#include "pool/pool.h"
#include "open/oob_setup.h"
#include "base/bufcache.h"
#include "base/status.h"
#include "store/trace.h"
#include "pool/tracing.h"
#include "transport/mpi/transport_mpi.h"

#include <rankpool_mpi.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BEAT 0.25 /* seconds between heartbeats */

/* This process's opens that went well.  A spawned worker counts those it passes: by their number it
 * finds the one it was spawned for. */
static atomic_uint opens;

/* A task that leaves its process ends the job: the others must not wait for this rank.  Where
 * they go on without it, nothing is aborted: mpirun may take them along, when two ranks do so at
 * once. */
static void (*job_ender(void))(int code)
{
    return rpi_mpi_runtime_recovers() ? NULL : rpi_mpi_runtime_abort;
}

/* ---- one process */

static rp_status open_local(const rp_config *config, double began, rp_pool **pool)
{
    rp_config checked;
    struct rpi_alloc alloc;
    struct rpi_registry registry;
    struct rpi_pool_parts parts = { .registry = &registry, .workers = 1, .began = began };
    rp_status status = rpi_pool_config_check(config, &checked);
    if (status == RP_OK)
        status = rpi_batch_limit(&parts.batch_limit);
    if (status != RP_OK)
        return status;
    alloc = rpi_alloc_of(checked.alloc, checked.alloc_user);
    status = rpi_register_snapshot(&registry, &alloc);
    if (status != RP_OK)
        return status;
    status = rpi_journaling_open(&checked, &parts.journal);
    if (status == RP_OK)
        status = rpi_tracing_open(&checked, &parts.trace);
    rpi_crash_watch(RPI_CRASH_ENDS_JOB, job_ender()); /* the initializer's end too */
    rpi_crash_phase(RPI_CRASH_IN_INITIALIZER);
    bool has_mpi = rpi_mpi_runtime_active();
    if (has_mpi)
        rpi_mpi_end_watch_errors(); /* for the tasks' processes, which are forked now */
    if (status == RP_OK)
        status = rpi_pool_make(&checked, &parts, pool);
    if (has_mpi)
        rpi_mpi_end_leave_errors();
    rpi_crash_phase(RPI_CRASH_IN_TASKS);
    if (status == RP_OK) {
        (void)atomic_fetch_add(&opens, 1);
    } else {
        rpi_journaling_drop(parts.journal);
        rpi_trace_close(parts.trace);
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
    struct rpi_handshake opening;
    struct rpi_oob_setup_mpi side;
    double began;
    struct rpi_journal *journal; /* rank 0's; NULL: none */
    struct rpi_trace *trace;     /* likewise */
    struct rpi_respawn *respawn; /* likewise */
    bool spawned; /* the other ranks are: a communicator of ours, and no launcher that ends all with
                     one */
};

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
    const char *text = getenv(RPI_HOST_TIMEOUT_SETTING);
    char *end;
    double launch = text ? rpi_config_seconds(text, &end) : 0;
    if (launch > 0 && config->host_timeout > launch)
        rpi_say(log, RP_LOG_WARNING,
                "config.host_timeout is %g s, but rankpool launch gives a host up after %g s: "
                "start the program with "
                "rankpool launch --host-timeout %g",
                config->host_timeout, launch, config->host_timeout);
}

/* After a verdict that let every rank in. */
static rp_status make_pool(struct entry *entry, rp_pool **pool)
{
    struct rpi_handshake *opening = &entry->opening;
    struct rpi_pool_parts parts = { .transport = opening->transport,
                                    .registry = &entry->registry,
                                    .journal = entry->journal,
                                    .trace = entry->trace,
                                    .respawn = entry->respawn,
                                    .hosts = opening->hosts,
                                    .pids = opening->pids,
                                    .workers = opening->workers,
                                    .recovery = rpi_mpi_runtime_recovers(),
                                    .threads = rpi_mpi_runtime_threads(),
                                    .batch_limit = opening->batch_limit,
                                    .began = entry->began };
    opening->transport->crowd = crowd_of(opening->crowd);
    if (parts.recovery)
        rpi_ompi41_outlive_peers();
    rpi_mpi_end_watch_errors(); /* for rank 0's tasks' processes, which are forked now */
    rp_status status = rpi_pool_make(&entry->config, &parts, pool);
    rpi_mpi_end_leave_errors();
    if (status != RP_OK)
        rpi_handshake_take_back(opening);
    else if (entry->config.master_works == RP_ON)
        rpi_crash_watch(RPI_CRASH_ENDS_JOB, job_ender());
    return status;
}

static rp_status master(struct entry *entry, rp_pool **pool)
{
    struct rpi_handshake *opening = &entry->opening;
    size_t ranks = (size_t)opening->transport->peers + 1;
    opening->hosts = rpi_zeroed(&entry->alloc, ranks * RPI_HOST_BYTES);
    opening->pids = rpi_zeroed(&entry->alloc, ranks * sizeof *opening->pids);
    opening->processes = entry->config.processes;
    opening->seed = entry->config.seed;
    opening->attended = entry->config.background != RP_OFF;
    opening->init_arg = entry->config.init_arg;
    opening->initializer = RPI_NO_FUNCTION;
    opening->isolation = rpi_config_isolation(&entry->config);
    if (opening->status == RP_OK)
        opening->status = check_background(&entry->config);
    if (opening->status == RP_OK)
        compare_host_timeout(&entry->config, &opening->log);
    if (opening->status == RP_OK && entry->config.initializer) {
        opening->initializer = rpi_registry_find(&entry->registry, entry->config.initializer);
        if (opening->initializer == RPI_NO_FUNCTION)
            opening->status = rpi_error(
                RP_ERR_UNREGISTERED,
                "config.initializer is not registered: put RP_TASK(its name); at file scope");
    }
    if (opening->status == RP_OK)
        opening->status = rpi_journaling_open(&entry->config, &entry->journal);
    if (opening->status == RP_OK)
        opening->status = rpi_tracing_open(&entry->config, &entry->trace);
    if (opening->status == RP_OK)
        opening->status = rpi_respawn_mpi_make(&entry->config, opening, atomic_load(&opens) + 1,
                                               entry->side.beat, &entry->respawn);
    rp_status status = RP_ERR_NOMEM;
    if (opening->hosts && opening->pids)
        status = rpi_handshake_master(opening);
    else
        rpi_handshake_take_back(opening);
    if (status == RP_OK)
        status = make_pool(entry, pool);
    else if (!opening->hosts || !opening->pids)
        status = rpi_no_memory("a pool");
    if (status != RP_OK) {
        rpi_journaling_drop(entry->journal);
        rpi_trace_close(entry->trace);
        rpi_respawn_free(entry->respawn);
    }
    rpi_free(&entry->alloc, opening->pids);
    if (status != RP_OK)
        rpi_free(&entry->alloc, opening->hosts);
    return status;
}

/* Runs the initializer, and says to rank 0 what this rank has come to.  Ranks beyond the pool's
 * workers have nothing to initialise, but take part in the talk. */
static rp_status make_ready(struct entry *entry, struct rpi_serve *server)
{
    struct rpi_handshake *opening = &entry->opening;
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
                                   opening->init_arg, entry->config.finalizer);
    else if (is_worker && initialises)
        status = rpi_serve_initialise(server, opening->initializer, opening->init_arg.data,
                                      opening->init_arg.size);
    if (status == RP_OK && is_worker && initialises)
        server->finalizer = entry->config.finalizer; /* though another's may have failed */
    status = rpi_handshake_report(opening, status);
    if (status == RP_OK && is_worker)
        server->finalizer = entry->config.finalizer;
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

static rp_status serve(struct entry *entry, struct rpi_serve *server)
{
    struct rpi_handshake *opening = &entry->opening;
    rpi_pool_is_elsewhere(RPI_POOL_SERVES);
    rpi_crash_watch(rpi_mpi_runtime_recovers() ? RPI_CRASH_ENDS_WORKER
                    : entry->spawned           ? RPI_CRASH_ENDS_SPAWNED
                                               : RPI_CRASH_ENDS_JOB,
                    job_ender());
    rpi_crash_serve(&server->executor.call);
    rpi_crash_tell(rpi_oob_worker_last_words, rpi_transport_mpi_oob(opening->transport));
    rpi_mpi_end_watch_errors();
    rpi_crash_phase(RPI_CRASH_IN_INITIALIZER);
    rp_status status = make_ready(entry, server);
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

static rp_status worker(struct entry *entry)
{
    struct rpi_handshake *opening = &entry->opening;
    char host[RPI_HOST_BYTES] = "";
    struct rpi_serve server;
    rp_status status = rpi_handshake_worker(opening);
    if (status != RP_OK)
        return status;
    (void)gethostname(host, sizeof host - 1);
    opening->transport->crowd = crowd_of(opening->crowd);
    struct rpi_serve_config config = { .alloc = entry->alloc,
                                       .registry = &entry->registry,
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
    status = status == RP_OK ? serve(entry, &server) : rpi_handshake_report(opening, status);
    rpi_bufcache_end(config.alloc.cache);
    return status;
}

/* `failure`: what already went wrong on this rank; rp_error_message() tells it, and the others are
 * told. */
static void prepare_entry(struct entry *entry, const rp_config *config, rp_status failure)
{
    struct rpi_handshake *opening = &entry->opening;
    rp_status checked = rpi_pool_config_check(failure == RP_OK ? config : NULL,
                                              &entry->config); /* NULL: the defaults */
    opening->status = failure == RP_OK ? checked : failure;
    if (opening->status == RP_OK)
        opening->status = rpi_batch_limit(&opening->batch_limit);
    opening->log = (struct rpi_log){ .sink = entry->config.log, .user = entry->config.log_user };
    entry->alloc = rpi_alloc_of(entry->config.alloc, entry->config.alloc_user);
    if (opening->status == RP_OK)
        opening->status = rpi_register_snapshot(&entry->registry, &entry->alloc);
    opening->alloc = entry->alloc;
    opening->registry = &entry->registry;
    opening->timeout = entry->config.open_timeout;
}

/* Seconds between a worker's heartbeats; 0: it sends none, as rank 0 does not listen. */
static double beat_of(const rp_config *config)
{
    double often = config->lost_after / 4;
    return often > 0 && often < BEAT ? often : config->lost_after > 0 ? BEAT : 0;
}

/* Over a prepared entry. */
static rp_status open_ranks(MPI_Comm comm, struct entry *entry, rp_pool **pool)
{
    struct rpi_handshake *opening = &entry->opening;
    rp_status failure = opening->status; /* told to the others, which wait */
    (void)MPI_Comm_rank(comm, &opening->rank);
    rp_status status = rpi_transport_mpi_open(comm, opening->timeout, &entry->alloc,
                                              &opening->transport);
    if (status != RP_OK) {
        rpi_registry_fini(&entry->registry);
        return status;
    }
    if (entry->spawned)
        (void)MPI_Comm_free(&comm);
    opening->status = failure;
    rpi_oob_setup_prepare(&entry->side, opening);
    entry->side.foreign = entry->spawned;
    entry->side.beat = beat_of(&entry->config);
    entry->side.host_timeout = entry->config.host_timeout;
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
        status = rpi_mpi_spawn_spawn(RPI_MPI_SPAWN_FIRST, entry.config.processes,
                                     atomic_load(&opens) + 1, NULL, entry.opening.timeout,
                                     &entry.alloc, &ranks);
    if (status == RP_OK)
        return open_ranks(ranks, &entry, pool);
    rpi_registry_fini(&entry.registry);
    return status;
}

/* A spawned worker in the open that its parent waits in; `failure`: it cannot serve. */
static rp_status join_family(const rp_config *config, rp_status failure, double began,
                             rp_pool **pool)
{
    MPI_Comm ranks;
    struct entry entry = { .began = began, .spawned = true };
    prepare_entry(&entry, config, failure);
    rp_status status = rpi_mpi_spawn_join(&ranks);
    if (status == RP_OK)
        return open_ranks(ranks, &entry, pool);
    rpi_registry_fini(&entry.registry);
    return status;
}

static rp_status open_spawned(const rp_config *config, double began, rp_pool **pool)
{
    rp_config checked;
    rp_status status = rpi_pool_config_check(config, &checked);
    if (status != RP_OK)
        return status; /* so it was in the parent, which did not count it either */
    if (atomic_fetch_add(&opens, 1) + 1 == rpi_mpi_spawn_turn())
        return join_family(config, RP_OK, began, pool);
    rpi_pool_is_elsewhere(RPI_POOL_SERVED);
    *pool = NULL;
    return RP_OK;
}

/* ---- fork */

/* The process that opens pools here; 0: none yet, or only the parent of this child of fork(). */
static pid_t home;

/* Nothing that is the parent's is done, held or ended by the child. */
static void leave_to_parent(void)
{
    rpi_private_leave();
    rpi_call_leave_to_parent();
    rpi_mpi_leave_to_parent();
    rpi_pools_leave_to_parent();
    home = 0;
}

/* MPI may be there before the first pool. */
__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(rpi_pools_hold, rpi_pools_release, leave_to_parent);
}

/* ---- the process's end */

static atomic_bool prepared;

/* A spawned worker whose program comes to its end without the open that its parent waits in says
 * so. */
static void answer_parent(void)
{
    rp_pool *none = NULL;
    unsigned passed = atomic_load(&opens), turn = rpi_mpi_spawn_turn();
    if (passed < turn)
        (void)join_family(
            NULL,
            rpi_error(
                RP_ERR_BROKEN,
                "the program came to its end in a spawned worker after %u calls of rp_open, but "
                "call %u is "
                "the one to serve in: a worker must make the same calls of rp_open as its parent",
                passed, turn),
            rpi_now(), &none);
}

/* Not of an exit() inside a task, which does not come so far (crash.h). */
static void at_exit(void)
{
    if (getpid() != home) /* a child of fork() or vfork() */
        return;
    atomic_store(&prepared, false);
    if (rpi_mpi_runtime_active())
        answer_parent();
    rpi_lifecycle_terminate();
    rpi_mpi_runtime_end();
    rpi_mpi_spawn_leave();
}

static void register_at_exit(void)
{
    if (atexit(at_exit) != 0)
        (void)rpi_error(RP_ERR_NOMEM, "no room for an exit handler: MPI will not be finalised");
}

/* Anew where it has run already: a global's destructor may still open a pool. */
static void prepare_exit(void)
{
    home = getpid();
    if (!atomic_exchange(&prepared, true))
        register_at_exit();
}

/* ---- any */

static bool spawns(const rp_config *config)
{
    return config && config->struct_size == sizeof *config && config->processes > 0;
}

/* A message to a rank that has ended must not end this one: Open MPI's tcp does not mind SIGPIPE.
 * Unless the application has a handler. */
static void ignore_sigpipe(void)
{
    struct sigaction action;
    if (sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL)
        (void)signal(SIGPIPE, SIG_IGN);
}

static rp_status open_comm(MPI_Comm comm, const rp_config *config, double began, rp_pool **pool)
{
    int size, same = MPI_UNEQUAL;
    prepare_exit();
    rpi_mpi_end_watch();
    ignore_sigpipe();
    if (rpi_mpi_spawn_turn())
        return open_spawned(config, began, pool);
    if (MPI_Comm_size(comm, &size) != MPI_SUCCESS)
        return rpi_error(RP_ERR_MPI, "MPI_Comm_size failed");
    if (size == 1) /* on MPI_COMM_SELF a pool of each rank's own is what is asked for */
        (void)MPI_Comm_compare(comm, MPI_COMM_SELF, &same);
    rp_status status = size == 1 && same != MPI_IDENT ? rpi_mpi_launcher_check() : RP_OK;
    if (status != RP_OK)
        return status;
    if (size == 1)
        return spawns(config) ? open_family(config, began, pool) : open_local(config, began, pool);
    struct entry entry = { .began = began };
    prepare_entry(&entry, config, RP_OK);
    return open_ranks(comm, &entry, pool);
}

static double timeout_of(const rp_config *config)
{
    rp_config checked;
    rp_status later = rpi_pool_config_check(
        config, &checked); /* all ranks must be told of it, which takes MPI */
    (void)later;
    return checked.open_timeout;
}

/* Each MPI has its own words. */
static void know_mpi(void)
{
#ifdef OPEN_MPI
    rpi_advice_is_open_mpi(true);
#else
    rpi_advice_is_open_mpi(false);
#endif
}

static rp_status open_any(const rp_config *config, double began, rp_pool **pool)
{
    rp_status status = rpi_mpi_runtime_srun_check();
    if (status != RP_OK)
        return status;
    if (!rpi_mpi_runtime_launched() && !spawns(config)) {
        prepare_exit();
        return open_local(config, began, pool);
    }
    status = rpi_mpi_runtime_begin(timeout_of(config));
    return status == RP_OK ? open_comm(MPI_COMM_WORLD, config, began, pool) : status;
}

rp_status rp_open(const rp_config *config, rp_pool **pool)
{
    double began = rpi_now();
    rp_status status = rpi_call_forbid("rp_open");
    know_mpi();
    if (status == RP_OK && !pool)
        status = rpi_error(RP_ERR_INVALID, "rp_open: pool is NULL");
    if (status == RP_OK)
        status = rpi_mpi_fork_check("rp_open");
    return status == RP_OK ? rpi_named("rp_open", open_any(config, began, pool)) : status;
}

rp_status rp_open_comm(MPI_Comm comm, const rp_config *config, rp_pool **pool)
{
    double began = rpi_now();
    int initialised = 0, finalised = 0, inter = 0;
    rp_status status = rpi_call_forbid("rp_open_comm");
    know_mpi();
    if (status == RP_OK && !pool)
        status = rpi_error(RP_ERR_INVALID, "rp_open_comm: pool is NULL");
    if (status == RP_OK)
        status = rpi_mpi_fork_check("rp_open_comm");
    if (status != RP_OK)
        return status;
    (void)MPI_Initialized(&initialised);
    (void)MPI_Finalized(&finalised);
    if (!initialised || finalised)
        return rpi_error(RP_ERR_INVALID,
                         "rp_open_comm: MPI is not initialised, or finalised already");
    if (comm == MPI_COMM_NULL)
        return rpi_error(RP_ERR_INVALID, "rp_open_comm: the communicator is MPI_COMM_NULL");
    (void)MPI_Comm_test_inter(comm, &inter);
    if (inter)
        return rpi_error(RP_ERR_INVALID, "rp_open_comm: the communicator is an intercommunicator");
    return rpi_named("rp_open_comm", open_comm(comm, config, began, pool));
}
