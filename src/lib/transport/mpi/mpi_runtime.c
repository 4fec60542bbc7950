#include "transport/mpi/mpi_runtime.h"

#include "base/advice.h"
#include "base/clock.h"
#include "base/status.h"
#include "transport/mpi/mpi_launcher.h"
#include "transport/mpi/mpi_ulfm.h"

#include <errno.h>
#include <mpi.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define LAST  3.0 /* seconds for MPI_Finalize after a loss */
#define CROWD 10  /* times open_timeout at the most, where ranks share cores */

static bool ours;            /* rankpool initialised MPI: a fact of the process, as MPI itself is */
static bool inherited;       /* MPI was initialised in the process that forked this one */
static atomic_bool bereft;   /* a worker was lost in this process: as `ours` */
static atomic_bool stopping; /* stop_mpi is under way */

/* ---- beginning and end, on a thread that may be abandoned */

/* Of the process, as MPI is: a thread that does not come back goes on in it. */
static struct {
    pthread_t thread;
    bool given_up;
    int code;
} start;

static void *initialise(void *unused)
{
    int provided;
    start.code = MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &provided);
    return unused;
}

static rp_status outcome(void)
{
    return start.code == MPI_SUCCESS
               ? RP_OK
               : rpi_error(RP_ERR_MPI, "MPI_Init_thread failed with code %d", start.code);
}

static bool joins_by(pthread_t thread, double deadline)
{
    const struct timespec until = rpi_timespec(deadline);
    return pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until) != ETIMEDOUT;
}

/* The ranks of this host that share a core, as far as its launcher tells. */
static double crowd_of(long *ranks, long *cores)
{
    const char *text = getenv("OMPI_COMM_WORLD_LOCAL_SIZE");
    *ranks = text ? strtol(text, NULL, 10) : 1;
    *cores = sysconf(_SC_NPROCESSORS_ONLN);
    double crowd = (double)*ranks / (double)(*cores > 0 ? *cores : 1);
    return crowd < 1 ? 1 : crowd > CROWD ? CROWD : crowd;
}

static rp_status give_up(double waited, double timeout, long ranks, long cores)
{
    char slow[128] = "";
    if (ranks > cores)
        (void)snprintf(slow, sizeof slow,
                       ", or %ld ranks on the %ld cores of this host need longer", ranks, cores);
    start.given_up = true;
    (void)pthread_detach(start.thread);
    return rpi_error(RP_ERR_BROKEN,
                     "MPI_Init did not come back within %.3g s (config.open_timeout is %g s): a "
                     "rank has ended before it, "
                     "which rankpool launch tells, or did not start, or is slow%s; if so, raise "
                     "config.open_timeout",
                     waited, timeout, slow);
}

/* MPI_Init_thread; given up after `timeout` seconds, up to ten times as many where ranks share
 * cores, unless that is negative: where a launcher lets a job go on without one of its ranks, and
 * that rank ended on its way here, MPI waits for it for ever. */
static rp_status start_mpi(double timeout)
{
    if (start.given_up)
        return rpi_error(RP_ERR_BROKEN,
                         "an earlier rp_open gave MPI_Init up: there is no MPI in this process");
    if (timeout < 0 || pthread_create(&start.thread, NULL, initialise, NULL) != 0) {
        (void)initialise(NULL);
        return outcome();
    }
    long ranks, cores;
    double wait = timeout * crowd_of(&ranks, &cores);
    return joins_by(start.thread, rpi_now() + wait) ? outcome()
                                                    : give_up(wait, timeout, ranks, cores);
}

static void *finalise(void *unused)
{
    (void)PMPI_Finalize();
    return unused;
}

/* MPI_Finalize; given up after `timeout` seconds, unless that is negative. */
static void stop_mpi(double timeout)
{
    pthread_t thread;
    if (timeout < 0 || pthread_create(&thread, NULL, finalise, NULL) != 0)
        (void)finalise(NULL);
    else if (!joins_by(thread, rpi_now() + timeout))
        (void)pthread_detach(thread);
}

/* ---- MPI's state in this process */

bool rpi_mpi_runtime_active(void)
{
    int initialised = 0, finalised = 0;
    (void)MPI_Initialized(&initialised);
    (void)MPI_Finalized(&finalised);
    return initialised && !finalised && !inherited;
}

void rpi_mpi_runtime_leave_to_parent(void)
{
    int initialised = 0;
    (void)MPI_Initialized(&initialised); /* any thread may ask that at any time */
    inherited = initialised;
    ours = false;
}

rp_status rpi_mpi_runtime_fork_check(const char *function)
{
    if (!inherited)
        return RP_OK;
    return rpi_error(RP_ERR_CONTEXT,
                     "%s: this process (pid %ld) is a child of fork(), and its parent uses MPI, "
                     "which a child cannot: let "
                     "the parent open pools, fork before MPI_Init, or exec another program",
                     function, (long)getpid());
}

bool rpi_mpi_runtime_launched(void)
{
    int initialised = 0;
    (void)MPI_Initialized(&initialised);
    return initialised || rpi_mpi_launcher_is_there();
}

rp_status rpi_mpi_runtime_srun_check(void)
{
    const char *tasks = getenv("SLURM_STEP_NUM_TASKS");
    if (!tasks || strtol(tasks, NULL, 10) <= 1 || rpi_mpi_runtime_launched())
        return RP_OK;
    return rpi_error(RP_ERR_MPI,
                     "srun started %s tasks without an interface that this MPI speaks, so each "
                     "would be a pool of its own: "
                     "use %s, or mpirun inside the job",
                     tasks, rpi_advice(RPI_ADVICE_SRUN));
}

rp_status rpi_mpi_runtime_begin(double timeout)
{
    int finalised = 0;
    if (rpi_mpi_runtime_active())
        return RP_OK;
    (void)MPI_Finalized(&finalised);
    if (finalised)
        return rpi_error(RP_ERR_MPI,
                         "MPI is finalised already: a pool must be opened before MPI_Finalize");
    if (!rpi_mpi_runtime_launched() && getenv("SLURM_STEP_ID"))
        return rpi_error(
            RP_ERR_MPI,
            "srun started this process without an interface that this MPI speaks, so that it "
            "cannot "
            "spawn workers: use mpirun inside the job, or %s with a task for each rank",
            rpi_advice(RPI_ADVICE_SRUN));
    if (rpi_mpi_runtime_recovers()) {
        (void)setenv("OMPI_MCA_async_mpi_finalize", "1",
                     0);                   /* a rank that is gone would be waited for at the end */
        (void)setenv("UCX_TLS", "^sm", 0); /* and what UCX shares with it would be left broken */
    }
    rp_status status = start_mpi(rpi_mpi_runtime_recovers() ? timeout : RP_FOREVER);
    if (status != RP_OK)
        return status;
    ours = true;
    return RP_OK;
}

bool rpi_mpi_runtime_threads(void)
{
    int level = MPI_THREAD_SINGLE;
    (void)MPI_Query_thread(&level);
    return level == MPI_THREAD_MULTIPLE;
}

static bool is_set(const char *name)
{
    const char *set = getenv(name);
    return set && (*set == '1' || *set == 't' || *set == 'y');
}

bool rpi_mpi_runtime_recovers(void)
{
    return is_set("OMPI_MCA_orte_enable_recovery") ||
           (rpi_mpi_ulfm_is_here() && is_set("OMPI_MCA_mpi_ft_enable"));
}

void rpi_mpi_runtime_bereft(void)
{
    atomic_store(&bereft, true);
}

/* After a loss it may wait for ever for the rank that is gone: Open MPI does so over UCX, and under
 * srun.  The process ends without it then. */
void rpi_mpi_runtime_end(void)
{
    if (ours && rpi_mpi_runtime_active() && !atomic_exchange(&stopping, true))
        stop_mpi(atomic_load(&bereft) ? LAST : RP_FOREVER);
    ours = false;
}

void rpi_mpi_runtime_give_up(void)
{
    ours = false;
}

void rpi_mpi_runtime_abort(int code)
{
    if (rpi_mpi_runtime_active())
        (void)PMPI_Abort(MPI_COMM_WORLD, code);
}

bool rpi_mpi_runtime_inherited(void)
{
    return inherited;
}

int rpi_mpi_runtime_finalize(void)
{
    if (!atomic_load(&bereft) || atomic_exchange(&stopping, true))
        return PMPI_Finalize();
    stop_mpi(LAST);
    return MPI_SUCCESS;
}
