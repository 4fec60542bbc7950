/* The talk at a pool's opening: rank 0 and a worker against peers that say anything.
 * Input: flags u8 (1 a worker, else rank 0; 2 an initializer, 4 which has an argument; 8 a rank
 * ends), then messages, each: sender's rank u8, size u16, bytes.  After the last one the transport
 * fails, so that no rank waits. */
#include "fuzz.h"
#include "open/handshake.h"
#include "base/status.h"

#define PEERS 3
#define MOST  200000U /* bytes of one block: a forged size gets no more */

enum { WORKER = 1, INITIALIZER = 2, ARGUMENT = 4, ENDS = 8 };

static const char *const names[] = { "alpha", "beta", "gamma" };
static const struct rpi_registry registry = { .names = (const char **)(uintptr_t)names,
                                              .count = 3,
                                              .hash = 0x1234 };

static struct memory memory;
static struct input input;
static uint8_t *room; /* for a large payload, or NULL */
static size_t room_size;
static bool ends;

/* ---- a transport that says what the input does */

static rp_status fake_send(struct rpi_transport *transport, int peer, const void *data, size_t size,
                           void *cookie, bool *done)
{
    (void)cookie;
    MUST(peer >= 0 && peer <= transport->peers);
    (void)sum_of(data, size);
    *done = true;
    return RP_OK;
}

static rp_status fake_receive_large(struct rpi_transport *transport, int peer, void *data,
                                    size_t size, void *cookie)
{
    (void)transport;
    (void)cookie;
    MUST(peer == 0 && size > 0);
    room = data;
    room_size = size;
    return RP_OK;
}

static void say(const struct rpi_transport *transport, const struct rpi_events *events)
{
    int peer = input_byte(&input) % PEERS;
    size_t got, size = input_word(&input);
    uint8_t *bytes = input_block(&input, size, &got);
    peer = transport->peers == PEERS ? peer + 1 : 0;
    (void)events->batch(events->context, peer, bytes, got);
    free(bytes);
}

static rp_status fake_poll(struct rpi_transport *transport, const struct rpi_events *events,
                           bool *any)
{
    *any = true;
    if (room) {
        input_fill(&input, room, room_size);
        room = NULL;
        (void)events->received(events->context, NULL);
    } else if (ends) {
        ends = false;
        events->lost(events->context, 1);
    } else if (input.at < input.end) {
        say(transport, events);
    } else {
        return rpi_error(RP_ERR_MPI, "nothing more comes");
    }
    return RP_OK;
}

static const struct rpi_transport_ops ops = { .send = fake_send,
                                              .send_large = fake_send,
                                              .receive_large = fake_receive_large,
                                              .poll = fake_poll };

/* ---- both sides */

static void check_status(rp_status status)
{
    MUST(strcmp(rp_strerror(status), "unknown status") != 0);
    MUST(status == RP_OK || rp_error_message()[0]);
}

static void master(struct rpi_handshake *opening)
{
    static char hosts[(PEERS + 1) * RPI_HOST_BYTES];
    static int64_t pids[PEERS + 1];
    memset(hosts, 0, sizeof hosts);
    opening->hosts = hosts;
    opening->pids = pids;
    opening->batch_limit = RPI_BATCH_DEFAULT;
    check_status(rpi_handshake_master(opening));
    for (int rank = 0; rank <= PEERS; rank++)
        MUST(memchr(hosts + (size_t)rank * RPI_HOST_BYTES, 0, RPI_HOST_BYTES));
}

static rp_status worker_rounds(struct rpi_handshake *opening)
{
    rp_status status = rpi_handshake_worker(opening);
    if (status != RP_OK)
        return status;
    MUST(opening->batch_limit >= RPI_BATCH_MIN && opening->batch_limit <= RPI_BATCH_MAX);
    MUST(opening->initializer == RPI_NO_FUNCTION || opening->initializer < registry.count);
    MUST(opening->isolation.cancel_grace >= 0);
    if (opening->initializer != RPI_NO_FUNCTION && opening->init_arg.size)
        status = rpi_handshake_argument(opening);
    if (status == RP_OK)
        status = rpi_handshake_report(opening, RP_OK);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input = (struct input){ data, data + size };
    uint8_t flags = input_byte(&input);
    memory = (struct memory){ .most = MOST };
    struct rpi_transport transport = { .ops = &ops, .peers = flags & WORKER ? 1 : PEERS };
    struct rpi_handshake opening = { .alloc = memory_hook(&memory),
                                     .registry = &registry,
                                     .transport = &transport,
                                     .rank = flags & WORKER ? 1 : 0,
                                     .timeout = 60,
                                     .initializer = flags & INITIALIZER ? 1 : RPI_NO_FUNCTION };
    room = NULL;
    ends = flags & ENDS && !(flags & WORKER);
    if (flags & ARGUMENT && !(flags & WORKER))
        opening.init_arg = (rp_bytes){ "argument", 8 };
    if (flags & WORKER) {
        check_status(worker_rounds(&opening));
        rpi_buffer_free((void *)(uintptr_t)opening.init_arg.data);
    } else {
        master(&opening);
    }
    MUST(memory.live == 0);
    return 0;
}

/* ---- what honest ranks say: taken from their own sides of the talk */

static struct output said; /* to rank 1 if rank 0 says it, else to rank 0 */

static rp_status note_send(struct rpi_transport *transport, int peer, const void *data, size_t size,
                           void *cookie, bool *done)
{
    (void)transport;
    (void)cookie;
    *done = true;
    if (peer > 1)
        return RP_OK;
    output_byte(&said, 0);
    output_word(&said, size);
    output_bytes(&said, data, size);
    return RP_OK;
}

static const struct rpi_transport_ops noting = { .send = note_send,
                                                 .send_large = fake_send,
                                                 .poll = fake_poll };

static struct rpi_handshake opening_of(struct rpi_transport *transport, int rank)
{
    *transport = (struct rpi_transport){ .ops = &noting, .peers = rank ? 1 : PEERS };
    said.used = 0;
    input = (struct input){ NULL, NULL };
    memory = (struct memory){ .most = MOST };
    return (struct rpi_handshake){ .alloc = memory_hook(&memory),
                                   .registry = &registry,
                                   .transport = transport,
                                   .rank = rank,
                                   .timeout = 60,
                                   .initializer = RPI_NO_FUNCTION };
}

static void say_hello(rp_status status)
{
    struct rpi_transport transport;
    struct rpi_handshake opening = opening_of(&transport, 1);
    opening.status = status;
    (void)!rpi_handshake_worker(&opening); /* it says hello, and hears nothing */
}

/* Every rank's hello, in each of three rounds, for rank 0 to hear. */
static void put_hellos(struct output *output, uint8_t flags)
{
    output_byte(output, flags);
    for (int i = 0; i < 3 * PEERS; i++) {
        output_byte(output, (unsigned)i % PEERS);
        output_bytes(output, said.bytes + 1, said.used - 1);
    }
}

static void say_verdicts(const struct output *hellos)
{
    struct rpi_transport transport;
    struct rpi_handshake opening = opening_of(&transport, 0);
    input = (struct input){ hellos->bytes + 1, hellos->bytes + hellos->used };
    if (hellos->bytes[0] & INITIALIZER)
        opening.initializer = 1;
    if (hellos->bytes[0] & ARGUMENT)
        opening.init_arg = (rp_bytes){ "argument", 8 };
    static char hosts[(PEERS + 1) * RPI_HOST_BYTES];
    static int64_t pids[PEERS + 1];
    opening.hosts = hosts;
    opening.pids = pids;
    opening.batch_limit = RPI_BATCH_DEFAULT;
    (void)!rpi_handshake_master(&opening);
}

void fuzz_seeds(void (*give)(const char *name, const uint8_t *data, size_t size, const char *into),
                const char *into)
{
    static struct output hellos, verdicts;
    say_hello(rpi_error(RP_ERR_NOMEM, "no memory here"));
    put_hellos(&hellos, 0);
    give("opening_hello_failed", hellos.bytes, hellos.used, into);
    hellos.used = 0;
    say_hello(RP_OK);
    put_hellos(&hellos, 0);
    give("opening_hellos", hellos.bytes, hellos.used, into);
    say_verdicts(&hellos);
    output_byte(&verdicts, WORKER);
    output_bytes(&verdicts, said.bytes, said.used);
    give("opening_verdicts", verdicts.bytes, verdicts.used, into);
    verdicts.bytes[1 + 3 + RPI_BATCH_HEADER] ^= RP_ERR_NOMEM; /* a failure without a word why */
    give("opening_no_reason", verdicts.bytes, verdicts.used, into);
    hellos.bytes[0] = INITIALIZER | ARGUMENT;
    say_verdicts(&hellos);
    size_t third = said.used / 3 * 2;
    verdicts.used = 1;
    output_bytes(&verdicts, said.bytes, third);
    output_bytes(&verdicts, "argument", 8); /* as a large payload, before the last verdict */
    output_bytes(&verdicts, said.bytes + third, said.used - third);
    give("opening_argument", verdicts.bytes, verdicts.used, into);
    verdicts.bytes[1 + third / 2 + 3 + RPI_BATCH_HEADER + 29] ^=
        1; /* of another size in the second verdict */
    give("opening_other_size", verdicts.bytes, verdicts.used, into);
}
