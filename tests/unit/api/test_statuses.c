/* What calls return that are right: of tasks that end in each way, of a pool that is short of
 * memory, has lost a worker, is broken, or cannot write its journal. */
/* limit: 120 */
#include "calls.h"
#include "local_pool.h"
#include "threads.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct memory memory;

/* ============================================================================================ */
/* Tasks that end in each way: what waits for one returns how it ended. */

static void with_tasks(made_call *made, rp_status status, const char *what)
{
    rp_config config = RP_CONFIG_INIT;
    config.log = silence;
    reset_calls();
    CU_ASSERT_PTR_NOT_NULL_FATAL(pool = threads_open(2, &config));
    failed = submit(fails, 0, NULL);
    compare(made(), status, what);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

/* The same in processes of their own. */
static void with_processes(made_call *made, rp_status status, const char *what)
{
    rp_config config = RP_CONFIG_INIT;
    config.isolation = RP_FORK;
    config.log = silence;
    reset_calls();
    memory = (struct memory){ 0 };
    CU_ASSERT_EQUAL_FATAL(local_pool_open_as(&memory, &config, &pool), RP_OK);
    compare(made(), status, what);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
    CU_ASSERT_EQUAL(memory.live, 0);
}

#define LIMITED TASK(.time_limit = 1e-3)
#define ONCE    TASK(.attempts = 1)
#define AFTER   TASK(.after = &failed, .after_count = 1)

/* clang-format off */
#define WITH_TASKS(X) \
    X(rp_apply, RP_OK, right, (pool, echo, room, 8, room, 8, &size)) \
    X(rp_apply, RP_ERR_SIZE, too_much, (pool, echo, room, 8, room, 7, &size)) \
    X(rp_apply, RP_ERR_TASK, failed, (pool, fails, NULL, 0, NULL, 0, NULL)) \
    X(rp_apply, RP_ERR_CANCELLED, gives_up, (pool, gives_up, NULL, 0, NULL, 0, NULL)) \
    X(rp_get, RP_OK, right, (pool, submit(echo, 8, NULL), RP_FOREVER, room, 8, &size)) \
    X(rp_get, RP_ERR_CANCELLED, gives_up, (pool, submit(gives_up, 0, NULL), RP_FOREVER, NULL, 0, NULL)) \
    X(rp_get, RP_ERR_DEADLINE, overruns, (pool, submit(overruns, 0, LIMITED), RP_FOREVER, NULL, 0, NULL)) \
    X(rp_get, RP_ERR_DEADLINE, overruns_the_least_limit, (pool, submit(overruns, 0, TASK(.time_limit = 1e-300)), RP_FOREVER, NULL, 0, NULL)) \
    X(rp_get, RP_ERR_INPUT, after_a_failed_one, (pool, submit(echo, 0, AFTER), RP_FOREVER, NULL, 0, NULL)) \
    X(rp_take, RP_OK, right, (pool, submit(echo, 0, NULL), RP_FOREVER, &data, &size)) \
    X(rp_take, RP_ERR_CANCELLED, gives_up, (pool, submit(gives_up, 0, NULL), RP_FOREVER, &data, NULL)) \
    X(rp_take, RP_ERR_DEADLINE, overruns, (pool, submit(overruns, 0, LIMITED), RP_FOREVER, &data, NULL)) \
    X(rp_take, RP_ERR_INPUT, after_a_failed_one, (pool, submit(echo, 0, AFTER), RP_FOREVER, &data, NULL)) \
    X(rp_map, RP_OK, of_none, (pool, echo, NULL, 8, 0, NULL, 8, NULL)) \
    X(rp_map, RP_ERR_TASK, failed, (pool, fails, room, 8, 20, NULL, 0, NULL)) \
    X(rp_map, RP_ERR_CANCELLED, gives_up, (pool, gives_up, room, 8, 20, NULL, 0, NULL)) \
    X(rp_map, RP_ERR_DEADLINE, overruns, (pool, overruns, room, 8, 2, NULL, 0, MAP(LIMITED))) \
    X(rp_map, RP_ERR_SIZE, results_of_another_size, (pool, echo, room, 8, 20, room, 7, NULL)) \
    X(rp_on_each_worker, RP_OK, right, (pool, echo, room, 8, NULL)) \
    X(rp_on_each_worker, RP_ERR_TASK, failed, (pool, fails, NULL, 0, NULL)) \
    X(rp_on_each_worker, RP_ERR_CANCELLED, gives_up, (pool, gives_up, NULL, 0, NULL))

#define WITH_PROCESSES(X) \
    X(rp_apply, RP_ERR_CRASHED, dies, (pool, dies, NULL, 0, NULL, 0, NULL)) \
    X(rp_get, RP_ERR_CRASHED, dies, (pool, submit(dies, 0, ONCE), RP_FOREVER, NULL, 0, NULL)) \
    X(rp_take, RP_ERR_CRASHED, dies, (pool, submit(dies, 0, ONCE), RP_FOREVER, &data, NULL)) \
    X(rp_map, RP_ERR_CRASHED, dies, (pool, dies, NULL, 0, 2, NULL, 0, NULL)) \
    X(rp_on_each_worker, RP_ERR_CRASHED, dies, (pool, dies, NULL, 0, NULL))
/* clang-format on */

#define HERE with_tasks
WITH_TASKS(CALL)
#undef HERE
#define HERE with_processes
WITH_PROCESSES(CALL)
#undef HERE

/* ============================================================================================ */
/* A worker is lost while it is busy, and its tasks may not start again. */

/* Its worker is gone while it runs. */
static rp_status takes_its_worker(rp_call *at, const void *arg, size_t bytes)
{
    rp_call_info told = RP_CALL_INFO_INIT;
    (void)arg;
    (void)bytes;
    rp_call_info_of(at, &told);
    threads_lose(pool, told.worker);
    return RP_OK;
}
RP_TASK(takes_its_worker);

static void losing_a_worker(made_call *made, rp_status status, const char *what)
{
    rp_config config = RP_CONFIG_INIT;
    config.log = silence;
    reset_calls();
    IGNORE_LEAKS();
    CU_ASSERT_PTR_NOT_NULL_FATAL(pool = threads_open(5, &config));
    busy = submit(waits, 0, TASK(.worker = 2, .worker_hard = true, .attempts = 1));
    queued = submit(echo, 0, TASK(.worker = 2, .worker_hard = true));
    await_running();
    threads_lose(pool, 2);
    compare(made(), status, what);
    CU_ASSERT_EQUAL(rp_apply(pool, echo, NULL, 0, NULL, 0, NULL), RP_OK); /* the others go on */
    open_gate();
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
    COUNT_LEAKS();
}

#define THERE TASK(.worker = 2, .worker_hard = true)

/* clang-format off */
#define LOSING_A_WORKER(X) \
    X(rp_apply, RP_ERR_LOST, takes_three_workers, (pool, takes_its_worker, NULL, 0, NULL, 0, NULL)) \
    X(rp_map, RP_ERR_LOST, takes_one_worker, (pool, takes_its_worker, room, 8, 1, NULL, 0, MAP(ONCE))) \
    X(rp_get, RP_ERR_LOST, ran_there, (pool, busy, RP_FOREVER, NULL, 0, NULL)) \
    X(rp_get, RP_ERR_LOST, waited_for_it, (pool, queued, RP_FOREVER, NULL, 0, NULL)) \
    X(rp_get, RP_ERR_LOST, only_there, (pool, submit(echo, 0, THERE), RP_FOREVER, NULL, 0, NULL)) \
    X(rp_take, RP_ERR_LOST, ran_there, (pool, busy, RP_FOREVER, &data, NULL)) \
    X(rp_on_each_worker, RP_ERR_LOST, lost_one, (pool, echo, NULL, 0, NULL))
/* clang-format on */

#define HERE losing_a_worker
LOSING_A_WORKER(CALL)
#undef HERE

/* Every worker has its status still, at its number. */
static void each_worker_but_a_lost_one(void)
{
    rp_status statuses[3] = { RP_END, RP_END, RP_END };
    rp_config config = RP_CONFIG_INIT;
    config.log = silence;
    reset_calls();
    IGNORE_LEAKS();
    CU_ASSERT_PTR_NOT_NULL_FATAL(pool = threads_open(3, &config));
    threads_lose(pool, 2);
    CU_ASSERT_EQUAL(rp_on_each_worker(pool, echo, NULL, 0, statuses), RP_ERR_LOST);
    CU_ASSERT_TRUE(statuses[0] == RP_OK && statuses[1] == RP_ERR_LOST && statuses[2] == RP_OK);
    CU_ASSERT_EQUAL(rp_workers(pool), 3);
    CU_ASSERT_EQUAL(rp_stats_of(pool, &stats), RP_OK);
    CU_ASSERT_TRUE(stats.workers == 2 && stats.lost == 1);
    CU_ASSERT_EQUAL(rp_worker_info_of(pool, 2, &info), RP_OK);
    CU_ASSERT_TRUE(info.lost);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
    COUNT_LEAKS();
}

/* ============================================================================================ */
/* The transport has failed: the pool cannot go on. */

static void broken(made_call *made, rp_status status, const char *what)
{
    rp_config config = RP_CONFIG_INIT;
    config.log = silence;
    reset_calls();
    IGNORE_LEAKS();
    CU_ASSERT_PTR_NOT_NULL_FATAL(pool = threads_open(1, &config));
    CU_ASSERT_EQUAL(rp_stream_open(pool, NULL, &stream), RP_OK);
    busy = submit(waits, 0, NULL);
    threads_fail(true);
    CU_ASSERT_EQUAL(rp_progress(pool), RP_ERR_BROKEN);
    threads_fail(false);
    open_gate();
    compare(made(), status, what);
    if (pool)
        CU_ASSERT_EQUAL(rp_close(&pool), RP_ERR_BROKEN);
    CU_ASSERT_PTR_NULL(pool);
    COUNT_LEAKS();
}

static rp_status takes_it_at_two(rp_call *at, const void *arg, size_t bytes)
{
    int64_t value;
    memcpy(&value, arg, sizeof value);
    return value == 2 ? takes_its_worker(at, arg, bytes) : rp_return(at, arg, bytes);
}
RP_TASK(takes_it_at_two);

/* A map that its pool does not outlive: what is known of its items, and of those of one that does
 * not begin. */
static void items_of_a_broken_pool(void)
{
    static const int64_t in[4] = { 0, 1, 2, 3 };
    int64_t out[4] = { -1, -1, -1, -1 };
    rp_status statuses[4] = { RP_END, RP_END, RP_END, RP_END };
    rp_map_options options = RP_MAP_OPTIONS_INIT;
    rp_config config = RP_CONFIG_INIT;
    config.log = silence;
    options.chunk = 1;
    options.statuses = statuses;
    reset_calls();
    IGNORE_LEAKS();
    CU_ASSERT_PTR_NOT_NULL_FATAL(pool = threads_open(1, &config));
    CU_ASSERT_EQUAL(rp_map(pool, takes_it_at_two, in, 8, 4, out, 8, &options), RP_ERR_BROKEN);
    for (int i = 0; i < 2; i++) /* the result may be lost with the worker */
        CU_ASSERT_TRUE(statuses[i] == RP_ERR_BROKEN || (statuses[i] == RP_OK && out[i] == in[i]));
    CU_ASSERT_TRUE(statuses[2] == RP_ERR_BROKEN && statuses[3] == RP_ERR_BROKEN);
    statuses[0] = statuses[3] = RP_END;
    CU_ASSERT_EQUAL(rp_map(pool, takes_it_at_two, in, 8, 4, out, 8, &options), RP_ERR_BROKEN);
    CU_ASSERT_TRUE(statuses[0] == RP_ERR_BROKEN && statuses[3] == RP_ERR_BROKEN);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_ERR_BROKEN);
    COUNT_LEAKS();
}

/* clang-format off */
#define BROKEN(X) \
    X(rp_drain, RP_ERR_BROKEN, broken, (pool, RP_FOREVER)) \
    X(rp_progress, RP_ERR_BROKEN, broken, (pool)) \
    X(rp_close, RP_ERR_BROKEN, broken, (&pool)) \
    X(rp_terminate, RP_ERR_BROKEN, broken, (&pool)) \
    X(rp_apply, RP_ERR_BROKEN, broken, (pool, echo, NULL, 0, NULL, 0, NULL)) \
    X(rp_submit, RP_ERR_BROKEN, broken, (pool, echo, NULL, 0, NULL, &future)) \
    X(rp_get, RP_ERR_BROKEN, broken, (pool, busy, RP_FOREVER, NULL, 0, NULL)) \
    X(rp_take, RP_ERR_BROKEN, broken, (pool, busy, RP_FOREVER, &data, NULL)) \
    X(rp_wait, RP_ERR_BROKEN, broken, (pool, busy, RP_FOREVER)) \
    X(rp_map, RP_ERR_BROKEN, broken, (pool, echo, room, 8, 2, room, 8, NULL)) \
    X(rp_map_async, RP_ERR_BROKEN, broken, (pool, echo, room, 8, 2, room, 8, NULL, &future)) \
    X(rp_on_each_worker, RP_ERR_BROKEN, broken, (pool, echo, NULL, 0, NULL)) \
    X(rp_wait_all, RP_ERR_BROKEN, broken, (pool, &busy, 1, RP_ALL, RP_FOREVER)) \
    X(rp_wait_any, RP_ERR_BROKEN, broken, (pool, &busy, 1, RP_FOREVER, &place)) \
    X(rp_stream_open, RP_ERR_BROKEN, broken, (pool, NULL, &other_stream)) \
    X(rp_stream_submit, RP_ERR_BROKEN, broken, (stream, echo, NULL, 0, NULL, NULL)) \
    X(rp_stream_next, RP_ERR_BROKEN, broken, (stream, RP_FOREVER, &item)) \
    X(rp_imap, RP_ERR_BROKEN, broken, (pool, echo, gives_nothing, NULL, NULL, &other_stream)) \
    X(rp_share, RP_ERR_BROKEN, broken, (pool, "name", room, 8))
/* clang-format on */

#define HERE broken
BROKEN(CALL)
#undef HERE

/* ============================================================================================ */
/* No memory from now on, while results are still to come that need some.  Afterwards all is as
 * before. */

static void without_memory(made_call *made, rp_status status, const char *what)
{
    reset_calls();
    memory = (struct memory){ 0 };
    CU_ASSERT_EQUAL_FATAL(local_pool_open(&memory, &pool), RP_OK);
    done = submit(echo, 4, NULL);
    CU_ASSERT_EQUAL(rp_wait(pool, done, RP_FOREVER), RP_OK);
    CU_ASSERT_EQUAL(rp_stream_open(pool, NULL, &stream), RP_OK);
    CU_ASSERT_EQUAL(
        rp_stream_open(pool, stream_of(sizeof(rp_stream_options), true, NULL), &other_stream),
        RP_OK);
    CU_ASSERT_EQUAL(rp_stream_submit(other_stream, echo, room, 40, NULL, NULL), RP_OK);
    busy = submit(echo, 33, NULL);
    memory.fail_at = memory.calls + 1;
    memory.fail_on = true;
    compare(made(), status, what);
    memory.fail_on = false;
    memory.fail_at = 0;
    CU_ASSERT_PTR_NOT_NULL_FATAL(pool);
    CU_ASSERT_EQUAL(rp_get(pool, busy, RP_FOREVER, room, LARGE, &size), RP_OK);
    CU_ASSERT_EQUAL(size, 33);
    CU_ASSERT_EQUAL(rp_stream_next(other_stream, RP_FOREVER, &item), RP_OK);
    CU_ASSERT_EQUAL(item.outcome->size, 40);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
    CU_ASSERT_EQUAL(memory.live, 0);
}

/* clang-format off */
#define WITHOUT_MEMORY(X) \
    X(rp_drain, RP_ERR_NOMEM, without_memory, (pool, RP_FOREVER)) \
    X(rp_close, RP_ERR_NOMEM, without_memory, (&pool)) \
    X(rp_apply, RP_ERR_NOMEM, without_memory, (pool, echo, room, LARGE, room, LARGE, NULL)) \
    X(rp_submit, RP_ERR_NOMEM, without_memory, (pool, echo, room, LARGE, NULL, &future)) \
    X(rp_get, RP_ERR_NOMEM, without_memory, (pool, busy, RP_FOREVER, room, LARGE, NULL)) \
    X(rp_take, RP_ERR_NOMEM, without_memory, (pool, busy, RP_FOREVER, &data, NULL)) \
    X(rp_take, RP_ERR_NOMEM, for_the_buffer, (pool, done, RP_FOREVER, &data, NULL)) \
    X(rp_wait, RP_ERR_NOMEM, without_memory, (pool, busy, RP_FOREVER)) \
    X(rp_map, RP_ERR_NOMEM, without_memory, (pool, echo, room, 8, 2, room, 8, NULL)) \
    X(rp_map_async, RP_ERR_NOMEM, without_memory, (pool, echo, room, 8, 2, room, 8, NULL, &future)) \
    X(rp_on_each_worker, RP_ERR_NOMEM, without_memory, (pool, echo, NULL, 0, NULL)) \
    X(rp_wait_all, RP_ERR_NOMEM, without_memory, (pool, &busy, 1, RP_ALL, RP_FOREVER)) \
    X(rp_wait_any, RP_ERR_NOMEM, without_memory, (pool, &busy, 1, RP_FOREVER, &place)) \
    X(rp_stream_open, RP_ERR_NOMEM, without_memory, (pool, NULL, &no_stream)) \
    X(rp_stream_submit, RP_ERR_NOMEM, without_memory, (stream, echo, room, LARGE, NULL, NULL)) \
    X(rp_stream_add, RP_ERR_NOMEM, without_memory, (stream, busy)) \
    X(rp_stream_next, RP_ERR_NOMEM, without_memory, (other_stream, RP_FOREVER, &item)) \
    X(rp_imap, RP_ERR_NOMEM, without_memory, (pool, echo, gives_nothing, NULL, NULL, &no_stream)) \
    X(rp_share, RP_ERR_NOMEM, without_memory, (pool, "name", room, 8))
/* clang-format on */

#define HERE without_memory
WITHOUT_MEMORY(CALL)
#undef HERE

/* The same inside a task of a stream. */

static made_call *asked;
static rp_status answer;

static rp_status asks(rp_call *at, const void *arg, size_t bytes)
{
    (void)arg;
    (void)bytes;
    call = at;
    memory.fail_at = memory.calls + 1;
    memory.fail_on = true;
    answer = asked();
    memory.fail_on = false;
    memory.fail_at = 0;
    return RP_OK;
}
RP_TASK(asks);

static void in_a_poor_task(made_call *made, rp_status status, const char *what)
{
    reset_calls();
    memory = (struct memory){ 0 };
    CU_ASSERT_EQUAL_FATAL(local_pool_open(&memory, &pool), RP_OK);
    CU_ASSERT_EQUAL(rp_stream_open(pool, NULL, &stream), RP_OK);
    asked = made;
    answer = RP_OK;
    CU_ASSERT_EQUAL(rp_stream_submit(stream, asks, NULL, 0, NULL, NULL), RP_OK);
    CU_ASSERT_EQUAL(rp_stream_next(stream, RP_FOREVER, &item), RP_OK);
    compare(answer, status, what);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
    CU_ASSERT_EQUAL(memory.live, 0);
}

/* The same in calls that must send a busy worker a message. */

static atomic_bool poor;

static void *sometimes(void *old, size_t bytes, void *user)
{
    (void)user;
    if (bytes && atomic_load(&poor))
        return NULL;
    if (bytes)
        return realloc(old, bytes);
    free(old);
    return NULL;
}

static void with_a_busy_worker(made_call *made, rp_status status, const char *what)
{
    rp_config config = RP_CONFIG_INIT;
    config.alloc = sometimes;
    reset_calls();
    CU_ASSERT_PTR_NOT_NULL_FATAL(pool = threads_open(1, &config));
    busy = submit(overruns, 0, NULL);
    await_running();
    atomic_store(&poor, true);
    rp_status got = made();
    atomic_store(&poor, false);
    compare(got, status, what);
    CU_ASSERT_EQUAL(rp_state_of(pool, busy), RP_SENT);
    CU_ASSERT_EQUAL(rp_cancel_all(pool), RP_OK);
    CU_ASSERT_EQUAL(rp_get(pool, busy, RP_FOREVER, NULL, 0, NULL), RP_OK);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

/* ---- a pool whose workers run ends, whichever allocation is refused on the way */

static atomic_int until_refused; /* allocations */
static atomic_long blocks;

static void *once(void *old, size_t bytes, void *user)
{
    (void)user;
    if (bytes == 0) {
        (void)atomic_fetch_sub(&blocks, old != NULL);
        free(old);
        return NULL;
    }
    if (atomic_fetch_sub(&until_refused, 1) == 1)
        return NULL;
    void *new = realloc(old, bytes);
    (void)atomic_fetch_add(&blocks, new && !old);
    return new;
}

static void ends_without_memory(void)
{
    rp_config config = RP_CONFIG_INIT;
    config.alloc = once;
    config.log = silence;
    for (int refused = 1, left = 0; left <= 0; refused++) {
        reset_calls();
        atomic_store(&until_refused, 0);
        CU_ASSERT_PTR_NOT_NULL_FATAL(pool = threads_open(2, &config));
        busy = submit(overruns, 0, NULL);
        await_running();
        for (int i = 0; i < 20; i++)
            (void)submit(echo, LARGE, NULL);
        atomic_store(&until_refused, refused);
        CU_ASSERT_EQUAL(rp_terminate(&pool), RP_OK);
        left = atomic_load(&until_refused);
        CU_ASSERT_EQUAL(atomic_load(&blocks), 0);
        CU_ASSERT_TRUE_FATAL(refused < 1000);
    }
}

/* clang-format off */
#define IN_A_POOR_TASK(X) \
    X(rp_return, RP_ERR_NOMEM, without_memory, (call, room, LARGE)) \
    X(rp_spawn, RP_ERR_NOMEM, without_memory, (call, echo, room, 100, NULL))

#define WITH_A_BUSY_WORKER(X) \
    X(rp_cancel, RP_ERR_NOMEM, without_memory, (pool, busy)) \
    X(rp_cancel_all, RP_ERR_NOMEM, without_memory, (pool))
/* clang-format on */

#define HERE in_a_poor_task
IN_A_POOR_TASK(CALL)
#undef HERE
#define HERE with_a_busy_worker
WITH_A_BUSY_WORKER(CALL)
#undef HERE

/* ============================================================================================ */
/* No room: one task may be queued, and one is; a stream with one item in flight, and one that was
 * ended. */

static void narrow(made_call *made, rp_status status, const char *what)
{
    static rp_stream_options one = RP_STREAM_OPTIONS_INIT;
    rp_config config = RP_CONFIG_INIT;
    config.queue_limit_tasks = 1;
    one.in_flight = 1;
    reset_calls();
    CU_ASSERT_PTR_NOT_NULL_FATAL(pool = threads_open(1, &config));
    CU_ASSERT_EQUAL(rp_stream_open(pool, &one, &stream), RP_OK);
    CU_ASSERT_EQUAL(rp_stream_submit(stream, waits, NULL, 0, NULL, NULL), RP_OK);
    CU_ASSERT_EQUAL(rp_stream_open(pool, NULL, &other_stream), RP_OK);
    CU_ASSERT_EQUAL(rp_stream_end(other_stream), RP_OK);
    while (rp_stats_of(pool, &stats) == RP_OK && stats.queued > 0)
        continue;
    queued = submit(echo, 0, TASK(.worker = 1, .worker_hard = true));
    compare(made(), status, what);
    open_gate();
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

#define NO_WAIT TASK(.no_wait = true)

/* clang-format off */
#define NARROW(X) \
    X(rp_submit, RP_ERR_FULL, no_wait, (pool, echo, NULL, 0, NO_WAIT, &future)) \
    X(rp_submit, RP_ERR_INVALID, odd_struct_size, (pool, echo, NULL, 0, TASK(.struct_size = ODD), &future)) \
    X(rp_stream_submit, RP_ERR_FULL, no_wait, (stream, echo, NULL, 0, NO_WAIT, NULL)) \
    X(rp_stream_submit, RP_ERR_INVALID, odd_struct_size, (stream, echo, NULL, 0, TASK(.struct_size = ODD), NULL)) \
    X(rp_stream_submit, RP_ERR_CONTEXT, ended, (other_stream, echo, NULL, 0, NULL, NULL)) \
    X(rp_stream_add, RP_ERR_CONTEXT, ended, (other_stream, queued)) \
    X(rp_stream_end, RP_OK, ended, (other_stream)) \
    X(rp_stream_next, RP_END, ended, (other_stream, RP_FOREVER, &item))
/* clang-format on */

#define HERE narrow
NARROW(CALL)
#undef HERE

/* ============================================================================================ */
/* The disk is full, so the journal cannot keep what was done. */

static char directory[200];

static int make_directory(void)
{
    const char *base = getenv("TMPDIR");
    (void)snprintf(directory, sizeof directory, "%s/rankpool-XXXXXX", base ? base : "/tmp");
    return !mkdtemp(directory);
}

static int remove_directory(void)
{
    return rmdir(directory);
}

static void on_a_full_disk(made_call *made, rp_status status, const char *what)
{
    char path[250], wal[260];
    struct rlimit before, low;
    rp_config config = RP_CONFIG_INIT;
    (void)snprintf(path, sizeof path, "%s/journal", directory);
    (void)snprintf(wal, sizeof wal, "%s-wal", path);
    config.journal = path;
    reset_calls();
    memory = (struct memory){ 0 };
    CU_ASSERT_EQUAL_FATAL(local_pool_open_as(&memory, &config, &pool), RP_OK);
    CU_ASSERT_EQUAL(getrlimit(RLIMIT_FSIZE, &before), 0);
    low = before;
    low.rlim_cur = 100000;
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &low), 0);
    for (int i = 0; i < 200; i++) {
        memcpy(room, &i, sizeof i);
        future = submit(echo, 3000, TASK(.key = { room, sizeof i }));
        CU_ASSERT_EQUAL(rp_get(pool, future, RP_FOREVER, room, LARGE, NULL), RP_OK);
    }
    compare(made(), status, what);
    if (pool)
        CU_ASSERT_EQUAL(rp_close(&pool), RP_ERR_IO);
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &before), 0);
    CU_ASSERT_EQUAL(memory.live, 0);
    (void)unlink(path);
    (void)unlink(wal);
}

/* clang-format off */
#define ON_A_FULL_DISK(X) \
    X(rp_drain, RP_ERR_IO, full_disk, (pool, RP_FOREVER)) \
    X(rp_close, RP_ERR_IO, full_disk, (&pool)) \
    X(rp_terminate, RP_ERR_IO, full_disk, (&pool))
/* clang-format on */

#define HERE on_a_full_disk
ON_A_FULL_DISK(CALL)
#undef HERE

int main(int argc, char **argv)
{
    static CU_TestInfo tasks[] = { WITH_TASKS(TEST) WITH_PROCESSES(TEST) CU_TEST_INFO_NULL };
    static CU_TestInfo lost[] = { LOSING_A_WORKER(TEST){ "each_worker_but_a_lost_one",
                                                         each_worker_but_a_lost_one },
                                  CU_TEST_INFO_NULL };
    static CU_TestInfo breaks[] = {
        BROKEN(TEST){ "items_of_a_broken_pool", items_of_a_broken_pool }, CU_TEST_INFO_NULL
    };
    static CU_TestInfo poor_ones[] = { WITHOUT_MEMORY(TEST) IN_A_POOR_TASK(TEST) WITH_A_BUSY_WORKER(
                                           TEST){ "ends_without_memory", ends_without_memory },
                                       CU_TEST_INFO_NULL };
    static CU_TestInfo full[] = { NARROW(TEST) CU_TEST_INFO_NULL };
    static CU_TestInfo disk[] = { ON_A_FULL_DISK(TEST) CU_TEST_INFO_NULL };
    static CU_SuiteInfo suites[] = { { "tasks", NULL, NULL, NULL, NULL, tasks },
                                     { "lost", NULL, NULL, NULL, NULL, lost },
                                     { "broken", NULL, NULL, NULL, NULL, breaks },
                                     { "memory", NULL, NULL, NULL, NULL, poor_ones },
                                     { "full", NULL, NULL, NULL, NULL, full },
                                     { "disk", make_directory, remove_directory, NULL, NULL, disk },
                                     CU_SUITE_INFO_NULL };
    return harness_main(argc, argv, suites);
}
