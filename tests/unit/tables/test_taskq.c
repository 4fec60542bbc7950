/* The ready queue against a plain list kept beside it. */
#include "harness.h"
#include "memory.h"
#include "proto/wire.h"
#include "tables/taskq.h"

#include <stdlib.h>

static struct memory memory;
static struct rpi_taskq queue;
static uint64_t dropped, dropped_sum;

static void on_drop(void *context, const struct rpi_entry *entry)
{
    CU_ASSERT_PTR_EQUAL(context, &queue);
    dropped++;
    dropped_sum += entry->id;
}

static void begin(void)
{
    memory = (struct memory){ 0 };
    dropped = dropped_sum = 0;
    struct rpi_alloc alloc = memory_hook(&memory);
    rpi_taskq_init(&queue, &alloc);
}

static void end(void)
{
    rpi_taskq_fini(&queue, on_drop, &queue);
    CU_ASSERT_EQUAL(memory.live, 0);
}

/* ---- what is pushed: bytes that follow from the id */

static uint64_t state;

static uint32_t below(uint32_t limit)
{
    state = state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)((state >> 32) * limit >> 32);
}

static void fill(uint8_t *bytes, uint32_t size, uint64_t id)
{
    for (uint32_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(id * 31 + i);
}

static rp_status push(uint64_t id, uint32_t size, struct rpi_rank rank)
{
    uint8_t *bytes = test_room(NULL, size);
    fill(bytes, size, id);
    struct rpi_entry entry = {
        .id = id, .size = size, .function = (uint16_t)(id * 7), .data = size ? bytes : NULL
    };
    rank.order = id;
    rp_status status = rpi_taskq_push(&queue, &entry, &rank);
    memset(bytes, 0x55, size); /* it was copied */
    free(bytes);
    return status;
}

static void push_plain(uint64_t id, uint32_t size)
{
    CU_ASSERT_EQUAL(push(id, size, (struct rpi_rank){ 0 }), RP_OK);
}

static bool is_whole(const struct rpi_entry *entry, uint32_t size)
{
    uint8_t *bytes = test_room(NULL, size);
    fill(bytes, size, entry->id);
    bool whole = entry->size == size && entry->function == (uint16_t)(entry->id * 7) &&
                 entry->flags == 0 && (size == 0 || memcmp(entry->data, bytes, size) == 0);
    free(bytes);
    return whole;
}

/* The id at the head, which is taken off; 0: none. */
static uint64_t pop(void)
{
    struct rpi_entry entry;
    if (!rpi_taskq_peek(&queue, &entry))
        return 0;
    rpi_taskq_pop(&queue);
    return entry.id;
}

/* ---- order */

static void first_in_first_out(void)
{
    begin();
    CU_ASSERT_EQUAL(pop(), 0);
    for (uint64_t id = 1; id <= 1000; id++)
        push_plain(id, below(100));
    for (uint64_t id = 1; id <= 1000; id++)
        CU_ASSERT_EQUAL(pop(), id);
    CU_ASSERT_EQUAL(pop(), 0);
    push_plain(5, 8); /* and again, in the emptied block */
    CU_ASSERT_EQUAL(pop(), 5);
    CU_ASSERT_EQUAL(pop(), 0);
    end();
}

static void by_priority(void)
{
    static const int32_t priorities[] = { 0, -1, 5, 0, INT32_MIN, INT32_MAX, 5, -1, 0 };
    static const uint64_t order[] = { 6, 3, 7, 1, 4, 9, 2, 8, 5 };
    begin();
    for (uint64_t id = 1; id <= 9; id++)
        CU_ASSERT_EQUAL(push(id, 8, (struct rpi_rank){ .priority = priorities[id - 1] }), RP_OK);
    for (size_t i = 0; i < 9; i++)
        CU_ASSERT_EQUAL(pop(), order[i]);
    end();
}

static void by_cost_within_a_priority(void)
{
    begin();
    CU_ASSERT_EQUAL(push(1, 8, (struct rpi_rank){ .cost = 1 }), RP_OK);
    CU_ASSERT_EQUAL(push(2, 8, (struct rpi_rank){ .cost = 0 }), RP_OK);
    CU_ASSERT_EQUAL(push(3, 8, (struct rpi_rank){ .cost = 1e-9 }), RP_OK);
    CU_ASSERT_EQUAL(push(4, 8, (struct rpi_rank){ .cost = 9, .priority = -1 }), RP_OK);
    CU_ASSERT_EQUAL(push(5, 8, (struct rpi_rank){ .cost = 7 }), RP_OK);
    CU_ASSERT_EQUAL(push(6, 8, (struct rpi_rank){ .cost = 1 }), RP_OK);
    CU_ASSERT_EQUAL(push(7, 8, (struct rpi_rank){ .priority = 1 }), RP_OK);
    static const uint64_t order[] = { 7, 5, 1, 6, 3, 2, 4 };
    for (size_t i = 0; i < 7; i++)
        CU_ASSERT_EQUAL(pop(), order[i]);
    end();
}

static void what_came_back_goes_first(void)
{
    begin();
    push_plain(10, 8);
    push_plain(11, 8);
    CU_ASSERT_EQUAL(push(3, 8, (struct rpi_rank){ .back = true }), RP_OK);
    CU_ASSERT_EQUAL(push(2, 8, (struct rpi_rank){ .back = true }), RP_OK);
    CU_ASSERT_EQUAL(push(4, 8, (struct rpi_rank){ .back = true, .priority = -2 }), RP_OK);
    static const uint64_t order[] = { 2, 3, 10, 11, 4 };
    for (size_t i = 0; i < 5; i++)
        CU_ASSERT_EQUAL(pop(), order[i]);
    end();
}

/* ---- against a list */

struct item {
    uint64_t id;
    uint32_t size;
    struct rpi_rank rank;
};

#define MOST 300
static struct item list[MOST];
static size_t listed;

static bool goes_before(const struct item *a, const struct item *b)
{
    if (a->rank.priority != b->rank.priority)
        return a->rank.priority > b->rank.priority;
    if (a->rank.cost > b->rank.cost || a->rank.cost < b->rank.cost)
        return a->rank.cost > b->rank.cost;
    return a->id < b->id;
}

static struct item take_first(void)
{
    size_t first = 0;
    for (size_t i = 1; i < listed; i++)
        if (goes_before(&list[i], &list[first]))
            first = i;
    struct item item = list[first];
    list[first] = list[--listed];
    return item;
}

static void push_both(uint64_t id)
{
    static const uint32_t sizes[] = { 0, 1, 7, 8, 9, 64, 4000 };
    struct item item = { .id = id, .size = sizes[below(7)] };
    if (below(2))
        item.rank.priority = (int32_t)below(5) - 2;
    if (below(4) == 0)
        item.rank.cost = below(3);
    list[listed++] = item;
    CU_ASSERT_EQUAL(push(item.id, item.size, item.rank), RP_OK);
}

static void pop_both(void)
{
    struct rpi_entry entry, again;
    struct item item = take_first();
    CU_ASSERT_TRUE_FATAL(rpi_taskq_peek(&queue, &entry));
    CU_ASSERT_EQUAL(entry.id, item.id);
    CU_ASSERT_TRUE(is_whole(&entry, item.size));
    CU_ASSERT_TRUE(rpi_taskq_peek(&queue, &again)); /* looking changes nothing */
    CU_ASSERT_EQUAL(again.id, entry.id);
    rpi_taskq_pop(&queue);
}

static void random_pushes_and_pops(void)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        begin();
        state = seed;
        uint64_t id = 1;
        for (int i = 0; i < 1000; i++) {
            if (listed < MOST && below(100) < (i / 200 % 2 ? 30U : 70U))
                push_both(id++);
            else if (listed)
                pop_both();
        }
        while (listed)
            pop_both();
        CU_ASSERT_EQUAL(pop(), 0);
        end();
        CU_ASSERT_EQUAL(dropped, 0);
    }
}

/* ---- memory */

static void grows_over_many_blocks(void)
{
    enum { COUNT = 200000 };
    begin();
    for (uint64_t id = 1; id <= COUNT; id++)
        push_plain(id, 8);
    CU_ASSERT_TRUE(memory.live > 10);
    CU_ASSERT_TRUE(memory.bytes < 26U * COUNT); /* 16 bytes beside the argument */
    struct rpi_entry entry;
    for (uint64_t id = 1; id <= COUNT; id++) {
        if (!rpi_taskq_peek(&queue, &entry) || entry.id != id || !is_whole(&entry, 8))
            CU_FAIL_FATAL("an entry is lost or damaged");
        rpi_taskq_pop(&queue);
    }
    CU_ASSERT_TRUE(memory.live <= 2); /* given back as it is read */
    end();
}

/* A queue that stays short stays small, however much goes through. */
static void steady_flow_needs_one_block(void)
{
    begin();
    for (uint64_t id = 1; id <= 100000; id++) {
        push_plain(id, 40);
        if (id > 10)
            CU_ASSERT_EQUAL(pop(), id - 10);
    }
    CU_ASSERT_TRUE(memory.live <= 2);
    CU_ASSERT_TRUE(memory.calls < 10);
    end();
    CU_ASSERT_EQUAL(dropped, 10);
}

static void longest_inline_argument(void)
{
    uint32_t size = rpi_wire_inline_limit(RPI_BATCH_MAX);
    begin();
    push_plain(1, size);
    push_plain(2, 8);
    push_plain(3, size);
    CU_ASSERT_EQUAL(push(4, size, (struct rpi_rank){ .priority = -1 }), RP_OK);
    for (uint64_t id = 1; id <= 4; id++) {
        struct rpi_entry entry;
        CU_ASSERT_TRUE_FATAL(rpi_taskq_peek(&queue, &entry));
        CU_ASSERT_TRUE(entry.id == id && is_whole(&entry, id == 2 ? 8 : size));
        rpi_taskq_pop(&queue);
    }
    end();
}

/* What is pointed at is neither copied nor touched. */
static void pointers_are_kept(void)
{
    static const uint16_t flags[] = { RPI_ENTRY_LARGE, RPI_ENTRY_LARGE | RPI_ENTRY_OWNED,
                                      RPI_ENTRY_MAP, RPI_ENTRY_CHUNK };
    static uint8_t target[4];
    begin();
    for (uint32_t i = 0; i < 8; i++) {
        struct rpi_entry entry = {
            .id = i + 1, .size = UINT32_MAX, .flags = flags[i % 4], .data = &target[i % 4]
        };
        struct rpi_rank rank = { .priority = i < 4 ? 0 : -1, .order = i };
        CU_ASSERT_EQUAL(rpi_taskq_push(&queue, &entry, &rank), RP_OK);
    }
    for (uint32_t i = 0; i < 8; i++) {
        struct rpi_entry entry;
        CU_ASSERT_TRUE_FATAL(rpi_taskq_peek(&queue, &entry));
        CU_ASSERT_EQUAL(entry.id, i + 1);
        CU_ASSERT_EQUAL(entry.size, UINT32_MAX);
        CU_ASSERT_EQUAL(entry.flags, flags[i % 4]);
        CU_ASSERT_PTR_EQUAL(entry.data, &target[i % 4]);
        rpi_taskq_pop(&queue);
    }
    end();
}

static void end_drops_what_is_left(void)
{
    begin();
    for (uint64_t id = 1; id <= 5000; id++)
        CU_ASSERT_EQUAL(push(id, 30, (struct rpi_rank){ .priority = (int32_t)(id % 3) }), RP_OK);
    for (int i = 0; i < 100; i++)
        CU_ASSERT_NOT_EQUAL(pop(), 0);
    end();
    CU_ASSERT_EQUAL(dropped, 4900);
    begin();
    push_plain(17, 1);
    end();
    CU_ASSERT_EQUAL(dropped, 1);
    CU_ASSERT_EQUAL(dropped_sum, 17);
}

/* A push that finds no memory changes nothing and can be made again. */
static void push_without_memory(void)
{
    static const struct rpi_rank ranks[] = { { 0 }, { .priority = 1 } };
    for (size_t kind = 0; kind < 2; kind++) {
        begin();
        state = 7;
        int refused = 0;
        memory.fail_ppm = 500000;
        for (uint64_t id = 1; id <= 3000; id++)
            while (push(id, 60, ranks[kind]) == RP_ERR_NOMEM)
                refused++;
        memory.fail_ppm = 0;
        CU_ASSERT_TRUE(refused > 0);
        for (uint64_t id = 1; id <= 3000; id++)
            CU_ASSERT_EQUAL(pop(), id);
        CU_ASSERT_EQUAL(pop(), 0);
        end();
    }
}

static CU_TestInfo tests[] = { { "first_in_first_out", first_in_first_out },
                               { "by_priority", by_priority },
                               { "by_cost_within_a_priority", by_cost_within_a_priority },
                               { "what_came_back_goes_first", what_came_back_goes_first },
                               { "random_pushes_and_pops", random_pushes_and_pops },
                               { "grows_over_many_blocks", grows_over_many_blocks },
                               { "steady_flow_needs_one_block", steady_flow_needs_one_block },
                               { "longest_inline_argument", longest_inline_argument },
                               { "pointers_are_kept", pointers_are_kept },
                               { "end_drops_what_is_left", end_drops_what_is_left },
                               { "push_without_memory", push_without_memory },
                               CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "taskq", NULL, NULL, NULL, NULL, tests }, CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
