/* Workers that have been silent too long. */
#include "base/clock.h"
#include "harness.h"
#include "local_pool.h"
#include "memory.h"
#include "pool/detector.h"

static struct memory memory;
static struct rpi_detector detector;

static void begin(int workers, double limit)
{
    memory = (struct memory){ 0 };
    struct rpi_alloc alloc = memory_hook(&memory);
    CU_ASSERT_EQUAL_FATAL(rpi_detector_init(&detector, &alloc, workers, limit, 100), RP_OK);
}

static void end(void)
{
    rpi_detector_fini(&detector);
    CU_ASSERT_EQUAL(memory.live, 0);
}

/* Looks often enough until `until`; the first that is found. */
static int listen(double from, double until)
{
    int looks = (int)((until - from) / 0.1);
    for (int i = 0; i < looks; i++) {
        int worker = rpi_detector_silent(&detector, from + 0.1 * i);
        if (worker)
            return worker;
    }
    return rpi_detector_silent(&detector, until);
}

static void off_finds_nobody(void)
{
    begin(2, 0);
    CU_ASSERT_EQUAL(rpi_detector_silent(&detector, 1e9), 0);
    rpi_detector_heard(&detector, 1, 1e9);
    rpi_detector_forget(&detector, 2);
    CU_ASSERT_DOUBLE_EQUAL(rpi_detector_pause(&detector), RP_FOREVER, 0);
    end();
}

static void longest_silence_first(void)
{
    begin(3, 1);
    CU_ASSERT_EQUAL(listen(100, 100.5), 0);
    rpi_detector_heard(&detector, 1, 100.5);
    rpi_detector_heard(&detector, 3, 100.5);
    CU_ASSERT_EQUAL(listen(100.5, 101), 0); /* not more than a second yet */
    CU_ASSERT_EQUAL(rpi_detector_silent(&detector, 101.05), 2);
    CU_ASSERT_EQUAL(rpi_detector_silent(&detector, 101.05), 2); /* until it is forgotten */
    rpi_detector_forget(&detector, 2);
    CU_ASSERT_EQUAL(listen(101.05, 101.4), 0);
    rpi_detector_heard(&detector, 2, 101.4); /* too late */
    CU_ASSERT_EQUAL(listen(101.4, 101.6), 1);
    rpi_detector_heard(&detector, 1, 101.6); /* in time */
    CU_ASSERT_EQUAL(rpi_detector_silent(&detector, 101.6), 3);
    rpi_detector_forget(&detector, 3);
    CU_ASSERT_EQUAL(listen(101.6, 102.5), 0);
    CU_ASSERT_EQUAL(listen(102.5, 110), 1);
    end();
}

static void a_successor_has_its_whole_time(void)
{
    begin(1, 1);
    CU_ASSERT_EQUAL(listen(100, 101.1), 1);
    rpi_detector_forget(&detector, 1);
    CU_ASSERT_EQUAL(listen(101.1, 105), 0);
    rpi_detector_replaced(&detector, 1, 105);
    CU_ASSERT_EQUAL(listen(105, 105.9), 0);
    CU_ASSERT_EQUAL(listen(105.9, 106.1), 1);
    end();
}

/* Rank 0 itself was away and did not listen: no worker counts as silent. */
static void a_pause_is_not_silence(void)
{
    begin(2, 1);
    CU_ASSERT_EQUAL(rpi_detector_silent(&detector, 100.1), 0);
    CU_ASSERT_EQUAL(rpi_detector_silent(&detector, 105), 0);
    CU_ASSERT_EQUAL(listen(105, 105.9), 0);
    CU_ASSERT_EQUAL(listen(105.9, 106.1), 1);
    CU_ASSERT_TRUE(rpi_detector_pause(&detector) > 0 && rpi_detector_pause(&detector) < 0.25);
    end();
}

static void the_lost_are_not_listened_to(void)
{
    begin(2, 1);
    rpi_detector_forget(&detector, 1);
    rpi_detector_heard(&detector, 1, 100.2);
    CU_ASSERT_EQUAL(listen(100, 101.2), 2);
    rpi_detector_forget(&detector, 2);
    rpi_detector_forget(&detector, 2);
    rpi_detector_heard(&detector, 2, 101.3);
    rpi_detector_heard(&detector, 0, 101.3); /* rank 0 itself */
    CU_ASSERT_EQUAL(listen(101.3, 110), 0);
    end();
}

static void no_memory(void)
{
    memory = (struct memory){ .fail_at = 1 };
    struct rpi_alloc alloc = memory_hook(&memory);
    CU_ASSERT_EQUAL(rpi_detector_init(&detector, &alloc, 2, 1, 100), RP_ERR_NOMEM);
    CU_ASSERT_EQUAL(rpi_detector_silent(&detector, 1e9), 0);
    rpi_detector_fini(&detector);
}

static rp_status nothing(rp_call *call, const void *arg, size_t size)
{
    (void)call;
    (void)arg;
    (void)size;
    return RP_OK;
}
RP_TASK(nothing);

/* Its worker is the process itself, which sends no heartbeats. */
static void a_pool_of_one_process_loses_nobody(void)
{
    rp_config config = RP_CONFIG_INIT;
    rp_pool *pool = NULL;
    memory = (struct memory){ 0 };
    config.lost_after = 0.02;
    CU_ASSERT_EQUAL_FATAL(local_pool_open_as(&memory, &config, &pool), RP_OK);
    for (double end = rpi_now() + 0.2; rpi_now() < end;)
        CU_ASSERT_EQUAL_FATAL(rp_progress(pool), RP_OK);
    CU_ASSERT_EQUAL(rp_apply(pool, nothing, NULL, 0, NULL, 0, NULL), RP_OK);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

static CU_TestInfo tests[] = { { "off_finds_nobody", off_finds_nobody },
                               { "longest_silence_first", longest_silence_first },
                               { "a_successor_has_its_whole_time", a_successor_has_its_whole_time },
                               { "a_pause_is_not_silence", a_pause_is_not_silence },
                               { "the_lost_are_not_listened_to", the_lost_are_not_listened_to },
                               { "no_memory", no_memory },
                               { "a_pool_of_one_process_loses_nobody",
                                 a_pool_of_one_process_loses_nobody },
                               CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "detector", NULL, NULL, NULL, NULL, tests },
                                 CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
