/* Maps, and waiting for several futures. */
/* run: alone, -n 1, -n 2, -n 4 */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- tasks ---- */

/* int64_t: its square; 13 fails, 14 was cancelled, 15 gives too little, 16 too much, 17 nothing. */
static rp_status square(rp_call *call, const void *arg, size_t size)
{
    int64_t value, squares[2];
    if (size != sizeof value)
        return rp_fail(call, 1, "%zu bytes", size);
    memcpy(&value, arg, sizeof value);
    squares[0] = squares[1] = value * value;
    switch (value) {
    case 13:
        return rp_fail(call, 1313, "thirteen");
    case 14:
        return RP_ERR_CANCELLED;
    case 15:
        return rp_return(call, squares, 7);
    case 16:
        return rp_return(call, squares, 16);
    case 17:
        return RP_OK;
    default:
        return rp_return(call, squares, sizeof value);
    }
}
RP_TASK(square);

static rp_status counts(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    return size == 0 ? rp_return(call, "tick", 4) : rp_fail(call, 1, "%zu bytes", size);
}
RP_TASK(counts);

/* Doubles the bytes: twice as many come out. */
static rp_status repeats(rp_call *call, const void *arg, size_t size)
{
    char *room = rp_reserve(call, 2 * size);
    if (!room)
        return RP_ERR_NOMEM;
    memcpy(room, arg, size);
    memcpy(room + size, arg, size);
    return RP_OK;
}
RP_TASK(repeats);

static rp_status fails(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    return rp_fail(call, 5, "as always");
}
RP_TASK(fails);

/* ---- maps ---- */

static void squares_in_order(void)
{
    enum { MOST = 20000 };
    static int64_t in[MOST], out[MOST + 1];
    static const size_t counted[] = { 0, 1, 2, 3, 100, 1001, MOST };
    static const size_t chunks[] = { 0, 1, 2, 7, 1000, MOST, SIZE_MAX };
    if (!open_pool(NULL))
        return;
    for (int64_t i = 0; i < MOST; i++)
        in[i] = i + 100;
    for (size_t i = 0; i < sizeof counted / sizeof *counted; i++) {
        for (size_t j = 0; j < sizeof chunks / sizeof *chunks; j++) {
            size_t wrong = 0, count = counted[i];
            rp_map_options options = RP_MAP_OPTIONS_INIT;
            options.chunk = chunks[j];
            memset(out, 'x', sizeof out);
            int64_t untouched = out[MOST];
            IS(RP_OK, rp_map(pool, square, in, 8, count, out, 8, j ? &options : NULL));
            for (size_t k = 0; k < count; k++)
                wrong += out[k] != in[k] * in[k];
            CU_ASSERT_EQUAL(wrong, 0);
            CU_ASSERT_EQUAL(out[count], untouched);
        }
    }
    close_pool();
}

static void sizes_of_nothing(void)
{
    char in[100] = "", out[400];
    rp_stats stats = RP_STATS_INIT;
    int wrong = 0;
    if (!open_pool(NULL))
        return;
    IS(RP_OK, rp_map(pool, counts, NULL, 0, 100, out, 4, NULL));
    for (size_t i = 0; i < 100; i++)
        wrong += memcmp(out + 4 * i, "tick", 4) != 0;
    CU_ASSERT_EQUAL(wrong, 0);
    IS(RP_OK, rp_map(pool, nothing, in, 1, 100, NULL, 0, NULL));
    IS(RP_OK, rp_map(pool, nothing, NULL, 0, 100, NULL, 0, NULL));
    IS(RP_OK, rp_map(pool, nothing, NULL, 8, 0, NULL, 8, NULL)); /* no items */
    IS(RP_ERR_SIZE, rp_map(pool, counts, NULL, 0, 3, NULL, 0, NULL));
    IS(RP_OK, rp_stats_of(pool, &stats));
    CU_ASSERT_EQUAL(stats.submitted, 303);
    CU_ASSERT_EQUAL(stats.done, 300);
    CU_ASSERT_EQUAL(stats.failed, 3);
    close_pool();
}

static void large_items(void)
{
    enum { COUNT = 23, SIZE = 100003 };
    static const size_t chunks[] = { 0, 1, 5, 100 };
    static char in[COUNT * SIZE], out[2 * COUNT * SIZE];
    if (!open_pool(NULL))
        return;
    for (size_t i = 0; i < COUNT; i++)
        fill(in + i * SIZE, SIZE, i);
    for (size_t i = 0; i < 4; i++) {
        size_t wrong = 0;
        rp_map_options options = RP_MAP_OPTIONS_INIT;
        options.chunk = chunks[i];
        memset(out, 0, sizeof out);
        IS(RP_OK, rp_map(pool, repeats, in, SIZE, COUNT, out, (size_t)2 * SIZE, &options));
        for (size_t j = 0; j < COUNT; j++)
            wrong += !filled(out + 2 * j * SIZE, SIZE, j) ||
                     !filled(out + (2 * j + 1) * SIZE, SIZE, j);
        CU_ASSERT_EQUAL(wrong, 0);
    }
    close_pool();
}

static void sizes_about_a_batch(void)
{
    static char in[6000 * 20], out[12000 * 20];
    size_t wrong = 0;
    if (!open_pool(NULL))
        return;
    fill(in, sizeof in, 8);
    for (size_t size = 1; size < 6000; size += size < 1900 || size > 4200 ? 97 : 8) {
        IS(RP_OK, rp_map(pool, repeats, in, size, 20, out, 2 * size, NULL));
        for (size_t i = 0; i < 20; i++)
            wrong += memcmp(out + 2 * i * size, in + i * size, size) != 0 ||
                     memcmp(out + (2 * i + 1) * size, in + i * size, size) != 0;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    close_pool();
}

static void failing_items(void)
{
    enum { COUNT = 1000 };
    static int64_t in[COUNT], out[COUNT];
    static rp_status statuses[COUNT];
    static const size_t chunks[] = { 0, 1, 10, COUNT };
    if (!open_pool(NULL))
        return;
    for (int64_t i = 0; i < COUNT; i++)
        in[i] = i;
    in[900] = 13;
    for (size_t i = 0; i < 4; i++) {
        size_t wrong = 0;
        rp_map_options options = RP_MAP_OPTIONS_INIT;
        options.chunk = chunks[i];
        options.statuses = statuses;
        for (size_t j = 0; j < COUNT; j++) {
            out[j] = -1;
            statuses[j] = RP_END;
        }
        IS(RP_ERR_TASK, rp_map(pool, square, in, 8, COUNT, out, 8, &options));
        SAYS("thirteen");
        SAYS("item 13");
        SAYS("1313");
        for (size_t j = 0; j < COUNT; j++) {
            rp_status expected = in[j] == 13                  ? RP_ERR_TASK
                                 : in[j] == 14                ? RP_ERR_CANCELLED
                                 : in[j] >= 15 && in[j] <= 17 ? RP_ERR_SIZE
                                                              : RP_OK;
            wrong += statuses[j] != expected || out[j] != (expected == RP_OK ? in[j] * in[j] : -1);
        }
        CU_ASSERT_EQUAL(wrong, 0);
    }
    in[13] = 0;
    IS(RP_ERR_CANCELLED,
       rp_map(pool, square, in, 8, COUNT, out, 8, NULL)); /* the lowest that fails now */
    SAYS("item 14");
    in[14] = 0;
    IS(RP_ERR_SIZE, rp_map(pool, square, in, 8, COUNT, out, 8, NULL));
    SAYS("item 15");
    SAYS("7");
    close_pool();
}

static void all_items_fail(void)
{
    enum { COUNT = 5000 };
    static char in[COUNT], out[COUNT];
    static rp_status statuses[COUNT];
    rp_map_options options = RP_MAP_OPTIONS_INIT;
    rp_stats stats = RP_STATS_INIT;
    size_t wrong = 0;
    options.statuses = statuses;
    if (!open_pool(NULL))
        return;
    IS(RP_ERR_TASK, rp_map(pool, fails, in, 1, COUNT, out, 1, &options));
    SAYS("item 0 ");
    SAYS("as always");
    for (size_t i = 0; i < COUNT; i++)
        wrong += statuses[i] != RP_ERR_TASK || out[i] != 0;
    CU_ASSERT_EQUAL(wrong, 0);
    IS(RP_OK, rp_stats_of(pool, &stats));
    CU_ASSERT_EQUAL(stats.submitted, COUNT);
    CU_ASSERT_EQUAL(stats.failed, COUNT);
    CU_ASSERT_EQUAL(stats.done, 0);
    close_pool();
}

static void among_other_tasks(void)
{
    static int64_t in[3000], out[3000];
    static rp_future futures[1000];
    rp_task_options task = RP_TASK_OPTIONS_INIT;
    rp_map_options options = RP_MAP_OPTIONS_INIT;
    int wrong = 0;
    options.task = &task;
    if (!open_pool(NULL))
        return;
    for (int round = 0; round < 3; round++) {
        task.priority = round - 1;
        for (int64_t i = 0; i < 1000; i++)
            futures[i] = submit(twice, &i, sizeof i);
        for (int64_t i = 0; i < 3000; i++)
            in[i] = 100 + i + round;
        IS(RP_OK, rp_map(pool, square, in, 8, 3000, out, 8, &options));
        for (int64_t i = 0; i < 3000; i++)
            wrong += out[i] != in[i] * in[i];
        for (int64_t i = 0; i < 1000; i++) {
            int64_t value = 0;
            wrong += rp_get(pool, futures[i], RP_FOREVER, &value, sizeof value, NULL) != RP_OK ||
                     value != 2 * i;
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
    close_pool();
}

static void refused_maps(void)
{
    int64_t in[2] = { 1, 2 }, out[2];
    rp_map_options options = RP_MAP_OPTIONS_INIT;
    rp_task_options retried = RP_TASK_OPTIONS_INIT;
    rp_stats stats = RP_STATS_INIT;
    retried.retries = 1;
    if (!open_pool(NULL))
        return;
    IS(RP_ERR_INVALID, rp_map(NULL, square, in, 8, 2, out, 8, NULL));
    IS(RP_ERR_INVALID, rp_map(pool, NULL, in, 8, 2, out, 8, NULL));
    IS(RP_ERR_UNREGISTERED, rp_map(pool, stranger, in, 8, 2, out, 8, NULL));
    IS(RP_ERR_INVALID, rp_map(pool, square, NULL, 8, 2, out, 8, NULL));
    IS(RP_ERR_INVALID, rp_map(pool, square, in, 8, 2, NULL, 8, NULL));
    IS(RP_ERR_INVALID, rp_map(pool, square, in, SIZE_MAX, 2, out, 8, NULL));
    IS(RP_ERR_INVALID, rp_map(pool, square, in, 8, 2, out, (size_t)1 << 33, NULL));
    options.struct_size = 0;
    IS(RP_ERR_INVALID, rp_map(pool, square, in, 8, 2, out, 8, &options));
    SAYS("RP_MAP_OPTIONS_INIT");
    options.struct_size = sizeof options + 1;
    IS(RP_ERR_INVALID, rp_map(pool, square, in, 8, 2, out, 8, &options));
    options.struct_size = sizeof options;
    options.task = &retried;
    IS(RP_ERR_INVALID, rp_map(pool, square, in, 8, 2, out, 8, &options));
    SAYS("retries");
    IS(RP_OK, rp_stats_of(pool, &stats));
    CU_ASSERT_EQUAL(stats.submitted, 0);
    IS(RP_OK, rp_map(pool, square, in, 8, 2, out, 8, NULL));
    CU_ASSERT_EQUAL(out[1], 4);
    close_pool();
}

/* Thousands of maps leak nothing; they work in place: out may be in. */
static void maps_again_and_again(void)
{
    int64_t values[10];
    int wrong = 0;
    if (!open_pool(NULL))
        return;
    for (int i = 0; i < 2000; i++) {
        for (int64_t j = 0; j < 10; j++)
            values[j] = j + 20;
        wrong += rp_map(pool, square, values, 8, 10, values, 8, NULL) != RP_OK;
        for (int64_t j = 0; j < 10; j++)
            wrong += values[j] != (j + 20) * (j + 20);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    close_pool();
}

/* ---- several futures ---- */

static void waits_for_all(void)
{
    enum { COUNT = 10000 };
    static rp_future futures[COUNT];
    if (!open_pool(NULL))
        return;
    for (int64_t i = 0; i < COUNT; i++)
        futures[i] = submit(i == 77 ? returns : twice, &i, i == 77 ? 4 : 8);
    IS(RP_OK, rp_wait_all(pool, futures, COUNT, RP_ALL, RP_FOREVER)); /* failed or not */
    int undone = 0;
    for (size_t i = 0; i < COUNT; i++)
        undone += rp_state_of(pool, futures[i]) != RP_DONE;
    CU_ASSERT_EQUAL(undone, 0); /* and nothing is released */
    IS(RP_OK, rp_wait_all(pool, futures, COUNT, RP_ALL, 0));
    IS(RP_OK, rp_wait_all(pool, futures, COUNT, RP_FIRST_DONE, 0));
    IS(RP_OK, rp_wait_all(pool, futures, COUNT, RP_FIRST_ERROR, 0));
    for (size_t i = 0; i < COUNT; i++)
        IS(RP_OK, rp_release(pool, futures[i]));
    close_pool();
}

/* One gated task; others are done at once, on another worker or before. */
static void waits_for_the_first(void)
{
    rp_future futures[4];
    size_t index = 99;
    bool several = ranks() > 2; /* a worker beside the gate's */
    if (!open_pool(NULL))
        return;
    futures[1] = submit(nothing, NULL, 0);
    IS(RP_OK, rp_wait(pool, futures[1], RP_FOREVER));
    futures[0] = close_gate();
    futures[2] = futures[1]; /* the same one twice */
    futures[3] = submit(returns, &(int){ 5 }, sizeof(int));
    IS(RP_OK, rp_wait_any(pool, futures, 4, 0, &index));
    CU_ASSERT_EQUAL(index, 1);
    IS(RP_OK, rp_wait_any(pool, futures + 2, 2, RP_FOREVER, &index));
    CU_ASSERT_EQUAL(index, 0);
    IS(RP_OK, rp_wait_all(pool, futures, 3, RP_FIRST_DONE, RP_FOREVER));
    if (several) {
        IS(RP_ERR_TIMEOUT,
           rp_wait_all(pool, futures, 3, RP_FIRST_ERROR, 0.01)); /* none failed, not all are done */
        IS(RP_OK, rp_wait_all(pool, futures, 4, RP_FIRST_ERROR, RP_FOREVER));
        CU_ASSERT_EQUAL(rp_state_of(pool, futures[3]), RP_DONE);
        CU_ASSERT_EQUAL(rp_state_of(pool, futures[0]), RP_SENT);
        IS(RP_ERR_TIMEOUT, rp_wait_all(pool, futures, 4, RP_ALL, 0.01));
    }
    open_gate();
    IS(RP_OK, rp_wait_all(pool, futures, 4, RP_ALL, RP_FOREVER));
    IS(RP_OK, rp_wait_any(pool, futures, 4, 0, &index));
    CU_ASSERT_EQUAL(index, 0);
    IS(RP_OK, rp_wait_all(pool, futures, 3, RP_FIRST_ERROR, 0)); /* all settled without an error */
    close_pool();
}

static void any_of_many(void)
{
    enum { COUNT = 300 };
    rp_future futures[COUNT];
    size_t left = COUNT;
    int64_t sum = 0;
    if (!open_pool(NULL))
        return;
    for (int64_t i = 0; i < COUNT; i++)
        futures[i] = submit(twice, &i, sizeof i);
    while (left) {
        size_t index = 99999;
        int64_t value = 0;
        if (!IS(RP_OK, rp_wait_any(pool, futures, left, RP_FOREVER, &index)) || index >= left)
            break;
        IS(RP_OK, rp_get(pool, futures[index], 0, &value, sizeof value, NULL));
        sum += value;
        futures[index] = futures[--left];
    }
    CU_ASSERT_EQUAL(left, 0);
    CU_ASSERT_EQUAL(sum, (int64_t)COUNT * (COUNT - 1));
    close_pool();
}

static void stale_among_others(void)
{
    rp_future futures[5];
    size_t index = 99;
    if (!open_pool(NULL))
        return;
    for (size_t i = 0; i < 5; i++)
        futures[i] = submit(nothing, NULL, 0);
    IS(RP_OK, rp_drain(pool, RP_FOREVER));
    IS(RP_OK, rp_release(pool, futures[3]));
    IS(RP_ERR_STALE, rp_wait_all(pool, futures, 5, RP_ALL, RP_FOREVER));
    SAYS("[3]");
    IS(RP_ERR_STALE, rp_wait_any(pool, futures + 3, 2, RP_FOREVER, &index));
    SAYS("[0]");
    CU_ASSERT_EQUAL(index, 99);
    IS(RP_ERR_STALE, rp_wait_all(pool, futures, 5, RP_FIRST_ERROR, RP_FOREVER));
    IS(RP_OK, rp_wait_all(pool, futures, 3, RP_ALL, RP_FOREVER));
    IS(RP_ERR_INVALID, rp_wait_all(pool, futures, 3, (rp_when)3, RP_FOREVER));
    IS(RP_ERR_INVALID, rp_wait_all(pool, futures, 3, (rp_when)-1, RP_FOREVER));
    IS(RP_OK, rp_wait_all(pool, NULL, 0, RP_FIRST_DONE, RP_FOREVER));
    close_pool();
}

int main(int argc, char **argv)
{
    static CU_TestInfo maps[] = { { "squares_in_order", squares_in_order },
                                  { "sizes_of_nothing", sizes_of_nothing },
                                  { "large_items", large_items },
                                  { "sizes_about_a_batch", sizes_about_a_batch },
                                  { "failing_items", failing_items },
                                  { "all_items_fail", all_items_fail },
                                  { "among_other_tasks", among_other_tasks },
                                  { "refused_maps", refused_maps },
                                  { "maps_again_and_again", maps_again_and_again },
                                  CU_TEST_INFO_NULL };
    static CU_TestInfo several[] = { { "waits_for_all", waits_for_all },
                                     { "waits_for_the_first", waits_for_the_first },
                                     { "any_of_many", any_of_many },
                                     { "stale_among_others", stale_among_others },
                                     CU_TEST_INFO_NULL };
    static CU_SuiteInfo suites[] = { { "maps", NULL, NULL, NULL, end_pool, maps },
                                     { "several", NULL, NULL, NULL, end_pool, several },
                                     CU_SUITE_INFO_NULL };
    return harness_main(argc, argv, suites);
}
