/* The future table: ids that go stale, slots that come again and never move. */
#include "harness.h"
#include "memory.h"
#include "tables/futures.h"

#include <string.h>

static struct memory memory;
static struct rpi_futures futures;

static void begin(uint32_t first_generation)
{
    memory = (struct memory){ 0 };
    struct rpi_alloc alloc = memory_hook(&memory);
    rpi_futures_init(&futures, &alloc, first_generation);
}

static void end(void)
{
    rpi_futures_fini(&futures);
    CU_ASSERT_EQUAL(memory.live, 0);
}

static uint64_t make(void)
{
    uint64_t id = 0;
    struct rpi_future *future = rpi_future_new(&futures, &id);
    CU_ASSERT_PTR_NOT_NULL_FATAL(future);
    CU_ASSERT_PTR_EQUAL(rpi_future_of(&futures, id), future);
    return id;
}

static void drop(uint64_t id)
{
    struct rpi_future *future = rpi_future_of(&futures, id);
    CU_ASSERT_PTR_NOT_NULL_FATAL(future);
    rpi_future_free(&futures, id, future);
    CU_ASSERT_PTR_NULL(rpi_future_of(&futures, id));
}

static void new_one_is_empty(void)
{
    static const struct rpi_future empty;
    begin(9);
    for (int i = 0; i < 3; i++) {
        uint64_t id = make();
        struct rpi_future *future = rpi_future_of(&futures, id), expected = empty;
        expected.state = RP_QUEUED;
        expected.generation = (uint32_t)(id >> 32);
        CU_ASSERT_EQUAL(memcmp(future, &expected, sizeof expected), 0);
        memset(&expected, 0xFF, sizeof expected);
        expected.generation = future->generation;
        expected.flags = 0;
        *future = expected; /* junk, for the next one to find */
        drop(id);
    }
    end();
}

static void ids_go_stale(void)
{
    uint64_t old[100];
    begin(1);
    for (int i = 0; i < 100; i++) {
        old[i] = make();
        drop(old[i]);
        for (int k = 0; k <= i; k++)
            CU_ASSERT_PTR_NULL(rpi_future_of(&futures, old[k]));
    }
    CU_ASSERT_EQUAL(futures.touched, 1); /* the same slot each time */
    uint64_t live = make();
    for (int i = 0; i < 100; i++)
        CU_ASSERT_TRUE(rpi_future_of(&futures, old[i]) == NULL && old[i] != live);
    end();
}

static void ids_that_never_were(void)
{
    static const uint32_t generations[] = { 0, 1, UINT32_MAX };
    for (size_t i = 0; i < 3; i++) {
        begin(generations[i]);
        CU_ASSERT_PTR_NULL(rpi_future_of(&futures, 0));
        CU_ASSERT_PTR_NULL(rpi_future_of(&futures, (uint64_t)generations[i] << 32));
        uint64_t id = make();
        CU_ASSERT_NOT_EQUAL(id, 0);
        CU_ASSERT_PTR_NULL(
            rpi_future_of(&futures, 0)); /* slot 0 is live, but not with generation 0 */
        CU_ASSERT_PTR_NULL(rpi_future_of(&futures, id + 1));
        CU_ASSERT_PTR_NULL(rpi_future_of(&futures, id + ((uint64_t)1 << 32)));
        CU_ASSERT_PTR_NULL(rpi_future_of(&futures, id - ((uint64_t)1 << 32)));
        CU_ASSERT_PTR_NULL(rpi_future_of(&futures, id | UINT32_MAX));
        CU_ASSERT_PTR_NULL(rpi_future_of(&futures, UINT64_MAX));
        end();
    }
}

static bool says_why(uint64_t id, const char *why)
{
    return strstr(rpi_future_why_stale(&futures, id), why);
}

/* Whatever the first generation, also where they come round past 0. */
static void why_an_id_is_stale(void)
{
    static const uint32_t generations[] = { 1, 1000, UINT32_MAX - 1, UINT32_MAX };
    for (size_t i = 0; i < 4; i++) {
        uint64_t old[5];
        begin(generations[i]);
        CU_ASSERT(says_why(0, "{0}"));
        CU_ASSERT(says_why((uint64_t)generations[i] << 32, "another pool")); /* no slot was used */
        for (int k = 0; k < 5; k++)
            drop(old[k] = make());
        uint64_t live = make();
        for (int k = 0; k < 5; k++)
            CU_ASSERT(says_why(old[k], "released already"));
        CU_ASSERT(says_why(live + ((uint64_t)1 << 32), "another pool"));
        CU_ASSERT(says_why(old[0] - ((uint64_t)2 << 32), "another pool"));
        CU_ASSERT(says_why(live + 1, "another pool")); /* a slot that was never used */
        rpi_future_of(&futures, live)->flags = RPI_FUTURE_RELEASED;
        CU_ASSERT(says_why(live, "released already")); /* and not settled yet */
        rpi_future_of(&futures, live)->flags = RPI_FUTURE_RELEASED | RPI_FUTURE_STREAMED;
        CU_ASSERT(says_why(live, "belongs to a stream"));
        end();
    }
}

static void ids_of_another_table(void)
{
    struct rpi_futures other;
    struct rpi_alloc alloc = memory_hook(&memory);
    begin(1000);
    rpi_futures_init(&other, &alloc, 5000);
    for (int i = 0; i < 50; i++) {
        uint64_t id;
        CU_ASSERT_PTR_NOT_NULL(rpi_future_new(&other, &id));
        CU_ASSERT_PTR_NULL(rpi_future_of(&futures, id));
        CU_ASSERT_PTR_NULL(rpi_future_of(&other, make()));
    }
    rpi_futures_fini(&other);
    end();
}

/* A slot is used for every generation but 0, once; then never again, so that its first id stays
 * stale. */
static void retires_when_the_generation_comes_round(void)
{
    begin(7);
    uint64_t first = make(), id = first;
    CU_ASSERT_EQUAL(first >> 32, 7);
    drop(first);
    rpi_future_slot(&futures, 0)->generation = UINT32_MAX - 1; /* 4 billion uses later */
    id = make();
    CU_ASSERT_EQUAL(id, (uint64_t)(UINT32_MAX - 1) << 32);
    drop(id);
    id = make();
    CU_ASSERT_EQUAL(id >> 32, UINT32_MAX);
    drop(id);
    for (uint64_t generation = 1; generation < 7; generation++) { /* 0 is left out */
        id = make();
        CU_ASSERT_EQUAL(id, generation << 32);
        drop(id);
    }
    id = make();
    CU_ASSERT_EQUAL((uint32_t)id, 1); /* another slot */
    CU_ASSERT_PTR_NULL(rpi_future_of(&futures, first));
    drop(id);
    CU_ASSERT_EQUAL((uint32_t)make(), 1);
    end();
}

static void last_one_freed_comes_first(void)
{
    uint64_t ids[10];
    begin(3);
    for (int i = 0; i < 10; i++)
        ids[i] = make();
    CU_ASSERT_EQUAL(futures.live, 10);
    drop(ids[4]);
    drop(ids[2]);
    drop(ids[7]);
    CU_ASSERT_EQUAL(futures.live, 7);
    CU_ASSERT_EQUAL((uint32_t)make(), 7);
    CU_ASSERT_EQUAL((uint32_t)make(), 2);
    CU_ASSERT_EQUAL((uint32_t)make(), 4);
    CU_ASSERT_EQUAL((uint32_t)make(), 10);
    CU_ASSERT_EQUAL(futures.live, 11);
    end();
}

/* Outcomes lend pointers into slots: a slot stays where it is however the table grows. */
static void slots_never_move(void)
{
    enum { COUNT = 70 * RPI_SEGMENT }; /* more segments than the first table of them holds */
    begin(1);
    uint64_t first = make();
    struct rpi_future *place = rpi_future_of(&futures, first), *late = NULL;
    for (uint32_t i = 1; i < COUNT; i++) {
        uint64_t id = make();
        if (i == RPI_SEGMENT + 5)
            late = rpi_future_of(&futures, id);
        if ((uint32_t)id != i)
            CU_FAIL_FATAL("slots are not used in their order");
    }
    CU_ASSERT_PTR_EQUAL(rpi_future_of(&futures, first), place);
    CU_ASSERT_PTR_EQUAL(rpi_future_slot(&futures, RPI_SEGMENT + 5), late);
    CU_ASSERT_EQUAL(futures.live, COUNT);
    CU_ASSERT_TRUE(memory.bytes <= COUNT * sizeof(struct rpi_future) + 4096);
    CU_ASSERT_EQUAL(sizeof(struct rpi_future), 40);
    end();
}

static void frees_what_outcomes_hold(void)
{
    struct rpi_alloc alloc = memory_hook(&memory);
    begin(1);
    uint64_t keep = 0;
    for (int round = 0; round < 2; round++) {
        uint64_t buffer = make(), failure = make(), pending = make();
        struct rpi_future *future = rpi_future_of(&futures, buffer);
        future->state = RP_DONE;
        future->flags = RPI_FUTURE_BUFFER;
        future->done.data = rpi_buffer_new(&alloc, 100);
        future = rpi_future_of(&futures, failure);
        future->state = RP_DONE;
        future->status = RP_ERR_TASK;
        future->done.data = rpi_reserve(&alloc, 100);
        future = rpi_future_of(&futures, pending);
        memset(&future->pending, 0xFF, sizeof future->pending); /* no data of an outcome */
        uint64_t live = memory.live;
        if (round == 1)
            break; /* the second round's are freed with the table */
        drop(buffer);
        drop(failure);
        CU_ASSERT_EQUAL(memory.live, live - 2);
        drop(pending);
        CU_ASSERT_EQUAL(memory.live, live - 2);
        keep = pending;
    }
    CU_ASSERT_PTR_NULL(rpi_future_of(&futures, keep));
    end();
}

static void without_memory(void)
{
    begin(1);
    for (uint64_t call = 1; call <= 2; call++) {
        uint64_t id = 77;
        memory.calls = 0;
        memory.fail_at = call;
        CU_ASSERT_PTR_NULL(rpi_future_new(&futures, &id));
        CU_ASSERT_EQUAL(id, 77);
        CU_ASSERT_EQUAL(futures.live, 0);
        CU_ASSERT_EQUAL(futures.touched, 0);
        rpi_futures_fini(&futures);
        begin(1);
    }
    for (uint32_t i = 0; i < RPI_SEGMENT; i++)
        (void)make();
    memory.calls = 0;
    memory.fail_at = 1;
    uint64_t id;
    CU_ASSERT_PTR_NULL(rpi_future_new(&futures, &id));
    CU_ASSERT_EQUAL(futures.live, RPI_SEGMENT);
    CU_ASSERT_EQUAL((uint32_t)make(), RPI_SEGMENT); /* a moment later there is some */
    end();
}

static CU_TestInfo tests[] = { { "new_one_is_empty", new_one_is_empty },
                               { "ids_go_stale", ids_go_stale },
                               { "ids_that_never_were", ids_that_never_were },
                               { "why_an_id_is_stale", why_an_id_is_stale },
                               { "ids_of_another_table", ids_of_another_table },
                               { "retires_when_the_generation_comes_round",
                                 retires_when_the_generation_comes_round },
                               { "last_one_freed_comes_first", last_one_freed_comes_first },
                               { "slots_never_move", slots_never_move },
                               { "frees_what_outcomes_hold", frees_what_outcomes_hold },
                               { "without_memory", without_memory },
                               CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "futures", NULL, NULL, NULL, NULL, tests }, CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
