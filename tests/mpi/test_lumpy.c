/* rp_map over items of which some are long: no worker keeps them to itself.  Items sleep, so that
 * cores do not matter; and what is asked is how many each worker ran, which a busy machine changes
 * little, not when they were done. */
/* run: -n 5 */
/* build: plain */
/* machine: alone */
/* limit: 200 */
#include "fixture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define WORKERS 4
#define LONG    0.1 /* seconds */

/* Who ran it, if it was long. */
static rp_status item(rp_call *call, const void *arg, size_t size)
{
    double length = *(const double *)arg;
    rp_call_info info = RP_CALL_INFO_INIT;
    struct timespec pause = { .tv_nsec = (long)(length * 1e9) };
    int64_t worker = 0;
    (void)size;
    rp_call_info_of(call, &info);
    if (length > 0) {
        (void)nanosleep(&pause, NULL);
        worker = info.worker;
    }
    return rp_return(call, &worker, sizeof worker);
}
RP_TASK(item);

/* `longs` items are long, from `first` on; no worker runs more than `most`. */
static void spread(size_t count, size_t first, size_t longs, size_t chunk, int most)
{
    double *in = calloc(count, sizeof *in);
    int64_t *out = calloc(count, sizeof *out);
    rp_map_options options = RP_MAP_OPTIONS_INIT;
    int ran[WORKERS + 1] = { 0 };
    uint64_t done[2] = { 0 };
    CU_ASSERT_TRUE_FATAL(in && out);
    for (size_t i = first; i < first + longs; i++)
        in[i] = LONG;
    options.chunk = chunk;
    for (int round = 0; round < 2; round++) {
        if (round)
            IS(RP_OK, rp_map(pool, item, in, sizeof *in, count, out, sizeof *out, &options));
        for (int worker = 1; worker <= WORKERS; worker++) {
            rp_worker_info info = RP_WORKER_INFO_INIT;
            IS(RP_OK, rp_worker_info_of(pool, worker, &info));
            done[round] += info.done;
        }
    }
    CU_ASSERT_EQUAL(done[1] - done[0], count);
    for (size_t i = 0; i < count; i++) {
        CU_ASSERT_TRUE_FATAL(out[i] >= 0 && out[i] <= WORKERS);
        CU_ASSERT_EQUAL(out[i] != 0, in[i] > 0);
        ran[out[i]]++;
    }
    for (int worker = 1; worker <= WORKERS; worker++) {
        CU_ASSERT_TRUE(ran[worker] <= most);
        if (ran[worker] > most)
            fprintf(stderr,
                    "%zu items, %zu long ones from %zu on, chunk %zu: worker %d ran %d of these\n",
                    count, longs, first, chunk, worker, ran[worker]);
    }
    free(in);
    free(out);
}

static void shapes(rp_isolation isolation)
{
    static const size_t chunks[] = { 0, 1, 25 };
    rp_config config = RP_CONFIG_INIT;
    config.isolation = isolation;
    if (!open_pool(&config))
        return;
    for (int i = 0; i < 3; i++) {
        spread(24, 12, 12, chunks[i], 6);     /* best: 3 */
        spread(2000, 1984, 16, chunks[i], 8); /* best: 4 */
        spread(24, 12, 12, chunks[i], 6);     /* of a function that is known by now */
    }
    close_pool();
}

static void here(void)
{
    shapes(RP_INLINE);
}

static void forked(void)
{
    shapes(RP_FORK);
}

static rp_status slow_start(rp_call *call, const void *arg, size_t size)
{
    struct timespec pause = { .tv_nsec = 500000000 };
    (void)call;
    (void)arg;
    (void)size;
    (void)nanosleep(&pause, NULL);
    return RP_OK;
}
RP_TASK(slow_start);

static rp_status item_or_crash(rp_call *call, const void *arg, size_t size)
{
    if (*(const double *)arg < 0)
        (void)raise(SIGKILL);
    return item(call, arg, size);
}
RP_TASK(item_or_crash);

/* The first item ends its process, and while the next one starts the others of its chunk are
 * taken. */
static void replaced(void)
{
    enum { COUNT = 40, CHUNK = 10 };
    double in[COUNT] = { -1 };
    int64_t out[COUNT] = { 0 };
    rp_status statuses[COUNT];
    int ran[WORKERS + 1] = { 0 };
    rp_config config = RP_CONFIG_INIT;
    rp_map_options options = RP_MAP_OPTIONS_INIT;
    config.isolation = RP_FORK;
    config.initializer = slow_start;
    options.chunk = CHUNK;
    options.statuses = statuses;
    for (int i = 1; i < CHUNK; i++)
        in[i] = LONG;
    if (!open_pool(&config))
        return;
    IS(RP_ERR_CRASHED,
       rp_map(pool, item_or_crash, in, sizeof *in, COUNT, out, sizeof *out, &options));
    for (int i = 0; i < COUNT; i++) {
        CU_ASSERT_EQUAL(statuses[i], i ? RP_OK : RP_ERR_CRASHED);
        CU_ASSERT_TRUE_FATAL(out[i] >= 0 && out[i] <= WORKERS);
        ran[out[i]] += in[i] > 0;
    }
    for (int worker = 1; worker <= WORKERS; worker++)
        CU_ASSERT_TRUE(ran[worker] < CHUNK / 2); /* best: 3 */
    close_pool();
}

int main(int argc, char **argv)
{
    static CU_TestInfo tests[] = {
        { "here", here }, { "forked", forked }, { "replaced", replaced }, CU_TEST_INFO_NULL
    };
    static CU_SuiteInfo suites[] = { { "lumpy", NULL, NULL, NULL, end_pool, tests },
                                     CU_SUITE_INFO_NULL };
    return harness_main(argc, argv, suites);
}
