/* The talk at a pool's opening, each side against a transport that plays the others. */
#include "base/status.h"
#include "harness.h"
#include "memory.h"
#include "open/handshake.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PEERS 3
#define SOON  0.01 /* seconds that a test waits for what never comes */

static struct memory memory;

/* ---- a transport whose peers say what the test wants */

struct said {
    int peer;
    size_t size;
    uint8_t *bytes; /* exactly `size` */
};

static struct {
    struct rpi_transport base;
    struct said in[40]; /* to be heard */
    int in_count, in_next;
    struct said out[30]; /* was sent */
    int out_count;
    struct said large[10]; /* likewise */
    int large_count;
    int unreported; /* sends */
    void *room;     /* for a large payload, or NULL */
    size_t room_size;
    const char *large_in;
    rp_status send_fails, poll_fails;
    struct said later; /* what a peer says in the last round; size 0: what it said before */
    int last_round;    /* which that is */
} fake;

static struct said copy_of(int peer, const void *data, size_t size)
{
    return (struct said){ .peer = peer,
                          .size = size,
                          .bytes = memcpy(test_room(NULL, size), data, size) };
}

static void hear(int peer, const void *data, size_t size)
{
    fake.in[fake.in_count++] = copy_of(peer, data, size);
}

/* Whoever has spoken does so again when all have their verdict. */
static void next_round(void)
{
    int before = fake.in_count;
    for (int peer = 1; peer <= PEERS; peer++)
        for (int i = 0; i < before; i++)
            if (fake.in[i].peer == peer) {
                const struct said *said = fake.later.size &&
                                                  fake.out_count == PEERS * (fake.last_round - 1)
                                              ? &fake.later
                                              : &fake.in[i];
                hear(peer, said->bytes, said->size);
                break;
            }
}

static rp_status fake_send(struct rpi_transport *transport, int peer, const void *data, size_t size,
                           void *cookie, bool *done)
{
    (void)transport;
    (void)cookie;
    if (fake.send_fails != RP_OK)
        return rpi_error(fake.send_fails, "the fake cannot send");
    fake.out[fake.out_count++] = copy_of(peer, data, size);
    *done = fake.out_count % 2 == 0;
    fake.unreported += *done ? 0 : 1;
    if (peer > 0 && fake.out_count % PEERS == 0)
        next_round();
    return RP_OK;
}

static rp_status fake_send_large(struct rpi_transport *transport, int peer, const void *data,
                                 size_t size, void *cookie, bool *done)
{
    (void)transport;
    (void)cookie;
    fake.large[fake.large_count++] = copy_of(peer, data, size);
    *done = false;
    fake.unreported++;
    return RP_OK;
}

static rp_status fake_receive_large(struct rpi_transport *transport, int peer, void *data,
                                    size_t size, void *cookie)
{
    (void)transport;
    (void)cookie;
    CU_ASSERT_EQUAL(peer, 0);
    fake.room = data;
    fake.room_size = size;
    return RP_OK;
}

static rp_status fake_poll(struct rpi_transport *transport, const struct rpi_events *events,
                           bool *any)
{
    (void)transport;
    *any = false;
    if (fake.poll_fails != RP_OK)
        return rpi_error(fake.poll_fails, "the fake cannot poll");
    if (fake.unreported) {
        fake.unreported--;
        *any = true;
        events->sent(events->context, NULL);
    }
    if (fake.room && fake.large_in) {
        CU_ASSERT_EQUAL(fake.room_size, strlen(fake.large_in));
        memcpy(fake.room, fake.large_in, fake.room_size);
        fake.room = NULL;
        *any = events->received(events->context, NULL);
    }
    if (fake.in_next < fake.in_count) {
        struct said *said = &fake.in[fake.in_next];
        if (events->batch(events->context, said->peer, said->bytes, said->size)) {
            fake.in_next++;
            *any = true;
        }
    }
    return RP_OK;
}

static const struct rpi_transport_ops ops = { .send = fake_send,
                                              .send_large = fake_send_large,
                                              .receive_large = fake_receive_large,
                                              .poll = fake_poll };

static void free_said(struct said *said, int count)
{
    for (int i = 0; i < count; i++)
        free(said[i].bytes);
}

static void end(void)
{
    free_said(fake.in, fake.in_count);
    free_said(fake.out, fake.out_count);
    free_said(fake.large, fake.large_count);
    memset(&fake, 0, sizeof fake);
    CU_ASSERT_EQUAL(memory.live, 0);
}

static void begin(void)
{
    memset(&fake, 0, sizeof fake);
    memory = (struct memory){ 0 };
    fake.base = (struct rpi_transport){ .ops = &ops, .peers = PEERS };
}

/* ---- both sides */

static const char *names[] = { "alpha", "beta", "gamma" };
static const struct rpi_registry registry = { .names = names, .count = 3, .hash = 0x1234 };

static struct rpi_handshake opening_of(int rank, const struct rpi_registry *functions)
{
    return (struct rpi_handshake){ .alloc = memory_hook(&memory),
                                   .registry = functions,
                                   .transport = &fake.base,
                                   .rank = rank,
                                   .timeout = SOON,
                                   .batch_limit = rank == 0 ? 4096 : 0,
                                   .initializer = RPI_NO_FUNCTION };
}

static bool says(const char *words)
{
    bool found = strstr(rp_error_message(), words);
    if (!found)
        fprintf(stderr, "no \"%s\" in: %s\n", words, rp_error_message());
    return found;
}

/* What a rank with this registry says first; in `bytes`; returns the size. */
static uint8_t bytes[RPI_BATCH_MAX];

static size_t hello_of(const struct rpi_registry *functions, rp_status status)
{
    begin();
    struct rpi_handshake opening = opening_of(1, functions);
    fake.send_fails = RP_OK;
    fake.poll_fails = RP_ERR_MPI; /* it says hello, then that is all */
    opening.status = status;
    CU_ASSERT_EQUAL(rpi_handshake_worker(&opening), RP_ERR_MPI);
    CU_ASSERT_EQUAL_FATAL(fake.out_count, 1);
    CU_ASSERT_EQUAL(fake.out[0].peer, 0);
    size_t size = fake.out[0].size;
    memcpy(bytes, fake.out[0].bytes, size);
    end();
    return size;
}

/* ---- rank 0 */

static char hosts[(PEERS + 1) * RPI_HOST_BYTES];
static int64_t pids[PEERS + 1];

static struct rpi_handshake opening_of_master(void)
{
    struct rpi_handshake opening = opening_of(0, &registry);
    memset(hosts, 0, sizeof hosts);
    opening.hosts = hosts;
    opening.pids = pids;
    opening.seed = 99;
    return opening;
}

/* The verdict that went to `peer`: its status; how many went there in *count. */
static rp_status verdict_for(int peer, int *count, const char *words)
{
    rp_status status = RP_END;
    *count = 0;
    for (int i = 0; i < fake.out_count; i++) {
        const struct said *said = &fake.out[i];
        struct rpi_reader reader;
        if (said->peer != peer)
            continue;
        ++*count;
        CU_ASSERT_EQUAL_FATAL(rpi_reader_open(&reader, said->bytes, said->size), RP_OK);
        CU_ASSERT_EQUAL(reader.kind, RPI_VERDICT);
        status = (rp_status)rpi_get32(reader.at);
        if (words)
            CU_ASSERT_PTR_NOT_NULL(memmem(said->bytes, said->size, words, strlen(words)));
    }
    return status;
}

static void all_heard_the_same(rp_status status, const char *words)
{
    for (int peer = 1; peer <= PEERS; peer++) {
        int count;
        CU_ASSERT_EQUAL(verdict_for(peer, &count, words), status);
        CU_ASSERT_EQUAL(count, status == RP_OK ? 2 : 1);
    }
}

static void all_agree(void)
{
    size_t size = hello_of(&registry, RP_OK);
    char host[RPI_HOST_BYTES] = "";
    (void)gethostname(host, sizeof host - 1);
    for (int processes = 0; processes <= PEERS + 1; processes++) {
        begin();
        for (int peer = PEERS; peer >= 1; peer--)
            hear(peer, bytes, size);
        hear(2, bytes, size); /* once more: it counts for nothing */
        struct rpi_handshake opening = opening_of_master();
        opening.processes = processes;
        CU_ASSERT_EQUAL(rpi_handshake_master(&opening), RP_OK);
        CU_ASSERT_EQUAL(opening.workers, processes == 0 || processes > PEERS ? PEERS : processes);
        CU_ASSERT_EQUAL(opening.crowd, PEERS + 1);
        for (int rank = 0; rank <= PEERS; rank++) {
            CU_ASSERT_STRING_EQUAL(hosts + (size_t)rank * RPI_HOST_BYTES, host);
            CU_ASSERT_EQUAL(pids[rank], getpid());
        }
        all_heard_the_same(RP_OK, NULL);
        end();
    }
}

static void differs(const struct rpi_registry *theirs, const char *first, const char *second)
{
    size_t good = hello_of(&registry, RP_OK);
    uint8_t *ours = memcpy(test_room(NULL, good), bytes, good);
    size_t size = hello_of(theirs, RP_OK);
    begin();
    hear(1, ours, good);
    hear(2, bytes, size);
    hear(3, ours, good);
    struct rpi_handshake opening = opening_of_master();
    CU_ASSERT_EQUAL(rpi_handshake_master(&opening), RP_ERR_BROKEN);
    CU_ASSERT_TRUE(says(first));
    CU_ASSERT_TRUE(says(second));
    CU_ASSERT_TRUE(says("rank 2"));
    all_heard_the_same(RP_ERR_BROKEN, first);
    end();
    free(ours);
}

static void other_functions(void)
{
    static const char *more[] = { "alpha", "beta", "delta", "gamma" },
                      *fewer[] = { "alpha", "gamma" };
    static const char *last[] = { "alpha", "beta", "gamma", "zeta" }, *others[] = { "x", "y", "z" };
    differs(&(const struct rpi_registry){ .names = more, .count = 4, .hash = 1 }, "delta",
            "rank 2 only");
    differs(&(const struct rpi_registry){ .names = fewer, .count = 2, .hash = 2 }, "beta",
            "rank 0 only");
    differs(&(const struct rpi_registry){ .names = last, .count = 4, .hash = 3 }, "zeta",
            "rank 2 only");
    differs(&(const struct rpi_registry){ .names = more, .count = 1, .hash = 4 }, "beta",
            "rank 0 only");
    differs(&(const struct rpi_registry){ .names = others, .count = 3, .hash = 5 }, "alpha",
            "rank 0 only");
    differs(&(const struct rpi_registry){ .names = others, .count = 0, .hash = 6 }, "alpha",
            "rank 0 only");
}

/* More names than a hello carries: the counts are told. */
static void too_many_names_to_compare(void)
{
    enum { COUNT = 1000 };
    static char texts[COUNT][20];
    static const char *ours[COUNT], *theirs[COUNT + 1];
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "function_%06d", i);
        ours[i] = theirs[i] = texts[i];
    }
    theirs[COUNT] = "zz";
    size_t size = hello_of(
        &(const struct rpi_registry){ .names = theirs, .count = COUNT + 1, .hash = 8 }, RP_OK);
    CU_ASSERT_TRUE(size <= RPI_BATCH_DEFAULT);
    begin();
    for (int peer = 1; peer <= PEERS; peer++)
        hear(peer, bytes, size);
    struct rpi_handshake opening = opening_of_master();
    struct rpi_registry many = { .names = ours, .count = COUNT, .hash = 7 };
    opening.registry = &many;
    CU_ASSERT_EQUAL(rpi_handshake_master(&opening), RP_ERR_BROKEN);
    CU_ASSERT_TRUE(says("1001 there, 1000 here"));
    end();
}

static void another_version(void)
{
    size_t size = hello_of(&registry, RP_OK);
    begin();
    hear(1, bytes, size);
    bytes[0] = RPI_PROTOCOL + 1;
    hear(2, bytes, size);
    hear(3, bytes, 1); /* whatever it looks like otherwise */
    struct rpi_handshake opening = opening_of_master();
    CU_ASSERT_EQUAL(rpi_handshake_master(&opening), RP_ERR_BROKEN);
    CU_ASSERT_TRUE(says("rank 2 speaks protocol version 3, rank 0 speaks 2"));
    all_heard_the_same(RP_ERR_BROKEN, "protocol version");
    end();
}

/* A rank that could not come that far says why, and all hear it. */
static void trouble_elsewhere(void)
{
    size_t good = hello_of(&registry, RP_OK);
    uint8_t *ours = memcpy(test_room(NULL, good), bytes, good);
    (void)rpi_error(RP_ERR_INVALID, "config.processes is -4");
    size_t size = hello_of(&registry, RP_ERR_INVALID);
    begin();
    hear(1, ours, good);
    hear(2, ours, good);
    hear(3, bytes, size);
    struct rpi_handshake opening = opening_of_master();
    CU_ASSERT_EQUAL(rpi_handshake_master(&opening), RP_ERR_INVALID);
    CU_ASSERT_TRUE(says("rank 3"));
    CU_ASSERT_TRUE(says("config.processes is -4"));
    all_heard_the_same(RP_ERR_INVALID, "config.processes is -4");
    end();
    free(ours);
}

/* Ranks 1 and 2 connect to this side channel after rank 3 has said that it cannot serve; no rank
 * sends more until they have connected. */
static struct {
    struct rpi_oob_setup base;
    size_t good, bad; /* sizes of the two hellos */
    uint8_t hellos[2][RPI_BATCH_MAX];
    bool stopped; /* was told to give up before they had come */
} slow;

static rp_status open_slowly(struct rpi_oob_setup *side, struct rpi_handshake_gate_place *place)
{
    (void)side;
    place->port = 1;
    place->host_timeout = 3000;
    return RP_OK;
}

static rp_status gather_slowly(struct rpi_oob_setup *side, const bool *came,
                               bool (*look)(void *context), void *context)
{
    (void)side;
    free_said(fake.in + fake.in_next, fake.in_count - fake.in_next);
    fake.in_count = fake.in_next;
    hear(3, slow.hellos[1], slow.bad);
    for (int i = 0; i < 10; i++)
        slow.stopped |= !look(context);
    CU_ASSERT_TRUE(came[3] && !came[1] && !came[2]);
    if (!slow.stopped)
        for (int peer = 1; peer <= 2; peer++)
            hear(peer, slow.hellos[0], slow.good);
    return RP_OK;
}

static void trouble_before_others_connect(void)
{
    slow.good = hello_of(&registry, RP_OK);
    memcpy(slow.hellos[0], bytes, slow.good);
    (void)rpi_error(RP_ERR_NOMEM, "out of memory for it");
    slow.bad = hello_of(&registry, RP_ERR_NOMEM);
    memcpy(slow.hellos[1], bytes, slow.bad);
    begin();
    for (int peer = 1; peer <= PEERS; peer++)
        hear(peer, slow.hellos[0], slow.good);
    slow.base = (struct rpi_oob_setup){ .open = open_slowly, .gather = gather_slowly };
    struct rpi_handshake opening = opening_of_master();
    opening.side = &slow.base;
    CU_ASSERT_EQUAL(rpi_handshake_master(&opening), RP_ERR_NOMEM);
    CU_ASSERT_TRUE(says("out of memory for it"));
    CU_ASSERT_FALSE(slow.stopped);
    for (int peer = 1; peer <= PEERS; peer++) {
        int count;
        CU_ASSERT_EQUAL(verdict_for(peer, &count, NULL), RP_ERR_NOMEM);
        CU_ASSERT_EQUAL(count, 2);
    }
    end();
}

static void trouble_at_rank_0(void)
{
    size_t size = hello_of(&registry, RP_OK);
    begin();
    for (int peer = 1; peer <= PEERS; peer++)
        hear(peer, bytes, size);
    struct rpi_handshake opening = opening_of_master();
    opening.status = rpi_error(RP_ERR_INVALID, "my own fault");
    CU_ASSERT_EQUAL(rpi_handshake_master(&opening), RP_ERR_INVALID);
    CU_ASSERT_TRUE(says("my own fault"));
    all_heard_the_same(RP_ERR_INVALID, "my own fault");
    end();
}

static void one_never_comes(void)
{
    size_t size = hello_of(&registry, RP_OK);
    int count;
    begin();
    hear(1, bytes, size);
    hear(3, bytes, size);
    struct rpi_handshake opening = opening_of_master();
    CU_ASSERT_EQUAL(rpi_handshake_master(&opening), RP_ERR_BROKEN);
    CU_ASSERT_TRUE(says("rank 2 said nothing within 0.01 s"));
    CU_ASSERT_EQUAL(verdict_for(1, &count, "rank 2"), RP_ERR_BROKEN);
    CU_ASSERT_EQUAL(verdict_for(3, &count, "rank 2"), RP_ERR_BROKEN);
    (void)verdict_for(2, &count, NULL);
    CU_ASSERT_EQUAL(count, 0);
    end();
}

/* Whatever a hello holds, rank 0 reads no further than its end, and every rank gets a verdict. */
static void open_with_one_hello(const uint8_t *hello, size_t size, const uint8_t *good,
                                size_t good_size, int *taken)
{
    begin();
    hear(1, hello, size);
    hear(2, good, good_size);
    hear(3, good, good_size);
    struct rpi_handshake opening = opening_of_master();
    rp_status status = rpi_handshake_master(&opening);
    *taken += status == RP_OK;
    CU_ASSERT_TRUE(fake.out_count % PEERS == 0 && fake.out_count > 0);
    end();
}

static void damaged_hellos(void)
{
    size_t size = hello_of(&registry, RP_OK);
    uint8_t *good = memcpy(test_room(NULL, size), bytes, size), *bad = test_room(NULL, size);
    int taken = 0;
    for (size_t cut = 0; cut < size; cut++)
        for (int told = 0; told < 2; told++) {
            memcpy(bad, good, size);
            if (told && cut >= 8)
                rpi_put32(bad + 4, (uint32_t)cut);
            open_with_one_hello(bad, cut, good, size, &taken);
        }
    CU_ASSERT_TRUE(taken < 40); /* the names' end may be missing: the hash is what counts */
    taken = 0;
    for (size_t at = 0; at < size; at++)
        for (int bit = 0; bit < 8; bit++) {
            memcpy(bad, good, size);
            bad[at] ^= (uint8_t)(1 << bit);
            open_with_one_hello(bad, size, good, size, &taken);
        }
    CU_ASSERT_TRUE(taken > 100 && taken < (int)size * 8); /* host, pid and names may be any */
    free(good);
    free(bad);
}

static void not_a_hello(void)
{
    size_t size = hello_of(&registry, RP_OK);
    begin();
    hear(1, bytes, size);
    hear(3, bytes, size);
    bytes[1] = RPI_RESULTS;
    hear(2, bytes, size);
    struct rpi_handshake opening = opening_of_master();
    CU_ASSERT_EQUAL(rpi_handshake_master(&opening), RP_ERR_BROKEN);
    CU_ASSERT_TRUE(says("the first message of rank 2 is no hello"));
    end();
}

static void hosts_are_counted(void)
{
    size_t size = hello_of(&registry, RP_OK);
    struct rpi_reader reader;
    begin();
    hear(1, bytes, size);
    hear(2, bytes, size);
    CU_ASSERT_EQUAL_FATAL(rpi_reader_open(&reader, bytes, size), RP_OK);
    uint8_t *host = bytes + (reader.at - bytes) + 26; /* after its length */
    CU_ASSERT_TRUE(host[-2] > 0);
    host[0] ^= 1; /* the neighbour */
    hear(3, bytes, size);
    struct rpi_handshake opening = opening_of_master();
    CU_ASSERT_EQUAL(rpi_handshake_master(&opening), RP_OK);
    CU_ASSERT_EQUAL(opening.crowd, 3);
    for (int i = 0; i < fake.out_count; i++) {
        CU_ASSERT_EQUAL_FATAL(rpi_reader_open(&reader, fake.out[i].bytes, fake.out[i].size), RP_OK);
        CU_ASSERT_EQUAL(rpi_get32(reader.at + 12), fake.out[i].peer == 3 ? 1 : 3);
    }
    end();
}

/* What becomes of a pool where the ranks say this in the last round. */
static void last_round(const char *argument, rp_status theirs, const char *words)
{
    size_t size = hello_of(&registry, RP_OK);
    uint8_t *first = memcpy(test_room(NULL, size), bytes, size);
    (void)rpi_error(RP_ERR_BROKEN, "%s", words);
    size_t last = hello_of(&registry, theirs);
    begin();
    fake.later = (struct said){ .size = last, .bytes = bytes };
    fake.last_round = argument ? 3 : 2;
    for (int peer = 1; peer <= PEERS; peer++)
        hear(peer, first, size);
    struct rpi_handshake opening = opening_of_master();
    opening.initializer = argument ? 1 : RPI_NO_FUNCTION;
    opening.init_arg = (rp_bytes){ argument, argument ? 8 : 0 };
    CU_ASSERT_EQUAL(rpi_handshake_master(&opening), theirs);
    if (theirs != RP_OK)
        CU_ASSERT_TRUE(says(words));
    CU_ASSERT_EQUAL(opening.together, theirs != RP_OK);
    CU_ASSERT_EQUAL(fake.large_count, argument ? PEERS : 0);
    for (int i = 0; i < fake.large_count; i++)
        CU_ASSERT_TRUE(fake.large[i].size == 8 && memcmp(fake.large[i].bytes, "argument", 8) == 0);
    CU_ASSERT_EQUAL(fake.out_count, fake.last_round * PEERS);
    int count;
    CU_ASSERT_EQUAL(verdict_for(2, &count, NULL), theirs);
    CU_ASSERT_EQUAL(count, fake.last_round);
    end();
    free(first);
}

static void initializer_runs_everywhere(void)
{
    last_round("argument", RP_OK, "");
    last_round("argument", RP_ERR_BROKEN, "no licence");
}

/* A rank that cannot make ready what it serves with says so, and no rank has a pool. */
static void ready_or_not(void)
{
    last_round(NULL, RP_OK, "");
    last_round(NULL, RP_ERR_NOMEM, "no memory for a worker's results");
}

/* One has no room for the argument: it is not sent. */
static void no_room_for_the_argument(void)
{
    size_t size = hello_of(&registry, RP_OK);
    uint8_t *first = memcpy(test_room(NULL, size), bytes, size);
    (void)rpi_error(RP_ERR_NOMEM, "out of memory here");
    size_t last = hello_of(&registry, RP_ERR_NOMEM);
    begin();
    fake.later = (struct said){ .size = last, .bytes = bytes };
    fake.last_round = 2;
    for (int peer = 1; peer <= PEERS; peer++)
        hear(peer, first, size);
    struct rpi_handshake opening = opening_of_master();
    opening.initializer = 1;
    opening.init_arg = (rp_bytes){ "argument", 8 };
    CU_ASSERT_EQUAL(rpi_handshake_master(&opening), RP_ERR_NOMEM);
    CU_ASSERT_TRUE(says("rank 1") && says("out of memory here"));
    CU_ASSERT_EQUAL(fake.large_count, 0);
    CU_ASSERT_EQUAL(fake.out_count, 2 * PEERS);
    end();
    free(first);
}

static void network_in_trouble(void)
{
    size_t size = hello_of(&registry, RP_OK);
    begin();
    fake.poll_fails = RP_ERR_MPI;
    struct rpi_handshake opening = opening_of_master();
    CU_ASSERT_EQUAL(rpi_handshake_master(&opening), RP_ERR_MPI);
    CU_ASSERT_TRUE(says("cannot poll"));
    end();
    begin();
    for (int peer = 1; peer <= PEERS; peer++)
        hear(peer, bytes, size);
    fake.send_fails = RP_ERR_MPI;
    opening = opening_of_master();
    CU_ASSERT_EQUAL(rpi_handshake_master(&opening), RP_ERR_MPI);
    CU_ASSERT_TRUE(says("cannot send"));
    end();
}

static void master_without_memory(void)
{
    size_t size = hello_of(&registry, RP_OK);
    uint64_t call = 1;
    for (bool refused = true; refused; call++) {
        begin();
        for (int peer = 1; peer <= PEERS; peer++)
            hear(peer, bytes, size);
        memory.fail_at = call;
        struct rpi_handshake opening = opening_of_master();
        rp_status status = rpi_handshake_master(&opening);
        refused = memory.refused;
        CU_ASSERT_EQUAL(status, refused ? RP_ERR_NOMEM : RP_OK);
        if (refused) { /* the others are not left waiting */
            const struct said *said = &fake.out[fake.out_count - PEERS];
            for (int i = 0; i < PEERS; i++)
                CU_ASSERT_TRUE(said[i].peer == i + 1 && said[i].bytes[1] == RPI_STOP);
        }
        end();
    }
    CU_ASSERT_TRUE(call >= 6);
}

/* ---- the other ranks */

/* What rank 0 answers to good hellos from all; in `bytes`; returns the size. */
static size_t verdict_of(struct rpi_handshake *opening)
{
    size_t size = hello_of(&registry, RP_OK);
    if (opening->status != RP_OK)
        (void)rpi_error(opening->status, "rank 7 is missing");
    begin();
    for (int peer = 1; peer <= PEERS; peer++)
        hear(peer, bytes, size);
    opening->transport = &fake.base;
    opening->alloc = memory_hook(&memory);
    rp_status wanted = opening->status;
    CU_ASSERT_EQUAL(rpi_handshake_master(opening), wanted);
    CU_ASSERT_TRUE_FATAL(fake.out_count > 0);
    size = fake.out[0].size;
    memcpy(bytes, fake.out[0].bytes, size);
    end();
    return size;
}

static rp_status open_worker(struct rpi_handshake *opening, const void *verdict, size_t size)
{
    begin();
    if (verdict)
        hear(0, verdict, size);
    *opening = opening_of(2, &registry);
    return rpi_handshake_worker(opening);
}

static void verdict_is_taken(void)
{
    struct rpi_handshake opening = opening_of_master();
    opening.processes = 2;
    opening.gate = (struct rpi_handshake_gate_place){
        .ip = 1, .port = 7, .beat = 2, .host_timeout = 10000, .token = "fifteen letters"
    };
    size_t size = verdict_of(&opening);
    CU_ASSERT_EQUAL(open_worker(&opening, bytes, size), RP_OK);
    CU_ASSERT_EQUAL(opening.workers, 2);
    CU_ASSERT_TRUE(opening.gate.ip == 1 && opening.gate.port == 7 && opening.gate.beat == 2);
    CU_ASSERT_EQUAL(opening.gate.host_timeout, 10000);
    CU_ASSERT_STRING_EQUAL(opening.gate.token, "fifteen letters");
    CU_ASSERT_EQUAL(opening.batch_limit, 4096);
    CU_ASSERT_EQUAL(opening.crowd, PEERS + 1);
    CU_ASSERT_EQUAL(opening.seed, 99);
    CU_ASSERT_EQUAL(opening.initializer, RPI_NO_FUNCTION);
    end();
}

static void bad_verdict_is_passed_on(void)
{
    struct rpi_handshake opening = opening_of_master();
    opening.status = RP_ERR_INVALID;
    size_t size = verdict_of(&opening);
    CU_ASSERT_EQUAL(open_worker(&opening, bytes, size), RP_ERR_INVALID);
    CU_ASSERT_TRUE(says("rank 7 is missing"));
    end();
}

static void no_verdict(void)
{
    struct rpi_handshake opening;
    CU_ASSERT_EQUAL(open_worker(&opening, NULL, 0), RP_ERR_BROKEN);
    CU_ASSERT_TRUE(says("nothing was heard"));
    end();
}

static void verdict_of_another_version(void)
{
    struct rpi_handshake opening = opening_of_master();
    size_t size = verdict_of(&opening);
    bytes[0] = 9;
    CU_ASSERT_EQUAL(open_worker(&opening, bytes, size), RP_ERR_BROKEN);
    CU_ASSERT_TRUE(says("rank 0 speaks protocol version 9, rank 2 speaks 2"));
    end();
}

static void damaged_verdicts(void)
{
    struct rpi_handshake opening = opening_of_master();
    size_t size = verdict_of(&opening);
    uint8_t *good = memcpy(test_room(NULL, size), bytes, size), *bad = test_room(NULL, size);
    for (size_t cut = 0; cut < size; cut++)
        for (int told = 0; told < 2; told++) {
            memcpy(bad, good, size);
            if (told && cut >= 8)
                rpi_put32(bad + 4, (uint32_t)cut);
            CU_ASSERT_EQUAL(open_worker(&opening, bad, cut), RP_ERR_BROKEN);
            end();
        }
    memcpy(bad, good, size);
    bad[1] = RPI_TASKS;
    CU_ASSERT_EQUAL(open_worker(&opening, bad, size), RP_ERR_BROKEN);
    CU_ASSERT_TRUE(says("verdict is damaged"));
    end();
    static const uint32_t limits[] = { 0, 7, RPI_BATCH_MIN - 1, RPI_BATCH_MAX + 1, UINT32_MAX };
    for (size_t i = 0; i < sizeof limits / sizeof *limits;
         i++) { /* a worker would make buffers of it */
        memcpy(bad, good, size);
        rpi_put32(bad + RPI_BATCH_HEADER + 8, limits[i]);
        CU_ASSERT_EQUAL(open_worker(&opening, bad, size), RP_ERR_BROKEN);
        CU_ASSERT_TRUE(says("verdict is damaged"));
        end();
    }
    static const uint32_t timeouts[] = { 0, 999, 3600001, UINT32_MAX };
    for (size_t i = 0; i < sizeof timeouts / sizeof *timeouts;
         i++) { /* the kernel would be told of it */
        memcpy(bad, good, size);
        rpi_put32(bad + RPI_BATCH_HEADER + 64, 7); /* there is a side channel */
        rpi_put32(bad + RPI_BATCH_HEADER + 72, timeouts[i]);
        CU_ASSERT_EQUAL(open_worker(&opening, bad, size), RP_ERR_BROKEN);
        CU_ASSERT_TRUE(says("verdict is damaged"));
        end();
    }
    memcpy(bad, good, size);
    rpi_put32(bad + RPI_BATCH_HEADER, RP_ERR_TASK); /* and no word why */
    CU_ASSERT_EQUAL(open_worker(&opening, bad, size), RP_ERR_BROKEN);
    CU_ASSERT_TRUE(says("verdict is damaged"));
    end();
    free(good);
    free(bad);
}

/* A batch of tasks may follow the verdict at once: it is left for the server. */
static void tasks_on_the_verdicts_heels(void)
{
    struct rpi_handshake opening = opening_of_master();
    size_t size = verdict_of(&opening);
    begin();
    hear(0, bytes, size);
    hear(0, bytes, size);
    opening = opening_of(2, &registry);
    CU_ASSERT_EQUAL(rpi_handshake_worker(&opening), RP_OK);
    CU_ASSERT_EQUAL(fake.in_next, 1);
    end();
}

static void argument_of_the_initializer(void)
{
    struct rpi_handshake opening = opening_of_master();
    size_t size = verdict_of(&opening);
    rpi_put32(bytes + RPI_BATCH_HEADER + 24, 2);
    rpi_put32(bytes + RPI_BATCH_HEADER + 28, 5);
    uint8_t *verdict = memcpy(test_room(NULL, size), bytes, size);
    begin();
    for (int round = 0; round < 3; round++)
        hear(0, verdict, size);
    fake.large_in = "hello";
    opening = opening_of(2, &registry);
    CU_ASSERT_EQUAL(rpi_handshake_worker(&opening), RP_OK);
    CU_ASSERT_EQUAL(opening.initializer, 2);
    CU_ASSERT_EQUAL(rpi_handshake_argument(&opening), RP_OK);
    CU_ASSERT_TRUE(opening.init_arg.size == 5 && memcmp(opening.init_arg.data, "hello", 5) == 0);
    rpi_buffer_free((void *)(uintptr_t)opening.init_arg.data);
    (void)rpi_error(RP_ERR_TASK, "it went wrong here");
    CU_ASSERT_EQUAL(rpi_handshake_report(&opening, RP_ERR_BROKEN),
                    RP_OK); /* what the last verdict says */
    CU_ASSERT_EQUAL_FATAL(fake.out_count, 3);
    CU_ASSERT_PTR_NOT_NULL(memmem(fake.out[2].bytes, fake.out[2].size, "it went wrong here", 18));
    end();
    free(verdict);
}

/* It says so, and hears what all are told. */
static void worker_without_memory(void)
{
    struct rpi_handshake opening = opening_of_master();
    size_t size = verdict_of(&opening);
    rpi_put32(bytes + RPI_BATCH_HEADER + 24, 2);
    rpi_put32(bytes + RPI_BATCH_HEADER + 28, 5);
    uint8_t *good = memcpy(test_room(NULL, size), bytes, size);
    opening = opening_of_master();
    opening.status = RP_ERR_NOMEM;
    size_t bad = verdict_of(&opening);
    begin();
    memory.fail_at = 1;
    opening = opening_of(2, &registry);
    hear(0, good, size);
    hear(0, bytes, bad);
    CU_ASSERT_EQUAL(rpi_handshake_worker(&opening), RP_OK);
    CU_ASSERT_EQUAL(rpi_handshake_argument(&opening), RP_ERR_NOMEM);
    CU_ASSERT_PTR_NULL(opening.init_arg.data);
    CU_ASSERT_EQUAL_FATAL(fake.out_count, 2);
    CU_ASSERT_PTR_NOT_NULL(
        memmem(fake.out[1].bytes, fake.out[1].size, "initializer's argument", 22));
    end();
    free(good);
}

static void rank_0_without_memory(void)
{
    uint8_t stop[RPI_BATCH_HEADER];
    struct rpi_writer writer;
    struct rpi_handshake opening;
    rpi_writer_open(&writer, stop, sizeof stop);
    rpi_writer_close(&writer, RPI_STOP, RPI_STOP_DROP | RPI_STOP_ALONE);
    CU_ASSERT_EQUAL(open_worker(&opening, stop, sizeof stop), RP_ERR_BROKEN);
    CU_ASSERT_TRUE(says("rank 0 cannot open the pool"));
    CU_ASSERT_FALSE(opening.together);
    end();
}

static CU_TestInfo rank_0[] = { { "all_agree", all_agree },
                                { "other_functions", other_functions },
                                { "too_many_names_to_compare", too_many_names_to_compare },
                                { "another_version", another_version },
                                { "trouble_elsewhere", trouble_elsewhere },
                                { "trouble_before_others_connect", trouble_before_others_connect },
                                { "trouble_at_rank_0", trouble_at_rank_0 },
                                { "one_never_comes", one_never_comes },
                                { "damaged_hellos", damaged_hellos },
                                { "not_a_hello", not_a_hello },
                                { "hosts_are_counted", hosts_are_counted },
                                { "initializer_runs_everywhere", initializer_runs_everywhere },
                                { "ready_or_not", ready_or_not },
                                { "no_room_for_the_argument", no_room_for_the_argument },
                                { "network_in_trouble", network_in_trouble },
                                { "master_without_memory", master_without_memory },
                                CU_TEST_INFO_NULL };
static CU_TestInfo others[] = { { "verdict_is_taken", verdict_is_taken },
                                { "bad_verdict_is_passed_on", bad_verdict_is_passed_on },
                                { "no_verdict", no_verdict },
                                { "verdict_of_another_version", verdict_of_another_version },
                                { "damaged_verdicts", damaged_verdicts },
                                { "tasks_on_the_verdicts_heels", tasks_on_the_verdicts_heels },
                                { "argument_of_the_initializer", argument_of_the_initializer },
                                { "worker_without_memory", worker_without_memory },
                                { "rank_0_without_memory", rank_0_without_memory },
                                CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "rank_0", NULL, NULL, NULL, NULL, rank_0 },
                                 { "others", NULL, NULL, NULL, NULL, others },
                                 CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
