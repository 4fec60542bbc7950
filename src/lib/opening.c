#include "opening.h"

#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MESSAGE_BYTES (RPI_BATCH_DEFAULT)
#define HELLO_FIXED   (RPI_BATCH_HEADER + 24)
#define VERDICT_FIXED (RPI_BATCH_HEADER + 36)

/* ---- texts in messages */

static uint8_t *put_text(uint8_t *at, const char *text, size_t most)
{
    size_t length = strlen(text);
    if (length > most)
        length = most;
    rpi_put16(at, (uint16_t)length);
    memcpy(at + 2, text, length); /* NOLINT(bugprone-not-null-terminated-result): the length goes before it */
    return at + 2 + length;
}

/* Reads a text into `text` of `size` bytes; NULL: it is cut off. */
static const uint8_t *get_text(const uint8_t *at, const uint8_t *end, char *text, size_t size)
{
    if (end - at < 2)
        return NULL;
    size_t length = rpi_get16(at);
    if ((size_t)(end - at - 2) < length)
        return NULL;
    size_t kept = length < size ? length : size - 1;
    memcpy(text, at + 2, kept);
    text[kept] = '\0';
    return at + 2 + length;
}

static size_t close_message(uint8_t *bytes, const uint8_t *end, enum rpi_kind kind)
{
    struct rpi_writer writer = { .base = bytes, .used = (uint32_t)(end - bytes) };
    rpi_writer_close(&writer, kind, 0);
    return writer.used;
}

/* ---- sending, and waiting for what comes */

struct talk {
    struct rpi_opening *opening;
    int sending;      /* messages not reported sent */
    int heard;        /* rank 0: hellos; else: 1 with the verdict */
    bool *came;       /* rank 0: by rank */
    bool estranged;   /* rank 0: with one of them there is no understanding */
    rp_status status; /* of the talk so far */
    char message[1200];
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

/* Until `heard` messages have come and all are sent. */
static rp_status listen(struct talk *talk, bool (*on_batch)(void *, int, const void *, size_t), int heard, double timeout)
{
    struct rpi_transport *transport = talk->opening->transport;
    struct rpi_events events = { .batch = on_batch, .sent = on_sent, .received = on_received, .context = talk };
    struct rpi_patience patience = { 0 };
    double deadline = rpi_deadline(rpi_now(), timeout);
    while (talk->heard < heard || talk->sending > 0) {
        bool any = false;
        rp_status status = transport->ops->poll(transport, &events, &any);
        if (status != RP_OK)
            return status;
        if (any)
            rpi_patience_reset(&patience);
        else if (rpi_now() > deadline)
            return rpi_error(RP_ERR_BROKEN, "nothing was heard for %g s", timeout);
        else
            rpi_patience_wait(&patience);
    }
    return RP_OK;
}

/* ---- rank 0 */

/* The first name that one registry has and the other has not. */
static void name_difference(const struct rpi_registry *mine, int rank, const char *host, const uint8_t *at,
                            const uint8_t *end, uint32_t count)
{
    uint32_t i = 0;
    for (uint32_t theirs = 0; theirs < count || i < mine->count; theirs++, i++) {
        const uint8_t *zero = at < end ? memchr(at, 0, (size_t)(end - at)) : NULL;
        if (theirs < count && !zero)
            break; /* the rest of their names did not fit into the hello */
        const char *name = theirs < count ? (const char *)at : NULL;
        int order = !name ? -1 : i >= mine->count ? 1 : strcmp(mine->names[i], name);
        if (order != 0) {
            (void)rpi_error(
                RP_ERR_BROKEN,
                "the task functions registered on rank %d (%s) are not those of rank 0: %s is registered on rank %d only.  "
                "Every rank must run the same program and register the same functions before rp_open",
                rank, host, order < 0 ? mine->names[i] : name, order < 0 ? 0 : rank);
            return;
        }
        at = zero + 1;
    }
    (void)rpi_error(RP_ERR_BROKEN,
                    "the task functions registered on rank %d (%s) are not those of rank 0 (%u there, %u here)", rank, host,
                    count, mine->count);
}

static void read_hello(struct talk *talk, int rank, const uint8_t *at, const uint8_t *end)
{
    struct rpi_opening *opening = talk->opening;
    char host[RPI_HOST_BYTES], message[1024];
    if (end - at < HELLO_FIXED - RPI_BATCH_HEADER) {
        fail_estranged(talk, rpi_error(RP_ERR_BROKEN, "the hello of rank %d is damaged", rank));
        return;
    }
    uint64_t hash = rpi_get64(at);
    int64_t pid = (int64_t)rpi_get64(at + 8);
    uint32_t status = rpi_get32(at + 16), count = rpi_get32(at + 20);
    at = get_text(at + 24, end, host, sizeof host);
    if (at)
        at = get_text(at, end, message, sizeof message);
    if (!at) {
        fail_estranged(talk, rpi_error(RP_ERR_BROKEN, "the hello of rank %d is damaged", rank));
        return;
    }
    memcpy(opening->hosts + (size_t)rank * RPI_HOST_BYTES, host, sizeof host);
    opening->pids[rank] = pid;
    if (status != RP_OK) {
        fail(talk, rpi_error((rp_status)status, "rank %d (%s): %s", rank, host, message));
    } else if (hash != opening->registry->hash) {
        name_difference(opening->registry, rank, host, at, end, count);
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
        fail_estranged(talk,
                       rpi_error(RP_ERR_BROKEN,
                                 "rank %d speaks protocol version %d, rank 0 speaks %d: all ranks must use one rankpool",
                                 peer, bytes[0], RPI_PROTOCOL));
    else if (rpi_reader_open(&reader, data, size) != RP_OK || reader.kind != RPI_HELLO)
        fail_estranged(talk, rpi_error(RP_ERR_BROKEN, "the first message of rank %d is no hello", peer));
    else
        read_hello(talk, peer, reader.at, reader.end);
    return true;
}

static void name_silent(struct talk *talk)
{
    for (int rank = 1; rank <= talk->opening->transport->peers; rank++)
        if (!talk->came[rank]) {
            fail_estranged(talk, rpi_error(RP_ERR_BROKEN, "rank %d said nothing within %g s of rp_open", rank,
                                           talk->opening->timeout));
            return;
        }
}

/* What comes now is for who listens next: a rank may have run its initializer while others still wait for their verdict. */
static bool nothing_yet(void *context, int peer, const void *data, size_t size)
{
    (void)context;
    (void)peer;
    (void)data;
    (void)size;
    return false;
}

/* A host's name, and the rank that said it. */
struct place {
    const char *host;
    int rank;
};

static int by_host(const void *a, const void *b)
{
    return strcmp(((const struct place *)a)->host, ((const struct place *)b)->host);
}

/* How many ranks share each rank's host; NULL: no memory. */
static int *count_crowds(const struct rpi_opening *opening)
{
    size_t ranks = (size_t)opening->transport->peers + 1;
    struct place *places = rpi_reserve(&opening->alloc, ranks * sizeof *places);
    int *crowds = places ? rpi_reserve(&opening->alloc, ranks * sizeof *crowds) : NULL;
    if (crowds) {
        for (size_t i = 0; i < ranks; i++)
            places[i] = (struct place){ .host = opening->hosts + i * RPI_HOST_BYTES, .rank = (int)i };
        qsort(places, ranks, sizeof *places, by_host);
        for (size_t from = 0, to; from < ranks; from = to) {
            for (to = from + 1; to < ranks && by_host(&places[from], &places[to]) == 0;)
                to++;
            for (size_t i = from; i < to; i++)
                crowds[places[i].rank] = (int)(to - from);
        }
    }
    rpi_free(&opening->alloc, places);
    return crowds;
}

static size_t write_verdict(const struct talk *talk, uint8_t *bytes, int crowd)
{
    uint8_t *at = bytes + RPI_BATCH_HEADER;
    rpi_put32(at, (uint32_t)talk->status);
    rpi_put32(at + 4, (uint32_t)talk->opening->workers);
    rpi_put32(at + 8, talk->opening->batch_limit);
    rpi_put32(at + 12, (uint32_t)crowd);
    rpi_put64(at + 16, talk->opening->seed);
    rpi_put32(at + 24, talk->opening->initializer);
    rpi_put32(at + 28, (uint32_t)talk->opening->init_arg.size);
    rpi_put32(at + 32, talk->opening->together);
    at = put_text(at + 36, talk->message, sizeof talk->message);
    return close_message(bytes, at, RPI_VERDICT);
}

/* To every rank that said hello, each from bytes of its own. */
static rp_status send_verdicts(struct talk *talk)
{
    struct rpi_opening *opening = talk->opening;
    size_t most = VERDICT_FIXED + 2 + strlen(talk->message), room = (most + 7) & ~(size_t)7;
    int *crowds = count_crowds(opening);
    uint8_t *bytes = crowds ? rpi_reserve(&opening->alloc, room * ((size_t)opening->transport->peers + 1)) : NULL;
    rp_status status = bytes ? RP_OK : rpi_no_memory("a pool's opening");
    if (status == RP_OK)
        opening->crowd = crowds[0];
    opening->together = talk->status != RP_OK && !talk->estranged;
    for (int rank = 1; status == RP_OK && rank <= opening->transport->peers; rank++) {
        uint8_t *mine = bytes + room * (size_t)rank;
        if (talk->came[rank])
            status = send(talk, rank, mine, write_verdict(talk, mine, crowds[rank]));
    }
    if (status == RP_OK)
        status = listen(talk, nothing_yet, talk->heard, opening->timeout);
    rpi_free(&opening->alloc, bytes);
    rpi_free(&opening->alloc, crowds);
    return status;
}

/* Sends each rank the initializer's argument, hears what came of it, and says it to all.  It may take its time. */
static rp_status initialise_workers(struct talk *talk)
{
    const struct rpi_opening *opening = talk->opening;
    struct rpi_transport *transport = opening->transport;
    int peers = transport->peers;
    rp_status status = RP_OK;
    for (int rank = 1; status == RP_OK && opening->init_arg.size && rank <= peers; rank++) {
        bool done = false;
        status = transport->ops->send_large(transport, rank, opening->init_arg.data, opening->init_arg.size, NULL, &done);
        if (status == RP_OK && !done)
            talk->sending++;
    }
    memset(talk->came, 0, ((size_t)peers + 1) * sizeof *talk->came);
    talk->heard = 0;
    if (status == RP_OK)
        status = listen(talk, on_hello, peers, RP_FOREVER);
    return status == RP_OK ? send_verdicts(talk) : status;
}

rp_status rpi_opening_master(struct rpi_opening *opening)
{
    int peers = opening->transport->peers;
    struct talk talk = { .opening = opening };
    if (opening->status != RP_OK)
        fail(&talk, opening->status);
    talk.came = rpi_zeroed(&opening->alloc, (size_t)peers + 1);
    if (!talk.came)
        return rpi_no_memory("a pool's opening");
    (void)gethostname(opening->hosts, RPI_HOST_BYTES - 1);
    opening->pids[0] = getpid();
    rp_status status = listen(&talk, on_hello, peers, opening->timeout);
    if (status == RP_ERR_BROKEN) {
        name_silent(&talk);
        status = RP_OK;
    }
    opening->workers = opening->processes && opening->processes < peers ? opening->processes : peers;
    if (status == RP_OK)
        status = send_verdicts(&talk);
    if (status == RP_OK && talk.status == RP_OK && opening->initializer != RPI_NO_FUNCTION)
        status = initialise_workers(&talk);
    if (talk.status != RP_OK)
        status = rpi_error(talk.status, "%s", talk.message);
    rpi_free(&opening->alloc, talk.came);
    return status;
}

void rpi_opening_take_back(struct rpi_opening *opening)
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
    (void)status; /* whoever does not hear it is ended by the launcher */
}

/* ---- a worker */

static bool on_verdict(void *context, int peer, const void *data, size_t size)
{
    struct talk *talk = context;
    const uint8_t *bytes = data;
    struct rpi_reader reader;
    (void)peer;
    if (talk->heard)
        return false; /* a batch of tasks, on the verdict's heels: for the server, which polls next */
    talk->heard = 1;
    if (size > 0 && bytes[0] != RPI_PROTOCOL) {
        fail(talk, rpi_error(RP_ERR_BROKEN,
                             "rank 0 speaks protocol version %d, rank %d speaks %d: all ranks must use one rankpool",
                             bytes[0], talk->opening->rank, RPI_PROTOCOL));
        return true;
    }
    if (rpi_reader_open(&reader, data, size) != RP_OK || reader.kind != RPI_VERDICT ||
        reader.end - reader.at < VERDICT_FIXED - RPI_BATCH_HEADER ||
        !get_text(reader.at + 36, reader.end, talk->message, sizeof talk->message)) {
        fail(talk, rpi_error(RP_ERR_BROKEN, "rank 0's verdict is damaged"));
        return true;
    }
    uint32_t limit = rpi_get32(reader.at + 8);
    talk->status = (rp_status)rpi_get32(reader.at);
    if (talk->status == RP_OK && (limit < RPI_BATCH_MIN || limit > RPI_BATCH_MAX)) {
        fail(talk, rpi_error(RP_ERR_BROKEN, "rank 0's verdict is damaged"));
        return true;
    }
    talk->opening->workers = (int)rpi_get32(reader.at + 4);
    talk->opening->batch_limit = limit;
    talk->opening->crowd = (int)rpi_get32(reader.at + 12);
    talk->opening->seed = rpi_get64(reader.at + 16);
    talk->opening->initializer = (uint16_t)rpi_get32(reader.at + 24);
    talk->opening->init_arg.size = rpi_get32(reader.at + 28);
    talk->opening->together = rpi_get32(reader.at + 32);
    return true;
}

static size_t write_hello(const struct rpi_opening *opening, uint8_t *bytes)
{
    char host[RPI_HOST_BYTES] = "";
    const struct rpi_registry *registry = opening->registry;
    uint8_t *at = bytes + RPI_BATCH_HEADER, *end = bytes + MESSAGE_BYTES;
    (void)gethostname(host, sizeof host - 1);
    rpi_put64(at, registry->hash);
    rpi_put64(at + 8, (uint64_t)getpid());
    rpi_put32(at + 16, (uint32_t)opening->status);
    rpi_put32(at + 20, registry->count);
    at = put_text(at + 24, host, sizeof host);
    at = put_text(at, opening->status == RP_OK ? "" : rp_error_message(), 1000);
    for (uint32_t i = 0; i < registry->count; i++) {
        size_t size = strlen(registry->names[i]) + 1;
        if ((size_t)(end - at) < size)
            break;
        memcpy(at, registry->names[i], size);
        at += size;
    }
    return close_message(bytes, at, RPI_HELLO);
}

static rp_status hello_and_verdict(struct rpi_opening *opening, double timeout)
{
    struct talk talk = { .opening = opening };
    uint8_t *bytes = rpi_reserve(&opening->alloc, MESSAGE_BYTES);
    if (!bytes)
        return rpi_no_memory("a pool's opening");
    rp_status status = send(&talk, 0, bytes, write_hello(opening, bytes));
    if (status == RP_OK)
        status = listen(&talk, on_verdict, 1, timeout);
    rpi_free(&opening->alloc, bytes);
    if (status == RP_OK && talk.status != RP_OK)
        status = rpi_error(talk.status, "%s", talk.message);
    return status;
}

static rp_status receive_argument(struct rpi_opening *opening)
{
    struct talk talk = { .opening = opening, .sending = 1 };
    void *buffer = rpi_buffer_new(&opening->alloc, opening->init_arg.size);
    if (!buffer)
        return rpi_no_memory("the initializer's argument");
    opening->init_arg.data = buffer;
    struct rpi_transport *transport = opening->transport;
    rp_status status = transport->ops->receive_large(transport, 0, buffer, opening->init_arg.size, NULL);
    return status == RP_OK ? listen(&talk, nothing_yet, 0, RP_FOREVER) : status;
}

rp_status rpi_opening_worker(struct rpi_opening *opening)
{
    rp_status status = hello_and_verdict(opening,
                                         2 * opening->timeout); /* rank 0 waits for the last hello before it answers */
    if (status == RP_OK && opening->initializer != RPI_NO_FUNCTION && opening->init_arg.size)
        status = receive_argument(opening);
    return status;
}

rp_status rpi_opening_report(struct rpi_opening *opening, rp_status status)
{
    opening->status = status;
    return hello_and_verdict(opening, RP_FOREVER); /* the slowest initializer decides */
}
