/* Shared data: which versions live, what a worker knows, and the talk between the two engines. */
#include "harness.h"
#include "master/master.h"
#include "master/shared.h"
#include "memory.h"
#include "proto/registry.h"
#include "worker/shared_fetch.h"
#include "worker/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct memory memory;
static struct rpi_alloc hook;

static void begin(void)
{
    memory = (struct memory){ 0 };
    hook = memory_hook(&memory);
}

static void end(void)
{
    CU_ASSERT_EQUAL(memory.live, 0);
}

/* ---- the messages */

static struct rpi_share_message example = { .what = RPI_SHARE_MAP,
                                            .fd = -2,
                                            .version = 0x1122334455667788U,
                                            .size = (uint64_t)5 << 30,
                                            .token = 0xFEDCBA9876543210U,
                                            .pid = 77,
                                            .name = "table",
                                            .length = 5 };

static void message_golden(void)
{
    static const uint8_t golden[] = {
        2,    8,    0,    0,    64,   0,    0,    0,
        0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, /* header */
        5,    0,    0,    0,    0xFE, 0xFF, 0xFF, 0xFF,
        0,    0,    0,    0x40, 1,    0,    0,    0, /* what fd size */
        77,   0,    0,    0,    0,    0,    0,    0,
        0x10, 0x32, 0x54, 0x76, 0x98, 0xBA, 0xDC, 0xFE, /* pid token */
        5,    0,    0,    0,    0,    0,    0,    0,
        't',  'a',  'b',  'l',  'e',  0,    0,    0, /* name */
    };
    uint8_t bytes[RPI_SHARE_MOST];
    struct rpi_reader reader;
    struct rpi_share_message read;
    CU_ASSERT_EQUAL_FATAL(rpi_share_put(bytes, &example), sizeof golden);
    CU_ASSERT_EQUAL(memcmp(bytes, golden, sizeof golden), 0);
    CU_ASSERT_EQUAL_FATAL(rpi_reader_open(&reader, golden, sizeof golden), RP_OK);
    CU_ASSERT_EQUAL(reader.kind, RPI_SHARE);
    CU_ASSERT_EQUAL_FATAL(rpi_share_get(&reader, &read), RP_OK);
    CU_ASSERT(read.what == example.what && read.fd == example.fd &&
              read.version == example.version);
    CU_ASSERT(read.size == example.size && read.token == example.token && read.pid == example.pid);
    CU_ASSERT(read.length == 5 && memcmp(read.name, "table", 5) == 0);
}

static rp_status get(uint8_t *bytes, uint32_t size)
{
    struct rpi_reader reader;
    struct rpi_share_message read;
    rpi_put32(bytes + 4, size);
    rp_status status = rpi_reader_open(&reader, bytes, size);
    return status == RP_OK ? rpi_share_get(&reader, &read) : status;
}

static void message_damaged(void)
{
    uint8_t whole[RPI_SHARE_MOST], *bytes;
    uint32_t size = rpi_share_put(whole, &example);
    for (uint32_t cut = 0; cut < size; cut++) {
        bytes = malloc(cut < 16 ? 16 : cut); /* for the address sanitizer */
        memcpy(bytes, whole, cut);
        CU_ASSERT_EQUAL(cut < 8 ? RP_ERR_BROKEN : get(bytes, cut), RP_ERR_BROKEN);
        free(bytes);
    }
    for (uint32_t what = 0; what < 20; what++) {
        (void)rpi_share_put(whole, &example);
        rpi_put32(whole + 16, what);
        CU_ASSERT_EQUAL(get(whole, size), what >= 1 && what <= 11 ? RP_OK : RP_ERR_BROKEN);
    }
    for (uint32_t length = 0; length < 300; length++) {
        (void)rpi_share_put(whole, &example);
        rpi_put32(whole + 48, length);
        CU_ASSERT_EQUAL(get(whole, size), length >= 1 && length <= 5 ? RP_OK : RP_ERR_BROKEN);
    }
    (void)rpi_share_put(whole, &example);
    rpi_put32(whole + 48, UINT32_MAX);
    CU_ASSERT_EQUAL(get(whole, size), RP_ERR_BROKEN);
    (void)rpi_share_put(whole, &example);
    whole[2] = 1; /* a frame */
    CU_ASSERT_EQUAL(get(whole, size), RP_ERR_BROKEN);
}

static void epoch_of_a_batch(void)
{
    uint8_t bytes[128];
    struct rpi_writer writer;
    struct rpi_reader reader;
    struct rpi_frame frame = { .id = 9, .function = 3, .attempt = 1 };
    rpi_writer_open(&writer, bytes, sizeof bytes);
    rpi_writer_epoch(&writer, 0x0102030405060708U);
    (void)rpi_writer_frame(&writer, &frame);
    rpi_writer_close(&writer, RPI_SHARED_TASKS, 41);
    CU_ASSERT_EQUAL(writer.used, 16 + 8 + 16);
    CU_ASSERT_EQUAL(bytes[16], 8);
    CU_ASSERT_EQUAL_FATAL(rpi_reader_open(&reader, bytes, writer.used), RP_OK);
    CU_ASSERT(reader.kind == RPI_TASKS && reader.epoch == 0x0102030405060708U && reader.left == 1);
    CU_ASSERT_EQUAL(rpi_reader_frame(&reader, &frame), RP_OK);
    CU_ASSERT(frame.id == 9 && frame.number == 41 && reader.at == reader.end);
    rpi_put32(bytes + 4, 20);
    CU_ASSERT_EQUAL(rpi_reader_open(&reader, bytes, 20), RP_ERR_BROKEN);
}

/* ---- which versions live */

static struct rpi_shared_versions versions;

static void put(const char *name, uint64_t size)
{
    const struct rpi_shm segment = { .size = size, .fd = -1 };
    CU_ASSERT_EQUAL(rpi_shared_versions_add(&versions, name, &segment), RP_OK);
}

static int count_of(const struct rpi_link *list)
{
    int count = 0;
    for (const struct rpi_link *link = list->next; link != list; link = link->next)
        count++;
    return count;
}

static void hold(uint64_t epoch)
{
    CU_ASSERT_EQUAL(versions.current, epoch);
    rpi_shared_versions_hold(&versions, epoch);
}

static void versions_without_tasks_die_at_once(void)
{
    begin();
    rpi_shared_versions_init(&versions, &hook, 3);
    CU_ASSERT_EQUAL(versions.current, 0);
    put("never", 0);
    CU_ASSERT(versions.last == 0 && memory.calls == 0);
    for (int i = 0; i < 100; i++)
        put("a", 10);
    CU_ASSERT(versions.current == 100 && versions.count == 1);
    CU_ASSERT_EQUAL(count_of(&versions.live), 1);
    CU_ASSERT_EQUAL(count_of(&versions.dying), 99);
    put("a", 0);
    CU_ASSERT(versions.current == 0 && versions.count == 0 && count_of(&versions.live) == 0);
    CU_ASSERT_EQUAL(count_of(&versions.dying), 101);
    put("a", 0);
    CU_ASSERT_EQUAL(versions.last, 101);
    rpi_shared_versions_fini(&versions);
    end();
}

static void versions_live_while_a_task_sees_them(void)
{
    begin();
    rpi_shared_versions_init(&versions, &hook, 3);
    put("a", 1);
    hold(1);
    put("b", 1);
    hold(2);
    hold(2);
    put("a", 2);
    put("c", 1);
    hold(4);
    put("b", 0); /* 5 */
    put("a", 3);
    CU_ASSERT_PTR_NOT_NULL(rpi_shared_versions_find(&versions, 6));
    CU_ASSERT_EQUAL(count_of(&versions.live), 6);
    rpi_shared_versions_release(&versions, 2);
    rpi_shared_versions_release(&versions, 1); /* version 1 is still seen from epoch 2 */
    CU_ASSERT_PTR_NOT_NULL(rpi_shared_versions_find(&versions, 1));
    rpi_shared_versions_release(&versions, 2);
    CU_ASSERT_PTR_NULL(rpi_shared_versions_find(&versions, 1));
    CU_ASSERT_PTR_NOT_NULL(rpi_shared_versions_find(&versions, 2)); /* "b", seen from epoch 4 */
    CU_ASSERT_PTR_NOT_NULL(rpi_shared_versions_find(&versions, 5));
    rpi_shared_versions_release(&versions, 4);
    CU_ASSERT_PTR_NULL(rpi_shared_versions_find(&versions, 2));
    CU_ASSERT_PTR_NULL(rpi_shared_versions_find(&versions, 3));
    CU_ASSERT_PTR_NULL(rpi_shared_versions_find(&versions, 5)); /* nothing to remove any more */
    CU_ASSERT_PTR_NOT_NULL(rpi_shared_versions_find(&versions, 4));
    hold(6);
    rpi_shared_versions_release(&versions, 6); /* the current epoch stays */
    CU_ASSERT_EQUAL(versions.current, 6);
    hold(6);
    rpi_shared_versions_fini(&versions);
    end();
}

static void versions_without_memory(void)
{
    const struct rpi_shm segment = { .size = 5, .fd = -1 };
    for (uint64_t fail = 1; fail <= 3; fail++) {
        begin();
        rpi_shared_versions_init(&versions, &hook, 3);
        memory.fail_at = fail;
        CU_ASSERT_EQUAL(rpi_shared_versions_add(&versions, "a", &segment), RP_ERR_NOMEM);
        CU_ASSERT(versions.current == 0 && rpi_list_empty(&versions.live));
        put("a", 5);
        CU_ASSERT_EQUAL(versions.current, 1);
        rpi_shared_versions_fini(&versions);
        end();
    }
}

/* ---- two engines */

enum { WORKERS = 3 };

static const char *names[] = { "f" };
static rp_fn *functions[] = { NULL };
static struct rpi_registry registry = { .count = 1, .names = names, .functions = functions };
static struct rpi_master master;
static struct rpi_worker workers[WORKERS + 1];
static bool local[WORKERS + 1]; /* it finds what rank 0 has */
static bool no_room[WORKERS + 1];
static char bytes[6] = "hello";
static int filled_count;

static void open_worker(int worker)
{
    struct rpi_worker_config config = { .alloc = hook, .batch_limit = 2048, .functions = 1 };
    rpi_worker_init(&workers[worker], &config);
}

static void open_engines(void)
{
    begin();
    struct rpi_master_config config = { .alloc = hook,
                                        .registry = &registry,
                                        .workers = WORKERS,
                                        .batch_limit = 2048,
                                        .first_generation = 5 };
    CU_ASSERT_EQUAL_FATAL(rpi_master_init(&master, &config), RP_OK);
    filled_count = 0;
    for (int i = 1; i <= WORKERS; i++) {
        open_worker(i);
        master.roster.seats[i].pid = 100 + i;
        master.roster.seats[i].host = "there";
        local[i] = no_room[i] = false;
    }
}

static void close_engines(void)
{
    for (int i = 1; i <= WORKERS; i++)
        rpi_worker_fini(&workers[i]);
    rpi_master_fini(&master);
    end();
}

static bool work(int worker, struct rpi_shared_datum *datum)
{
    if (datum->state == RPI_SEEK) {
        bool there = datum->pid > 100 ? !no_room[datum->pid - 100] : local[worker];
        datum->segment.data = there ? bytes : NULL;
        return there;
    }
    if (datum->state != RPI_MAKE)
        return true;
    datum->segment.data = no_room[worker] ? NULL : bytes;
    datum->segment.fd = no_room[worker] ? -1 : 40 + worker;
    return !no_room[worker];
}

/* Everything that one side has for the other. */
static bool deliver(void)
{
    bool any = false;
    for (struct rpi_batch *batch; (batch = rpi_master_outgoing(&master)); any = true) {
        uint16_t sends = batch->sends;
        for (int again = 1;
             rpi_worker_receive(&workers[batch->peer], batch->bytes, batch->size) == RP_ERR_NOMEM;
             again--)
            CU_ASSERT(again > 0);
        filled_count += batch->piece_count;
        while (sends--)
            rpi_master_sent(&master, batch);
    }
    for (int i = 1; i <= WORKERS; i++) {
        for (struct rpi_shared_datum *datum; (datum = rpi_shared_fetch_work(&workers[i]));
             any = true)
            if (!rpi_shared_fetch_worked(&workers[i], datum, work(i, datum)))
                CU_ASSERT(memory.refused > 0);
        for (struct rpi_arrival *arrival; (arrival = rpi_worker_incoming(&workers[i])); any = true)
            rpi_worker_arrived(&workers[i], arrival);
        for (struct rpi_batch *batch; (batch = rpi_worker_outgoing(&workers[i])); any = true) {
            for (int again = 1;
                 rpi_master_receive(&master, i, batch->bytes, batch->size, 1) == RP_ERR_NOMEM;
                 again--)
                CU_ASSERT(again > 0);
            rpi_worker_sent(&workers[i], batch);
        }
    }
    return any;
}

static uint64_t submit_to(int worker)
{
    const struct rpi_options there = { .worker = worker, .hard = true };
    const struct rpi_request request = { .options = &there };
    uint64_t id = 0;
    while (rpi_master_submit(&master, &request, 1, &id) == RP_ERR_NOMEM)
        CU_ASSERT(memory.refused == 1);
    return id;
}

/* The next task of this worker, as far as it comes without another's help; NULL in it: nothing of
 * that name. */
static bool run(int worker, const char *name, uint64_t *number, bool *missing)
{
    struct rpi_task task;
    struct rpi_result result = { .status = RP_OK, .message = "" };
    if (!rpi_worker_next(&workers[worker], &task))
        return false;
    const struct rpi_shared_datum *datum = rpi_shared_cache_named(&workers[worker].shared_cache,
                                                                  name, task.epoch);
    *number = datum ? datum->number : 0;
    *missing = task.missing;
    rpi_worker_done(&workers[worker], &task, &result, 1e-3);
    rpi_worker_flush(&workers[worker]);
    return true;
}

static void expect(int worker, const char *name, uint64_t number)
{
    uint64_t found = UINT64_MAX;
    bool missing = false, ran = false;
    for (int turn = 0; turn < 20 && !ran; turn++) {
        rpi_master_dispatch(&master, 1);
        (void)deliver();
        ran = run(worker, name, &found, &missing);
    }
    CU_ASSERT(ran && !missing);
    CU_ASSERT_EQUAL(found, number);
    while (deliver()) {}
    rpi_master_dispatch(&master, 1);
    while (deliver()) {}
}

static void share(const char *name, uint64_t size)
{
    const struct rpi_shm segment = { .data = bytes, .size = size, .fd = 3 };
    while (rpi_master_share(&master, name, &segment) == RP_ERR_NOMEM)
        CU_ASSERT(memory.refused == 1);
}

static void one_worker_of_a_host_is_filled(void)
{
    open_engines();
    share("a", 6);
    for (int i = 1; i <= WORKERS; i++)
        (void)submit_to(i);
    for (int i = 1; i <= WORKERS; i++)
        expect(i, "a", 1);
    CU_ASSERT_EQUAL(filled_count, 1);
    CU_ASSERT_EQUAL(master.unsettled, 0);
    close_engines();
}

static void on_rank_0s_host_none_is(void)
{
    open_engines();
    local[1] = local[2] = local[3] = true;
    share("a", 6);
    for (int i = 1; i <= WORKERS; i++) {
        (void)submit_to(i);
        expect(i, "a", 1);
    }
    CU_ASSERT_EQUAL(filled_count, 0);
    close_engines();
}

static void each_host_is_filled(void)
{
    open_engines();
    master.roster.seats[2].host = "elsewhere";
    share("a", 6);
    for (int i = 1; i <= WORKERS; i++)
        (void)submit_to(i);
    for (int i = 1; i <= WORKERS; i++)
        expect(i, "a", 1);
    CU_ASSERT_EQUAL(filled_count, 2);
    close_engines();
}

/* Worker 1 has no room: its task fails, and the others go on without it. */
static void a_worker_without_room(void)
{
    uint64_t number;
    bool missing = false, ran = false;
    open_engines();
    no_room[1] = true;
    share("a", 6);
    for (int i = 1; i <= WORKERS; i++)
        (void)submit_to(i);
    for (int turn = 0; turn < 20 && !ran; turn++) {
        rpi_master_dispatch(&master, 1);
        (void)deliver();
        ran = run(1, "a", &number, &missing);
    }
    CU_ASSERT(ran && missing);
    expect(2, "a", 1);
    expect(3, "a", 1);
    CU_ASSERT_EQUAL(filled_count, 1);
    (void)submit_to(1); /* it tries again, and finds its neighbour's */
    expect(1, "a", 1);
    CU_ASSERT_EQUAL(filled_count, 1);
    close_engines();
}

static void say(int worker, enum rpi_share_what what)
{
    const struct rpi_share_message message = { .what = what, .version = 1, .fd = 41 };
    uint8_t said[RPI_SHARE_MOST];
    CU_ASSERT_EQUAL(rpi_master_receive(&master, worker, said, rpi_share_put(said, &message), 1),
                    RP_OK);
}

/* What rank 0 says to a worker now; 0: nothing. */
static enum rpi_share_what told(int worker)
{
    struct rpi_reader reader;
    struct rpi_share_message message = { 0 };
    for (struct rpi_batch *batch; (batch = rpi_master_outgoing(&master));) {
        if (batch->peer == worker) {
            CU_ASSERT_EQUAL(rpi_reader_open(&reader, batch->bytes, batch->size), RP_OK);
            CU_ASSERT_EQUAL(rpi_share_get(&reader, &message), RP_OK);
        }
        for (uint16_t sends = batch->sends; sends > 0; sends--)
            rpi_master_sent(&master, batch);
    }
    return message.what;
}

static void tell(int worker, enum rpi_share_what what)
{
    const struct rpi_share_message message = { .what = what, .version = 1, .fd = -1 };
    uint8_t said[RPI_SHARE_MOST];
    CU_ASSERT_EQUAL(rpi_worker_receive(&workers[worker], said, rpi_share_put(said, &message)),
                    RP_OK);
}

/* Ends the worker's next work on shared data as `done` says; returns its state, or RPI_KNOWN. */
static enum rpi_shared_state does(int worker, bool done)
{
    struct rpi_shared_datum *datum = rpi_shared_fetch_work(&workers[worker]);
    enum rpi_shared_state state = datum ? datum->state : RPI_KNOWN;
    if (datum && state == RPI_MAKE)
        datum->segment.data = bytes;
    if (datum)
        CU_ASSERT_TRUE(rpi_shared_fetch_worked(&workers[worker], datum, done));
    return state;
}

/* A version dies after a worker has made room for it, as its task was done elsewhere.  The worker's
 * copy of the task still runs, and so do the tasks after it. */
static void gone_behind_the_room(void)
{
    uint64_t number;
    bool missing = false;
    open_engines();
    share("a", 6);
    (void)submit_to(1);
    rpi_master_dispatch(&master, 1);
    (void)deliver();
    CU_ASSERT_FALSE(run(1, "a", &number, &missing));
    CU_ASSERT_EQUAL(does(1, false), RPI_SEEK);
    tell(1, RPI_SHARE_FILL);
    CU_ASSERT_EQUAL(does(1, true), RPI_MAKE);
    CU_ASSERT_FALSE(run(1, "a", &number, &missing));
    tell(1, RPI_SHARE_GONE);
    CU_ASSERT_EQUAL(does(1, true), RPI_REFUSED); /* the room is freed */
    CU_ASSERT_TRUE(run(1, "a", &number, &missing));
    CU_ASSERT_TRUE(missing);
    close_engines();
}

/* Rank 0 works too, and cannot map what it made itself: it waits for its neighbour like any other,
 * and is told what is dead. */
static void rank_0_as_a_worker(void)
{
    open_engines();
    master.roster.seats[0].host = "there";
    share("a", 6);
    CU_ASSERT_TRUE(rpi_shared_tell(&master, 0, 1));
    CU_ASSERT_EQUAL(told(0), RPI_SHARE_NEW);
    say(1, RPI_SHARE_WANT);
    CU_ASSERT_EQUAL(told(1), RPI_SHARE_FILL);
    say(0, RPI_SHARE_WANT);
    CU_ASSERT_EQUAL(told(0), 0); /* one of the host is enough */
    say(1, RPI_SHARE_ROOM);
    CU_ASSERT_EQUAL(told(1), RPI_SHARE_DATA);
    say(1, RPI_SHARE_HAVE);
    CU_ASSERT_EQUAL(told(0), RPI_SHARE_MAP);
    share("a", 0);
    CU_ASSERT_TRUE(rpi_shared_sweep(&master));
    CU_ASSERT_EQUAL(told(0), RPI_SHARE_DROP);
    close_engines();
}

/* Whether rank 0 says this to the worker now. */
static bool hears(int worker, enum rpi_share_what what)
{
    struct rpi_reader reader;
    struct rpi_share_message message = { 0 };
    bool heard = false;
    for (struct rpi_batch *batch; (batch = rpi_master_outgoing(&master));) {
        CU_ASSERT_EQUAL(rpi_reader_open(&reader, batch->bytes, batch->size), RP_OK);
        CU_ASSERT_EQUAL(rpi_share_get(&reader, &message), RP_OK);
        heard = heard || (batch->peer == worker && message.what == what);
        for (uint16_t sends = batch->sends; sends > 0; sends--)
            rpi_master_sent(&master, batch);
    }
    return heard;
}

/* A version dies while a worker waits for its neighbour to get it: no task that counts needs it any
 * more, but the worker has one that does, and others after it. */
static void gone_while_a_neighbour_fills(void)
{
    open_engines();
    share("a", 6);
    for (int i = 1; i <= WORKERS; i++)
        CU_ASSERT_TRUE(rpi_shared_tell(&master, i, 1));
    say(1, RPI_SHARE_WANT);
    CU_ASSERT_TRUE(hears(1, RPI_SHARE_FILL));
    say(2, RPI_SHARE_WANT);
    CU_ASSERT_FALSE(hears(2, RPI_SHARE_FILL));
    share("a", 0);
    CU_ASSERT_TRUE(rpi_shared_sweep(&master));
    CU_ASSERT_TRUE(hears(2, RPI_SHARE_GONE));
    close_engines();
}

/* A removed version dies with its last task, and its removal too, while tasks are being handed out:
 * the next batch must not see the version. */
static void dead_while_tasks_go_out(void)
{
    open_engines();
    share("a", 6);
    rpi_shared_versions_hold(&master.versions, 1);
    CU_ASSERT_TRUE(rpi_shared_tell(&master, 1, 1));
    CU_ASSERT_TRUE(hears(1, RPI_SHARE_NEW));
    share("b", 6);
    share("a", 0);
    rpi_master_dispatch(&master, 1);
    rpi_shared_versions_release(&master.versions, 1);
    CU_ASSERT_TRUE(rpi_shared_tell(&master, 1, 3));
    CU_ASSERT_TRUE(hears(1, RPI_SHARE_DROP));
    close_engines();
}

/* The process in a lost worker's place knows nothing of what the lost one was told, nor has it what
 * that one had. */
static void replaced_worker_is_told_anew(void)
{
    open_engines();
    share("a", 6);
    share("b", 6);
    (void)submit_to(1);
    expect(1, "a", 1);
    CU_ASSERT_EQUAL(filled_count, 2);
    CU_ASSERT_EQUAL(rpi_master_lost(&master, 1, 1), RP_OK);
    rpi_worker_fini(&workers[1]);
    open_worker(1);
    rpi_master_replaced(&master, 1, 101, 1);
    (void)submit_to(1);
    expect(1, "a", 1);
    CU_ASSERT_EQUAL(filled_count, 4);
    (void)submit_to(1);
    expect(1, "b", 2);
    share("a", 0);
    (void)submit_to(1);
    expect(1, "a", 0);
    close_engines();
}

/* What a worker knows follows what its tasks may see, and no more. */
static void dead_versions_are_dropped(void)
{
    open_engines();
    local[1] = local[2] = local[3] = true;
    (void)submit_to(1);
    share("a", 6);
    (void)submit_to(1);
    share("b", 6);
    share("a", 5);
    (void)submit_to(1);
    share("a", 0);
    (void)submit_to(1);
    expect(1, "a", 0);
    CU_ASSERT_EQUAL(count_of(&workers[1].shared_cache.data), 0);
    expect(1, "a", 1);
    expect(1, "a", 3);
    expect(1, "a", 0);
    CU_ASSERT_EQUAL(count_of(&master.versions.live), 1);
    CU_ASSERT_EQUAL(count_of(&master.versions.dying), 0);
    (void)submit_to(1);
    expect(1, "b", 2);
    CU_ASSERT_EQUAL(count_of(&workers[1].shared_cache.data), 1);
    CU_ASSERT_EQUAL(count_of(&workers[2].shared_cache.data), 0);
    (void)submit_to(2);
    expect(2, "b", 2);
    for (struct rpi_shared_version *version;
         (version = rpi_shared_versions_dead(&master.versions));)
        rpi_shared_version_free(&master.versions, version);
    close_engines();
}

/* Each request for memory in turn is refused once: nothing is lost, and no worker is filled
 * twice. */
static void each_allocation_fails(void)
{
    bool refused = true;
    for (uint64_t fail = 1; refused; fail++) {
        open_engines();
        memory.fail_at = memory.calls + fail;
        share("a", 6);
        for (int i = 1; i <= WORKERS; i++)
            (void)submit_to(i);
        share("a", 5);
        for (int i = 1; i <= WORKERS; i++)
            expect(i, "a", 1);
        (void)submit_to(2);
        expect(2, "a", 2);
        refused = memory.refused > 0;
        CU_ASSERT_EQUAL(filled_count, 2);
        CU_ASSERT_EQUAL(count_of(&workers[2].shared_cache.data), 1);
        CU_ASSERT_EQUAL(count_of(&master.versions.dead), 1);
        close_engines();
        if (fail > 500)
            CU_FAIL_FATAL("it asks for memory without end");
    }
}

static void bytes_nobody_made_room_for(void)
{
    uint8_t message[RPI_SHARE_MOST];
    struct rpi_share_message data = { .what = RPI_SHARE_DATA, .version = 1 };
    open_engines();
    uint32_t size = rpi_share_put(message, &data);
    CU_ASSERT_EQUAL(rpi_worker_receive(&workers[1], message, size), RP_ERR_BROKEN);
    data.what = RPI_SHARE_FILL;
    size = rpi_share_put(message, &data);
    CU_ASSERT_EQUAL(rpi_worker_receive(&workers[1], message, size),
                    RP_OK); /* it wanted that once */
    data.what = RPI_SHARE_WANT;
    size = rpi_share_put(message, &data);
    CU_ASSERT_EQUAL(rpi_master_receive(&master, 1, message, size, 1),
                    RP_OK); /* GONE is the answer */
    while (deliver()) {}
    close_engines();
}

static CU_TestInfo tests[] = {
    { "message_golden", message_golden },
    { "message_damaged", message_damaged },
    { "epoch_of_a_batch", epoch_of_a_batch },
    { "versions_without_tasks_die_at_once", versions_without_tasks_die_at_once },
    { "versions_live_while_a_task_sees_them", versions_live_while_a_task_sees_them },
    { "versions_without_memory", versions_without_memory },
    { "one_worker_of_a_host_is_filled", one_worker_of_a_host_is_filled },
    { "on_rank_0s_host_none_is", on_rank_0s_host_none_is },
    { "each_host_is_filled", each_host_is_filled },
    { "a_worker_without_room", a_worker_without_room },
    { "rank_0_as_a_worker", rank_0_as_a_worker },
    { "gone_behind_the_room", gone_behind_the_room },
    { "gone_while_a_neighbour_fills", gone_while_a_neighbour_fills },
    { "dead_while_tasks_go_out", dead_while_tasks_go_out },
    { "replaced_worker_is_told_anew", replaced_worker_is_told_anew },
    { "dead_versions_are_dropped", dead_versions_are_dropped },
    { "each_allocation_fails", each_allocation_fails },
    { "bytes_nobody_made_room_for", bytes_nobody_made_room_for },
    CU_TEST_INFO_NULL
};
static CU_SuiteInfo suites[] = { { "shared", NULL, NULL, NULL, NULL, tests }, CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
