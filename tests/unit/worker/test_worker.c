/* The worker's engine: batches in, tasks one by one, results out. */
#include "harness.h"
#include "memory.h"
#include "worker/worker.h"

#include <stdlib.h>

#define LIMIT     RPI_BATCH_MIN
#define FUNCTIONS 4

static struct memory memory;
static struct rpi_worker worker;

/* ---- batches of tasks, as rank 0 writes them */

static uint8_t bytes[LIMIT];
static struct rpi_writer writer;

static void open_batch(void)
{
    rpi_writer_open(&writer, bytes, LIMIT);
}

static uint8_t *add_frame(struct rpi_frame frame)
{
    CU_ASSERT_TRUE_FATAL(rpi_writer_fits(&writer, rpi_frame_size(frame.flags, frame.length)));
    return rpi_writer_frame(&writer, &frame);
}

static void add_task(uint64_t id, const char *arg)
{
    uint32_t length = (uint32_t)strlen(arg);
    rpi_wire_put_payload(
        add_frame((struct rpi_frame){ .id = id, .function = 1, .attempt = 1, .length = length }),
        arg, length);
}

static void add_large(uint64_t id, uint32_t size)
{
    (void)add_frame(
        (struct rpi_frame){ .id = id, .attempt = 1, .flags = RPI_FRAME_LARGE, .length = size });
}

static rp_status give_kind(enum rpi_kind kind)
{
    rpi_writer_close(&writer, kind, 100);
    uint8_t *exact = test_room(NULL, writer.used);
    memcpy(exact, bytes, writer.used);
    rp_status status = rpi_worker_receive(&worker, exact, writer.used);
    memset(exact, 0x66, writer.used); /* it was copied */
    free(exact);
    return status;
}

static rp_status give(void)
{
    return give_kind(RPI_TASKS);
}

static rp_status stop(uint64_t how)
{
    rpi_writer_open(&writer, bytes, LIMIT);
    rpi_writer_close(&writer, RPI_STOP, how);
    return rpi_worker_receive(&worker, bytes, writer.used);
}

static void begin(void)
{
    memory = (struct memory){ .most = 1 << 24 };
    struct rpi_worker_config config = { .alloc = memory_hook(&memory),
                                        .batch_limit = LIMIT,
                                        .functions = FUNCTIONS };
    rpi_worker_init(&worker, &config);
    open_batch();
}

static void end(void)
{
    rpi_worker_fini(&worker);
    CU_ASSERT_EQUAL(memory.live, 0);
}

/* ---- its results */

static struct rpi_task next_task(uint64_t id)
{
    struct rpi_task task = { .id = 0 };
    CU_ASSERT_TRUE_FATAL(rpi_worker_next(&worker, &task));
    CU_ASSERT_EQUAL(task.id, id);
    return task;
}

static void no_task(void)
{
    struct rpi_task task;
    CU_ASSERT_FALSE(rpi_worker_next(&worker, &task));
}

static void answer(const struct rpi_task *task, const void *data, size_t size, double ran)
{
    struct rpi_result result = { .status = RP_OK, .message = "", .data = data, .size = size };
    if (!rpi_worker_fits(&worker, &result))
        rpi_worker_flush(&worker);
    CU_ASSERT_TRUE(rpi_worker_fits(&worker, &result));
    rpi_worker_done(&worker, task, &result, ran);
}

static void run_next(uint64_t id, double ran)
{
    struct rpi_task task = next_task(id);
    answer(&task, task.arg, task.size, ran);
}

static struct rpi_batch *sent_batch(struct rpi_reader *reader)
{
    struct rpi_batch *batch = rpi_worker_outgoing(&worker);
    CU_ASSERT_PTR_NOT_NULL_FATAL(batch);
    CU_ASSERT_EQUAL(batch->peer, 0);
    CU_ASSERT_EQUAL_FATAL(rpi_reader_open(reader, batch->bytes, batch->size), RP_OK);
    CU_ASSERT_EQUAL(reader->kind, RPI_RESULTS);
    return batch;
}

static struct rpi_frame next_frame(struct rpi_reader *reader, uint64_t id)
{
    struct rpi_frame frame = { 0 };
    CU_ASSERT_TRUE_FATAL(reader->left > 0);
    CU_ASSERT_EQUAL_FATAL(rpi_reader_frame(reader, &frame), RP_OK);
    CU_ASSERT_EQUAL(frame.id, id);
    return frame;
}

/* ---- tests */

static void tasks_in_their_order(void)
{
    struct rpi_reader reader;
    begin();
    no_task();
    add_task(11, "eleven");
    add_task(12, "");
    add_frame((struct rpi_frame){
        .id = 13, .function = 3, .attempt = 9, .flags = RPI_FRAME_NUMBER, .number = 77 });
    CU_ASSERT_EQUAL(give(), RP_OK);
    open_batch();
    add_task(14, "fourteen");
    CU_ASSERT_EQUAL(give(), RP_OK);
    struct rpi_task task = next_task(11);
    CU_ASSERT_TRUE(task.number == 100 && task.function == 1 && task.attempt == 1 && !task.is_chunk);
    CU_ASSERT_TRUE(task.size == 6 && memcmp(task.arg, "eleven", 6) == 0);
    answer(&task, "XI", 2, -1);
    task = next_task(12);
    CU_ASSERT_TRUE(task.number == 101 && task.size == 0);
    answer(&task, "", 0, -1);
    task = next_task(13);
    CU_ASSERT_TRUE(task.number == 77 && task.function == 3 && task.attempt == 9);
    answer(&task, "XIII", 4, 2e-6);
    task = next_task(14);
    answer(&task, "XIV", 3, -1);
    no_task();
    rpi_worker_spent(&worker, 1e-6);
    rpi_worker_spent(&worker, 5e-6);
    rpi_worker_flush(&worker);
    struct rpi_batch *batch = sent_batch(&reader);
    CU_ASSERT_EQUAL(reader.word, 2000); /* ns: 6 us for three */
    CU_ASSERT_EQUAL(reader.left, 4);
    struct rpi_frame frame = next_frame(&reader, 11);
    CU_ASSERT_TRUE(frame.length == 2 && frame.function == 1 && memcmp(frame.payload, "XI", 2) == 0);
    frame = next_frame(&reader, 12);
    CU_ASSERT_TRUE(frame.length == 0 && frame.flags == 0);
    frame = next_frame(&reader, 13);
    CU_ASSERT_TRUE(frame.flags == RPI_FRAME_RAN && frame.ran == 2000 && frame.attempt == 9);
    (void)next_frame(&reader, 14);
    rpi_worker_sent(&worker, batch);
    CU_ASSERT_PTR_NULL(rpi_worker_outgoing(&worker));
    end();
}

static void nothing_to_flush(void)
{
    begin();
    rpi_worker_flush(&worker);
    CU_ASSERT_PTR_NULL(rpi_worker_outgoing(&worker));
    add_task(1, "x");
    CU_ASSERT_EQUAL(give(), RP_OK);
    (void)next_task(1);
    rpi_worker_flush(&worker);
    CU_ASSERT_PTR_NULL(rpi_worker_outgoing(&worker));
    end();
}

static void failures(void)
{
    struct rpi_reader reader;
    char message[RPI_MESSAGE_MAX + 1], longest[RPI_MESSAGE_MAX + 1];
    rp_status status;
    int code;
    memset(longest, 'm', RPI_MESSAGE_MAX);
    longest[RPI_MESSAGE_MAX] = '\0';
    const char *words[] = { "", "why not", longest };
    begin();
    for (uint64_t i = 0; i < 3; i++)
        add_task(i + 1, "a");
    CU_ASSERT_EQUAL(give(), RP_OK);
    for (uint64_t i = 0; i < 3; i++) {
        struct rpi_task task = next_task(i + 1);
        struct rpi_result result = {
            .status = RP_ERR_TASK, .code = -5, .message = words[i], .data = "not this", .size = 8
        };
        if (!rpi_worker_fits(&worker, &result))
            rpi_worker_flush(&worker);
        rpi_worker_done(&worker, &task, &result, 1);
    }
    rpi_worker_flush(&worker);
    sent_batch(&reader);
    for (uint64_t i = 0; i < 3; i++) {
        struct rpi_frame frame = next_frame(&reader, i + 1);
        CU_ASSERT_EQUAL(frame.flags, RPI_FRAME_FAILED | RPI_FRAME_RAN);
        CU_ASSERT_EQUAL(frame.ran, 1000000000);
        CU_ASSERT_EQUAL(rpi_failure_get(frame.payload, frame.length, &status, &code, message),
                        RP_OK);
        CU_ASSERT_EQUAL(status, RP_ERR_TASK);
        CU_ASSERT_EQUAL(code, -5);
        CU_ASSERT_STRING_EQUAL(message, words[i]);
    }
    end();
}

/* Results of which not all fit into one batch go in several, in their order. */
static void full_batches(void)
{
    struct rpi_reader reader;
    uint8_t data[600];
    begin();
    for (uint64_t id = 1; id <= 20; id++)
        add_task(id, "t");
    CU_ASSERT_EQUAL(give(), RP_OK);
    for (uint64_t id = 1; id <= 20; id++) {
        struct rpi_task task = next_task(id);
        memset(data, (int)id, sizeof data);
        answer(&task, data, sizeof data, 1e-3);
    }
    rpi_worker_flush(&worker);
    uint64_t id = 1;
    int batches = 0;
    for (; id <= 20; batches++) {
        struct rpi_batch *batch = sent_batch(&reader);
        CU_ASSERT_TRUE(batch->size <= LIMIT);
        while (reader.left) {
            struct rpi_frame frame = next_frame(&reader, id);
            CU_ASSERT_TRUE(frame.payload[0] == id && frame.payload[599] == id);
            id++;
        }
        rpi_worker_sent(&worker, batch);
    }
    CU_ASSERT_EQUAL(batches, 7); /* three in each */
    end();
}

static void large_results(void)
{
    struct rpi_reader reader;
    struct rpi_alloc alloc = memory_hook(&memory);
    enum { COUNT = RPI_BATCH_PIECES + 2 };
    begin();
    for (uint64_t id = 1; id <= COUNT; id++)
        add_task(id, "t");
    CU_ASSERT_EQUAL(give(), RP_OK);
    for (uint64_t id = 1; id <= COUNT; id++) {
        struct rpi_task task = next_task(id);
        uint32_t size = LIMIT + (uint32_t)id;
        struct rpi_result result = { .message = "",
                                     .owned = rpi_buffer_new(&alloc, size),
                                     .size = size };
        result.data = result.owned;
        memset(result.owned, (int)id, size);
        if (!rpi_worker_fits(&worker, &result))
            rpi_worker_flush(&worker);
        rpi_worker_done(&worker, &task, &result, 1e-3);
    }
    rpi_worker_flush(&worker);
    static const uint16_t pieces[] = { RPI_BATCH_PIECES, 2 };
    uint64_t id = 1;
    for (int b = 0; b < 2; b++) {
        struct rpi_batch *batch = sent_batch(&reader);
        CU_ASSERT_EQUAL_FATAL(batch->piece_count, pieces[b]);
        CU_ASSERT_EQUAL(batch->sends, pieces[b] + 1);
        for (uint16_t i = 0; i < batch->piece_count; i++, id++) {
            struct rpi_frame frame = next_frame(&reader, id);
            CU_ASSERT_TRUE(frame.flags & RPI_FRAME_LARGE && frame.length == LIMIT + id);
            CU_ASSERT_EQUAL(batch->pieces[i].size, frame.length);
            CU_ASSERT_EQUAL(((const uint8_t *)batch->pieces[i].data)[frame.length - 1], id);
        }
        uint64_t live = memory.live;
        for (uint16_t sends = batch->sends, i = 0; i < sends; i++) {
            CU_ASSERT_EQUAL(memory.live, live); /* its pieces stay until all is sent */
            rpi_worker_sent(&worker, batch);
        }
        CU_ASSERT_EQUAL(memory.live, live - pieces[b]);
    }
    end();
}

/* A short result in a buffer of its own is copied, and the buffer is freed. */
static void short_result_with_a_buffer(void)
{
    struct rpi_alloc alloc = memory_hook(&memory);
    struct rpi_reader reader;
    begin();
    add_task(1, "t");
    CU_ASSERT_EQUAL(give(), RP_OK);
    struct rpi_task task = next_task(1);
    uint64_t live = memory.live;
    struct rpi_result result = { .message = "", .owned = rpi_buffer_new(&alloc, 5), .size = 5 };
    result.data = memcpy(result.owned, "short", 5);
    CU_ASSERT_TRUE(rpi_worker_fits(&worker, &result));
    rpi_worker_done(&worker, &task, &result, 0);
    CU_ASSERT_EQUAL(memory.live, live);
    rpi_worker_flush(&worker);
    sent_batch(&reader);
    CU_ASSERT_EQUAL(memcmp(next_frame(&reader, 1).payload, "short", 5), 0);
    end();
}

/* A task whose large argument has not arrived holds up the tasks after it; large arguments may
 * arrive in any order. */
static void large_arguments(void)
{
    begin();
    add_task(1, "before");
    add_large(2, 5000);
    add_task(3, "between");
    add_large(4, 3000);
    CU_ASSERT_EQUAL(give(), RP_OK);
    struct rpi_arrival *first = rpi_worker_incoming(&worker),
                       *second = rpi_worker_incoming(&worker);
    CU_ASSERT_TRUE_FATAL(first && second && !rpi_worker_incoming(&worker));
    CU_ASSERT_TRUE(first->size == 5000 && second->size == 3000 && first->peer == 0);
    run_next(1, 0);
    no_task();
    memset(second->buffer, 4, 3000);
    rpi_worker_arrived(&worker, second);
    no_task();
    memset(first->buffer, 2, 5000);
    rpi_worker_arrived(&worker, first);
    struct rpi_task task = next_task(2);
    CU_ASSERT_TRUE(task.size == 5000 && ((const uint8_t *)task.arg)[4999] == 2);
    uint64_t live = memory.live;
    answer(&task, "ok", 2, 0);
    CU_ASSERT_EQUAL(memory.live, live - 2); /* the argument is gone with its task */
    run_next(3, 0);
    task = next_task(4);
    CU_ASSERT_TRUE(task.size == 3000 && ((const uint8_t *)task.arg)[0] == 4);
    end(); /* in the midst of it */
}

static void chunks(void)
{
    struct rpi_reader reader;
    struct rpi_frame chunk = {
        .id = 5, .function = 2, .attempt = 1, .flags = RPI_FRAME_CHUNK, .length = 12
    };
    chunk.chunk = (struct rpi_chunk){ .count = 3, .in_size = 4, .out_size = 1, .first = 1000 };
    begin();
    rpi_wire_put_payload(add_frame(chunk), "aaaabbbbcccc", 12);
    CU_ASSERT_EQUAL(give(), RP_OK);
    struct rpi_task task = next_task(5);
    CU_ASSERT_TRUE(task.is_chunk && task.chunk.count == 3 && task.chunk.in_size == 4 &&
                   task.chunk.out_size == 1 && task.chunk.first == 1000 && task.size == 12);
    struct rpi_result result = { .message = "", .data = "abc", .size = 3, .failures = 0 };
    rpi_worker_done(&worker, &task, &result, 1e-6);
    rpi_worker_flush(&worker);
    sent_batch(&reader);
    struct rpi_frame frame = next_frame(&reader, 5);
    CU_ASSERT_EQUAL(frame.flags, RPI_FRAME_CHUNK | RPI_FRAME_RAN);
    CU_ASSERT_TRUE(frame.chunk.count == 3 && frame.chunk.first == 1000 && frame.length == 3);
    end();
}

/* ---- stopping */

static void stop_finishes_what_is_there(void)
{
    begin();
    CU_ASSERT_FALSE(rpi_worker_finished(&worker));
    add_task(1, "x");
    CU_ASSERT_EQUAL(give(), RP_OK);
    CU_ASSERT_EQUAL(stop(0), RP_OK);
    CU_ASSERT_FALSE(rpi_worker_finished(&worker));
    run_next(1, 0);
    no_task();
    rpi_worker_flush(&worker);
    CU_ASSERT_FALSE(rpi_worker_finished(&worker));
    struct rpi_batch *batch = rpi_worker_outgoing(&worker);
    CU_ASSERT_FALSE(rpi_worker_finished(&worker));
    rpi_worker_sent(&worker, batch);
    CU_ASSERT_TRUE(rpi_worker_finished(&worker));
    CU_ASSERT_FALSE(worker.alone);
    end();
}

/* Begins with this many tasks received. */
static void begin_with(uint64_t tasks)
{
    begin();
    for (uint64_t id = 1; id <= tasks; id++)
        add_task(id, "x");
    CU_ASSERT_EQUAL(give(), RP_OK);
}

static void stop_that_drops(void)
{
    begin_with(2);
    open_batch();
    add_large(3, 4000);
    CU_ASSERT_EQUAL(give(), RP_OK);
    struct rpi_arrival *arrival = rpi_worker_incoming(&worker);
    run_next(1, 0);
    CU_ASSERT_EQUAL(stop(RPI_STOP_DROP), RP_OK);
    no_task();
    rpi_worker_flush(&worker);
    struct rpi_batch *batch = rpi_worker_outgoing(&worker);
    CU_ASSERT_PTR_NOT_NULL_FATAL(batch); /* what has run is answered */
    rpi_worker_sent(&worker, batch);
    CU_ASSERT_FALSE(rpi_worker_finished(&worker)); /* bytes of a dropped task are on their way */
    rpi_worker_arrived(&worker, arrival);
    CU_ASSERT_TRUE(rpi_worker_finished(&worker));
    end();
}

static void stop_alone(void)
{
    begin();
    CU_ASSERT_EQUAL(stop(RPI_STOP_DROP | RPI_STOP_ALONE), RP_OK);
    CU_ASSERT_TRUE(worker.alone);
    CU_ASSERT_TRUE(rpi_worker_finished(&worker));
    end();
}

/* ---- cancelling */

static rp_status cancel(uint64_t id)
{
    open_batch();
    if (id)
        (void)add_frame((struct rpi_frame){ .id = id });
    return give_kind(RPI_CANCEL);
}

/* The next message hands back these tasks. */
static void returned_of(const uint64_t *ids, int count, bool all)
{
    struct rpi_reader reader;
    struct rpi_batch *batch = rpi_worker_outgoing(&worker);
    CU_ASSERT_PTR_NOT_NULL_FATAL(batch);
    CU_ASSERT_EQUAL_FATAL(rpi_reader_open(&reader, batch->bytes, batch->size), RP_OK);
    CU_ASSERT_TRUE(reader.kind == RPI_RETURNED && batch->peer == 0 && batch->piece_count == 0);
    CU_ASSERT_EQUAL_FATAL(reader.left, count);
    CU_ASSERT_EQUAL(reader.word, all ? RPI_RETURNED_ALL : 0);
    for (int i = 0; i < count; i++) {
        struct rpi_frame frame = next_frame(&reader, ids[i]);
        CU_ASSERT_TRUE(frame.attempt == 1 && frame.flags == 0 && frame.length == 0);
    }
    rpi_worker_sent(&worker, batch);
}

static void returned(const uint64_t *ids, int count)
{
    returned_of(ids, count, true);
    CU_ASSERT_PTR_NULL(rpi_worker_outgoing(&worker));
}

static void cancelled_before_it_starts(void)
{
    static const uint64_t two[] = { 2 }, four[] = { 4 };
    begin_with(3);
    open_batch();
    add_task(4, "x");
    CU_ASSERT_EQUAL(give(), RP_OK);
    CU_ASSERT_EQUAL(cancel(2), RP_OK);
    returned_of(two, 1, false);
    CU_ASSERT_EQUAL(cancel(4), RP_OK);
    CU_ASSERT_EQUAL(cancel(4), RP_OK); /* it is not here any more */
    returned_of(four, 1, false);
    CU_ASSERT_EQUAL(cancel(99), RP_OK); /* it may be done long since */
    CU_ASSERT_PTR_NULL(rpi_worker_outgoing(&worker));
    run_next(1, 0);
    run_next(3, 0);
    no_task();
    end();
}

static void cancelled_while_it_runs(void)
{
    begin_with(2);
    struct rpi_task task = next_task(1);
    CU_ASSERT_EQUAL(cancel(3), RP_OK);
    CU_ASSERT_FALSE(worker.cancel);
    CU_ASSERT_EQUAL(cancel(1), RP_OK);
    CU_ASSERT_TRUE(worker.cancel);
    answer(&task, "", 0, 0);
    CU_ASSERT_FALSE(next_task(2).cancelled);
    CU_ASSERT_FALSE(worker.cancel); /* that was for the one before */
    end();
}

static void all_cancelled(void)
{
    static const uint64_t ids[] = { 2, 3 };
    begin_with(3);
    struct rpi_task task = next_task(1);
    CU_ASSERT_EQUAL(cancel(0), RP_OK);
    CU_ASSERT_TRUE(worker.cancel);
    returned_of(ids, 2, false);
    answer(&task, "", 0, 0);
    open_batch();
    add_task(4, "x"); /* what comes later is not meant */
    CU_ASSERT_EQUAL(give(), RP_OK);
    CU_ASSERT_FALSE(next_task(4).cancelled);
    end();
}

static void map_cancelled(void)
{
    static const uint64_t ids[] = { 3, 4 };
    struct rpi_frame chunk = { .attempt = 1, .flags = RPI_FRAME_CHUNK | RPI_FRAME_NUMBER };
    chunk.chunk = (struct rpi_chunk){ .count = 1 };
    begin();
    for (uint64_t id = 1; id <= 4; id++) {
        chunk.id = id;
        chunk.number = id <= 2 ? 50 : 60;
        (void)add_frame(chunk);
    }
    add_frame((struct rpi_frame){
        .id = 5, .attempt = 1, .flags = RPI_FRAME_NUMBER, .number = 60 }); /* no chunk of it */
    CU_ASSERT_EQUAL(give(), RP_OK);
    open_batch();
    (void)add_frame((struct rpi_frame){ .flags = RPI_FRAME_NUMBER, .number = 60 });
    CU_ASSERT_EQUAL(give_kind(RPI_CANCEL), RP_OK);
    returned_of(ids, 2, false);
    for (uint64_t id = 1; id <= 5; id += id == 2 ? 3 : 1)
        run_next(id, 0);
    no_task();
    end();
}

/* Rank 0 is told of the cancelled task only at its turn; the task is not run. */
static void cancelled_without_memory(void)
{
    begin_with(2);
    struct rpi_task task = next_task(1);
    memory.calls = 0;
    memory.fail_at = 1;
    CU_ASSERT_EQUAL(cancel(2), RP_OK);
    CU_ASSERT_PTR_NULL(rpi_worker_outgoing(&worker));
    answer(&task, "", 0, 0);
    CU_ASSERT_TRUE(next_task(2).cancelled);
    end();
}

/* ---- handing back */

static rp_status recall(void)
{
    open_batch();
    return give_kind(RPI_RECALL);
}

/* Tasks 2 and 3 have begun in another process, before task 1 was answered or after it. */
static void what_has_begun_elsewhere_stays(void)
{
    static const uint64_t ids[] = { 4, 5 };
    struct rpi_task tasks[8];
    begin_with(5);
    struct rpi_task task = next_task(1);
    CU_ASSERT_EQUAL(rpi_worker_follow(&worker, tasks, 2), 2);
    CU_ASSERT(tasks[0].id == 2 && tasks[1].id == 3 && tasks[1].size == 1 && tasks[1].attempt == 1);
    CU_ASSERT_EQUAL(rpi_worker_follow(&worker, tasks, 8), 4);
    worker.ahead = 2;
    CU_ASSERT_EQUAL(cancel(3), RP_OK);
    CU_ASSERT_EQUAL(recall(), RP_OK);
    returned(ids, 2);
    worker.ahead = 0;
    answer(&task, "", 0, 0);
    for (uint64_t id = 2; id <= 3; id++) {
        task = next_task(id);
        CU_ASSERT_FALSE(task.cancelled);
        CU_ASSERT_EQUAL(rpi_worker_follow(&worker, tasks, 8),
                        id == 2); /* up to one that has left */
        answer(&task, "", 0, 0);
    }
    no_task();
    end();
}

static void what_has_begun_elsewhere_is_not_dropped(void)
{
    begin_with(4);
    run_next(1, 0);
    worker.ahead = 2;
    CU_ASSERT_EQUAL(stop(RPI_STOP_DROP), RP_OK);
    worker.ahead = 0;
    run_next(2, 0);
    run_next(3, 0);
    no_task();
    end();
}

static void who_does_not_follow(void)
{
    struct rpi_task tasks[8];
    begin();
    add_task(1, "x");
    (void)add_frame((struct rpi_frame){
        .id = 2, .function = 1, .attempt = 2, .flags = RPI_FRAME_RAN, .ran = 500000000 });
    add_large(3, 100000);
    add_task(4, "x");
    CU_ASSERT_EQUAL(give(), RP_OK);
    struct rpi_task task = next_task(1);
    CU_ASSERT_EQUAL(rpi_worker_follow(&worker, tasks, 8), 1);
    CU_ASSERT(tasks[0].id == 2 && tasks[0].attempt == 2 && tasks[0].limit > 0.49 &&
              tasks[0].limit < 0.51);
    worker.shared_cache.ready++; /* of other shared data than was promised */
    CU_ASSERT_EQUAL(rpi_worker_follow(&worker, tasks, 8), 0);
    worker.shared_cache.ready--;
    answer(&task, "", 0, 0);
    end();
}

/* All tasks after the running one go back in order, whatever their batch; later ones are run. */
static void hands_back_what_has_not_started(void)
{
    static const uint64_t ids[] = { 2, 3, 4 };
    begin_with(3);
    open_batch();
    add_task(4, "x");
    CU_ASSERT_EQUAL(give(), RP_OK);
    struct rpi_task task = next_task(1);
    CU_ASSERT_EQUAL(recall(), RP_OK);
    returned(ids, 3);
    CU_ASSERT_EQUAL(recall(), RP_OK);
    returned(NULL, 0); /* nothing is left to hand back */
    open_batch();
    add_task(2, "again");
    CU_ASSERT_EQUAL(give(), RP_OK);
    answer(&task, "", 0, 0);
    task = next_task(2);
    CU_ASSERT_TRUE(task.size == 5 && memcmp(task.arg, "again", 5) == 0);
    answer(&task, "", 0, 0);
    no_task();
    end();
}

/* Between two tasks the worker keeps the one that it would run next. */
static void keeps_its_next_task(void)
{
    static const uint64_t ids[] = { 3 };
    begin();
    CU_ASSERT_EQUAL(recall(), RP_OK);
    returned(NULL, 0);
    open_batch();
    for (uint64_t id = 1; id <= 3; id++)
        add_task(id, "x");
    CU_ASSERT_EQUAL(give(), RP_OK);
    run_next(1, 0);
    CU_ASSERT_EQUAL(recall(), RP_OK);
    returned(ids, 1);
    run_next(2, 0);
    no_task();
    CU_ASSERT_EQUAL(recall(), RP_OK);
    returned(NULL, 0);
    end();
}

/* Large arguments are here, or under way, and stay; who is cancelled is not run when it comes
 * up. */
static void keeps_large_ones(void)
{
    static const uint64_t ids[] = { 2, 5 };
    begin();
    add_task(1, "x");
    add_task(2, "x");
    add_large(3, 3000);
    add_large(4, 4000);
    CU_ASSERT_EQUAL(give(), RP_OK);
    open_batch();
    add_task(5, "x");
    CU_ASSERT_EQUAL(give(), RP_OK);
    struct rpi_task task = next_task(1);
    CU_ASSERT_EQUAL(cancel(4), RP_OK);
    CU_ASSERT_EQUAL(recall(), RP_OK);
    returned(ids, 2);
    CU_ASSERT_EQUAL(cancel(5), RP_OK); /* it is not here any more */
    answer(&task, "", 0, 0);
    for (struct rpi_arrival *arrival; (arrival = rpi_worker_incoming(&worker));)
        rpi_worker_arrived(&worker, arrival);
    task = next_task(3);
    CU_ASSERT_EQUAL(task.size, 3000);
    CU_ASSERT_FALSE(task.cancelled);
    answer(&task, "", 0, 0);
    task = next_task(4);
    CU_ASSERT_TRUE(task.cancelled);
    answer(&task, "", 0, 0);
    no_task();
    end();
}

static uint32_t cut_to;

static uint32_t cut(void *context)
{
    (void)context;
    return cut_to;
}

static void add_chunk(uint64_t id, uint8_t attempt)
{
    struct rpi_frame chunk = {
        .id = id, .attempt = attempt, .flags = RPI_FRAME_CHUNK | RPI_FRAME_NUMBER, .length = 12
    };
    chunk.chunk = (struct rpi_chunk){ .count = 3, .in_size = 4, .out_size = 1 };
    rpi_wire_put_payload(add_frame(chunk), "aaaabbbbcccc", 12);
}

/* Checks the next message: chunk `id` keeps `items` items (0: it names no chunk), and tasks `ids`
 * are handed back. */
static void says_cut(uint64_t id, uint32_t items, const uint64_t *ids, int count)
{
    struct rpi_reader reader;
    struct rpi_batch *batch = rpi_worker_outgoing(&worker);
    CU_ASSERT_PTR_NOT_NULL_FATAL(batch);
    CU_ASSERT_EQUAL_FATAL(rpi_reader_open(&reader, batch->bytes, batch->size), RP_OK);
    CU_ASSERT_EQUAL_FATAL(reader.left, count + (items > 0));
    if (items > 0) {
        struct rpi_frame frame = next_frame(&reader, id);
        CU_ASSERT_TRUE(frame.attempt == 1 && frame.flags == RPI_FRAME_CHUNK &&
                       frame.chunk.count == items);
    }
    for (int i = 0; i < count; i++)
        CU_ASSERT_EQUAL(next_frame(&reader, ids[i]).flags, 0);
    rpi_worker_sent(&worker, batch);
}

/* A running chunk is cut where it says, once; its result has what it kept. */
static void cuts_the_running_chunk(void)
{
    static const uint64_t ids[] = { 2 };
    begin();
    worker.config.cut = cut;
    add_chunk(1, 1);
    add_chunk(2, 1);
    CU_ASSERT_EQUAL(give(), RP_OK);
    struct rpi_task task = next_task(1);
    cut_to = 2;
    CU_ASSERT_EQUAL(recall(), RP_OK);
    says_cut(1, 2, ids, 1);
    CU_ASSERT_EQUAL(recall(), RP_OK);
    says_cut(1, 0, NULL, 0);
    answer(&task, "12", 2, 0);
    rpi_worker_flush(&worker);
    struct rpi_batch *batch = rpi_worker_outgoing(&worker);
    struct rpi_reader reader;
    CU_ASSERT_EQUAL_FATAL(rpi_reader_open(&reader, batch->bytes, batch->size), RP_OK);
    struct rpi_frame frame = next_frame(&reader, 1);
    CU_ASSERT_TRUE(frame.chunk.count == 2 && frame.length == 2);
    rpi_worker_sent(&worker, batch);
    end();
}

/* Between two tasks the next one, if it is a chunk, keeps one item; what comes again is not cut. */
static void cuts_the_next_chunk(void)
{
    static const uint64_t ids[] = { 2 };
    begin();
    worker.config.cut = cut;
    add_chunk(1, 1);
    add_chunk(2, 1);
    CU_ASSERT_EQUAL(give(), RP_OK);
    CU_ASSERT_EQUAL(recall(), RP_OK);
    says_cut(1, 1, ids, 1);
    struct rpi_task task = next_task(1);
    CU_ASSERT_TRUE(task.chunk.count == 1 && task.size == 4);
    answer(&task, "1", 1, 0);
    open_batch();
    add_chunk(3, 2);
    CU_ASSERT_EQUAL(give(), RP_OK);
    CU_ASSERT_EQUAL(recall(), RP_OK);
    says_cut(3, 0, NULL, 0);
    task = next_task(3);
    cut_to = 1;
    CU_ASSERT_EQUAL(recall(), RP_OK);
    says_cut(3, 0, NULL, 0);
    CU_ASSERT_EQUAL(task.chunk.count, 3);
    answer(&task, "123", 3, 0);
    no_task();
    end();
}

/* More than one message can say. */
static void hands_back_many(void)
{
    uint64_t ids[2][200];
    int most = (LIMIT - RPI_BATCH_HEADER) / RPI_FRAME_HEADER;
    begin();
    for (uint64_t id = 0; id < 201; id++) {
        if (!rpi_writer_fits(&writer, RPI_FRAME_HEADER)) {
            CU_ASSERT_EQUAL(give(), RP_OK);
            open_batch();
        }
        add_task(id, "");
        if (id)
            ids[(int)id > most][(int)id > most ? (int)id - most - 1 : (int)id - 1] = id;
    }
    CU_ASSERT_EQUAL(give(), RP_OK);
    CU_ASSERT_EQUAL(recall(), RP_OK);
    returned_of(ids[0], most, false);
    returned(ids[1], 200 - most);
    run_next(0, 0);
    no_task();
    end();
}

/* Without memory for the answer nothing is handed back; asked again, all is. */
static void hands_back_without_memory(void)
{
    static const uint64_t ids[] = { 2 };
    begin_with(2);
    struct rpi_task task = next_task(1);
    memory.calls = 0;
    memory.fail_at = 1;
    CU_ASSERT_EQUAL(recall(), RP_ERR_NOMEM);
    CU_ASSERT_PTR_NULL(rpi_worker_outgoing(&worker));
    CU_ASSERT_EQUAL(recall(), RP_OK);
    returned(ids, 1);
    answer(&task, "", 0, 0);
    no_task();
    end();
}

/* A running task's argument stays where it is, whatever comes meanwhile. */
static void stopped_while_it_runs(void)
{
    begin();
    add_task(1, "argument");
    add_task(2, "x");
    CU_ASSERT_EQUAL(give(), RP_OK);
    struct rpi_task task = next_task(1);
    CU_ASSERT_EQUAL(stop(RPI_STOP_DROP), RP_OK);
    CU_ASSERT_TRUE(worker.cancel);
    CU_ASSERT_EQUAL(memcmp(task.arg, "argument", 8), 0);
    CU_ASSERT_FALSE(rpi_worker_finished(&worker));
    answer(&task, "done", 4, 0);
    no_task();
    rpi_worker_flush(&worker);
    struct rpi_batch *batch = rpi_worker_outgoing(&worker);
    CU_ASSERT_PTR_NOT_NULL_FATAL(batch);
    rpi_worker_sent(&worker, batch);
    CU_ASSERT_TRUE(rpi_worker_finished(&worker));
    end();
}

/* ---- outcomes that tasks come after */

static void add_list(uint64_t task, uint64_t from, const uint64_t *ids, uint32_t count)
{
    struct rpi_frame frame = {
        .id = task, .flags = RPI_FRAME_NUMBER, .number = from, .length = 8 * count
    };
    uint8_t *at = add_frame(frame);
    for (uint32_t i = 0; i < count; i++)
        rpi_put64(at + 8 * (size_t)i, ids[i]);
}

static void add_outcome(uint64_t id, const char *text)
{
    uint32_t length = (uint32_t)strlen(text);
    rpi_wire_put_payload(add_frame((struct rpi_frame){ .id = id, .length = length }), text, length);
}

static bool input_is(const struct rpi_task *task, uint32_t i, const char *text)
{
    return task->inputs[i].size == strlen(text) &&
           memcmp(task->inputs[i].data, text, strlen(text)) == 0;
}

static void inputs_come_with_their_task(void)
{
    static const uint64_t ids[] = { 21, 20, 22, 21 };
    begin();
    add_outcome(20, "twenty");
    add_list(1, 0, ids, 2);
    add_list(1, 2, ids + 2, 2); /* a list may come in parts */
    CU_ASSERT_EQUAL(give_kind(RPI_INPUT), RP_OK);
    open_batch();
    add_task(1, "x");
    add_task(2, "y");
    CU_ASSERT_EQUAL(give(), RP_OK);
    no_task(); /* two outcomes are missing */
    open_batch();
    add_outcome(21, "");
    (void)add_frame((struct rpi_frame){ .id = 22, .flags = RPI_FRAME_LARGE, .length = 4000 });
    CU_ASSERT_EQUAL(give_kind(RPI_INPUT), RP_OK);
    no_task();
    struct rpi_arrival *arrival = rpi_worker_incoming(&worker);
    CU_ASSERT_TRUE_FATAL(arrival && arrival->size == 4000);
    memset(arrival->buffer, 'L', 4000);
    rpi_worker_arrived(&worker, arrival);
    struct rpi_task task = next_task(1);
    CU_ASSERT_EQUAL_FATAL(task.input_count, 4);
    CU_ASSERT_TRUE(input_is(&task, 0, "") && input_is(&task, 1, "twenty") &&
                   input_is(&task, 3, ""));
    CU_ASSERT_TRUE(task.inputs[2].size == 4000 && ((const char *)task.inputs[2].data)[3999] == 'L');
    answer(&task, "", 0, 0);
    task = next_task(2);
    CU_ASSERT_EQUAL(task.input_count, 0);
    answer(&task, "", 0, 0);
    uint64_t live = memory.live;
    open_batch();
    for (uint64_t id = 20; id <= 23; id++)
        (void)add_frame(
            (struct rpi_frame){ .id = id, .flags = RPI_FRAME_FAILED }); /* needed no more */
    CU_ASSERT_EQUAL(give_kind(RPI_INPUT), RP_OK);
    CU_ASSERT_EQUAL(memory.live, live - 6);
    end();
}

/* An input that comes again, before it was forgotten, gets room of its own. */
static void input_that_comes_twice(void)
{
    static const uint64_t ids[] = { 21 };
    begin();
    for (uint64_t id = 1; id <= 2; id++) {
        open_batch();
        (void)add_frame((struct rpi_frame){ .id = 21, .flags = RPI_FRAME_LARGE, .length = 4000 });
        CU_ASSERT_EQUAL(give_kind(RPI_INPUT), RP_OK);
        struct rpi_arrival *arrival = rpi_worker_incoming(&worker);
        CU_ASSERT_TRUE_FATAL(arrival && arrival->size == 4000);
        memset(arrival->buffer, 'L', 4000);
        rpi_worker_arrived(&worker, arrival);
        open_batch();
        add_list(id, 0, ids, 1);
        CU_ASSERT_EQUAL(give_kind(RPI_INPUT), RP_OK);
        open_batch();
        add_task(id, "x");
        CU_ASSERT_EQUAL(give(), RP_OK);
        struct rpi_task task = next_task(id);
        CU_ASSERT_TRUE(task.input_count == 1 && task.inputs[0].size == 4000);
        answer(&task, "", 0, 0);
    }
    uint64_t kept = memory.live;
    open_batch();
    (void)add_frame((struct rpi_frame){ .id = 21, .flags = RPI_FRAME_FAILED });
    CU_ASSERT_EQUAL(give_kind(RPI_INPUT), RP_OK);
    CU_ASSERT_EQUAL(memory.live, kept - 4); /* both, a block and a buffer each */
    end();
}

static void inputs_without_memory(void)
{
    static const uint64_t ids[] = { 20, 21 };
    uint64_t call = 1;
    for (bool refused = true; refused; call++) {
        begin();
        add_outcome(20, "twenty");
        add_list(1, 0, ids, 1);
        add_list(1, 1, ids + 1, 1);
        (void)add_frame((struct rpi_frame){ .id = 21, .flags = RPI_FRAME_LARGE, .length = 4000 });
        memory.fail_at = call;
        rp_status status = give_kind(RPI_INPUT);
        refused = memory.refused;
        memory.fail_at = 0;
        CU_ASSERT_EQUAL(status, refused ? RP_ERR_NOMEM : RP_OK);
        if (refused)
            CU_ASSERT_EQUAL(give_kind(RPI_INPUT), RP_OK); /* what was taken is not taken twice */
        struct rpi_arrival *arrival = rpi_worker_incoming(&worker);
        CU_ASSERT_TRUE_FATAL(arrival && !rpi_worker_incoming(&worker));
        rpi_worker_arrived(&worker, arrival);
        open_batch();
        add_task(1, "x");
        CU_ASSERT_EQUAL(give(), RP_OK);
        struct rpi_task task = next_task(1);
        CU_ASSERT_TRUE(task.input_count == 2 && input_is(&task, 0, "twenty"));
        end();
    }
    CU_ASSERT_TRUE(call >= 6);
}

/* ---- what rank 0 must not send */

static void refused_batches(void)
{
    begin();
    add_frame((struct rpi_frame){ .id = 1, .function = FUNCTIONS });
    CU_ASSERT_EQUAL(give(), RP_ERR_BROKEN);
    open_batch();
    add_large(1, 3000);
    struct rpi_frame chunk = {
        .id = 1, .attempt = 1, .flags = RPI_FRAME_CHUNK, .chunk = { .count = 3, .in_size = 1 }
    };
    add_frame(chunk); /* of no bytes */
    CU_ASSERT_EQUAL(give(), RP_ERR_BROKEN);
    open_batch();
    chunk.chunk.count = 0; /* none to run */
    add_frame(chunk);
    CU_ASSERT_EQUAL(give(), RP_ERR_BROKEN);
    CU_ASSERT_PTR_NULL(rpi_worker_incoming(&worker)); /* nothing of it is kept */
    no_task();
    rpi_writer_close(&writer, RPI_RESULTS, 0);
    CU_ASSERT_EQUAL(rpi_worker_receive(&worker, bytes, writer.used), RP_ERR_BROKEN);
    CU_ASSERT_EQUAL(rpi_worker_receive(&worker, bytes, 5), RP_ERR_BROKEN);
    uint8_t *long_batch = test_zeroed(LIMIT + 8);
    struct rpi_writer too_long;
    rpi_writer_open(&too_long, long_batch, LIMIT + 8);
    too_long.used = LIMIT + 8;
    rpi_writer_close(&too_long, RPI_TASKS, 0);
    CU_ASSERT_EQUAL(rpi_worker_receive(&worker, long_batch, LIMIT + 8), RP_ERR_BROKEN);
    free(long_batch);
    open_batch();
    add_task(7, "still well");
    CU_ASSERT_EQUAL(give(), RP_OK);
    run_next(7, 0);
    end();
}

static uint32_t write_tasks(void)
{
    struct rpi_frame chunk = {
        .id = 3, .attempt = 1, .flags = RPI_FRAME_CHUNK | RPI_FRAME_NUMBER, .length = 6
    };
    chunk.chunk = (struct rpi_chunk){ .count = 2, .in_size = 3, .out_size = 1 };
    open_batch();
    add_task(1, "one");
    add_large(2, 3000);
    rpi_wire_put_payload(add_frame(chunk), "ababab", 6);
    rpi_writer_close(&writer, RPI_TASKS, 100);
    return writer.used;
}

static uint32_t write_inputs(void)
{
    static const uint64_t ids[] = { 20, 21 };
    open_batch();
    add_outcome(20, "twenty");
    add_list(1, 0, ids, 2);
    (void)add_frame((struct rpi_frame){ .id = 21, .flags = RPI_FRAME_LARGE, .length = 3000 });
    (void)add_frame((struct rpi_frame){ .id = 20, .flags = RPI_FRAME_FAILED });
    rpi_writer_close(&writer, RPI_INPUT, 0);
    return writer.used;
}

static uint32_t write_cancels(void)
{
    open_batch();
    (void)add_frame((struct rpi_frame){ .id = 1 });
    (void)add_frame((struct rpi_frame){ .flags = RPI_FRAME_NUMBER, .number = 102 });
    rpi_writer_close(&writer, RPI_CANCEL, 0);
    return writer.used;
}

/* Takes `size` bytes with one damaged, then sound ones of each kind, and runs what there is. */
static rp_status take_damaged(const uint8_t *whole, uint32_t size, uint32_t at, uint8_t change)
{
    begin();
    uint8_t *exact = memcpy(test_room(NULL, size), whole, size);
    exact[at] ^= change;
    rp_status status = rpi_worker_receive(&worker, exact, size);
    free(exact);
    (void)write_tasks();
    CU_ASSERT_EQUAL(give(), RP_OK);
    struct rpi_task task;
    for (struct rpi_arrival *arrival; (arrival = rpi_worker_incoming(&worker));) {
        memset(arrival->buffer, 1, arrival->size);
        rpi_worker_arrived(&worker, arrival);
    }
    while (rpi_worker_next(&worker, &task))
        answer(&task, task.arg, task.size < 8 ? task.size : 8, -1);
    end();
    return status;
}

/* Every change of one byte: refused, or taken and run to its end. */
static void every_damaged_byte(void)
{
    static uint32_t (*const kinds[])(void) = { write_tasks, write_inputs, write_cancels };
    for (int kind = 0; kind < 3; kind++) {
        uint8_t whole[LIMIT];
        uint32_t size = kinds[kind]();
        int taken = 0, refused = 0;
        memcpy(whole, bytes, size);
        for (uint32_t at = 0; at < size; at++)
            for (int value = 1; value < 256; value = value < 16 ? value + 1 : value + 7) {
                rp_status status = take_damaged(whole, size, at, (uint8_t)value);
                taken += status == RP_OK;
                refused += status != RP_OK;
            }
        CU_ASSERT_TRUE(taken > 1000);
        CU_ASSERT_TRUE(refused > 300);
    }
}

/* ---- memory */

/* Each allocation of a receive fails in turn: nothing has changed, and the same batch is taken the
 * next time. */
static void receive_without_memory(void)
{
    uint64_t call = 1;
    for (bool refused = true; refused; call++) {
        begin();
        add_task(1, "one");
        add_large(2, 3000);
        add_large(3, 3000);
        memory.fail_at = call;
        rp_status status = give();
        refused = memory.refused;
        memory.fail_at = 0;
        CU_ASSERT_EQUAL(status, refused ? RP_ERR_NOMEM : RP_OK);
        if (refused) {
            CU_ASSERT_PTR_NULL(rpi_worker_incoming(&worker));
            no_task();
            CU_ASSERT_EQUAL(give(), RP_OK);
        }
        CU_ASSERT_TRUE(rpi_worker_incoming(&worker) && rpi_worker_incoming(&worker) &&
                       !rpi_worker_incoming(&worker));
        run_next(1, 0);
        end();
    }
    CU_ASSERT_TRUE(call >= 6);
}

/* Without room for its result a task does not begin; with a moment's room it does. */
static void next_without_memory(void)
{
    for (uint64_t call = 1; call <= 2; call++) {
        begin();
        add_task(1, "one");
        CU_ASSERT_EQUAL(give(), RP_OK);
        memory.calls = 0;
        memory.fail_at = call;
        no_task();
        CU_ASSERT_EQUAL(memory.refused, 1);
        run_next(1, 0);
        end();
    }
}

static CU_TestInfo tests[] = {
    { "tasks_in_their_order", tasks_in_their_order },
    { "nothing_to_flush", nothing_to_flush },
    { "failures", failures },
    { "full_batches", full_batches },
    { "large_results", large_results },
    { "short_result_with_a_buffer", short_result_with_a_buffer },
    { "large_arguments", large_arguments },
    { "chunks", chunks },
    { "stop_finishes_what_is_there", stop_finishes_what_is_there },
    { "stop_that_drops", stop_that_drops },
    { "stop_alone", stop_alone },
    { "cancelled_before_it_starts", cancelled_before_it_starts },
    { "cancelled_while_it_runs", cancelled_while_it_runs },
    { "all_cancelled", all_cancelled },
    { "map_cancelled", map_cancelled },
    { "cancelled_without_memory", cancelled_without_memory },
    { "what_has_begun_elsewhere_stays", what_has_begun_elsewhere_stays },
    { "what_has_begun_elsewhere_is_not_dropped", what_has_begun_elsewhere_is_not_dropped },
    { "who_does_not_follow", who_does_not_follow },
    { "hands_back_what_has_not_started", hands_back_what_has_not_started },
    { "keeps_its_next_task", keeps_its_next_task },
    { "keeps_large_ones", keeps_large_ones },
    { "cuts_the_running_chunk", cuts_the_running_chunk },
    { "cuts_the_next_chunk", cuts_the_next_chunk },
    { "hands_back_many", hands_back_many },
    { "hands_back_without_memory", hands_back_without_memory },
    { "stopped_while_it_runs", stopped_while_it_runs },
    { "inputs_come_with_their_task", inputs_come_with_their_task },
    { "input_that_comes_twice", input_that_comes_twice },
    { "inputs_without_memory", inputs_without_memory },
    { "refused_batches", refused_batches },
    { "every_damaged_byte", every_damaged_byte },
    { "receive_without_memory", receive_without_memory },
    { "next_without_memory", next_without_memory },
    CU_TEST_INFO_NULL
};
static CU_SuiteInfo suites[] = { { "worker", NULL, NULL, NULL, NULL, tests }, CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
