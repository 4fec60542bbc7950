/* Interned task options. */
#include "harness.h"
#include "memory.h"
#include "tables/completions.h"
#include "tables/options.h"

static struct memory memory;
static struct rpi_option_table table;

static void begin(void)
{
    memory = (struct memory){ 0 };
    struct rpi_alloc alloc = memory_hook(&memory);
    rpi_options_init(&table, &alloc);
}

static void end(void)
{
    rpi_options_fini(&table);
    CU_ASSERT_EQUAL(memory.live, 0);
}

static uint32_t intern(struct rpi_options options)
{
    uint32_t number = UINT32_MAX;
    CU_ASSERT_EQUAL(rpi_options_intern(&table, &options, &number), RP_OK);
    return number;
}

static void defaults_need_no_entry(void)
{
    begin();
    CU_ASSERT_EQUAL(intern((struct rpi_options){ 0 }), 0);
    CU_ASSERT_EQUAL(memory.calls, 0);
    const struct rpi_options *options = rpi_options_at(&table, 0);
    CU_ASSERT_TRUE(options->priority == 0 && options->retries == 0 && options->attempts == 0 &&
                   !(options->cost > 0));
    rpi_options_release(&table, 0);
    end();
}

static void on_done(rp_pool *pool, rp_future future, const rp_outcome *outcome, void *user)
{
    (void)pool;
    (void)future;
    (void)outcome;
    (void)user;
}

static void every_field_counts(void)
{
    static int somebody;
    static struct rpi_completions completions;
    const struct rpi_options some[] = {
        { .priority = -1 },
        { .retries = 1 },
        { .attempts = 1 },
        { .cost = 0.5 },
        { .time_limit = 0.5 },
        { .on_done = on_done },
        { .user = &somebody },
        { .worker = 1 },
        { .hard = true },
        { .completions = &completions },
        { .priority = -1, .retries = 1, .attempts = 1, .cost = 0.5 }
    };
    enum { SOME = sizeof some / sizeof *some };
    uint32_t numbers[SOME];
    begin();
    for (int i = 0; i < SOME; i++) {
        numbers[i] = intern(some[i]);
        CU_ASSERT_NOT_EQUAL(numbers[i], 0);
        for (int k = 0; k < i; k++)
            CU_ASSERT_NOT_EQUAL(numbers[k], numbers[i]);
    }
    for (int i = 0; i < SOME; i++) {
        const struct rpi_options *options = rpi_options_at(&table, numbers[i]);
        CU_ASSERT_EQUAL(options->priority, some[i].priority);
        CU_ASSERT_EQUAL(options->retries, some[i].retries);
        CU_ASSERT_EQUAL(options->attempts, some[i].attempts);
        CU_ASSERT_DOUBLE_EQUAL(options->cost, some[i].cost, 0);
        CU_ASSERT_DOUBLE_EQUAL(options->time_limit, some[i].time_limit, 0);
        CU_ASSERT_TRUE(options->on_done == some[i].on_done && options->user == some[i].user);
        CU_ASSERT_TRUE(options->worker == some[i].worker && options->hard == some[i].hard);
        CU_ASSERT_PTR_EQUAL(options->completions, some[i].completions);
        rpi_options_release(&table, numbers[i]);
    }
    end();
}

/* A million tasks of one kind share one entry. */
static void equals_in_a_row_are_shared(void)
{
    begin();
    uint32_t first = intern((struct rpi_options){ .priority = 3 });
    for (int i = 0; i < 10000; i++)
        CU_ASSERT_EQUAL(intern((struct rpi_options){ .priority = 3 }), first);
    uint32_t other = intern((struct rpi_options){ .priority = 4 });
    CU_ASSERT_NOT_EQUAL(other, first);
    for (int i = 0; i < 10000; i++)
        rpi_options_release(&table, first);
    CU_ASSERT_EQUAL(rpi_options_at(&table, first)->priority, 3); /* one holds it still */
    rpi_options_release(&table, first);
    CU_ASSERT_EQUAL(intern((struct rpi_options){ .retries = 9 }), first); /* free: used again */
    CU_ASSERT_EQUAL(rpi_options_at(&table, other)->priority, 4);
    CU_ASSERT_TRUE(table.count <= 3);
    end();
}

/* The last entry may have been released, and its number given to other options. */
static void last_one_may_be_gone(void)
{
    begin();
    uint32_t number = intern((struct rpi_options){ .priority = 1 });
    rpi_options_release(&table, number);
    CU_ASSERT_EQUAL(intern((struct rpi_options){ .priority = 1 }), number);
    CU_ASSERT_EQUAL(rpi_options_at(&table, number)->priority, 1);
    rpi_options_release(&table, number);
    CU_ASSERT_EQUAL(intern((struct rpi_options){ .priority = 2 }), number);
    CU_ASSERT_EQUAL(rpi_options_at(&table, number)->priority, 2);
    CU_ASSERT_NOT_EQUAL(intern((struct rpi_options){ .priority = 1 }), number);
    end();
}

static void many_live_at_once(void)
{
    enum { COUNT = 1000 };
    uint32_t numbers[COUNT];
    begin();
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++)
            numbers[i] = intern((struct rpi_options){ .priority = i + 1 });
        for (int i = 0; i < COUNT; i++)
            CU_ASSERT_EQUAL(rpi_options_at(&table, numbers[i])->priority, i + 1);
        for (int i = 0; i < COUNT; i++)
            rpi_options_release(&table, numbers[(i * 7 + round) % COUNT]);
    }
    CU_ASSERT_TRUE(table.count <= COUNT + 1);
    end();
}

static void without_memory(void)
{
    struct rpi_options options = { .cost = 1 };
    uint32_t number = 42;
    begin();
    memory.fail_at = 1;
    CU_ASSERT_EQUAL(rpi_options_intern(&table, &options, &number), RP_ERR_NOMEM);
    CU_ASSERT_EQUAL(number, 42);
    CU_ASSERT_EQUAL(rpi_options_intern(&table, &options, &number), RP_OK);
    CU_ASSERT_DOUBLE_EQUAL(rpi_options_at(&table, number)->cost, 1, 0);
    end();
}

static CU_TestInfo tests[] = { { "defaults_need_no_entry", defaults_need_no_entry },
                               { "every_field_counts", every_field_counts },
                               { "equals_in_a_row_are_shared", equals_in_a_row_are_shared },
                               { "last_one_may_be_gone", last_one_may_be_gone },
                               { "many_live_at_once", many_live_at_once },
                               { "without_memory", without_memory },
                               CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "options", NULL, NULL, NULL, NULL, tests }, CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
