/* Handing back, rank 0's half: who is asked when, and what becomes of what comes back. */
#include "bare_master.h"
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RT    10e-6 /* round trip, seconds */
#define MEAN  2e-6  /* a task's length: five go at once, so that two workers have all eight */
#define TASKS 8

static void begin(int workers)
{
    begin_master(workers, NULL);
    master.timing.round_trip = RT;
    master.timing.functions[0].mean = MEAN;
}

/* ---- what goes out */

static struct rpi_frame frames[200];
static int frame_count, sent_to;

/* The next batch, reported sent at once; its kind, or 0. */
static int take_batch(void)
{
    struct rpi_batch *batch = rpi_master_outgoing(&master);
    struct rpi_reader reader;
    frame_count = 0;
    if (!batch)
        return 0;
    sent_to = batch->peer;
    CU_ASSERT_EQUAL_FATAL(rpi_reader_open(&reader, batch->bytes, batch->size), RP_OK);
    while (reader.left)
        CU_ASSERT_EQUAL_FATAL(rpi_reader_frame(&reader, &frames[frame_count++]), RP_OK);
    for (uint16_t i = batch->sends; i > 0; i--)
        rpi_master_sent(&master, batch);
    return (int)reader.kind;
}

/* Hands out; what each of the workers 1 and 2 got, in the order it got it. */
static struct rpi_frame given[3][50];
static int given_count[3];

static void hand_out(void)
{
    memset(given_count, 0, sizeof given_count);
    rpi_master_dispatch(&master, now);
    for (int kind; (kind = take_batch());) {
        CU_ASSERT_EQUAL_FATAL(kind, RPI_TASKS);
        for (int i = 0; i < frame_count; i++)
            given[sent_to][given_count[sent_to]++] = frames[i];
    }
}

static uint64_t submit(const struct rpi_options *options)
{
    uint64_t id = 0, number = master.next_number;
    struct rpi_request request = { .arg = &number, .size = 8, .options = options };
    CU_ASSERT_EQUAL_FATAL(rpi_master_submit(&master, &request, now, &id), RP_OK);
    return id;
}

static const struct rpi_future *future_of(uint64_t id)
{
    return rpi_future_of(&master.futures, id);
}

/* ---- what comes in */

static rp_status give(int worker, enum rpi_kind kind, const struct rpi_frame *tasks, int count,
                      uint64_t word)
{
    uint8_t bytes[BATCH_LIMIT];
    struct rpi_writer writer;
    rpi_writer_open(&writer, bytes, BATCH_LIMIT);
    for (int i = 0; i < count; i++) {
        struct rpi_frame frame = { .id = tasks[i].id, .attempt = tasks[i].attempt };
        if (kind == RPI_RESULTS && tasks[i].flags & RPI_FRAME_CHUNK) {
            frame.flags = RPI_FRAME_CHUNK;
            frame.chunk = tasks[i].chunk;
        }
        (void)rpi_writer_frame(&writer, &frame);
    }
    rpi_writer_close(&writer, kind, word);
    rp_status status = rpi_master_receive(&master, worker, bytes, writer.used, now);
    master.timing.round_trip = RT; /* whatever it measured: no time passes here */
    return status;
}

static void results(int worker, int from, int count)
{
    CU_ASSERT_EQUAL(give(worker, RPI_RESULTS, given[worker] + from, count, (uint64_t)(MEAN * 1e9)),
                    RP_OK);
}

static rp_status returned(int worker, const struct rpi_frame *tasks, int count)
{
    return give(worker, RPI_RETURNED, tasks, count, RPI_RETURNED_ALL);
}

/* Two workers with the tasks; then the second is done with its own. */
static void second_idles(const struct rpi_options *options)
{
    begin(2);
    for (int i = 0; i < TASKS; i++)
        (void)submit(options);
    hand_out();
    CU_ASSERT_EQUAL_FATAL(master.ready.queue.tasks, 0);
    CU_ASSERT_TRUE_FATAL(given_count[1] >= 3 && given_count[2] >= 1);
    results(2, 0, given_count[2]);
}

/* Their time is over. */
static void is_asked(int worker)
{
    now += 1;
    rpi_master_dispatch(&master, now);
    CU_ASSERT_EQUAL_FATAL(take_batch(), RPI_RECALL);
    CU_ASSERT_EQUAL(sent_to, worker);
    CU_ASSERT_EQUAL(frame_count, 0);
}

static void nobody_is_asked(void)
{
    rpi_master_dispatch(&master, now);
    CU_ASSERT_EQUAL(take_batch(), 0);
}

/* ---- tests */

/* What comes back goes to the idle worker, before others and as if it had never been away. */
static void goes_to_who_idles(void)
{
    struct rpi_frame kept[50];
    second_idles(NULL);
    int count = given_count[1];
    memcpy(kept, given[1], sizeof kept);
    is_asked(1);
    nobody_is_asked(); /* once */
    CU_ASSERT_EQUAL(returned(1, kept + 1, count - 1), RP_OK);
    CU_ASSERT_EQUAL(master.ready.queue.tasks, (uint64_t)count - 1);
    CU_ASSERT_EQUAL(master.roster.seats[1].in_flight, 1);
    (void)submit(NULL);
    hand_out();
    CU_ASSERT_EQUAL(given_count[1], 0); /* it has not been heard of since */
    CU_ASSERT_TRUE_FATAL(given_count[2] > 0);
    CU_ASSERT_TRUE(given[2][0].id == kept[1].id && given[2][0].attempt == 1 &&
                   given[2][0].number == kept[1].number);
    CU_ASSERT_EQUAL(number_in(given[2][0].payload), kept[1].number);
    results(2, 0, given_count[2]);
    CU_ASSERT_TRUE(future_of(kept[1].id)->state == RP_DONE && future_of(kept[1].id)->attempts == 1);
    CU_ASSERT_EQUAL(give(1, RPI_RESULTS, kept, 1, 0), RP_OK);
    CU_ASSERT_EQUAL(future_of(kept[0].id)->state, RP_DONE);
    while (master.unsettled) {
        hand_out();
        CU_ASSERT_TRUE_FATAL(given_count[1] + given_count[2] > 0);
        results(1, 0, given_count[1]);
        results(2, 0, given_count[2]);
    }
    CU_ASSERT_EQUAL(master.counts.done, TASKS + 1);
    CU_ASSERT_EQUAL(master.counts.retried, 0);
    end_master();
}

/* No worker is asked while little work is predicted.  Tasks not done after that time must include a
 * long one. */
static void asked_when_overdue(void)
{
    second_idles(NULL);
    nobody_is_asked();
    CU_ASSERT_TRUE(master.rebalance.look_again > now &&
                   master.rebalance.look_again < now + 5 * MEAN + 2 * RT);
    now = master.rebalance.look_again;
    rpi_master_dispatch(&master, now);
    CU_ASSERT_TRUE(take_batch() == RPI_RECALL && sent_to == 1);
    end_master();
}

static void not_for_one_task(void)
{
    second_idles(NULL);
    results(1, 0, given_count[1] - 1);
    now += 1;
    nobody_is_asked();
    CU_ASSERT_TRUE(master.rebalance.look_again < 0);
    end_master();
}

static void not_while_all_are_busy(void)
{
    begin(2);
    for (int i = 0; i < TASKS; i++)
        (void)submit(NULL);
    hand_out();
    now += 1;
    nobody_is_asked();
    end_master();
}

/* A worker that has answered and has nothing gets tasks again, whether its result or its answer
 * came first. */
static void answers_in_either_order(void)
{
    for (int first = 0; first < 2; first++) {
        second_idles(NULL);
        int count = given_count[1];
        is_asked(1);
        for (int step = 0; step < 2; step++)
            if (step == first)
                results(1, 0, 1);
            else
                CU_ASSERT_EQUAL(returned(1, given[1] + 1, count - 1), RP_OK);
        CU_ASSERT_TRUE(master.roster.idle == 2 && master.roster.asked == 0);
        hand_out();
        CU_ASSERT_EQUAL(given_count[1] + given_count[2], count - 1);
        end_master();
    }
}

/* A preferred worker that hands a task back has had its chance. */
static void preference_is_spent(void)
{
    const struct rpi_options prefers = { .worker = 1 };
    struct rpi_frame kept[50];
    begin(2);
    for (int i = 0; i < 6; i++)
        (void)submit(&prefers);
    hand_out();
    CU_ASSERT_TRUE_FATAL(given_count[1] == 5 && given_count[2] == 1);
    results(2, 0, 1);
    int count = given_count[1];
    memcpy(kept, given[1], sizeof kept);
    is_asked(1);
    CU_ASSERT_EQUAL(returned(1, kept + 1, count - 1), RP_OK);
    CU_ASSERT_EQUAL(give(1, RPI_RESULTS, kept, 1, 0), RP_OK);
    hand_out();
    CU_ASSERT_TRUE(given_count[2] > 0);
    end_master();
}

/* Tasks that only one worker may run are not asked for. */
static void hard_tasks_stay(void)
{
    const struct rpi_options hard = { .worker = 1, .hard = true };
    begin(2);
    for (int i = 0; i < TASKS; i++)
        (void)submit(&hard);
    hand_out();
    CU_ASSERT_EQUAL(given_count[2], 0);
    now += 1;
    nobody_is_asked();
    CU_ASSERT_EQUAL(returned(1, given[1] + 1, 1),
                    RP_OK); /* if they come back nevertheless, it gets them again */
    CU_ASSERT_EQUAL(master.ready.own_tasks, TASKS - (uint64_t)given_count[1] + 1);
    end_master();
}

/* The cancel and the task have passed each other. */
static void cancelled_on_its_way(void)
{
    second_idles(NULL);
    uint64_t id = given[1][1].id;
    is_asked(1);
    CU_ASSERT_EQUAL(rpi_master_cancel(&master, id, rpi_master_future(&master, id), now), RP_OK);
    CU_ASSERT_EQUAL(take_batch(), RPI_CANCEL);
    CU_ASSERT_EQUAL(returned(1, given[1] + 1, 2), RP_OK);
    CU_ASSERT_TRUE(future_of(id)->state == RP_DONE && future_of(id)->status == RP_ERR_CANCELLED);
    CU_ASSERT_EQUAL(future_of(id)->attempts, 0);
    CU_ASSERT_EQUAL(future_of(given[1][2].id)->state, RP_QUEUED);
    CU_ASSERT_EQUAL(master.counts.cancelled, 1);
    end_master();
}

static void cancel(uint64_t id)
{
    CU_ASSERT_EQUAL(rpi_master_cancel(&master, id, rpi_master_future(&master, id), now), RP_OK);
}

static void is_cancel_of(const uint64_t *ids, int count)
{
    CU_ASSERT_EQUAL_FATAL(take_batch(), RPI_CANCEL);
    CU_ASSERT_EQUAL_FATAL(frame_count, count);
    for (int i = 0; i < count; i++)
        CU_ASSERT_EQUAL(frames[i].id, ids[i]);
}

/* Cancels of one worker's tasks share a message until it is sent or other tasks go after it. */
static void cancels_share_messages(void)
{
    uint64_t ids[5];
    begin(1);
    for (int i = 0; i < 3; i++)
        ids[i] = submit(NULL);
    hand_out();
    CU_ASSERT_EQUAL(given_count[1], 3);
    cancel(ids[0]);
    cancel(ids[1]);
    is_cancel_of(ids, 2);
    cancel(ids[2]);
    for (int i = 3; i < 5; i++)
        ids[i] = submit(NULL);
    master.config.batch_limit =
        1; /* what is queued fills a batch: it gets them beside those that it has */
    rpi_master_dispatch(&master, now);
    cancel(ids[3]);
    cancel(ids[4]);
    is_cancel_of(ids + 2, 1);
    CU_ASSERT_TRUE(take_batch() == RPI_TASKS && frame_count == 2);
    is_cancel_of(ids + 3, 2);
    CU_ASSERT_EQUAL(take_batch(), 0);
    end_master();
}

/* More than one message can say, and all that there is. */
static void many_cancels(void)
{
    static uint64_t ids[300];
    int said = 0, messages = 0;
    begin(1);
    master.timing.functions[0].mean = 1e-9;
    for (int i = 0; i < 300; i++)
        ids[i] = submit(NULL);
    master.config.batch_limit = 1;
    rpi_master_dispatch(&master, now);
    for (int kind; (kind = take_batch());)
        said += frame_count;
    int sent = said;
    CU_ASSERT_TRUE(sent > 2 * BATCH_LIMIT / RPI_FRAME_HEADER / 2);
    for (int i = 0; i < sent; i++)
        cancel(ids[i]);
    for (said = 0; take_batch() == RPI_CANCEL; said += frame_count)
        messages++;
    CU_ASSERT_EQUAL(said, sent);
    CU_ASSERT_EQUAL(messages, (sent * RPI_FRAME_HEADER - 1) / (BATCH_LIMIT - RPI_BATCH_HEADER) + 1);
    cancel(ids[0]);
    CU_ASSERT_EQUAL(rpi_master_cancel_all(&master, now), RP_OK);
    cancel(ids[1]);
    is_cancel_of(ids, 1);
    is_cancel_of(NULL, 0);
    is_cancel_of(ids + 1, 1);
    end_master();
}

/* A cancelled task weighs nothing any more, whether its entry has come up or not. */
static void cancelled_ones_weigh_nothing(void)
{
    static uint8_t large[100000];
    const struct rpi_options ranked = { .priority = -1 }, hard = { .worker = 1, .hard = true };
    const struct rpi_options *const options[] = { NULL, &ranked, &hard };
    begin(1);
    for (uint32_t i = 0; i < 12; i++) {
        uint32_t size = i % 2 ? (uint32_t)sizeof large : i;
        uint64_t id, bytes = master.ready.queue.bytes + master.ready.own_bytes,
                     tasks = rpi_master_queued(&master);
        struct rpi_request request = { .arg = large, .size = size, .options = options[i % 3] };
        for (int k = 0; k < 2; k++) {
            CU_ASSERT_EQUAL_FATAL(rpi_master_submit(&master, &request, now, &id), RP_OK);
            CU_ASSERT_EQUAL(master.ready.queue.bytes + master.ready.own_bytes, bytes + size);
            if (k == 0)
                cancel(id);
        }
        CU_ASSERT_EQUAL(rpi_master_queued(&master), tasks + 1);
    }
    CU_ASSERT_EQUAL(rpi_master_cancel_all(&master, now), RP_OK);
    CU_ASSERT_TRUE(master.ready.queue.bytes == 0 && master.ready.own_bytes == 0 &&
                   rpi_master_queued(&master) == 0);
    nobody_is_asked();
    end_master();
}

/* What only this worker may run, and what any may: the higher rank goes first. */
static void own_ones_by_rank(void)
{
    const struct rpi_options low = { .priority = -5, .worker = 1, .hard = true },
                             high = { .priority = 5, .worker = 1, .hard = true },
                             middle = { .priority = 1 };
    begin(1);
    master.timing.functions[0].mean = 1; /* each goes alone */
    uint64_t order[5];
    order[3] = submit(NULL);
    order[4] = submit(&low);
    order[1] = submit(&middle);
    order[0] = submit(&high);
    order[2] = submit(&(struct rpi_options){ .priority = 1, .worker = 1, .hard = true });
    for (int i = 0; i < 5; i++) {
        hand_out();
        CU_ASSERT_EQUAL_FATAL(given_count[1], 1);
        CU_ASSERT_EQUAL(given[1][0].id, order[i]);
        results(1, 0, 1);
        master.timing.functions[0].mean = 1;
    }
    CU_ASSERT_EQUAL(master.unsettled, 0);
    end_master();
}

/* Another attempt, another worker's task, one that is done, one that never was: none of them is
 * taken. */
static void wrong_answers(void)
{
    second_idles(NULL);
    struct rpi_frame wrong[] = { given[1][1], given[2][0], { .id = 77, .attempt = 1 } };
    wrong[0].attempt = 2;
    CU_ASSERT_EQUAL(returned(1, wrong, 3), RP_OK);
    wrong[0].attempt = 1;
    CU_ASSERT_EQUAL(returned(2, wrong, 1), RP_OK);
    CU_ASSERT_EQUAL(master.ready.queue.tasks, 0);
    CU_ASSERT_EQUAL(returned(1, given[1] + 1, 1), RP_OK);
    CU_ASSERT_EQUAL(returned(1, given[1] + 1, 1), RP_OK); /* twice: it is queued once */
    CU_ASSERT_EQUAL(master.ready.queue.tasks, 1);
    end_master();
}

/* ---- maps */

#define ITEMS 8

static void map_out(uint64_t *id)
{
    static const uint64_t in[ITEMS] = { 0, 1, 2, 3, 4, 5, 6, 7 };
    struct rpi_map_request request = {
        .in = in, .in_size = 8, .out_size = 0, .count = ITEMS, .chunk = 1
    };
    begin(2);
    CU_ASSERT_EQUAL_FATAL(rpi_master_map(&master, &request, now, id), RP_OK);
    hand_out();
    CU_ASSERT_EQUAL_FATAL(master.ready.queue.tasks, 0);
    CU_ASSERT_EQUAL(given_count[1] + given_count[2], ITEMS);
    results(2, 0, given_count[2]);
}

static void chunks_come_back(void)
{
    uint64_t id;
    struct rpi_frame kept[50];
    map_out(&id);
    int count = given_count[1];
    memcpy(kept, given[1], sizeof kept);
    is_asked(1);
    CU_ASSERT_EQUAL(returned(1, kept + 1, count - 1), RP_OK);
    CU_ASSERT_EQUAL(master.ready.queue.tasks, (uint64_t)count - 1);
    CU_ASSERT_EQUAL(future_of(id)->state, RP_QUEUED);
    CU_ASSERT_EQUAL(give(1, RPI_RESULTS, kept, 1, 0), RP_OK);
    bool seen[ITEMS] = { false };
    while (master.unsettled) {
        hand_out();
        CU_ASSERT_TRUE_FATAL(given_count[1] + given_count[2] > 0);
        for (int worker = 1; worker <= 2; worker++)
            for (int i = 0; i < given_count[worker]; i++) {
                const struct rpi_frame *frame = &given[worker][i];
                CU_ASSERT_TRUE(frame->chunk.count == 1 && frame->attempt == 1 &&
                               number_in(frame->payload) == frame->chunk.first);
                CU_ASSERT_FALSE(seen[frame->chunk.first]);
                seen[frame->chunk.first] = true;
            }
        results(1, 0, given_count[1]);
        results(2, 0, given_count[2]);
    }
    CU_ASSERT_TRUE(future_of(id)->state == RP_DONE && future_of(id)->status == RP_OK);
    CU_ASSERT_EQUAL(master.counts.done, ITEMS);
    end_master();
}

/* What has come back of a map is cancelled with it at once; what comes back later, when it
 * comes. */
static void chunks_of_a_cancelled_map(void)
{
    uint64_t id;
    map_out(&id);
    int count = given_count[1];
    CU_ASSERT_EQUAL(returned(1, given[1] + 2, count - 2), RP_OK);
    CU_ASSERT_EQUAL(rpi_master_cancel(&master, id, rpi_master_future(&master, id), now), RP_OK);
    CU_ASSERT_EQUAL(take_batch(), RPI_CANCEL);
    CU_ASSERT_TRUE(master.ready.queue.tasks == 0 && master.ready.queue.bytes == 0);
    CU_ASSERT_EQUAL(master.counts.cancelled, (uint64_t)count - 2);
    CU_ASSERT_EQUAL(returned(1, given[1] + 1, 1), RP_OK);
    CU_ASSERT_TRUE(master.ready.queue.tasks == 0 && master.ready.queue.bytes == 0);
    CU_ASSERT_EQUAL(future_of(id)->state, RP_SENT);
    results(1, 0, 1);
    CU_ASSERT_TRUE(future_of(id)->state == RP_DONE && future_of(id)->status == RP_ERR_CANCELLED);
    CU_ASSERT_EQUAL(master.counts.cancelled, (uint64_t)count - 1);
    nobody_is_asked();
    end_master();
}

/* The worker keeps this many items of the chunk. */
static rp_status keeps(int worker, const struct rpi_frame *chunk, uint32_t items)
{
    uint8_t bytes[BATCH_LIMIT];
    struct rpi_writer writer;
    const struct rpi_frame frame = {
        .id = chunk->id, .attempt = chunk->attempt, .flags = RPI_FRAME_CHUNK, .chunk.count = items
    };
    rpi_writer_open(&writer, bytes, BATCH_LIMIT);
    (void)rpi_writer_frame(&writer, &frame);
    rpi_writer_close(&writer, RPI_RETURNED, RPI_RETURNED_ALL);
    return rpi_master_receive(&master, worker, bytes, writer.used, now);
}

/* Two chunks, of which the second is done. */
static void chunks_out(uint64_t *id)
{
    static const uint64_t in[ITEMS] = { 0, 1, 2, 3, 4, 5, 6, 7 };
    struct rpi_map_request request = { .in = in, .in_size = 8, .count = ITEMS };
    begin(2);
    CU_ASSERT_EQUAL_FATAL(rpi_master_map(&master, &request, now, id), RP_OK);
    hand_out();
    CU_ASSERT_EQUAL_FATAL(master.ready.queue.tasks, 0);
    CU_ASSERT_TRUE_FATAL(given_count[1] == 1 && given_count[2] == 1 &&
                         given[1][0].chunk.count == 5);
    results(2, 0, 1);
}

/* One chunk alone is worth asking for; what it has not begun goes to the idle worker. */
static void chunk_is_cut(void)
{
    uint64_t id, item;
    chunks_out(&id);
    struct rpi_frame chunk = given[1][0];
    is_asked(1);
    CU_ASSERT_EQUAL(keeps(1, &chunk, 2), RP_OK);
    CU_ASSERT_TRUE(master.ready.queue.tasks == 3 && master.ready.queue.bytes == 24);
    hand_out();
    CU_ASSERT_TRUE_FATAL(given_count[1] == 0 && given_count[2] == 1);
    CU_ASSERT_TRUE(given[2][0].chunk.first == 2 && given[2][0].chunk.count == 3 &&
                   given[2][0].attempt == 1);
    memcpy(&item, given[2][0].payload, sizeof item); /* as the application wrote it */
    CU_ASSERT_EQUAL(item, 2);
    CU_ASSERT_EQUAL(give(1, RPI_RESULTS, &chunk, 1, 0), RP_ERR_BROKEN); /* it has fewer items now */
    chunk.chunk.count = 2;
    CU_ASSERT_EQUAL(give(1, RPI_RESULTS, &chunk, 1, 0), RP_OK);
    results(2, 0, 1);
    CU_ASSERT_TRUE(future_of(id)->state == RP_DONE && future_of(id)->status == RP_OK);
    CU_ASSERT_EQUAL(master.counts.done, ITEMS);
    end_master();
}

/* It may not keep what it does not have, nor nothing. */
static void wrong_cuts(void)
{
    for (uint32_t items = 0; items <= 6; items++) {
        uint64_t id;
        chunks_out(&id);
        struct rpi_frame chunk = given[1][0], other = chunk;
        other.attempt = 2;
        CU_ASSERT_EQUAL(keeps(1, &other, items), RP_OK); /* which is not under way there */
        CU_ASSERT_EQUAL(keeps(2, &chunk, items), RP_OK);
        CU_ASSERT_EQUAL(master.ready.queue.tasks, 0);
        CU_ASSERT_EQUAL(keeps(1, &chunk, items), items > 0 && items < 5 ? RP_OK : RP_ERR_BROKEN);
        end_master();
    }
}

/* A chunk of a cancelled map is cut, before and after the pool's end drops what is queued. */
static void cut_of_a_cancelled_map(void)
{
    uint64_t id;
    chunks_out(&id);
    struct rpi_frame chunk = given[1][0];
    CU_ASSERT_EQUAL(rpi_master_cancel(&master, id, rpi_master_future(&master, id), now), RP_OK);
    CU_ASSERT_EQUAL(take_batch(), RPI_CANCEL);
    CU_ASSERT_EQUAL(keeps(1, &chunk, 4), RP_OK);
    CU_ASSERT_TRUE(master.ready.queue.tasks == 0 && master.ready.queue.bytes == 0 &&
                   master.counts.cancelled == 1);
    rpi_master_drop_queued(&master);
    CU_ASSERT_EQUAL(keeps(1, &chunk, 3), RP_OK);
    CU_ASSERT_EQUAL(master.ready.queue.tasks, 0);
    chunk.chunk.count = 3;
    CU_ASSERT_EQUAL(give(1, RPI_RESULTS, &chunk, 1, 0), RP_OK);
    end_master();
}

/* Its worker is lost before or after its answer: each item goes once more, or not again. */
static void cut_and_lost(void)
{
    uint64_t id;
    chunks_out(&id);
    struct rpi_frame chunk = given[1][0];
    CU_ASSERT_EQUAL(keeps(1, &chunk, 2), RP_OK);
    CU_ASSERT_EQUAL(rpi_master_lost(&master, 1, now), RP_OK);
    CU_ASSERT_EQUAL(master.ready.queue.tasks, 5);
    bool seen[ITEMS] = { false };
    for (int rounds = 0; master.unsettled && rounds < 10; rounds++) {
        hand_out();
        for (int i = 0; i < given_count[2]; i++)
            for (uint64_t k = 0; k < given[2][i].chunk.count; k++) {
                CU_ASSERT_FALSE(seen[given[2][i].chunk.first + k]);
                seen[given[2][i].chunk.first + k] = true;
            }
        results(2, 0, given_count[2]);
    }
    CU_ASSERT_EQUAL(master.unsettled, 0);
    CU_ASSERT_EQUAL(master.counts.done, ITEMS);
    end_master();
}

/* ---- memory */

/* Each allocation fails in turn: what was taken of the answer is not taken twice, though it went
 * out again meanwhile. */
static void answers_without_memory(void)
{
    uint64_t failures = 0;
    for (uint64_t call = 1;; call++) {
        second_idles(NULL);
        struct rpi_frame kept[50];
        int count = given_count[1];
        memcpy(kept, given[1], sizeof kept);
        memory.calls = 0;
        memory.fail_at = call;
        rp_status status = returned(1, kept + 1, count - 1);
        bool refused = memory.refused;
        memory.fail_at = 0;
        CU_ASSERT_EQUAL(status, refused ? RP_ERR_NOMEM : RP_OK);
        uint64_t queued = master.ready.queue.tasks;
        if (refused) {
            failures++;
            master.roster.seats[1].movable = 0; /* that it is asked again is not the matter here */
            hand_out();
            CU_ASSERT_EQUAL(returned(1, kept + 1, count - 1), RP_OK);
            CU_ASSERT_EQUAL(master.ready.queue.tasks, (uint64_t)count - 1 - queued);
        } else {
            CU_ASSERT_EQUAL(queued, (uint64_t)count - 1);
        }
        master.roster.seats[1].movable = 0;
        end_master();
        if (!refused)
            break;
    }
    CU_ASSERT_TRUE(failures >= 3);
}

/* What was taken of the answer goes to the same worker, as the same attempt, and is given up there
 * before the answer comes again. */
static void same_worker_gets_it_again(void)
{
    int again = 0;
    bool refused = true;
    for (uint64_t call = 1; refused; call++) {
        second_idles(NULL);
        struct rpi_frame kept[50];
        int count = given_count[1];
        memcpy(kept, given[1], sizeof kept);
        CU_ASSERT_EQUAL(rpi_master_lost(&master, 2, now), RP_OK);
        memory.calls = 0;
        memory.fail_at = call;
        (void)!returned(1, kept + 1, count - 1);
        refused = memory.refused;
        memory.fail_at = 0;
        if (refused) {
            master.roster.seats[1].movable = 0;
            master.timing.functions[0].mean = 2 * RT; /* short enough to be sent in advance */
            hand_out();
            again += given_count[1];
            CU_ASSERT_EQUAL(returned(1, kept + 1, count - 1), RP_OK);
            CU_ASSERT_EQUAL(give(1, RPI_RESULTS, given[1], given_count[1], 0), RP_OK);
        }
        master.roster.seats[1].movable = 0;
        end_master();
    }
    CU_ASSERT_TRUE(again > 0);
}

static void asking_without_memory(void)
{
    second_idles(NULL);
    while (rpi_list_first(&master.batches.free)) /* else it needs none */
        rpi_list_remove(rpi_list_first(&master.batches.free));
    memory.calls = 0;
    memory.fail_at = 1;
    nobody_is_asked();
    memory.fail_at = 0;
    is_asked(1);
    end_master();
}

static CU_TestInfo tests[] = { { "goes_to_who_idles", goes_to_who_idles },
                               { "asked_when_overdue", asked_when_overdue },
                               { "not_for_one_task", not_for_one_task },
                               { "not_while_all_are_busy", not_while_all_are_busy },
                               { "answers_in_either_order", answers_in_either_order },
                               { "preference_is_spent", preference_is_spent },
                               { "hard_tasks_stay", hard_tasks_stay },
                               { "cancelled_on_its_way", cancelled_on_its_way },
                               { "cancels_share_messages", cancels_share_messages },
                               { "many_cancels", many_cancels },
                               { "cancelled_ones_weigh_nothing", cancelled_ones_weigh_nothing },
                               { "own_ones_by_rank", own_ones_by_rank },
                               { "wrong_answers", wrong_answers },
                               { "chunks_come_back", chunks_come_back },
                               { "chunks_of_a_cancelled_map", chunks_of_a_cancelled_map },
                               { "chunk_is_cut", chunk_is_cut },
                               { "wrong_cuts", wrong_cuts },
                               { "cut_of_a_cancelled_map", cut_of_a_cancelled_map },
                               { "cut_and_lost", cut_and_lost },
                               { "answers_without_memory", answers_without_memory },
                               { "same_worker_gets_it_again", same_worker_gets_it_again },
                               { "asking_without_memory", asking_without_memory },
                               CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "recall", register_add, NULL, NULL, NULL, tests },
                                 CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
