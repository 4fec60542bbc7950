#include "mpi_start.h"

#include "clock.h"
#include "status.h"

#include <errno.h>
#include <mpi.h>
#include <pthread.h>
#include <time.h>

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

static bool joins_by(double deadline)
{
    const struct timespec until = rpi_timespec(deadline);
    return pthread_clockjoin_np(start.thread, NULL, CLOCK_MONOTONIC, &until) != ETIMEDOUT;
}

rp_status rpi_mpi_start(double timeout)
{
    if (start.given_up)
        return rpi_error(RP_ERR_BROKEN, "an earlier rp_open gave MPI_Init up: there is no MPI in this process");
    if (timeout < 0 || pthread_create(&start.thread, NULL, initialise, NULL) != 0) {
        (void)initialise(NULL);
        return outcome();
    }
    if (joins_by(rpi_now() + timeout))
        return outcome();
    start.given_up = true;
    (void)pthread_detach(start.thread);
    return rpi_error(RP_ERR_BROKEN,
                     "MPI_Init did not come back within %g s (config.open_timeout): ranks are slow, or a rank has ended "
                     "before it, or did "
                     "not start.  rankpool launch names those that have ended",
                     timeout);
}
