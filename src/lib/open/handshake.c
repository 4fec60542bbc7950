#include "open/handshake.h"

#include "base/backoff.h"
#include "base/hosts.h"
#include "base/status.h"
#include "open/handshake_wire.h"

#include <stdio.h>
#include <unistd.h>

/* ---- sending, and waiting for what comes */

struct talk {
    struct rpi_handshake *opening;
    int sending;      /* messages not reported sent */
    int heard;        /* rank 0: hellos; else: 1 with the verdict */
    bool *came;       /* rank 0: by rank */
    int rounds;       /* rank 0: that are over */
    bool lost;        /* rank 0: a rank has ended */
    bool estranged;   /* rank 0: with one of them there is no understanding */
    rp_status status; /* of the talk so far */
    char message[RPI_HANDSHAKE_WIRE_MESSAGE];
};

static void fail(struct talk *talk, rp_status status)
{
    if (talk->status != RP_OK)
        return; /* the first reason stands */
    talk->status = status;
    (void)snprintf(talk->message, sizeof talk->message, "%s", rp_error_message());
}

static void fail_estranged(struct talk *talk, rp_status status)
{
    talk->estranged = true;
    fail(talk, status);
}

static void on_sent(void *context, void *cookie)
{
    struct talk *talk = context;
    (void)cookie;
    talk->sending--;
}

static bool on_received(void *context, void *cookie)
{
    struct talk *talk = context;
    (void)cookie;
    talk->sending--; /* it counts as one message under way */
    return true;
}

static rp_status send(struct talk *talk, int peer, const uint8_t *bytes, size_t size)
{
    struct rpi_transport *transport = talk->opening->transport;
    bool done = false;
    rp_status status = transport->ops->send(transport, peer, bytes, size, NULL, &done);
    if (status == RP_OK && !done)
        talk->sending++;
    return status;
}

static void on_lost(void *context, int peer)
{
    struct talk *talk = context;
    const struct rpi_handshake *opening = talk->opening;
    talk->lost = true;
    fail_estranged(talk,
                   rpi_error(RP_ERR_BROKEN,
                             "rank %d (%s, pid %lld) has ended while the pool was being opened",
                             peer, opening->hosts + (size_t)peer * RPI_HOST_BYTES,
                             (long long)opening->pids[peer]));
}

static struct rpi_events events_of(struct talk *talk,
                                   bool (*on_batch)(void *, int, const void *, size_t))
{
    return (struct rpi_events){ .batch = on_batch,
                                .sent = on_sent,
                                .received = on_received,
                                .lost = on_lost,
                                .context = talk };
}

/* Until `heard` messages have come and all are sent. */
static rp_status listen(struct talk *talk, bool (*on_batch)(void *, int, const void *, size_t),
                        int heard, double timeout)
{
    struct rpi_transport *transport = talk->opening->transport;
    struct rpi_events events = events_of(talk, on_batch);
    struct rpi_backoff backoff = { 0 };
    double deadline = rpi_deadline(rpi_now(), timeout);
    while (talk->heard < heard || talk->sending > 0) {
        bool any = false;
        rp_status status = transport->ops->poll(transport, &events, &any);
        if (status != RP_OK)
            return status;
        if (talk->lost && talk->heard < heard)
            return RP_ERR_BROKEN; /* one rank will never be heard */
        if (any)
            rpi_backoff_reset(&backoff);
        else if (rpi_now() > deadline)
            return rpi_error(RP_ERR_BROKEN, "nothing was heard for %g s, by config.open_timeout",
                             timeout);
        else
            rpi_backoff_wait(&backoff);
    }
    return RP_OK;
}

/* ---- rank 0 */

/* The first name that one registry has and the other has not. */
static void name_difference(const struct rpi_registry *mine, int rank, const char *host,
                            const uint8_t *at, const uint8_t *end, uint32_t count)
{
    uint32_t i = 0;
    for (uint32_t theirs = 0; theirs < count || i < mine->count; theirs++, i++) {
        const uint8_t *zero = at < end ? memchr(at, 0, (size_t)(end - at)) : NULL;
        if (theirs < count && !zero)
            break; /* the rest of their names did not fit into the hello */
        const char *name = theirs < count ? (const char *)at : NULL;
        int order = !name ? -1 : i >= mine->count ? 1 : strcmp(mine->names[i], name);
        if (order != 0) {
            (void)rpi_error(RP_ERR_BROKEN,
                            "the task functions registered on rank %d (%s) are not those of rank "
                            "0: %s is registered on rank %d only.  "
                            "Every rank must run the same program and register the same functions "
                            "before rp_open",
                            rank, host, order < 0 ? mine->names[i] : name, order < 0 ? 0 : rank);
            return;
        }
        at = zero + 1;
    }
    (void)rpi_error(
        RP_ERR_BROKEN,
        "the task functions registered on rank %d (%s) are not those of rank 0 (%u there, %u here)",
        rank, host, count, mine->count);
}

static void read_hello(struct talk *talk, int rank, const uint8_t *at, const uint8_t *end)
{
    struct rpi_handshake *opening = talk->opening;
    struct rpi_handshake_wire_hello hello;
    if (!rpi_handshake_wire_get_hello(at, end, &hello)) {
        fail_estranged(talk, rpi_error(RP_ERR_BROKEN, "the hello of rank %d is damaged", rank));
        return;
    }
    memcpy(opening->hosts + (size_t)rank * RPI_HOST_BYTES, hello.host, sizeof hello.host);
    opening->pids[rank] = hello.pid;
    if (hello.status != RP_OK) {
        fail(talk, rpi_error(hello.status, "rank %d (%s): %s", rank, hello.host, hello.message));
    } else if (hello.hash != opening->registry->hash) {
        name_difference(opening->registry, rank, hello.host, hello.names, hello.end,
                        hello.functions);
        fail(talk, RP_ERR_BROKEN);
    }
}

static bool on_hello(void *context, int peer, const void *data, size_t size)
{
    struct talk *talk = context;
    const uint8_t *bytes = data;
    struct rpi_reader reader;
    if (talk->came[peer])
        return true;
    talk->came[peer] = true;
    talk->heard++;
    if (size > 0 && bytes[0] != RPI_PROTOCOL)
        fail_estranged(talk, rpi_error(RP_ERR_BROKEN,
                                       "rank %d speaks protocol version %d, rank 0 speaks %d: all "
                                       "ranks must use one rankpool",
                                       peer, bytes[0], RPI_PROTOCOL));
    else if (rpi_reader_open(&reader, data, size) != RP_OK || reader.kind != RPI_HELLO)
        fail_estranged(talk,
                       rpi_error(RP_ERR_BROKEN, "the first message of rank %d is no hello", peer));
    else
        read_hello(talk, peer, reader.at, reader.end);
    return true;
}

static void name_silent(struct talk *talk)
{
    for (int rank = 1; rank <= talk->opening->transport->peers; rank++)
        if (!talk->came[rank]) {
            fail_estranged(
                talk, rpi_error(RP_ERR_BROKEN,
                                "rank %d said nothing within %g s of rp_open (config.open_timeout)",
                                rank, talk->opening->timeout));
            return;
        }
}

/* Leaves what comes now to the next listener: a rank may have run its initializer while others
 * still wait for their verdict. */
static bool nothing_yet(void *context, int peer, const void *data, size_t size)
{
    (void)context;
    (void)peer;
    (void)data;
    (void)size;
    return false;
}

/* To every rank that said hello, each from bytes of its own. */
static rp_status send_verdicts(struct talk *talk)
{
    struct rpi_handshake *opening = talk->opening;
    size_t most = RPI_HANDSHAKE_WIRE_VERDICT + 2 + strlen(talk->message),
           room = (most + 7) & ~(size_t)7;
    int *crowds = rpi_hosts_crowds(opening->hosts, (size_t)opening->transport->peers + 1,
                                   &opening->alloc);
    uint8_t *bytes = crowds ? rpi_reserve(&opening->alloc,
                                          room * ((size_t)opening->transport->peers + 1))
                            : NULL;
    rp_status status = bytes ? RP_OK : rpi_no_memory("a pool's opening");
    if (status == RP_OK)
        opening->crowd = crowds[0];
    opening->together = talk->status != RP_OK && !talk->estranged;
    for (int rank = 1; status == RP_OK && rank <= opening->transport->peers; rank++) {
        uint8_t *mine = bytes + room * (size_t)rank;
        if (talk->came[rank])
            status = send(talk, rank, mine,
                          rpi_handshake_wire_put_verdict(talk->opening, talk->status, talk->message,
                                                         rank, crowds[rank] + opening->beside,
                                                         mine));
    }
    if (status == RP_OK)
        status = listen(talk, nothing_yet, talk->heard, opening->timeout);
    rpi_free(&opening->alloc, bytes);
    rpi_free(&opening->alloc, crowds);
    return status;
}

static rp_status send_arguments(struct talk *talk)
{
    const struct rpi_handshake *opening = talk->opening;
    struct rpi_transport *transport = opening->transport;
    rp_status status = RP_OK;
    for (int rank = 1; status == RP_OK && rank <= transport->peers; rank++) {
        bool done = false;
        status = transport->ops->send_large(transport, rank, opening->init_arg.data,
                                            opening->init_arg.size, NULL, &done);
        if (status == RP_OK && !done)
            talk->sending++;
    }
    return status;
}

/* The side channel's gate is named in the first verdict, ... */
static void open_gate(struct talk *talk)
{
    struct rpi_handshake *opening = talk->opening;
    if (talk->status != RP_OK || !opening->side || talk->rounds)
        return;
    rp_status status = opening->side->open(opening->side, &opening->gate);
    if (status != RP_OK)
        fail(talk, status);
}

/* Takes hellos meanwhile: a rank that cannot come to the gate says so. */
static bool hear_meanwhile(void *context)
{
    struct talk *talk = context;
    struct rpi_transport *transport = talk->opening->transport;
    struct rpi_events events = events_of(talk, on_hello);
    bool any;
    rp_status status = transport->ops->poll(transport, &events, &any);
    if (status != RP_OK)
        fail(talk, status);
    return status == RP_OK;
}

/* ... and the ranks come to it before they say what they have come to. */
static void gather(struct talk *talk)
{
    const struct rpi_handshake *opening = talk->opening;
    if (talk->rounds != 1 || !opening->side)
        return;
    rp_status status = opening->side->gather(opening->side, talk->came, hear_meanwhile, talk);
    if (status != RP_OK)
        fail(talk, status);
}

/* Hears from every rank, and says to all what that comes to. */
static rp_status round_of(struct talk *talk, double timeout)
{
    int peers = talk->opening->transport->peers;
    memset(talk->came, 0, ((size_t)peers + 1) * sizeof *talk->came);
    talk->heard = 0;
    gather(talk);
    rp_status status = listen(talk, on_hello, peers, timeout);
    if (status == RP_ERR_BROKEN) {
        name_silent(talk);
        status = RP_OK;
    }
    open_gate(talk);
    talk->rounds++;
    return status == RP_OK ? send_verdicts(talk) : status;
}

/* The rounds of an opening; a failure that the ranks have agreed on is in talk->status. */
static rp_status go_round(struct talk *talk)
{
    const struct rpi_handshake *opening = talk->opening;
    bool argument = opening->initializer != RPI_NO_FUNCTION && opening->init_arg.size;
    double backoff = opening->initializer != RPI_NO_FUNCTION && !opening->hasty
                         ? RP_FOREVER
                         : opening->timeout; /* an initializer takes its time */
    rp_status status = round_of(talk, opening->timeout);
    if (status == RP_OK && talk->status == RP_OK)
        status = round_of(talk, argument ? opening->timeout : backoff);
    if (status == RP_OK && talk->status == RP_OK && argument) {
        status = send_arguments(talk);
        if (status == RP_OK)
            status = round_of(talk, backoff);
    }
    return status;
}

rp_status rpi_handshake_master(struct rpi_handshake *opening)
{
    int peers = opening->transport->peers;
    struct talk talk = { .opening = opening };
    if (opening->status != RP_OK)
        fail(&talk, opening->status);
    talk.came = rpi_zeroed(&opening->alloc, (size_t)peers + 1);
    (void)gethostname(opening->hosts, RPI_HOST_BYTES - 1);
    opening->pids[0] = getpid();
    opening->workers = opening->processes && opening->processes < peers ? opening->processes
                                                                        : peers;
    rp_status status = talk.came ? go_round(&talk) : rpi_no_memory("a pool's opening");
    if (status != RP_OK) {
        fail(&talk, status);
        opening->together = false;
        rpi_handshake_take_back(opening);
    }
    if (talk.status != RP_OK)
        status = rpi_error(talk.status, "%s", talk.message);
    rpi_free(&opening->alloc, talk.came);
    return status;
}

void rpi_handshake_take_back(struct rpi_handshake *opening)
{
    struct talk talk = { .opening = opening };
    uint8_t bytes[RPI_BATCH_HEADER];
    struct rpi_writer writer;
    rp_status status = RP_OK;
    rpi_writer_open(&writer, bytes, sizeof bytes);
    rpi_writer_close(&writer, RPI_STOP, RPI_STOP_DROP | RPI_STOP_ALONE);
    for (int rank = 1; status == RP_OK && rank <= opening->transport->peers; rank++)
        status = send(&talk, rank, bytes, sizeof bytes);
    if (status == RP_OK)
        status = listen(&talk, nothing_yet, 0, opening->timeout);
    (void)status; /* the launcher ends ranks that do not hear it */
}

/* ---- a worker */

static bool on_verdict(void *context, int peer, const void *data, size_t size)
{
    struct talk *talk = context;
    const uint8_t *bytes = data;
    struct rpi_reader reader;
    (void)peer;
    if (talk->heard)
        return false; /* a batch of tasks, on the verdict's heels: the server takes it next */
    talk->heard = 1;
    if (size > 0 && bytes[0] != RPI_PROTOCOL) {
        fail(talk, rpi_error(RP_ERR_BROKEN,
                             "rank 0 speaks protocol version %d, rank %d speaks %d: all ranks must "
                             "use one rankpool",
                             bytes[0], talk->opening->rank, RPI_PROTOCOL));
        return true;
    }
    rp_status status = rpi_reader_open(&reader, data, size);
    if (status == RP_OK && reader.kind == RPI_STOP) {
        talk->opening->together = false;
        fail(talk,
             rpi_error(RP_ERR_BROKEN, "rank 0 cannot open the pool; its own message tells why"));
        return true;
    }
    if (status != RP_OK || reader.kind != RPI_VERDICT ||
        !rpi_handshake_wire_get_verdict(reader.at, reader.end, talk->opening, &talk->status,
                                        talk->message, sizeof talk->message))
        fail(talk, rpi_error(RP_ERR_BROKEN, "rank 0's verdict is damaged"));
    return true;
}

static rp_status hello_and_verdict(struct rpi_handshake *opening, double timeout)
{
    struct talk talk = { .opening = opening };
    rp_status status = send(&talk, 0, opening->hello,
                            rpi_handshake_wire_put_hello(opening, opening->hello));
    if (status == RP_OK)
        status = listen(&talk, on_verdict, 1, timeout);
    if (status == RP_OK && talk.status != RP_OK)
        status = rpi_error(talk.status, "%s", talk.message);
    return status;
}

rp_status rpi_handshake_worker(struct rpi_handshake *opening)
{
    return hello_and_verdict(
        opening, 2 * opening->timeout); /* rank 0 waits for the last hello before it answers */
}

rp_status rpi_handshake_join(struct rpi_handshake *opening)
{
    return opening->side && opening->gate.port ? opening->side->join(opening->side, &opening->gate)
                                               : RP_OK;
}

rp_status rpi_handshake_report(struct rpi_handshake *opening, rp_status status)
{
    bool slow = opening->initializer != RPI_NO_FUNCTION; /* the slowest initializer decides */
    opening->status = status;
    return hello_and_verdict(opening, slow ? RP_FOREVER : 2 * opening->timeout);
}

rp_status rpi_handshake_argument(struct rpi_handshake *opening)
{
    struct talk talk = { .opening = opening, .sending = 1 };
    struct rpi_transport *transport = opening->transport;
    size_t size = opening->init_arg.size;
    void *buffer = rpi_buffer_new(&opening->alloc, size);
    rp_status status = rpi_handshake_report(
        opening, buffer ? RP_OK : rpi_no_memory("the initializer's argument"));
    opening->init_arg.data = buffer;
    if (status == RP_OK &&
        opening->init_arg.size != size) /* the room is for what the first verdict said */
        status = rpi_error(RP_ERR_BROKEN, "rank 0's verdict is damaged");
    if (status == RP_OK)
        status = transport->ops->receive_large(transport, 0, buffer, size, NULL);
    return status == RP_OK ? listen(&talk, nothing_yet, 0, RP_FOREVER) : status;
}
