/* Streams: what goes in comes out, once, as it finishes or in order; and their ends. */
/* run: alone, -n 1, -n 2, -n 4 */
#include "pool/pool.h" /* before the fixture, which has a variable of that name */

#include "fixture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- tasks ---- */

/* int64_t: gives it back, but for every 7th: that one fails; every 5th gives nothing. */
static rp_status moody(rp_call *call, const void *arg, size_t size)
{
    int64_t value;
    memcpy(&value, arg, sizeof value);
    if (value % 7 == 0)
        return rp_fail(call, (int)value, "no luck with %d", (int)value);
    return value % 5 ? rp_return(call, arg, size) : RP_OK;
}
RP_TASK(moody);

/* int: fails until its attempt is that; then gives the attempt back. */
static rp_status tries(rp_call *call, const void *arg, size_t size)
{
    rp_call_info info = RP_CALL_INFO_INIT;
    int enough;
    (void)size;
    memcpy(&enough, arg, sizeof enough);
    rp_call_info_of(call, &info);
    return info.attempt < enough ? rp_fail(call, info.attempt, "not yet")
                                 : rp_return(call, &info.attempt, sizeof(int));
}
RP_TASK(tries);

/* ---- tools ---- */

static rp_stream *stream;

/* Futures that the pool still has. */
static uint64_t live(void)
{
    return pool->master.futures.live;
}

static bool open_stream(bool ordered, size_t in_flight)
{
    rp_stream_options options = RP_STREAM_OPTIONS_INIT;
    options.ordered = ordered;
    options.in_flight = in_flight;
    return IS(RP_OK, rp_stream_open(pool, &options, &stream));
}

static void put(rp_fn *fn, int64_t value)
{
    IS(RP_OK, rp_stream_submit(stream, fn, &value, sizeof value, NULL, NULL));
}

/* The next item's index; -1: none. */
static int64_t take(rp_item *item)
{
    *item = (rp_item)RP_ITEM_INIT;
    return IS(RP_OK, rp_stream_next(stream, RP_FOREVER, item)) ? (int64_t)item->index : -1;
}

static void ends(void)
{
    rp_item item = RP_ITEM_INIT;
    IS(RP_OK, rp_stream_end(stream));
    IS(RP_END, rp_stream_next(stream, RP_FOREVER, &item));
    IS(RP_END, rp_stream_next(stream, 0, &item)); /* and again */
    IS(RP_OK, rp_stream_close(&stream));
    CU_ASSERT_PTR_NULL(stream);
}

/* ---- many items ---- */

static void flows(bool ordered)
{
    enum { COUNT = 200000 };
    static bool seen[COUNT];
    int64_t submitted = 0, taken = 0, wrong = 0;
    rp_status status = RP_OK;
    memset(seen, 0, sizeof seen);
    if (!open_pool(NULL))
        return;
    if (!open_stream(ordered, 0))
        return;
    while (taken < COUNT && !wrong && status != RP_ERR_BROKEN) {
        rp_item item = RP_ITEM_INIT;
        int64_t value = -1;
        for (status = RP_OK; submitted < COUNT && status == RP_OK; submitted += status == RP_OK)
            status = rp_stream_submit(stream, twice, &submitted, sizeof submitted, NULL, NULL);
        if (status != RP_ERR_FULL)
            IS(RP_OK, status);
        if (submitted == COUNT && taken == 0)
            IS(RP_OK, rp_stream_end(stream));
        status = rp_stream_next(stream, RP_FOREVER, &item);
        if (!IS(RP_OK, status) || item.outcome->size != sizeof value)
            break;
        memcpy(&value, item.outcome->data, sizeof value);
        wrong += item.index >= COUNT || seen[item.index] || value != 2 * (int64_t)item.index ||
                 item.depth != 0;
        wrong += ordered && item.index != (uint64_t)taken;
        seen[item.index % COUNT] = true;
        taken++;
    }
    CU_ASSERT_EQUAL(taken, COUNT);
    CU_ASSERT_EQUAL(wrong, 0);
    ends();
    CU_ASSERT_EQUAL(live(), 0);
    close_pool();
}

static void many_as_they_finish(void)
{
    flows(false);
}

static void many_in_order(void)
{
    flows(true);
}

/* Failures are items like others; what is empty is none if so wanted. */
static void moods(bool ordered, bool skip_empty)
{
    enum { COUNT = 1000 };
    rp_stream_options options = RP_STREAM_OPTIONS_INIT;
    int wrong = 0, failed = 0, empty = 0;
    int64_t last = -1;
    rp_item item = RP_ITEM_INIT;
    rp_status status;
    options.ordered = ordered;
    options.skip_empty = skip_empty;
    options.in_flight = COUNT;
    IS(RP_OK, rp_stream_open(pool, &options, &stream));
    for (int64_t i = 0; i < COUNT; i++)
        put(moody, i);
    IS(RP_OK, rp_stream_end(stream));
    while ((status = rp_stream_next(stream, RP_FOREVER, &item)) == RP_OK) {
        const rp_outcome *outcome = item.outcome;
        int64_t i = (int64_t)item.index;
        wrong += ordered && i <= last;
        last = i;
        failed += outcome->status != RP_OK;
        empty += outcome->status == RP_OK && outcome->size == 0;
        if (i % 7 == 0)
            wrong += outcome->status != RP_ERR_TASK || outcome->code != i ||
                     outcome->attempts != 1 || outcome->worker < 1 ||
                     !strstr(outcome->message, "no luck with ");
        else
            wrong += outcome->status != RP_OK || outcome->message[0] ||
                     (i % 5 ? memcmp(outcome->data, &i, sizeof i) != 0 : outcome->size != 0);
    }
    IS(RP_END, status);
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(failed, 143);
    CU_ASSERT_EQUAL(empty, skip_empty ? 0 : 171);
    IS(RP_OK, rp_stream_close(&stream));
    CU_ASSERT_EQUAL(live(), 0);
}

static int lines;

static void count_lines(rp_level level, const char *line, void *user)
{
    (void)line;
    (void)user;
    lines += level <= RP_LOG_WARNING;
}

static void failures_and_empty_ones(void)
{
    rp_config config = RP_CONFIG_INIT;
    config.log = count_lines;
    if (!open_pool(&config))
        return;
    lines = 0;
    for (int i = 0; i < 4; i++)
        moods(i & 1, i & 2);
    CU_ASSERT_EQUAL(lines, 0); /* delivered is not logged */
    close_pool();
}

/* ---- limits ---- */

static void full(void)
{
    rp_item item = RP_ITEM_INIT;
    if (!open_pool(NULL))
        return;
    for (int ordered = 0; ordered < 2; ordered++) {
        open_stream(ordered, 3);
        for (int64_t i = 0; i < 3; i++)
            put(echo, i);
        IS(RP_ERR_FULL, rp_stream_submit(stream, echo, NULL, 0, NULL, NULL));
        SAYS("3 items are in flight");
        IS(RP_OK, rp_drain(pool, RP_FOREVER)); /* finished is not delivered */
        IS(RP_ERR_FULL, rp_stream_submit(stream, echo, NULL, 0, NULL, NULL));
        (void)take(&item);
        put(echo, 3);
        IS(RP_ERR_FULL, rp_stream_submit(stream, echo, NULL, 0, NULL, NULL));
        for (int i = 0; i < 3; i++)
            (void)take(&item);
        IS(RP_ERR_TIMEOUT, rp_stream_next(stream, 0, &item));
        IS(RP_ERR_TIMEOUT, rp_stream_next(stream, 1e-3, &item));
        ends();
    }
    close_pool();
}

/* In one process a timeout of 0 still moves it on. */
static void no_waiting(void)
{
    rp_item item = RP_ITEM_INIT;
    rp_status status;
    if (!open_pool(NULL))
        return;
    open_stream(true, 0);
    put(twice, 21);
    while ((status = rp_stream_next(stream, 0, &item)) == RP_ERR_TIMEOUT)
        continue;
    IS(RP_OK, status);
    CU_ASSERT_EQUAL(*(const int64_t *)item.outcome->data, 42);
    ends();
    close_pool();
}

/* The pool's own queue limit holds for streams too. */
static void queue_limit(void)
{
    enum { COUNT = 500 };
    rp_config config = RP_CONFIG_INIT;
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    rp_item item = RP_ITEM_INIT;
    config.queue_limit_tasks = 2;
    if (!open_pool(&config))
        return;
    open_stream(true, COUNT);
    for (int64_t i = 0; i < COUNT; i++)
        put(twice, i);
    for (int64_t i = 0; i < COUNT; i++)
        CU_ASSERT_EQUAL(take(&item), i);
    IS(RP_OK, rp_release(pool, close_gate()));
    options.no_wait = true;
    rp_status status = RP_OK;
    double length = ranks() > 1 ? 0.01 : 0;
    for (size_t i = 0; i < 100 * rp_workers(pool) && status == RP_OK; i++)
        status = rp_stream_submit(stream, wakeup, &length, sizeof length, &options, NULL);
    IS(RP_ERR_FULL, status);
    SAYS("queue is full");
    open_gate();
    IS(RP_OK, rp_stream_close(&stream));
    close_pool();
}

/* ---- futures moved in ---- */

static void adds(bool ordered)
{
    rp_item item = RP_ITEM_INIT;
    rp_future settled, failing, large, open, released, twice_in;
    int64_t value = 4, seven = 7;
    char *big = calloc(100000, 1), byte;
    int indices = 0;
    rp_future gate = close_gate();
    IS(RP_OK, rp_submit(pool, twice, &value, sizeof value, NULL, &settled));
    large = submit(echo, big, 100000);
    free(big);
    failing = submit(moody, &seven, sizeof seven);
    open_gate();
    IS(RP_OK, rp_wait(pool, settled, RP_FOREVER));
    open_stream(ordered, 2); /* what is added is let in anyway */
    released = submit(nothing, NULL, 0);
    IS(RP_OK, rp_release(pool, released));
    IS(RP_ERR_STALE, rp_stream_add(stream, released));
    IS(RP_ERR_STALE, rp_stream_add(stream, (rp_future){ 0 }));
    IS(RP_ERR_STALE, rp_stream_add(stream, (rp_future){ UINT64_MAX }));
    IS(RP_OK, rp_stream_add(stream, settled));
    IS(RP_ERR_STALE, rp_wait(pool, settled, 0)); /* the stream has it */
    IS(RP_ERR_STALE, rp_stream_add(stream, settled));
    IS(RP_OK, rp_stream_add(stream, large));
    IS(RP_OK, rp_stream_add(stream, failing));
    CU_ASSERT_EQUAL(rp_state_of(pool, failing), RP_STALE);
    IS(RP_ERR_STALE, rp_get(pool, failing, 0, &byte, 1, NULL));
    IS(RP_ERR_STALE, rp_release(pool, failing));
    IS(RP_ERR_STALE, rp_cancel(pool, failing));
    open = submit(nothing, NULL, 0);
    IS(RP_OK, rp_stream_add(stream, open));
    IS(RP_OK, rp_stream_end(stream));
    twice_in = submit(nothing, NULL, 0);
    IS(RP_ERR_CONTEXT, rp_stream_add(stream, twice_in));
    IS(RP_OK, rp_get(pool, twice_in, RP_FOREVER, NULL, 0, NULL));
    for (int i = 0; i < 4; i++) {
        int64_t index = take(&item);
        CU_ASSERT_TRUE(!ordered || index == i);
        indices |= 1 << index;
        if (index == 0)
            CU_ASSERT_EQUAL(*(const int64_t *)item.outcome->data, 8);
        if (index == 1)
            CU_ASSERT_EQUAL(item.outcome->size, 100000);
        if (index == 2)
            IS(RP_ERR_TASK, item.outcome->status);
    }
    CU_ASSERT_EQUAL(indices, 15);
    ends();
    IS(RP_OK, rp_get(pool, gate, RP_FOREVER, NULL, 0, NULL));
    IS(RP_OK, rp_drain(pool, RP_FOREVER)); /* the released one may still run */
    CU_ASSERT_EQUAL(live(), 0);
}

static void futures_added(void)
{
    if (!open_pool(NULL))
        return;
    adds(false);
    adds(true);
    close_pool();
}

/* An item of one stream does not go into another, nor twice into its own; a map's future goes in as
 * one item. */
static void added_items_and_maps(void)
{
    rp_stream *first;
    rp_future future, all;
    rp_item item = RP_ITEM_INIT;
    int64_t in[100], out[100];
    if (!open_pool(NULL))
        return;
    for (int i = 0; i < 100; i++)
        in[i] = i;
    open_stream(false, 0);
    first = stream;
    IS(RP_OK, rp_stream_submit(first, nothing, NULL, 0, NULL, &future));
    open_stream(true, 0);
    IS(RP_ERR_INVALID, rp_stream_add(stream, future));
    IS(RP_ERR_INVALID, rp_stream_add(first, future));
    IS(RP_OK, rp_map_async(pool, twice, in, 8, 100, out, 8, NULL, &all));
    IS(RP_OK, rp_stream_add(stream, all));
    CU_ASSERT_EQUAL(take(&item), 0);
    IS(RP_OK, item.outcome->status);
    CU_ASSERT_EQUAL(out[99], 198);
    ends();
    stream = first;
    CU_ASSERT_EQUAL(take(&item), 0);
    ends();
    IS(RP_OK, rp_get(pool, future, 0, NULL, 0, NULL));
    CU_ASSERT_EQUAL(live(), 0);
    close_pool();
}

/* A settled future without a result, added to a stream that skips those, is skipped too. */
static void added_empty_ones(void)
{
    rp_stream_options options = RP_STREAM_OPTIONS_INIT;
    rp_item item = RP_ITEM_INIT;
    options.skip_empty = true;
    if (!open_pool(NULL))
        return;
    for (int ordered = 0; ordered < 2; ordered++) {
        options.ordered = ordered;
        IS(RP_OK, rp_stream_open(pool, &options, &stream));
        rp_future empty = submit(nothing, NULL, 0), later = submit(nothing, NULL, 0);
        IS(RP_OK, rp_wait(pool, empty, RP_FOREVER));
        IS(RP_OK, rp_stream_add(stream, empty));
        IS(RP_OK, rp_stream_add(stream, later));
        put(echo, 5);
        CU_ASSERT_EQUAL(take(&item), 2);
        ends();
        CU_ASSERT_EQUAL(live(), 0);
    }
    close_pool();
}

/* The application may get or release its handle of an item at any time; the stream delivers it all
 * the same. */
static void held_futures(void)
{
    enum { COUNT = 40 };
    if (!open_pool(NULL))
        return;
    for (int ordered = 0; ordered < 2; ordered++) {
        rp_future futures[COUNT];
        rp_item item = RP_ITEM_INIT;
        int64_t sum = 0, value;
        void *data;
        open_stream(ordered, 0);
        for (int64_t i = 0; i < COUNT; i++)
            IS(RP_OK, rp_stream_submit(stream, twice, &i, sizeof i, NULL, &futures[i]));
        for (int i = 0; i < COUNT; i += 4) {
            IS(RP_OK, rp_release(pool, futures[i]));
            IS(RP_OK, rp_get(pool, futures[i + 1], RP_FOREVER, &value, sizeof value, NULL));
            CU_ASSERT_EQUAL(value, 2 * (i + 1));
            IS(RP_OK, rp_take(pool, futures[i + 2], RP_FOREVER, &data, NULL));
            CU_ASSERT_EQUAL(*(int64_t *)data, 2 * (i + 2));
            rp_free(data);
            for (int k = 0; k < 3; k++)
                IS(RP_ERR_STALE, rp_get(pool, futures[i + k], 0, &value, sizeof value, NULL));
        }
        for (int i = 0; i < COUNT; i++) {
            int64_t index = take(&item);
            value = *(const int64_t *)item.outcome->data;
            CU_ASSERT_EQUAL(value, 2 * index);
            if (index % 4 == 3) { /* while it is looked at */
                IS(RP_OK, rp_release(pool, futures[index]));
                CU_ASSERT_EQUAL(*(const int64_t *)item.outcome->data, value);
            }
            sum += value;
        }
        CU_ASSERT_EQUAL(sum, (int64_t)COUNT * (COUNT - 1));
        ends();
        CU_ASSERT_EQUAL(live(), 0);
    }
    close_pool();
}

/* ---- ends ---- */

static void ended(void)
{
    rp_item item = RP_ITEM_INIT;
    if (!open_pool(NULL))
        return;
    open_stream(false, 0);
    ends(); /* empty */
    open_stream(true, 0);
    put(twice, 1);
    IS(RP_OK, rp_stream_end(stream));
    IS(RP_OK, rp_stream_end(stream)); /* again: no effect */
    IS(RP_ERR_CONTEXT, rp_stream_submit(stream, nothing, NULL, 0, NULL, NULL));
    SAYS("has been ended");
    CU_ASSERT_EQUAL(take(&item), 0);
    ends();
    close_pool();
}

/* Closed with items queued, at workers, running and not delivered. */
static void closes(bool ordered, int taken)
{
    rp_future held[3], gate = { 0 };
    rp_item item = RP_ITEM_INIT;
    char big[70000] = "";
    open_stream(ordered, 0);
    for (int64_t i = 0; i < 50; i++)
        put(i % 10 ? twice : moody, i);
    IS(RP_OK, rp_drain(pool, RP_FOREVER));
    for (int i = 0; i < taken; i++)
        (void)take(&item);
    if (ranks() > 1)
        gate = close_gate();
    for (int64_t i = 0; i < 50; i++) {
        put(twice, i);
        IS(RP_OK, rp_stream_submit(stream, echo, big, sizeof big, NULL, i < 3 ? &held[i] : NULL));
    }
    IS(RP_OK, rp_stream_close(&stream));
    CU_ASSERT_PTR_NULL(stream);
    open_gate();
    for (int i = 0; i < 3; i++) /* the application's handles are as others now */
        IS(RP_OK, rp_wait(pool, held[i], RP_FOREVER));
    for (int i = 0; i < 3; i++)
        IS(RP_OK, rp_release(pool, held[i]));
    if (ranks() > 1)
        IS(RP_OK, rp_get(pool, gate, RP_FOREVER, NULL, 0, NULL));
    IS(RP_OK, rp_drain(pool, RP_FOREVER));
    CU_ASSERT_EQUAL(live(), 0);
}

static void closed_early(void)
{
    int64_t value = 3, result;
    if (!open_pool(NULL))
        return;
    for (int i = 0; i < 4; i++)
        closes(i & 1, i & 2 ? 20 : 0);
    IS(RP_OK, rp_apply(pool, twice, &value, sizeof value, &result, sizeof result,
                       NULL)); /* the pool goes on */
    CU_ASSERT_EQUAL(result, 6);
    close_pool();
}

/* Streams that are open at the pool's end leak nothing. */
static void closed_with_the_pool(void)
{
    if (!open_pool(NULL))
        return;
    for (int i = 0; i < 4; i++) {
        open_stream(i & 1, 0);
        for (int64_t k = 0; k < 100; k++)
            put(moody, k);
    }
    close_pool();
}

static void terminated_with_the_pool(void)
{
    if (!open_pool(NULL))
        return;
    open_stream(true, 0);
    for (int64_t k = 0; k < 100; k++)
        put(moody, k);
    IS(RP_OK, rp_terminate(&pool));
}

static void two_at_once(void)
{
    enum { COUNT = 2000 };
    rp_stream *streams[2];
    int64_t next = 0, sums[2] = { 0 };
    rp_item item = RP_ITEM_INIT;
    if (!open_pool(NULL))
        return;
    open_stream(false, COUNT);
    streams[0] = stream;
    open_stream(true, COUNT);
    streams[1] = stream;
    for (int64_t i = 0; i < COUNT; i++) {
        stream = streams[i % 2];
        put(i % 2 ? echo : twice, i);
        IS(RP_OK, rp_release(pool, submit(nothing, NULL, 0)));
    }
    for (int which = 0; which < 2; which++) {
        rp_status status;
        IS(RP_OK, rp_stream_end(streams[which]));
        while ((status = rp_stream_next(streams[which], RP_FOREVER, &item)) == RP_OK) {
            CU_ASSERT_FALSE(which && item.index != (uint64_t)next++);
            sums[which] += *(const int64_t *)item.outcome->data;
        }
        IS(RP_END, status);
        IS(RP_OK, rp_stream_close(&streams[which]));
    }
    CU_ASSERT_EQUAL(sums[0], 2 * 1000 * 999);
    CU_ASSERT_EQUAL(sums[1], 1000 * 1000);
    IS(RP_OK, rp_drain(pool, RP_FOREVER));
    CU_ASSERT_EQUAL(live(), 0);
    close_pool();
}

/* ---- options ---- */

static int calls;

static void count_calls(rp_pool *where, rp_future future, const rp_outcome *outcome, void *user)
{
    (void)future;
    CU_ASSERT_PTR_EQUAL(where, pool);
    CU_ASSERT_TRUE(outcome->size == sizeof(int) || outcome->status == RP_ERR_TASK);
    *(int *)user += 1;
}

/* The stream's task options are those of items without options of their own. */
static void task_options(bool ordered)
{
    rp_stream_options options = RP_STREAM_OPTIONS_INIT;
    rp_task_options task = RP_TASK_OPTIONS_INIT, own = RP_TASK_OPTIONS_INIT;
    rp_item item = RP_ITEM_INIT;
    int attempts = 3;
    calls = 0;
    task.retries = 2;
    task.on_done = count_calls;
    task.user = &calls;
    task.priority = -3;
    options.task = &task;
    options.ordered = ordered;
    IS(RP_OK, rp_stream_open(pool, &options, &stream));
    memset(&task, 'x', sizeof task); /* they were copied */
    for (int i = 0; i < 20; i++)
        IS(RP_OK,
           rp_stream_submit(stream, tries, &attempts, sizeof attempts, i % 2 ? &own : NULL, NULL));
    IS(RP_OK, rp_stream_end(stream));
    for (int i = 0; i < 20; i++) {
        int64_t index = take(&item);
        IS(index % 2 ? RP_ERR_TASK : RP_OK, item.outcome->status);
        CU_ASSERT_EQUAL(item.outcome->attempts, index % 2 ? 1 : 3);
    }
    ends();
    CU_ASSERT_EQUAL(calls, 10);
    CU_ASSERT_EQUAL(live(), 0);
}

static void options_of_items(void)
{
    if (!open_pool(NULL))
        return;
    task_options(false);
    task_options(true);
    close_pool();
}

/* A callback that is due is called though its item was delivered, or its stream is closed. */
static void callbacks_of_items(void)
{
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    int one = 1;
    if (!open_pool(NULL))
        return;
    options.on_done = count_calls;
    options.user = &calls;
    for (int ordered = 0; ordered < 2; ordered++) {
        rp_item item = RP_ITEM_INIT;
        rp_future held[10];
        calls = 0;
        open_stream(ordered, 0);
        for (int i = 0; i < 10; i++) {
            IS(RP_OK, rp_stream_submit(stream, tries, &one, sizeof one, &options, &held[i]));
            if (i % 2)
                IS(RP_OK, rp_release(pool, held[i]));
        }
        (void)take(&item);
        IS(RP_OK, rp_drain(pool, RP_FOREVER));
        IS(RP_OK, rp_stream_close(&stream));
        IS(RP_OK, rp_progress(pool));
        CU_ASSERT_EQUAL(calls, 10);
        for (int i = 0; i < 10; i += 2)
            IS(RP_OK, rp_get(pool, held[i], 0, &one, sizeof one, NULL));
        CU_ASSERT_EQUAL(live(), 0);
    }
    close_pool();
}

static int left;

/* Puts another item into the stream while one waits for room there. */
static void puts_another(rp_pool *where, rp_future future, const rp_outcome *outcome, void *user)
{
    int64_t value = -1;
    (void)where;
    (void)future;
    (void)outcome;
    (void)user;
    if (left > 0 && rp_stream_submit(stream, echo, &value, sizeof value, NULL, NULL) == RP_OK)
        left--;
}

/* Items that callbacks put in get places of their own, and never inside rp_stream_submit. */
static void items_from_callbacks(void)
{
    enum { COUNT = 300 };
    rp_config config = RP_CONFIG_INIT;
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    config.queue_limit_tasks = 1;
    options.on_done = puts_another;
    if (!open_pool(&config))
        return;
    for (int ordered = 0; ordered < 2; ordered++) {
        static bool seen[2 * COUNT];
        rp_item item = RP_ITEM_INIT;
        int wrong = 0;
        memset(seen, 0, sizeof seen);
        left = COUNT / 2;
        open_stream(ordered, 2 * COUNT);
        for (int64_t i = 0; i < COUNT; i++) {
            int before = left;
            IS(RP_OK, rp_stream_submit(stream, echo, &i, sizeof i, &options, NULL));
            CU_ASSERT_EQUAL(left, before);
        }
        IS(RP_OK, rp_drain(pool, RP_FOREVER));
        int count = COUNT + COUNT / 2 - left;
        for (int i = 0; i < count; i++) {
            int64_t index = take(&item);
            wrong += index < 0 || index >= count || seen[index];
            seen[index] = true;
        }
        CU_ASSERT_EQUAL(wrong, 0);
        left = 0;
        ends();
        CU_ASSERT_EQUAL(live(), 0);
    }
    close_pool();
}

/* ---- imap ---- */

struct source {
    int64_t next, count;
    size_t size; /* of an item */
    char *bytes;
    int in_flight, most; /* asked for and not delivered */
};

static bool gives(void *context, rp_bytes *next)
{
    struct source *source = context;
    if (source->next == source->count)
        return false;
    if (source->size >= sizeof source->next)
        memcpy(source->bytes, &source->next, sizeof source->next);
    *next = (rp_bytes){ .data = source->size ? source->bytes : NULL, .size = source->size };
    source->next++;
    if (++source->in_flight > source->most)
        source->most = source->in_flight;
    return true;
}

static void imaps(int64_t count, size_t size, bool ordered, size_t in_flight)
{
    struct source source = { .count = count, .size = size, .bytes = calloc(1, size + 8) };
    rp_stream_options options = RP_STREAM_OPTIONS_INIT;
    rp_item item = RP_ITEM_INIT;
    rp_status status;
    int64_t taken = 0, wrong = 0;
    options.ordered = ordered;
    options.in_flight = in_flight;
    IS(RP_OK, rp_imap(pool, echo, gives, &source, &options, &stream));
    CU_ASSERT_EQUAL(source.next, 0); /* asked in rp_stream_next only */
    while ((status = rp_stream_next(stream, RP_FOREVER, &item)) == RP_OK) {
        wrong += item.outcome->size != size || (ordered && item.index != (uint64_t)taken);
        wrong += size >= 8 && memcmp(item.outcome->data, &item.index, 8) != 0;
        source.in_flight--;
        taken++;
    }
    IS(RP_END, status);
    CU_ASSERT_EQUAL(taken, count);
    CU_ASSERT_EQUAL(wrong, 0);
    if (in_flight)
        CU_ASSERT_TRUE(source.most <= (int)in_flight);
    ends();
    free(source.bytes);
}

static void imap_sizes(void)
{
    static const size_t sizes[] = { 0, 1, 8, 5000 };
    if (!open_pool(NULL))
        return;
    for (int ordered = 0; ordered < 2; ordered++) {
        imaps(0, 8, ordered, 0);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            imaps(1, sizes[i], ordered, 0);
            imaps(1000, sizes[i], ordered, 10);
        }
        imaps(50, 100000, ordered, 7);
        imaps(100000, 8, ordered, 0);
        imaps(100, 8, ordered, 1);
    }
    CU_ASSERT_EQUAL(live(), 0);
    close_pool();
}

static void imap_with_a_queue_limit(void)
{
    rp_config config = RP_CONFIG_INIT;
    config.queue_limit_tasks = 3;
    config.queue_limit_bytes = 100;
    if (!open_pool(&config))
        return;
    imaps(1000, 40, false, 0);
    imaps(1000, 40, true, 0);
    close_pool();
}

/* Nothing comes out, and still it ends: room frees as items vanish. */
static void imap_of_nothing(void)
{
    struct source source = { .count = 5000, .size = 8, .bytes = (char[8]){ "" } };
    rp_stream_options options = RP_STREAM_OPTIONS_INIT;
    rp_item item = RP_ITEM_INIT;
    options.skip_empty = true;
    if (!open_pool(NULL))
        return;
    for (int ordered = 0; ordered < 2; ordered++) {
        source.next = 0;
        options.ordered = ordered;
        options.in_flight = 10;
        IS(RP_OK, rp_imap(pool, nothing, gives, &source, &options, &stream));
        IS(RP_END, rp_stream_next(stream, 20, &item));
        CU_ASSERT_EQUAL(source.next, source.count);
        IS(RP_OK, rp_stream_close(&stream));
        CU_ASSERT_EQUAL(live(), 0);
    }
    close_pool();
}

/* A queue that others have filled: the items wait for room there, and the timeout holds. */
static void imap_behind_others(void)
{
    struct source source = { .count = 20, .size = 8, .bytes = (char[8]){ "" } };
    rp_stream_options options = RP_STREAM_OPTIONS_INIT;
    rp_task_options task = RP_TASK_OPTIONS_INIT, hard = RP_TASK_OPTIONS_INIT;
    rp_config config = RP_CONFIG_INIT;
    rp_item item = RP_ITEM_INIT;
    config.queue_limit_tasks = 2;
    hard.no_wait = task.no_wait = true;
    options.task = &task;
    if (!open_pool(&config))
        return;
    for (size_t i = 0; i < rp_workers(pool) && ranks() > 1; i++)
        IS(RP_OK, rp_release(pool, close_gate()));
    while (rp_submit(pool, nothing, NULL, 0, &hard, NULL) == RP_OK)
        continue;
    IS(RP_OK, rp_imap(pool, echo, gives, &source, &options, &stream));
    if (ranks() > 1)
        IS(RP_ERR_TIMEOUT, rp_stream_next(stream, 0, &item));
    open_gate();
    for (int i = 0; i < 20; i++)
        IS(RP_OK, rp_stream_next(stream, RP_FOREVER, &item));
    IS(RP_END, rp_stream_next(stream, RP_FOREVER, &item));
    IS(RP_OK, rp_stream_close(&stream));
    close_pool();
}

static bool gives_a_bad_one(void *context, rp_bytes *next)
{
    int *count = context;
    *next = (rp_bytes){ .data = *count == 1 ? NULL : "abcdefgh", .size = 8 };
    return ++*count <= 3;
}

/* An item that cannot be submitted is told once and left out. */
static void imap_of_bad_items(void)
{
    rp_item item = RP_ITEM_INIT;
    int count = 0, good = 0, bad = 0;
    rp_status status;
    if (!open_pool(NULL))
        return;
    IS(RP_OK, rp_imap(pool, echo, gives_a_bad_one, &count, NULL, &stream));
    while ((status = rp_stream_next(stream, RP_FOREVER, &item)) != RP_END && good + bad < 10) {
        good += status == RP_OK;
        bad += status == RP_ERR_INVALID;
    }
    IS(RP_END, status);
    CU_ASSERT_EQUAL(good, 2);
    CU_ASSERT_EQUAL(bad, 1);
    IS(RP_OK, rp_stream_close(&stream));
    close_pool();
}

static void imap_closed_early(void)
{
    struct source source = { .count = 1000000, .size = 8, .bytes = (char[8]){ "" } };
    rp_item item = RP_ITEM_INIT;
    if (!open_pool(NULL))
        return;
    IS(RP_OK, rp_imap(pool, echo, gives, &source, NULL, &stream));
    for (int i = 0; i < 10; i++)
        (void)take(&item);
    IS(RP_OK, rp_stream_end(stream)); /* what was asked for is delivered, nothing more is asked */
    int64_t asked = source.next;
    (void)take(&item);
    CU_ASSERT_EQUAL(source.next, asked);
    IS(RP_OK, rp_stream_close(&stream));
    IS(RP_OK, rp_drain(pool, RP_FOREVER));
    CU_ASSERT_EQUAL(live(), 0);
    close_pool();
}

/* ---- refusals ---- */

static void refused(void)
{
    rp_stream_options options = RP_STREAM_OPTIONS_INIT;
    rp_task_options task = RP_TASK_OPTIONS_INIT;
    rp_stream *none = NULL;
    rp_item item = RP_ITEM_INIT;
    if (!open_pool(NULL))
        return;
    IS(RP_ERR_INVALID, rp_stream_open(NULL, NULL, &stream));
    IS(RP_ERR_INVALID, rp_stream_open(pool, NULL, NULL));
    options.struct_size--;
    IS(RP_ERR_INVALID, rp_stream_open(pool, &options, &none));
    options.struct_size = 0;
    IS(RP_ERR_INVALID, rp_imap(pool, echo, gives, NULL, &options, &none));
    options = (rp_stream_options)RP_STREAM_OPTIONS_INIT;
    options.task = &task;
    task.worker = (int)rp_workers(pool) + 1;
    IS(RP_ERR_INVALID, rp_stream_open(pool, &options, &none));
    SAYS("options.worker");
    CU_ASSERT_PTR_NULL(none);
    IS(RP_ERR_INVALID, rp_imap(NULL, echo, gives, NULL, NULL, &none));
    IS(RP_ERR_INVALID, rp_imap(pool, NULL, gives, NULL, NULL, &none));
    IS(RP_ERR_INVALID, rp_imap(pool, echo, NULL, NULL, NULL, &none));
    IS(RP_ERR_INVALID, rp_imap(pool, echo, gives, NULL, NULL, NULL));
    IS(RP_ERR_UNREGISTERED, rp_imap(pool, stranger, gives, NULL, NULL, &none));
    IS(RP_ERR_INVALID, rp_stream_submit(NULL, echo, NULL, 0, NULL, NULL));
    IS(RP_ERR_INVALID, rp_stream_add(NULL, (rp_future){ 0 }));
    IS(RP_ERR_INVALID, rp_stream_end(NULL));
    IS(RP_ERR_INVALID, rp_stream_next(NULL, 0, &item));
    IS(RP_ERR_INVALID, rp_stream_close(NULL));
    IS(RP_ERR_INVALID, rp_stream_close(&none));
    open_stream(false, 0);
    IS(RP_ERR_INVALID, rp_stream_submit(stream, NULL, NULL, 0, NULL, NULL));
    IS(RP_ERR_INVALID, rp_stream_submit(stream, echo, NULL, 1, NULL, NULL));
    IS(RP_ERR_UNREGISTERED, rp_stream_submit(stream, stranger, NULL, 0, NULL, NULL));
    IS(RP_ERR_INVALID, rp_stream_submit(stream, echo, NULL, 0, &task, NULL));
    IS(RP_ERR_INVALID, rp_stream_next(stream, 0, NULL));
    IS(RP_ERR_INVALID, rp_stream_next(stream, NAN, &item));
    item.struct_size = 8;
    IS(RP_ERR_INVALID, rp_stream_next(stream, 0, &item));
    ends(); /* none of these made an item */
    close_pool();
}

/* In the pool of one process a task can reach the stream. */
static rp_status meddles(rp_call *call, const void *arg, size_t size)
{
    rp_item item = RP_ITEM_INIT;
    rp_stream *other;
    (void)arg;
    (void)size;
    bool refuses = rp_stream_submit(stream, nothing, NULL, 0, NULL, NULL) == RP_ERR_CONTEXT &&
                   rp_stream_add(stream, (rp_future){ 0 }) == RP_ERR_CONTEXT &&
                   rp_stream_end(stream) == RP_ERR_CONTEXT &&
                   rp_stream_next(stream, 0, &item) == RP_ERR_CONTEXT &&
                   rp_stream_close(&stream) == RP_ERR_CONTEXT &&
                   rp_stream_open(pool, NULL, &other) == RP_ERR_CONTEXT &&
                   rp_imap(pool, nothing, gives, NULL, NULL, &other) == RP_ERR_CONTEXT;
    return refuses ? RP_OK : rp_fail(call, 1, "a call was allowed");
}
RP_TASK(meddles);

static void refused_inside_a_task(void)
{
    rp_item item = RP_ITEM_INIT;
    if (!open_pool(NULL))
        return;
    if (ranks() == 1) {
        open_stream(false, 0);
        IS(RP_OK, rp_stream_submit(stream, meddles, NULL, 0, NULL, NULL));
        (void)take(&item);
        IS(RP_OK, item.outcome->status);
        ends();
    }
    close_pool();
}

static CU_TestInfo items[] = { { "many_as_they_finish", many_as_they_finish },
                               { "many_in_order", many_in_order },
                               { "failures_and_empty_ones", failures_and_empty_ones },
                               { "full", full },
                               { "no_waiting", no_waiting },
                               { "queue_limit", queue_limit },
                               { "futures_added", futures_added },
                               { "added_items_and_maps", added_items_and_maps },
                               { "added_empty_ones", added_empty_ones },
                               { "held_futures", held_futures },
                               { "ended", ended },
                               { "closed_early", closed_early },
                               { "closed_with_the_pool", closed_with_the_pool },
                               { "terminated_with_the_pool", terminated_with_the_pool },
                               { "two_at_once", two_at_once },
                               { "options_of_items", options_of_items },
                               { "callbacks_of_items", callbacks_of_items },
                               { "items_from_callbacks", items_from_callbacks },
                               { "refused", refused },
                               { "refused_inside_a_task", refused_inside_a_task },
                               CU_TEST_INFO_NULL };
static CU_TestInfo imap[] = { { "imap_sizes", imap_sizes },
                              { "imap_with_a_queue_limit", imap_with_a_queue_limit },
                              { "imap_of_nothing", imap_of_nothing },
                              { "imap_behind_others", imap_behind_others },
                              { "imap_of_bad_items", imap_of_bad_items },
                              { "imap_closed_early", imap_closed_early },
                              CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "items", NULL, NULL, NULL, end_pool, items },
                                 { "imap", NULL, NULL, NULL, end_pool, imap },
                                 CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
