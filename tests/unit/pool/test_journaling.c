/* Keyed tasks of pools that keep a journal: of one process, and with workers that are threads. */
/* limit: 120 */
#include "harness.h"
#include "local_pool.h"
#include "threads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static char directory[200], path[250];
static struct memory memory;
static rp_pool *pool;
static atomic_int runs; /* of counted tasks */
static atomic_int warnings, infos, errors;
static char line[2000];

static void note(rp_level level, const char *text, void *user)
{
    (void)user;
    (void)atomic_fetch_add(level == RP_LOG_ERROR     ? &errors
                           : level == RP_LOG_WARNING ? &warnings
                                                     : &infos,
                           1);
    if (level <= RP_LOG_WARNING)
        (void)snprintf(line, sizeof line, "%s", text);
}

/* ---- tasks ---- */

static rp_status counted(rp_call *call, const void *arg, size_t size)
{
    (void)atomic_fetch_add(&runs, 1);
    return rp_return(call, arg, size);
}
RP_TASK(counted);

static rp_status other_counted(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    (void)atomic_fetch_add(&runs, 1);
    return rp_return(call, "other", 5);
}
RP_TASK(other_counted);

static rp_status failing(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    return rp_fail(call, 7, "run %d failed", atomic_fetch_add(&runs, 1) + 1);
}
RP_TASK(failing);

static rp_status tell_seed(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    uint64_t seed = rp_seed(call);
    return rp_return(call, &seed, sizeof seed);
}
RP_TASK(tell_seed);

static rp_status splits(rp_call *call, const void *arg, size_t size)
{
    (void)atomic_fetch_add(&runs, 1);
    rp_status status = rp_spawn(call, counted, arg, size, NULL);
    return status == RP_OK ? rp_return(call, arg, size) : status;
}
RP_TASK(splits);

/* ---- helpers ---- */

static void fresh(void)
{
    char wal[300];
    (void)snprintf(wal, sizeof wal, "%s-wal", path);
    (void)unlink(path);
    (void)unlink(wal);
    atomic_store(&runs, 0);
    atomic_store(&warnings, 0);
    atomic_store(&infos, 0);
    atomic_store(&errors, 0);
}

static void open_with(const rp_config *wanted)
{
    rp_config config = *wanted;
    config.journal = path;
    config.log = note;
    memory = (struct memory){ 0 };
    if (local_pool_open_as(&memory, &config, &pool) != RP_OK)
        CU_FAIL_FATAL("the pool cannot be opened");
}

static void open_it(void)
{
    rp_config config = RP_CONFIG_INIT;
    open_with(&config);
}

static void close_it(void)
{
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
    CU_ASSERT_EQUAL(memory.live, 0);
}

static rp_task_options keyed(const char *key)
{
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    options.key = (rp_bytes){ .data = key, .size = strlen(key) };
    return options;
}

static rp_future submit(rp_fn *fn, const char *key, const char *arg)
{
    rp_task_options options = keyed(key);
    rp_future future = { 0 };
    CU_ASSERT_EQUAL(rp_submit(pool, fn, arg, strlen(arg), &options, &future), RP_OK);
    return future;
}

static void gives(rp_future future, const char *wanted)
{
    char result[5000] = "";
    size_t size = 0;
    rp_status status = rp_get(pool, future, RP_FOREVER, result, sizeof result - 1, &size);
    CU_ASSERT_EQUAL(status, RP_OK);
    CU_ASSERT_EQUAL(size, strlen(wanted));
    CU_ASSERT_STRING_EQUAL(result, wanted);
}

static uint64_t journaled(void)
{
    rp_stats stats = RP_STATS_INIT;
    CU_ASSERT_EQUAL(rp_stats_of(pool, &stats), RP_OK);
    return stats.journaled;
}

/* ---- from run to run ---- */

static void done_at_once(void)
{
    static char text[3000];
    memset(text, 'x', sizeof text - 1);
    fresh();
    open_it();
    gives(submit(counted, "a", "short"), "short");
    gives(submit(counted, "b", text), text);
    gives(submit(counted, "c", ""), "");
    gives(submit(counted, "d", "8 bytes!"), "8 bytes!");
    close_it();
    CU_ASSERT_EQUAL(atomic_load(&runs), 4);
    open_it();
    rp_future a = submit(counted, "a", "short"), b = submit(counted, "b", text),
              c = submit(counted, "c", "");
    CU_ASSERT_EQUAL(rp_state_of(pool, a), RP_DONE);
    CU_ASSERT_EQUAL(journaled(), 3);
    rp_outcome outcome = RP_OUTCOME_INIT;
    CU_ASSERT_EQUAL(rp_outcome_of(pool, a, &outcome), RP_OK);
    CU_ASSERT_TRUE(outcome.status == RP_OK && outcome.attempts == 0 && outcome.worker == 0 &&
                   outcome.size == 5);
    CU_ASSERT_PTR_NOT_NULL(outcome.host);
    gives(a, "short");
    gives(b, text);
    gives(c, "");
    gives(submit(counted, "d", "8 bytes!"), "8 bytes!");
    CU_ASSERT_EQUAL(atomic_load(&runs), 4);
    gives(submit(other_counted, "a", "short"), "other"); /* another function's key */
    gives(submit(counted, "e", "new"), "new");
    CU_ASSERT_EQUAL(atomic_load(&runs), 6);
    CU_ASSERT_EQUAL(rp_drain(pool, RP_FOREVER), RP_OK);
    CU_ASSERT_EQUAL(journaled(), 6);
    close_it();
}

static void another_argument(void)
{
    fresh();
    open_it();
    gives(submit(counted, "a", "1"), "1");
    gives(submit(counted, "b", "1"), "1");
    close_it();
    open_it();
    gives(submit(counted, "a", "2"), "2");
    CU_ASSERT_EQUAL(atomic_load(&warnings), 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(line, "counted, key \"a\", is of another argument"));
    gives(submit(counted, "b", "2"), "2");
    CU_ASSERT_TRUE(atomic_load(&warnings) == 1 &&
                   atomic_load(&infos) == 1); /* the second is told quietly */
    close_it();
    open_it();
    CU_ASSERT_EQUAL(rp_state_of(pool, submit(counted, "a", "2")), RP_DONE);
    gives(submit(counted, "a", "1"), "1");
    close_it();
    CU_ASSERT_EQUAL(atomic_load(&runs), 5);
}

static void failures_run_again(void)
{
    fresh();
    for (int round = 0; round < 3; round++) {
        open_it();
        for (int i = 0; i < 2; i++)
            CU_ASSERT_EQUAL(rp_get(pool, submit(failing, "a", ""), RP_FOREVER, NULL, 0, NULL),
                            RP_ERR_TASK);
        CU_ASSERT_EQUAL(journaled(), 0);
        close_it();
    }
    CU_ASSERT_EQUAL(atomic_load(&runs), 6);
}

/* Numbers count what is submitted, whether it runs or not. */
static void seeds_stay(void)
{
    uint64_t seeds[2][4];
    for (int with = 0; with < 2; with++) {
        fresh();
        for (int round = 0; round < 2; round++) {
            open_it();
            for (int i = 0; i < 4; i++) {
                char key[2] = { (char)('a' + i), '\0' };
                rp_task_options options = keyed(key);
                rp_future future;
                bool keyless = i == 3 || (round == 0 && i == 1) || !with;
                CU_ASSERT_EQUAL(
                    rp_submit(pool, tell_seed, NULL, 0, keyless ? NULL : &options, &future), RP_OK);
                CU_ASSERT_EQUAL(
                    rp_get(pool, future, RP_FOREVER, &seeds[with][i], sizeof(uint64_t), NULL),
                    RP_OK);
            }
            close_it();
        }
    }
    CU_ASSERT_EQUAL(memcmp(seeds[0], seeds[1], sizeof seeds[0]), 0);
}

static void without_journal(void)
{
    memory = (struct memory){ 0 };
    atomic_store(&runs, 0);
    CU_ASSERT_EQUAL_FATAL(local_pool_open(&memory, &pool), RP_OK);
    gives(submit(counted, "a", "1"), "1");
    gives(submit(counted, "a", "1"), "1");
    CU_ASSERT_EQUAL(atomic_load(&runs), 2);
    CU_ASSERT_EQUAL(journaled(), 0);
    close_it();
}

static void refused(void)
{
    rp_task_options options = keyed("");
    rp_map_options map = RP_MAP_OPTIONS_INIT;
    rp_stream_options stream_options = RP_STREAM_OPTIONS_INIT;
    static char long_key[70000];
    rp_stream *stream;
    rp_future future = { 3 };
    fresh();
    open_it();
    rp_future first = submit(counted, "a", "1");
    options.key.size = 1;
    options.key.data = NULL;
    CU_ASSERT_EQUAL(rp_submit(pool, counted, NULL, 0, &options, &future), RP_ERR_INVALID);
    options.key = (rp_bytes){ .data = long_key, .size = 65536 };
    CU_ASSERT_EQUAL(rp_submit(pool, counted, NULL, 0, &options, &future), RP_ERR_INVALID);
    options.key.size = 65535;
    options.after = &first;
    options.after_count = 1;
    CU_ASSERT_EQUAL(rp_submit(pool, counted, NULL, 0, &options, &future), RP_ERR_INVALID);
    CU_ASSERT_EQUAL(future.id, 3);
    options.after_count = 0;
    map.task = stream_options.task = &options;
    CU_ASSERT_EQUAL(rp_map(pool, counted, NULL, 0, 3, NULL, 0, &map), RP_ERR_INVALID);
    CU_ASSERT_EQUAL(rp_stream_open(pool, &stream_options, &stream), RP_ERR_INVALID);
    CU_ASSERT_EQUAL(rp_submit(pool, counted, NULL, 0, &options, &future), RP_OK);
    gives(future, "");
    close_it();
    for (int i = 0; i < 3; i++) {
        rp_config config = RP_CONFIG_INIT;
        config.journal = i == 0 ? "" : i == 1 ? "/none/journal" : NULL;
        config.journal_sync = true;
        memory = (struct memory){ 0 };
        CU_ASSERT_EQUAL(local_pool_open_as(&memory, &config, &pool),
                        i == 1 ? RP_ERR_IO : RP_ERR_INVALID);
        CU_ASSERT_PTR_NOT_NULL(strstr(rp_error_message(), "journal"));
        CU_ASSERT_EQUAL(memory.live, 0);
    }
}

/* ---- the same key twice in one run ---- */

static void second_shares(void)
{
    static char text[3000];
    memset(text, 'y', sizeof text - 1);
    fresh();
    open_it();
    rp_future first = submit(counted, "a", "1"), second = submit(counted, "a", "1"),
              third = submit(counted, "a", "1");
    rp_future large = submit(counted, "b", text), large_too = submit(counted, "b", text);
    rp_stats stats = RP_STATS_INIT;
    CU_ASSERT_EQUAL(rp_stats_of(pool, &stats), RP_OK);
    CU_ASSERT_TRUE(stats.submitted == 5 && stats.waiting == 3 && stats.queued + stats.sent == 2);
    CU_ASSERT_EQUAL(rp_release(pool, first), RP_OK); /* by one of its holders */
    gives(third, "1");
    gives(second, "1");
    rp_outcome outcome = RP_OUTCOME_INIT;
    CU_ASSERT_EQUAL(rp_wait(pool, large_too, RP_FOREVER), RP_OK);
    CU_ASSERT_EQUAL(rp_outcome_of(pool, large_too, &outcome), RP_OK);
    CU_ASSERT_TRUE(outcome.worker == 1 && outcome.attempts == 1 && outcome.size == sizeof text - 1);
    gives(large, text);
    gives(large_too, text);
    gives(submit(counted, "a", "1"), "1"); /* the first is long gone: the journal has it */
    CU_ASSERT_EQUAL(atomic_load(&runs), 2);
    CU_ASSERT_EQUAL(rp_stats_of(pool, &stats), RP_OK);
    CU_ASSERT_TRUE(stats.submitted == 6 && stats.done == 6 &&
                   stats.waiting + stats.queued + stats.sent == 0);
    close_it();
}

static void second_of_another_argument(void)
{
    fresh();
    open_it();
    rp_future first = submit(counted, "a", "1"), second = submit(counted, "a", "2");
    gives(second, "2");
    gives(first, "1");
    CU_ASSERT_EQUAL(atomic_load(&runs), 2);
    close_it();
}

static void second_fails_too(void)
{
    fresh();
    open_it();
    rp_future first = submit(failing, "a", ""), second = submit(failing, "a", "");
    CU_ASSERT_EQUAL(rp_get(pool, second, RP_FOREVER, NULL, 0, NULL), RP_ERR_TASK);
    CU_ASSERT_PTR_NOT_NULL(strstr(rp_error_message(), "run 1 failed"));
    CU_ASSERT_EQUAL(rp_get(pool, first, RP_FOREVER, NULL, 0, NULL), RP_ERR_TASK);
    CU_ASSERT_EQUAL(rp_get(pool, submit(failing, "a", ""), RP_FOREVER, NULL, 0, NULL), RP_ERR_TASK);
    CU_ASSERT_PTR_NOT_NULL(strstr(rp_error_message(), "run 2 failed"));
    close_it();
}

static void cancelled(void)
{
    fresh();
    open_it();
    rp_future first = submit(counted, "a", "1"), second = submit(counted, "a", "1"),
              third = submit(counted, "a", "1");
    CU_ASSERT_EQUAL(rp_cancel(pool, second), RP_OK); /* its own affair */
    CU_ASSERT_EQUAL(rp_get(pool, second, RP_FOREVER, NULL, 0, NULL), RP_ERR_CANCELLED);
    gives(third, "1");
    gives(first, "1");
    first = submit(counted, "b", "1");
    rp_future unkeyed; /* in front of the next */
    CU_ASSERT_EQUAL(rp_submit(pool, counted, NULL, 0, NULL, &unkeyed), RP_OK);
    first = submit(counted, "c", "1");
    second = submit(counted, "c", "1");
    CU_ASSERT_EQUAL(rp_cancel_all(pool), RP_OK);
    CU_ASSERT_EQUAL(rp_drain(pool, RP_FOREVER), RP_OK);
    rp_outcome one = RP_OUTCOME_INIT, two = RP_OUTCOME_INIT;
    CU_ASSERT_EQUAL(rp_outcome_of(pool, first, &one), RP_OK);
    CU_ASSERT_EQUAL(rp_outcome_of(pool, second, &two), RP_OK);
    CU_ASSERT_TRUE(one.status == RP_ERR_CANCELLED && two.status == RP_ERR_CANCELLED);
    close_it();
}

/* ---- streams and on_done ---- */

static int calls;

static void on_done(rp_pool *of, rp_future future, const rp_outcome *outcome, void *user)
{
    (void)of;
    (void)future;
    (void)user;
    calls++;
    CU_ASSERT_EQUAL(outcome->status, RP_OK);
    CU_ASSERT_EQUAL(outcome->size, 1);
}

static void on_done_is_called(void)
{
    fresh();
    for (int round = 0; round < 2; round++) {
        rp_config config = RP_CONFIG_INIT;
        config.journal_sync = round;
        calls = 0;
        open_with(&config);
        for (int i = 0; i < 3; i++) {
            rp_task_options options = keyed("a");
            options.on_done = on_done;
            CU_ASSERT_EQUAL(rp_submit(pool, counted, "1", 1, &options, NULL), RP_OK);
        }
        CU_ASSERT_EQUAL(rp_drain(pool, RP_FOREVER), RP_OK);
        CU_ASSERT_EQUAL(calls, 3);
        close_it();
    }
    CU_ASSERT_EQUAL(atomic_load(&runs), 1);
}

static void stream_of(bool ordered, bool skip_empty, bool sync)
{
    rp_stream_options options = RP_STREAM_OPTIONS_INIT;
    rp_config config = RP_CONFIG_INIT;
    options.ordered = ordered;
    options.skip_empty = skip_empty;
    config.journal_sync = sync;
    fresh();
    for (int round = 0; round < 3; round++) {
        rp_stream *stream;
        rp_item item = RP_ITEM_INIT;
        int items = 0;
        open_with(&config);
        CU_ASSERT_EQUAL_FATAL(rp_stream_open(pool, &options, &stream), RP_OK);
        for (int i = 0; i < 20;
             i++) { /* half of them are in the journal; each twice; every fifth has no result */
            char key[20];
            (void)snprintf(key, sizeof key, "%d", (round + i) / 2);
            rp_task_options task = keyed(key);
            CU_ASSERT_EQUAL(rp_stream_submit(stream, counted, key,
                                             (round + i) / 2 % 5 ? strlen(key) : 0, &task, NULL),
                            RP_OK);
        }
        CU_ASSERT_EQUAL(rp_stream_end(stream), RP_OK);
        uint64_t last = 0, empty = 0;
        rp_status status;
        while ((status = rp_stream_next(stream, RP_FOREVER, &item)) == RP_OK) {
            char key[20];
            (void)snprintf(key, sizeof key, "%d", (round + (int)item.index) / 2);
            CU_ASSERT_EQUAL(item.outcome->status, RP_OK);
            CU_ASSERT_TRUE(item.outcome->size == 0 ||
                           memcmp(item.outcome->data, key, strlen(key)) == 0);
            CU_ASSERT_TRUE(!ordered || items == 0 || item.index > last);
            empty += item.outcome->size == 0;
            last = item.index;
            items++;
        }
        CU_ASSERT_EQUAL(status, RP_END);
        CU_ASSERT_TRUE(skip_empty ? empty == 0 && items >= 15 && items < 20 : items == 20);
        CU_ASSERT_EQUAL(rp_stream_close(&stream), RP_OK);
        close_it();
    }
    CU_ASSERT_EQUAL(atomic_load(&runs), 11); /* keys 0 to 10 */
}

static void streams(void)
{
    for (int i = 0; i < 8; i++)
        stream_of(i & 1, i & 2, i & 4);
}

static void closed_stream(void)
{
    rp_config config = RP_CONFIG_INIT;
    config.journal_sync = true;
    fresh();
    for (int round = 0; round < 2; round++) {
        rp_stream *stream;
        open_with(&config);
        CU_ASSERT_EQUAL_FATAL(rp_stream_open(pool, NULL, &stream), RP_OK);
        for (int i = 0; i < 3; i++) {
            rp_task_options task = keyed(i == 2 ? "b" : "a");
            CU_ASSERT_EQUAL(rp_stream_submit(stream, counted, "1", 1, &task, NULL), RP_OK);
        }
        CU_ASSERT_EQUAL(rp_progress(pool), RP_OK);
        CU_ASSERT_EQUAL(rp_stream_close(&stream), RP_OK);
        close_it();
    }
}

/* Its children would be missing in the next run. */
static void parents_run_again(void)
{
    fresh();
    for (int round = 1; round <= 2; round++) {
        rp_stream *stream;
        rp_item item = RP_ITEM_INIT;
        open_it();
        CU_ASSERT_EQUAL_FATAL(rp_stream_open(pool, NULL, &stream), RP_OK);
        rp_task_options task = keyed("a");
        CU_ASSERT_EQUAL(rp_stream_submit(stream, splits, "1", 1, &task, NULL), RP_OK);
        CU_ASSERT_EQUAL(rp_stream_end(stream), RP_OK);
        for (int i = 0; i < 2; i++)
            CU_ASSERT_EQUAL(rp_stream_next(stream, RP_FOREVER, &item), RP_OK);
        CU_ASSERT_EQUAL(rp_stream_next(stream, RP_FOREVER, &item), RP_END);
        CU_ASSERT_EQUAL(rp_stream_close(&stream), RP_OK);
        CU_ASSERT_EQUAL(atomic_load(&runs), 2 * round);
        CU_ASSERT_EQUAL(journaled(), 0);
        close_it();
    }
}

/* ---- committed before it is delivered ---- */

static void sync_delivers_what_is_committed(void)
{
    rp_config config = RP_CONFIG_INIT;
    config.journal_sync = true;
    fresh();
    open_with(&config);
    for (int i = 0; i < 10; i++) {
        char key[20];
        (void)snprintf(key, sizeof key, "%d", i);
        gives(submit(counted, key, key), key);
        CU_ASSERT_EQUAL(journaled(), (uint64_t)i + 1);
    }
    rp_future future = submit(counted, "waits", "1");
    rp_state state;
    int sent = 0;
    while ((state = rp_state_of(pool, future)) != RP_DONE) {
        CU_ASSERT_TRUE(state == RP_QUEUED || state == RP_SENT);
        sent += state == RP_SENT && atomic_load(&runs) == 11;
        CU_ASSERT_EQUAL(rp_cancel(pool, state == RP_SENT ? future : submit(counted, "0", "0")),
                        RP_OK); /* too late */
    }
    CU_ASSERT_TRUE(sent > 0);
    CU_ASSERT_TRUE(journaled() >= 11);
    gives(future, "1");
    close_it();
}

/* ---- the disk ---- */

static void full_disk(bool sync)
{
    static char text[3000];
    struct rlimit before, low;
    rp_config config = RP_CONFIG_INIT;
    config.journal_sync = sync;
    memset(text, 'z', sizeof text - 1);
    fresh();
    open_with(&config);
    CU_ASSERT_EQUAL(getrlimit(RLIMIT_FSIZE, &before), 0);
    low = before;
    low.rlim_cur = 100000;
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &low), 0);
    for (int i = 0; i < 200; i++) {
        char key[20];
        (void)snprintf(key, sizeof key, "%d", i);
        gives(submit(counted, key, text), text);
    }
    CU_ASSERT_EQUAL(rp_drain(pool, RP_FOREVER), RP_ERR_IO);
    CU_ASSERT_PTR_NOT_NULL(strstr(rp_error_message(), path));
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &before), 0);
    uint64_t kept = journaled();
    CU_ASSERT_TRUE(kept < 100);
    CU_ASSERT_EQUAL(atomic_load(&errors), 1);
    gives(submit(counted, "more", text), text);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_ERR_IO);
    CU_ASSERT_PTR_NULL(pool);
    CU_ASSERT_EQUAL(memory.live, 0);
    atomic_store(&runs, 0);
    open_with(&config);
    for (int i = 0; i < 200; i++) {
        char key[20];
        (void)snprintf(key, sizeof key, "%d", i);
        gives(submit(counted, key, text), text);
    }
    close_it();
    CU_ASSERT_EQUAL((uint64_t)atomic_load(&runs), 200 - kept);
}

static void full_disks(void)
{
    full_disk(false);
    full_disk(true);
}

/* ---- without memory: each allocation fails in turn ---- */

static rp_status attempt(uint64_t call, bool sync)
{
    rp_config config = RP_CONFIG_INIT;
    rp_future futures[5] = { { 0 } };
    static const char *const keys[] = { "a", "a", "b", "new", "new" };
    static char text[3000];
    rp_status status;
    memset(text, 'w', sizeof text - 1);
    config.journal = path;
    config.journal_sync = sync;
    memory = (struct memory){ .fail_at = call };
    if ((status = local_pool_open_as(&memory, &config, &pool)) != RP_OK) {
        CU_ASSERT_EQUAL(memory.live, 0);
        return status;
    }
    bool short_once = false;
    for (int i = 0; i < 5; i++) {
        rp_task_options options = keyed(keys[i]);
        while ((status = rp_submit(pool, counted, text, sizeof text - 1, &options, &futures[i])) ==
               RP_ERR_NOMEM)
            short_once = true;
        CU_ASSERT_EQUAL(status, RP_OK);
    }
    for (int i = 0; i < 5; i++) {
        char result[3000] = "";
        while ((status = rp_get(pool, futures[i], RP_FOREVER, result, sizeof result - 1, NULL)) ==
               RP_ERR_NOMEM)
            short_once = true;
        if (status == RP_ERR_TASK) { /* the worker was short */
            short_once = true;
            continue;
        }
        CU_ASSERT_EQUAL(status, RP_OK);
        CU_ASSERT_STRING_EQUAL(result, text);
    }
    while ((status = rp_close(&pool)) == RP_ERR_NOMEM)
        short_once = true;
    CU_ASSERT_EQUAL(status, RP_OK);
    CU_ASSERT_EQUAL(memory.live, 0);
    return short_once || (call && memory.refused) ? RP_ERR_NOMEM : RP_OK;
}

static void without_memory(void)
{
    static char text[3000];
    memset(text, 'w', sizeof text - 1);
    fresh();
    open_it();
    gives(submit(counted, "a", text), text);
    gives(submit(counted, "b", text), text);
    close_it();
    uint64_t call = 0, most = 0;
    CU_ASSERT_EQUAL(attempt(0, false), RP_OK);
    most = memory.calls;
    for (call = 1; call <= most + 5; call++) {
        fresh();
        open_it();
        gives(submit(counted, "a", text), text);
        gives(submit(counted, "b", text), text);
        close_it();
        (void)attempt(call, false);
    }
    CU_ASSERT_TRUE(most > 20);
}

/* ---- threads ---- */

#define THREADS 4
#define KEYS    200

static void *use(void *context)
{
    (void)context;
    for (int i = 0; i < KEYS; i++) {
        char key[20], result[20] = "";
        rp_future future = { 0 };
        (void)snprintf(key, sizeof key, "%d", i);
        rp_task_options options = keyed(key);
        if (rp_submit(pool, counted, key, strlen(key), &options, &future) != RP_OK ||
            rp_get(pool, future, RP_FOREVER, result, sizeof result, NULL) != RP_OK ||
            strcmp(result, key) != 0)
            (void)atomic_fetch_add(&errors, 1);
    }
    return NULL;
}

static void threads(int workers, bool sync)
{
    pthread_t thread[THREADS];
    rp_config config = RP_CONFIG_INIT;
    config.journal = path;
    config.journal_sync = sync;
    config.log = note;
    fresh();
    for (int round = 0; round < 2; round++) {
        pool = threads_open(workers, &config);
        CU_ASSERT_PTR_NOT_NULL_FATAL(pool);
        for (int i = 0; i < THREADS; i++)
            CU_ASSERT_EQUAL(pthread_create(&thread[i], NULL, use, NULL), 0);
        for (int i = 0; i < THREADS; i++)
            CU_ASSERT_EQUAL(pthread_join(thread[i], NULL), 0);
        CU_ASSERT_EQUAL(rp_drain(pool, RP_FOREVER), RP_OK);
        CU_ASSERT_TRUE(journaled() >= KEYS);
        CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
    }
    CU_ASSERT_EQUAL(atomic_load(&errors), 0);
    CU_ASSERT_EQUAL(atomic_load(&runs), KEYS);
}

static void many_threads(void)
{
    threads(0, false);
    threads(3, false);
    threads(2, true);
}

/* While the application makes no call, the caretaker stores results, and they are committed. */
static void application_computes(void)
{
    rp_config config = RP_CONFIG_INIT;
    config.journal = path;
    fresh();
    pool = threads_open(2, &config);
    CU_ASSERT_PTR_NOT_NULL_FATAL(pool);
    for (int i = 0; i < 20; i++) {
        char key[20];
        (void)snprintf(key, sizeof key, "%d", i);
        (void)submit(counted, key, key);
    }
    struct timespec rest = { .tv_nsec = 10000000 };
    for (int i = 0; i < 3000 && journaled() < 20;
         i++) /* this looks, but a second goes by between two looks */
        for (int k = 0; k < 100; k++)
            (void)nanosleep(&rest, NULL);
    CU_ASSERT_EQUAL(journaled(), 20);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

static void terminated(void)
{
    for (int sync = 0; sync < 2; sync++) {
        rp_config config = RP_CONFIG_INIT;
        config.journal_sync = sync;
        fresh();
        open_with(&config);
        for (int i = 0; i < 10; i++) {
            char key[20];
            (void)snprintf(key, sizeof key, "%d", i % 7);
            (void)submit(counted, key, key);
            CU_ASSERT_EQUAL(rp_progress(pool), RP_OK);
        }
        CU_ASSERT_EQUAL(rp_terminate(&pool), RP_OK);
        CU_ASSERT_EQUAL(memory.live, 0);
        int before = atomic_load(&runs);
        open_with(&config);
        for (int i = 0; i < 7; i++) {
            char key[20];
            (void)snprintf(key, sizeof key, "%d", i);
            gives(submit(counted, key, key), key);
        }
        CU_ASSERT_EQUAL(atomic_load(&runs), 7);
        CU_ASSERT_TRUE(before > 0);
        close_it();
    }
}

static int make_directory(void)
{
    const char *base = getenv("TMPDIR");
    (void)snprintf(directory, sizeof directory, "%s/rankpool-keyed-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(directory))
        return 1;
    (void)snprintf(path, sizeof path, "%s/journal", directory);
    return 0;
}

static int remove_directory(void)
{
    fresh();
    return rmdir(directory);
}

int main(int argc, char **argv)
{
    static CU_TestInfo tests[] = { { "done_at_once", done_at_once },
                                   { "another_argument", another_argument },
                                   { "failures_run_again", failures_run_again },
                                   { "seeds_stay", seeds_stay },
                                   { "without_journal", without_journal },
                                   { "refused", refused },
                                   { "second_shares", second_shares },
                                   { "second_of_another_argument", second_of_another_argument },
                                   { "second_fails_too", second_fails_too },
                                   { "cancelled", cancelled },
                                   { "on_done_is_called", on_done_is_called },
                                   { "streams", streams },
                                   { "closed_stream", closed_stream },
                                   { "parents_run_again", parents_run_again },
                                   { "sync_delivers_what_is_committed",
                                     sync_delivers_what_is_committed },
                                   { "full_disks", full_disks },
                                   { "without_memory", without_memory },
                                   { "many_threads", many_threads },
                                   { "application_computes", application_computes },
                                   { "terminated", terminated },
                                   CU_TEST_INFO_NULL };
    static CU_SuiteInfo suites[] = {
        { "keyed", make_directory, remove_directory, NULL, NULL, tests }, CU_SUITE_INFO_NULL
    };
    return harness_main(argc, argv, suites);
}
