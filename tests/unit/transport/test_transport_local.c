/* Both ends of a transport in one process. */
#include "harness.h"
#include "memory.h"
#include "transport/transport_local.h"

#include <stdlib.h>
#include <string.h>

static struct memory memory;
static struct rpi_transport *master, *worker;

/* What an end's poll reported. */
struct heard {
    char text[200];      /* batches: each its peer and bytes */
    char sent[50];       /* cookies, a letter each */
    char received[50];   /* likewise */
    int refuse_batches;  /* how many to refuse */
    int refuse_received; /* likewise */
};

static void add(char *text, size_t room, const void *data, size_t size)
{
    size_t used = strlen(text);
    CU_ASSERT_TRUE_FATAL(used + size < room);
    memcpy(text + used, data, size);
    text[used + size] = '\0';
}

static bool on_batch(void *context, int peer, const void *data, size_t size)
{
    struct heard *heard = context;
    char name = (char)('0' + peer);
    if (heard->refuse_batches > 0) {
        heard->refuse_batches--;
        return false;
    }
    add(heard->text, sizeof heard->text, &name, 1);
    add(heard->text, sizeof heard->text, data, size);
    return true;
}

static void on_sent(void *context, void *cookie)
{
    struct heard *heard = context;
    add(heard->sent, sizeof heard->sent, cookie, 1);
}

static bool on_received(void *context, void *cookie)
{
    struct heard *heard = context;
    if (heard->refuse_received > 0) {
        heard->refuse_received--;
        return false;
    }
    add(heard->received, sizeof heard->received, cookie, 1);
    return true;
}

static bool poll(struct rpi_transport *end, struct heard *heard)
{
    struct rpi_events events = {
        .batch = on_batch, .sent = on_sent, .received = on_received, .context = heard
    };
    bool any = true;
    CU_ASSERT_EQUAL(end->ops->poll(end, &events, &any), RP_OK);
    return any;
}

static void send(struct rpi_transport *end, int peer, const char *text, const char *cookie)
{
    bool done = true;
    CU_ASSERT_EQUAL(end->ops->send(end, peer, text, strlen(text), (void *)(uintptr_t)cookie, &done),
                    RP_OK);
    CU_ASSERT_FALSE(done);
}

static void send_large(struct rpi_transport *end, int peer, const char *text, const char *cookie)
{
    bool done = true;
    CU_ASSERT_EQUAL(
        end->ops->send_large(end, peer, text, strlen(text), (void *)(uintptr_t)cookie, &done),
        RP_OK);
    CU_ASSERT_FALSE(done);
}

static void post(struct rpi_transport *end, int peer, char *room, size_t size, const char *cookie)
{
    CU_ASSERT_EQUAL(end->ops->receive_large(end, peer, room, size, (void *)(uintptr_t)cookie),
                    RP_OK);
}

static void begin(void)
{
    memory = (struct memory){ 0 };
    struct rpi_alloc alloc = memory_hook(&memory);
    CU_ASSERT_EQUAL_FATAL(rpi_transport_local_open(&alloc, &master, &worker), RP_OK);
    CU_ASSERT_TRUE(master->peers == 1 && worker->peers == 1);
}

static void end(bool master_first)
{
    if (master_first)
        master->ops->close(master, true);
    worker->ops->close(worker, true);
    if (!master_first)
        master->ops->close(master, false);
    CU_ASSERT_EQUAL(memory.live, 0);
}

static void batches_in_order(void)
{
    struct heard at_master = { .text = "" }, at_worker = { .text = "" };
    begin();
    CU_ASSERT_FALSE(poll(master, &at_master));
    send(master, 1, "one", "a");
    send(master, 1, "two", "b");
    send(worker, 0, "three", "c");
    CU_ASSERT_TRUE(poll(worker, &at_worker));
    CU_ASSERT_STRING_EQUAL(at_worker.text, "0one0two"); /* peer 0 is the master */
    CU_ASSERT_STRING_EQUAL(at_worker.sent, "");
    CU_ASSERT_TRUE(poll(master, &at_master));
    CU_ASSERT_STRING_EQUAL(at_master.text, "1three");
    CU_ASSERT_STRING_EQUAL(at_master.sent, "ab"); /* once they were taken */
    CU_ASSERT_TRUE(poll(worker, &at_worker));
    CU_ASSERT_STRING_EQUAL(at_worker.sent, "c");
    CU_ASSERT_FALSE(poll(worker, &at_worker) || poll(master, &at_master));
    end(true);
}

static void refused_batch_comes_again(void)
{
    struct heard at_master = { .text = "" }, at_worker = { .refuse_batches = 2 };
    begin();
    send(master, 1, "one", "a");
    send(master, 1, "two", "b");
    CU_ASSERT_FALSE(poll(worker, &at_worker));
    (void)poll(master, &at_master);
    CU_ASSERT_STRING_EQUAL(at_master.sent, "");
    CU_ASSERT_FALSE(poll(worker, &at_worker));
    CU_ASSERT_TRUE(poll(worker, &at_worker));
    CU_ASSERT_STRING_EQUAL(at_worker.text, "0one0two");
    (void)poll(master, &at_master);
    CU_ASSERT_STRING_EQUAL(at_master.sent, "ab");
    end(false);
}

static void large_payloads_meet_their_rooms(void)
{
    struct heard at_master = { .text = "" }, at_worker = { .text = "" };
    char first[5] = "", second[9] = "";
    begin();
    send_large(master, 1, "long", "a"); /* sent before its room is there */
    CU_ASSERT_FALSE(poll(worker, &at_worker));
    post(worker, 0, first, 4, "x");
    post(worker, 0, second, 8, "y"); /* and after */
    send_large(master, 1, "much too", "b");
    CU_ASSERT_TRUE(poll(worker, &at_worker));
    CU_ASSERT_STRING_EQUAL(first, "long");
    CU_ASSERT_STRING_EQUAL(second, "much too");
    CU_ASSERT_STRING_EQUAL(at_worker.received, "xy");
    CU_ASSERT_TRUE(poll(master, &at_master));
    CU_ASSERT_STRING_EQUAL(at_master.sent, "ab");
    end(true);
}

static void refused_large_comes_again(void)
{
    struct heard at_master = { .refuse_received = 1 };
    char room[4] = "";
    begin();
    post(master, 1, room, 3, "x");
    send_large(worker, 0, "big", "a");
    (void)poll(master, &at_master);
    CU_ASSERT_STRING_EQUAL(at_master.received, "");
    CU_ASSERT_TRUE(poll(master, &at_master));
    CU_ASSERT_STRING_EQUAL(at_master.received, "x");
    CU_ASSERT_FALSE(poll(master, &at_master));
    end(true);
}

/* What is under way when an end closes is dropped, on either side first. */
static void closed_in_the_midst(void)
{
    for (int master_first = 0; master_first < 2; master_first++) {
        char room[10];
        struct heard at_worker = { .text = "" };
        begin();
        send(master, 1, "taken", "a");
        (void)poll(worker, &at_worker);
        send(master, 1, "not taken", "b");
        send(worker, 0, "nor this", "c");
        send_large(master, 1, "large", "d");
        post(master, 1, room, sizeof room, "e");
        end(master_first);
    }
}

/* A peer that is given up counts as ended: nothing comes from it, what is sent to it is done at
 * once, what was under way is dropped. */
static void forgotten(void)
{
    char room[10];
    bool done = false;
    struct heard at_master = { .text = "" };
    begin();
    send(worker, 0, "too late", "a");
    send(master, 1, "no one hears this", "b");
    post(master, 1, room, sizeof room, "c");
    send_large(worker, 0, "large", "d");
    master->ops->forget(master, 1);
    CU_ASSERT_FALSE(poll(master, &at_master));
    CU_ASSERT_EQUAL(master->ops->send(master, 1, "x", 1, NULL, &done), RP_OK);
    CU_ASSERT_TRUE(done);
    done = false;
    CU_ASSERT_EQUAL(master->ops->send_large(master, 1, "x", 1, NULL, &done), RP_OK);
    CU_ASSERT_TRUE(done);
    CU_ASSERT_EQUAL(master->ops->receive_large(master, 1, room, sizeof room, NULL), RP_OK);
    CU_ASSERT_FALSE(poll(master, &at_master));
    CU_ASSERT_STRING_EQUAL(at_master.text, "");
    CU_ASSERT_STRING_EQUAL(at_master.sent, "");
    CU_ASSERT_STRING_EQUAL(at_master.received, "");
    end(true);
}

static void without_memory(void)
{
    bool done;
    struct rpi_alloc alloc = memory_hook(&memory);
    for (uint64_t call = 1; call <= 2; call++) {
        memory = (struct memory){ .fail_at = call };
        CU_ASSERT_EQUAL(rpi_transport_local_open(&alloc, &master, &worker), RP_ERR_NOMEM);
        CU_ASSERT_EQUAL(memory.live, 0);
    }
    begin();
    struct heard at_worker = { .text = "" };
    char room[3];
    memory.fail_at = memory.calls + 1;
    memory.fail_on = true;
    CU_ASSERT_EQUAL(master->ops->send(master, 1, "x", 1, NULL, &done), RP_ERR_NOMEM);
    CU_ASSERT_EQUAL(master->ops->send_large(master, 1, "x", 1, NULL, &done), RP_ERR_NOMEM);
    CU_ASSERT_EQUAL(worker->ops->receive_large(worker, 0, room, 3, NULL), RP_ERR_NOMEM);
    memory.fail_on = false;
    CU_ASSERT_FALSE(poll(worker, &at_worker)); /* nothing was sent */
    send(master, 1, "x", "a");
    CU_ASSERT_TRUE(poll(worker, &at_worker));
    CU_ASSERT_STRING_EQUAL(at_worker.text, "0x");
    end(true);
}

static CU_TestInfo tests[] = { { "batches_in_order", batches_in_order },
                               { "refused_batch_comes_again", refused_batch_comes_again },
                               { "large_payloads_meet_their_rooms",
                                 large_payloads_meet_their_rooms },
                               { "refused_large_comes_again", refused_large_comes_again },
                               { "closed_in_the_midst", closed_in_the_midst },
                               { "forgotten", forgotten },
                               { "without_memory", without_memory },
                               CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "local", NULL, NULL, NULL, NULL, tests }, CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
