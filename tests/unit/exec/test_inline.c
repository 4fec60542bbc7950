/* Running one task in the worker's own process: what a call may do, and what comes of it. */
#include "exec/inline.h"
#include "harness.h"
#include "memory.h"
#include "open/register.h"
#include "proto/wire.h"

#include <stdio.h>

#define ROOM 256 /* bytes of a result that needs no buffer of its own */

static struct memory memory;
static struct rpi_alloc alloc;
static struct rpi_registry registry;
static struct rpi_inline executor;

/* ---- task functions: they do what `script` says */

static struct {
    rp_status returned;
    int times;
    void (*act)(rp_call *call, const void *arg, size_t size);
    const void *arg;
    size_t size;
    bool misaligned;
} script;

static rp_status play(rp_call *call, const void *arg, size_t size)
{
    script.times++;
    script.arg = arg;
    script.size = size;
    script.misaligned = script.misaligned || (uintptr_t)arg % 16 != 0;
    if (script.act)
        script.act(call, arg, size);
    return script.returned;
}

static rp_status other(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    return rp_fail(call, (int)size, "the other function");
}

static int begin(void)
{
    if (rp_register("play", play) != RP_OK || rp_register("other", other) != RP_OK)
        return 1;
    return 0;
}

static void set_up(void)
{
    memory = (struct memory){ 0 };
    memset(&script, 0, sizeof script);
    alloc = memory_hook(&memory);
    CU_ASSERT_EQUAL_FATAL(rpi_register_snapshot(&registry, &alloc), RP_OK);
    CU_ASSERT_EQUAL_FATAL(rpi_inline_init(&executor, &alloc, &registry, ROOM, 3, "host3"), RP_OK);
}

static void tear_down(void)
{
    rpi_inline_fini(&executor);
    rpi_registry_fini(&registry);
    CU_ASSERT_EQUAL(memory.live, 0);
    CU_ASSERT_PTR_NULL(rpi_call_current());
}

static struct rpi_result run(const void *arg, size_t size,
                             void (*act)(rp_call *, const void *, size_t), rp_status returned)
{
    struct rpi_task task = {
        .id = 1, .number = 42, .function = rpi_registry_find(&registry, play), .attempt = 2
    };
    struct rpi_result result;
    task.arg = arg;
    task.size = size;
    script.act = act;
    script.returned = returned;
    rpi_inline_execute(&executor, &task, &result);
    return result;
}

static void is_failure(const struct rpi_result *result, rp_status status, int code,
                       const char *message)
{
    CU_ASSERT_EQUAL(result->status, status);
    CU_ASSERT_EQUAL(result->code, code);
    CU_ASSERT_STRING_EQUAL(result->message, message);
}

static void is_success(const struct rpi_result *result, const void *data, size_t size)
{
    CU_ASSERT_EQUAL(result->status, RP_OK);
    CU_ASSERT_EQUAL(result->code, 0);
    CU_ASSERT_STRING_EQUAL(result->message, "");
    CU_ASSERT_EQUAL_FATAL(result->size, size);
    if (size)
        CU_ASSERT_EQUAL(memcmp(result->data, data, size), 0);
}

/* ---- results */

static void returns_argument(rp_call *call, const void *arg, size_t size)
{
    CU_ASSERT_EQUAL(rp_return(call, arg, size), RP_OK);
}

static void returned(void)
{
    uint8_t bytes[3 * ROOM];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(7 * i);
    set_up();
    for (size_t size = 0; size <= sizeof bytes; size++) {
        struct rpi_result result = run(bytes, size, returns_argument, RP_OK);
        is_success(&result, bytes, size);
        CU_ASSERT_EQUAL(result.owned != NULL, size > ROOM);
        rpi_buffer_free(result.owned);
    }
    tear_down();
}

static void nothing_returned(void)
{
    set_up();
    struct rpi_result result = run("x", 1, NULL, RP_OK);
    is_success(&result, NULL, 0);
    CU_ASSERT_PTR_NULL(result.owned);
    tear_down();
}

static void returns_three_times(rp_call *call, const void *arg, size_t size)
{
    static const uint8_t big[2 * ROOM];
    (void)arg;
    (void)size;
    CU_ASSERT_EQUAL(rp_return(call, "first", 5), RP_OK);
    CU_ASSERT_EQUAL(rp_return(call, big, sizeof big), RP_OK);
    CU_ASSERT_EQUAL(rp_return(call, "last", 4), RP_OK);
}

static void last_one_counts(void)
{
    set_up();
    struct rpi_result result = run(NULL, 0, returns_three_times, RP_OK);
    is_success(&result, "last", 4);
    CU_ASSERT_PTR_NULL(result.owned); /* the big one is freed */
    tear_down();
}

static void reserves_and_writes(rp_call *call, const void *arg, size_t size)
{
    uint8_t *room = rp_reserve(call, size * 4);
    CU_ASSERT_PTR_NOT_NULL_FATAL(room);
    CU_ASSERT_EQUAL((uintptr_t)room % _Alignof(max_align_t), 0);
    for (int i = 0; i < 4; i++)
        memcpy(room + (size_t)i * size, arg, size);
}

static void reserved(void)
{
    set_up();
    struct rpi_result result = run("ab", 2, reserves_and_writes, RP_OK);
    is_success(&result, "abababab", 8);
    static const uint8_t long_arg[ROOM] = { 1, 2, 3 };
    result = run(long_arg, sizeof long_arg, reserves_and_writes, RP_OK);
    CU_ASSERT_EQUAL(result.size, 4 * ROOM);
    CU_ASSERT_PTR_NOT_NULL(result.owned);
    CU_ASSERT_PTR_EQUAL(result.owned, result.data);
    CU_ASSERT_EQUAL(memcmp((const uint8_t *)result.data + 3 * ROOM, long_arg, sizeof long_arg), 0);
    rpi_buffer_free(result.owned);
    tear_down();
}

static void returns_part_of_what_it_reserved(rp_call *call, const void *arg, size_t size)
{
    char *room = rp_reserve(call, *(const size_t *)arg);
    (void)size;
    memcpy(room, "0123456789", 10);
    CU_ASSERT_EQUAL(rp_return(call, room + 3, 4), RP_OK); /* within its own room */
}

static void result_from_its_own_room(void)
{
    static const size_t sizes[] = { 10, ROOM, 2 * ROOM };
    set_up();
    for (size_t i = 0; i < 3; i++) {
        struct rpi_result result = run(&sizes[i], sizeof *sizes, returns_part_of_what_it_reserved,
                                       RP_OK);
        is_success(&result, "3456", 4);
        CU_ASSERT_PTR_NULL(result.owned);
    }
    tear_down();
}

static void returns_badly(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    CU_ASSERT_EQUAL(rp_return(call, "kept", 4), RP_OK);
    CU_ASSERT_EQUAL(rp_return(call, NULL, 5), RP_ERR_INVALID);
    CU_ASSERT_EQUAL(rp_return(NULL, "x", 1), RP_ERR_INVALID);
    CU_ASSERT_PTR_NULL(rp_reserve(NULL, 1));
    CU_ASSERT_EQUAL(rp_fail(NULL, 1, "x"), RP_ERR_TASK);
}

static void bad_arguments_change_nothing(void)
{
    set_up();
    struct rpi_result result = run(NULL, 0, returns_badly, RP_OK);
    is_success(&result, "kept", 4);
    tear_down();
}

/* ---- failures */

/* Whatever else a function returns, the task has failed with that as its code. */
static void every_returned_value(void)
{
    static const int values[] = { -2147483647,
                                  -1,
                                  RP_END,
                                  2,
                                  10,
                                  RP_ERR_NOMEM,
                                  RP_ERR_TIMEOUT,
                                  RP_ERR_TASK,
                                  RP_ERR_DEADLINE,
                                  RP_ERR_LOST,
                                  RP_ERR_BROKEN,
                                  99,
                                  2147483647 };
    set_up();
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct rpi_result result = run("x", 1, returns_argument, (rp_status)values[i]);
        is_failure(&result, RP_ERR_TASK, values[i], "");
    }
    struct rpi_result result = run("x", 1, returns_argument, RP_ERR_CANCELLED);
    CU_ASSERT_EQUAL(result.status, RP_ERR_CANCELLED);
    tear_down();
}

static void fails(rp_call *call, const void *arg, size_t size)
{
    (void)size;
    CU_ASSERT_EQUAL(rp_fail(call, 5, "%s number %d", "bolt", 17), RP_ERR_TASK);
    if (arg)
        CU_ASSERT_EQUAL(rp_fail(call, -6, NULL), RP_ERR_TASK);
}

static void failed_with_words(void)
{
    set_up();
    struct rpi_result result = run(NULL, 0, fails, RP_ERR_TASK);
    is_failure(&result, RP_ERR_TASK, 5, "bolt number 17");
    result = run("x", 1, fails, RP_ERR_TASK); /* the last one counts */
    is_failure(&result, RP_ERR_TASK, -6, "");
    result = run(NULL, 0, NULL, RP_ERR_TASK); /* and is forgotten by the next task */
    is_failure(&result, RP_ERR_TASK, RP_ERR_TASK, "");
    result = run(NULL, 0, fails, RP_OK); /* it went on, and was right after all */
    is_success(&result, NULL, 0);
    tear_down();
}

static void fails_at_length(rp_call *call, const void *arg, size_t size)
{
    char text[RPI_MESSAGE_MAX + 500];
    (void)arg;
    (void)size;
    memset(text, 'y', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    (void)rp_fail(call, 1, "%s", text);
}

static void long_message_is_cut(void)
{
    set_up();
    struct rpi_result result = run(NULL, 0, fails_at_length, RP_ERR_TASK);
    CU_ASSERT_EQUAL(strlen(result.message), RPI_MESSAGE_MAX);
    tear_down();
}

static void returns_much(rp_call *call, const void *arg, size_t size)
{
    static const uint8_t much[4 * ROOM];
    (void)arg;
    (void)size;
    memory.fail_at = memory.calls + 1;
    CU_ASSERT_EQUAL(rp_return(call, much, sizeof much), RP_ERR_NOMEM);
}

static void reserves_much(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    memory.fail_at = memory.calls + 1;
    CU_ASSERT_PTR_NULL(rp_reserve(call, 4 * ROOM));
}

/* A function that does not look at what rp_return says has failed all the same. */
static void no_memory_for_the_result(void)
{
    set_up();
    struct rpi_result result = run(NULL, 0, returns_much, RP_OK);
    CU_ASSERT_EQUAL(result.status, RP_ERR_TASK);
    CU_ASSERT_EQUAL(result.code, RP_ERR_NOMEM);
    CU_ASSERT_PTR_NOT_NULL(strstr(result.message, "memory"));
    result = run(NULL, 0, reserves_much, RP_OK);
    CU_ASSERT_EQUAL(result.status, RP_ERR_TASK);
    CU_ASSERT_EQUAL(result.code, RP_ERR_NOMEM);
    result = run("fine", 4, returns_argument, RP_OK);
    is_success(&result, "fine", 4);
    tear_down();
}

static void fails_with_a_big_result(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    CU_ASSERT_PTR_NOT_NULL(rp_reserve(call, 4 * ROOM));
}

static void failure_drops_the_result(void)
{
    set_up();
    struct rpi_result result = run(NULL, 0, fails_with_a_big_result, (rp_status)77);
    is_failure(&result, RP_ERR_TASK, 77, "");
    CU_ASSERT_PTR_NULL(result.owned);
    tear_down();
}

/* ---- what a task sees */

static void aligned_arguments(void)
{
    _Alignas(16) uint8_t bytes[512] = { 0 };
    static const size_t sizes[] = { 16, 24, 32, 48, 256 };
    set_up();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t k = 0; k < sizes[i]; k++)
            bytes[8 + k] = (uint8_t)(k + i);
        struct rpi_result result = run(bytes + 8, sizes[i], returns_argument,
                                       RP_OK); /* as it may lie in a batch */
        is_success(&result, bytes + 8, sizes[i]);
        rpi_buffer_free(result.owned);
        CU_ASSERT_EQUAL(script.size, sizes[i]);
    }
    CU_ASSERT_FALSE(script.misaligned);
    tear_down();
}

static void asks_about_itself(rp_call *call, const void *arg, size_t size)
{
    rp_call_info info = RP_CALL_INFO_INIT, old = { .struct_size = 8, .worker = 99 };
    (void)arg;
    (void)size;
    rp_call_info_of(call, &info);
    CU_ASSERT_EQUAL(info.task, 42);
    CU_ASSERT_EQUAL(info.attempt, 2);
    CU_ASSERT_EQUAL(info.worker, 3);
    CU_ASSERT_STRING_EQUAL(info.host, "host3");
    CU_ASSERT_STRING_EQUAL(info.name, "play");
    rp_call_info_of(call, &old);
    rp_call_info_of(NULL, &old);
    rp_call_info_of(call, NULL);
    CU_ASSERT_EQUAL(old.worker, 99);
    CU_ASSERT_PTR_EQUAL(rpi_call_current(), call);
    CU_ASSERT_EQUAL(rpi_call_forbid("rp_submit"), RP_ERR_CONTEXT);
    CU_ASSERT_PTR_NOT_NULL(strstr(rp_error_message(), "rp_submit"));
    CU_ASSERT_PTR_NOT_NULL(strstr(rp_error_message(), "play"));
}

static void call_info(void)
{
    set_up();
    CU_ASSERT_PTR_NULL(rpi_call_current());
    CU_ASSERT_EQUAL(rpi_call_forbid("rp_submit"), RP_OK);
    struct rpi_result result = run(NULL, 0, asks_about_itself, RP_OK);
    CU_ASSERT_EQUAL(result.status, RP_OK);
    CU_ASSERT_PTR_NULL(rpi_call_current());
    CU_ASSERT_EQUAL(rpi_call_forbid("rp_submit"), RP_OK);
    tear_down();
}

static void right_function_runs(void)
{
    struct rpi_task task = { .size = 7, .arg = "1234567" };
    struct rpi_result result;
    set_up();
    task.function = rpi_registry_find(&registry, other);
    rpi_inline_execute(&executor, &task, &result);
    is_failure(&result, RP_ERR_TASK, 7, "the other function");
    CU_ASSERT_EQUAL(script.times, 0);
    tear_down();
}

/* ---- chunks of a map */

#define ITEMS 10

/* Item i is the byte i; even ones give two bytes, 100 + i and 200 + i; what odd ones do, `odd`
 * says. */
static void (*odd)(rp_call *call, const void *arg, size_t size);
static rp_status odd_returns;

static rp_status one_item(rp_call *call, const void *arg, size_t size)
{
    uint8_t i = *(const uint8_t *)arg, both[2] = { (uint8_t)(100 + i), (uint8_t)(200 + i) };
    if (i % 2 == 0 || !odd)
        return rp_return(call, both, sizeof both);
    odd(call, arg, size);
    return odd_returns;
}

static struct rpi_result run_chunk(uint32_t count, uint32_t in_size, uint32_t out_size,
                                   const void *items)
{
    struct rpi_task task = { .number = 42,
                             .function = rpi_registry_find(&registry, one_item),
                             .attempt = 1 };
    struct rpi_result result;
    task.is_chunk = true;
    task.chunk = (struct rpi_chunk){ .count = count, .in_size = in_size, .out_size = out_size };
    task.arg = items;
    task.size = (size_t)count * in_size;
    rpi_inline_expect(&executor, &task);
    rpi_inline_execute(&executor, &task, &result);
    return result;
}

static int begin_chunks(void)
{
    return begin() || rp_register("one_item", one_item) != RP_OK;
}

static const uint8_t ten[ITEMS] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 };

static void whole_chunk(void)
{
    set_up();
    odd = NULL;
    struct rpi_result result = run_chunk(ITEMS, 1, 2, ten);
    CU_ASSERT_EQUAL(result.status, RP_OK);
    CU_ASSERT_EQUAL(result.failures, 0);
    CU_ASSERT_EQUAL_FATAL(result.size, 2 * ITEMS);
    const uint8_t *data = result.data;
    for (int i = 0; i < ITEMS; i++)
        CU_ASSERT_TRUE(data[2 * i] == 100 + i && data[2 * i + 1] == 200 + i);
    CU_ASSERT_PTR_NULL(result.owned);
    tear_down();
}

/* Checks that the failures after the results are those of the odd items, in order. */
static void odd_failed(const struct rpi_result *result, rp_status status, int code,
                       const char *message)
{
    const uint8_t *data = result->data, *end = data + result->size;
    const uint8_t *at = data + rpi_wire_padded(2 * ITEMS);
    CU_ASSERT_EQUAL(result->status, RP_OK);
    CU_ASSERT_EQUAL_FATAL(result->failures, ITEMS / 2);
    for (uint32_t i = 1; i < ITEMS; i += 2) {
        struct rpi_item_failure failure;
        CU_ASSERT_EQUAL_FATAL(rpi_item_failure_get(&at, end, &failure), RP_OK);
        CU_ASSERT_EQUAL(failure.item, i);
        CU_ASSERT_EQUAL(failure.status, status);
        CU_ASSERT_EQUAL(failure.code, code);
        CU_ASSERT_EQUAL_FATAL(failure.length, strlen(message));
        CU_ASSERT_EQUAL(memcmp(failure.message, message, failure.length), 0);
    }
    CU_ASSERT_PTR_EQUAL(at, end);
    for (int i = 0; i < ITEMS; i += 2)
        CU_ASSERT_TRUE(data[2 * i] == 100 + i && data[2 * i + 1] == 200 + i);
}

static void fails_by_word(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    (void)rp_fail(call, 31, "odd");
}

static void returns_three_bytes(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    CU_ASSERT_EQUAL(rp_return(call, "abc", 3), RP_OK); /* there is room for two */
}

static void returns_one_byte(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    CU_ASSERT_EQUAL(rp_return(call, "a", 1), RP_OK);
}

static void does_nothing(rp_call *call, const void *arg, size_t size)
{
    (void)call;
    (void)arg;
    (void)size;
}

static void items_that_fail(void)
{
    static const struct {
        void (*odd)(rp_call *call, const void *arg, size_t size);
        rp_status returned, status;
        int code;
        const char *message;
    } cases[] = {
        { fails_by_word, RP_ERR_TASK, RP_ERR_TASK, 31, "odd" },
        { does_nothing, (rp_status)123, RP_ERR_TASK, 123, "" },
        { returns_three_bytes, RP_OK, RP_ERR_SIZE, 0, "its result has 3 bytes, the map takes 2" },
        { returns_one_byte, RP_OK, RP_ERR_SIZE, 0, "its result has 1 bytes, the map takes 2" },
        { does_nothing, RP_OK, RP_ERR_SIZE, 0, "its result has 0 bytes, the map takes 2" },
    };
    set_up();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        odd = cases[i].odd;
        odd_returns = cases[i].returned;
        struct rpi_result result = run_chunk(ITEMS, 1, 2, ten);
        odd_failed(&result, cases[i].status, cases[i].code, cases[i].message);
        rpi_buffer_free(result.owned);
    }
    tear_down();
}

/* A long result of one item has a buffer, which is no result of the chunk. */
static void returns_too_much(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    CU_ASSERT_PTR_NOT_NULL(rp_reserve(call, 10000));
}

static void items_that_give_too_much(void)
{
    set_up();
    odd = returns_too_much;
    odd_returns = RP_OK;
    uint64_t live = memory.live;
    struct rpi_result result = run_chunk(ITEMS, 1, 2, ten);
    CU_ASSERT_TRUE(memory.live <= live + 2); /* the failures', and perhaps the whole result's */
    odd_failed(&result, RP_ERR_SIZE, 0, "its result has 10000 bytes, the map takes 2");
    rpi_buffer_free(result.owned);
    tear_down();
}

static void long_chunk_has_its_own_buffer(void)
{
    uint8_t items[2 * ROOM] = { 0 };
    set_up();
    odd = fails_by_word;
    odd_returns = RP_ERR_TASK;
    for (size_t i = 0; i < sizeof items; i++)
        items[i] = 2; /* all even */
    items[ROOM] = 3;
    struct rpi_result result = run_chunk(sizeof items, 1, 2, items);
    CU_ASSERT_EQUAL(result.failures, 1);
    CU_ASSERT_PTR_NOT_NULL(result.owned);
    CU_ASSERT_EQUAL_FATAL(result.size, 4 * ROOM + rpi_item_failure_size(3));
    const uint8_t *data = result.data, *at = data + 4 * ROOM;
    CU_ASSERT_TRUE(data[0] == 102 && data[4 * ROOM - 1] == 202);
    struct rpi_item_failure failure;
    CU_ASSERT_EQUAL(rpi_item_failure_get(&at, data + result.size, &failure), RP_OK);
    CU_ASSERT_EQUAL(failure.item, ROOM);
    rpi_buffer_free(result.owned);
    tear_down();
}

static void cuts_itself(rp_call *call, const void *arg, size_t size)
{
    (void)size;
    if (*(const uint8_t *)arg == 3)
        CU_ASSERT_EQUAL(rpi_mailbox_progress_cut(&executor.own, NULL), 4);
    (void)rp_fail(call, 9, "odd");
}

/* The chunk is cut while its fourth item runs: that item is its last, and the failures so far come
 * after the results that it keeps. */
static void cut_on_its_way(void)
{
    const uint8_t items[ITEMS] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 };
    struct rpi_item_failure failure;
    set_up();
    odd = cuts_itself;
    odd_returns = RP_ERR_TASK;
    struct rpi_result result = run_chunk(ITEMS, 1, 2, items);
    const uint8_t *data = result.data, *at = data + 8, *end = data + result.size;
    CU_ASSERT_EQUAL(result.status, RP_OK);
    CU_ASSERT_EQUAL(result.failures, 2);
    CU_ASSERT_TRUE(data[0] == 100 && data[4] == 102);
    for (uint32_t item = 1; item <= 3; item += 2) {
        CU_ASSERT_EQUAL_FATAL(rpi_item_failure_get(&at, end, &failure), RP_OK);
        CU_ASSERT_EQUAL(failure.item, item);
    }
    CU_ASSERT_PTR_EQUAL(at, end);
    rpi_buffer_free(result.owned);
    tear_down();
}

static void items_of_no_bytes(void)
{
    set_up();
    odd = NULL;
    struct rpi_task task = { .function = rpi_registry_find(&registry, play), .is_chunk = true };
    struct rpi_result result;
    task.chunk = (struct rpi_chunk){ .count = 1000 };
    rpi_inline_expect(&executor, &task);
    rpi_inline_execute(&executor, &task, &result);
    CU_ASSERT_EQUAL(script.times, 1000);
    CU_ASSERT_EQUAL(result.status, RP_OK);
    CU_ASSERT_EQUAL(result.size, 0);
    CU_ASSERT_EQUAL(result.failures, 0);
    tear_down();
}

static void aligned_items(void)
{
    _Alignas(16) uint8_t items[16 + 8 * 16] = { 0 };
    struct rpi_task task = { .is_chunk = true, .arg = items + 8, .size = 128 };
    struct rpi_result result;
    set_up();
    task.function = rpi_registry_find(&registry, play);
    task.chunk = (struct rpi_chunk){ .count = 8, .in_size = 16 };
    rpi_inline_expect(&executor, &task);
    rpi_inline_execute(&executor, &task, &result);
    CU_ASSERT_EQUAL(script.times, 8);
    CU_ASSERT_FALSE(script.misaligned);
    CU_ASSERT_EQUAL(result.status, RP_OK);
    tear_down();
}

/* Every allocation that a chunk needs fails in turn: the chunk fails, or an item, and nothing is
 * lost. */
static void chunk_without_memory(void)
{
    uint8_t items[2 * ROOM];
    for (size_t i = 0; i < sizeof items; i++)
        items[i] = (uint8_t)(i % 10);
    uint64_t call = 1;
    for (bool refused = true; refused; call++) {
        set_up();
        odd = fails_by_word;
        odd_returns = RP_ERR_TASK;
        memory.calls = 0;
        memory.fail_at = call;
        struct rpi_result result = run_chunk(sizeof items, 1, 2, items);
        refused = memory.refused;
        if (refused) {
            CU_ASSERT_EQUAL(result.status, RP_ERR_TASK);
            CU_ASSERT_EQUAL(result.code, RP_ERR_NOMEM);
            CU_ASSERT_PTR_NOT_NULL(strstr(result.message, "memory"));
        } else {
            CU_ASSERT_EQUAL(result.status, RP_OK);
            CU_ASSERT_EQUAL(result.failures, ROOM);
            rpi_buffer_free(result.owned);
        }
        tear_down();
    }
    CU_ASSERT_TRUE(call > 5);
}

static void init_without_memory(void)
{
    set_up();
    for (uint64_t call = 1; call <= 2; call++) {
        struct rpi_inline another;
        uint64_t live = memory.live;
        memory.calls = 0;
        memory.fail_at = call;
        CU_ASSERT_EQUAL(rpi_inline_init(&another, &alloc, &registry, ROOM, 1, "h"), RP_ERR_NOMEM);
        CU_ASSERT_EQUAL(memory.live, live);
    }
    tear_down();
}

static CU_TestInfo tasks[] = { { "returned", returned },
                               { "nothing_returned", nothing_returned },
                               { "last_one_counts", last_one_counts },
                               { "reserved", reserved },
                               { "result_from_its_own_room", result_from_its_own_room },
                               { "bad_arguments_change_nothing", bad_arguments_change_nothing },
                               { "every_returned_value", every_returned_value },
                               { "failed_with_words", failed_with_words },
                               { "long_message_is_cut", long_message_is_cut },
                               { "no_memory_for_the_result", no_memory_for_the_result },
                               { "failure_drops_the_result", failure_drops_the_result },
                               { "aligned_arguments", aligned_arguments },
                               { "call_info", call_info },
                               { "right_function_runs", right_function_runs },
                               CU_TEST_INFO_NULL };
static CU_TestInfo chunks[] = { { "whole_chunk", whole_chunk },
                                { "items_that_fail", items_that_fail },
                                { "items_that_give_too_much", items_that_give_too_much },
                                { "long_chunk_has_its_own_buffer", long_chunk_has_its_own_buffer },
                                { "cut_on_its_way", cut_on_its_way },
                                { "items_of_no_bytes", items_of_no_bytes },
                                { "aligned_items", aligned_items },
                                { "chunk_without_memory", chunk_without_memory },
                                { "init_without_memory", init_without_memory },
                                CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "tasks", begin, NULL, NULL, NULL, tasks },
                                 { "chunks", begin_chunks, NULL, NULL, NULL, chunks },
                                 CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
