/* The master's engine against answers written by hand, the wrong ones above all.  What random
 * workers do, tests/sim tries. */
#include "bare_master.h"
#include "harness.h"
#include "tables/completions.h"

#include <stdio.h>
#include <stdlib.h>

static int logged;
static char last_line[2048];

static int register_functions(void)
{
    return register_add() != 0 || rp_register("sub", never_called) != RP_OK;
}

static void on_log(rp_level level, const char *line, void *user)
{
    (void)level;
    (void)user;
    logged++;
    (void)snprintf(last_line, sizeof last_line, "%s", line);
}

static void begin(int workers)
{
    static const struct rpi_log log = { .sink = on_log };
    logged = 0;
    begin_master(workers, &log);
}

/* ---- the application's side */

static uint64_t submit(struct rpi_request request)
{
    uint64_t id = 0;
    CU_ASSERT_EQUAL_FATAL(rpi_master_submit(&master, &request, now, &id), RP_OK);
    return id;
}

static uint64_t submit_number(uint64_t number)
{
    return submit((struct rpi_request){ .arg = &number, .size = 8 });
}

/* ---- the workers' side */

/* The next batch that goes out, reported sent at once; its frames are in `frames`. */
static struct rpi_frame frames[300];

static int take_batch(int *worker)
{
    struct rpi_batch *batch = rpi_master_outgoing(&master);
    struct rpi_reader reader;
    int count = 0;
    if (!batch)
        return 0;
    *worker = batch->peer;
    CU_ASSERT_EQUAL_FATAL(rpi_reader_open(&reader, batch->bytes, batch->size), RP_OK);
    while (reader.left)
        CU_ASSERT_EQUAL_FATAL(rpi_reader_frame(&reader, &frames[count++]), RP_OK);
    for (uint16_t i = batch->sends; i > 0; i--)
        rpi_master_sent(&master, batch);
    return count;
}

/* Hands out and takes the one batch that goes out, to worker 1; returns its frames. */
static int hand_out(void)
{
    int worker = 0;
    rpi_master_dispatch(&master, now);
    int count = take_batch(&worker);
    CU_ASSERT_EQUAL_FATAL(worker, 1);
    return count;
}

static uint8_t bytes[BATCH_LIMIT];
static struct rpi_writer writer;

static void open_answer(void)
{
    rpi_writer_open(&writer, bytes, BATCH_LIMIT);
}

static void add_answer(struct rpi_frame frame, const void *payload)
{
    CU_ASSERT_TRUE_FATAL(rpi_writer_fits(&writer, rpi_frame_size(frame.flags, frame.length)));
    uint8_t *at = rpi_writer_frame(&writer, &frame);
    if (!(frame.flags & RPI_FRAME_LARGE))
        rpi_wire_put_payload(at, payload, frame.length);
}

static rp_status give_answer(int worker)
{
    rpi_writer_close(&writer, RPI_RESULTS, 1000);
    uint8_t *exact = memcpy(test_room(NULL, writer.used), bytes, writer.used);
    rp_status status = rpi_master_receive(&master, worker, exact, writer.used, now);
    free(exact);
    return status;
}

/* One frame alone. */
static rp_status answer(int worker, struct rpi_frame frame, const void *payload)
{
    open_answer();
    add_answer(frame, payload);
    return give_answer(worker);
}

static struct rpi_frame result_of(const struct rpi_frame *task, uint32_t length)
{
    return (struct rpi_frame){
        .id = task->id, .function = task->function, .attempt = task->attempt, .length = length
    };
}

static rp_status answer_ok(const struct rpi_frame *task, const void *payload, uint32_t length)
{
    return answer(1, result_of(task, length), payload);
}

static rp_status answer_failed(const struct rpi_frame *task, rp_status status, int code,
                               const char *message)
{
    uint8_t payload[8 + RPI_MESSAGE_MAX];
    struct rpi_frame frame = result_of(task, rpi_failure_size(strlen(message)));
    frame.flags = RPI_FRAME_FAILED;
    rpi_failure_put(payload, status, code, message, strlen(message));
    return answer(1, frame, payload);
}

/* ---- right answers */

static void a_task_there_and_back(void)
{
    begin(1);
    uint64_t id = submit_number(7);
    CU_ASSERT_EQUAL(state_of(id), RP_QUEUED);
    CU_ASSERT_EQUAL(hand_out(), 1);
    CU_ASSERT_EQUAL(state_of(id), RP_SENT);
    CU_ASSERT_TRUE(frames[0].id == id && frames[0].number == 0 && frames[0].attempt == 1 &&
                   frames[0].length == 8);
    now += 0.5;
    struct rpi_frame frame = result_of(&frames[0], 5);
    frame.flags = RPI_FRAME_RAN;
    frame.ran = 200000000;
    CU_ASSERT_EQUAL(answer(1, frame, "hello"), RP_OK);
    rp_outcome outcome = outcome_of(id);
    CU_ASSERT_TRUE(outcome.status == RP_OK && outcome.code == 0 && outcome.size == 5 &&
                   outcome.worker == 1);
    CU_ASSERT_EQUAL(memcmp(outcome.data, "hello", 5), 0);
    CU_ASSERT_STRING_EQUAL(outcome.message, "");
    CU_ASSERT_STRING_EQUAL(outcome.host, "somehost");
    CU_ASSERT_EQUAL(outcome.attempts, 1);
    CU_ASSERT_DOUBLE_EQUAL(outcome.ran, 0.2, 1e-6);
    CU_ASSERT_DOUBLE_EQUAL(outcome.queued, 0.3, 1e-6);
    CU_ASSERT_DOUBLE_EQUAL(master.timing.functions[0].mean, 0.2, 1e-6);
    CU_ASSERT_TRUE(master.unsettled == 0 && master.counts.done == 1 &&
                   master.counts.submitted == 1);
    rpi_master_release(&master, id, rpi_master_future(&master, id));
    CU_ASSERT_EQUAL(state_of(id), RP_STALE);
    end_master();
}

static void results_of_every_size(void)
{
    uint8_t payload[1000];
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(3 * i);
    begin(1);
    for (uint32_t size = 0; size <= sizeof payload; size += size < 40 ? 1 : 97) {
        uint64_t id = submit_number(size);
        CU_ASSERT_EQUAL_FATAL(hand_out(), 1);
        CU_ASSERT_EQUAL(answer_ok(&frames[0], payload, size), RP_OK);
        rp_outcome outcome = outcome_of(id);
        CU_ASSERT_EQUAL(outcome.size, size);
        CU_ASSERT_TRUE(size == 0 ? outcome.data == NULL : memcmp(outcome.data, payload, size) == 0);
    }
    end_master();
}

static void a_failed_task(void)
{
    begin(1);
    uint64_t id = submit((struct rpi_request){ .function = 1 });
    (void)hand_out();
    CU_ASSERT_EQUAL(answer_failed(&frames[0], RP_ERR_TASK, -3, "no more"), RP_OK);
    rp_outcome outcome = outcome_of(id);
    CU_ASSERT_TRUE(outcome.status == RP_ERR_TASK && outcome.code == -3 && outcome.size == 0 &&
                   !outcome.data);
    CU_ASSERT_STRING_EQUAL(
        outcome.message, "task sub (number 0) failed on worker 1 (somehost) with code -3: no more");
    CU_ASSERT_EQUAL(master.counts.failed, 1);
    CU_ASSERT_EQUAL(logged, 0);
    id = submit_number(1);
    (void)hand_out();
    CU_ASSERT_EQUAL(answer_failed(&frames[0], RP_ERR_CANCELLED, 31, ""), RP_OK);
    CU_ASSERT_EQUAL(outcome_of(id).status, RP_ERR_CANCELLED);
    CU_ASSERT_TRUE(master.counts.failed == 1 && master.counts.cancelled == 1);
    end_master();
}

static void detached_failure_is_logged(void)
{
    begin(1);
    (void)submit((struct rpi_request){ .released = true });
    (void)submit((struct rpi_request){ .released = true });
    (void)hand_out();
    CU_ASSERT_EQUAL(answer_failed(&frames[0], RP_ERR_TASK, 4, "alone"), RP_OK);
    CU_ASSERT_EQUAL(logged, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(last_line, "alone"));
    CU_ASSERT_EQUAL(hand_out(), 1);
    CU_ASSERT_EQUAL(answer_ok(&frames[0], "12345678x", 9), RP_OK);
    CU_ASSERT_EQUAL(logged, 1);
    CU_ASSERT_EQUAL(master.futures.live, 0); /* no caller holds them: they are gone */
    CU_ASSERT_EQUAL(master.unsettled, 0);
    end_master();
}

static void tries_again(void)
{
    begin(1);
    uint64_t id = submit((struct rpi_request){
        .arg = "argument", .size = 8, .options = &(const struct rpi_options){ .retries = 2 } });
    for (uint8_t attempt = 1; attempt <= 3; attempt++) {
        CU_ASSERT_EQUAL(state_of(id), RP_QUEUED);
        CU_ASSERT_EQUAL_FATAL(hand_out(), 1);
        CU_ASSERT_EQUAL(frames[0].attempt, attempt);
        CU_ASSERT_EQUAL(memcmp(frames[0].payload, "argument", 8), 0);
        CU_ASSERT_EQUAL(answer_failed(&frames[0], RP_ERR_TASK, attempt, ""), RP_OK);
    }
    CU_ASSERT_TRUE(outcome_of(id).attempts == 3 && outcome_of(id).code == 3);
    CU_ASSERT_TRUE(master.counts.retried == 2 && master.counts.failed == 1);
    CU_ASSERT_EQUAL(master.options.count - 1, 1);
    id = submit((struct rpi_request){ .options = &(const struct rpi_options){ .retries = 9 } });
    (void)hand_out();
    CU_ASSERT_EQUAL(answer_failed(&frames[0], RP_ERR_CANCELLED, 0, ""),
                    RP_OK); /* it did as it was told: no more tries */
    CU_ASSERT_EQUAL(outcome_of(id).status, RP_ERR_CANCELLED);
    end_master();
}

/* Once the workers are told to stop, nothing goes to them any more. */
static void no_try_after_the_end(void)
{
    begin(1);
    uint64_t id = submit(
        (struct rpi_request){ .options = &(const struct rpi_options){ .retries = 5 } });
    (void)hand_out();
    rpi_master_drop_queued(&master);
    CU_ASSERT_EQUAL(answer_failed(&frames[0], RP_ERR_TASK, 1, ""), RP_OK);
    CU_ASSERT_EQUAL(outcome_of(id).status, RP_ERR_TASK);
    rpi_master_dispatch(&master, now);
    CU_ASSERT_PTR_NULL(rpi_master_outgoing(&master));
    end_master();
}

static void released_before_its_end(void)
{
    begin(1);
    uint64_t id = submit_number(1);
    (void)hand_out();
    rpi_master_release(&master, id, rpi_master_future(&master, id));
    CU_ASSERT_EQUAL(state_of(id), RP_STALE);
    CU_ASSERT_EQUAL(master.unsettled, 1);
    CU_ASSERT_EQUAL(answer_ok(&frames[0], "a result of some size", 21), RP_OK);
    CU_ASSERT_TRUE(master.unsettled == 0 && master.futures.live == 0);
    end_master();
}

/* Numbers travel only where counting from the one before is wrong. */
static void numbers_of_tasks(void)
{
    begin(1);
    master.timing.functions[0].mean = 1e-7;
    for (int i = 0; i < 10; i++)
        (void)submit((struct rpi_request){
            .options = &(const struct rpi_options){ .priority = i == 5 ? 1 : 0 } });
    static const uint64_t order[] = { 5, 0, 1, 2, 3, 4, 6, 7, 8, 9 };
    CU_ASSERT_EQUAL_FATAL(hand_out(), 10);
    for (int i = 0; i < 10; i++) {
        CU_ASSERT_EQUAL(frames[i].number, order[i]);
        CU_ASSERT_EQUAL(frames[i].flags, i == 1 || i == 6 ? RPI_FRAME_NUMBER : 0);
    }
    end_master();
}

static void large_there_and_back(void)
{
    uint8_t *arg = test_room(NULL, 5000);
    memset(arg, 9, 5000);
    begin(1);
    for (int borrow = 0; borrow < 2; borrow++) {
        uint64_t id = submit((struct rpi_request){ .arg = arg, .size = 5000, .borrow = borrow });
        rpi_master_dispatch(&master, now);
        struct rpi_batch *batch = rpi_master_outgoing(&master);
        CU_ASSERT_TRUE_FATAL(batch && batch->piece_count == 1 && batch->sends == 2 &&
                             batch->pieces[0].size == 5000);
        CU_ASSERT_EQUAL(batch->pieces[0].data == arg, borrow);
        CU_ASSERT_EQUAL(((const uint8_t *)batch->pieces[0].data)[4999], 9);
        rpi_master_sent(&master, batch);
        struct rpi_frame task = { .id = id, .attempt = 1 }, frame = result_of(&task, 7000);
        frame.flags = RPI_FRAME_LARGE;
        CU_ASSERT_EQUAL(answer(1, frame, NULL), RP_OK);
        CU_ASSERT_EQUAL(state_of(id), RP_SENT);
        CU_ASSERT_EQUAL(answer(1, frame, NULL),
                        RP_ERR_BROKEN); /* announced twice: it counts once */
        struct rpi_arrival *arrival = rpi_master_incoming(&master);
        CU_ASSERT_TRUE_FATAL(arrival && arrival->peer == 1 && arrival->size == 7000);
        CU_ASSERT_PTR_NULL(rpi_master_incoming(&master));
        memset(arrival->buffer, 8, 7000);
        CU_ASSERT_EQUAL(rpi_master_arrived(&master, arrival, now), RP_OK);
        rp_outcome outcome = outcome_of(id);
        CU_ASSERT_TRUE(outcome.size == 7000 && ((const uint8_t *)outcome.data)[6999] == 8);
        rpi_master_sent(&master, batch); /* the piece, long after */
    }
    free(arg);
    end_master();
}

/* ---- answers that count for nothing */

/* Such a batch is damaged, and nothing comes of it. */
static void strange(int worker, struct rpi_frame frame)
{
    CU_ASSERT_EQUAL(answer(worker, frame, "x"), RP_ERR_BROKEN);
    CU_ASSERT_PTR_NOT_NULL(strstr(rp_error_message(), "does not have"));
}

static void answers_of_tasks_it_does_not_have(void)
{
    begin(2);
    uint64_t first = submit_number(1), second = submit_number(2);
    int worker;
    rpi_master_dispatch(&master, now);
    CU_ASSERT_EQUAL_FATAL(take_batch(&worker), 1);
    struct rpi_frame task = frames[0];
    CU_ASSERT_EQUAL_FATAL(take_batch(&worker), 1);
    CU_ASSERT_TRUE(worker == 2 && task.id == first && frames[0].id == second);
    struct rpi_frame frame = result_of(&task, 1);
    strange(2, frame); /* it was not sent there */
    frame.attempt = 2;
    strange(1, frame); /* it is not that far */
    frame.attempt = 1;
    static const uint64_t ids[] = { 0, 1, UINT64_MAX, (uint64_t)6 << 32 };
    for (size_t i = 0; i < 4; i++) {
        frame.id = ids[i];
        strange(1, frame);
    }
    CU_ASSERT_TRUE(state_of(first) == RP_SENT && state_of(second) == RP_SENT);
    CU_ASSERT_EQUAL(answer_ok(&task, "y", 1), RP_OK);
    strange(1, result_of(&task, 1)); /* again */
    CU_ASSERT_EQUAL(*(const char *)outcome_of(first).data, 'y');
    uint64_t queued = submit_number(3);
    frame = (struct rpi_frame){ .id = queued, .attempt = 0, .length = 1 };
    strange(1, frame); /* it has not begun */
    frame = result_of(&task, 1);
    frame.flags = RPI_FRAME_SPAWNED;
    strange(1, frame); /* a child of none */
    CU_ASSERT_EQUAL(state_of(queued), RP_QUEUED);
    CU_ASSERT_EQUAL(master.unsettled, 2);
    CU_ASSERT_EQUAL(master.roster.seats[1].in_flight, 0);
    CU_ASSERT_EQUAL(master.roster.seats[2].in_flight, 1);
    end_master();
}

/* ---- answers that break the pool */

static void damaged_answers(void)
{
    begin(1);
    (void)submit_number(1);
    (void)hand_out();
    struct rpi_frame frame = result_of(&frames[0], 7);
    frame.flags = RPI_FRAME_FAILED;
    CU_ASSERT_EQUAL(answer(1, frame, "\36\0\0\0\1\0\0"), RP_ERR_BROKEN); /* a failure cut off */
    frame = result_of(&frames[0], 0);
    frame.function = 2;
    CU_ASSERT_EQUAL(answer(1, frame, NULL), RP_ERR_BROKEN); /* no such function */
    open_answer();
    rpi_writer_close(&writer, RPI_TASKS, 0);
    CU_ASSERT_EQUAL(rpi_master_receive(&master, 1, bytes, writer.used, now), RP_ERR_BROKEN);
    CU_ASSERT_EQUAL(rpi_master_receive(&master, 1, bytes, 3, now), RP_ERR_BROKEN);
    end_master();
}

/* ---- maps */

#define ITEMS 4

static uint8_t in[ITEMS], out[ITEMS * 2];
static rp_status statuses[ITEMS];

/* A map of four items in one chunk, handed out; returns its id. */
static uint64_t map_of_four(void)
{
    uint64_t id = 0;
    memset(out, 0xEE, sizeof out);
    memset(statuses, 0xEE, sizeof statuses);
    struct rpi_map_request request = { .in = in,
                                       .out = out,
                                       .in_size = 1,
                                       .out_size = 2,
                                       .count = ITEMS,
                                       .chunk = ITEMS,
                                       .statuses = statuses };
    CU_ASSERT_EQUAL_FATAL(rpi_master_map(&master, &request, now, &id), RP_OK);
    CU_ASSERT_EQUAL(state_of(id), RP_QUEUED);
    CU_ASSERT_EQUAL_FATAL(hand_out(), 1);
    CU_ASSERT_EQUAL(state_of(id), RP_SENT);
    CU_ASSERT_TRUE(frames[0].flags == RPI_FRAME_CHUNK && frames[0].chunk.count == ITEMS &&
                   frames[0].id != id);
    return id;
}

static struct rpi_frame chunk_result(uint32_t length, uint32_t failures)
{
    struct rpi_frame frame = result_of(&frames[0], length);
    frame.flags = RPI_FRAME_CHUNK;
    frame.chunk = frames[0].chunk;
    frame.failures = failures;
    return frame;
}

static void map_settles(void)
{
    begin(1);
    uint64_t id = map_of_four();
    CU_ASSERT_EQUAL(answer(1, chunk_result(8, 0), "aabbccdd"), RP_OK);
    CU_ASSERT_EQUAL(memcmp(out, "aabbccdd", 8), 0);
    for (int i = 0; i < ITEMS; i++)
        CU_ASSERT_EQUAL(statuses[i], RP_OK);
    CU_ASSERT_EQUAL(outcome_of(id).status, RP_OK);
    CU_ASSERT_EQUAL(outcome_of(id).size, 0);
    CU_ASSERT_TRUE(master.counts.submitted == 4 && master.counts.done == 4 &&
                   master.unsettled == 0);
    end_master();
}

/* The results, then failures of these items with code 10 + item; returns the size. */
static uint32_t with_failures(uint8_t *payload, const uint32_t *items, uint32_t count)
{
    memcpy(payload, "aabbccdd", 8);
    for (uint32_t i = 0; i < count; i++) {
        struct rpi_item_failure failure = {
            .item = items[i], .status = RP_ERR_TASK, .message = "bad", .length = 3
        };
        failure.code = 10 + (int)items[i];
        rpi_item_failure_put(payload + 8 + (size_t)i * 24, &failure);
    }
    return 8 + count * 24;
}

static void map_with_failures(void)
{
    uint8_t payload[200];
    begin(1);
    uint64_t id = map_of_four();
    uint32_t length = with_failures(payload, (const uint32_t[]){ 1, 3 }, 2);
    CU_ASSERT_EQUAL(answer(1, chunk_result(length, 2), payload), RP_OK);
    CU_ASSERT_EQUAL(memcmp(out,
                           "aa\xEE\xEE"
                           "cc\xEE\xEE",
                           8),
                    0);
    CU_ASSERT_TRUE(statuses[0] == RP_OK && statuses[1] == RP_ERR_TASK && statuses[2] == RP_OK &&
                   statuses[3] == RP_ERR_TASK);
    rp_outcome outcome = outcome_of(id);
    CU_ASSERT_TRUE(outcome.status == RP_ERR_TASK && outcome.code == 11);
    CU_ASSERT_STRING_EQUAL(
        outcome.message,
        "item 1 of a map of add failed on worker 1 (somehost) with code 11: bad; 2 of 4 "
        "items failed");
    CU_ASSERT_TRUE(master.counts.failed == 2 && master.counts.done == 2);
    end_master();
}

/* Only a function's own failure has a code. */
static void chunk_overran(void)
{
    uint8_t payload[20];
    begin(1);
    uint64_t id = map_of_four();
    struct rpi_frame frame = chunk_result(rpi_failure_size(4), 0);
    frame.flags |= RPI_FRAME_FAILED;
    rpi_failure_put(payload, RP_ERR_DEADLINE, 0, "late", 4);
    CU_ASSERT_EQUAL(answer(1, frame, payload), RP_OK);
    CU_ASSERT_STRING_EQUAL(outcome_of(id).message,
                           "item 0 of a map of add overran its time limit on worker 1 (somehost): "
                           "late; 4 of 4 items failed");
    end_master();
}

static void chunk_failed_as_a_whole(void)
{
    uint8_t payload[20];
    begin(1);
    uint64_t id = map_of_four();
    struct rpi_frame frame = chunk_result(rpi_failure_size(4), 0);
    frame.flags |= RPI_FRAME_FAILED;
    rpi_failure_put(payload, RP_ERR_TASK, 11, "none", 4);
    CU_ASSERT_EQUAL(answer(1, frame, payload), RP_OK);
    for (int i = 0; i < ITEMS; i++)
        CU_ASSERT_EQUAL(statuses[i], RP_ERR_TASK);
    CU_ASSERT_PTR_NOT_NULL(strstr(outcome_of(id).message, "item 0 "));
    CU_ASSERT_TRUE(out[0] == 0xEE && out[7] == 0xEE);
    end_master();
}

/* Each lie about a chunk is seen before a byte is written past an array. */
static void lies_about_chunks(void)
{
    uint8_t payload[200];
    static const uint32_t backwards[] = { 3, 1 }, twice[] = { 2, 2 }, beyond[] = { 4 },
                          last[] = { 3 };
    struct {
        struct rpi_frame frame;
        uint32_t length;
    } lie;
    for (int i = 0; i < 12; i++) {
        begin(1);
        uint64_t id = map_of_four();
        lie.frame = chunk_result(8, 0);
        memcpy(payload, "aabbccdd", 8);
        switch (i) {
        case 0:
            lie.frame.chunk.first = 1;
            break;
        case 1:
            lie.frame.chunk.count = 3;
            break;
        case 2:
            lie.frame.chunk.count = UINT32_MAX;
            break;
        case 3:
            lie.frame.chunk.out_size = 1;
            break;
        case 4:
            lie.frame.length = 7;
            break;
        case 5:
            lie.frame.length = 9;
            break;
        case 6:
            lie.frame.failures = 1;
            break;
        case 7:
            lie.frame = chunk_result(with_failures(payload, backwards, 2), 2);
            break;
        case 8:
            lie.frame = chunk_result(with_failures(payload, twice, 2), 2);
            break;
        case 9:
            lie.frame = chunk_result(with_failures(payload, beyond, 1), 1);
            break;
        case 10:
            lie.frame = chunk_result(with_failures(payload, last, 1) - 8, 1);
            break;
        default:
            lie.frame.flags = 0; /* the result of one task */
            break;
        }
        CU_ASSERT_EQUAL(answer(1, lie.frame, payload), RP_ERR_BROKEN);
        CU_ASSERT_EQUAL(state_of(id), RP_SENT);
        end_master();
    }
}

static void map_id_is_no_task(void)
{
    begin(1);
    uint64_t id = map_of_four();
    struct rpi_frame task = { .id = id, .attempt = 1 };
    strange(1, result_of(&task, 1));
    task.attempt = 0;
    strange(1, result_of(&task, 1));
    CU_ASSERT_EQUAL(state_of(id), RP_SENT);
    end_master();
}

/* ---- spawned tasks */

static struct rpi_completions completions; /* of a stream, played by the test */

static void begin_stream(void)
{
    begin(1);
    struct rpi_alloc alloc = memory_hook(&memory);
    completions = (struct rpi_completions){ .open = 0 };
    CU_ASSERT_EQUAL_FATAL(rpi_idqueue_reserve(&completions.ready, &alloc, 1), RP_OK);
    master.timing.functions[0].mean = 1e-7;
}

static void end_stream(void)
{
    struct rpi_alloc alloc = memory_hook(&memory);
    rpi_master_fini(&master);
    rpi_registry_fini(&registry);
    rpi_idqueue_fini(&completions.ready, &alloc);
    CU_ASSERT_EQUAL(memory.live, 0);
}

static uint64_t submit_to_stream(uint32_t retries)
{
    completions.open++;
    return submit((struct rpi_request){ .options = &(const struct rpi_options){
                                            .completions = &completions, .retries = retries } });
}

static void add_child(const struct rpi_frame *parent, uint64_t ordinal, const char *arg)
{
    struct rpi_frame frame = { .id = parent->id,
                               .function = 1,
                               .flags = RPI_FRAME_SPAWNED | RPI_FRAME_NUMBER };
    frame.attempt = parent->attempt;
    frame.number = ordinal;
    frame.length = (uint32_t)strlen(arg);
    add_answer(frame, arg);
}

static void children_come_with_success(void)
{
    begin_stream();
    uint64_t id = submit_to_stream(0);
    CU_ASSERT_EQUAL_FATAL(hand_out(), 1);
    CU_ASSERT_TRUE(frames[0].flags & RPI_FRAME_MAY_SPAWN);
    struct rpi_frame parent = frames[0];
    open_answer();
    add_child(&parent, 0, "one");
    CU_ASSERT_EQUAL(give_answer(1), RP_OK);
    rpi_master_dispatch(&master, now);
    CU_ASSERT_PTR_NULL(rpi_master_outgoing(&master)); /* not before their parent's end */
    open_answer();
    add_child(&parent, 1, "two");
    add_answer(result_of(&parent, 0), NULL);
    CU_ASSERT_EQUAL(give_answer(1), RP_OK);
    CU_ASSERT_EQUAL(state_of(id), RP_DONE);
    CU_ASSERT_EQUAL(completions.open, 3);
    CU_ASSERT_EQUAL(master.unsettled, 2);
    int count = hand_out();
    if (count == 1) { /* the function of the children is new: one by one */
        CU_ASSERT_EQUAL(answer_ok(&frames[0], "", 0), RP_OK);
        CU_ASSERT_EQUAL(hand_out(), 1);
    }
    CU_ASSERT_TRUE(frames[0].function == 1 && frames[0].length == 3);
    CU_ASSERT_EQUAL(frames[0].number >> 63, 1);
    end_stream();
}

static void failure_has_no_children(void)
{
    uint8_t payload[8];
    rpi_failure_put(payload, RP_ERR_TASK, 1, "", 0);
    begin_stream();
    (void)submit_to_stream(1);
    for (int attempt = 1; attempt <= 2; attempt++) {
        CU_ASSERT_EQUAL_FATAL(hand_out(), 1);
        struct rpi_frame parent = frames[0], failure = result_of(&parent, 8);
        failure.flags = RPI_FRAME_FAILED;
        open_answer();
        add_child(&parent, 0, "never");
        add_child(&parent, 1, "never");
        add_answer(failure, payload);
        CU_ASSERT_EQUAL(give_answer(1), RP_OK);
    }
    CU_ASSERT_TRUE(master.unsettled == 0 && rpi_master_queued(&master) == 0);
    CU_ASSERT_EQUAL(completions.open, 1);
    end_stream();
}

/* The workers are told to stop: who gets them would run them, and what they spawn. */
static void no_children_once_dropped(void)
{
    begin_stream();
    uint64_t id = submit_to_stream(0);
    CU_ASSERT_EQUAL_FATAL(hand_out(), 1);
    rpi_master_drop_queued(&master);
    open_answer();
    add_child(&frames[0], 0, "never");
    add_answer(result_of(&frames[0], 2), "ok");
    CU_ASSERT_EQUAL(give_answer(1), RP_OK);
    CU_ASSERT_EQUAL(state_of(id), RP_DONE);
    CU_ASSERT_TRUE(master.unsettled == 0 && rpi_master_queued(&master) == 0 &&
                   completions.open == 1);
    end_stream();
}

/* The same answer until there is memory for all: two children, no more. */
static void children_without_memory(void)
{
    uint64_t call = 1;
    for (bool refused = true; refused; call++) {
        begin_stream();
        uint64_t id = submit_to_stream(0);
        CU_ASSERT_EQUAL_FATAL(hand_out(), 1);
        struct rpi_frame parent = frames[0];
        memory.calls = 0;
        memory.fail_at = call;
        for (uint64_t i = 0; i <= 200; i++) { /* more than the ring holds at first */
            if (i % 50 == 0)
                open_answer();
            if (i < 200)
                add_child(&parent, i, "");
            else
                add_answer(result_of(&parent, 20), "twenty bytes of text");
            if ((i % 50 == 49 || i == 200) && give_answer(1) == RP_ERR_NOMEM)
                CU_ASSERT_EQUAL(give_answer(1), RP_OK);
        }
        refused = memory.refused;
        CU_ASSERT_EQUAL(state_of(id), RP_DONE);
        CU_ASSERT_TRUE(master.unsettled == 200 && rpi_master_queued(&master) == 200 &&
                       completions.open == 201);
        CU_ASSERT_EQUAL(master.counts.submitted, 201);
        memory.fail_at = 0;
        end_stream();
    }
    CU_ASSERT_TRUE(call >= 5);
}

/* All in one batch, which comes again, or (`lost`) comes never again: the parent starts once
 * more. */
static void one_answer_without_memory(bool lost)
{
    uint64_t call = 1;
    for (bool refused = true; refused; call++) {
        begin_stream();
        (void)submit_to_stream(0);
        CU_ASSERT_EQUAL_FATAL(hand_out(), 1);
        memory.calls = 0;
        memory.fail_at = call;
        open_answer();
        for (uint64_t i = 0; i < 3; i++)
            add_child(&frames[0], i, "child");
        add_answer(result_of(&frames[0], 20), "twenty bytes of text");
        rp_status status = give_answer(1);
        refused = memory.refused;
        CU_ASSERT_TRUE(status == RP_OK ||
                       master.unsettled == 1); /* none is queued before all can be */
        CU_ASSERT_TRUE(status == RP_OK ||
                       (master.counts.submitted == 1 && rpi_master_queued(&master) == 0));
        memory.fail_at = 0;
        if (status == RP_ERR_NOMEM)
            CU_ASSERT_EQUAL(lost ? rpi_master_lost(&master, 1, now) : give_answer(1), RP_OK);
        uint64_t children = lost && status == RP_ERR_NOMEM ? 0 : 3;
        CU_ASSERT_EQUAL(rpi_master_queued(&master), children ? children : 1);
        CU_ASSERT_EQUAL(completions.open, 1 + children);
        CU_ASSERT_EQUAL(master.counts.submitted, 1 + children);
        end_stream();
    }
    CU_ASSERT_TRUE(call >= 5);
}

static void one_answer_again(void)
{
    one_answer_without_memory(false);
}

static void one_answer_and_no_more(void)
{
    one_answer_without_memory(true);
}

static void damaged_children(void)
{
    int taken = 0, refused = 0;
    uint32_t size = BATCH_LIMIT;
    for (uint32_t at = 0; at < size; at++)
        for (int value = 1; value < 256; value = value < 16 ? value + 1 : value + 13) {
            begin_stream();
            (void)submit_to_stream(0);
            CU_ASSERT_EQUAL_FATAL(hand_out(), 1);
            struct rpi_frame parent = frames[0];
            struct rpi_frame child = {
                .id = parent.id, .function = 1, .attempt = 1, .number = 1, .length = 4, .ran = 5
            };
            child.flags = RPI_FRAME_SPAWNED | RPI_FRAME_NUMBER | RPI_FRAME_RAN | RPI_FRAME_CHUNK;
            open_answer();
            add_child(&parent, 0, "child");
            add_answer(child, "more");
            add_answer(result_of(&parent, 2), "ok");
            rpi_writer_close(&writer, RPI_RESULTS, 1000);
            size = writer.used;
            uint8_t *exact = memcpy(test_room(NULL, size), bytes, size);
            exact[at] ^= (uint8_t)value;
            rp_status status = rpi_master_receive(&master, 1, exact, size, now);
            free(exact);
            taken += status == RP_OK;
            refused += status == RP_ERR_BROKEN;
            rpi_master_dispatch(&master, now);
            for (int worker; take_batch(&worker);)
                continue;
            end_stream();
        }
    CU_ASSERT_TRUE(taken > 500);
    CU_ASSERT_TRUE(refused > 200);
}

/* An attempt's number travels in a byte. */
static void children_that_start_too_often(void)
{
    static const struct {
        uint32_t attempts, retries;
        rp_status status;
    } cases[] = { { 100, 150, RP_OK },
                  { 100, 151, RP_ERR_BROKEN },
                  { 251, 0, RP_ERR_BROKEN },
                  { 0, 251, RP_ERR_BROKEN },
                  { 0, UINT32_MAX, RP_ERR_BROKEN },
                  { UINT32_MAX, 2, RP_ERR_BROKEN } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin_stream();
        (void)submit_to_stream(0);
        CU_ASSERT_EQUAL_FATAL(hand_out(), 1);
        struct rpi_frame child = { .id = frames[0].id, .function = 1, .attempt = 1, .length = 4 };
        child.flags = RPI_FRAME_SPAWNED | RPI_FRAME_NUMBER | RPI_FRAME_CHUNK;
        child.chunk.in_size = cases[i].attempts;
        child.failures = cases[i].retries;
        open_answer();
        add_answer(child, "more");
        add_answer(result_of(&frames[0], 2), "ok");
        CU_ASSERT_EQUAL(give_answer(1), cases[i].status);
        end_stream();
    }
}

/* Every change of one byte of an answer: taken, or refused, but never more. */
static void every_damaged_byte(void)
{
    uint8_t payload[200];
    int taken = 0, refused = 0;
    uint32_t size = BATCH_LIMIT;
    for (uint32_t at = 0; at < size; at++)
        for (int value = 1; value < 256; value = value < 16 ? value + 1 : value + 13) {
            begin(1);
            (void)map_of_four();
            struct rpi_frame chunk = chunk_result(
                with_failures(payload, (const uint32_t[]){ 1, 2 }, 2), 2);
            (void)submit(
                (struct rpi_request){ .options = &(const struct rpi_options){ .retries = 1 } });
            (void)submit_number(2);
            master.timing.functions[0].mean = 1e-6;
            CU_ASSERT_EQUAL_FATAL(rpi_roster_least(&master.roster), 1);
            rpi_roster_done(&master.roster,
                            1); /* as if it were idle: the two tasks go in one batch */
            CU_ASSERT_EQUAL_FATAL(hand_out(), 2);
            rpi_roster_sent(&master.roster, 1);
            open_answer();
            add_answer(chunk, payload);
            struct rpi_frame frame = result_of(&frames[0], 10);
            frame.flags = RPI_FRAME_FAILED | RPI_FRAME_RAN;
            add_answer(frame, "\36\0\0\0\1\0\0\0no");
            add_answer(result_of(&frames[1], 12), "twelve bytes");
            rpi_writer_close(&writer, RPI_RESULTS, 1000);
            size = writer.used;
            uint8_t *exact = memcpy(test_room(NULL, size), bytes, size);
            exact[at] ^= (uint8_t)value;
            rp_status status = rpi_master_receive(&master, 1, exact, size, now);
            free(exact);
            taken += status == RP_OK;
            refused += status == RP_ERR_BROKEN;
            CU_ASSERT_TRUE(status == RP_OK || status == RP_ERR_BROKEN || status == RP_ERR_NOMEM);
            for (struct rpi_arrival *arrival; (arrival = rpi_master_incoming(&master));) {
                memset(arrival->buffer, 1, arrival->size);
                (void)!rpi_master_arrived(&master, arrival, now);
            }
            end_master();
        }
    CU_ASSERT_TRUE(taken > 1000);
    CU_ASSERT_TRUE(refused > 500);
}

/* ---- memory */

static void submit_without_memory(void)
{
    static const uint8_t arg[3000];
    const struct rpi_request requests[] = {
        { .arg = arg, .size = 8 },
        { .arg = arg, .size = 3000 },
        { .arg = arg, .size = 8, .options = &(const struct rpi_options){ .priority = 1 } },
        { .arg = arg,
          .size = 3000,
          .options = &(const struct rpi_options){ .retries = 1, .cost = 2 } },
    };
    for (size_t i = 0; i < 4; i++) {
        uint64_t call = 1, id;
        for (bool refused = true; refused; call++) {
            begin(1);
            uint64_t live = memory.live;
            memory.calls = 0;
            memory.fail_at = call;
            rp_status status = rpi_master_submit(&master, &requests[i], now, &id);
            refused = memory.refused;
            CU_ASSERT_EQUAL(status, refused ? RP_ERR_NOMEM : RP_OK);
            if (refused) {
                CU_ASSERT_TRUE(master.unsettled == 0 && master.ready.queue.tasks == 0 &&
                               master.ready.queue.bytes == 0);
                CU_ASSERT_TRUE(master.futures.live == 0 && master.next_number == 0 &&
                               master.counts.submitted == 0);
                CU_ASSERT_TRUE(memory.live <= live + 6); /* room that is kept for the next time */
                CU_ASSERT_EQUAL(rpi_master_submit(&master, &requests[i], now, &id), RP_OK);
            }
            CU_ASSERT_EQUAL(state_of(id), RP_QUEUED);
            end_master();
        }
        CU_ASSERT_TRUE(call >= 4);
    }
}

static void init_without_memory(void)
{
    uint64_t call = 1;
    begin(3);
    for (bool refused = true; refused; call++) {
        struct rpi_master another;
        struct rpi_master_config config = master.config;
        uint64_t live = memory.live;
        memory.calls = memory.refused = 0;
        memory.fail_at = call;
        rp_status status = rpi_master_init(&another, &config);
        refused = memory.refused;
        CU_ASSERT_EQUAL(status, refused ? RP_ERR_NOMEM : RP_OK);
        if (status == RP_OK)
            rpi_master_fini(&another);
        CU_ASSERT_EQUAL(memory.live, live);
    }
    CU_ASSERT_TRUE(call >= 3);
    memory.fail_at = 0;
    end_master();
}

/* No memory for a batch: the tasks stay queued, and go a moment later. */
static void dispatch_without_memory(void)
{
    begin(1);
    uint64_t id = submit_number(1);
    memory.calls = 0;
    memory.fail_at = 1;
    rpi_master_dispatch(&master, now);
    CU_ASSERT_EQUAL(memory.refused, 1);
    CU_ASSERT_PTR_NULL(rpi_master_outgoing(&master));
    CU_ASSERT_EQUAL(state_of(id), RP_QUEUED);
    CU_ASSERT_TRUE(rpi_master_starves(&master));
    CU_ASSERT_EQUAL(hand_out(), 1);
    CU_ASSERT_FALSE(rpi_master_starves(&master));
    end_master();
}

/* The same answer is given until there is memory for all of it; each task in it settles once. */
static void receive_without_memory(void)
{
    uint64_t call = 1;
    for (bool refused = true; refused; call++) {
        begin(1);
        master.timing.functions[0].mean = 1e-7;
        uint64_t ids[3];
        for (int i = 0; i < 3; i++)
            ids[i] = submit((struct rpi_request){
                .options = &(const struct rpi_options){ .retries = i == 1 ? 1 : 0 } });
        CU_ASSERT_EQUAL_FATAL(hand_out(), 3);
        open_answer();
        add_answer(result_of(&frames[0], 20), "twenty bytes of text");
        for (int i = 1; i < 3; i++) {
            struct rpi_frame frame = result_of(&frames[i], 10);
            frame.flags = RPI_FRAME_FAILED;
            add_answer(frame, "\36\0\0\0\1\0\0\0no");
        }
        memory.calls = 0;
        memory.fail_at = call;
        rp_status status = give_answer(1);
        refused = memory.refused;
        CU_ASSERT_EQUAL(status, refused ? RP_ERR_NOMEM : RP_OK);
        if (refused)
            CU_ASSERT_EQUAL(give_answer(1), RP_OK);
        CU_ASSERT_EQUAL(outcome_of(ids[0]).size, 20);
        CU_ASSERT_EQUAL(state_of(ids[1]), RP_QUEUED);
        CU_ASSERT_EQUAL(outcome_of(ids[2]).code, 1);
        CU_ASSERT_TRUE(master.counts.done == 1 && master.counts.failed == 1 &&
                       master.counts.retried == 1);
        CU_ASSERT_EQUAL(master.roster.seats[1].in_flight, 0);
        CU_ASSERT_EQUAL(master.roster.seats[1].done, 3);
        end_master();
    }
    CU_ASSERT_TRUE(call >= 4);
}

static CU_TestInfo right[] = { { "a_task_there_and_back", a_task_there_and_back },
                               { "results_of_every_size", results_of_every_size },
                               { "a_failed_task", a_failed_task },
                               { "detached_failure_is_logged", detached_failure_is_logged },
                               { "tries_again", tries_again },
                               { "no_try_after_the_end", no_try_after_the_end },
                               { "released_before_its_end", released_before_its_end },
                               { "numbers_of_tasks", numbers_of_tasks },
                               { "large_there_and_back", large_there_and_back },
                               { "map_settles", map_settles },
                               { "map_with_failures", map_with_failures },
                               { "chunk_failed_as_a_whole", chunk_failed_as_a_whole },
                               { "chunk_overran", chunk_overran },
                               { "children_come_with_success", children_come_with_success },
                               { "failure_has_no_children", failure_has_no_children },
                               { "no_children_once_dropped", no_children_once_dropped },
                               CU_TEST_INFO_NULL };
static CU_TestInfo wrong[] = { { "answers_of_tasks_it_does_not_have",
                                 answers_of_tasks_it_does_not_have },
                               { "damaged_answers", damaged_answers },
                               { "lies_about_chunks", lies_about_chunks },
                               { "map_id_is_no_task", map_id_is_no_task },
                               { "every_damaged_byte", every_damaged_byte },
                               { "damaged_children", damaged_children },
                               { "children_that_start_too_often", children_that_start_too_often },
                               CU_TEST_INFO_NULL };
static CU_TestInfo short_of_memory[] = { { "submit_without_memory", submit_without_memory },
                                         { "init_without_memory", init_without_memory },
                                         { "dispatch_without_memory", dispatch_without_memory },
                                         { "receive_without_memory", receive_without_memory },
                                         { "children_without_memory", children_without_memory },
                                         { "one_answer_again", one_answer_again },
                                         { "one_answer_and_no_more", one_answer_and_no_more },
                                         CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "right", register_functions, NULL, NULL, NULL, right },
                                 { "wrong", register_functions, NULL, NULL, NULL, wrong },
                                 { "memory", register_functions, NULL, NULL, NULL,
                                   short_of_memory },
                                 CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
