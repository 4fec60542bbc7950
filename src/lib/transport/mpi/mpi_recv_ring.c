#include "transport/mpi/mpi_recv_ring.h"

#include "base/backoff.h"
#include "proto/msg.h"
#include "transport/mpi/mpi_dup.h"

static uint8_t *bytes_at(const struct rpi_mpi_recv_ring *ring, unsigned place)
{
    return ring->bytes + (size_t)place * RPI_BATCH_MAX;
}

static rp_status post(struct rpi_mpi_recv_ring *ring, unsigned place)
{
    int code = MPI_Irecv(bytes_at(ring, place), RPI_BATCH_MAX, MPI_BYTE, MPI_ANY_SOURCE, ring->tag,
                         ring->comm, &ring->requests[place]);
    return code == MPI_SUCCESS ? RP_OK : rpi_mpi_dup_failed("MPI_Irecv", code);
}

void rpi_mpi_recv_ring_init(struct rpi_mpi_recv_ring *ring, const struct rpi_alloc *alloc)
{
    *ring = (struct rpi_mpi_recv_ring){ .comm = MPI_COMM_NULL };
    for (unsigned i = 0; i < RPI_MPI_RECV_RING; i++)
        ring->requests[i] = MPI_REQUEST_NULL;
    ring->bytes = rpi_reserve(alloc,
                              (size_t)RPI_MPI_RECV_RING *
                                  RPI_BATCH_MAX); /* pages that no batch uses are never touched */
}

void rpi_mpi_recv_ring_free(struct rpi_mpi_recv_ring *ring, const struct rpi_alloc *alloc)
{
    rpi_free(alloc, ring->bytes);
}

rp_status rpi_mpi_recv_ring_post(struct rpi_mpi_recv_ring *ring, MPI_Comm comm, int tag)
{
    rp_status status = RP_OK;
    ring->comm = comm;
    ring->tag = tag;
    for (unsigned i = 0; i < RPI_MPI_RECV_RING && status == RP_OK; i++)
        status = post(ring, i);
    return status;
}

static void wait_for(MPI_Request *request)
{
    struct rpi_backoff backoff = { 0 };
    int flag = 0;
    while (MPI_Test(request, &flag, MPI_STATUS_IGNORE) == MPI_SUCCESS && !flag)
        rpi_backoff_wait(&backoff);
}

void rpi_mpi_recv_ring_cancel(struct rpi_mpi_recv_ring *ring)
{
    for (unsigned i = 0; i < RPI_MPI_RECV_RING; i++) {
        if (ring->requests[i] == MPI_REQUEST_NULL)
            continue;
        (void)MPI_Cancel(&ring->requests[i]);
        wait_for(&ring->requests[i]);
    }
}

bool rpi_mpi_recv_ring_is_cut_off(int code)
{
    int class = MPI_SUCCESS;
    return code > MPI_SUCCESS && MPI_Error_class(code, &class) == MPI_SUCCESS &&
           class == MPI_ERR_TRUNCATE;
}

int rpi_mpi_recv_ring_outcome(int code, const MPI_Status *status)
{
    int cancelled = 0;
    if (code == MPI_SUCCESS)
        (void)MPI_Test_cancelled(status, &cancelled);
    return cancelled ? RPI_MPI_RECV_RING_CANCELLED : code;
}

/* The head's place is done with: the next batch comes into the one after it. */
static void pass(struct rpi_mpi_recv_ring *ring)
{
    ring->head = (ring->head + 1) % RPI_MPI_RECV_RING;
    ring->unposted++;
}

int rpi_mpi_recv_ring_look(struct rpi_mpi_recv_ring *ring)
{
    int flag = 0;
    MPI_Status arrived;
    if (ring->held)
        return MPI_SUCCESS;
    int code = MPI_Test(&ring->requests[ring->head], &flag, &arrived);
    if (code == MPI_SUCCESS && !flag)
        return MPI_SUCCESS;
    code = rpi_mpi_recv_ring_outcome(code, &arrived);
    if (code != MPI_SUCCESS && !rpi_mpi_recv_ring_is_cut_off(code)) {
        if (ring->requests[ring->head] == MPI_REQUEST_NULL) /* else MPI goes on with it */
            pass(ring);
        return code;
    }
    ring->held = true;
    ring->size = 0;
    ring->source = arrived.MPI_SOURCE;
    if (code == MPI_SUCCESS)
        (void)MPI_Get_count(&arrived, MPI_BYTE, &ring->size);
    return MPI_SUCCESS;
}

const void *rpi_mpi_recv_ring_batch(const struct rpi_mpi_recv_ring *ring)
{
    return bytes_at(ring, ring->head);
}

rp_status rpi_mpi_recv_ring_pop(struct rpi_mpi_recv_ring *ring)
{
    ring->held = false;
    pass(ring);
    return ring->unposted < RPI_MPI_RECV_RING / 2 ? RP_OK : rpi_mpi_recv_ring_fill(ring);
}

rp_status rpi_mpi_recv_ring_fill(struct rpi_mpi_recv_ring *ring)
{
    rp_status status = RP_OK;
    for (; ring->unposted > 0 && status == RP_OK; ring->unposted--)
        status = post(ring, (ring->head + RPI_MPI_RECV_RING - ring->unposted) % RPI_MPI_RECV_RING);
    return status;
}
