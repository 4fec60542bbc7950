/* Seeds for random numbers: of a task's identity, whatever the number of workers, their timing,
 * failures and retries. */
/* run: alone, -n 1, -n 2, -n 4 */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

#define SEED 20260721

static rp_status seed_of(rp_call *call, const void *arg, size_t size)
{
    uint64_t seed = rp_seed(call);
    (void)arg;
    (void)size;
    return rp_return(call, &seed, sizeof seed);
}
RP_TASK(seed_of);

/* The first two attempts fail. */
static rp_status seed_of_the_third(rp_call *call, const void *arg, size_t size)
{
    rp_call_info info = RP_CALL_INFO_INIT;
    rp_call_info_of(call, &info);
    return info.attempt < 3 ? rp_fail(call, 1, "not yet") : seed_of(call, arg, size);
}
RP_TASK(seed_of_the_third);

/* int: its depth.  Two children a task. */
static rp_status tree(rp_call *call, const void *arg, size_t size)
{
    int depth = *(const int *)arg - 1;
    for (int i = 0; i < 2 && depth > 0; i++)
        if (rp_spawn(call, tree, &depth, sizeof depth, NULL) != RP_OK)
            return RP_ERR_TASK;
    return seed_of(call, arg, size);
}
RP_TASK(tree);

static bool open_seeded(void)
{
    rp_config config = RP_CONFIG_INIT;
    config.seed = SEED;
    return open_pool(&config);
}

static uint64_t next_seed(void)
{
    uint64_t seed = 0;
    IS(RP_OK, rp_apply(pool, seed_of, NULL, 0, &seed, sizeof seed, NULL));
    return seed;
}

/* What the first submissions of a pool with SEED get, on any number of workers, in any release that
 * keeps its word. */
static const uint64_t known[4] = { 0x1931DE19259F92CD, 0x1774A228FCE46474, 0xA23C038CD995BAA8,
                                   0x8CBD00C02D2D7071 };
static const uint64_t known_tree =
    0x34F1346B1B06F36B; /* the sum over the tasks of one of depth 9 */

static void of_the_first_tasks(void)
{
    if (!open_seeded())
        return;
    for (int i = 0; i < 4; i++) {
        uint64_t seed = next_seed();
        if (seed != known[i])
            fprintf(stderr, "task %d: %#llx\n", i, (unsigned long long)seed);
        CU_ASSERT_EQUAL(seed, known[i]);
    }
    close_pool();
}

static uint64_t sum_of(const uint64_t *seeds, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum = sum * 31 + seeds[i];
    return sum;
}

/* Items, in chunks of any size. */
static void of_items(void)
{
    enum { COUNT = 1000 };
    static uint64_t seeds[COUNT], others[COUNT];
    static const uint64_t in[COUNT];
    if (open_seeded()) {
        IS(RP_OK, rp_map(pool, seed_of, NULL, 0, COUNT, seeds, sizeof *seeds, NULL));
        CU_ASSERT_EQUAL(next_seed(), known[1]); /* a map is one submission */
        close_pool();
    }
    for (size_t chunk = 1; chunk <= 100; chunk += 33) {
        rp_map_options options = RP_MAP_OPTIONS_INIT;
        options.chunk = chunk;
        if (!open_seeded())
            continue;
        IS(RP_OK, rp_map(pool, seed_of, in, sizeof *in, COUNT, others, sizeof *others, &options));
        CU_ASSERT_EQUAL(sum_of(others, COUNT), sum_of(seeds, COUNT));
        close_pool();
    }
    for (size_t i = 1; rank_here() == 0 && i < COUNT; i++)
        CU_ASSERT_NOT_EQUAL(seeds[i], seeds[0]);
}

static void of_every_attempt(void)
{
    uint64_t seed = 0;
    rp_future future;
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    if (!open_seeded())
        return;
    options.retries = 2;
    IS(RP_OK, rp_submit(pool, seed_of_the_third, NULL, 0, &options, &future));
    IS(RP_OK, rp_get(pool, future, RP_FOREVER, &seed, sizeof seed, NULL));
    CU_ASSERT_EQUAL(seed, known[0]);
    close_pool();
}

/* As many tasks as there are workers, and one submission. */
static void behind_each_worker(void)
{
    if (!open_seeded())
        return;
    IS(RP_OK, rp_on_each_worker(pool, nothing, NULL, 0, NULL));
    CU_ASSERT_EQUAL(next_seed(), known[1]);
    close_pool();
}

static uint64_t seed_of_worker[64];

static rp_status keep_seed(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    rp_call_info info = RP_CALL_INFO_INIT;
    rp_call_info_of(call, &info);
    seed_of_worker[info.worker] = rp_seed(call);
    return RP_OK;
}
RP_TASK(keep_seed);

static rp_status give_kept_seed(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    rp_call_info info = RP_CALL_INFO_INIT;
    rp_call_info_of(call, &info);
    return rp_return(call, &seed_of_worker[info.worker], sizeof *seed_of_worker);
}
RP_TASK(give_kept_seed);

static void differ_between_workers(void)
{
    uint64_t seeds[64];
    if (!open_seeded())
        return;
    IS(RP_OK, rp_on_each_worker(pool, keep_seed, NULL, 0, NULL));
    for (size_t i = 0; i < rp_workers(pool); i++) {
        rp_task_options options = RP_TASK_OPTIONS_INIT;
        rp_future future;
        options.worker = (int)i + 1;
        options.worker_hard = true;
        IS(RP_OK, rp_submit(pool, give_kept_seed, NULL, 0, &options, &future));
        IS(RP_OK, rp_get(pool, future, RP_FOREVER, &seeds[i], sizeof *seeds, NULL));
        for (size_t j = 0; j < i; j++)
            CU_ASSERT_NOT_EQUAL(seeds[i], seeds[j]);
    }
    close_pool();
}

/* What tasks spawn takes no number from what the application submits meanwhile. */
static void beside_spawned_tasks(void)
{
    rp_stream *stream = NULL;
    rp_item item = RP_ITEM_INIT;
    rp_status status;
    uint64_t total = 0;
    int depth = 9, items = 0;
    if (!open_seeded())
        return;
    IS(RP_OK, rp_stream_open(pool, NULL, &stream));
    IS(RP_OK, rp_stream_submit(stream, tree, &depth, sizeof depth, NULL, NULL));
    CU_ASSERT_EQUAL(next_seed(), known[1]); /* some are spawned by now, or none */
    IS(RP_OK, rp_stream_end(stream));
    for (; (status = rp_stream_next(stream, RP_FOREVER, &item)) == RP_OK; items++) {
        uint64_t seed;
        CU_ASSERT_EQUAL_FATAL(item.outcome->size, sizeof seed);
        memcpy(&seed, item.outcome->data, sizeof seed);
        total += seed; /* in any order */
    }
    IS(RP_END, status);
    CU_ASSERT_EQUAL(items, 511);
    CU_ASSERT_EQUAL(total, known_tree);
    CU_ASSERT_EQUAL(next_seed(), known[2]);
    IS(RP_OK, rp_stream_close(&stream));
    close_pool();
}

int main(int argc, char **argv)
{
    static CU_TestInfo seeds[] = { { "of_the_first_tasks", of_the_first_tasks },
                                   { "of_items", of_items },
                                   { "of_every_attempt", of_every_attempt },
                                   { "behind_each_worker", behind_each_worker },
                                   { "differ_between_workers", differ_between_workers },
                                   { "beside_spawned_tasks", beside_spawned_tasks },
                                   CU_TEST_INFO_NULL };
    static CU_SuiteInfo suites[] = { { "seeds", NULL, NULL, NULL, end_pool, seeds },
                                     CU_SUITE_INFO_NULL };
    return harness_main(argc, argv, suites);
}
