/* As test_shortage, with what is beyond single tasks: streams, maps that run meanwhile, on_done,
 * inputs, spawned tasks, shared data, and rp_on_each_worker.  Every allocation fails in turn, then
 * some at random: nothing is lost and nothing leaks. */
/* limit: 240 */
#include "calls.h"
#include "local_pool.h"
#include "scarce.h"

#include <string.h>

#define ITEMS 70 /* more than a stream has room for at first */

/* The last call's status; made again until there is memory. */
#define INSIST(wanted, made_call)                                                                  \
    do {                                                                                           \
        int tries_ = 0;                                                                            \
        rp_status status_;                                                                         \
        while (again(status_ = (made_call), &tries_))                                              \
            continue;                                                                              \
        if (!tired)                                                                                \
            compare(status_, (wanted), #made_call);                                                \
    } while (0)

/* A task may fail because its worker is out of memory. */
static struct memory memory;
static bool was_short(const rp_outcome *how)
{
    return how->status == RP_ERR_TASK && how->code == RP_ERR_NOMEM;
}

/* ---- streams ---- */

/* Takes `count` items: each once, and in order if `ordered`; a task whose worker was out of memory
 * counts too. */
static void take(rp_stream *from, int count, bool ordered)
{
    bool seen[ITEMS + 1] = { false };
    for (int i = 0; i < count && !tired; i++) {
        INSIST(RP_OK, rp_stream_next(from, RP_FOREVER, &item));
        CU_ASSERT_TRUE_FATAL(item.index < ITEMS && !seen[item.index]);
        CU_ASSERT_TRUE(!ordered || item.index == (uint64_t)i);
        seen[item.index] = true;
        int value = -1;
        if (item.outcome->size == sizeof value)
            memcpy(&value, item.outcome->data, sizeof value);
        CU_ASSERT_TRUE(was_short(item.outcome) || value == (int)item.index);
    }
    INSIST(RP_END, rp_stream_next(from, RP_FOREVER, &item));
    CU_ASSERT_EQUAL(rp_stream_close(&from), RP_OK);
}

static void streams(bool ordered)
{
    rp_stream *one = NULL;
    INSIST(RP_OK, rp_stream_open(pool, stream_of(sizeof(rp_stream_options), ordered, NULL), &one));
    if (tired)
        return;
    for (int i = 0; i < ITEMS; i++) {
        rp_future added = none;
        if (i % 2) {
            INSIST(RP_OK, rp_stream_submit(one, echo, &i, sizeof i, NULL, NULL));
            continue;
        }
        INSIST(RP_OK,
               rp_submit(pool, echo, &i, sizeof i, i % 4 ? NULL : TASK(.priority = 1), &added));
        if (i % 8 == 0)
            INSIST(RP_OK, rp_wait(pool, added, RP_FOREVER));
        INSIST(RP_OK, rp_stream_add(one, added));
    }
    CU_ASSERT_EQUAL(rp_stream_end(one), RP_OK);
    take(one, ITEMS, ordered);
}

static bool gives_numbers(void *context, rp_bytes *next)
{
    int *number = context;
    *next = (rp_bytes){ number, sizeof *number };
    return ++*number < ITEMS;
}

static void imaps(void)
{
    rp_stream *one = NULL;
    int number = -1;
    INSIST(RP_OK, rp_imap(pool, echo, gives_numbers, &number, NULL, &one));
    if (!tired)
        take(one, ITEMS, false);
}

/* ---- spawned tasks: each run makes two, three deep ---- */

static rp_status splits(rp_call *at, const void *arg, size_t bytes)
{
    int depth = *(const int *)arg;
    rp_status status = RP_OK;
    (void)bytes;
    if (depth == 3)
        return rp_return(at, arg, sizeof depth);
    depth++;
    for (int i = 0; i < 2 && status == RP_OK; i++)
        status = rp_spawn(at, splits, &depth, sizeof depth,
                          i ? TASK(.retries = TRIES) : TASK(.retries = TRIES, .priority = 1));
    return status;
}
RP_TASK(splits);

static void spawns(void)
{
    rp_stream *one = NULL;
    int depth = 0, leaves = 0;
    rp_stream_options skips = RP_STREAM_OPTIONS_INIT;
    skips.skip_empty = true;
    INSIST(RP_OK, rp_stream_open(pool, &skips, &one));
    if (tired)
        return;
    INSIST(RP_OK,
           rp_stream_submit(one, splits, &depth, sizeof depth, TASK(.retries = TRIES), NULL));
    CU_ASSERT_EQUAL(rp_stream_end(one), RP_OK);
    for (rp_status status = RP_OK; status != RP_END && !tired;) {
        int tries = 0;
        while (again(status = rp_stream_next(one, RP_FOREVER, &item), &tries))
            continue;
        leaves += status == RP_OK && item.outcome->status == RP_OK && item.depth == 3;
    }
    CU_ASSERT_TRUE(tired || leaves == 8);
    CU_ASSERT_EQUAL(rp_stream_close(&one), RP_OK);
}

/* ---- the others ---- */

static int told;

static void on_done(rp_pool *of, rp_future settled, const rp_outcome *how, void *user)
{
    (void)of;
    (void)settled;
    (void)how;
    told += *(const int *)user;
}

static void calls_back(void)
{
    static int one = 1;
    rp_future tasks[10];
    told = 0;
    for (int i = 0; i < 10; i++)
        INSIST(RP_OK, rp_submit(pool, i % 2 ? echo : fails, &i, sizeof i,
                                TASK(.on_done = on_done, .user = &one), &tasks[i]));
    INSIST(RP_OK, rp_wait_all(pool, tasks, 10, RP_ALL, RP_FOREVER));
    INSIST(RP_OK, rp_drain(pool, RP_FOREVER));
    CU_ASSERT_TRUE(tired || told == 10);
    for (int i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(rp_release(pool, tasks[i]), RP_OK);
}

static void maps(void)
{
    static int in[300], out[300];
    static rp_status statuses[300];
    rp_map_options options = RP_MAP_OPTIONS_INIT;
    rp_future all = none;
    int wrong = 0;
    options.statuses = statuses;
    options.chunk = 40;
    for (int i = 0; i < 300; i++)
        in[i] = i;
    INSIST(RP_OK, rp_map_async(pool, echo, in, sizeof *in, 300, out, sizeof *out, &options, &all));
    INSIST(RP_OK, rp_wait(pool, all, RP_FOREVER));
    for (int i = 0; i < 300 && !tired; i++)
        wrong += statuses[i] == RP_OK
                     ? out[i] != i
                     : statuses[i] != RP_ERR_TASK; /* where a chunk found no room */
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(rp_release(pool, all), RP_OK);
}

/* Adds up what the tasks before it gave. */
static rp_status adds(rp_call *at, const void *arg, size_t bytes)
{
    int sum = 0;
    size_t input;
    (void)arg;
    (void)bytes;
    for (size_t i = 0; i < 2; i++) {
        const int *value = rp_input(at, i, &input);
        if (!value || input < sizeof *value)
            return rp_fail(at, 77, "input %zu is missing", i);
        sum += *value;
    }
    return rp_return(at, &sum, sizeof sum);
}
RP_TASK(adds);

static void follows(void)
{
    static int large[LARGE / sizeof(int)];
    rp_future before[2] = { none, none }, sum = none;
    int result = 0, three = 3;
    large[0] = 4;
    for (int tries = 0; tries < TRIES;
         tries++) { /* a task before may have been short at its worker */
        INSIST(RP_OK,
               rp_submit(pool, echo, &three, sizeof three, TASK(.retries = TRIES), &before[0]));
        INSIST(RP_OK,
               rp_submit(pool, echo, large, sizeof large, TASK(.retries = TRIES), &before[1]));
        INSIST(RP_OK, rp_submit(pool, adds, "some argument", 14,
                                TASK(.after = before, .after_count = 2, .retries = TRIES), &sum));
        CU_ASSERT_EQUAL(rp_release(pool, before[0]), RP_OK);
        CU_ASSERT_EQUAL(rp_release(pool, before[1]), RP_OK);
        int again_tries = 0;
        rp_status status;
        while (again(status = rp_get(pool, sum, RP_FOREVER, &result, sizeof result, NULL),
                     &again_tries))
            continue;
        if (status == RP_OK || tired)
            break;
    }
    CU_ASSERT_TRUE(tired || result == 7);
}

/* The letter that is shared. */
static rp_status looks(rp_call *at, const void *arg, size_t bytes)
{
    const char *letter = rp_shared(at, "letter", NULL);
    (void)arg;
    (void)bytes;
    return letter ? rp_return(at, letter, 1) : rp_fail(at, 78, "nothing is shared");
}
RP_TASK(looks);

static void shares(void)
{
    rp_future first = none;
    char got = 0;
    INSIST(RP_OK, rp_share(pool, "letter", "a", 2));
    INSIST(RP_OK, rp_submit(pool, looks, NULL, 0, TASK(.retries = TRIES), &first));
    INSIST(RP_OK, rp_share(pool, "letter", "b", 2));
    INSIST(RP_OK, rp_get(pool, first, RP_FOREVER, &got, 1, NULL));
    CU_ASSERT_TRUE(tired || got == 'a');
    INSIST(RP_OK, rp_submit(pool, looks, NULL, 0, TASK(.retries = TRIES), &first));
    INSIST(RP_OK, rp_get(pool, first, RP_FOREVER, &got, 1, NULL));
    CU_ASSERT_TRUE(tired || got == 'b');
    INSIST(RP_OK, rp_share(pool, "letter", NULL, 0));
}

static void each_worker(void)
{
    rp_status statuses[1];
    int tries = 0;
    rp_status status;
    do
        status = rp_on_each_worker(pool, echo, room, 100, statuses);
    while (again(status == RP_ERR_TASK ? RP_ERR_NOMEM : status,
                 &tries)); /* its result found no room there */
    CU_ASSERT_TRUE(tired || (status == RP_OK && statuses[0] == RP_OK));
}

static void cancels(void)
{
    rp_future queued_one = none;
    INSIST(RP_OK, rp_submit(pool, echo, room, 100, TASK(.priority = -1), &queued_one));
    INSIST(RP_OK, rp_cancel(pool, queued_one));
    INSIST(RP_OK, rp_cancel_all(pool));
    INSIST(RP_OK, rp_wait(pool, queued_one, RP_FOREVER));
    CU_ASSERT_EQUAL(rp_outcome_of(pool, queued_one, &outcome), RP_OK);
    /* A message that waits for memory may come when the task has run. */
    CU_ASSERT_TRUE(tired || memory.refused || outcome.status == RP_ERR_CANCELLED);
    CU_ASSERT_EQUAL(rp_release(pool, queued_one), RP_OK);
}

static void everything(void)
{
    reset_calls();
    INSIST(RP_OK, local_pool_open(&memory, &pool));
    if (tired)
        return;
    streams(false);
    streams(true);
    imaps();
    spawns();
    calls_back();
    maps();
    follows();
    shares();
    each_worker();
    cancels();
    CU_ASSERT_EQUAL(rp_stats_of(pool, &stats), RP_OK);
    CU_ASSERT_EQUAL(stats.submitted, stats.done + stats.failed + stats.cancelled);
    INSIST(RP_OK, rp_close(&pool));
    CU_ASSERT_EQUAL(memory.live, 0);
}

static void enough_memory(void)
{
    with_enough(&memory, everything, 100);
}

static void each_allocation_in_turn(void)
{
    with_each_refused(&memory, everything, 100);
}

static void some_in_a_row(void)
{
    with_some_refused(&memory, everything, 200);
}

int main(int argc, char **argv)
{
    static CU_TestInfo tests[] = { { "enough_memory", enough_memory },
                                   { "each_allocation_in_turn", each_allocation_in_turn },
                                   { "some_in_a_row", some_in_a_row },
                                   CU_TEST_INFO_NULL };
    static CU_SuiteInfo suites[] = { { "scarcity", NULL, NULL, NULL, NULL, tests },
                                     CU_SUITE_INFO_NULL };
    return harness_main(argc, argv, suites);
}
