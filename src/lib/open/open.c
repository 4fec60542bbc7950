/* Opening a pool: in this process alone, or over MPI. */
#include "base/advice.h"
#include "base/clock.h"
#include "base/status.h"
#include "exec/crash.h"
#include "open/exit.h"
#include "open/mpi_end.h"
#include "open/ranks.h"
#include "open/register.h"
#include "open/spawned.h"
#include "pool/journaling.h"
#include "pool/pool.h"
#include "pool/tracing.h"
#include "store/trace.h"
#include "transport/mpi/mpi_launcher.h"
#include "transport/mpi/mpi_runtime.h"
#include "transport/mpi/mpi_spawn.h"

#include <rankpool_mpi.h>
#include <signal.h>

/* ---- one process */

static rp_status open_local(const rp_config *config, double began, rp_pool **pool)
{
    rp_config checked;
    struct rpi_alloc alloc;
    struct rpi_registry registry;
    struct rpi_pool_parts parts = { .registry = &registry, .workers = 1, .began = began };
    rp_status status = rpi_pool_config_check(config, &checked);
    if (status == RP_OK)
        status = rpi_pool_batch_limit(&parts.batch_limit);
    if (status != RP_OK)
        return status;
    alloc = rpi_alloc_of(checked.alloc, checked.alloc_user);
    status = rpi_register_snapshot(&registry, &alloc);
    if (status != RP_OK)
        return status;
    status = rpi_journaling_open(&checked, &parts.journal);
    if (status == RP_OK)
        status = rpi_tracing_open(&checked, &parts.trace);
    rpi_crash_watch(RPI_CRASH_ENDS_JOB, rpi_ranks_job_ender()); /* the initializer's end too */
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
        (void)rpi_ranks_pass();
    } else {
        rpi_journaling_drop(parts.journal);
        rpi_trace_close(parts.trace);
        rpi_registry_fini(&registry);
    }
    return status;
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
    rpi_exit_prepare();
    rpi_mpi_end_watch();
    ignore_sigpipe();
    if (rpi_mpi_spawn_turn())
        return rpi_spawned_open(config, began, pool);
    if (MPI_Comm_size(comm, &size) != MPI_SUCCESS)
        return rpi_error(RP_ERR_MPI, "MPI_Comm_size failed");
    if (size == 1) /* on MPI_COMM_SELF a pool of each rank's own is what is asked for */
        (void)MPI_Comm_compare(comm, MPI_COMM_SELF, &same);
    rp_status status = size == 1 && same != MPI_IDENT ? rpi_mpi_launcher_check() : RP_OK;
    if (status != RP_OK)
        return status;
    if (size == 1)
        return spawns(config) ? rpi_spawned_parent(config, began, pool)
                              : open_local(config, began, pool);
    struct rpi_ranks ranks = { .began = began };
    rpi_ranks_prepare(&ranks, config, RP_OK);
    return rpi_ranks_open(comm, &ranks, pool);
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
        rpi_exit_prepare();
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
        status = rpi_mpi_runtime_fork_check("rp_open");
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
        status = rpi_mpi_runtime_fork_check("rp_open_comm");
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
