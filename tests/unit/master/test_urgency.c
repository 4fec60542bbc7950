/* What an urgent task waits for is as urgent: the order in which rank 0 hands out. */
#include "bare_master.h"
#include "harness.h"
#include "master/urgency.h"

#include <stdlib.h>

static int middles;

/* ---- the application's side */

struct wish {
    int32_t priority, worker;
    double cost;
    uint32_t size; /* of its argument; 0: 8 */
    const struct rpi_key *key;
    bool borrow;
};

static uint8_t arg[100000];

static rp_status try_submit(struct wish wish, const uint64_t *after, size_t count, uint64_t *id)
{
    struct rpi_options options = {
        .priority = wish.priority, .cost = wish.cost, .worker = wish.worker, .hard = wish.worker > 0
    };
    rp_future inputs[4] = { 0 };
    for (size_t i = 0; i < count; i++)
        inputs[i].id = after[i];
    struct rpi_request request = { .arg = arg,
                                   .size = wish.size ? wish.size : 8,
                                   .borrow = wish.borrow,
                                   .after = inputs,
                                   .after_count = count,
                                   .key = wish.key,
                                   .options = rpi_options_are_default(&options) ? NULL : &options };
    return rpi_master_submit(&master, &request, now, id);
}

static uint64_t submit(struct wish wish, uint64_t after)
{
    uint64_t id = 0;
    CU_ASSERT_EQUAL_FATAL(try_submit(wish, &after, after != 0, &id), RP_OK);
    return id;
}

static void submit_middles(void)
{
    for (int i = 0; i < 30; i++)
        (void)submit((struct wish){ .priority = 1 }, 0);
}

static void begin(void)
{
    begin_master(1, NULL);
    memory.most = 0;
    middles = 30;
}

/* ---- the worker's side */

static void answer(const struct rpi_frame *task)
{
    uint8_t bytes[BATCH_LIMIT];
    struct rpi_writer writer;
    struct rpi_frame frame = {
        .id = task->id, .function = task->function, .attempt = task->attempt, .length = 8
    };
    rpi_writer_open(&writer, bytes, sizeof bytes);
    rpi_wire_put_payload(rpi_writer_frame(&writer, &frame), "a result", 8);
    rpi_writer_close(&writer, RPI_RESULTS, 1000000000);
    CU_ASSERT_EQUAL(rpi_master_receive(&master, 1, bytes, writer.used, now), RP_OK);
}

/* Plays the worker until nothing goes out any more; returns how many went before `id`, which must
 * go. */
static int before(uint64_t id)
{
    int count = 0, found = -1;
    rpi_master_dispatch(&master, now);
    for (struct rpi_batch *batch; (batch = rpi_master_outgoing(&master));
         rpi_master_dispatch(&master, now)) {
        struct rpi_reader reader;
        struct rpi_frame frames[300];
        int frame_count = 0;
        CU_ASSERT_EQUAL_FATAL(rpi_reader_open(&reader, batch->bytes, batch->size), RP_OK);
        bool tasks = reader.kind == RPI_TASKS;
        while (reader.left)
            CU_ASSERT_EQUAL_FATAL(rpi_reader_frame(&reader, &frames[frame_count++]), RP_OK);
        for (int i = 0; tasks && i < frame_count; i++, count++)
            if (frames[i].id == id)
                found = count;
        for (uint16_t i = batch->sends; i > 0; i--)
            rpi_master_sent(&master, batch);
        for (int i = 0; tasks && i < frame_count; i++)
            answer(&frames[i]);
    }
    CU_ASSERT_EQUAL(rpi_master_queued(&master), 0);
    CU_ASSERT_TRUE(found >= 0);
    return found;
}

static void end(void)
{
    CU_ASSERT_EQUAL(master.unsettled, 0);
    CU_ASSERT_EQUAL(master.ready.queue.tasks, 0);
    CU_ASSERT_EQUAL(master.ready.queue.bytes, 0);
    end_master();
}

/* ---- cases */

static void straight(void)
{
    static const struct wish lows[] = { { 0 },
                                        { .size = 1000 },
                                        { .priority = -3 },
                                        { .cost = 2 },
                                        { .worker = 1 },
                                        { .priority = -1, .worker = 1 },
                                        { .size = 70000 },
                                        { .size = 70000, .priority = -1 },
                                        { .size = 70000, .borrow = true } };
    for (size_t i = 0; i < sizeof lows / sizeof *lows; i++) {
        begin();
        (void)submit((struct wish){ 0 }, 0);
        uint64_t low = submit(lows[i], 0);
        (void)submit((struct wish){ 0 }, 0);
        submit_middles();
        (void)submit((struct wish){ .priority = 2 }, low);
        CU_ASSERT_EQUAL(before(low), 0);
        end();
    }
}

static void urgent_itself_goes_next(void)
{
    begin();
    uint64_t low = submit((struct wish){ 0 }, 0);
    submit_middles();
    uint64_t urgent = submit((struct wish){ .priority = 2 }, low);
    CU_ASSERT_TRUE(before(urgent) < 5); /* what was sent ahead goes before it */
    end();
}

/* Without one that is more urgent nothing changes. */
static void no_more_urgent(void)
{
    begin();
    uint64_t low = submit((struct wish){ 0 }, 0);
    submit_middles();
    (void)submit((struct wish){ .priority = 0 }, low);
    (void)submit((struct wish){ .priority = -7 }, low);
    CU_ASSERT_TRUE(rpi_list_empty(&master.deps.urgent));
    CU_ASSERT_EQUAL(before(low), middles);
    end();
}

/* As urgent as the one that waits, no more. */
static void only_as_urgent(void)
{
    begin();
    uint64_t low = submit((struct wish){ 0 }, 0);
    submit_middles();
    (void)submit((struct wish){ .priority = 5 }, 0);
    (void)submit((struct wish){ .priority = 4 }, 0);
    (void)submit((struct wish){ .priority = 3 }, low);
    (void)submit((struct wish){ .priority = 4 }, low);
    CU_ASSERT_EQUAL(before(low), 1); /* it was submitted before the other one of 4 */
    end();
}

static void through_others(void)
{
    begin();
    uint64_t low = submit((struct wish){ 0 }, 0), other = submit((struct wish){ 0 }, 0);
    uint64_t second = submit((struct wish){ 0 }, low),
             third = submit((struct wish){ .priority = -2 }, second);
    submit_middles();
    const uint64_t both[] = { other, third };
    uint64_t id;
    CU_ASSERT_EQUAL(try_submit((struct wish){ .priority = 9 }, both, 2, &id), RP_OK);
    CU_ASSERT_TRUE(before(third) < 8); /* what was sent ahead goes before it */
    end();
}

static void raised_more_than_once(void)
{
    begin();
    uint64_t low = submit((struct wish){ 0 }, 0);
    submit_middles();
    for (int32_t priority = 1; priority <= 20; priority++) {
        (void)submit((struct wish){ .priority = priority }, low);
        if (priority % 3)
            rpi_urgency_spread(&master);
    }
    (void)submit((struct wish){ .priority = 20 }, 0);
    CU_ASSERT_EQUAL(before(low), 0);
    end();
}

/* Of tasks that share options one is raised, and the others stay. */
static void others_stay(void)
{
    begin();
    uint64_t first = submit((struct wish){ .cost = 1 }, 0),
             second = submit((struct wish){ .cost = 1 }, 0);
    submit_middles();
    (void)submit((struct wish){ .priority = 2 }, second);
    rpi_urgency_spread(&master);
    CU_ASSERT_EQUAL(before(first), middles + 2);
    end();
}

static void same_key(void)
{
    const struct rpi_key key = { .bytes = { .data = "key", .size = 3 }, .hash = 7 };
    begin();
    uint64_t low = submit((struct wish){ .key = &key }, 0);
    submit_middles();
    (void)submit((struct wish){ .key = &key, .priority = 2 }, 0);
    CU_ASSERT_EQUAL(state_of(low), RP_QUEUED);
    rpi_urgency_spread(&master);
    struct rpi_entry entry;
    CU_ASSERT_TRUE(rpi_taskq_peek(&master.ready.queue, &entry));
    CU_ASSERT_EQUAL(entry.id, low);
    rpi_master_drop_queued(&master);
    end_master();
}

static void map(void)
{
    static uint8_t items[64];
    const struct rpi_map_request request = { .in = items, .in_size = 8, .count = 8, .chunk = 8 };
    struct rpi_entry entry;
    uint64_t id;
    begin();
    (void)submit((struct wish){ 0 }, 0);
    CU_ASSERT_EQUAL_FATAL(rpi_master_map(&master, &request, now, &id), RP_OK);
    submit_middles();
    (void)submit((struct wish){ .priority = 2 }, id);
    rpi_urgency_spread(&master);
    CU_ASSERT_TRUE(rpi_taskq_peek(&master.ready.queue, &entry));
    CU_ASSERT_TRUE(entry.id == id && entry.flags == RPI_ENTRY_MAP);
    rpi_master_drop_queued(&master);
    end_master();
}

static void cancelled_before(void)
{
    begin();
    uint64_t low = submit((struct wish){ 0 }, 0);
    submit_middles();
    uint64_t urgent = submit((struct wish){ .priority = 2 }, low);
    CU_ASSERT_EQUAL(rpi_master_cancel(&master, urgent, rpi_master_future(&master, urgent), now),
                    RP_OK);
    CU_ASSERT_EQUAL(before(low), middles);
    end();
}

/* The queue is dropped: there is nothing to raise. */
static void dropped(void)
{
    begin();
    uint64_t low = submit((struct wish){ 0 }, 0);
    (void)submit((struct wish){ .priority = 2 }, low);
    rpi_master_drop_queued(&master);
    rpi_master_dispatch(&master, now);
    CU_ASSERT_PTR_NULL(rpi_master_outgoing(&master));
    end_master();
}

/* ---- much of it: each of these would take minutes, were a submission or a dispatch as long as the
 * queue or the chain */

#define DEEP 100000

static void deep_chain(void)
{
    begin();
    uint64_t first = submit((struct wish){ 0 }, 0), last = first;
    submit_middles();
    for (int i = 1; i < DEEP; i++)
        last = submit((struct wish){ .priority = i }, last);
    CU_ASSERT_EQUAL(before(first), 0);
    end();
}

static void wide(void)
{
    static uint64_t ids[DEEP];
    begin();
    for (size_t i = 0; i < DEEP; i++)
        ids[i] = submit((struct wish){ 0 }, 0);
    submit_middles();
    for (size_t i = DEEP; i-- > 0;) {
        (void)submit((struct wish){ .priority = 2 }, ids[i]);
        rpi_urgency_spread(&master);
    }
    CU_ASSERT_EQUAL(before(ids[0]), 0);
    end();
}

/* ---- memory */

static void without_memory(void)
{
    static const struct wish lows[] = {
        { 0 }, { .size = 70000 }, { .priority = -1 }, { .cost = 1, .worker = 1 }
    };
    for (size_t i = 0; i < sizeof lows / sizeof *lows; i++) {
        uint64_t call = 1;
        for (bool refused = true; refused && call < 50; call++) {
            begin();
            uint64_t low = submit(lows[i], 0), second = submit((struct wish){ 0 }, low);
            submit_middles();
            (void)submit((struct wish){ .priority = 2 }, second);
            memory.calls = 0;
            memory.refused = 0;
            memory.fail_at = call;
            rpi_urgency_spread(&master);
            refused = memory.refused > 0;
            CU_ASSERT_EQUAL(refused, !rpi_list_empty(&master.deps.urgent));
            memory.fail_at = 0;
            CU_ASSERT_EQUAL(before(low), 0);
            end();
        }
        CU_ASSERT_TRUE(call > 3);
    }
}

static CU_TestInfo tests[] = { { "straight", straight },
                               { "urgent_itself_goes_next", urgent_itself_goes_next },
                               { "no_more_urgent", no_more_urgent },
                               { "only_as_urgent", only_as_urgent },
                               { "through_others", through_others },
                               { "raised_more_than_once", raised_more_than_once },
                               { "others_stay", others_stay },
                               { "same_key", same_key },
                               { "map", map },
                               { "cancelled_before", cancelled_before },
                               { "dropped", dropped },
                               { "deep_chain", deep_chain },
                               { "wide", wide },
                               { "without_memory", without_memory },
                               CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "urgency", register_add, NULL, NULL, NULL, tests },
                                 CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
