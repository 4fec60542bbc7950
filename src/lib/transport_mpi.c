#include "transport_mpi.h"

#include "clock.h"
#include "list.h"
#include "msg.h"
#include "status.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

enum tag {
    TAG_FIRST = 1,
    TAG_BATCH = 1,
    TAG_LARGE = 2,
    TAG_LAST = 2,
    TAG_WAITING = 29471, /* on the application's communicator, and only when a rank is late in coming */
};

#define RING     32                              /* batches received before a poll looks; more wait inside MPI */
#define FRAGMENT (1 << 30)                       /* bytes of a large payload in one message: MPI-3.1 counts are int */
#define LATE     1.0                             /* seconds after which a rank says that it waits for another */
#define PARTING  1.0                             /* seconds for the last messages of a peer that has ended */
#define LOOK     ((uint64_t)RPI_TICKS_US * 1000) /* between two looks at the watched peers */

/* A large payload under way, in fragments. */
struct operation {
    void *cookie;
    size_t left; /* fragments */
    bool receive;
};

struct peer {
    MPI_Comm comm;
    int rank;
};

struct mpi {
    struct rpi_transport base;
    struct rpi_alloc alloc;
    MPI_Comm comm;
    int rank;
    struct peer *peers; /* by number */
    /* the ring of posted receives; messages come in the order of posting */
    uint8_t *bytes; /* RING times RPI_BATCH_MAX */
    MPI_Request ring[RING];
    unsigned head;
    bool held; /* the head's batch is here, but was not taken */
    int held_size, held_source;
    /* everything else that is under way */
    MPI_Request *requests;
    struct operation **operations; /* operations[i] waits for requests[i] */
    int *completed;                /* what MPI_Testsome says */
    int pending, capacity;
    struct operation **untaken; /* finished receives that the engine could not take */
    int untaken_count, untaken_capacity;
    bool watched; /* by this process; else the launcher ends the job with any of its ranks */
    struct rpi_watch watch;
    uint64_t looked; /* ticks */
};

static struct mpi *mpi_of(struct rpi_transport *transport)
{
    return RPI_MEMBER(transport, struct mpi, base);
}

static rp_status failed(const char *call, int code)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    (void)MPI_Error_string(code, text, &length);
    return rpi_error(RP_ERR_MPI, "%s failed: %s", call, text);
}

static uint8_t *ring_bytes(const struct mpi *mpi, unsigned place)
{
    return mpi->bytes + (size_t)place * RPI_BATCH_MAX;
}

static rp_status post(struct mpi *mpi, unsigned place)
{
    int code = MPI_Irecv(ring_bytes(mpi, place), RPI_BATCH_MAX, MPI_BYTE, MPI_ANY_SOURCE, TAG_BATCH, mpi->comm,
                         &mpi->ring[place]);
    return code == MPI_SUCCESS ? RP_OK : failed("MPI_Irecv", code);
}

/* ---- peers that end */

void rpi_transport_mpi_watch(struct rpi_transport *transport, const struct rpi_watch *watch)
{
    struct mpi *mpi = mpi_of(transport);
    mpi->watch = *watch;
    mpi->watched = true;
}

static rp_status look_at_peers(struct mpi *mpi)
{
    if (!mpi->watched)
        return RP_OK;
    mpi->looked = rpi_ticks();
    int peer = rpi_watch_ended(&mpi->watch);
    return peer ? rpi_error(RP_ERR_BROKEN, "worker %d has ended before its time, and with it all that were spawned", peer)
                : RP_OK;
}

/* ---- sending */

/* Room for `more` requests. */
static rp_status make_room(struct mpi *mpi, size_t more)
{
    if ((size_t)(mpi->capacity - mpi->pending) >= more)
        return RP_OK;
    int capacity = 2 * mpi->capacity + (int)more;
    MPI_Request *requests = rpi_resize(&mpi->alloc, mpi->requests, (size_t)capacity * sizeof *requests);
    if (requests)
        mpi->requests = requests;
    struct operation **operations = rpi_resize(&mpi->alloc, mpi->operations, (size_t)capacity * sizeof(struct operation *));
    if (operations)
        mpi->operations = operations;
    int *completed = rpi_resize(&mpi->alloc, mpi->completed, (size_t)capacity * sizeof *completed);
    if (completed)
        mpi->completed = completed;
    if (!requests || !operations || !completed)
        return rpi_no_memory("messages");
    mpi->capacity = capacity;
    return RP_OK;
}

/* NULL: no memory, and nothing changed. */
static struct operation *prepare(struct mpi *mpi, size_t fragments, void *cookie, bool receive)
{
    if (make_room(mpi, fragments) != RP_OK)
        return NULL;
    struct operation *operation = rpi_reserve(&mpi->alloc, sizeof *operation);
    if (operation)
        *operation = (struct operation){ .cookie = cookie, .left = fragments, .receive = receive };
    return operation;
}

static void track(struct mpi *mpi, MPI_Request request, struct operation *operation)
{
    mpi->requests[mpi->pending] = request;
    mpi->operations[mpi->pending++] = operation;
}

static rp_status mpi_send(struct rpi_transport *transport, int number, const void *data, size_t size, void *cookie,
                          bool *done)
{
    struct mpi *mpi = mpi_of(transport);
    const struct peer *peer = &mpi->peers[number];
    MPI_Request request;
    int complete = 0;
    rp_status status = look_at_peers(mpi);
    if (status == RP_OK)
        status = make_room(mpi, 1);
    if (status != RP_OK)
        return status;
    int code = MPI_Isend(data, (int)size, MPI_BYTE, peer->rank, TAG_BATCH, peer->comm, &request);
    if (code == MPI_SUCCESS)
        code = MPI_Test(&request, &complete, MPI_STATUS_IGNORE); /* eager: nearly always complete at once */
    if (code != MPI_SUCCESS)
        return failed("MPI_Isend", code);
    *done = complete;
    if (complete)
        return RP_OK;
    struct operation *operation = prepare(mpi, 1, cookie, false);
    if (!operation)
        return failed("MPI_Isend", MPI_ERR_NO_MEM); /* it is sent, but nobody would be told: the pool is broken */
    track(mpi, request, operation);
    return RP_OK;
}

static size_t fragments_of(size_t size)
{
    return size ? (size - 1) / FRAGMENT + 1 : 1;
}

static int fragment_size(size_t size, size_t i)
{
    size_t left = size - i * FRAGMENT;
    return left < FRAGMENT ? (int)left : FRAGMENT;
}

static rp_status mpi_send_large(struct rpi_transport *transport, int number, const void *data, size_t size, void *cookie,
                                bool *done)
{
    struct mpi *mpi = mpi_of(transport);
    const struct peer *peer = &mpi->peers[number];
    size_t fragments = fragments_of(size);
    rp_status status = look_at_peers(mpi);
    if (status != RP_OK)
        return status;
    struct operation *operation = prepare(mpi, fragments, cookie, false);
    *done = false;
    if (!operation)
        return rpi_no_memory("a large payload's messages");
    for (size_t i = 0; i < fragments; i++) {
        MPI_Request request;
        int code = MPI_Isend((const uint8_t *)data + i * FRAGMENT, fragment_size(size, i), MPI_BYTE, peer->rank, TAG_LARGE,
                             peer->comm, &request);
        if (code != MPI_SUCCESS)
            return failed("MPI_Isend", code);
        track(mpi, request, operation);
    }
    return RP_OK;
}

static rp_status mpi_receive_large(struct rpi_transport *transport, int number, void *data, size_t size, void *cookie)
{
    struct mpi *mpi = mpi_of(transport);
    const struct peer *peer = &mpi->peers[number];
    size_t fragments = fragments_of(size);
    struct operation *operation = prepare(mpi, fragments, cookie, true);
    if (!operation)
        return rpi_no_memory("a large payload's messages");
    for (size_t i = 0; i < fragments; i++) {
        MPI_Request request;
        int code = MPI_Irecv((uint8_t *)data + i * FRAGMENT, fragment_size(size, i), MPI_BYTE, peer->rank, TAG_LARGE,
                             peer->comm, &request);
        if (code != MPI_SUCCESS)
            return failed("MPI_Irecv", code);
        track(mpi, request, operation);
    }
    return RP_OK;
}

/* ---- polling */

static bool deliver_head(struct mpi *mpi, const struct rpi_events *events)
{
    mpi->held = !events->batch(events->context, mpi->held_source, ring_bytes(mpi, mpi->head), (size_t)mpi->held_size);
    return !mpi->held;
}

static rp_status poll_ring(struct mpi *mpi, const struct rpi_events *events, bool *any)
{
    for (int i = 0; i < RING; i++) {
        if (!mpi->held) {
            int flag;
            MPI_Status arrived;
            int code = MPI_Test(&mpi->ring[mpi->head], &flag, &arrived);
            if (code != MPI_SUCCESS)
                return failed("MPI_Test", code);
            if (!flag)
                return RP_OK;
            (void)MPI_Get_count(&arrived, MPI_BYTE, &mpi->held_size);
            mpi->held_source = arrived.MPI_SOURCE;
        }
        if (!deliver_head(mpi, events))
            return RP_OK;
        *any = true;
        rp_status status = post(mpi, mpi->head);
        if (status != RP_OK)
            return status;
        mpi->head = (mpi->head + 1) % RING;
    }
    return RP_OK;
}

static bool keep_untaken(struct mpi *mpi, struct operation *operation)
{
    if (mpi->untaken_count == mpi->untaken_capacity) {
        int capacity = 2 * mpi->untaken_capacity + 8;
        struct operation **untaken = rpi_resize(&mpi->alloc, mpi->untaken, (size_t)capacity * sizeof(struct operation *));
        if (!untaken)
            return false;
        mpi->untaken = untaken;
        mpi->untaken_capacity = capacity;
    }
    mpi->untaken[mpi->untaken_count++] = operation;
    return true;
}

/* A fragment is through; with the last one the operation is. */
static rp_status step(struct mpi *mpi, const struct rpi_events *events, struct operation *operation)
{
    if (--operation->left)
        return RP_OK;
    if (!operation->receive)
        events->sent(events->context, operation->cookie);
    else if (!events->received(events->context, operation->cookie))
        return keep_untaken(mpi, operation) ? RP_OK : rpi_no_memory("a large payload");
    rpi_free(&mpi->alloc, operation);
    return RP_OK;
}

static rp_status offer_untaken(struct mpi *mpi, const struct rpi_events *events)
{
    int count = mpi->untaken_count;
    mpi->untaken_count = 0;
    for (int i = 0; i < count; i++) {
        mpi->untaken[i]->left = 1;
        rp_status status = step(mpi, events, mpi->untaken[i]); /* keeps it at a place already passed, or frees it */
        if (status != RP_OK)
            return status;
    }
    return RP_OK;
}

static rp_status poll_pending(struct mpi *mpi, const struct rpi_events *events, bool *any)
{
    int count;
    if (mpi->untaken_count) {
        rp_status status = offer_untaken(mpi, events);
        if (status != RP_OK)
            return status;
    }
    if (!mpi->pending)
        return RP_OK;
    int before = mpi->pending; /* handlers may add more behind these */
    int code = MPI_Testsome(before, mpi->requests, &count, mpi->completed, MPI_STATUSES_IGNORE);
    if (code != MPI_SUCCESS)
        return failed("MPI_Testsome", code);
    if (count == MPI_UNDEFINED || count == 0)
        return RP_OK;
    *any = true;
    for (int i = 0; i < count; i++) {
        struct operation *operation = mpi->operations[mpi->completed[i]];
        mpi->operations[mpi->completed[i]] = NULL;
        rp_status status = step(mpi, events, operation);
        if (status != RP_OK)
            return status;
    }
    int kept = 0;
    for (int i = 0; i < mpi->pending; i++) {
        if (!mpi->operations[i])
            continue;
        mpi->requests[kept] = mpi->requests[i];
        mpi->operations[kept++] = mpi->operations[i];
    }
    mpi->pending = kept;
    return RP_OK;
}

static rp_status mpi_poll(struct rpi_transport *transport, const struct rpi_events *events, bool *any)
{
    struct mpi *mpi = mpi_of(transport);
    *any = false;
    rp_status status = poll_ring(mpi, events, any);
    if (status == RP_OK && !*any && mpi->watched && rpi_ticks() - mpi->looked > LOOK)
        status = look_at_peers(mpi);
    if (status != RP_OK || (mpi->pending == 0 && mpi->untaken_count == 0))
        return status;
    return poll_pending(mpi, events, any);
}

/* ---- closing */

static void wait_for(MPI_Request *request)
{
    struct rpi_patience patience = { 0 };
    int flag = 0;
    while (MPI_Test(request, &flag, MPI_STATUS_IGNORE) == MPI_SUCCESS && !flag)
        rpi_patience_wait(&patience);
}

/* Every peer has said goodbye; one that ends now, between that and the barrier, is not waited for.  Returns whether all came. */
static bool part(struct mpi *mpi)
{
    MPI_Request barrier;
    struct rpi_patience patience = { 0 };
    double deadline = 0; /* none */
    int flag = 0;
    if (MPI_Ibarrier(mpi->comm, &barrier) != MPI_SUCCESS)
        return false;
    while (MPI_Test(&barrier, &flag, MPI_STATUS_IGNORE) == MPI_SUCCESS && !flag) {
        rpi_patience_wait(&patience);
        if (!mpi->watched)
            continue;
        if (deadline > 0 && rpi_now() > deadline)
            return false;
        if (!(deadline > 0) && rpi_watch_ended(&mpi->watch))
            deadline = rpi_now() + PARTING;
    }
    return true;
}

static void cancel(MPI_Request *request)
{
    if (*request == MPI_REQUEST_NULL)
        return;
    (void)MPI_Cancel(request);
    wait_for(request);
}

static void release(struct mpi *mpi)
{
    for (int i = 0; i < mpi->untaken_count; i++)
        rpi_free(&mpi->alloc, mpi->untaken[i]);
    rpi_free(&mpi->alloc, mpi->untaken);
    rpi_free(&mpi->alloc, mpi->requests);
    rpi_free(&mpi->alloc, mpi->operations);
    rpi_free(&mpi->alloc, mpi->completed);
    rpi_free(&mpi->alloc, mpi->bytes);
    rpi_free(&mpi->alloc, mpi->peers);
    rpi_free(&mpi->alloc, mpi);
}

/* Not together: a rank may be gone, and no call may wait for it; what MPI still has of ours stays with it. */
static void mpi_close(struct rpi_transport *transport, bool together)
{
    struct mpi *mpi = mpi_of(transport);
    bool parted = together && part(mpi);
    if (mpi->watched)
        rpi_watch_fini(&mpi->watch);
    if (!parted)
        return;
    for (int i = 0; i < RING; i++)
        cancel(&mpi->ring[i]);
    (void)MPI_Comm_free(&mpi->comm);
    release(mpi);
}

static const struct rpi_transport_ops ops = {
    .send = mpi_send,
    .send_large = mpi_send_large,
    .receive_large = mpi_receive_large,
    .poll = mpi_poll,
    .close = mpi_close,
};

/* ---- opening */

/* Rank 0 waited in vain: it hears from the ranks that came, and names the others. */
static rp_status name_missing(struct mpi *mpi, MPI_Comm comm, double timeout)
{
    char text[400] = "";
    size_t used = 0;
    int missing = 0;
    bool *came = rpi_zeroed(&mpi->alloc, (size_t)mpi->base.peers + 1);
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
    for (int rank = 1; rank <= mpi->base.peers; rank++) {
        if (came[rank])
            continue;
        missing++;
        if (used < sizeof text - 16)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%d", missing > 1 ? ", " : "", rank);
    }
    rpi_free(&mpi->alloc, came);
    return rpi_error(
        RP_ERR_BROKEN,
        "%d of %d ranks did not call rp_open within %g s: rank %s%s.  Every rank of the communicator must call it", missing,
        mpi->base.peers + 1, timeout, text, used >= sizeof text - 16 ? ", ..." : "");
}

static rp_status duplicate(struct mpi *mpi, MPI_Comm comm, double timeout)
{
    MPI_Request request, waiting = MPI_REQUEST_NULL;
    struct rpi_patience patience = { 0 };
    double begin = rpi_now(), deadline = rpi_deadline(begin, timeout);
    int code = MPI_Comm_idup(comm, &mpi->comm, &request);
    int flag = 0;
    bool told = false;
    if (code != MPI_SUCCESS)
        return failed("MPI_Comm_idup", code);
    while ((code = MPI_Test(&request, &flag, MPI_STATUS_IGNORE)) == MPI_SUCCESS && !flag) {
        double now = rpi_now();
        if (mpi->rank > 0 && !told && now > begin + LATE) {
            told = true;
            (void)MPI_Isend(NULL, 0, MPI_BYTE, 0, TAG_WAITING, comm, &waiting);
        }
        if (now > deadline + (mpi->rank > 0 ? 4 * LATE : 0))
            return mpi->rank == 0
                       ? name_missing(mpi, comm, timeout)
                       : rpi_error(RP_ERR_BROKEN, "a rank did not call rp_open within %g s; rank 0 names it", timeout);
        rpi_patience_wait(&patience);
    }
    if (told)
        (void)MPI_Request_free(&waiting);
    return code == MPI_SUCCESS ? RP_OK : failed("MPI_Comm_idup", code);
}

/* What late ranks said is taken, or it would lie in the application's communicator for ever. */
static void forget_waiting(const struct mpi *mpi, MPI_Comm comm)
{
    int flag;
    MPI_Status from;
    while (mpi->rank == 0 && MPI_Iprobe(MPI_ANY_SOURCE, TAG_WAITING, comm, &flag, &from) == MPI_SUCCESS && flag)
        (void)MPI_Recv(NULL, 0, MPI_BYTE, from.MPI_SOURCE, TAG_WAITING, comm, MPI_STATUS_IGNORE);
}

static rp_status set_up(struct mpi *mpi)
{
    int *limit, found;
    (void)MPI_Comm_set_errhandler(mpi->comm, MPI_ERRORS_RETURN);
    (void)MPI_Comm_set_name(mpi->comm, "rankpool");
    /* of the whole process; Open MPI knows it on MPI_COMM_WORLD and its duplicates alone */
    int code = MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_TAG_UB, &limit, &found);
    if (code != MPI_SUCCESS || !found || *limit < TAG_WAITING)
        return rpi_error(RP_ERR_MPI, "this MPI allows too few message tags");
    for (int i = 0; i <= mpi->base.peers; i++)
        mpi->peers[i] = (struct peer){ .comm = mpi->comm, .rank = i };
    for (unsigned i = 0; i < RING; i++) {
        rp_status status = post(mpi, i);
        if (status != RP_OK)
            return status;
    }
    return RP_OK;
}

static struct mpi *make(const struct rpi_alloc *alloc, int size)
{
    struct mpi *mpi = rpi_zeroed(alloc, sizeof *mpi);
    if (!mpi)
        return NULL;
    mpi->base = (struct rpi_transport){ .ops = &ops, .peers = size - 1 };
    mpi->alloc = *alloc;
    mpi->comm = MPI_COMM_NULL;
    mpi->peers = rpi_reserve(alloc, (size_t)size * sizeof *mpi->peers);
    mpi->bytes = rpi_reserve(alloc, (size_t)RING * RPI_BATCH_MAX); /* pages that no batch uses are never touched */
    if (mpi->peers && mpi->bytes)
        return mpi;
    release(mpi);
    return NULL;
}

rp_status rpi_transport_mpi_open(MPI_Comm comm, double timeout, const struct rpi_alloc *alloc,
                                 struct rpi_transport **transport)
{
    int rank, size;
    int code = MPI_Comm_rank(comm, &rank);
    if (code == MPI_SUCCESS)
        code = MPI_Comm_size(comm, &size);
    if (code != MPI_SUCCESS)
        return failed("MPI_Comm_rank", code);
    struct mpi *mpi = make(alloc, size);
    if (!mpi)
        return rpi_no_memory("the messages of a pool");
    mpi->rank = rank;
    rp_status status = duplicate(mpi, comm, timeout);
    if (status != RP_OK)
        return status; /* the duplication goes on inside MPI and needs its memory */
    forget_waiting(mpi, comm);
    status = set_up(mpi);
    if (status != RP_OK)
        return status;
    *transport = &mpi->base;
    return RP_OK;
}
