/* Ten million queued tasks fit into memory, and all come out right. */
/* run: alone, -n 2 */
/* build: plain */
/* machine: alone */
/* limit: 150 */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB ((long)1 << 20)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true /* and so it takes memory of its own */
#else
#define SANITIZED false
#endif

static long child(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_EQUAL(fscanf(file, "%*d %ld", &pages), 1);
    (void)fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

static long grown(long before)
{
    return child() - before;
}

static void queued(int64_t count, rp_future *futures)
{
    int64_t wrong = 0;
    rp_stats stats = RP_STATS_INIT;
    rp_future gate = close_gate();
    memset(futures, 0,
           (size_t)count * sizeof *futures); /* the application's own memory is not counted */
    long before = child();
    for (int64_t i = 0; i < count; i++)
        wrong += rp_submit(pool, twice, &i, sizeof i, NULL, &futures[i]) != RP_OK;
    long growth = grown(before);
    IS(RP_OK, rp_stats_of(pool, &stats));
    CU_ASSERT(stats.queued + stats.sent >= (uint64_t)count);
    CU_ASSERT(stats.queued > (uint64_t)count - 100000);
    CU_ASSERT(SANITIZED || growth < 800000000L / 10000000 * count + 20 * MIB);
    if (getenv("VERBOSE"))
        printf("%lld tasks of 8 bytes: %ld MiB\n", (long long)count, growth / MIB);
    open_gate();
    IS(RP_OK, rp_get(pool, gate, RP_FOREVER, NULL, 0, NULL));
    for (int64_t i = 0; i < count; i++) {
        int64_t out = -1;
        wrong += rp_get(pool, futures[i], RP_FOREVER, &out, sizeof out, NULL) != RP_OK ||
                 out != 2 * i;
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void ten_million(void)
{
    int64_t count = ranks() > 1 ? 10000000 : 1000000; /* alone every get runs its task */
    rp_future *futures;
    if (!open_pool(NULL))
        return;
    futures = malloc((size_t)count * sizeof *futures);
    CU_ASSERT_PTR_NOT_NULL_FATAL(futures);
    queued(count, futures);
    free(futures);
    close_pool();
}

/* What a round took, the next one takes again: nothing grows with time. */
static void rounds(void)
{
    enum { COUNT = 100000 };
    static rp_future futures[COUNT];
    static char arg[3000];
    long after_first = 0;
    if (!open_pool(NULL))
        return;
    for (int round = 0; round < 12; round++) {
        int wrong = 0;
        for (size_t i = 0; i < COUNT; i++)
            wrong += rp_submit(pool, echo, arg, i % 100 ? i % 30 : i % sizeof arg, NULL,
                               &futures[i]) != RP_OK;
        for (size_t i = 0; i < COUNT; i++)
            wrong += rp_get(pool, futures[i], RP_FOREVER, arg, sizeof arg, NULL) != RP_OK;
        CU_ASSERT_EQUAL(wrong, 0);
        if (round == 3)
            after_first = child();
    }
    CU_ASSERT(SANITIZED || grown(after_first) < 10 * MIB);
    close_pool();
}

/* Opened and closed many times, a process keeps nothing. */
static void pools(void)
{
    long after_first = 0;
    for (int round = 0; round < 60; round++) {
        if (open_pool(NULL)) {
            for (int i = 0; i < 3000; i++)
                (void)submit(echo, "0123456789", 10);
            close_pool();
        }
        if (round == 20)
            after_first = child();
    }
    CU_ASSERT(SANITIZED || grown(after_first) < 10 * MIB);
}

int main(int argc, char **argv)
{
    static CU_TestInfo memory[] = {
        { "rounds", rounds }, { "pools", pools }, { "ten_million", ten_million }, CU_TEST_INFO_NULL
    };
    static CU_SuiteInfo suites[] = { { "memory", NULL, NULL, NULL, end_pool, memory },
                                     CU_SUITE_INFO_NULL };
    return harness_main(argc, argv, suites);
}
