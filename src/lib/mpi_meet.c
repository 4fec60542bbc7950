#include "mpi_meet.h"

#include "clock.h"
#include "status.h"

#include <sched.h>
#include <stdio.h>

#define TAG_WAITING RPI_TAG_MOST /* on the application's communicator, and only when a rank is late in coming */
#define LATE        1.0          /* seconds after which a rank says that it waits for another */

rp_status rpi_mpi_failed(const char *call, int code)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    (void)MPI_Error_string(code, text, &length);
    return rpi_error(RP_ERR_MPI, "%s failed: %s", call, text);
}

/* Rank 0 waited in vain: it hears from the ranks that came, and names the others. */
static rp_status name_missing(const struct rpi_alloc *alloc, MPI_Comm comm, int size, double timeout)
{
    char text[400] = "";
    size_t used = 0;
    int missing = 0;
    bool *came = rpi_zeroed(alloc, (size_t)size);
    if (!came)
        return rpi_no_memory("the list of missing ranks");
    for (double end = rpi_now() + 2 * LATE; rpi_now() < end; (void)sched_yield()) {
        int flag;
        MPI_Status from;
        while (MPI_Iprobe(MPI_ANY_SOURCE, TAG_WAITING, comm, &flag, &from) == MPI_SUCCESS && flag) {
            (void)MPI_Recv(NULL, 0, MPI_BYTE, from.MPI_SOURCE, TAG_WAITING, comm, MPI_STATUS_IGNORE);
            came[from.MPI_SOURCE] = true;
        }
    }
    for (int rank = 1; rank < size; rank++) {
        if (came[rank])
            continue;
        missing++;
        if (used < sizeof text - 16)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%d", missing > 1 ? ", " : "", rank);
    }
    rpi_free(alloc, came);
    if (!missing)
        return rpi_error(RP_ERR_BROKEN,
                         "every rank has called rp_open, but MPI did not bring them together within %g s: one may be "
                         "stopped, or a host cannot be reached from another (mpirun's own messages may say which; --mca "
                         "btl_tcp_if_include NETWORK chooses the way)",
                         timeout);
    return rpi_error(
        RP_ERR_BROKEN,
        "%d of %d ranks did not call rp_open within %g s: rank %s%s.  Every rank of the communicator must call it, and "
        "none can that still serves another pool",
        missing, size, timeout, text, used >= sizeof text - 16 ? ", ..." : "");
}

static rp_status duplicate(MPI_Comm comm, int rank, int size, double timeout, const struct rpi_alloc *alloc,
                           MPI_Comm *ranks)
{
    MPI_Request request, waiting = MPI_REQUEST_NULL;
    struct rpi_patience patience = { 0 };
    double begin = rpi_now(), deadline = rpi_deadline(begin, timeout);
    int code = MPI_Comm_idup(comm, ranks, &request);
    int flag = 0;
    bool told = false;
    if (code != MPI_SUCCESS)
        return rpi_mpi_failed("MPI_Comm_idup", code);
    while ((code = MPI_Test(&request, &flag, MPI_STATUS_IGNORE)) == MPI_SUCCESS && !flag) {
        double now = rpi_now();
        if (rank > 0 && !told && now > begin + LATE) {
            told = true;
            (void)MPI_Isend(NULL, 0, MPI_BYTE, 0, TAG_WAITING, comm, &waiting);
        }
        if (now > deadline + (rank > 0 ? 4 * LATE : 0))
            return rank == 0 ? name_missing(alloc, comm, size, timeout)
                             : rpi_error(RP_ERR_BROKEN,
                                         "the ranks did not all meet in rp_open within %g s; rank 0 says why", timeout);
        rpi_patience_wait(&patience);
    }
    if (told)
        (void)MPI_Request_free(&waiting);
    return code == MPI_SUCCESS ? RP_OK : rpi_mpi_failed("MPI_Comm_idup", code);
}

/* What late ranks said is taken, or it would lie in the application's communicator for ever. */
static void forget_waiting(MPI_Comm comm)
{
    int flag;
    MPI_Status from;
    while (MPI_Iprobe(MPI_ANY_SOURCE, TAG_WAITING, comm, &flag, &from) == MPI_SUCCESS && flag)
        (void)MPI_Recv(NULL, 0, MPI_BYTE, from.MPI_SOURCE, TAG_WAITING, comm, MPI_STATUS_IGNORE);
}

rp_status rpi_mpi_meet(MPI_Comm comm, double timeout, const struct rpi_alloc *alloc, MPI_Comm *ranks)
{
    int rank, size;
    int code = MPI_Comm_rank(comm, &rank);
    if (code == MPI_SUCCESS)
        code = MPI_Comm_size(comm, &size);
    if (code != MPI_SUCCESS)
        return rpi_mpi_failed("MPI_Comm_rank", code);
    rp_status status = duplicate(comm, rank, size, timeout, alloc, ranks);
    if (status == RP_OK && rank == 0)
        forget_waiting(comm);
    return status;
}
