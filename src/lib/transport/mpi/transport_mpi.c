#include "transport/mpi/transport_mpi.h"

#include "base/advice.h"
#include "base/backoff.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/status.h"
#include "oob/oob_socket.h"
#include "transport/mpi/mpi_dup.h"
#include "transport/mpi/mpi_recv_ring.h"
#include "transport/mpi/mpi_runtime.h"
#include "transport/mpi/mpi_ulfm.h"

enum tag {
    TAG_BATCH = 1,
    TAG_LARGE = 2,
};

#define FRAGMENT (1 << 30) /* bytes of a large payload in one message: MPI-3.1 counts are int */
/* seconds for the last messages of a rank that ends without the others */
#define PARTING 1.0
/* seconds after a rank's end: if a poll then brings nothing, nothing more comes from it */
#define LATE   2e-3
#define LATEST 50e-3 /* seconds after a rank's end: then nothing more is taken from it */
/* seconds, plus twice a host's timeout: by then the end that made a receive fail is noticed */
#define DOUBT  10.0
#define MISSED 20 /* seconds, plus a host's timeout: a peer's batch comes within them */
/* bytes a second: rank 0 receives large messages at least this fast, all peers' together */
#define SLOW   1e6
#define ANYONE (-1)                               /* instead of a peer's number: it may be any */
#define LOOK   ((uint64_t)RPI_TICKS_US * 1000)    /* between two looks at the side channel */
#define SECOND ((uint64_t)RPI_TICKS_US * 1000000) /* about */

/* A large payload under way, in fragments. */
struct operation {
    void *cookie;
    size_t left; /* fragments */
    size_t due;  /* bytes to be received */
    int peer;
    bool receive;
    bool odd;      /* a fragment was longer than expected */
    unsigned look; /* the last one that missed it, and how many have */
    int missed;
    struct rpi_link untaken;
};

struct mpi;

struct peer {
    MPI_Comm comm;
    int rank;
    const struct mpi *box; /* in whose ring its batches come */
    bool shy;              /* as mpi->shy, for this one */
    bool silent; /* it has ended: nothing is sent there any more, but what it sent before may still
                    come */
    bool ended;  /* and that is over: what comes is dropped */
    bool told;   /* events->lost was called, or need not be */
    uint32_t came; /* batches from it, modulo 2^32; */
    uint32_t seen; /* at the last look for those that have not come, */
    int missed;    /* and such looks in a row that missed some, while none came */
};

struct mpi {
    struct rpi_transport base;
    struct rpi_alloc alloc;
    MPI_Comm comm;
    int rank;
    struct peer *peers; /* by number */
    struct rpi_mpi_recv_ring ring;
    /* of workers in the places of lost ones: what is left of the transports that they were met over
     * is their rings */
    struct mpi *adopted;
    int number; /* of an adopted one: its peer's */
    /* everything else that is under way */
    MPI_Request *requests;
    struct operation **operations; /* operations[i] waits for requests[i] */
    int *completed;                /* what MPI_Testsome says */
    MPI_Status *statuses;
    int pending, capacity;
    /* NULL, or for the next one: what MPI has begun must not want memory */
    struct operation *spare;
    struct rpi_link untaken; /* finished receives that the engine could not take */
    bool to_set_aside;       /* some of what is under way: a peer has ended */
    /* rank 0's end of the side channel; each worker's is `oob` */
    struct rpi_oob_master channel; /* rank 0's */
    struct rpi_oob_worker oob;     /* a worker's */
    bool shy; /* it is looked at before every send: over tcp one to a rank that has ended may stall
                 all others */
    uint64_t looked; /* ticks */
    double ending;   /* when the last end of a peer was noticed that is not told yet; 0: none */
    bool bereft;     /* some peer has ended, ever */
    double doubt; /* when a receive from any peer failed, until it is known whose message it lost;
                     0: none */
    double missing_at; /* when to look again for messages that have not come */
    unsigned looks;
    /* a worker's */
    uint32_t sent, told; /* batches; and how many rank 0 was told of, */
    uint64_t told_at;    /* ticks */
};

static struct mpi *mpi_of(struct rpi_transport *transport)
{
    return RPI_MEMBER(transport, struct mpi, base);
}

/* ---- peers that end */

static bool has_ended(const struct mpi *mpi, const struct operation *operation)
{
    return mpi->peers[operation->peer].ended;
}

static void drop_fragment(const struct mpi *mpi, struct operation *operation)
{
    if (--operation->left == 0)
        rpi_free(&mpi->alloc, operation);
}

/* What is under way with peers that have ended: MPI may do with these requests what it likes, or
 * nothing; they are never looked at again, nor their bytes. */
static void set_aside(struct mpi *mpi)
{
    int kept = 0;
    mpi->to_set_aside = false;
    for (int i = 0; i < mpi->pending; i++) {
        struct operation *operation = mpi->operations[i];
        if (has_ended(mpi, operation)) {
            drop_fragment(mpi, operation);
            continue;
        }
        mpi->requests[kept] = mpi->requests[i];
        mpi->operations[kept++] = operation;
    }
    mpi->pending = kept;
    for (struct rpi_link *link = mpi->untaken.next, *next; link != &mpi->untaken; link = next) {
        struct operation *operation = RPI_MEMBER(link, struct operation, untaken);
        next = link->next;
        if (has_ended(mpi, operation)) {
            rpi_list_remove(link);
            rpi_free(&mpi->alloc, operation);
        }
    }
}

struct rpi_oob_master *rpi_transport_mpi_channel(struct rpi_transport *transport)
{
    return &mpi_of(transport)->channel;
}

struct rpi_oob_worker *rpi_transport_mpi_oob(struct rpi_transport *transport)
{
    return &mpi_of(transport)->oob;
}

void rpi_transport_mpi_be_shy(struct rpi_transport *transport)
{
    mpi_of(transport)->shy = true;
}

static bool has_channel(const struct mpi *mpi)
{
    return mpi->channel.epoll >= 0;
}

static void mpi_forget(struct rpi_transport *transport, int number)
{
    struct mpi *mpi = mpi_of(transport);
    mpi->peers[number].silent = mpi->peers[number].ended = mpi->peers[number].told = true;
    if (has_channel(mpi))
        rpi_oob_master_drop(&mpi->channel, number);
    mpi->to_set_aside = true; /* by the next poll: this may be inside one */
}

static void fall_silent(struct mpi *mpi, int number)
{
    mpi->peers[number].silent = mpi->bereft = true;
    if (mpi->rank == 0) /* a worker hears of rank 0's end on its side channel, and the others' are
                           not its business */
        mpi->ending = rpi_now();
}

static void note_ends(struct mpi *mpi)
{
    for (int peer; (peer = rpi_oob_master_next_lost(&mpi->channel));)
        fall_silent(mpi, peer);
}

static void look_at_channel(struct mpi *mpi, const struct rpi_events *events)
{
    if (!has_channel(mpi))
        return;
    mpi->looked = rpi_ticks();
    rpi_oob_master_hear(&mpi->channel, events->alive, events->context);
    mpi->base.parked = mpi->channel.parked;
    mpi->base.again = mpi->channel.far ? rpi_oob_socket_beat(mpi->channel.host_timeout) / 2 : 0;
    note_ends(mpi);
}

struct ended {
    struct mpi *mpi;
    MPI_Comm comm;
};

static void note_end(void *context, int rank)
{
    struct mpi *mpi = ((const struct ended *)context)->mpi;
    for (int number = 0; number <= mpi->base.peers; number++) {
        const struct peer *peer = &mpi->peers[number];
        if (peer->comm == ((const struct ended *)context)->comm && peer->rank == rank &&
            !peer->silent)
            fall_silent(mpi, number);
    }
}

/* What is under way with the peer will not come to be, nor what it has sent: MPI has lost it. */
static void sever(struct mpi *mpi, int number)
{
    fall_silent(mpi, number);
    mpi->peers[number].ended = true;
    mpi->to_set_aside = true;
}

/* The outcome of a call, or of what it began, for that peer.  True: it has failed by the end of a
 * peer, and the others go on. */
static bool is_loss(struct mpi *mpi, int number, int outcome)
{
    MPI_Comm comm = number == ANYONE ? mpi->comm : mpi->peers[number].comm;
    if (outcome == MPI_SUCCESS)
        return false;
    if (outcome != RPI_MPI_RECV_RING_CANCELLED && rpi_mpi_ulfm_is_end(outcome)) {
        rpi_mpi_ulfm_ended(comm, note_end, &(struct ended){ .mpi = mpi, .comm = comm });
        return true;
    }
    if (outcome != RPI_MPI_RECV_RING_CANCELLED && !rpi_mpi_runtime_recovers())
        return false;
    if (number != ANYONE)
        sever(mpi, number);
    else if (!(mpi->doubt > 0))
        mpi->doubt = rpi_now();
    return true;
}

/* A receive from any peer has failed.  Its message was one of a peer that has ended, or whose end
 * will be heard.  Until then nothing is taken from any, and then nothing more from those that have
 * ended: what a peer sent after a lost message would be taken for something else. */
static rp_status look_at_doubt(struct mpi *mpi)
{
    double since = rpi_now() - mpi->doubt;
    if (mpi->ending > 0 || (mpi->bereft && since > LATEST)) {
        mpi->doubt = 0;
        for (int peer = 1; peer <= mpi->base.peers; peer++)
            mpi->peers[peer].ended = mpi->peers[peer].silent;
        mpi->to_set_aside = true;
    } else if (since > DOUBT + (has_channel(mpi) ? 2 * mpi->channel.host_timeout : 0)) {
        return rpi_error(RP_ERR_MPI,
                         "MPI gave a receive up, though no rank has ended: a message is lost");
    }
    return RP_OK;
}

/* What a peer sent before its end is taken first: until nothing more has come for a while (over
 * shared memory it is there already). */
static rp_status tell_ends(struct mpi *mpi, const struct rpi_events *events, bool any)
{
    double since = rpi_now() - mpi->ending;
    if (since < LATE || (any && since < LATEST))
        return RP_OK;
    mpi->ending = 0;
    for (int peer = 1; peer <= mpi->base.peers; peer++) {
        if (!mpi->peers[peer].silent || mpi->peers[peer].told)
            continue;
        mpi->peers[peer].ended = mpi->peers[peer].told = true;
        mpi->to_set_aside = true;
        if (has_channel(mpi))
            rpi_oob_master_drop(&mpi->channel, peer); /* one that MPI alone has lost ends by that */
        if (!events->lost)
            return rpi_error(RP_ERR_BROKEN, "rank %d has ended before its time", peer);
        if (has_channel(mpi) && events->died)
            events->died(events->context, peer, rpi_oob_master_words(&mpi->channel, peer));
        events->lost(events->context, peer);
    }
    return RP_OK;
}

/* A worker that is killed while it writes into memory that MPI shares on a host may leave there a
 * queue in which what others write after it is never found: UCX 1.13 comes back then, and tells of
 * nothing. So each worker says how many batches it has sent, and once a peer has ended rank 0
 * looks, once a second, whether they come. */
static bool lacks_batches(struct mpi *mpi, int number)
{
    struct peer *peer = &mpi->peers[number];
    uint32_t lacking = rpi_oob_master_count(&mpi->channel, number) - peer->came;
    bool lacks = (int32_t)lacking > 0 && !peer->silent && !peer->box->ring.held &&
                 peer->came == peer->seen;
    peer->seen = peer->came;
    peer->missed = lacks ? peer->missed + 1 : 0;
    return peer->missed > MISSED + mpi->channel.host_timeout;
}

/* Whose large message has been awaited for too long; 0: no peer's. */
static int late_sender(struct mpi *mpi)
{
    double due = 0;
    int longest = 0, peer = 0;
    for (int i = 0; i < mpi->pending; i++) {
        struct operation *operation = mpi->operations[i];
        if (!operation->receive || operation->look == mpi->looks || has_ended(mpi, operation))
            continue;
        operation->look = mpi->looks; /* once, however many fragments there are */
        due += (double)operation->due;
        if (++operation->missed > longest) {
            longest = operation->missed;
            peer = operation->peer;
        }
    }
    return longest > MISSED + mpi->channel.host_timeout + due / SLOW ? peer : 0;
}

static void look_for_missing(struct mpi *mpi, const struct rpi_events *events)
{
    double now = rpi_now();
    if (!mpi->bereft || !events->astray || now < mpi->missing_at)
        return;
    mpi->missing_at = now + 1;
    mpi->looks++;
    int number = late_sender(mpi);
    for (int peer = 1; peer <= mpi->base.peers; peer++)
        if (lacks_batches(mpi, peer) && !number)
            number = peer;
    if (!number)
        return;
    (void)rpi_error(RP_ERR_BROKEN,
                    "messages that it has sent do not come, and MPI does not say why: it may be "
                    "what a killed worker has "
                    "left in the memory that MPI shares on a host (%s)",
                    rpi_advice(RPI_ADVICE_SHARED));
    events->astray(events->context, number);
}

/* Whether the peer lives, as far as is known: else nothing that is sent to it arrives. */
static bool is_there(struct mpi *mpi, int number)
{
    const struct peer *peer = &mpi->peers[number];
    if (!peer->silent && (mpi->shy || peer->shy) && has_channel(mpi) &&
        !rpi_oob_master_lives(&mpi->channel, number))
        note_ends(mpi);
    return !peer->silent;
}

/* Rings the peer if it may sleep. */
static void ring(struct mpi *mpi, int number, bool anew)
{
    if (has_channel(mpi))
        rpi_oob_master_sent(&mpi->channel, number);
    else
        rpi_oob_worker_sent(&mpi->oob, anew);
}

/* ---- sending */

/* Room for `more` requests. */
static rp_status make_room(struct mpi *mpi, size_t more)
{
    if ((size_t)(mpi->capacity - mpi->pending) >= more)
        return RP_OK;
    int capacity = 2 * mpi->capacity + (int)more;
    MPI_Request *requests = rpi_resize(&mpi->alloc, mpi->requests,
                                       (size_t)capacity * sizeof *requests);
    if (requests)
        mpi->requests = requests;
    struct operation **operations = rpi_resize(&mpi->alloc, mpi->operations,
                                               (size_t)capacity * sizeof(struct operation *));
    if (operations)
        mpi->operations = operations;
    int *completed = rpi_resize(&mpi->alloc, mpi->completed, (size_t)capacity * sizeof *completed);
    if (completed)
        mpi->completed = completed;
    MPI_Status *statuses = rpi_resize(&mpi->alloc, mpi->statuses,
                                      (size_t)capacity * sizeof *statuses);
    if (statuses)
        mpi->statuses = statuses;
    if (!requests || !operations || !completed || !statuses)
        return rpi_no_memory("messages");
    mpi->capacity = capacity;
    return RP_OK;
}

/* Reserves the memory of an operation with `fragments` fragments.  RP_ERR_NOMEM: nothing
 * changed. */
static rp_status provide(struct mpi *mpi, size_t fragments)
{
    if (!mpi->spare)
        mpi->spare = rpi_reserve(&mpi->alloc, sizeof *mpi->spare);
    return mpi->spare ? make_room(mpi, fragments) : rpi_no_memory("messages");
}

/* After provide(). */
static struct operation *begin(struct mpi *mpi, int peer, size_t fragments, void *cookie,
                               bool receive)
{
    struct operation *operation = mpi->spare;
    mpi->spare = NULL;
    *operation = (struct operation){
        .cookie = cookie, .left = fragments, .peer = peer, .receive = receive
    };
    return operation;
}

static void track(struct mpi *mpi, MPI_Request request, struct operation *operation)
{
    mpi->requests[mpi->pending] = request;
    mpi->operations[mpi->pending++] = operation;
}

static rp_status mpi_send(struct rpi_transport *transport, int number, const void *data,
                          size_t size, void *cookie, bool *done)
{
    struct mpi *mpi = mpi_of(transport);
    const struct peer *peer = &mpi->peers[number];
    MPI_Request request;
    int complete = 0;
    *done = !is_there(mpi, number);
    if (*done)
        return RP_OK;
    rp_status status = provide(mpi, 1);
    if (status != RP_OK)
        return status;
    int code = MPI_Isend(data, (int)size, MPI_BYTE, peer->rank, TAG_BATCH, peer->comm, &request);
    if (code == MPI_SUCCESS)
        code = MPI_Test(&request, &complete,
                        MPI_STATUS_IGNORE); /* eager: nearly always complete at once */
    if (code != MPI_SUCCESS) {
        *done = is_loss(mpi, number, code);
        return *done ? RP_OK : rpi_mpi_dup_failed("MPI_Isend", code);
    }
    ring(mpi, number, false);
    mpi->sent++;
    *done = complete;
    if (!complete)
        track(mpi, request, begin(mpi, number, 1, cookie, false));
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

/* A call has failed after `fragments` fragments. */
static rp_status cut_short(struct mpi *mpi, struct operation *operation, size_t fragments,
                           const char *call, int code, bool *done)
{
    if (!is_loss(mpi, operation->peer, code))
        return rpi_mpi_dup_failed(call, code);
    operation->left = fragments;
    *done = fragments == 0;
    if (*done)
        rpi_free(&mpi->alloc, operation);
    return RP_OK;
}

static rp_status mpi_send_large(struct rpi_transport *transport, int number, const void *data,
                                size_t size, void *cookie, bool *done)
{
    struct mpi *mpi = mpi_of(transport);
    const struct peer *peer = &mpi->peers[number];
    size_t fragments = fragments_of(size);
    *done = !is_there(mpi, number);
    if (*done)
        return RP_OK;
    rp_status status = provide(mpi, fragments);
    if (status != RP_OK)
        return status;
    struct operation *operation = begin(mpi, number, fragments, cookie, false);
    for (size_t i = 0; i < fragments; i++) {
        MPI_Request request;
        int code = MPI_Isend((const uint8_t *)data + i * FRAGMENT, fragment_size(size, i), MPI_BYTE,
                             peer->rank, TAG_LARGE, peer->comm, &request);
        if (code != MPI_SUCCESS)
            return cut_short(mpi, operation, i, "MPI_Isend", code, done);
        track(mpi, request, operation);
    }
    return RP_OK;
}

static rp_status mpi_receive_large(struct rpi_transport *transport, int number, void *data,
                                   size_t size, void *cookie)
{
    struct mpi *mpi = mpi_of(transport);
    const struct peer *peer = &mpi->peers[number];
    size_t fragments = fragments_of(size);
    bool ended;
    if (!is_there(
            mpi,
            number)) /* libfabric 1.17 crashes at times in a receive from a rank that has ended */
        return RP_OK;
    rp_status status = provide(mpi, fragments);
    if (status != RP_OK)
        return status;
    struct operation *operation = begin(mpi, number, fragments, cookie, true);
    operation->due = size;
    for (size_t i = 0; i < fragments; i++) {
        MPI_Request request;
        int code = MPI_Irecv((uint8_t *)data + i * FRAGMENT, fragment_size(size, i), MPI_BYTE,
                             peer->rank, TAG_LARGE, peer->comm, &request);
        if (code != MPI_SUCCESS)
            return cut_short(mpi, operation, i, "MPI_Irecv", code, &ended);
        track(mpi, request, operation);
    }
    return RP_OK;
}

/* ---- polling */

/* `box`: the ring is that one's.  What comes from a process that has ended, or that another has
 * taken the place of, is dropped.  False: it was not taken. */
static bool deliver(struct mpi *mpi, const struct mpi *box, const struct rpi_events *events)
{
    int number = box == mpi ? box->ring.source : box->number;
    struct peer *peer = &mpi->peers[number];
    if (peer->ended || peer->box != box)
        return true;
    if (!events->batch(events->context, number, rpi_mpi_recv_ring_batch(&box->ring),
                       (size_t)box->ring.size))
        return false;
    peer->came++;
    return true;
}

/* Whom a batch may come from. */
static int sender_to(const struct mpi *mpi, const struct mpi *box)
{
    return box != mpi ? box->number : mpi->rank == 0 ? ANYONE : 0;
}

static rp_status poll_ring(struct mpi *mpi, struct mpi *box, const struct rpi_events *events,
                           bool *any)
{
    for (int i = 0; i < RPI_MPI_RECV_RING; i++) {
        int outcome = rpi_mpi_recv_ring_look(&box->ring);
        if (is_loss(mpi, sender_to(mpi, box), outcome)) /* the others' still come */
            return rpi_mpi_recv_ring_fill(&box->ring);
        if (outcome != MPI_SUCCESS)
            return rpi_mpi_dup_failed("MPI_Test", outcome);
        if (!box->ring.held)
            return i == 0 ? rpi_mpi_recv_ring_fill(&box->ring) : RP_OK;
        if (!deliver(mpi, box, events))
            return RP_OK;
        rpi_oob_worker_came(&mpi->oob);
        *any = true;
        rp_status status = rpi_mpi_recv_ring_pop(&box->ring);
        if (status != RP_OK || mpi->base.hasty)
            return status;
    }
    return RP_OK;
}

static rp_status poll_rings(struct mpi *mpi, const struct rpi_events *events, bool *any)
{
    rp_status status = poll_ring(mpi, mpi, events, any);
    for (struct mpi *box = mpi->adopted; box && status == RP_OK; box = box->adopted)
        status = poll_ring(mpi, box, events, any);
    return status;
}

/* A fragment is through; with the last one the operation is. */
static void step(struct mpi *mpi, const struct rpi_events *events, struct operation *operation)
{
    if (--operation->left)
        return;
    if (has_ended(mpi, operation)) /* just now, by a handler: it is no longer awaited */
        ;
    else if (!operation->receive) {
        ring(mpi, operation->peer, true); /* only now it is on its way */
        events->sent(events->context, operation->cookie);
    } else if (operation->odd || operation->due) {
        (void)events->batch(events->context, operation->peer, NULL, 0);
    } else if (!events->received(events->context, operation->cookie)) {
        rpi_list_append(&mpi->untaken, &operation->untaken);
        return;
    }
    rpi_free(&mpi->alloc, operation);
}

/* Counts what a completed request has brought. */
static void count_received(struct operation *operation, MPI_Status *status, int code)
{
    int size = 0;
    if (!operation->receive)
        return;
    if (!rpi_mpi_recv_ring_is_cut_off(code))
        (void)MPI_Get_count(status, MPI_BYTE, &size);
    operation->odd = operation->odd || rpi_mpi_recv_ring_is_cut_off(code) ||
                     (size_t)size > operation->due;
    operation->due -= operation->odd ? 0 : (size_t)size;
}

/* Each once; a handler may append more. */
static void offer_untaken(struct mpi *mpi, const struct rpi_events *events)
{
    struct rpi_link *last = mpi->untaken.previous, *link = NULL;
    while (!rpi_list_empty(&mpi->untaken) && link != last) {
        link = rpi_list_pop(&mpi->untaken);
        struct operation *operation = RPI_MEMBER(link, struct operation, untaken);
        operation->left = 1;
        step(mpi, events, operation);
    }
}

static rp_status poll_pending(struct mpi *mpi, const struct rpi_events *events, bool *any)
{
    int count;
    offer_untaken(mpi, events);
    if (!mpi->pending)
        return RP_OK;
    int before = mpi->pending; /* handlers may append more */
    int code = MPI_Testsome(before, mpi->requests, &count, mpi->completed, mpi->statuses);
    bool single = code == MPI_ERR_IN_STATUS ||
                  rpi_mpi_ulfm_is_end(code); /* each has a code of its own */
    if (code != MPI_SUCCESS && !single)
        return rpi_mpi_dup_failed("MPI_Testsome", code);
    if (count == MPI_UNDEFINED || count == 0)
        return RP_OK;
    *any = true;
    for (int i = 0; i < count; i++) {
        struct operation *operation = mpi->operations[mpi->completed[i]];
        mpi->operations[mpi->completed[i]] = NULL;
        int outcome = rpi_mpi_recv_ring_outcome(single ? mpi->statuses[i].MPI_ERROR : MPI_SUCCESS,
                                                &mpi->statuses[i]);
        if (outcome == MPI_SUCCESS || rpi_mpi_recv_ring_is_cut_off(outcome)) {
            count_received(operation, &mpi->statuses[i], outcome);
            step(mpi, events, operation);
        } else if (is_loss(mpi, operation->peer, outcome)) {
            drop_fragment(mpi, operation);
        } else {
            return rpi_mpi_dup_failed("MPI_Testsome", outcome);
        }
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

/* At a worker: tells rank 0 how many batches it has sent, `pause` ticks after the last time at the
 * earliest. */
static void tell_count(struct mpi *mpi, uint64_t pause)
{
    if (mpi->sent == mpi->told || !mpi->oob.live)
        return;
    uint64_t now = rpi_ticks();
    if (now - mpi->told_at < pause)
        return;
    mpi->told = mpi->sent;
    mpi->told_at = now;
    rpi_oob_worker_count(&mpi->oob, mpi->sent);
}

/* At a worker: rank 0 has ended the pool and said so on the side channel; if it could not say how
 * over MPI, this is all there is. Or MPI has lost it: then the side channel ends this process,
 * where rank 0 has ended. */
static rp_status look_at_rank_0(struct mpi *mpi, bool any)
{
    if (any || !(mpi->ending > 0))
        mpi->ending = rpi_now();
    return rpi_now() - mpi->ending < PARTING
               ? RP_OK
               : rpi_error(RP_ERR_BROKEN, "rank 0 has ended the pool");
}

static bool is_left_by_rank_0(const struct mpi *mpi)
{
    return mpi->rank > 0 &&
           (mpi->peers[0].silent || atomic_load_explicit(&mpi->oob.parted, memory_order_relaxed));
}

static rp_status mpi_poll(struct rpi_transport *transport, const struct rpi_events *events,
                          bool *any)
{
    struct mpi *mpi = mpi_of(transport);
    rp_status status = RP_OK;
    *any = false;
    if (mpi->doubt > 0) {
        look_at_channel(mpi, events);
        status = look_at_doubt(mpi);
    }
    if (status != RP_OK || mpi->doubt > 0)
        return status;
    if (mpi->to_set_aside)
        set_aside(mpi);
    status = poll_rings(mpi, events, any);
    if (has_channel(mpi) && rpi_ticks() - mpi->looked > LOOK) {
        look_at_channel(mpi, events);
        look_for_missing(mpi, events);
    }
    if (mpi->pending)
        tell_count(mpi, SECOND);
    if (status == RP_OK && is_left_by_rank_0(mpi))
        status = look_at_rank_0(mpi, *any);
    else if (status == RP_OK && mpi->ending > 0)
        status = tell_ends(mpi, events, *any);
    if (status == RP_OK && !(mpi->doubt > 0) && (mpi->pending || !rpi_list_empty(&mpi->untaken)))
        status = poll_pending(mpi, events, any);
    transport->hasty = false;
    transport->moving = mpi->pending > 0;
    return status;
}

/* ---- sleeping */

/* Not with a message under way whose end only MPI knows, and which it brings forward only while it
 * is asked. */
static bool mpi_doze(struct rpi_transport *transport)
{
    struct mpi *mpi = mpi_of(transport);
    if (mpi->pending || !rpi_list_empty(&mpi->untaken) || mpi->ring.held || mpi->ending > 0 ||
        mpi->doubt > 0)
        return false;
    for (const struct mpi *box = mpi->adopted; box; box = box->adopted)
        if (box->ring.held)
            return false;
    tell_count(mpi, 0);
    if (mpi->oob.live)
        rpi_oob_worker_doze(&mpi->oob);
    mpi->looked = 0; /* the next poll hears what woke this rank, or would wake it at once */
    return mpi->oob.live || has_channel(mpi);
}

static void mpi_park(struct rpi_transport *transport, double seconds)
{
    struct mpi *mpi = mpi_of(transport);
    if (mpi->oob.live)
        rpi_oob_worker_park(&mpi->oob, seconds);
    else
        rpi_oob_master_wait(&mpi->channel, seconds);
}

static void mpi_wake(struct rpi_transport *transport)
{
    struct mpi *mpi = mpi_of(transport);
    if (has_channel(mpi)) /* only rank 0 has threads that wake each other */
        rpi_oob_master_ring(&mpi->channel);
}

/* ---- closing */

/* Whether a rank has ended, or says that it ends without the others: *at_once, or it may only have
 * been faster. */
static bool is_someone_gone(struct mpi *mpi, bool *at_once)
{
    *at_once = atomic_load(&mpi->oob.parted);
    if (!has_channel(mpi))
        return *at_once || atomic_load(&mpi->oob.gone);
    rpi_oob_master_hear(&mpi->channel, NULL, NULL);
    note_ends(mpi);
    return mpi->ending > 0;
}

/* Every peer has said goodbye; one that ends now, between that and the barrier, is not waited for.
 * Returns whether all came. */
static bool part(struct mpi *mpi)
{
    MPI_Request barrier;
    struct rpi_backoff backoff = { 0 };
    double deadline = 0; /* none */
    int flag = 0;
    bool at_once;
    if (MPI_Ibarrier(mpi->comm, &barrier) != MPI_SUCCESS)
        return false;
    while (MPI_Test(&barrier, &flag, MPI_STATUS_IGNORE) == MPI_SUCCESS && !flag) {
        rpi_backoff_wait(&backoff);
        if (!is_someone_gone(mpi, &at_once))
            continue;
        if (!(deadline > 0))
            deadline = rpi_now() + PARTING;
        if (at_once || rpi_now() > deadline)
            return false;
    }
    return true;
}

/* Sends that every peer has received, but of which MPI has not said so here yet: their requests end
 * by themselves.  A receive still posted is one whose sender has dropped it. */
static void let_go(struct mpi *mpi)
{
    for (int i = 0; i < mpi->pending; i++) {
        if (mpi->operations[i]->receive)
            (void)MPI_Cancel(&mpi->requests[i]);
        (void)MPI_Request_free(&mpi->requests[i]);
        drop_fragment(mpi, mpi->operations[i]);
    }
    mpi->pending = 0;
}

static void release(struct mpi *mpi)
{
    for (struct rpi_link *link; (link = rpi_list_pop(&mpi->untaken));)
        rpi_free(&mpi->alloc, RPI_MEMBER(link, struct operation, untaken));
    rpi_free(&mpi->alloc, mpi->spare);
    rpi_free(&mpi->alloc, mpi->requests);
    rpi_free(&mpi->alloc, mpi->operations);
    rpi_free(&mpi->alloc, mpi->completed);
    rpi_free(&mpi->alloc, mpi->statuses);
    rpi_mpi_recv_ring_free(&mpi->ring, &mpi->alloc);
    rpi_free(&mpi->alloc, mpi->peers);
    rpi_free(&mpi->alloc, mpi);
}

/* Not together: a rank may be gone, and no call may wait for it; what MPI still has of ours stays
 * with it. */
static void mpi_close(struct rpi_transport *transport, bool together)
{
    struct mpi *mpi = mpi_of(transport);
    rpi_oob_worker_leave(&mpi->oob);
    bool parted = together && part(mpi);
    rpi_oob_worker_close(&mpi->oob);
    if (has_channel(mpi))
        rpi_oob_master_fini(&mpi->channel, !parted);
    if (!parted) {
        rpi_mpi_runtime_bereft();
        return;
    }
    rpi_mpi_recv_ring_cancel(&mpi->ring);
    let_go(mpi);
    (void)MPI_Comm_free(&mpi->comm);
    release(mpi);
}

/* ---- a worker in a lost one's place */

/* The ring of the process that had this number before, and has ended, is polled no more. */
static void forget_ring(struct mpi *mpi, int number)
{
    for (struct mpi **box = &mpi->adopted; *box; box = &(*box)->adopted)
        if ((*box)->number == number) {
            *box = (*box)->adopted;
            return;
        }
}

rp_status rpi_transport_mpi_adopt(struct rpi_transport *transport, int number,
                                  struct rpi_transport *from)
{
    struct mpi *mpi = mpi_of(transport), *box = mpi_of(from);
    if (mpi->to_set_aside)
        set_aside(mpi);
    if (!rpi_oob_master_move(&mpi->channel, number, &box->channel))
        return rpi_error(RP_ERR_BROKEN, "it has ended again");
    rpi_oob_master_fini(&box->channel, false);
    forget_ring(mpi, number);
    mpi->peers[number] = (struct peer){
        .comm = box->comm, .rank = 1, .box = box, .shy = true, .came = box->peers[1].came
    };
    box->number = number;
    box->adopted = mpi->adopted;
    mpi->adopted = box;
    return RP_OK;
}

static const struct rpi_transport_ops ops = {
    .send = mpi_send,
    .send_large = mpi_send_large,
    .receive_large = mpi_receive_large,
    .poll = mpi_poll,
    .forget = mpi_forget,
    .doze = mpi_doze,
    .park = mpi_park,
    .wake = mpi_wake,
    .close = mpi_close,
};

/* ---- opening */

static rp_status set_up(struct mpi *mpi)
{
    int *limit, found;
    (void)MPI_Comm_set_errhandler(mpi->comm, MPI_ERRORS_RETURN);
    (void)MPI_Comm_set_name(mpi->comm, "rankpool");
    /* of the whole process; Open MPI knows it on MPI_COMM_WORLD and its duplicates alone */
    int code = MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_TAG_UB, &limit, &found);
    if (code != MPI_SUCCESS || !found || *limit < RPI_TAG_MOST)
        return rpi_error(RP_ERR_MPI, "this MPI allows too few message tags");
    for (int i = 0; i <= mpi->base.peers; i++)
        mpi->peers[i] = (struct peer){ .comm = mpi->comm, .rank = i, .box = mpi };
    return rpi_mpi_recv_ring_post(&mpi->ring, mpi->comm, TAG_BATCH);
}

static struct mpi *make(const struct rpi_alloc *alloc, int size)
{
    struct mpi *mpi = rpi_zeroed(alloc, sizeof *mpi);
    if (!mpi)
        return NULL;
    mpi->base = (struct rpi_transport){ .ops = &ops, .peers = size - 1 };
    mpi->alloc = *alloc;
    mpi->comm = MPI_COMM_NULL;
    mpi->channel.epoll = -1;
    rpi_oob_worker_init(&mpi->oob);
    rpi_list_init(&mpi->untaken);
    mpi->peers = rpi_reserve(alloc, (size_t)size * sizeof *mpi->peers);
    rpi_mpi_recv_ring_init(&mpi->ring, alloc);
    if (mpi->peers && mpi->ring.bytes)
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
        return rpi_mpi_dup_failed("MPI_Comm_rank", code);
    struct mpi *mpi = make(alloc, size);
    if (!mpi)
        return rpi_no_memory("the messages of a pool");
    mpi->rank = rank;
    rp_status status = rpi_mpi_dup(comm, timeout, alloc, &mpi->comm);
    if (status == RP_OK)
        status = set_up(mpi);
    if (status != RP_OK)
        return status;
    *transport = &mpi->base;
    return RP_OK;
}
