/* A rank that has nothing to do keeps no buffers: rank 0 while the application sleeps and calls
 * nothing, and a worker. */
/* run: -n 2, -n 4, alone */
/* build: plain */
/* machine: alone */
/* limit: 120 */
#include "fixture.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MIB  ((int64_t)1 << 20)
#define SIZE ((size_t)4 * MIB)

enum { BUFFERS = 16, PATIENCE = 60 };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true /* what is freed stays in its quarantine */
#else
#define SANITIZED false
#endif

static void rest(double seconds)
{
    const struct timespec time = { .tv_sec = (time_t)seconds,
                                   .tv_nsec = (long)(1e9 * (seconds - (double)(time_t)seconds)) };
    (void)nanosleep(&time, NULL);
}

static int64_t child(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file) {
        (void)!fscanf(file, "%*d %ld", &pages);
        (void)fclose(file);
    }
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static rp_status tell_resident(rp_call *call, const void *arg, size_t size)
{
    int64_t bytes = child();
    (void)arg;
    (void)size;
    return rp_return(call, &bytes, sizeof bytes);
}
RP_TASK(tell_resident);

static int64_t resident_at_worker(void)
{
    int64_t bytes = 0;
    IS(RP_OK, rp_apply(pool, tell_resident, NULL, 0, &bytes, sizeof bytes, NULL));
    return bytes;
}

/* Arguments and results of 4 MiB, many at one time. */
static void use_buffers(void)
{
    static uint8_t arg[SIZE];
    rp_future futures[BUFFERS];
    memset(arg, 1, sizeof arg);
    for (int i = 0; i < BUFFERS; i++)
        futures[i] = submit(echo, arg, sizeof arg);
    IS(RP_OK, rp_drain(pool, RP_FOREVER));
    for (int i = 0; i < BUFFERS; i++) {
        void *data = NULL;
        size_t size = 0;
        IS(RP_OK, rp_take(pool, futures[i], RP_FOREVER, &data, &size));
        CU_ASSERT_EQUAL(size, SIZE);
        rp_free(data);
    }
}

static void asleep(void)
{
    if (!open_pool(NULL))
        return;
    use_buffers();
    int64_t used = child(), least = used - BUFFERS / 2 * (int64_t)SIZE;
    for (int i = 0; i < 10 * PATIENCE && ranks() > 1 && child() > least && !SANITIZED; i++)
        rest(0.1);
    if (ranks() == 1) { /* no thread but this one is there to do it: the next call does */
        rest(1.5);
        IS(RP_OK, rp_progress(pool));
    }
    CU_ASSERT_TRUE(SANITIZED || child() <= least);
    close_pool();
}

/* What the application still has when all is settled is given back after it has freed that, too. */
static void freed_while_nothing_is_called(void)
{
    static uint8_t arg[SIZE];
    void *data[BUFFERS];
    size_t size;
    rp_future futures[BUFFERS];
    if (!open_pool(NULL))
        return;
    for (int i = 0; i < BUFFERS; i++)
        futures[i] = submit(echo, arg, sizeof arg);
    for (int i = 0; i < BUFFERS; i++)
        IS(RP_OK, rp_take(pool, futures[i], RP_FOREVER, &data[i], &size));
    rest(2.5); /* the caretaker has nothing to do any more */
    int64_t used = child(), least = used - BUFFERS / 2 * (int64_t)SIZE;
    for (int i = 0; i < BUFFERS; i++)
        rp_free(data[i]);
    for (int i = 0; i < 10 * PATIENCE && ranks() > 1 && child() > least && !SANITIZED; i++)
        rest(0.1);
    CU_ASSERT_TRUE(SANITIZED || ranks() == 1 || child() <= least);
    close_pool();
}

static void at_workers(void)
{
    int64_t before, now = INT64_MAX;
    if (!open_pool(NULL))
        return;
    before = resident_at_worker();
    use_buffers();
    for (int i = 0;
         i < PATIENCE / 3 && ranks() == 2 && now > before + 2 * (int64_t)SIZE && !SANITIZED; i++) {
        rest(3); /* for so long it has nothing to do */
        now = resident_at_worker();
    }
    CU_ASSERT_TRUE(SANITIZED || ranks() != 2 || now <= before + 2 * (int64_t)SIZE);
    close_pool();
}

int main(int argc, char **argv)
{
    static CU_TestInfo memory[] = { { "asleep", asleep },
                                    { "freed_while_nothing_is_called",
                                      freed_while_nothing_is_called },
                                    { "at_workers", at_workers },
                                    CU_TEST_INFO_NULL };
    static CU_SuiteInfo suites[] = { { "spare_memory", NULL, NULL, NULL, end_pool, memory },
                                     CU_SUITE_INFO_NULL };
    return harness_main(argc, argv, suites);
}
