/* The worker's caretaker, and the lock that it borrows the worker with: for the thread sanitizer
 * too. */
/* limit: 120 */
#include "base/clock.h"
#include "exec/answer_thread.h"
#include "exec/serve.h"
#include "harness.h"
#include "memory.h"
#include "open/register.h"
#include "transport/transport_local.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define LIMIT RPI_BATCH_MIN
#define LONG  10.0 /* seconds: it has failed */

static void pause_for(double seconds)
{
    struct timespec t = { .tv_sec = (time_t)seconds,
                          .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9) };
    (void)nanosleep(&t, NULL);
}

/* ---- the handoff */

#define TURNS 20000

struct shared {
    struct rpi_handoff handoff;
    long owned, borrowed; /* guarded by it: no atomics */
    atomic_bool over;
    int calls;
};

static void count_call(void *context)
{
    ((struct shared *)context)->calls++;
}

static void *borrow(void *context)
{
    struct shared *shared = context;
    for (; !atomic_load(&shared->over);
         pause_for(1e-5)) /* else the owner would wait all the time */
        if (rpi_handoff_borrow(&shared->handoff)) {
            shared->borrowed++;
            rpi_handoff_return(&shared->handoff);
        }
    return NULL;
}

/* Both write what the handoff guards; each sees all that the other has done. */
static void one_at_a_time(bool fences)
{
    static struct shared shared;
    pthread_t thread;
    shared = (struct shared){ .owned = 0 };
    rpi_handoff_init(&shared.handoff, count_call, &shared);
    if (fences)
        shared.handoff.fences = true;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, borrow, &shared), 0);
    long seen = 0, grown = 0;
    double end = rpi_now() + LONG;
    for (long i = 0; (i < TURNS || grown < 10) && rpi_now() < end; i++) {
        shared.owned++;
        shared.borrowed++;
        CU_ASSERT_TRUE(shared.borrowed > seen);
        grown += shared.borrowed > seen + 1;
        seen = shared.borrowed;
        rpi_handoff_out(&shared.handoff);
        if (i % 10 == 0)
            pause_for(1e-5);
        rpi_handoff_back(&shared.handoff);
    }
    CU_ASSERT_TRUE(grown >= 10); /* it was borrowed meanwhile */
    atomic_store(&shared.over, true);
    (void)pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(shared.calls, 0);
}

static void loan_by_the_kernels_order(void)
{
    one_at_a_time(false);
}

static void loan_by_fences(void)
{
    one_at_a_time(true);
}

static void called_when_asleep(void)
{
    static struct shared shared;
    shared = (struct shared){ .owned = 0 };
    rpi_handoff_init(&shared.handoff, count_call, &shared);
    CU_ASSERT_FALSE(rpi_handoff_borrow(&shared.handoff)); /* its owner is here */
    uint64_t turn = rpi_handoff_turn(&shared.handoff);
    CU_ASSERT_TRUE(rpi_handoff_sleep(&shared.handoff, turn));
    rpi_handoff_out(&shared.handoff);
    CU_ASSERT_EQUAL(shared.calls, 1);
    CU_ASSERT_FALSE(rpi_handoff_sleep(&shared.handoff, turn)); /* the owner was out since */
    CU_ASSERT_FALSE(rpi_handoff_sleep(&shared.handoff, rpi_handoff_turn(&shared.handoff)));
    rpi_handoff_back(&shared.handoff);
    rpi_handoff_out(&shared.handoff);
    CU_ASSERT_EQUAL(shared.calls, 1);
    CU_ASSERT_TRUE(rpi_handoff_borrow(&shared.handoff));
    rpi_handoff_return(&shared.handoff);
    rpi_handoff_back(&shared.handoff);
}

/* ---- the answer thread: rank 0 is this thread, which says all it has to say before the task runs
 */

static struct memory memory;
static struct rpi_registry registry;
static struct rpi_transport *master_end;
static struct rpi_transport *worker_end;
static struct rpi_serve server;
static int short_ones;

/* Runs until it is cancelled; fails after LONG seconds. */
static rp_status patient(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    for (double end = rpi_now() + LONG; !rp_cancelled(call);) {
        if (rpi_now() > end)
            return RP_ERR_TASK;
        pause_for(1e-4);
    }
    return RP_ERR_CANCELLED;
}

static rp_status brief(rp_call *call, const void *arg, size_t size)
{
    (void)call;
    (void)arg;
    (void)size;
    short_ones++;
    return RP_OK;
}

static int register_functions(void)
{
    return rp_register("a_patient", patient) != RP_OK || rp_register("b_brief", brief) != RP_OK;
}

static uint8_t messages[8][LIMIT];
static int said;

static void say(enum rpi_kind kind, const struct rpi_frame *frames, int count)
{
    struct rpi_writer writer;
    bool done;
    rpi_writer_open(&writer, messages[said], LIMIT);
    for (int i = 0; i < count; i++)
        (void)rpi_writer_frame(&writer, &frames[i]);
    rpi_writer_close(&writer, kind, 0);
    CU_ASSERT_EQUAL(
        master_end->ops->send(master_end, 1, messages[said++], writer.used, NULL, &done), RP_OK);
}

/* What rank 0 has heard. */
static struct {
    int results, returned, cancelled;
    bool all;
} heard;

static bool on_batch(void *context, int peer, const void *data, size_t size)
{
    struct rpi_reader reader;
    struct rpi_frame frame;
    (void)context;
    (void)peer;
    CU_ASSERT_EQUAL_FATAL(rpi_reader_open(&reader, data, size), RP_OK);
    heard.all = heard.all || (reader.kind == RPI_RETURNED && reader.word == RPI_RETURNED_ALL);
    while (reader.left && rpi_reader_frame(&reader, &frame) == RP_OK) {
        heard.returned += reader.kind == RPI_RETURNED;
        heard.results += reader.kind == RPI_RESULTS;
        heard.cancelled += frame.flags & RPI_FRAME_FAILED &&
                           rpi_get32(frame.payload) == RP_ERR_CANCELLED;
    }
    return true;
}

static void on_sent(void *context, void *cookie)
{
    (void)context;
    (void)cookie;
}

static void listen_once(struct rpi_transport *transport, struct rpi_events events)
{
    bool any;
    CU_ASSERT_EQUAL(transport->ops->poll(transport, &events, &any), RP_OK);
}

static void begin(void)
{
    memory = (struct memory){ .most = 1 << 24 };
    struct rpi_alloc alloc = memory_hook(&memory);
    said = short_ones = 0;
    memset(&heard, 0, sizeof heard);
    CU_ASSERT_EQUAL_FATAL(rpi_register_snapshot(&registry, &alloc), RP_OK);
    CU_ASSERT_EQUAL_FATAL(rpi_transport_local_open(&alloc, &master_end, &worker_end), RP_OK);
    struct rpi_serve_config config = { .alloc = alloc,
                                       .registry = &registry,
                                       .transport = worker_end,
                                       .batch_limit = LIMIT,
                                       .number = 1,
                                       .host = "here" };
    CU_ASSERT_EQUAL_FATAL(rpi_serve_init(&server, &config), RP_OK);
    rpi_answer_thread_start(&server);
    CU_ASSERT_TRUE_FATAL(server.answer_thread.live);
}

static void end(void)
{
    rpi_answer_thread_stop(&server);
    master_end->ops->close(master_end, true);
    worker_end->ops->close(worker_end, true);
    rpi_serve_fini(&server);
    rpi_registry_fini(&registry);
    CU_ASSERT_EQUAL(memory.live, 0);
}

static void hear(void)
{
    struct rpi_events events = { .batch = on_batch, .sent = on_sent };
    listen_once(master_end, events);
    listen_once(worker_end, rpi_serve_events(&server));
}

/* While a task runs, the tasks after it are handed back, the result before it is sent, and it is
 * told to stop. */
static void answers_while_a_task_runs(bool asleep)
{
    struct rpi_frame tasks[5];
    for (int i = 0; i < 5; i++)
        tasks[i] = (struct rpi_frame){ .id = 1 + (uint64_t)i, .attempt = 1, .function = i != 1 };
    begin();
    if (asleep) { /* the answer thread sleeps: no tasks */
        for (double give_up = rpi_now() + LONG;
             !atomic_load(&server.handoff.asleep) && rpi_now() < give_up;)
            pause_for(1e-3);
        CU_ASSERT_TRUE(atomic_load(&server.handoff.asleep));
    }
    say(RPI_TASKS, tasks, 5);
    listen_once(worker_end, rpi_serve_events(&server));
    say(RPI_RECALL, NULL, 0);
    say(RPI_CANCEL, &(struct rpi_frame){ .id = 2 }, 1);
    while (rpi_serve_run(&server, UINT32_MAX)) /* in one turn or two */
        continue;
    CU_ASSERT_EQUAL(short_ones, 1);
    hear();
    CU_ASSERT_TRUE(heard.results == 2 && heard.returned == 3 && heard.all && heard.cancelled == 1);
    CU_ASSERT_EQUAL(server.broken, RP_OK);
    end();
}

static void answers_awake(void)
{
    answers_while_a_task_runs(false);
}

static void answers_when_called(void)
{
    answers_while_a_task_runs(true);
}

/* Short tasks run beside it as if it were not there. */
static void short_tasks(void)
{
    struct rpi_frame tasks[60];
    for (int i = 0; i < 60; i++)
        tasks[i] = (struct rpi_frame){ .id = 1 + (uint64_t)i, .attempt = 1, .function = 1 };
    begin();
    for (int round = 0; round < 300; round++) {
        said = 0;
        say(RPI_TASKS, tasks, 60);
        listen_once(worker_end, rpi_serve_events(&server));
        while (rpi_serve_run(&server, UINT32_MAX))
            continue;
        hear();
    }
    CU_ASSERT_TRUE(short_ones == 300 * 60 && heard.results == 300 * 60);
    end();
}

static CU_TestInfo tests[] = { { "loan_by_the_kernels_order", loan_by_the_kernels_order },
                               { "loan_by_fences", loan_by_fences },
                               { "called_when_asleep", called_when_asleep },
                               { "answers_awake", answers_awake },
                               { "answers_when_called", answers_when_called },
                               { "short_tasks", short_tasks },
                               CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "answer_thread", register_functions, NULL, NULL, NULL, tests },
                                 CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
