#include "transport/mpi/mpi_runtime.h"

#include "base/advice.h"
#include "exec/crash.h"
#include "transport/mpi/mpi_launcher.h"
#include "transport/mpi/mpi_start.h"
#include "transport/mpi/mpi_ulfm.h"
#include "base/status.h"

#include <mpi.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LAST 3.0 /* seconds for MPI_Finalize after a loss */

static bool ours;            /* rankpool initialised MPI: a fact of the process, as MPI itself is */
static bool inherited;       /* MPI was initialised in the process that forked this one */
static atomic_bool bereft;   /* a worker was lost in this process: as `ours` */
static atomic_bool stopping; /* rpi_mpi_stop is under way */

bool rpi_mpi_runtime_active(void)
{
    int initialised = 0, finalised = 0;
    (void)MPI_Initialized(&initialised);
    (void)MPI_Finalized(&finalised);
    return initialised && !finalised && !inherited;
}

void rpi_mpi_leave_to_parent(void)
{
    int initialised = 0;
    (void)MPI_Initialized(&initialised); /* any thread may ask that at any time */
    inherited = initialised;
    ours = false;
}

rp_status rpi_mpi_fork_check(const char *function)
{
    if (!inherited)
        return RP_OK;
    return rpi_error(RP_ERR_CONTEXT,
                     "%s: this process (pid %ld) is a child of fork(), and its parent uses MPI, which a child cannot: let "
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
                     "srun started %s tasks without an interface that this MPI speaks, so each would be a pool of its own: "
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
        return rpi_error(RP_ERR_MPI, "MPI is finalised already: a pool must be opened before MPI_Finalize");
    if (!rpi_mpi_runtime_launched() && getenv("SLURM_STEP_ID"))
        return rpi_error(RP_ERR_MPI,
                         "srun started this process without an interface that this MPI speaks, so that it cannot "
                         "spawn workers: use mpirun inside the job, or %s with a task for each rank",
                         rpi_advice(RPI_ADVICE_SRUN));
    if (rpi_mpi_runtime_recovers()) {
        (void)setenv("OMPI_MCA_async_mpi_finalize", "1", 0); /* a rank that is gone would be waited for at the end */
        (void)setenv("UCX_TLS", "^sm", 0);                   /* and what UCX shares with it would be left broken */
    }
    rp_status status = rpi_mpi_runtime_start(rpi_mpi_runtime_recovers() ? timeout : RP_FOREVER);
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
    return is_set("OMPI_MCA_orte_enable_recovery") || (rpi_mpi_ulfm_is_here() && is_set("OMPI_MCA_mpi_ft_enable"));
}

void rpi_mpi_bereft(void)
{
    atomic_store(&bereft, true);
}

/* After a loss it may wait for ever for the rank that is gone: Open MPI does so over UCX, and under
 * srun.  The process ends without it then. */
void rpi_mpi_runtime_end(void)
{
    if (ours && rpi_mpi_runtime_active() && !atomic_exchange(&stopping, true))
        rpi_mpi_stop(atomic_load(&bereft) ? LAST : RP_FOREVER);
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

/* ---- tasks that end MPI */

static int on_finalize(MPI_Comm comm, int key, void *value, void *extra)
{
    (void)comm;
    (void)key;
    (void)value;
    (void)extra;
    rpi_crash_end(RPI_WAY_FINALIZE, 0);
    return MPI_SUCCESS;
}

/* MPI_Finalize begins with what hangs on MPI_COMM_SELF. */
static void watch_end(void)
{
    int key;
    if (MPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, on_finalize, &key, NULL) != MPI_SUCCESS)
        return;
    (void)MPI_Comm_set_attr(MPI_COMM_SELF, key, NULL);
    (void)MPI_Comm_free_keyval(&key); /* it goes with the attribute */
}

void rpi_mpi_watch_end(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, watch_end);
}

/* In a task's process, which has no MPI, it would never come back, and in a child of fork() it would
 * speak for its parent. */
static void abort_without_mpi(int code)
{
    rpi_crash_end(RPI_WAY_ABORT, code);
    if (inherited)
        _exit(code ? code : 1);
}

/* ---- errors in a task's calls of MPI */

static struct {
    pthread_mutex_t lock;
    int watchers;
    MPI_Errhandler handler; /* while there are any */
} errors = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* By default an error ends the job (MPI-3.1, 8.3): so it does, but the task is named, and where lost workers are
 * survived it costs only its own. */
static void on_error(MPI_Comm *comm, int *code, ...)
{
    char text[MPI_MAX_ERROR_STRING] = "", line[MPI_MAX_ERROR_STRING + 60];
    int length = 0;
    (void)MPI_Error_string(*code, text, &length);
    int used = snprintf(line, sizeof line, "rankpool: an MPI call failed: %s\n", text);
    if (used > 0)
        (void)!write(STDERR_FILENO, line, (size_t)used);
    abort_without_mpi(*code);
    (void)PMPI_Abort(*comm, *code);
}

/* Gives one handler's place to another. */
static void replace_handler(MPI_Errhandler old, MPI_Errhandler new)
{
    const MPI_Comm comms[2] = { MPI_COMM_WORLD, MPI_COMM_SELF };
    for (int i = 0; i < 2; i++) {
        MPI_Errhandler now;
        if (MPI_Comm_get_errhandler(comms[i], &now) != MPI_SUCCESS)
            continue;
        if (now == old)
            (void)MPI_Comm_set_errhandler(comms[i], new);
        if (now != MPI_ERRORS_ARE_FATAL)
            (void)MPI_Errhandler_free(&now);
    }
}

void rpi_mpi_watch_errors(void)
{
    (void)pthread_mutex_lock(&errors.lock);
    if (errors.watchers++ == 0) {
        errors.handler = MPI_ERRHANDLER_NULL;
        if (MPI_Comm_create_errhandler(on_error, &errors.handler) == MPI_SUCCESS)
            replace_handler(MPI_ERRORS_ARE_FATAL, errors.handler);
    }
    (void)pthread_mutex_unlock(&errors.lock);
}

void rpi_mpi_leave_errors(void)
{
    (void)pthread_mutex_lock(&errors.lock);
    if (--errors.watchers == 0 && errors.handler != MPI_ERRHANDLER_NULL) {
        replace_handler(errors.handler, MPI_ERRORS_ARE_FATAL);
        (void)MPI_Errhandler_free(&errors.handler);
    }
    (void)pthread_mutex_unlock(&errors.lock);
}

/* ---- in the place of MPI's own functions, whose names are PMPI_ too (MPI-3.1, 14.2) */

/* A tool of the application's that does the same comes first. */
#define INSTEAD RP_API __attribute__((weak))

/* An application that has initialised MPI finalises it too, and after a loss is not kept in it for ever
 * either.  In a child of fork() MPI's own hangs: MPI belongs to the parent, which finalises it. */
INSTEAD int MPI_Finalize(void)
{
    if (inherited) {
        rpi_crash_end(RPI_WAY_FINALIZE, 0);
        return MPI_SUCCESS;
    }
    if (!atomic_load(&bereft) || atomic_exchange(&stopping, true))
        return PMPI_Finalize();
    rpi_mpi_stop(LAST);
    return MPI_SUCCESS;
}

INSTEAD int MPI_Abort(MPI_Comm comm, int code)
{
    abort_without_mpi(code);
    return PMPI_Abort(comm, code);
}

/* Fortran's, of mpif.h and the module mpi, and of mpi_f08, where `error` may be missing: MPI's own call
 * PMPI_Abort and PMPI_Finalize. */
INSTEAD void mpi_finalize_(MPI_Fint *error);
INSTEAD void mpi_finalize_f08_(MPI_Fint *error);
INSTEAD void mpi_abort_(const MPI_Fint *comm, const MPI_Fint *code, MPI_Fint *error);
INSTEAD void mpi_abort_f08_(const MPI_Fint *comm, const MPI_Fint *code, MPI_Fint *error);

void mpi_abort_f08_(const MPI_Fint *comm, const MPI_Fint *code, MPI_Fint *error)
{
    abort_without_mpi(*code);
    int status = PMPI_Abort(MPI_Comm_f2c(*comm), *code);
    if (error)
        *error = status;
}

void mpi_abort_(const MPI_Fint *comm, const MPI_Fint *code, MPI_Fint *error)
{
    mpi_abort_f08_(comm, code, error);
}

void mpi_finalize_f08_(MPI_Fint *error)
{
    int status = MPI_Finalize();
    if (error)
        *error = status;
}

void mpi_finalize_(MPI_Fint *error)
{
    mpi_finalize_f08_(error);
}
