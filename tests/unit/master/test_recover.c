/* What becomes of tasks whose worker is lost: one rule a test.  Random losses are the simulator's
 * (tests/sim). */
#include "bare_master.h"
#include "harness.h"
#include "tables/completions.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static void begin(int workers)
{
    static const char *hosts[] = { "h0", "h1", "h2", "h3", "h4", "h5" };
    begin_master(workers, NULL);
    for (int i = 0; i <= workers; i++)
        master.roster.seats[i].host = hosts[i];
}

/* As if tasks took a microsecond: many share a batch. */
static void make_brief(void)
{
    master.timing.functions[0].mean = 1e-6;
}

/* ---- the application's side */

static uint64_t submit(const struct rpi_options *options)
{
    uint64_t id = 0, arg = 7;
    struct rpi_request request = { .arg = &arg, .size = 8, .options = options };
    CU_ASSERT_EQUAL_FATAL(rpi_master_submit(&master, &request, now, &id), RP_OK);
    return id;
}

static void says(const char *message, const char *text)
{
    CU_ASSERT_TRUE(strstr(message, text) != NULL);
    if (!strstr(message, text))
        fprintf(stderr, "\"%s\" does not say \"%s\"\n", message, text);
}

/* ---- the workers' side */

/* A batch that has gone out. */
struct out {
    struct rpi_batch *batch;
    struct rpi_frame frames[300];
    int count;
};

/* The next batch of tasks; `sent`: its bytes have gone. */
static int take(struct out *out, bool sent)
{
    struct rpi_reader reader;
    out->count = 0;
    out->batch = rpi_master_outgoing(&master);
    if (!out->batch)
        return 0;
    CU_ASSERT_EQUAL_FATAL(rpi_reader_open(&reader, out->batch->bytes, out->batch->size), RP_OK);
    while (reader.left)
        CU_ASSERT_EQUAL_FATAL(rpi_reader_frame(&reader, &out->frames[out->count++]), RP_OK);
    for (uint16_t i = out->batch->sends; sent && i > 0; i--)
        rpi_master_sent(&master, out->batch);
    return out->batch->peer;
}

static int hand_out(struct out *out)
{
    rpi_master_dispatch(&master, now);
    return take(out, true);
}

static rp_status answer(int worker, const struct rpi_frame *task, uint8_t flags,
                        const void *payload, uint32_t length)
{
    static uint8_t bytes[BATCH_LIMIT];
    struct rpi_writer writer;
    struct rpi_frame frame = { .id = task->id,
                               .function = task->function,
                               .attempt = task->attempt,
                               .flags = flags,
                               .length = length };
    frame.chunk = task->chunk;
    frame.number = task->number;
    rpi_writer_open(&writer, bytes, BATCH_LIMIT);
    uint8_t *at = rpi_writer_frame(&writer, &frame);
    if (!(flags & RPI_FRAME_LARGE))
        rpi_wire_put_payload(at, payload, length);
    rpi_writer_close(&writer, RPI_RESULTS, 1000);
    uint8_t *exact = memcpy(test_room(NULL, writer.used), bytes, writer.used);
    rp_status status = rpi_master_receive(&master, worker, exact, writer.used, now);
    free(exact);
    return status;
}

static void succeed(int worker, const struct rpi_frame *task)
{
    CU_ASSERT_EQUAL(answer(worker, task, 0, "ok", 2), RP_OK);
}

static void fail_as(int worker, const struct rpi_frame *task, rp_status how)
{
    uint8_t payload[16];
    rpi_failure_put(payload, how, 5, "bad", 3);
    CU_ASSERT_EQUAL(answer(worker, task, RPI_FRAME_FAILED, payload, rpi_failure_size(3)), RP_OK);
}

static void lose(int worker)
{
    CU_ASSERT_EQUAL(rpi_master_lost(&master, worker, now), RP_OK);
}

/* ---- lost: tasks */

static void runs_elsewhere(void)
{
    struct out out;
    begin(2);
    uint64_t id = submit(NULL);
    CU_ASSERT_EQUAL(hand_out(&out), 1);
    lose(1);
    CU_ASSERT_EQUAL(state_of(id), RP_QUEUED);
    CU_ASSERT_EQUAL(hand_out(&out), 2);
    CU_ASSERT_TRUE(out.count == 1 && out.frames[0].id == id && out.frames[0].attempt == 2);
    CU_ASSERT_TRUE(out.frames[0].length == 8 && number_in(out.frames[0].payload) == 7);
    succeed(2, &out.frames[0]);
    rp_outcome outcome = outcome_of(id);
    CU_ASSERT_TRUE(outcome.status == RP_OK && outcome.attempts == 2 && outcome.worker == 2);
    CU_ASSERT_TRUE(master.counts.retried == 1 && master.roster.lost == 1 &&
                   master.attempts.count == 0);
    end_master();
}

static void at_most_once(void)
{
    struct rpi_options once = { .attempts = 1 };
    struct out out;
    begin(2);
    uint64_t id = submit(&once);
    CU_ASSERT_EQUAL(hand_out(&out), 1);
    lose(1);
    rp_outcome outcome = outcome_of(id);
    CU_ASSERT_TRUE(outcome.status == RP_ERR_LOST && outcome.attempts == 1 && outcome.worker == 1);
    says(outcome.message, "task add (number 0) was lost on worker 1 (h1)");
    says(outcome.message, "options.attempts = 1 allows no start more");
    CU_ASSERT_EQUAL(hand_out(&out), 0);
    end_master();
}

/* Starts that its process did not survive and those that its worker did not are of one kind;
 * returned errors are of another.  `ways`: c it crashes, l its worker is lost, e it returns an
 * error. */
static void starts_are_counted(const char *ways, uint32_t attempts, uint32_t retries,
                               rp_status status)
{
    struct rpi_options options = { .attempts = attempts, .retries = retries };
    struct out out;
    begin(5);
    uint64_t id = submit(&options);
    for (int i = 0; ways[i]; i++) {
        int worker = hand_out(&out);
        CU_ASSERT_TRUE_FATAL(worker && out.count == 1);
        CU_ASSERT_EQUAL(out.frames[0].attempt, i + 1);
        if (ways[i] == 'l')
            lose(worker);
        else
            fail_as(worker, &out.frames[0], ways[i] == 'c' ? RP_ERR_CRASHED : RP_ERR_TASK);
    }
    CU_ASSERT_EQUAL(hand_out(&out), 0);
    rp_outcome outcome = outcome_of(id);
    CU_ASSERT_TRUE(outcome.status == status && outcome.attempts == (int)strlen(ways));
    end_master();
}

static void crashes_and_losses_share_the_attempts(void)
{
    starts_are_counted("cl", 2, 0, RP_ERR_LOST);
    starts_are_counted("lc", 2, 0, RP_ERR_CRASHED);
    starts_are_counted("clc", 3, 0, RP_ERR_CRASHED);
    starts_are_counted("ccl", 0, 0, RP_ERR_LOST);
    starts_are_counted("ecle", 3, 1, RP_ERR_TASK);
    starts_are_counted("eclel", 3, 2, RP_ERR_LOST);
    starts_are_counted("l", 1, 5, RP_ERR_LOST);
    starts_are_counted("c", 1, 5, RP_ERR_CRASHED);
}

/* Only that worker might have run it: what comes after it hears of that in the same step. */
static void what_comes_after_the_impossible(void)
{
    struct rpi_options only = { .worker = 1, .hard = true };
    uint64_t first, second = 0, third = 0;
    struct out out;
    begin(2);
    (void)submit(&only);
    CU_ASSERT_EQUAL(hand_out(&out), 1);
    first = submit(&only);
    rp_future after = { first };
    struct rpi_request request = { .after = &after, .after_count = 1 };
    CU_ASSERT_EQUAL_FATAL(rpi_master_submit(&master, &request, now, &second), RP_OK);
    after.id = second;
    CU_ASSERT_EQUAL_FATAL(rpi_master_submit(&master, &request, now, &third), RP_OK);
    lose(1);
    rpi_master_dispatch(&master, now);
    CU_ASSERT_EQUAL(outcome_of(first).status, RP_ERR_LOST);
    CU_ASSERT_EQUAL(outcome_of(second).status, RP_ERR_INPUT);
    CU_ASSERT_EQUAL(outcome_of(third).status, RP_ERR_INPUT);
    end_master();
}

/* The others that were in its batch are spared: each goes alone, and only the culprit goes on
 * losing workers. */
static void poison_is_found(void)
{
    struct out out;
    uint64_t ids[6];
    begin(4);
    make_brief();
    for (int i = 0; i < 6; i++)
        ids[i] = submit(NULL);
    master.roster.lost = 3; /* one worker counts: it gets all of them */
    rpi_master_dispatch(&master, now);
    master.roster.lost = 0;
    int culprits[4] = { 0 }, lost = 0, left = 6;
    for (int worker; left > 0 && (worker = take(&out, true)); rpi_master_dispatch(&master, now)) {
        bool poisoned = false;
        for (int i = 0; i < out.count; i++)
            poisoned = poisoned || out.frames[i].id == ids[3];
        CU_ASSERT_TRUE(lost == 0 || out.count == 1);
        if (poisoned) {
            culprits[lost++] = worker;
            lose(worker);
            left -= lost == 3;
            continue;
        }
        for (int i = 0; i < out.count; i++, left--)
            succeed(worker, &out.frames[i]);
    }
    CU_ASSERT_EQUAL(lost, 3);
    for (int i = 0; i < 6; i++)
        CU_ASSERT_EQUAL(outcome_of(ids[i]).status, i == 3 ? RP_ERR_LOST : RP_OK);
    char places[64];
    rp_outcome outcome = outcome_of(ids[3]);
    (void)snprintf(places, sizeof places, "before that worker %d (h%d), worker %d (h%d)",
                   culprits[0], culprits[0], culprits[1], culprits[1]);
    says(outcome.message, "started 3 times");
    says(outcome.message, places);
    says(outcome.message, "isolation = RP_FORK");
    CU_ASSERT_EQUAL(outcome.attempts, 3);
    end_master();
}

/* The task of a lost worker is resent alone: its new worker has no task before or after it. */
static void goes_alone(void)
{
    struct out out, others;
    begin(2);
    make_brief();
    uint64_t id = submit(NULL);
    CU_ASSERT_EQUAL(hand_out(&out), 1);
    uint64_t other = submit(NULL);
    CU_ASSERT_EQUAL(hand_out(&others), 2);
    lose(1);
    CU_ASSERT_EQUAL(hand_out(&out), 0); /* worker 2 has something */
    for (int i = 0; i < 500; i++)
        (void)submit(NULL);
    CU_ASSERT_EQUAL(hand_out(&out), 0); /* and gets nothing more before it */
    succeed(2, &others.frames[0]);
    CU_ASSERT_EQUAL(state_of(other), RP_DONE);
    CU_ASSERT_EQUAL(hand_out(&out), 2);
    CU_ASSERT_TRUE(out.count == 1 && out.frames[0].id == id);
    CU_ASSERT_EQUAL(take(&others, true), 0); /* nor after it */
    succeed(2, &out.frames[0]);
    CU_ASSERT_EQUAL(hand_out(&out), 2);
    CU_ASSERT_TRUE(out.count > 1);
    end_master();
}

/* A batch that the transport never had costs nothing. */
static void never_handed_out_costs_nothing(void)
{
    struct rpi_options once = { .attempts = 1 };
    struct out out;
    begin(2);
    uint64_t id = submit(&once);
    rpi_master_dispatch(&master, now);
    lose(1);
    CU_ASSERT_EQUAL(state_of(id), RP_QUEUED);
    CU_ASSERT_EQUAL(hand_out(&out), 2);
    CU_ASSERT_TRUE(out.count == 1 && out.frames[0].attempt == 1);
    succeed(2, &out.frames[0]);
    CU_ASSERT_TRUE(outcome_of(id).status == RP_OK && outcome_of(id).attempts == 1 &&
                   master.counts.retried == 0);
    end_master();
}

static void comes_back_before_its_equals(void)
{
    struct rpi_options high = { .priority = 1 };
    struct out out;
    begin(2);
    uint64_t first = submit(NULL);
    CU_ASSERT_EQUAL(hand_out(&out), 1);
    uint64_t second = submit(NULL);
    CU_ASSERT_EQUAL(hand_out(&out), 2);
    struct rpi_frame at_two = out.frames[0];
    uint64_t third = submit(NULL), urgent = submit(&high);
    lose(1);
    const uint64_t order[] = { urgent, first, third };
    succeed(2, &at_two);
    CU_ASSERT_EQUAL(state_of(second), RP_DONE);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(hand_out(&out), 2);
        CU_ASSERT_TRUE(out.count == 1 && out.frames[0].id == order[i]);
        succeed(2, &out.frames[0]);
    }
    end_master();
}

static void large_argument_is_kept(void)
{
    struct out out;
    uint8_t *arg = test_room(NULL, 5000);
    memset(arg, 9, 5000);
    for (int sent = 0; sent < 2; sent++) {
        uint64_t id = 0;
        begin(2);
        struct rpi_request request = { .arg = arg, .size = 5000 };
        CU_ASSERT_EQUAL_FATAL(rpi_master_submit(&master, &request, now, &id), RP_OK);
        rpi_master_dispatch(&master, now);
        CU_ASSERT_EQUAL(take(&out, sent), 1);
        const void *first = out.batch->pieces[0].data;
        lose(1);
        CU_ASSERT_EQUAL(hand_out(&out), 2);
        CU_ASSERT_EQUAL_FATAL(out.batch->piece_count, 1);
        CU_ASSERT_EQUAL(((const uint8_t *)out.batch->pieces[0].data)[4999], 9);
        CU_ASSERT_EQUAL(out.batch->pieces[0].data == first, sent); /* else MPI may still read it */
        succeed(2, &out.frames[0]);
        CU_ASSERT_EQUAL(outcome_of(id).status, RP_OK);
        end_master();
    }
    free(arg);
}

/* Its result was announced, and is half there: MPI may still write into its room, which is kept
 * until the end. */
static void large_result_half_way(void)
{
    struct out out;
    begin(2);
    uint64_t id = submit(NULL);
    CU_ASSERT_EQUAL(hand_out(&out), 1);
    CU_ASSERT_EQUAL(answer(1, &out.frames[0], RPI_FRAME_LARGE, NULL, 7000), RP_OK);
    struct rpi_arrival *arrival = rpi_master_incoming(&master);
    CU_ASSERT_PTR_NOT_NULL_FATAL(arrival);
    lose(1);
    CU_ASSERT_EQUAL(hand_out(&out), 2);
    memset(arrival->buffer, 1, 7000); /* MPI */
    succeed(2, &out.frames[0]);
    CU_ASSERT_EQUAL(outcome_of(id).worker, 2);
    end_master();
}

static void cancelled_and_lost(void)
{
    struct out out;
    begin(2);
    uint64_t id = submit(NULL);
    CU_ASSERT_EQUAL(hand_out(&out), 1);
    CU_ASSERT_EQUAL(rpi_master_cancel(&master, id, rpi_master_future(&master, id), now), RP_OK);
    lose(1);
    rp_outcome outcome = outcome_of(id);
    CU_ASSERT_EQUAL(outcome.status, RP_ERR_CANCELLED);
    says(outcome.message, "was cancelled on worker 1 (h1): the worker is lost");
    CU_ASSERT_PTR_NULL(rpi_master_outgoing(&master)); /* nor is it told */
    end_master();
}

static void only_that_worker(void)
{
    struct rpi_options hard = { .worker = 1, .hard = true }, soft = { .worker = 1 };
    struct out out;
    begin(2);
    uint64_t running = submit(&hard), queued = submit(&hard);
    CU_ASSERT_EQUAL(hand_out(&out), 1);
    CU_ASSERT_EQUAL(out.count, 1);
    lose(1);
    uint64_t later = submit(&hard), any = submit(&soft);
    CU_ASSERT_EQUAL(hand_out(&out), 2);
    CU_ASSERT_TRUE(out.count == 1 && out.frames[0].id == any);
    CU_ASSERT_EQUAL(outcome_of(running).status, RP_ERR_LOST);
    says(outcome_of(running).message, "may run nowhere else");
    CU_ASSERT_EQUAL(outcome_of(queued).status, RP_ERR_LOST);
    says(outcome_of(queued).message, "it may run on worker 1 (h1) only, which is lost");
    CU_ASSERT_EQUAL(outcome_of(later).status, RP_ERR_LOST);
    CU_ASSERT_EQUAL(master.ready.own_tasks, 0);
    end_master();
}

static void nobody_is_left(void)
{
    struct out out;
    begin(2);
    uint64_t id = submit(NULL);
    CU_ASSERT_EQUAL(hand_out(&out), 1);
    lose(1);
    CU_ASSERT_FALSE(rpi_roster_deserted(&master.roster));
    lose(2);
    CU_ASSERT_TRUE(rpi_roster_deserted(&master.roster));
    rpi_master_dispatch(&master, now);
    CU_ASSERT_EQUAL(state_of(id), RP_QUEUED);
    CU_ASSERT_FALSE(rpi_master_starves(&master));
    end_master();
}

static void a_lost_worker_has_nothing_to_say(void)
{
    struct out out;
    begin(2);
    uint64_t id = submit(NULL);
    CU_ASSERT_EQUAL(hand_out(&out), 1);
    struct rpi_frame first = out.frames[0];
    lose(1);
    succeed(1, &first);
    CU_ASSERT_EQUAL(state_of(id), RP_QUEUED);
    lose(1); /* told twice */
    CU_ASSERT_EQUAL(master.roster.lost, 1);
    end_master();
}

/* ---- lost: maps */

static double items[100], results[100];
static rp_status statuses[100];

static uint64_t map(uint64_t count, uint64_t chunk, uint32_t attempts)
{
    uint64_t id = 0;
    struct rpi_map_request request = { .in = items,
                                       .out = results,
                                       .in_size = 8,
                                       .out_size = 8,
                                       .count = count,
                                       .chunk = chunk,
                                       .statuses = statuses,
                                       .options = { .attempts = attempts } };
    for (int i = 0; i < 100; i++) {
        items[i] = i;
        results[i] = -1;
    }
    CU_ASSERT_EQUAL_FATAL(rpi_master_map(&master, &request, now, &id), RP_OK);
    return id;
}

static void chunk_done(int worker, const struct rpi_frame *task)
{
    CU_ASSERT_EQUAL(answer(worker, task, RPI_FRAME_CHUNK, items + task->chunk.first, task->length),
                    RP_OK);
}

/* Nine items together, then three, then the one: three attempts suffice, and it alone fails. */
static void poison_item_is_found(void)
{
    static const uint32_t sizes[] = { 9, 3, 1 };
    struct out out;
    int lost = 0;
    begin(4);
    uint64_t id = map(9, 9, 0);
    for (int worker; (worker = hand_out(&out));) {
        const struct rpi_chunk *chunk = &out.frames[0].chunk;
        CU_ASSERT_EQUAL(out.count, 1);
        if (chunk->first <= 4 && 4 < chunk->first + chunk->count) {
            CU_ASSERT_TRUE(lost < 3 && chunk->count == sizes[lost]);
            lost++;
            lose(worker);
        } else {
            chunk_done(worker, &out.frames[0]);
        }
    }
    CU_ASSERT_EQUAL(lost, 3);
    rp_outcome outcome = outcome_of(id);
    CU_ASSERT_EQUAL(outcome.status, RP_ERR_LOST);
    says(outcome.message, "item 4 of a map of add was lost");
    says(outcome.message, "started 3 times");
    says(outcome.message, "1 of 9 items failed");
    for (int i = 0; i < 9; i++) {
        CU_ASSERT_EQUAL(statuses[i], i == 4 ? RP_ERR_LOST : RP_OK);
        CU_ASSERT_DOUBLE_EQUAL(results[i], i == 4 ? -1 : i, 0);
    }
    CU_ASSERT_TRUE(master.counts.done == 8 && master.counts.failed == 1 &&
                   master.ready.queue.tasks == 0 && master.ready.queue.bytes == 0 &&
                   master.attempts.count == 0);
    end_master();
}

static void chunk_at_most_once(void)
{
    struct out out;
    begin(2);
    uint64_t id = map(6, 3, 1);
    CU_ASSERT_EQUAL(hand_out(&out), 1);
    lose(1);
    CU_ASSERT_EQUAL(take(&out, true), 2);
    chunk_done(2, &out.frames[0]);
    CU_ASSERT_EQUAL(outcome_of(id).status, RP_ERR_LOST);
    says(outcome_of(id).message, "3 of 6 items failed");
    end_master();
}

static void cancelled_map_and_lost(void)
{
    struct out out;
    begin(3);
    uint64_t id = map(9, 3, 0);
    CU_ASSERT_EQUAL(hand_out(&out), 1);
    lose(1); /* items 0 to 2 wait again, 3 to 8 are at 2 and 3 */
    struct out two, three;
    CU_ASSERT_EQUAL(take(&two, true), 2);
    CU_ASSERT_EQUAL(take(&three, true), 3);
    CU_ASSERT_EQUAL(master.ready.queue.tasks, 3);
    CU_ASSERT_EQUAL(rpi_master_cancel(&master, id, rpi_master_future(&master, id), now), RP_OK);
    CU_ASSERT_EQUAL(master.ready.queue.tasks, 0);
    lose(2);
    chunk_done(3, &three.frames[0]);
    CU_ASSERT_EQUAL(outcome_of(id).status, RP_ERR_CANCELLED);
    for (int i = 0; i < 9; i++)
        CU_ASSERT_EQUAL(statuses[i], i < 6 ? RP_ERR_CANCELLED : RP_OK);
    CU_ASSERT_TRUE(master.counts.cancelled == 6 && master.counts.done == 3 &&
                   master.attempts.count == 0);
    end_master();
}

/* ---- lost: the worker has said which task ends it */

/* Its last words: of this frame's task. */
static struct rpi_death words_of(const struct rpi_frame *task)
{
    return (struct rpi_death){
        .id = task->id, .code = 11, .attempt = task->attempt, .way = RPI_WAY_SIGNAL
    };
}

static void die(int worker, const struct rpi_death *words)
{
    rpi_master_died(&master, worker, words);
    lose(worker);
}

/* Six short tasks, all at worker 1. */
static void begin_six(struct out *out, uint64_t *ids, const struct rpi_options *options)
{
    begin(3);
    make_brief();
    for (int i = 0; i < 6; i++)
        ids[i] = submit(options);
    master.roster.lost = 2;
    CU_ASSERT_EQUAL(hand_out(out), 1);
    CU_ASSERT_EQUAL_FATAL(out->count, 6);
    master.roster.lost = 0;
}

/* It alone fails, at once, though its options allow more; its mates are as after any loss. */
static void named_task_fails(void)
{
    struct rpi_options options = { .attempts = 5, .retries = 5 };
    struct out out;
    uint64_t ids[6];
    begin_six(&out, ids, &options);
    master.roster.seats[1].pid = 77;
    struct rpi_death words = words_of(&out.frames[3]);
    die(1, &words);
    rp_outcome outcome = outcome_of(ids[3]);
    CU_ASSERT_TRUE(outcome.status == RP_ERR_CRASHED && outcome.code == 11 &&
                   outcome.attempts == 1 && outcome.worker == 1);
    says(outcome.message,
         "task add (number 3) crashed on worker 1 (h1): its process (pid 77) died of SIGSEGV");
    says(outcome.message, "workers left: 2; isolation = RP_FORK");
    CU_ASSERT_TRUE(master.counts.retried == 5 && master.counts.failed == 1);
    for (int left = 5; left > 0; left--) {
        int worker = hand_out(&out);
        CU_ASSERT_TRUE_FATAL(worker > 1 && out.count == 1 && out.frames[0].attempt == 2);
        succeed(worker, &out.frames[0]);
    }
    for (int i = 0; i < 6; i++)
        CU_ASSERT_TRUE(i == 3 || outcome_of(ids[i]).status == RP_OK);
    CU_ASSERT_EQUAL(master.attempts.count, 0);
    end_master();
}

static void named_ways_are_told(void)
{
    static const struct {
        enum rpi_way way;
        int code;
        const char *text;
    } ways[] = { { RPI_WAY_SIGNAL, SIGFPE, "died of SIGFPE" },
                 { RPI_WAY_SIGNAL, 40, "died of signal 40" },
                 { RPI_WAY_EXIT, 3, "called exit(3)" },
                 { RPI_WAY_EXIT, -1, "called exit(-1)" },
                 { RPI_WAY_QUICK_EXIT, 0, "called quick_exit()" },
                 { RPI_WAY_THREAD, 0, "ended its thread (pthread_exit" },
                 { RPI_WAY_FINALIZE, 0, "called MPI_Finalize()" },
                 { RPI_WAY_ABORT, INT32_MIN, "called MPI_Abort(-2147483648)" } };
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct out out;
        begin(2);
        uint64_t id = submit(NULL);
        CU_ASSERT_EQUAL(hand_out(&out), 1);
        struct rpi_death words = words_of(&out.frames[0]);
        words.way = (uint8_t)ways[i].way;
        words.code = ways[i].code;
        die(1, &words);
        CU_ASSERT_EQUAL(outcome_of(id).code, ways[i].code);
        says(outcome_of(id).message, ways[i].text);
        end_master();
    }
}

/* Words that name nothing which the worker has are no more than its loss. */
static void wrong_words_are_a_loss(void)
{
    for (int wrong = 0; wrong < 5; wrong++) {
        struct out out, others;
        begin(3);
        uint64_t id = submit(NULL), other = submit(NULL);
        CU_ASSERT_EQUAL(hand_out(&out), 1);
        CU_ASSERT_EQUAL(hand_out(&others), 2);
        struct rpi_death words = words_of(&out.frames[0]);
        if (wrong == 0)
            words.id ^= (uint64_t)1 << 40;
        else if (wrong == 1)
            words.attempt++;
        else if (wrong == 2)
            words.id = other;
        else if (wrong == 3)
            words.way = RPI_WAY_NONE;
        else
            words.id = UINT64_MAX;
        die(1, &words);
        CU_ASSERT_TRUE(state_of(id) == RP_QUEUED && state_of(other) == RP_SENT);
        succeed(2, &others.frames[0]);
        CU_ASSERT_TRUE(hand_out(&out) > 1);
        end_master();
    }
}

/* What another process in its place has is not meant by them. */
static void words_end_with_their_process(void)
{
    struct out out;
    begin(2);
    (void)submit(NULL);
    CU_ASSERT_EQUAL(hand_out(&out), 1);
    struct rpi_death words = words_of(&out.frames[0]);
    words.id = 0; /* what it names comes later */
    die(1, &words);
    rpi_master_replaced(&master, 1, 78, now);
    CU_ASSERT_EQUAL(master.roster.deaths[1].way, RPI_WAY_NONE);
    end_master();
}

/* The item fails; those before it ran and go by their attempts, those after it were not begun. */
static void named_item_fails(void)
{
    struct out out;
    begin(3);
    uint64_t id = map(9, 9, 0);
    CU_ASSERT_EQUAL(hand_out(&out), 1);
    struct rpi_death words = words_of(&out.frames[0]);
    words.item = 4;
    die(1, &words);
    CU_ASSERT_TRUE(statuses[4] == RP_ERR_CRASHED && master.counts.failed == 1 &&
                   master.ready.queue.tasks == 8);
    bool again[9] = { false };
    for (int worker; (worker = hand_out(&out));) {
        const struct rpi_chunk *chunk = &out.frames[0].chunk;
        CU_ASSERT_EQUAL(out.frames[0].attempt, chunk->first < 4 ? 2 : 1);
        for (uint64_t i = chunk->first; i < chunk->first + chunk->count; i++)
            again[i] = true;
        chunk_done(worker, &out.frames[0]);
    }
    for (int i = 0; i < 9; i++)
        CU_ASSERT_TRUE(again[i] == (i != 4) && statuses[i] == (i == 4 ? RP_ERR_CRASHED : RP_OK) &&
                       (int)results[i] == (i == 4 ? -1 : i));
    rp_outcome outcome = outcome_of(id);
    CU_ASSERT_EQUAL(outcome.status, RP_ERR_CRASHED);
    says(outcome.message, "item 4 of a map of add crashed on worker 1 (h1): its process");
    says(outcome.message, "1 of 9 items failed");
    CU_ASSERT_TRUE(master.attempts.count == 0 && master.ready.queue.tasks == 0 &&
                   master.ready.queue.bytes == 0);
    end_master();
}

/* The first, the last and the only one of a chunk, and one that is not in it; at most once each. */
static void named_item_at_most_once(void)
{
    for (uint64_t item = 0; item < 7; item++) {
        struct out out;
        begin(2);
        uint64_t id = map(6, 6, 1);
        CU_ASSERT_EQUAL(hand_out(&out), 1);
        struct rpi_death words = words_of(&out.frames[0]);
        words.item = item;
        die(1, &words);
        for (uint64_t next = item + 1; hand_out(&out); next += out.frames[0].chunk.count) {
            CU_ASSERT_TRUE(out.frames[0].chunk.first == next && out.frames[0].attempt == 1);
            chunk_done(2, &out.frames[0]);
        }
        for (uint64_t i = 0; i < 6; i++)
            CU_ASSERT_EQUAL(statuses[i], i < item || item == 6 ? RP_ERR_LOST
                                         : i == item           ? RP_ERR_CRASHED
                                                               : RP_OK);
        CU_ASSERT_EQUAL(outcome_of(id).status, item == 0 ? RP_ERR_CRASHED : RP_ERR_LOST);
        CU_ASSERT_TRUE(master.attempts.count == 0 && master.ready.queue.tasks == 0);
        end_master();
    }
}

static void finish_all(void)
{
    struct out out;
    for (int worker; (worker = hand_out(&out));)
        for (int i = 0; i < out.count; i++)
            if (out.frames[i].flags & RPI_FRAME_CHUNK)
                chunk_done(worker, &out.frames[i]);
            else
                succeed(worker, &out.frames[i]);
}

/* Refused memory once while it is told of the loss; false: it wanted less than that. */
static bool lose_refused(uint64_t fail_at, const struct rpi_death *words)
{
    rpi_master_died(&master, 1, words);
    memory.calls = 0;
    memory.fail_at = fail_at;
    rp_status status = rpi_master_lost(&master, 1, now);
    bool refused = memory.refused > 0;
    CU_ASSERT_EQUAL(status, refused ? RP_ERR_NOMEM : RP_OK);
    memory.fail_at = 0;
    lose(1);
    finish_all();
    return refused;
}

static void named_task_without_memory(void)
{
    bool refused = true;
    uint64_t fail_at = 1;
    for (; refused; fail_at++) {
        struct out out;
        uint64_t ids[6];
        begin_six(&out, ids, NULL);
        struct rpi_death words = words_of(&out.frames[3]);
        refused = lose_refused(fail_at, &words);
        for (int i = 0; i < 6; i++)
            CU_ASSERT_EQUAL(outcome_of(ids[i]).status, i == 3 ? RP_ERR_CRASHED : RP_OK);
        end_master();
    }
    CU_ASSERT_TRUE(fail_at > 3);
}

static void named_item_without_memory(void)
{
    bool refused = true;
    uint64_t fail_at = 1;
    for (; refused; fail_at++) {
        struct out out;
        begin(3);
        uint64_t id = map(5, 5, 0);
        CU_ASSERT_EQUAL(hand_out(&out), 1);
        struct rpi_death words = words_of(&out.frames[0]);
        words.item = 2;
        refused = lose_refused(fail_at, &words);
        CU_ASSERT_EQUAL(outcome_of(id).status, RP_ERR_CRASHED);
        for (int i = 0; i < 5; i++)
            CU_ASSERT_EQUAL(statuses[i], i == 2 ? RP_ERR_CRASHED : RP_OK);
        end_master();
    }
    CU_ASSERT_TRUE(fail_at > 3);
}

/* ---- lost: spawned tasks, inputs */

/* What it had announced is nothing; the next run makes them, once. */
static void children_once(void)
{
    struct rpi_completions completions = { .open = 1 };
    struct rpi_options options = { .completions = &completions };
    struct out out;
    begin(2);
    uint64_t id = submit(&options);
    CU_ASSERT_EQUAL(rpi_idqueue_reserve(&completions.ready, &master.config.alloc, 16), RP_OK);
    for (int worker = 1; worker <= 2; worker++) {
        CU_ASSERT_EQUAL(hand_out(&out), worker);
        struct rpi_frame child = out.frames[0];
        for (child.number = 0; child.number < 3; child.number++)
            CU_ASSERT_EQUAL(answer(worker, &child, RPI_FRAME_SPAWNED | RPI_FRAME_NUMBER, "c", 1),
                            RP_OK);
        if (worker == 1)
            lose(1);
    }
    CU_ASSERT_EQUAL(master.ready.queue.tasks, 0);
    succeed(2, &out.frames[0]);
    CU_ASSERT_EQUAL(state_of(id), RP_DONE);
    CU_ASSERT_EQUAL(master.ready.queue.tasks, 3);
    rpi_idqueue_fini(&completions.ready, &master.config.alloc);
    end_master();
}

/* An outcome that is on its way to a lost worker stays where it is until the end. */
static void input_on_its_way(void)
{
    struct out out;
    uint8_t *result = test_room(NULL, 7000);
    begin(2);
    uint64_t input = submit(NULL), id = 0;
    CU_ASSERT_EQUAL(hand_out(&out), 1);
    CU_ASSERT_EQUAL(answer(1, &out.frames[0], RPI_FRAME_LARGE, NULL, 7000), RP_OK);
    struct rpi_arrival *arrival = rpi_master_incoming(&master);
    CU_ASSERT_EQUAL(rpi_master_arrived(&master, arrival, now), RP_OK);
    rp_future after = { input };
    struct rpi_request request = { .after = &after, .after_count = 1 };
    CU_ASSERT_EQUAL_FATAL(rpi_master_submit(&master, &request, now, &id), RP_OK);
    rpi_master_release(&master, input, rpi_master_future(&master, input));
    rpi_master_dispatch(&master, now);
    struct rpi_batch *message = rpi_master_outgoing(&master);
    CU_ASSERT_TRUE_FATAL(message && message->bytes[1] == RPI_INPUT && message->piece_count == 1);
    const uint8_t *way = message->pieces[0].data;
    int worker = message->peer;
    while (take(&out, true))
        if (out.batch->bytes[1] == RPI_TASKS)
            break;
    lose(worker);
    rpi_master_dispatch(&master, now);
    while ((worker = take(&out, true)))
        if (out.batch->bytes[1] == RPI_TASKS)
            break;
    CU_ASSERT_EQUAL_FATAL(out.count, 1);
    succeed(worker, &out.frames[0]);
    CU_ASSERT_EQUAL(outcome_of(id).status, RP_OK);
    memcpy(result, way, 7000); /* MPI: it must be there */
    free(result);
    end_master();
}

/* ---- replaced */

static void place_is_taken(void)
{
    struct rpi_options hard = { .worker = 1, .hard = true };
    struct out out;
    begin(1);
    uint64_t bound = submit(&hard), id = submit(NULL);
    CU_ASSERT_EQUAL(hand_out(&out), 1);
    uint64_t done = master.roster.seats[1].done;
    lose(1);
    CU_ASSERT_EQUAL(outcome_of(bound).status, RP_ERR_LOST);
    CU_ASSERT_EQUAL(hand_out(&out), 0);
    rpi_master_replaced(&master, 1, 77, now);
    CU_ASSERT_TRUE(master.roster.lost == 0 && master.roster.idle == 1);
    CU_ASSERT_TRUE(master.roster.seats[1].pid == 77 && master.roster.seats[1].done == done);
    CU_ASSERT_EQUAL(outcome_of(bound).status,
                    RP_ERR_LOST); /* it was to run in the process that is gone */
    uint64_t later = submit(&hard);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(hand_out(&out), 1);
        for (int k = 0; k < out.count; k++)
            succeed(1, &out.frames[k]);
    }
    CU_ASSERT_TRUE(outcome_of(id).status == RP_OK && outcome_of(later).status == RP_OK);
    end_master();
}

/* It may be lost as well, again and again; a task that ends each of them does so as often as it may
 * start. */
static void successors_of_a_poison_task(void)
{
    struct out out;
    begin(1);
    uint64_t id = submit(NULL);
    for (int i = 1; i <= 3; i++) {
        CU_ASSERT_EQUAL(hand_out(&out), 1);
        CU_ASSERT_EQUAL(out.frames[0].attempt, i);
        lose(1);
        rpi_master_replaced(&master, 1, 100 + i, now);
    }
    CU_ASSERT_EQUAL(hand_out(&out), 0);
    CU_ASSERT_EQUAL(outcome_of(id).status, RP_ERR_LOST);
    says(outcome_of(id).message, "worker 1 (h1), worker 1 (h1)");
    end_master();
}

/* ---- memory */

/* Whatever is refused: the call says so, and called again it does the rest. */
static void lose_without_memory(void)
{
    uint64_t fail_at = 0;
    for (bool refused = true; refused; fail_at++) {
        struct rpi_options once = { .attempts = 1 };
        struct out out;
        uint64_t ids[4], large;
        uint8_t arg[5000] = { 0 };
        begin(3);
        make_brief();
        master.roster.lost = 2; /* one worker counts: it gets all */
        for (int i = 0; i < 4; i++)
            ids[i] = submit(i == 2 ? &once : NULL);
        struct rpi_request request = { .arg = arg, .size = sizeof arg };
        CU_ASSERT_EQUAL(rpi_master_submit(&master, &request, now, &large), RP_OK);
        uint64_t whole = map(4, 4, 0);
        rpi_master_dispatch(&master, now);
        for (int worker; (worker = take(&out, false)) == 1;)
            continue;
        master.roster.lost = 0;
        memory.calls = 0;
        memory.fail_at = fail_at + 1;
        rp_status status = rpi_master_lost(&master, 1, now);
        refused = memory.refused > 0;
        CU_ASSERT_EQUAL(status, refused ? RP_ERR_NOMEM : RP_OK);
        memory.fail_at = 0;
        lose(1);
        CU_ASSERT_EQUAL(state_of(ids[2]), RP_DONE);
        for (int worker; (worker = hand_out(&out));)
            for (int i = 0; i < out.count; i++)
                if (out.frames[i].flags & RPI_FRAME_CHUNK)
                    chunk_done(worker, &out.frames[i]);
                else
                    succeed(worker, &out.frames[i]);
        for (int i = 0; i < 4; i++)
            CU_ASSERT_TRUE(i == 2 || outcome_of(ids[i]).status == RP_OK);
        CU_ASSERT_EQUAL(outcome_of(large).status, RP_OK);
        CU_ASSERT_EQUAL(outcome_of(whole).status, RP_OK);
        end_master();
    }
    CU_ASSERT_TRUE(fail_at > 5);
}

static CU_TestInfo lost[] = {
    { "runs_elsewhere", runs_elsewhere },
    { "at_most_once", at_most_once },
    { "what_comes_after_the_impossible", what_comes_after_the_impossible },
    { "crashes_and_losses_share_the_attempts", crashes_and_losses_share_the_attempts },
    { "poison_is_found", poison_is_found },
    { "goes_alone", goes_alone },
    { "never_handed_out_costs_nothing", never_handed_out_costs_nothing },
    { "comes_back_before_its_equals", comes_back_before_its_equals },
    { "large_argument_is_kept", large_argument_is_kept },
    { "large_result_half_way", large_result_half_way },
    { "cancelled_and_lost", cancelled_and_lost },
    { "only_that_worker", only_that_worker },
    { "nobody_is_left", nobody_is_left },
    { "a_lost_worker_has_nothing_to_say", a_lost_worker_has_nothing_to_say },
    { "poison_item_is_found", poison_item_is_found },
    { "chunk_at_most_once", chunk_at_most_once },
    { "cancelled_map_and_lost", cancelled_map_and_lost },
    { "named_task_fails", named_task_fails },
    { "named_ways_are_told", named_ways_are_told },
    { "wrong_words_are_a_loss", wrong_words_are_a_loss },
    { "words_end_with_their_process", words_end_with_their_process },
    { "named_item_fails", named_item_fails },
    { "named_item_at_most_once", named_item_at_most_once },
    { "named_task_without_memory", named_task_without_memory },
    { "named_item_without_memory", named_item_without_memory },
    { "children_once", children_once },
    { "input_on_its_way", input_on_its_way },
    { "place_is_taken", place_is_taken },
    { "successors_of_a_poison_task", successors_of_a_poison_task },
    { "lose_without_memory", lose_without_memory },
    CU_TEST_INFO_NULL
};
static CU_SuiteInfo suites[] = { { "lost", register_add, NULL, NULL, NULL, lost },
                                 CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
