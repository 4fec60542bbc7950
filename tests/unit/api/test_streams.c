/* Very many futures as they finish; and where what was not waited for one by one goes: preferred
 * workers, maps that run meanwhile. */
/* limit: 600 */
#include "calls.h"
#include "threads.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MANY 1000000
#define FEW  100000

/* ---- streams of a million ---- */

/* Seconds of this process's processors: load does not show in them. */
static double worked(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

enum way { SUBMITTED, ADDED, ADDED_WHEN_SETTLED };

static void feed(int64_t count, enum way way)
{
    rp_future *futures = way == SUBMITTED ? NULL : calloc((size_t)count, sizeof *futures);
    for (int64_t i = 0; i < count; i++) {
        if (way == SUBMITTED)
            CU_ASSERT_EQUAL_FATAL(rp_stream_submit(stream, echo, &i, sizeof i, NULL, NULL), RP_OK);
        if (futures)
            CU_ASSERT_EQUAL_FATAL(rp_submit(pool, echo, &i, sizeof i, NULL, &futures[i]), RP_OK);
    }
    if (way == ADDED_WHEN_SETTLED)
        CU_ASSERT_EQUAL(rp_drain(pool, RP_FOREVER), RP_OK);
    for (int64_t i = 0; futures && i < count; i++)
        CU_ASSERT_EQUAL_FATAL(rp_stream_add(stream, futures[i]), RP_OK);
    free(futures);
}

/* Takes all but the last; every one once, and in order where that was asked for. */
static void take_but_one(int64_t count, bool ordered, bool *seen)
{
    int wrong = 0;
    for (int64_t i = 0; i + 1 < count; i++) {
        int64_t value = -1;
        CU_ASSERT_EQUAL_FATAL(rp_stream_next(stream, RP_FOREVER, &item), RP_OK);
        memcpy(&value, item.outcome->data, sizeof value);
        wrong += value < 0 || value >= count || (uint64_t)value != item.index ||
                 (ordered && value != i) || seen[value];
        seen[item.index] = true;
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* Returns the seconds of work for each item. */
static double streams(int64_t count, enum way way, bool ordered)
{
    rp_stream_options options = RP_STREAM_OPTIONS_INIT;
    bool *seen = calloc((size_t)count, 1);
    double begin = worked();
    options.ordered = ordered;
    options.in_flight = (size_t)count;
    reset_calls();
    CU_ASSERT_PTR_NOT_NULL_FATAL(pool = threads_open(0, NULL));
    CU_ASSERT_EQUAL_FATAL(rp_stream_open(pool, &options, &stream), RP_OK);
    feed(count, way);
    take_but_one(count, ordered, seen);
    CU_ASSERT_EQUAL(rp_stream_end(stream), RP_OK);
    CU_ASSERT_EQUAL(rp_stream_next(stream, RP_FOREVER, &item),
                    RP_OK); /* not the end: one is left */
    CU_ASSERT_FALSE(seen[item.index]);
    CU_ASSERT_EQUAL(rp_stream_next(stream, RP_FOREVER, &item), RP_END);
    CU_ASSERT_EQUAL(rp_stream_next(stream, RP_FOREVER, &item), RP_END);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
    free(seen);
    return (worked() - begin) / (double)count;
}

/* If an item cost more the more there are, it would be 10 times as much. */
static void cost_the_same(enum way way, bool ordered)
{
    (void)streams(1000, way, ordered);
    double few = streams(FEW, way, ordered), many = streams(MANY, way, ordered);
    CU_ASSERT_TRUE(many < 4 * few);
}

static void a_million_submitted(void)
{
    cost_the_same(SUBMITTED, false);
}

static void a_million_in_order(void)
{
    cost_the_same(SUBMITTED, true);
}

static void a_million_added(void)
{
    cost_the_same(ADDED, false);
}

static void a_million_settled_ones(void)
{
    cost_the_same(ADDED_WHEN_SETTLED, false);
}

/* All that was put in is out, and more may come: it waits.  The end comes only when it is told. */
static void ends_when_told(void)
{
    reset_calls();
    CU_ASSERT_PTR_NOT_NULL_FATAL(pool = threads_open(1, NULL));
    CU_ASSERT_EQUAL(rp_stream_open(pool, NULL, &stream), RP_OK);
    CU_ASSERT_EQUAL(rp_stream_next(stream, 0, &item), RP_ERR_TIMEOUT);
    CU_ASSERT_EQUAL(rp_stream_add(stream, submit(echo, 8, NULL)), RP_OK);
    CU_ASSERT_EQUAL(rp_stream_next(stream, RP_FOREVER, &item), RP_OK);
    CU_ASSERT_EQUAL(rp_stream_next(stream, 1e-3, &item), RP_ERR_TIMEOUT);
    CU_ASSERT_EQUAL(rp_stream_add(stream, submit(waits, 0, NULL)), RP_OK);
    CU_ASSERT_EQUAL(rp_stream_end(stream), RP_OK);
    CU_ASSERT_EQUAL(rp_stream_next(stream, 1e-3, &item), RP_ERR_TIMEOUT);
    open_gate();
    CU_ASSERT_EQUAL(rp_stream_next(stream, RP_FOREVER, &item), RP_OK);
    CU_ASSERT_EQUAL(item.index, 1);
    CU_ASSERT_EQUAL(rp_stream_next(stream, RP_FOREVER, &item), RP_END);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

/* ---- preferred workers ---- */

static int worker_of(rp_future of)
{
    CU_ASSERT_EQUAL(rp_wait(pool, of, RP_FOREVER), RP_OK);
    CU_ASSERT_EQUAL(rp_outcome_of(pool, of, &outcome), RP_OK);
    CU_ASSERT_EQUAL(rp_release(pool, of), RP_OK);
    return outcome.worker;
}

static void preferred_worker_is_free(void)
{
    reset_calls();
    CU_ASSERT_PTR_NOT_NULL_FATAL(pool = threads_open(3, NULL));
    for (int i = 0; i < 300; i++)
        CU_ASSERT_EQUAL(worker_of(submit(echo, 0, TASK(.worker = 1 + i % 3))), 1 + i % 3);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

static void preferred_worker_is_busy(void)
{
    reset_calls();
    CU_ASSERT_PTR_NOT_NULL_FATAL(pool = threads_open(2, NULL));
    busy = submit(waits, 0, TASK(.worker = 2, .worker_hard = true));
    await_running();
    for (int i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(worker_of(submit(echo, 0, TASK(.worker = 2))), 1);
    CU_ASSERT_EQUAL(rp_state_of(pool, busy), RP_SENT);
    queued = submit(echo, 0, TASK(.worker = 2, .worker_hard = true));
    CU_ASSERT_EQUAL(rp_wait(pool, queued, 1e-2), RP_ERR_TIMEOUT); /* a hard wish waits */
    open_gate();
    CU_ASSERT_EQUAL(worker_of(queued), 2);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

/* ---- maps that run meanwhile ---- */

#define ITEMS 100

static int64_t in[ITEMS], out[ITEMS];
static rp_status statuses[ITEMS];
static rp_map_options options;

static void begin_map(int workers)
{
    rp_config config = RP_CONFIG_INIT;
    config.log = silence;
    reset_calls();
    CU_ASSERT_PTR_NOT_NULL_FATAL(pool = threads_open(workers, &config));
    options = (rp_map_options)RP_MAP_OPTIONS_INIT;
    for (int64_t i = 0; i < ITEMS; i++) {
        in[i] = i;
        out[i] = -1;
        statuses[i] = RP_END;
    }
}

/* Fails for every 7th item, from item 3 on. */
static rp_status picky(rp_call *at, const void *arg, size_t bytes)
{
    int64_t value = *(const int64_t *)arg;
    return value % 7 == 3 ? rp_fail(at, 5, "%d is against it", (int)value)
                          : rp_return(at, arg, bytes);
}
RP_TASK(picky);

static void map_with_statuses_of_items(void)
{
    begin_map(2);
    options.statuses = statuses;
    CU_ASSERT_EQUAL_FATAL(rp_map_async(pool, picky, in, 8, ITEMS, out, 8, &options, &future),
                          RP_OK);
    CU_ASSERT_EQUAL(rp_wait(pool, future, RP_FOREVER), RP_OK);
    CU_ASSERT_EQUAL(rp_outcome_of(pool, future, &outcome), RP_OK);
    CU_ASSERT_TRUE(outcome.status == RP_ERR_TASK && outcome.size == 0);
    CU_ASSERT_EQUAL(rp_get(pool, future, 0, NULL, 0, NULL), RP_ERR_TASK);
    CU_ASSERT_PTR_NOT_NULL(strstr(rp_error_message(), "item 3 ")); /* the lowest */
    CU_ASSERT_PTR_NOT_NULL(strstr(rp_error_message(), "3 is against it"));
    for (int64_t i = 0; i < ITEMS; i++) {
        CU_ASSERT_EQUAL(statuses[i], i % 7 == 3 ? RP_ERR_TASK : RP_OK);
        CU_ASSERT_EQUAL(out[i], i % 7 == 3 ? -1 : i);
    }
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

static _Thread_local int64_t first_here = -1, chunk_here;

/* Gives the number of the chunk: items that come one after the other, in one thread. */
static rp_status chunk_of(rp_call *at, const void *arg, size_t bytes)
{
    int64_t value = *(const int64_t *)arg;
    (void)bytes;
    if (value != first_here + 1 || value % 10 == 0)
        chunk_here = value;
    first_here = value;
    return rp_return(at, &chunk_here, sizeof chunk_here);
}
RP_TASK(chunk_of);

static void map_in_chunks(void)
{
    begin_map(3);
    options.chunk = 10;
    CU_ASSERT_EQUAL_FATAL(rp_map_async(pool, chunk_of, in, 8, ITEMS, out, 8, &options, &future),
                          RP_OK);
    CU_ASSERT_EQUAL(rp_get(pool, future, RP_FOREVER, NULL, 0, NULL), RP_OK);
    for (int64_t i = 0; i < ITEMS; i++)
        CU_ASSERT_TRUE(out[i] >= i - i % 10 &&
                       out[i] <= i); /* a chunk may be cut where it was not begun */
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

/* The first item of the map runs, and no other has begun. */
static rp_status first_overruns(rp_call *at, const void *arg, size_t bytes)
{
    return *(const int64_t *)arg == 0 ? overruns(at, arg, bytes) : RP_OK;
}
RP_TASK(first_overruns);

static void map_cancelled(void)
{
    begin_map(1);
    options.statuses = statuses;
    options.chunk = 1;
    CU_ASSERT_EQUAL_FATAL(
        rp_map_async(pool, first_overruns, in, 8, ITEMS, NULL, 0, &options, &future), RP_OK);
    await_running();
    CU_ASSERT_EQUAL(rp_cancel(pool, future), RP_OK);
    CU_ASSERT_EQUAL(rp_get(pool, future, RP_FOREVER, NULL, 0, NULL), RP_ERR_CANCELLED);
    CU_ASSERT_EQUAL(statuses[0], RP_OK); /* what it returned counts */
    for (int i = 1; i < ITEMS; i++)
        CU_ASSERT_EQUAL(statuses[i], RP_ERR_CANCELLED);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

static void map_among_other_futures(void)
{
    rp_future several[3];
    begin_map(2);
    CU_ASSERT_EQUAL_FATAL(rp_map_async(pool, waits, in, 8, 1, NULL, 0, NULL, &several[0]), RP_OK);
    await_running();
    several[1] = submit(echo, 8, NULL);
    CU_ASSERT_EQUAL(rp_wait_any(pool, several, 2, RP_FOREVER, &place), RP_OK);
    CU_ASSERT_EQUAL(place, 1);
    CU_ASSERT_EQUAL(rp_wait_any(pool, several, 1, 0, &place), RP_ERR_TIMEOUT);
    CU_ASSERT_EQUAL_FATAL(rp_map_async(pool, picky, in, 8, ITEMS, out, 8, NULL, &several[2]),
                          RP_OK);
    CU_ASSERT_EQUAL(rp_wait_all(pool, several, 3, RP_FIRST_ERROR, RP_FOREVER), RP_OK);
    CU_ASSERT_TRUE(rp_state_of(pool, several[0]) == RP_SENT ||
                   rp_state_of(pool, several[0]) == RP_QUEUED);
    CU_ASSERT_EQUAL(rp_state_of(pool, several[2]), RP_DONE);
    open_gate();
    CU_ASSERT_EQUAL(rp_wait_all(pool, several, 3, RP_ALL, RP_FOREVER), RP_OK);
    CU_ASSERT_EQUAL(rp_wait_any(pool, several, 1, 0, &place), RP_OK);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

int main(int argc, char **argv)
{
    static CU_TestInfo many[] = { { "a_million_submitted", a_million_submitted },
                                  { "a_million_in_order", a_million_in_order },
                                  { "a_million_added", a_million_added },
                                  { "a_million_settled_ones", a_million_settled_ones },
                                  { "ends_when_told", ends_when_told },
                                  CU_TEST_INFO_NULL };
    static CU_TestInfo preferred[] = { { "preferred_worker_is_free", preferred_worker_is_free },
                                       { "preferred_worker_is_busy", preferred_worker_is_busy },
                                       CU_TEST_INFO_NULL };
    static CU_TestInfo maps[] = { { "map_with_statuses_of_items", map_with_statuses_of_items },
                                  { "map_in_chunks", map_in_chunks },
                                  { "map_cancelled", map_cancelled },
                                  { "map_among_other_futures", map_among_other_futures },
                                  CU_TEST_INFO_NULL };
    static CU_SuiteInfo suites[] = { { "many", NULL, NULL, NULL, NULL, many },
                                     { "preferred", NULL, NULL, NULL, NULL, preferred },
                                     { "maps", NULL, NULL, NULL, NULL, maps },
                                     CU_SUITE_INFO_NULL };
    return harness_main(argc, argv, suites);
}
