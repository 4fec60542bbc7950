/* One task: submitting, waiting, its result, its outcome, its future's life; what each call
 * refuses. */
/* limit: 180 */
/* run: alone, -n 1, -n 2, -n 4, -n 8 */
#include "fixture.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#define NEVER 1e9

static const rp_future none;

/* ---- results ---- */

static void first_program(void)
{
    rp_future futures[5];
    if (!open_pool(NULL))
        return;
    for (int64_t i = 0; i < 5; i++)
        futures[i] = submit(twice, &i, sizeof i);
    for (int64_t i = 0; i < 5; i++) {
        int64_t result = -1;
        size_t size = 99;
        IS(RP_OK, rp_get(pool, futures[i], RP_FOREVER, &result, sizeof result, &size));
        CU_ASSERT_EQUAL(result, 2 * i);
        CU_ASSERT_EQUAL(size, sizeof result);
    }
    close_pool();
}

static void futures_differ(void)
{
    enum { COUNT = 1000 };
    static rp_future futures[COUNT];
    int equal = 0;
    if (!open_pool(NULL))
        return;
    for (size_t i = 0; i < COUNT; i++)
        futures[i] = submit(nothing, NULL, 0);
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < i; j++)
            equal += futures[i].id == futures[j].id;
    CU_ASSERT_EQUAL(equal, 0);
    for (size_t i = 0; i < COUNT; i++)
        CU_ASSERT_NOT_EQUAL(futures[i].id, 0);
    close_pool(); /* with all of them live */
}

static void got_in_any_order(void)
{
    enum { COUNT = 500 };
    static rp_future futures[COUNT];
    if (!open_pool(NULL))
        return;
    for (int64_t i = 0; i < COUNT; i++)
        futures[i] = submit(twice, &i, sizeof i);
    for (int64_t i = 0; i < COUNT; i++) {
        int64_t at = (i * 7 + 3) % COUNT, result = -1;
        IS(RP_OK, rp_get(pool, futures[at], RP_FOREVER, &result, sizeof result, NULL));
        CU_ASSERT_EQUAL(result, 2 * at);
    }
    close_pool();
}

static void empty_results(void)
{
    size_t size = 99;
    char data = 'x';
    void *taken = &data;
    if (!open_pool(NULL))
        return;
    IS(RP_OK, rp_get(pool, submit(nothing, NULL, 0), RP_FOREVER, NULL, 0, &size));
    CU_ASSERT_EQUAL(size, 0);
    IS(RP_OK, rp_get(pool, submit(echo, "abc", 0), RP_FOREVER, &data, 1, NULL));
    CU_ASSERT_EQUAL(data, 'x');
    size = 99;
    IS(RP_OK, rp_take(pool, submit(nothing, NULL, 0), RP_FOREVER, &taken, &size));
    CU_ASSERT_PTR_NULL(taken);
    CU_ASSERT_EQUAL(size, 0);
    close_pool();
}

static void applies(void)
{
    int64_t in = 21, out = 0;
    size_t size = 0;
    char room[4] = "xxx";
    if (!open_pool(NULL))
        return;
    IS(RP_OK, rp_apply(pool, twice, &in, sizeof in, &out, sizeof out, &size));
    CU_ASSERT_EQUAL(out, 42);
    CU_ASSERT_EQUAL(size, sizeof out);
    IS(RP_OK, rp_apply(pool, nothing, NULL, 0, NULL, 0, NULL));
    IS(RP_ERR_SIZE, rp_apply(pool, echo, "hello", 5, room, 3, &size));
    CU_ASSERT_EQUAL(size, 5);
    CU_ASSERT_STRING_EQUAL(room, "xxx");
    SAYS("5");
    IS(RP_ERR_TASK, rp_apply(pool, returns, &(int){ 77 }, sizeof(int), room, 3, &size));
    SAYS("77");
    IS(RP_ERR_UNREGISTERED, rp_apply(pool, stranger, NULL, 0, NULL, 0, NULL));
    IS(RP_ERR_INVALID, rp_apply(pool, NULL, NULL, 0, NULL, 0, NULL));
    IS(RP_ERR_INVALID, rp_apply(NULL, echo, NULL, 0, NULL, 0, NULL));
    IS(RP_ERR_INVALID, rp_apply(pool, echo, NULL, 8, NULL, 0, NULL));
    IS(RP_ERR_INVALID, rp_apply(pool, echo, "12345678", 8, NULL, 8, NULL));
    close_pool();
}

static void short_buffer_keeps_the_future(void)
{
    char text[] = "a result of some length", room[sizeof text] = "untouched";
    size_t size = 0;
    if (!open_pool(NULL))
        return;
    rp_future future = submit(echo, text, sizeof text);
    IS(RP_ERR_SIZE, rp_get(pool, future, RP_FOREVER, room, sizeof text - 1, &size));
    CU_ASSERT_EQUAL(size, sizeof text);
    CU_ASSERT_STRING_EQUAL(room, "untouched");
    SAYS("24");
    size = 0;
    IS(RP_ERR_SIZE, rp_get(pool, future, 0, NULL, 0, &size));
    CU_ASSERT_EQUAL(size, sizeof text);
    IS(RP_ERR_SIZE, rp_get(pool, future, 0, room, 1, NULL));
    CU_ASSERT_EQUAL(rp_state_of(pool, future), RP_DONE);
    IS(RP_OK, rp_get(pool, future, 0, room, sizeof text, &size));
    CU_ASSERT_STRING_EQUAL(room, text);
    IS(RP_ERR_STALE, rp_get(pool, future, 0, room, sizeof text, &size));
    close_pool();
}

static void larger_buffer(void)
{
    char room[64];
    size_t size = 0;
    if (!open_pool(NULL))
        return;
    for (size_t length = 0; length <= 32; length++) {
        memset(room, '.', sizeof room);
        IS(RP_OK, rp_get(pool, submit(echo, "0123456789abcdef0123456789abcdef", length), RP_FOREVER,
                         room, 64, &size));
        CU_ASSERT_EQUAL(size, length);
        CU_ASSERT_EQUAL(memcmp(room, "0123456789abcdef0123456789abcdef", length), 0);
        CU_ASSERT_EQUAL(room[length], '.');
    }
    close_pool();
}

static void taken_data_outlives_the_pool(void)
{
    static const size_t sizes[] = { 1, 8, 9, 100, 5000, 300000 };
    enum { COUNT = sizeof sizes / sizeof *sizes };
    static char large[300000];
    void *data[COUNT];
    fill(large, sizeof large, 1);
    if (!open_pool(NULL))
        return;
    for (size_t i = 0; i < COUNT; i++) {
        size_t size = 0;
        rp_future future = submit(echo, large, sizes[i]);
        IS(RP_OK, rp_take(pool, future, RP_FOREVER, &data[i], i % 2 ? NULL : &size));
        CU_ASSERT(i % 2 || size == sizes[i]);
        CU_ASSERT_EQUAL((uintptr_t)data[i] % 16, 0);
        IS(RP_ERR_STALE, rp_release(pool, future));
    }
    close_pool();
    for (size_t i = 0; i < COUNT; i++) {
        CU_ASSERT_EQUAL(memcmp(data[i], large, sizes[i]), 0);
        memset(data[i], 'x', sizes[i]);
        rp_free(data[i]);
    }
    rp_free(NULL);
}

static void arguments_are_copied(void)
{
    enum { COUNT = 300 };
    static rp_future futures[COUNT];
    static char arg[20000];
    int wrong = 0;
    if (!open_pool(NULL))
        return;
    for (size_t i = 0; i < COUNT; i++) {
        size_t size = i % 3 ? 8 * i : sizeof arg;
        fill(arg, size, i);
        futures[i] = submit(echo, arg, size);
        memset(arg, 0, sizeof arg);
    }
    for (size_t i = 0; i < COUNT; i++) {
        size_t size = 0;
        void *data = NULL;
        IS(RP_OK, rp_take(pool, futures[i], RP_FOREVER, &data, &size));
        wrong += size != (i % 3 ? 8 * i : sizeof arg) || !filled(data, size, i);
        rp_free(data);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    close_pool();
}

/* ---- waiting ---- */

static void waits_no_longer_than_told(void)
{
    char room[1];
    void *data = room;
    rp_outcome outcome = RP_OUTCOME_INIT;
    size_t index = 7;
    if (!open_pool(NULL))
        return;
    rp_future gate = close_gate();
    if (ranks() > 1) { /* one process runs the task itself, in the first call that waits */
        double begin = seconds();
        IS(RP_ERR_TIMEOUT, rp_get(pool, gate, 0, room, 1, NULL));
        IS(RP_ERR_TIMEOUT, rp_take(pool, gate, 0, &data, NULL));
        IS(RP_ERR_TIMEOUT, rp_wait(pool, gate, 0));
        IS(RP_ERR_TIMEOUT, rp_wait_all(pool, &gate, 1, RP_ALL, 0));
        IS(RP_ERR_TIMEOUT, rp_wait_any(pool, &gate, 1, 0, &index));
        IS(RP_ERR_TIMEOUT, rp_drain(pool, 0));
        IS(RP_ERR_TIMEOUT, rp_outcome_of(pool, gate, &outcome));
        CU_ASSERT(seconds() - begin < 5);
        begin = seconds();
        IS(RP_ERR_TIMEOUT, rp_get(pool, gate, 0.02, room, 1, NULL));
        IS(RP_ERR_TIMEOUT, rp_take(pool, gate, 0.02, &data, NULL));
        IS(RP_ERR_TIMEOUT, rp_wait(pool, gate, 0.02));
        IS(RP_ERR_TIMEOUT, rp_wait_all(pool, &gate, 1, RP_FIRST_ERROR, 0.02));
        IS(RP_ERR_TIMEOUT, rp_wait_any(pool, &gate, 1, 0.02, &index));
        IS(RP_ERR_TIMEOUT, rp_drain(pool, 0.02));
        SAYS("1 task");
        CU_ASSERT(seconds() - begin >= 6 * 0.02);
        CU_ASSERT(seconds() - begin < 10);
        CU_ASSERT_EQUAL(index, 7);
        CU_ASSERT_PTR_EQUAL(data, room);
        CU_ASSERT_PTR_NULL(outcome.message);
        CU_ASSERT_EQUAL(rp_state_of(pool, gate), RP_SENT);
    }
    open_gate();
    IS(RP_OK, rp_wait(pool, gate, NEVER));
    IS(RP_OK, rp_wait(pool, gate, RP_FOREVER));
    IS(RP_OK, rp_wait(pool, gate, 0));
    IS(RP_OK, rp_outcome_of(pool, gate, &outcome));
    IS(RP_OK, rp_get(pool, gate, 0, NULL, 0, NULL));
    close_pool();
}

/* Driven by zero timeouts alone, a task is done at last. */
static void zero_timeouts_get_there(void)
{
    int64_t in = 4, out = 0;
    rp_status status;
    if (!open_pool(NULL))
        return;
    rp_future future = submit(twice, &in, sizeof in);
    double end = seconds() + 20;
    do {
        status = rp_get(pool, future, 0, &out, sizeof out, NULL);
    } while (status == RP_ERR_TIMEOUT && seconds() < end);
    CU_ASSERT_EQUAL(status, RP_OK);
    CU_ASSERT_EQUAL(out, 8);
    future = submit(twice, &in, sizeof in);
    while (rp_state_of(pool, future) != RP_DONE && seconds() < end)
        continue;
    CU_ASSERT_EQUAL(rp_state_of(pool, future), RP_DONE);
    future = submit(twice, &in, sizeof in);
    rp_outcome outcome = RP_OUTCOME_INIT;
    while (rp_outcome_of(pool, future, &outcome) == RP_ERR_TIMEOUT && seconds() < end)
        IS(RP_OK, rp_progress(pool));
    CU_ASSERT_EQUAL(rp_state_of(pool, future), RP_DONE);
    close_pool();
}

/* Several arguments are wrong at once: which one is told is open, but it is refused. */
static void strange_timeouts(void)
{
    char room[1];
    void *data = room;
    size_t index = 7;
    if (!open_pool(NULL))
        return;
    rp_future gate = close_gate();
    IS(RP_ERR_INVALID, rp_get(pool, gate, NAN, room, 1, NULL));
    IS(RP_ERR_INVALID, rp_take(pool, gate, NAN, &data, NULL));
    IS(RP_ERR_INVALID, rp_wait(pool, gate, NAN));
    IS(RP_ERR_INVALID, rp_wait_all(pool, &gate, 1, RP_ALL, NAN));
    IS(RP_ERR_INVALID, rp_wait_any(pool, &gate, 1, NAN, &index));
    IS(RP_ERR_INVALID, rp_drain(pool, NAN));
    open_gate();
    IS(RP_OK, rp_wait(pool, gate, INFINITY));
    IS(RP_OK, rp_drain(pool, INFINITY));
    IS(RP_OK, rp_get(pool, gate, -0.0, NULL, 0, NULL));
    close_pool();
}

static void states(void)
{
    if (!open_pool(NULL))
        return;
    rp_future gates[8];
    size_t workers = rp_workers(pool);
    for (size_t i = 0; i < workers; i++)
        gates[i] = close_gate();
    rp_future waiting = submit(nothing, NULL, 0);
    if (ranks() > 1) {
        CU_ASSERT_EQUAL(rp_state_of(pool, gates[0]), RP_SENT);
        CU_ASSERT_EQUAL(rp_state_of(pool, waiting), RP_QUEUED);
        for (size_t i = 0; i < workers; i++) {
            CU_ASSERT_EQUAL(rp_state_of(pool, gates[i]), RP_SENT);
        }
    }
    open_gate();
    IS(RP_OK, rp_drain(pool, RP_FOREVER));
    CU_ASSERT_EQUAL(rp_state_of(pool, waiting), RP_DONE);
    IS(RP_OK, rp_release(pool, waiting));
    CU_ASSERT_EQUAL(rp_state_of(pool, waiting), RP_STALE);
    CU_ASSERT_EQUAL(rp_state_of(pool, none), RP_STALE);
    CU_ASSERT_EQUAL(rp_state_of(NULL, gates[0]), RP_STALE);
    close_pool();
}

static void drains(void)
{
    int status = 55;
    enum { COUNT = 100 };
    static rp_future futures[COUNT];
    if (!open_pool(NULL))
        return;
    IS(RP_OK, rp_drain(pool, 0));
    for (size_t i = 0; i < COUNT; i++)
        futures[i] = i % 10 ? submit(nothing, NULL, 0) : submit(returns, &status, sizeof status);
    IS(RP_OK, rp_drain(pool, RP_FOREVER)); /* failures are the tasks' own */
    for (size_t i = 0; i < COUNT; i++)
        CU_ASSERT_EQUAL(rp_state_of(pool, futures[i]), RP_DONE);
    IS(RP_OK, rp_drain(pool, 0));
    close_pool();
}

/* ---- a future's end ---- */

static void stale(rp_future future)
{
    char room[8];
    void *data = room;
    size_t index = 7, size = 99;
    rp_outcome outcome = RP_OUTCOME_INIT;
    IS(RP_ERR_STALE, rp_get(pool, future, RP_FOREVER, room, sizeof room, &size));
    IS(RP_ERR_STALE, rp_get(pool, future, 0, NULL, 0, NULL));
    IS(RP_ERR_STALE, rp_take(pool, future, RP_FOREVER, &data, &size));
    IS(RP_ERR_STALE, rp_wait(pool, future, RP_FOREVER));
    IS(RP_ERR_STALE, rp_outcome_of(pool, future, &outcome));
    IS(RP_ERR_STALE, rp_release(pool, future));
    IS(RP_ERR_STALE, rp_wait_all(pool, &future, 1, RP_ALL, RP_FOREVER));
    IS(RP_ERR_STALE, rp_wait_all(pool, &future, 1, RP_FIRST_DONE, RP_FOREVER));
    IS(RP_ERR_STALE, rp_wait_all(pool, &future, 1, RP_FIRST_ERROR, RP_FOREVER));
    IS(RP_ERR_STALE, rp_wait_any(pool, &future, 1, RP_FOREVER, &index));
    SAYS("[0]");
    CU_ASSERT_EQUAL(rp_state_of(pool, future), RP_STALE);
    CU_ASSERT_EQUAL(size, 99);
    CU_ASSERT_EQUAL(index, 7);
    CU_ASSERT_PTR_EQUAL(data, room);
}

static void stale_futures(void)
{
    int64_t in = 1, out;
    void *data;
    if (!open_pool(NULL))
        return;
    stale(none);
    stale((rp_future){ 1 });
    stale((rp_future){ UINT64_MAX });
    stale((rp_future){ 1ULL << 32 });
    rp_future future = submit(twice, &in, sizeof in);
    IS(RP_OK, rp_get(pool, future, RP_FOREVER, &out, sizeof out, NULL));
    stale(future);
    rp_future again = submit(twice, &in, sizeof in); /* likely in the same place */
    stale(future);
    IS(RP_OK, rp_take(pool, again, RP_FOREVER, &data, NULL));
    rp_free(data);
    stale(again);
    future = submit(twice, &in, sizeof in);
    IS(RP_OK, rp_release(pool, future)); /* before it is done */
    stale(future);
    future = submit(twice, &in, sizeof in);
    IS(RP_OK, rp_wait(pool, future, RP_FOREVER));
    IS(RP_OK, rp_release(pool, future)); /* after */
    stale(future);
    future = submit(returns, &(int){ 5 }, sizeof(int));
    IS(RP_ERR_TASK, rp_get(pool, future, RP_FOREVER, &out, sizeof out, NULL));
    stale(future); /* a failure releases it, too */
    future = submit(returns, &(int){ 5 }, sizeof(int));
    IS(RP_ERR_TASK, rp_take(pool, future, RP_FOREVER, &data, NULL));
    stale(future);
    close_pool();
}

static void futures_of_the_pool_before(void)
{
    rp_future old[100];
    if (!open_pool(NULL)) {
        (void)open_pool(NULL);
        return;
    }
    for (size_t i = 0; i < 100; i++)
        old[i] = submit(nothing, NULL, 0);
    close_pool();
    if (!open_pool(NULL))
        return;
    for (size_t i = 0; i < 100; i++)
        (void)submit(nothing, NULL, 0);
    stale(old[0]);
    stale(old[99]);
    int live = 0;
    for (size_t i = 0; i < 100; i++)
        live += rp_state_of(pool, old[i]) != RP_STALE;
    CU_ASSERT_EQUAL(live, 0);
    close_pool();
}

static void released_tasks_still_run(void)
{
    int64_t out = 0;
    rp_config config = RP_CONFIG_INIT;
    config.processes = ranks() > 1; /* so that one process counts */
    if (!open_pool(&config))
        return;
    IS(RP_OK, rp_apply(pool, begin_ordinals, NULL, 0, NULL, 0, NULL));
    for (int i = 0; i < 50; i++)
        IS(RP_OK, rp_release(pool, submit(ordinal, NULL, 0)));
    for (int i = 0; i < 50; i++)
        IS(RP_OK, rp_submit(pool, ordinal, NULL, 0, NULL, NULL)); /* detached */
    IS(RP_OK, rp_drain(pool, RP_FOREVER));
    IS(RP_OK, rp_apply(pool, ordinal, NULL, 0, &out, sizeof out, NULL));
    CU_ASSERT_EQUAL(out, 101);
    close_pool();
}

/* ---- what is refused ---- */

static void null_arguments(void)
{
    rp_future future, before;
    rp_outcome outcome = RP_OUTCOME_INIT;
    void *data;
    size_t index;
    char room[8];
    if (!open_pool(NULL))
        return;
    future = before = submit(echo, "12345678", 8);
    IS(RP_ERR_INVALID, rp_submit(NULL, echo, "x", 1, NULL, &future));
    IS(RP_ERR_INVALID, rp_submit(pool, NULL, "x", 1, NULL, &future));
    IS(RP_ERR_INVALID, rp_submit(pool, echo, NULL, 1, NULL, &future));
    IS(RP_ERR_INVALID, rp_submit(pool, echo, room, (size_t)UINT32_MAX + 1, NULL, &future));
    IS(RP_ERR_UNREGISTERED, rp_submit(pool, stranger, "x", 1, NULL, &future));
    SAYS("RP_TASK");
    CU_ASSERT_EQUAL(future.id, before.id);
    IS(RP_OK, rp_wait(pool, future, RP_FOREVER));
    for (int settled = 0; settled < 2; settled++) {
        if (!settled)
            future = close_gate();
        IS(RP_ERR_INVALID, rp_get(NULL, future, 0, room, sizeof room, NULL));
        IS(RP_ERR_INVALID, rp_get(pool, future, 0, NULL, sizeof room, NULL));
        IS(RP_ERR_INVALID, rp_get(pool, before, 0, NULL, sizeof room, NULL));
        IS(RP_ERR_INVALID, rp_take(NULL, future, 0, &data, NULL));
        IS(RP_ERR_INVALID, rp_take(pool, future, 0, NULL, NULL));
        IS(RP_ERR_INVALID, rp_wait(NULL, future, 0));
        IS(RP_ERR_INVALID, rp_outcome_of(NULL, future, &outcome));
        IS(RP_ERR_INVALID, rp_outcome_of(pool, future, NULL));
        IS(RP_ERR_INVALID, rp_release(NULL, future));
        IS(RP_ERR_INVALID, rp_wait_all(NULL, &future, 1, RP_ALL, 0));
        IS(RP_ERR_INVALID, rp_wait_all(pool, NULL, 1, RP_ALL, 0));
        IS(RP_ERR_INVALID, rp_wait_any(NULL, &future, 1, 0, &index));
        IS(RP_ERR_INVALID, rp_wait_any(pool, NULL, 1, 0, &index));
        IS(RP_ERR_INVALID, rp_wait_any(pool, &future, 1, 0, NULL));
        IS(RP_ERR_INVALID, rp_wait_any(pool, &future, 0, 0, &index));
        open_gate();
        IS(RP_OK, rp_wait(pool, future, RP_FOREVER));
    }
    IS(RP_ERR_INVALID, rp_drain(NULL, 0));
    IS(RP_ERR_INVALID, rp_progress(NULL));
    IS(RP_OK, rp_wait_all(pool, NULL, 0, RP_ALL, 0));
    IS(RP_OK, rp_progress(pool));
    CU_ASSERT_EQUAL(rp_state_of(pool, before), RP_DONE); /* nothing refused has changed anything */
    IS(RP_OK, rp_get(pool, before, 0, room, sizeof room, NULL));
    CU_ASSERT_EQUAL(memcmp(room, "12345678", 8), 0);
    close_pool();
}

static void null_pools(void)
{
    IS(RP_ERR_INVALID, rp_close(NULL));
    IS(RP_ERR_INVALID, rp_close(&pool));
    IS(RP_ERR_INVALID, rp_terminate(NULL));
    IS(RP_ERR_INVALID, rp_terminate(&pool));
    IS(RP_ERR_INVALID, rp_open(NULL, NULL));
}

static void struct_sizes(void)
{
    rp_outcome outcome = RP_OUTCOME_INIT;
    if (!open_pool(NULL))
        return;
    rp_future future = submit(nothing, NULL, 0);
    IS(RP_OK, rp_wait(pool, future, RP_FOREVER));
    outcome.struct_size = 0;
    IS(RP_ERR_INVALID, rp_outcome_of(pool, future, &outcome));
    SAYS("RP_OUTCOME_INIT");
    outcome.struct_size = sizeof outcome + 8;
    IS(RP_ERR_INVALID, rp_outcome_of(pool, future, &outcome));
    outcome.struct_size = SIZE_MAX;
    IS(RP_ERR_INVALID, rp_outcome_of(pool, future, &outcome));
    CU_ASSERT_PTR_NULL(outcome.message);
    close_pool();
}

/* ---- outcomes ---- */

static void outcome_of_success(void)
{
    char text[] = "what it gave", host[256] = "";
    (void)gethostname(host, sizeof host - 1);
    rp_outcome outcome = RP_OUTCOME_INIT;
    if (!open_pool(NULL))
        return;
    rp_future future = submit(echo, text, sizeof text);
    IS(RP_OK, rp_wait(pool, future, RP_FOREVER));
    IS(RP_OK, rp_outcome_of(pool, future, &outcome));
    CU_ASSERT_EQUAL(outcome.struct_size, sizeof outcome);
    CU_ASSERT_EQUAL(outcome.status, RP_OK);
    CU_ASSERT_EQUAL(outcome.code, 0);
    CU_ASSERT_STRING_EQUAL(outcome.message, "");
    CU_ASSERT_EQUAL_FATAL(outcome.size, sizeof text);
    CU_ASSERT_STRING_EQUAL(outcome.data, text);
    CU_ASSERT(outcome.worker >= 1 && outcome.worker <= (int)rp_workers(pool));
    CU_ASSERT_EQUAL(strncmp(outcome.host, host, 63), 0);
    CU_ASSERT_EQUAL(outcome.attempts, 1);
    CU_ASSERT(outcome.queued >= 0 && outcome.queued < 30);
    CU_ASSERT(outcome.ran >= 0 && outcome.ran < 30);
    const char *data = outcome.data;
    for (int i = 0; i < 20000; i++) /* what else happens moves nothing */
        (void)submit(echo, text, (size_t)i % sizeof text);
    IS(RP_OK, rp_drain(pool, RP_FOREVER));
    CU_ASSERT_STRING_EQUAL(data, text);
    IS(RP_OK, rp_outcome_of(pool, future, &outcome));
    CU_ASSERT_PTR_EQUAL(outcome.data, data);
    IS(RP_OK, rp_release(pool, future));
    close_pool();
}

static void outcome_times(void)
{
    double nap_length = 0.1;
    rp_outcome outcome = RP_OUTCOME_INIT;
    if (!open_pool(NULL))
        return;
    rp_future first[8], second;
    size_t workers = rp_workers(pool);
    for (size_t i = 0; i < workers; i++)
        first[i] = submit(wakeup, &nap_length, sizeof nap_length);
    second = submit(wakeup, &nap_length, sizeof nap_length);
    IS(RP_OK, rp_drain(pool, RP_FOREVER));
    for (size_t i = 0; i < workers; i++) {
        IS(RP_OK, rp_outcome_of(pool, first[i], &outcome));
        CU_ASSERT(outcome.ran >= 0.099 && outcome.ran < 5);
    }
    IS(RP_OK, rp_outcome_of(pool, second, &outcome));
    CU_ASSERT(outcome.ran >= 0.099 && outcome.ran < 5);
    CU_ASSERT(outcome.queued >= 0.09 && outcome.queued < 10); /* after one of the first */
    CU_ASSERT_EQUAL(outcome.size, 0);
    close_pool();
}

/* ---- words for what many do once ---- */

static rp_status calls_the_pool(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    rp_status status = rp_apply(NULL, nothing, NULL, 0, NULL, 0, NULL);
    const char *text = rp_error_message();
    return status == RP_ERR_CONTEXT ? rp_return(call, text, strlen(text) + 1)
                                    : rp_fail(call, (int)status, "%s", text);
}
RP_TASK(calls_the_pool);

static void inside_a_task(void)
{
    char text[1600] = "";
    if (!open_pool(NULL))
        return;
    IS(RP_OK, rp_apply(pool, calls_the_pool, NULL, 0, text, sizeof text, NULL));
    says(text, "rp_apply may not be called inside a task (calls_the_pool)", __FILE__, __LINE__);
    close_pool();
}

/* A forgotten `if (pool)`: every rank goes on with what rank 0 alone can do. */
static void without_if_pool(void)
{
    rp_stream *stream = NULL;
    if (open_pool(NULL))
        close_pool();
    const char *why =
        rank_here() > 0 ? ": the pool is NULL: this rank was a worker: only rank 0 has a pool"
                        : ": the pool is NULL: rp_open has not made one, or rp_close has ended it";
    IS(RP_ERR_INVALID, rp_apply(pool, nothing, NULL, 0, NULL, 0, NULL));
    SAYS("rp_apply: the pool");
    SAYS(why);
    IS(RP_ERR_INVALID, rp_map(pool, nothing, NULL, 0, 3, NULL, 0, NULL));
    SAYS("rp_map: the pool");
    SAYS(why);
    IS(RP_ERR_INVALID, rp_stream_open(pool, NULL, &stream));
    SAYS("rp_stream_open: the pool");
    SAYS(why);
    IS(RP_ERR_INVALID, rp_close(&pool));
    SAYS("rp_close: the pool");
    SAYS(why);
    IS(RP_ERR_INVALID, rp_stream_submit(stream, nothing, NULL, 0, NULL, NULL));
    SAYS("rp_stream_submit: the stream is NULL");
    if (rank_here() > 0)
        SAYS("this rank was a worker: only rank 0 has a pool");
}

int main(int argc, char **argv)
{
    static CU_TestInfo results[] = {
        { "first_program", first_program },
        { "futures_differ", futures_differ },
        { "got_in_any_order", got_in_any_order },
        { "empty_results", empty_results },
        { "applies", applies },
        { "short_buffer_keeps_the_future", short_buffer_keeps_the_future },
        { "larger_buffer", larger_buffer },
        { "taken_data_outlives_the_pool", taken_data_outlives_the_pool },
        { "arguments_are_copied", arguments_are_copied },
        CU_TEST_INFO_NULL
    };
    static CU_TestInfo waiting[] = { { "waits_no_longer_than_told", waits_no_longer_than_told },
                                     { "zero_timeouts_get_there", zero_timeouts_get_there },
                                     { "strange_timeouts", strange_timeouts },
                                     { "states", states },
                                     { "drains", drains },
                                     CU_TEST_INFO_NULL };
    static CU_TestInfo ends[] = { { "stale_futures", stale_futures },
                                  { "futures_of_the_pool_before", futures_of_the_pool_before },
                                  { "released_tasks_still_run", released_tasks_still_run },
                                  CU_TEST_INFO_NULL };
    static CU_TestInfo refused[] = { { "null_arguments", null_arguments },
                                     { "null_pools", null_pools },
                                     { "struct_sizes", struct_sizes },
                                     CU_TEST_INFO_NULL };
    static CU_TestInfo outcomes[] = { { "outcome_of_success", outcome_of_success },
                                      { "outcome_times", outcome_times },
                                      CU_TEST_INFO_NULL };
    static CU_TestInfo words[] = { { "inside_a_task", inside_a_task },
                                   { "without_if_pool", without_if_pool },
                                   CU_TEST_INFO_NULL };
    static CU_SuiteInfo suites[] = { { "words", NULL, NULL, NULL, end_pool, words },
                                     { "results", NULL, NULL, NULL, end_pool, results },
                                     { "waiting", NULL, NULL, NULL, end_pool, waiting },
                                     { "ends", NULL, NULL, NULL, end_pool, ends },
                                     { "refused", NULL, NULL, NULL, end_pool, refused },
                                     { "outcomes", NULL, NULL, NULL, end_pool, outcomes },
                                     CU_SUITE_INFO_NULL };
    return harness_main(argc, argv, suites);
}
