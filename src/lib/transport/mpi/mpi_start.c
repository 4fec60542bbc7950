#include "transport/mpi/mpi_start.h"

#include "base/clock.h"
#include "base/status.h"

#include <errno.h>
#include <mpi.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define CROWD 10 /* times open_timeout at the most, where ranks share cores */

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
    return start.code == MPI_SUCCESS ? RP_OK : rpi_error(RP_ERR_MPI, "MPI_Init_thread failed with code %d", start.code);
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
        (void)snprintf(slow, sizeof slow, ", or %ld ranks on the %ld cores of this host need longer", ranks, cores);
    start.given_up = true;
    (void)pthread_detach(start.thread);
    return rpi_error(RP_ERR_BROKEN,
                     "MPI_Init did not come back within %.3g s (config.open_timeout is %g s): a rank has ended before it, "
                     "which rankpool launch tells, or did not start, or is slow%s; if so, raise config.open_timeout",
                     waited, timeout, slow);
}

rp_status rpi_mpi_runtime_start(double timeout)
{
    if (start.given_up)
        return rpi_error(RP_ERR_BROKEN, "an earlier rp_open gave MPI_Init up: there is no MPI in this process");
    if (timeout < 0 || pthread_create(&start.thread, NULL, initialise, NULL) != 0) {
        (void)initialise(NULL);
        return outcome();
    }
    long ranks, cores;
    double wait = timeout * crowd_of(&ranks, &cores);
    return joins_by(start.thread, rpi_now() + wait) ? outcome() : give_up(wait, timeout, ranks, cores);
}

static void *finalise(void *unused)
{
    (void)MPI_Finalize();
    return unused;
}

void rpi_mpi_stop(double timeout)
{
    pthread_t thread;
    if (timeout < 0 || pthread_create(&thread, NULL, finalise, NULL) != 0)
        (void)finalise(NULL);
    else if (!joins_by(thread, rpi_now() + timeout))
        (void)pthread_detach(thread);
}
