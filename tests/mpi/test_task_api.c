/* What a task may do: its result, its argument's alignment, what it learns of itself; and what it
 * may not do. */
/* run: alone, -n 1, -n 2, -n 4 */
/* machine: alone */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A task of one test: what it finds wrong it counts, and fails with the number. */
#define WRONG(condition)                                                                           \
    do {                                                                                           \
        if (condition)                                                                             \
            return rp_fail(call, __LINE__, "%s", #condition);                                      \
    } while (0)

/* ---- results ---- */

static rp_status last_result_counts(rp_call *call, const void *arg, size_t size)
{
    static char large[100000];
    (void)arg;
    (void)size;
    fill(large, sizeof large, 1);
    WRONG(rp_return(call, large, sizeof large) != RP_OK);
    WRONG(rp_return(call, "short", 5) != RP_OK);
    WRONG(rp_return(call, NULL, 0) != RP_OK);
    WRONG(rp_return(call, large, 77777) != RP_OK);
    void *room = rp_reserve(call, 50000);
    WRONG(!room || (uintptr_t)room % 16 != 0);
    room = rp_reserve(call, 3);
    WRONG(!room || (uintptr_t)room % 16 != 0);
    memcpy(room, "end", 3);
    return RP_OK;
}
RP_TASK(last_result_counts);

/* Reserves more than it needs, and gives the beginning of it. */
static rp_status shrinks(rp_call *call, const void *arg, size_t size)
{
    size_t kept = 0;
    memcpy(&kept, arg, sizeof kept);
    (void)size;
    char *room = rp_reserve(call, 2 * kept);
    WRONG(!room);
    fill(room, kept, kept);
    return rp_return(call, room, kept);
}
RP_TASK(shrinks);

static rp_status reserves(rp_call *call, const void *arg, size_t size)
{
    size_t length;
    (void)size;
    memcpy(&length, arg, sizeof length);
    void *room = rp_reserve(call, length);
    WRONG(!room || (uintptr_t)room % 16 != 0);
    fill(room, length, length);
    return RP_OK;
}
RP_TASK(reserves);

static rp_status wrong_results(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    WRONG(rp_return(call, "kept", 4) != RP_OK);
    WRONG(rp_return(NULL, "x", 1) != RP_ERR_INVALID);
    WRONG(rp_return(call, NULL, 1) != RP_ERR_INVALID);
    WRONG(!strstr(rp_error_message(), "rp_return"));
    WRONG(rp_reserve(NULL, 1) != NULL);
    WRONG(rp_fail(NULL, 1, "no call") != RP_ERR_TASK);
    return RP_OK;
}
RP_TASK(wrong_results);

static rp_status too_large(rp_call *call, const void *arg, size_t size)
{
    (void)size;
    if (*(const char *)arg == 'r')
        return rp_reserve(call, (size_t)UINT32_MAX + 1) ? RP_ERR_SIZE : RP_OK;
    return rp_return(call, arg, (size_t)UINT32_MAX + 1) == RP_ERR_INVALID ? RP_OK : RP_ERR_SIZE;
}
RP_TASK(too_large);

static void results(void)
{
    static const size_t lengths[] = { 0, 1, 8, 9, 2000, 4000, 4032, 5000, 100000, 3000000 };
    char room[8] = "";
    size_t size = 99;
    if (!open_pool(NULL))
        return;
    IS(RP_OK, rp_apply(pool, last_result_counts, NULL, 0, room, sizeof room, &size));
    CU_ASSERT_EQUAL(size, 3);
    CU_ASSERT_STRING_EQUAL(room, "end");
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        void *data = NULL;
        IS(RP_OK, rp_take(pool, submit(shrinks, &lengths[i], sizeof lengths[i]), RP_FOREVER, &data,
                          &size));
        CU_ASSERT(size == lengths[i] && filled(data, size, size));
        rp_free(data);
        IS(RP_OK, rp_take(pool, submit(reserves, &lengths[i], sizeof lengths[i]), RP_FOREVER, &data,
                          &size));
        CU_ASSERT(size == lengths[i] && filled(data, size, size));
        rp_free(data);
    }
    memset(room, 0, sizeof room);
    IS(RP_OK, rp_apply(pool, wrong_results, NULL, 0, room, sizeof room, &size));
    CU_ASSERT_STRING_EQUAL(room, "kept");
    close_pool();
}

static void results_too_large(void)
{
    rp_outcome outcome = RP_OUTCOME_INIT;
    if (!open_pool(NULL))
        return;
    rp_future future = submit(too_large, "reserve", 8);
    IS(RP_OK, rp_wait(pool, future, RP_FOREVER));
    IS(RP_OK, rp_outcome_of(pool, future, &outcome));
    CU_ASSERT_EQUAL(outcome.status, RP_ERR_TASK);
    CU_ASSERT_EQUAL(outcome.code, RP_ERR_NOMEM);
    IS(RP_OK, rp_release(pool, future));
    future = submit(too_large, "give back", 8);
    IS(RP_OK, rp_wait(pool, future, RP_FOREVER));
    IS(RP_OK, rp_outcome_of(pool, future, &outcome));
    CU_ASSERT_EQUAL(outcome.status, RP_ERR_TASK);
    CU_ASSERT_EQUAL(outcome.code, RP_ERR_INVALID);
    IS(RP_OK, rp_apply(pool, nothing, NULL, 0, NULL, 0, NULL)); /* and the next is as ever */
    close_pool();
}

/* ---- arguments ---- */

static rp_status aligned(rp_call *call, const void *arg, size_t size)
{
    WRONG(size && (uintptr_t)arg % (size >= 16 ? 16 : 8) != 0);
    WRONG(!filled(arg, size, size));
    return RP_OK;
}
RP_TASK(aligned);

static rp_status item_of_16(rp_call *call, const void *arg, size_t size)
{
    WRONG(size % 16 != 0 || (uintptr_t)arg % 16 != 0);
    return RP_OK;
}
RP_TASK(item_of_16);

static void alignment(void)
{
    static char arg[100000];
    static rp_future futures[4000];
    size_t count = 0;
    if (!open_pool(NULL))
        return;
    for (size_t size = 0; size < sizeof arg; size += size < 200 ? 1 : size / 7) {
        fill(arg, size, size);
        for (int i = 0; i < 5; i++)
            futures[count++] = submit(aligned, arg, size);
    }
    for (size_t i = 0; i < count; i++)
        IS(RP_OK, rp_get(pool, futures[i], RP_FOREVER, NULL, 0, NULL));
    for (size_t size = 16; size <= 4096; size *= 2)
        IS(RP_OK, rp_map(pool, item_of_16, arg, size, 20, NULL, 0, NULL));
    IS(RP_OK, rp_map(pool, item_of_16, arg, 48, 1000, NULL, 0, NULL));
    close_pool();
}

/* ---- what a task learns ---- */

struct who {
    uint64_t task;
    int attempt, worker;
    long pid;
    char host[64], name[64];
};

static rp_status tells(rp_call *call, const void *arg, size_t size)
{
    struct who who = { .pid = getpid() };
    rp_call_info info = RP_CALL_INFO_INIT;
    (void)arg;
    (void)size;
    rp_call_info_of(call, &info);
    who.task = info.task;
    who.attempt = info.attempt;
    who.worker = info.worker;
    (void)snprintf(who.host, sizeof who.host, "%s", info.host);
    (void)snprintf(who.name, sizeof who.name, "%s", info.name);
    rp_call_info other = { .struct_size = sizeof info + 8, .worker = -7 };
    rp_call_info_of(call, &other);
    WRONG(other.worker != -7);
    other.struct_size = 0;
    rp_call_info_of(call, &other);
    WRONG(other.worker != -7);
    rp_call_info_of(call, NULL);
    info.worker = -7;
    rp_call_info_of(NULL, &info);
    WRONG(info.worker != -7);
    return rp_return(call, &who, sizeof who);
}
RP_TASK(tells);

static void call_info(void)
{
    enum { COUNT = 200 };
    static rp_future futures[COUNT];
    static struct who who[COUNT];
    int same = 0;
    if (!open_pool(NULL))
        return;
    for (size_t i = 0; i < COUNT; i++)
        futures[i] = submit(tells, NULL, 0);
    for (size_t i = 0; i < COUNT; i++) {
        rp_outcome outcome = RP_OUTCOME_INIT;
        rp_worker_info info = RP_WORKER_INFO_INIT;
        IS(RP_OK, rp_wait(pool, futures[i], RP_FOREVER));
        IS(RP_OK, rp_outcome_of(pool, futures[i], &outcome));
        CU_ASSERT_EQUAL_FATAL(outcome.size, sizeof *who);
        memcpy(&who[i], outcome.data, sizeof *who);
        CU_ASSERT_EQUAL(who[i].worker, outcome.worker);
        CU_ASSERT_EQUAL(who[i].attempt, 1);
        CU_ASSERT_STRING_EQUAL(who[i].host, outcome.host);
        CU_ASSERT_STRING_EQUAL(who[i].name, "tells");
        IS(RP_OK, rp_worker_info_of(pool, outcome.worker, &info));
        CU_ASSERT_EQUAL(info.pid, who[i].pid);
        CU_ASSERT_EQUAL(info.worker, outcome.worker);
        CU_ASSERT_STRING_EQUAL(info.host, outcome.host);
        CU_ASSERT_EQUAL(info.lost, false);
        for (size_t j = 0; j < i; j++)
            same += who[j].task == who[i].task; /* a number of its own */
    }
    CU_ASSERT_EQUAL(same, 0);
    close_pool();
}

/* Registered under another name than its own. */
static rp_status called_otherwise(rp_call *call, const void *arg, size_t size)
{
    rp_call_info info = RP_CALL_INFO_INIT;
    (void)arg;
    (void)size;
    rp_call_info_of(call, &info);
    return rp_return(call, info.name, strlen(info.name) + 1);
}

/* Of the library's own names only whole ones are taken: this is not rp_register_at. */
static rp_status at(rp_call *call, const void *arg, size_t size)
{
    return called_otherwise(call, arg, size);
}
RP_TASK(at);

static void registered_names(void)
{
    static char longest[300], room[300];
    memset(longest, 'n', sizeof longest - 1);
    IS(RP_ERR_INVALID, rp_register(longest, called_otherwise)); /* 299 bytes */
    longest[256] = '\0';
    IS(RP_ERR_INVALID, rp_register(longest, called_otherwise));
    SAYS("255");
    longest[255] = '\0';
    IS(RP_OK, rp_register(longest, called_otherwise));
    IS(RP_OK, rp_register(longest, called_otherwise));
    IS(RP_ERR_INVALID, rp_register(longest, echo));
    IS(RP_ERR_INVALID, rp_register(NULL, echo));
    IS(RP_ERR_INVALID, rp_register("", echo));
    IS(RP_ERR_INVALID, rp_register("name", NULL));
    IS(RP_ERR_INVALID, rp_register("echo", nothing));
    SAYS("echo");
    char copied[] = "a name that changes \xff\n";
    IS(RP_OK, rp_register(copied, called_otherwise)); /* a second name: no harm */
    memset(copied, 'x', sizeof copied - 1);
    if (!open_pool(NULL))
        return;
    IS(RP_OK, rp_apply(pool, at, NULL, 0, room, sizeof room, NULL));
    CU_ASSERT_STRING_EQUAL(room, "at");
    IS(RP_OK, rp_apply(pool, called_otherwise, NULL, 0, room, sizeof room, NULL));
    CU_ASSERT(strcmp(room, longest) == 0 || strcmp(room, "a name that changes \xff\n") == 0);
    close_pool();
}

/* ---- what a task may not do ---- */

#define FORBIDDEN(call_text) WRONG((call_text) != RP_ERR_CONTEXT)

static rp_status oversteps(rp_call *call, const void *arg, size_t size)
{
    rp_pool *new = NULL;
    (void)arg;
    (void)size;
    FORBIDDEN(rp_open(NULL, &new));
    WRONG(new != NULL);
    WRONG(!strstr(rp_error_message(), "rp_open"));
    if (!pool)
        return RP_OK; /* another process than the pool's */
    rp_pool *same = pool;
    rp_future future = { 77 };
    rp_outcome outcome = RP_OUTCOME_INIT;
    rp_stats stats = RP_STATS_INIT;
    rp_worker_info info = RP_WORKER_INFO_INIT;
    void *data;
    size_t index;
    FORBIDDEN(rp_submit(pool, nothing, NULL, 0, NULL, &future));
    WRONG(future.id != 77);
    FORBIDDEN(rp_apply(pool, nothing, NULL, 0, NULL, 0, NULL));
    FORBIDDEN(rp_get(pool, future, 0, NULL, 0, NULL));
    FORBIDDEN(rp_take(pool, future, 0, &data, NULL));
    FORBIDDEN(rp_wait(pool, future, RP_FOREVER));
    FORBIDDEN(rp_outcome_of(pool, future, &outcome));
    FORBIDDEN(rp_release(pool, future));
    FORBIDDEN(rp_map(pool, nothing, NULL, 0, 1, NULL, 0, NULL));
    FORBIDDEN(rp_wait_all(pool, &future, 1, RP_ALL, 0));
    FORBIDDEN(rp_wait_any(pool, &future, 1, 0, &index));
    FORBIDDEN(rp_drain(pool, RP_FOREVER));
    FORBIDDEN(rp_progress(pool));
    FORBIDDEN(rp_close(&pool));
    FORBIDDEN(rp_terminate(&pool));
    FORBIDDEN(rp_worker_info_of(pool, 1, &info));
    FORBIDDEN(rp_stats_of(pool, &stats));
    WRONG(rp_state_of(pool, future) != RP_STALE);
    WRONG(pool != same);
    return rp_return(call, "done", 4);
}
RP_TASK(oversteps);

static void context(void)
{
    char room[4];
    size_t size = 0;
    if (!open_pool(NULL))
        return;
    IS(RP_OK, rp_apply(pool, oversteps, NULL, 0, room, sizeof room, &size));
    CU_ASSERT_EQUAL(size, ranks() > 1 ? 0 : 4);
    IS(RP_OK, rp_apply(pool, nothing, NULL, 0, NULL, 0, NULL));
    close_pool();
}

/* ---- memory ---- */

struct ledger {
    long live;
    size_t calls;
};

/* Counts, in a header before each block. */
static void *counting(void *old, size_t size, void *user)
{
    struct ledger *ledger = user;
    if (size == 0) {
        ledger->live -= old != NULL;
        free(old);
        return NULL;
    }
    void *new = realloc(old, size);
    ledger->live += new && !old;
    ledger->calls++;
    return new;
}

static void all_memory_comes_back(void)
{
    static char large[100000];
    struct ledger ledger = { 0 };
    void *data = NULL;
    rp_config config = RP_CONFIG_INIT;
    config.alloc = counting;
    config.alloc_user = &ledger;
    if (!open_pool(&config)) {
        CU_ASSERT_EQUAL(ledger.live, 0); /* a worker, with a ledger of its own */
        return;
    }
    CU_ASSERT(ledger.live > 0);
    for (int64_t i = 0; i < 3000; i++)
        (void)submit(i % 5 ? twice : returns, &i, i % 3 ? sizeof i : sizeof(int));
    for (int i = 0; i < 20; i++)
        (void)submit(echo, large, sizeof large / (size_t)(i + 1));
    IS(RP_OK, rp_take(pool, submit(echo, large, sizeof large), RP_FOREVER, &data, NULL));
    IS(RP_OK, rp_map(pool, echo, large, 10, 10000, large, 10, NULL));
    close_pool(); /* with thousands of futures live */
    CU_ASSERT(ledger.calls > 10);
    CU_ASSERT_EQUAL(ledger.live, 2); /* the buffer, and where it came from */
    rp_free(data);
    CU_ASSERT_EQUAL(ledger.live, 0);
}

static void terminated(void)
{
    static char large[100000];
    double length = 0.05;
    struct ledger ledger = { 0 };
    rp_config config = RP_CONFIG_INIT;
    config.alloc = counting;
    config.alloc_user = &ledger;
    if (!open_pool(&config)) {
        CU_ASSERT_EQUAL(ledger.live, 0);
        return;
    }
    for (int i = 0; i < 200; i++)
        (void)submit(wakeup, &length, sizeof length);
    for (int i = 0; i < 20; i++)
        (void)submit(echo, large, sizeof large);
    double begin = seconds();
    IS(RP_OK, rp_terminate(&pool));
    CU_ASSERT_PTR_NULL(pool);
    CU_ASSERT(seconds() - begin < 2); /* all of it: 10 s of naps over the workers */
    CU_ASSERT_EQUAL(ledger.live, 0);
}

int main(int argc, char **argv)
{
    static CU_TestInfo inside[] = { { "results", results },
                                    { "results_too_large", results_too_large },
                                    { "alignment", alignment },
                                    { "call_info", call_info },
                                    { "registered_names", registered_names },
                                    { "context", context },
                                    { "all_memory_comes_back", all_memory_comes_back },
                                    { "terminated", terminated },
                                    CU_TEST_INFO_NULL };
    static CU_SuiteInfo suites[] = { { "inside", NULL, NULL, NULL, end_pool, inside },
                                     CU_SUITE_INFO_NULL };
    return harness_main(argc, argv, suites);
}
