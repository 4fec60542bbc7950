/* Layer 0: memory, statuses, log lines, bytes, lists, the clock. */
#include "base/advice.h"
#include "base/alloc.h"
#include "base/backoff.h"
#include "base/biased_lock.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/status.h"
#include "harness.h"
#include "memory.h"

#include <float.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* ---- alloc */

static void plain_hook(void)
{
    struct rpi_alloc alloc = rpi_alloc_of(NULL, NULL);
    uint8_t *memory = rpi_zeroed(&alloc, 100);
    CU_ASSERT_PTR_NOT_NULL_FATAL(memory);
    for (int i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(memory[i], 0);
    memory[99] = 7;
    memory = rpi_resize(&alloc, memory, 100000);
    CU_ASSERT_EQUAL(memory[99], 7);
    rpi_free(&alloc, memory);
    rpi_free(&alloc, NULL);
    memory = rpi_reserve(&alloc, 0); /* no memory, and memory of no size, are two things */
    CU_ASSERT_PTR_NOT_NULL(memory);
    rpi_free(&alloc, memory);
}

static void hook_is_used(void)
{
    struct memory memory = { .fail_at = 3 };
    struct rpi_alloc alloc = memory_hook(&memory);
    void *one = rpi_reserve(&alloc, 10), *two = rpi_zeroed(&alloc, 0);
    CU_ASSERT_PTR_NOT_NULL(one);
    CU_ASSERT_PTR_NOT_NULL(two);
    CU_ASSERT_EQUAL(memory.live, 2);
    CU_ASSERT_PTR_NULL(rpi_resize(&alloc, one, 1000)); /* the third: `one` is as it was */
    CU_ASSERT_EQUAL(memory.live, 2);
    one = rpi_resize(&alloc, one, 0);
    CU_ASSERT_PTR_NOT_NULL(one); /* size 0 does not free */
    rpi_free(&alloc, one);
    rpi_free(&alloc, two);
    rpi_free(&alloc, NULL);
    CU_ASSERT_EQUAL(memory.live, 0);
    memory.fail_at = memory.calls + 1;
    CU_ASSERT_PTR_NULL(rpi_zeroed(&alloc, 10));
}

/* A buffer knows by itself where it came from, so that rp_free can be called after the pool's
 * end. */
static void buffers_remember_their_hook(void)
{
    struct memory first = { 0 }, second = { 0 };
    struct rpi_alloc a = memory_hook(&first), b = memory_hook(&second);
    uint8_t *one = rpi_buffer_new(&a, 100), *two = rpi_buffer_new(&b, 0);
    CU_ASSERT_TRUE_FATAL(one && two);
    CU_ASSERT_EQUAL((uintptr_t)one % _Alignof(max_align_t), 0);
    memset(one, 1, 100);
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    CU_ASSERT_TRUE(first.live == 1 && second.live == 1);
    rp_free(one);
    CU_ASSERT_TRUE(first.live == 0 && second.live == 1);
    rpi_buffer_free(two);
    CU_ASSERT_EQUAL(second.live, 0);
    rp_free(NULL);
    rpi_buffer_free(NULL);
}

static void buffers_without_memory(void)
{
    struct memory memory = { .fail_at = 1 };
    struct rpi_alloc alloc = memory_hook(&memory);
    CU_ASSERT_PTR_NULL(rpi_buffer_new(&alloc, 8));
    for (size_t less = 0; less < 64; less++) /* its own bytes would make it wrap round */
        if (less < sizeof(struct rpi_owner))
            CU_ASSERT_PTR_NULL(rpi_buffer_new(&alloc, SIZE_MAX - less));
    CU_ASSERT_EQUAL(memory.live, 0);
}

/* ---- status */

static void every_status_has_its_text(void)
{
    static const struct {
        rp_status status;
        const char *text;
    } all[] = {
#define ROW(name, value, text) { name, text },
        RP_STATUS_LIST(ROW)
#undef ROW
    };
    size_t count = sizeof all / sizeof *all;
    CU_ASSERT_TRUE(count >= 19);
    for (size_t i = 0; i < count; i++) {
        CU_ASSERT_STRING_EQUAL(rp_strerror(all[i].status), all[i].text);
        for (size_t k = 0; k < i; k++)
            CU_ASSERT_STRING_NOT_EQUAL(all[k].text, all[i].text);
    }
    CU_ASSERT_EQUAL(RP_OK, 0);
}

static void other_values_are_unknown(void)
{
    static const int values[] = { -1, 2, 9, 18, 29, 36, 49, 53, 1000, 2147483647, -2147483647 };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        CU_ASSERT_STRING_EQUAL(rp_strerror((rp_status)values[i]), "unknown status");
}

static void error_keeps_the_last_text(void)
{
    CU_ASSERT_EQUAL(rpi_error(RP_ERR_SIZE, "%s %d", "number", 5), RP_ERR_SIZE);
    CU_ASSERT_STRING_EQUAL(rp_error_message(), "number 5");
    CU_ASSERT_EQUAL(rpi_error(RP_ERR_BROKEN, "then: %s", rp_error_message()),
                    RP_ERR_BROKEN); /* its own text in it */
    CU_ASSERT_STRING_EQUAL(rp_error_message(), "then: number 5");
    CU_ASSERT_EQUAL(rpi_no_memory("a hat"), RP_ERR_NOMEM);
    CU_ASSERT_STRING_EQUAL(rp_error_message(), "out of memory for a hat");
}

static void error_cuts_what_is_too_long(void)
{
    static char text[5000];
    memset(text, 'w', sizeof text - 1);
    (void)rpi_error(RP_ERR_TASK, "%s", text);
    size_t length = strlen(rp_error_message());
    CU_ASSERT_TRUE(length > 1000 && length < 5000);
}

/* The function that the application called, in place of one that it led to; a task's failure keeps
 * the task's words. */
static void error_names_the_call(void)
{
    CU_ASSERT_EQUAL(rpi_named("rp_apply", RP_OK), RP_OK);
    CU_ASSERT_EQUAL(rpi_named("rp_apply", rpi_error(RP_ERR_INVALID, "rp_submit: odd")),
                    RP_ERR_INVALID);
    CU_ASSERT_STRING_EQUAL(rp_error_message(), "rp_apply: odd");
    CU_ASSERT_EQUAL(rpi_named("rp_get", rpi_error(RP_ERR_CONTEXT, "rp_apply may not")),
                    RP_ERR_CONTEXT);
    CU_ASSERT_STRING_EQUAL(rp_error_message(), "rp_get may not");
    CU_ASSERT_EQUAL(rpi_named("rp_get", rpi_error(RP_ERR_BROKEN, "the pool cannot go on")),
                    RP_ERR_BROKEN);
    CU_ASSERT_STRING_EQUAL(rp_error_message(), "rp_get: the pool cannot go on");
    CU_ASSERT_EQUAL(rpi_named("rp_get", rpi_error(RP_ERR_TASK, "on purpose")), RP_ERR_TASK);
    CU_ASSERT_STRING_EQUAL(rp_error_message(), "on purpose");
    CU_ASSERT_EQUAL(rpi_named("rp_stream_next", RP_END), RP_END);
}

/* What Open MPI's launcher and settings are called is said under Open MPI alone. */
static void advice_fits_the_mpi(void)
{
    static const enum rpi_advice all[] = { RPI_ADVICE_NETWORK, RPI_ADVICE_RECOVER, RPI_ADVICE_SPAWN,
                                           RPI_ADVICE_SRUN };
    CU_ASSERT_PTR_NOT_NULL(strstr(rpi_advice(RPI_ADVICE_NETWORK), "btl_tcp_if_include"));
    CU_ASSERT_PTR_NOT_NULL(strstr(rpi_advice(RPI_ADVICE_RECOVER), "--enable-recovery"));
    rpi_advice_is_open_mpi(false);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        static const char *const theirs[] = { "--mca",           "btl_", "--enable-recovery",
                                              "--oversubscribe", "pmix", "mpirun" };
        for (size_t k = 0; k < sizeof theirs / sizeof *theirs; k++)
            CU_ASSERT_PTR_NULL(strstr(rpi_advice(all[i]), theirs[k]));
    }
    rpi_advice_is_open_mpi(true);
}

static void *other_thread(void *message)
{
    strncpy(message, rp_error_message(), 99);
    (void)rpi_error(RP_ERR_IO, "of the other thread");
    return NULL;
}

static void error_is_the_threads_own(void)
{
    char theirs[100] = "x";
    pthread_t thread;
    (void)rpi_error(RP_ERR_SIZE, "of this thread");
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, other_thread, theirs), 0);
    (void)pthread_join(thread, NULL);
    CU_ASSERT_STRING_EQUAL(theirs, "");
    CU_ASSERT_STRING_EQUAL(rp_error_message(), "of this thread");
}

static void version(void)
{
    char text[50];
    (void)snprintf(text, sizeof text, "%d.%d.%d", RP_VERSION_MAJOR, RP_VERSION_MINOR,
                   RP_VERSION_PATCH);
    CU_ASSERT_STRING_EQUAL(rp_version(), text);
}

/* ---- log */

struct lines {
    int count;
    rp_level level;
    char text[4096];
};

static void on_line(rp_level level, const char *line, void *user)
{
    struct lines *lines = user;
    lines->count++;
    lines->level = level;
    (void)snprintf(lines->text, sizeof lines->text, "%s", line);
}

static void sink_gets_every_level(void)
{
    struct lines lines = { 0 };
    struct rpi_log log = { .sink = on_line, .user = &lines };
    for (int level = RP_LOG_ERROR; level <= RP_LOG_DEBUG; level++) {
        rpi_say(&log, (rp_level)level, "line %d", level);
        CU_ASSERT_EQUAL(lines.count, level - RP_LOG_ERROR + 1);
        CU_ASSERT_EQUAL(lines.level, (rp_level)level);
    }
    CU_ASSERT_STRING_EQUAL(lines.text, "line 3");
}

static void long_lines_are_cut(void)
{
    static char text[5000];
    struct lines lines = { 0 };
    struct rpi_log log = { .sink = on_line, .user = &lines };
    memset(text, 'v', sizeof text - 1);
    rpi_say(&log, RP_LOG_ERROR, "%s", text);
    CU_ASSERT_TRUE(strlen(lines.text) > 1500 && strlen(lines.text) < sizeof lines.text - 1);
}

/* ---- bytes */

static void little_endian(void)
{
    uint8_t bytes[8] = { 0 };
    rpi_put16(bytes, 0x0201);
    CU_ASSERT_TRUE(bytes[0] == 1 && bytes[1] == 2);
    rpi_put32(bytes, 0x04030201);
    CU_ASSERT_TRUE(bytes[0] == 1 && bytes[3] == 4);
    rpi_put64(bytes, 0x0807060504030201);
    for (int i = 0; i < 8; i++)
        CU_ASSERT_EQUAL(bytes[i], i + 1);
    CU_ASSERT_EQUAL(rpi_get16(bytes), 0x0201);
    CU_ASSERT_EQUAL(rpi_get32(bytes), 0x04030201);
    CU_ASSERT_EQUAL(rpi_get64(bytes), 0x0807060504030201);
    memset(bytes, 0xFF, sizeof bytes);
    CU_ASSERT_EQUAL(rpi_get16(bytes), UINT16_MAX);
    CU_ASSERT_EQUAL(rpi_get32(bytes), UINT32_MAX);
    CU_ASSERT_EQUAL(rpi_get64(bytes), UINT64_MAX);
}

/* ---- list */

struct member {
    int value;
    struct rpi_link link;
};

static void list_keeps_its_order(void)
{
    struct rpi_link head;
    struct member members[4];
    rpi_list_init(&head);
    CU_ASSERT_TRUE(rpi_list_empty(&head));
    CU_ASSERT_PTR_NULL(rpi_list_first(&head));
    CU_ASSERT_PTR_NULL(rpi_list_pop(&head));
    for (int i = 0; i < 4; i++) {
        members[i].value = i;
        rpi_list_append(&head, &members[i].link);
    }
    rpi_list_remove(&members[1].link);
    rpi_list_remove(&members[1].link); /* again: no effect */
    static const int order[] = { 0, 2, 3 };
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_FALSE(rpi_list_empty(&head));
        CU_ASSERT_EQUAL(RPI_MEMBER(rpi_list_first(&head), struct member, link)->value, order[i]);
        CU_ASSERT_EQUAL(RPI_MEMBER(rpi_list_pop(&head), struct member, link)->value, order[i]);
    }
    CU_ASSERT_TRUE(rpi_list_empty(&head));
}

/* ---- clock */

static void time_goes_on(void)
{
    double before = rpi_now();
    uint64_t ticks = rpi_ticks();
    CU_ASSERT_TRUE(before > 0);
    while (rpi_now() - before < 2e-3)
        continue;
    double microseconds = (double)(rpi_ticks() - ticks) / RPI_TICKS_US;
    CU_ASSERT_TRUE(microseconds > 2000.0 / 4); /* within a factor of three, the header says */
}

static void deadlines(void)
{
    CU_ASSERT_DOUBLE_EQUAL(rpi_deadline(100, 5), 105, 1e-9);
    CU_ASSERT_DOUBLE_EQUAL(rpi_deadline(100, 0), 100, 1e-9);
    CU_ASSERT_TRUE(rpi_deadline(100, RP_FOREVER) >= DBL_MAX);
    CU_ASSERT_TRUE(rpi_deadline(100, -1e-300) >= DBL_MAX);
    CU_ASSERT_TRUE(rpi_deadline(100, INFINITY) > 1e300);
    CU_ASSERT_TRUE(rpi_is_time(0) && rpi_is_time(-1) && rpi_is_time(INFINITY));
    CU_ASSERT_FALSE(rpi_is_time((double)NAN));
}

/* Across many of its looks at the clock, and with the thread away in between. */
static void watch_keeps_time(void)
{
    struct rpi_watch watch = { .ticks = 0 };
    double last = 0, worst = 0, end = rpi_now() + 0.1;
    bool carried = false;
    while (last < end) {
        double before = rpi_now(), time = rpi_watch_look(&watch), after = rpi_now();
        double early = before - time, late = time - after;
        CU_ASSERT_FALSE(time < last);
        carried = carried || watch.tick > 0;
        worst = early > worst ? early : late > worst ? late : worst;
        last = time;
        if (worst > 50e-6)
            break;
        if (time - watch.now > 0.9e-3)
            (void)poll(NULL, 0, 3);
    }
    CU_ASSERT_TRUE(carried);
    CU_ASSERT_TRUE(worst <= 50e-6);
}

/* First it looks again at once, in the end it sleeps, but never long. */
static void patience_runs_out_slowly(void)
{
    struct rpi_backoff backoff = { 0 };
    double began = rpi_now(), longest = 0;
    int looks = 0;
    while (rpi_now() - began < 20e-3) {
        double before = rpi_now();
        rpi_backoff_wait(&backoff);
        double waited = rpi_now() - before;
        longest = waited > longest ? waited : longest;
        looks++;
    }
    CU_ASSERT_TRUE(looks > 15);
    CU_ASSERT_TRUE(backoff.since >= began);
    CU_ASSERT_TRUE(longest >= 20e-6);
    rpi_backoff_reset(&backoff);
    CU_ASSERT_FALSE(backoff.since > 0);
}

/* ---- lock */

#define TURNS 20000

struct shared {
    struct rpi_biased_lock lock;
    long first, second; /* equal while no thread holds the lock */
    long torn;
};

static void *take_turns(void *user)
{
    struct shared *shared = user;
    for (int i = 0; i < TURNS; i++) {
        rpi_biased_lock_take(&shared->lock);
        shared->torn += shared->first != shared->second;
        shared->first++;
        shared->second++;
        rpi_biased_lock_give(&shared->lock);
    }
    return NULL;
}

static void one_at_a_time(void)
{
    struct shared shared = { .first = 0 };
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, take_turns, &shared), 0);
    for (int i = 0; i < 4; i++)
        (void)pthread_join(threads[i], NULL);
    CU_ASSERT_EQUAL(shared.first, 4 * TURNS);
    CU_ASSERT_EQUAL(shared.second, 4 * TURNS);
    CU_ASSERT_EQUAL(shared.torn, 0);
}

static void turn(struct shared *shared)
{
    shared->torn += shared->first != shared->second;
    shared->first++;
    shared->second++;
}

/* As take_turns, but never waits. */
static void *try_turns(void *user)
{
    struct shared *shared = user;
    for (int i = 0; i < TURNS; i++) {
        while (!rpi_biased_lock_try(&shared->lock))
            (void)sched_yield();
        turn(shared);
        rpi_biased_lock_give(&shared->lock);
    }
    return NULL;
}

/* The owner's turns, until the others have had theirs. */
static void own_turns(void *(*others)(void *), int count, bool stays)
{
    struct shared shared = { .first = 0 };
    pthread_t threads[4];
    rpi_biased_lock_own(&shared.lock);
    uintptr_t owner = atomic_load(&shared.lock.owner); /* 0: this kernel has no owners */
    for (int i = 0; i < count; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, others, &shared), 0);
    for (int i = 0; i < 10 * TURNS; i++) {
        rpi_biased_lock_take(&shared.lock);
        turn(&shared);
        rpi_biased_lock_give(&shared.lock);
        if (i % 100 == 0)
            (void)sched_yield();
    }
    for (int i = 0; i < count; i++)
        (void)pthread_join(threads[i], NULL);
    CU_ASSERT_EQUAL(shared.first, (10 + count) * TURNS);
    CU_ASSERT_EQUAL(shared.second, (10 + count) * TURNS);
    CU_ASSERT_EQUAL(shared.torn, 0);
    CU_ASSERT_EQUAL(atomic_load(&shared.lock.owner), stays ? owner : 0);
}

static void owner_and_one_that_tries(void)
{
    own_turns(try_turns, 1, true);
}

static void owner_and_others(void)
{
    own_turns(take_turns, 3, false);
}

static CU_TestInfo allocs[] = { { "plain_hook", plain_hook },
                                { "hook_is_used", hook_is_used },
                                { "buffers_remember_their_hook", buffers_remember_their_hook },
                                { "buffers_without_memory", buffers_without_memory },
                                CU_TEST_INFO_NULL };
static CU_TestInfo statuses[] = { { "every_status_has_its_text", every_status_has_its_text },
                                  { "other_values_are_unknown", other_values_are_unknown },
                                  { "error_keeps_the_last_text", error_keeps_the_last_text },
                                  { "error_cuts_what_is_too_long", error_cuts_what_is_too_long },
                                  { "error_is_the_threads_own", error_is_the_threads_own },
                                  { "error_names_the_call", error_names_the_call },
                                  { "advice_fits_the_mpi", advice_fits_the_mpi },
                                  { "version", version },
                                  CU_TEST_INFO_NULL };
static CU_TestInfo logs[] = { { "sink_gets_every_level", sink_gets_every_level },
                              { "long_lines_are_cut", long_lines_are_cut },
                              CU_TEST_INFO_NULL };
static CU_TestInfo others[] = { { "little_endian", little_endian },
                                { "list_keeps_its_order", list_keeps_its_order },
                                { "time_goes_on", time_goes_on },
                                { "deadlines", deadlines },
                                { "watch_keeps_time", watch_keeps_time },
                                { "patience_runs_out_slowly", patience_runs_out_slowly },
                                { "one_at_a_time", one_at_a_time },
                                { "owner_and_one_that_tries", owner_and_one_that_tries },
                                { "owner_and_others", owner_and_others },
                                CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "alloc", NULL, NULL, NULL, NULL, allocs },
                                 { "status", NULL, NULL, NULL, NULL, statuses },
                                 { "log", NULL, NULL, NULL, NULL, logs },
                                 { "others", NULL, NULL, NULL, NULL, others },
                                 CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
