/* What a pool tells about itself, and what needs no pool. */
/* run: alone, -n 1, -n 2, -n 4 */
#include "fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void adds_up(const rp_stats *stats)
{
    CU_ASSERT_EQUAL(stats->done + stats->failed + stats->cancelled + stats->queued + stats->sent +
                        stats->waiting,
                    stats->submitted);
}

static void counters(void)
{
    rp_stats stats = RP_STATS_INIT;
    int64_t in[500] = { 0 }, out[500];
    if (!open_pool(NULL))
        return;
    IS(RP_OK, rp_stats_of(pool, &stats));
    CU_ASSERT_EQUAL(stats.submitted, 0);
    CU_ASSERT_EQUAL(stats.done + stats.failed + stats.retried + stats.cancelled + stats.journaled,
                    0);
    CU_ASSERT_EQUAL(stats.waiting + stats.queued + stats.sent, 0);
    CU_ASSERT_EQUAL((size_t)stats.workers, rp_workers(pool));
    CU_ASSERT_EQUAL(stats.lost, 0);
    CU_ASSERT(stats.open_seconds >= 0 && stats.open_seconds < 60);
    CU_ASSERT(stats.busy_seconds >= 0 && stats.busy_seconds <= 0);
    CU_ASSERT_EQUAL(stats.recovery, RP_OFF);
    for (int64_t i = 0; i < 1000; i++) {
        (void)submit(i % 10 ? twice : returns,
                     i % 10 ? (const void *)&i : &(int){ i % 20 ? 5 : RP_ERR_CANCELLED },
                     i % 10 ? sizeof i : sizeof(int));
        if (i % 100 == 0) {
            IS(RP_OK, rp_stats_of(pool, &stats));
            adds_up(&stats);
            CU_ASSERT_EQUAL(stats.submitted, (uint64_t)i + 1);
        }
    }
    IS(RP_OK, rp_map(pool, twice, in, 8, 500, out, 8, NULL));
    IS(RP_OK, rp_drain(pool, RP_FOREVER));
    IS(RP_OK, rp_stats_of(pool, &stats));
    adds_up(&stats);
    CU_ASSERT_EQUAL(stats.submitted, 1500);
    CU_ASSERT_EQUAL(stats.done, 1400);
    CU_ASSERT_EQUAL(stats.failed, 50);
    CU_ASSERT_EQUAL(stats.cancelled, 50);
    CU_ASSERT_EQUAL(stats.queued + stats.sent, 0);
    CU_ASSERT(stats.messages_out > 0 && stats.messages_in > 0);
    CU_ASSERT(stats.messages_out < 2000 && stats.messages_in < 2000); /* short tasks share them */
    CU_ASSERT(stats.bytes_out >= (uint64_t)1400 * 8 && stats.bytes_in >= (uint64_t)1400 * 8);
    CU_ASSERT(stats.busy_seconds > 0);
    close_pool();
}

/* Large payloads count as well as what is in batches. */
static void large_bytes(void)
{
    static uint8_t room[1 << 20];
    rp_stats before = RP_STATS_INIT, after = RP_STATS_INIT;
    if (!open_pool(NULL))
        return;
    IS(RP_OK, rp_stats_of(pool, &before));
    IS(RP_OK, rp_apply(pool, echo, room, sizeof room, room, sizeof room, NULL));
    IS(RP_OK, rp_stats_of(pool, &after));
    CU_ASSERT_TRUE(after.bytes_out - before.bytes_out >= sizeof room &&
                   after.bytes_out - before.bytes_out < sizeof room * 2);
    CU_ASSERT_TRUE(after.bytes_in - before.bytes_in >= sizeof room &&
                   after.bytes_in - before.bytes_in < sizeof room * 2);
    close_pool();
}

static void busy_seconds(void)
{
    enum { COUNT = 12 };
    double length = 0.02, sum = 0;
    uint64_t done = 0;
    rp_stats stats = RP_STATS_INIT;
    if (!open_pool(NULL))
        return;
    for (int i = 0; i < COUNT; i++)
        (void)submit(wakeup, &length, sizeof length);
    IS(RP_OK, rp_drain(pool, RP_FOREVER));
    IS(RP_OK, rp_stats_of(pool, &stats));
    CU_ASSERT(stats.busy_seconds >= 0.9 * COUNT * length && stats.busy_seconds < 10);
    for (int i = 1; i <= (int)rp_workers(pool); i++) {
        rp_worker_info info = RP_WORKER_INFO_INIT;
        IS(RP_OK, rp_worker_info_of(pool, i, &info));
        CU_ASSERT(info.done > 0); /* long tasks: each worker has its part */
        sum += info.busy_seconds;
        done += info.done;
    }
    CU_ASSERT_EQUAL(done, COUNT);
    CU_ASSERT(sum > 0.99 * stats.busy_seconds && sum < 1.01 * stats.busy_seconds);
    close_pool();
}

static void workers(void)
{
    char host[64] = "";
    rp_worker_info info = RP_WORKER_INFO_INIT;
    int64_t pids[9] = { 0 };
    (void)gethostname(host, sizeof host - 1);
    CU_ASSERT_EQUAL(rp_workers(NULL), 0);
    if (!open_pool(NULL))
        return;
    int count = (int)rp_workers(pool);
    CU_ASSERT_EQUAL(count, ranks() > 1 ? ranks() - 1 : 1);
    for (int i = 0; i <= count; i++) {
        IS(RP_OK, rp_worker_info_of(pool, i, &info));
        CU_ASSERT_EQUAL(info.worker, i);
        CU_ASSERT_STRING_EQUAL(info.host, host);
        CU_ASSERT_EQUAL(info.lost, false);
        CU_ASSERT_EQUAL(info.done, 0);
        CU_ASSERT_EQUAL(info.pid == getpid(), i == 0 || ranks() == 1);
        for (int j = 0; j < i; j++)
            CU_ASSERT(pids[j] != info.pid || ranks() == 1);
        pids[i] = info.pid;
    }
    info.worker = -7;
    IS(RP_ERR_INVALID, rp_worker_info_of(pool, -1, &info));
    IS(RP_ERR_INVALID, rp_worker_info_of(pool, count + 1, &info));
    SAYS("no worker");
    IS(RP_ERR_INVALID, rp_worker_info_of(pool, 0, NULL));
    IS(RP_ERR_INVALID, rp_worker_info_of(NULL, 0, &info));
    info.struct_size = 0;
    IS(RP_ERR_INVALID, rp_worker_info_of(pool, 0, &info));
    info.struct_size = sizeof info + 8;
    IS(RP_ERR_INVALID, rp_worker_info_of(pool, 0, &info));
    CU_ASSERT_EQUAL(info.worker, -7);
    rp_stats stats = RP_STATS_INIT;
    IS(RP_ERR_INVALID, rp_stats_of(NULL, &stats));
    IS(RP_ERR_INVALID, rp_stats_of(pool, NULL));
    stats.struct_size = 0;
    IS(RP_ERR_INVALID, rp_stats_of(pool, &stats));
    stats.struct_size = sizeof stats - 8;
    IS(RP_ERR_INVALID, rp_stats_of(pool, &stats));
    close_pool();
}

/* ---- texts ---- */

static void texts(void)
{
    static const rp_status all[] = {
#define NAME(name, value, text) name,
        RP_STATUS_LIST(NAME)
#undef NAME
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        CU_ASSERT_PTR_NOT_NULL_FATAL(rp_strerror(all[i]));
        CU_ASSERT_STRING_NOT_EQUAL(rp_strerror(all[i]), "unknown status");
        for (size_t j = 0; j < i; j++)
            CU_ASSERT_STRING_NOT_EQUAL(rp_strerror(all[i]), rp_strerror(all[j]));
    }
    CU_ASSERT_STRING_EQUAL(rp_strerror(RP_OK), "success");
    CU_ASSERT_STRING_EQUAL(rp_strerror((rp_status)2), "unknown status");
    CU_ASSERT_STRING_EQUAL(rp_strerror((rp_status)-1), "unknown status");
    CU_ASSERT_STRING_EQUAL(rp_strerror((rp_status)12345), "unknown status");
    CU_ASSERT_STRING_EQUAL(rp_version(), "0.1.0");
}

static void *other_thread(void *unused)
{
    (void)unused;
    CU_ASSERT_STRING_EQUAL(rp_error_message(), "");
    IS(RP_ERR_INVALID, rp_drain(NULL, 0));
    SAYS("rp_drain");
    return NULL;
}

static void message_of_each_thread(void)
{
    pthread_t thread;
    CU_ASSERT_STRING_EQUAL(rp_error_message(), ""); /* the first test */
    IS(RP_ERR_INVALID, rp_progress(NULL));
    SAYS("rp_progress");
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, other_thread, NULL), 0);
    (void)pthread_join(thread, NULL);
    SAYS("rp_progress");
    IS(RP_ERR_INVALID, rp_drain(NULL, 0));
    SAYS("rp_drain");
}

int main(int argc, char **argv)
{
    static CU_TestInfo info[] = { { "message_of_each_thread", message_of_each_thread },
                                  { "texts", texts },
                                  { "counters", counters },
                                  { "large_bytes", large_bytes },
                                  { "busy_seconds", busy_seconds },
                                  { "workers", workers },
                                  CU_TEST_INFO_NULL };
    static CU_SuiteInfo suites[] = { { "info", NULL, NULL, NULL, end_pool, info },
                                     CU_SUITE_INFO_NULL };
    return harness_main(argc, argv, suites);
}
