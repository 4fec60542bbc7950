#include "open/exit.h"

#include "base/private.h"
#include "base/status.h"
#include "exec/call.h"
#include "open/spawned.h"
#include "pool/pool.h"
#include "transport/mpi/mpi_runtime.h"
#include "transport/mpi/mpi_spawn.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- fork */

/* The process that opens pools here; 0: none yet, or only the parent of this child of fork(). */
static pid_t home;

/* Nothing that is the parent's is done, held or ended by the child. */
static void leave_to_parent(void)
{
    rpi_private_leave();
    rpi_call_leave_to_parent();
    rpi_mpi_runtime_leave_to_parent();
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

/* Not of an exit() inside a task, which does not come so far (crash.h). */
static void at_exit(void)
{
    if (getpid() != home) /* a child of fork() or vfork() */
        return;
    atomic_store(&prepared, false);
    if (rpi_mpi_runtime_active())
        rpi_spawned_answer();
    rpi_pools_terminate();
    rpi_mpi_runtime_end();
    rpi_mpi_spawn_leave();
}

static void register_at_exit(void)
{
    if (atexit(at_exit) != 0)
        (void)rpi_error(RP_ERR_NOMEM, "no room for an exit handler: MPI will not be finalised");
}

/* Anew where it has run already: a global's destructor may still open a pool. */
void rpi_exit_prepare(void)
{
    home = getpid();
    if (!atomic_exchange(&prepared, true))
        register_at_exit();
}
