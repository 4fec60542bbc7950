/* config.isolation = RP_FORK: a process is given several short tasks at once, and what happens to
 * one of them is the others' business no more than if it had been given them one by one. */
/* run: -n 2, -n 3 */
/* limit: 200 */
#include "fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TASKS = 400, BEFORE = 20, AFTER = 20, PATIENCE = 30 };

/* ---- tasks ---- */

/* The file to which each task that runs appends its number, and the one that lets the slow task go
 * on once it exists. */
struct files {
    char log[120], gate[120];
};

enum what { PLAIN, DIES, LOOPS, SLOW, LARGE };

struct order {
    struct files files;
    int number;
    enum what what;
};

static volatile int zero;

static rp_status does(rp_call *call, const void *arg, size_t size)
{
    static char large[100000];
    const struct order *order = arg;
    int file = open(order->files.log, O_WRONLY | O_APPEND | O_CLOEXEC);
    (void)size;
    (void)!write(file, &order->number, sizeof order->number);
    (void)close(file);
    if (order->what == DIES)
        (void)raise(SIGKILL);
    while (order->what == LOOPS && zero == 0)
        continue;
    while (order->what == SLOW && access(order->files.gate, F_OK) != 0)
        (void)usleep(1000);
    if (order->what == LARGE) {
        memset(large, order->number, sizeof large);
        return rp_return(call, large, sizeof large);
    }
    return rp_return(call, &order->number, sizeof order->number);
}
RP_TASK(does);

/* ---- helpers ---- */

static struct order order;
static rp_future futures[TASKS];
static rp_task_options once = RP_TASK_OPTIONS_INIT;

static rp_future submit_once(rp_fn *fn, const void *arg, size_t size)
{
    rp_future future = { 0 };
    IS(RP_OK, rp_submit(pool, fn, arg, size, &once, &future));
    return future;
}

static rp_future submit_order(int number, enum what what)
{
    order.number = number;
    order.what = what;
    return submit_once(does, &order, sizeof order);
}

/* Rank 0 with a pool that knows these tasks to be short. */
static bool begin(rp_config *config)
{
    const char *dir = getenv("TMPDIR");
    int none;
    config->isolation = RP_FORK;
    once = (rp_task_options)RP_TASK_OPTIONS_INIT;
    once.attempts = 1;
    if (!open_pool(config))
        return false;
    (void)snprintf(order.files.log, sizeof order.files.log, "%.90s/rankpool-line-XXXXXX",
                   dir ? dir : "/tmp");
    int file = mkstemp(order.files.log);
    CU_ASSERT_FATAL(file >= 0);
    (void)close(file);
    (void)snprintf(order.files.gate, sizeof order.files.gate, "%.115s.go", order.files.log);
    for (int i = 0; i < TASKS; i++)
        futures[i] = submit_order(0, PLAIN);
    for (int i = 0; i < TASKS; i++)
        IS(RP_OK, rp_get(pool, futures[i], RP_FOREVER, &none, sizeof none, NULL));
    CU_ASSERT_EQUAL(truncate(order.files.log, 0), 0);
    return true;
}

static void end(void)
{
    close_pool();
    (void)unlink(order.files.log);
    (void)unlink(order.files.gate);
}

static void open_slow_gate(void)
{
    int file = open(order.files.gate, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CU_ASSERT(file >= 0);
    (void)close(file);
}

/* How often the task of that number has run. */
static int runs_of(int number)
{
    int file = open(order.files.log, O_RDONLY | O_CLOEXEC), one, runs = 0;
    while (read(file, &one, sizeof one) == sizeof one)
        runs += one == number;
    (void)close(file);
    return runs;
}

static void gives_number(int number, double timeout)
{
    int out = -1;
    IS(RP_OK, rp_get(pool, futures[number], timeout, &out, sizeof out, NULL));
    CU_ASSERT_EQUAL(out, number);
}

/* ---- tests ---- */

static void a_crash_costs_one(void)
{
    rp_config config = RP_CONFIG_INIT;
    if (!begin(&config))
        return;
    for (int i = 0; i < TASKS; i++)
        futures[i] = submit_order(i, i % 50 == 25 ? DIES : PLAIN);
    for (int i = 0; i < TASKS; i++) {
        if (i % 50 == 25)
            IS(RP_ERR_CRASHED, rp_get(pool, futures[i], RP_FOREVER, NULL, 0, NULL));
        else
            gives_number(i, RP_FOREVER);
        CU_ASSERT_EQUAL(runs_of(i), 1);
    }
    end();
}

static void a_limit_is_each_ones(void)
{
    rp_config config = RP_CONFIG_INIT;
    if (!begin(&config))
        return;
    once.time_limit = 2;
    for (int i = 0; i < TASKS; i++)
        futures[i] = submit_order(i, i == TASKS / 2 ? LOOPS : PLAIN);
    for (int i = 0; i < TASKS; i++) {
        if (i == TASKS / 2)
            IS(RP_ERR_DEADLINE, rp_get(pool, futures[i], RP_FOREVER, NULL, 0, NULL));
        else
            gives_number(i, RP_FOREVER);
        CU_ASSERT_EQUAL(runs_of(i), 1);
    }
    end();
}

/* Tasks done before a slow one are reported while it runs; tasks after it can be cancelled. */
static void a_slow_one_holds_nobody_up(void)
{
    rp_config config = RP_CONFIG_INIT;
    if (!begin(&config))
        return;
    once.worker = 1;
    once.worker_hard = true;
    for (int i = 0; i < BEFORE + 1 + AFTER; i++)
        futures[i] = submit_order(i, i == BEFORE ? SLOW : PLAIN);
    for (int i = 0; i < BEFORE; i++)
        gives_number(i, PATIENCE);
    while (runs_of(BEFORE) == 0)
        (void)usleep(1000);
    for (int i = BEFORE + 1; i < BEFORE + 1 + AFTER; i++)
        IS(RP_OK, rp_cancel(pool, futures[i]));
    open_slow_gate();
    gives_number(BEFORE, PATIENCE);
    for (int i = BEFORE + 1; i < BEFORE + 1 + AFTER; i++) {
        int out = -1;
        rp_status status = rp_get(pool, futures[i], PATIENCE, &out, sizeof out, NULL);
        CU_ASSERT_EQUAL(runs_of(i), status == RP_OK); /* the word may have come too late */
        CU_ASSERT(status == RP_OK || status == RP_ERR_CANCELLED);
    }
    for (int i = 0; i <= BEFORE; i++)
        CU_ASSERT_EQUAL(runs_of(i), 1);
    end();
}

/* Tasks that wait for a slow one go to another worker, and each runs once. */
static void another_worker_takes_over(void)
{
    rp_config config = RP_CONFIG_INIT;
    if (ranks() < 3 || !begin(&config))
        return;
    for (int i = 0; i < TASKS; i++)
        futures[i] = submit_order(i, i == BEFORE ? SLOW : PLAIN);
    for (int i = 0; i < TASKS; i++)
        if (i != BEFORE)
            gives_number(i, PATIENCE);
    open_slow_gate();
    gives_number(BEFORE, PATIENCE);
    for (int i = 0; i < TASKS; i++)
        CU_ASSERT_EQUAL(runs_of(i), 1);
    end();
}

static void large_results_come_one_by_one(void)
{
    static char out[100000];
    rp_config config = RP_CONFIG_INIT;
    if (!begin(&config))
        return;
    for (int i = 0; i < TASKS; i++)
        futures[i] = submit_order(i, i % 3 ? PLAIN : LARGE);
    for (int i = 0; i < TASKS; i++) {
        size_t size = 0;
        IS(RP_OK, rp_get(pool, futures[i], RP_FOREVER, out, sizeof out, &size));
        CU_ASSERT(i % 3 ? memcmp(out, &i, sizeof i) == 0
                        : out[0] == (char)i && out[sizeof out - 1] == (char)i);
        CU_ASSERT_EQUAL(size, i % 3 ? sizeof i : sizeof out);
    }
    end();
}

static void no_process_has_more_than_its_share(void)
{
    rp_config config = RP_CONFIG_INIT;
    pid_t pids[TASKS];
    config.tasks_per_child = 7;
    if (!begin(&config))
        return;
    once.worker = 1;
    once.worker_hard = true;
    for (int i = 0; i < TASKS; i++)
        futures[i] = submit_once(pid_of, NULL, 0);
    for (int i = 0; i < TASKS; i++)
        IS(RP_OK, rp_get(pool, futures[i], RP_FOREVER, &pids[i], sizeof pids[i], NULL));
    for (int i = 7; i < TASKS; i++)
        CU_ASSERT(pids[i] != pids[i - 7]);
    for (int i = 14; i < TASKS; i++)
        CU_ASSERT(pids[i - 7] == pids[i - 6] || pids[i - 8] == pids[i - 7]);
    end();
}

int main(int argc, char **argv)
{
    static CU_TestInfo line[] = {
        { "a_crash_costs_one", a_crash_costs_one },
        { "a_limit_is_each_ones", a_limit_is_each_ones },
        { "a_slow_one_holds_nobody_up", a_slow_one_holds_nobody_up },
        { "another_worker_takes_over", another_worker_takes_over },
        { "large_results_come_one_by_one", large_results_come_one_by_one },
        { "no_process_has_more_than_its_share", no_process_has_more_than_its_share },
        CU_TEST_INFO_NULL
    };
    static CU_SuiteInfo suites[] = { { "line", NULL, NULL, NULL, end_pool, line },
                                     CU_SUITE_INFO_NULL };
    return harness_main(argc, argv, suites);
}
