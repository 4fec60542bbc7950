/* What each worker does before its first task and after its last. */
/* run: alone, -n 1, -n 2, -n 4 */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LARGE 300000 /* bytes: more than fits in a batch */

static int begun, ended; /* in this process */

static rp_status keep(rp_call *call, const void *arg, size_t size)
{
    void **data = rp_worker_data(call);
    begun++;
    if (*data)
        return rp_fail(call, 1, "the slot is not empty at first");
    if (size && (uintptr_t)arg % 16 != 0)
        return rp_fail(call, 2, "the argument is at %p", (void *)(uintptr_t)arg);
    char *copy = malloc(size + sizeof size);
    if (!copy)
        return rp_fail(call, 3, "no memory");
    memcpy(copy, &size, sizeof size);
    if (size)
        memcpy(copy + sizeof size, arg, size);
    *data = copy;
    return RP_OK;
}
RP_TASK(keep);

static void drop(void *data)
{
    ended++;
    free(data);
}

static void count_end(void *data)
{
    (void)data;
    ended++;
}

/* Whether the slot holds what the initializer was given. */
static rp_status kept(rp_call *call, const void *arg, size_t size)
{
    const char *data = *rp_worker_data(call);
    (void)arg;
    (void)size;
    if (!data)
        return rp_fail(call, 1, "nothing is kept");
    memcpy(&size, data, sizeof size);
    if (!filled(data + sizeof size, size, size))
        return rp_fail(call, 2, "it is damaged");
    return rp_return(call, &size, sizeof size);
}
RP_TASK(kept);

/* int: the lowest of the workers that are against it. */
static rp_status object(rp_call *call, const void *arg, size_t size)
{
    rp_call_info info = RP_CALL_INFO_INIT;
    (void)size;
    begun++;
    rp_call_info_of(call, &info);
    return info.worker >= *(const int *)arg
               ? rp_fail(call, 40 + info.worker, "worker %d objects", info.worker)
               : RP_OK;
}
RP_TASK(object);

/* With an argument of each size, at any place in memory: its function finds it aligned for any
 * type. */
static void argument(void)
{
    static const size_t sizes[] = { 0, 1, 8, 100, 5000, LARGE };
    static char room[LARGE + 32];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t offset = 0; offset < 16; offset += i < 3 ? 1 : 5) {
            rp_config config = RP_CONFIG_INIT;
            fill(room + offset, sizes[i], sizes[i]);
            config.initializer = keep;
            config.init_arg = (rp_bytes){ room + offset, sizes[i] };
            config.finalizer = drop;
            begun = ended = 0;
            if (open_pool(&config)) {
                IS(RP_OK, rp_on_each_worker(pool, kept, NULL, 0, NULL));
                close_pool();
            }
            bool serves = ranks() == 1 || rank_here() > 0;
            CU_ASSERT_EQUAL(begun, serves);
            CU_ASSERT_EQUAL(ended, serves);
        }
}

/* Every rank hears who objected and why; who did not is finalised. */
static void that_fails(void)
{
    for (int lowest = 1; lowest <= ranks(); lowest++) {
        rp_config config = RP_CONFIG_INIT;
        rp_pool *none = NULL;
        bool objects = ranks() == 1 || rank_here() >= lowest,
             fails = ranks() == 1 || lowest < ranks();
        config.initializer = object;
        config.init_arg = (rp_bytes){ &lowest, sizeof lowest };
        config.finalizer = count_end;
        begun = ended = 0;
        IS(fails ? RP_ERR_BROKEN : RP_OK, rp_open(&config, &none));
        if (fails) {
            SAYS("the initializer object failed on worker");
            SAYS("objects");
            CU_ASSERT_PTR_NULL(none);
        } else if (none)
            IS(RP_OK, rp_close(&none));
        CU_ASSERT_EQUAL(ended, begun && !objects);
    }
}

static void not_registered(void)
{
    rp_config config = RP_CONFIG_INIT;
    rp_pool *none = NULL;
    config.initializer = stranger;
    IS(RP_ERR_UNREGISTERED, rp_open(&config, &none));
    config.initializer = keep;
    config.init_arg.size = 1;
    IS(RP_ERR_INVALID, rp_open(&config, &none));
    CU_ASSERT_PTR_NULL(none);
}

/* ---- a worker without memory ---- */

struct sizes {
    size_t from, to;
};

static void *refuse(void *old, size_t size, void *sizes)
{
    const struct sizes *refused = sizes;
    if (size >= refused->from && size < refused->to)
        return NULL;
    if (size)
        return realloc(old, size);
    free(old);
    return NULL;
}

/* The last rank has no memory for blocks of these sizes: no rank has a pool, and all hear why. */
static void one_without_memory(struct sizes sizes, size_t argument, const char *what)
{
    static const char room[LARGE];
    rp_config config = RP_CONFIG_INIT;
    rp_pool *none = NULL;
    int there = ranks() > 1 ? ranks() - 1 : 0;
    begun = ended = 0;
    config.initializer = argument ? keep : NULL;
    config.init_arg = (rp_bytes){ room, argument };
    config.finalizer = drop;
    config.alloc = rank_here() == there ? refuse : NULL;
    config.alloc_user = &sizes;
    IS(RP_ERR_NOMEM, rp_open(&config, &none));
    SAYS(what);
    CU_ASSERT_PTR_NULL(none);
    CU_ASSERT_EQUAL(begun, 0);
    if (open_pool(NULL)) { /* and the next is as ever */
        IS(RP_OK, rp_on_each_worker(pool, nothing, NULL, 0, NULL));
        close_pool();
    }
}

static void no_memory_for_the_argument(void)
{
    one_without_memory((struct sizes){ LARGE, LARGE + LARGE / 4 }, LARGE,
                       "the initializer's argument");
}

static void no_memory_to_serve(void)
{
    one_without_memory((struct sizes){ 3900, 4032 }, 0, "a worker's results");
}

int main(int argc, char **argv)
{
    static CU_TestInfo initializer[] = { { "argument", argument },
                                         { "that_fails", that_fails },
                                         { "not_registered", not_registered },
                                         { "no_memory_for_the_argument",
                                           no_memory_for_the_argument },
                                         { "no_memory_to_serve", no_memory_to_serve },
                                         CU_TEST_INFO_NULL };
    static CU_SuiteInfo suites[] = { { "initializer", NULL, NULL, NULL, end_pool, initializer },
                                     CU_SUITE_INFO_NULL };
    return harness_main(argc, argv, suites);
}
