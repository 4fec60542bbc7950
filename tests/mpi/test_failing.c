/* Tasks that fail: what reaches the caller, retries, detached tasks, messages. */
/* run: alone, -n 1, -n 2, -n 4 */
#include "fixture.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* ---- tasks ---- */

static rp_status explains(rp_call *call, const void *arg, size_t size)
{
    (void)rp_return(call, "lost", 5);
    return rp_fail(call, -12345, "no %s in %d places: %.*s", "luck", 3, (int)size,
                   (const char *)arg);
}
RP_TASK(explains);

static rp_status babbles(rp_call *call, const void *arg, size_t size)
{
    char text[5001];
    (void)arg;
    memset(text, 'b', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    return size ? rp_fail(call, 1, "%s", text) : rp_fail(call, 1, NULL);
}
RP_TASK(babbles);

static rp_status takes_it_back(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    (void)rp_fail(call, 9, "not so bad");
    return rp_return(call, "fine", 5);
}
RP_TASK(takes_it_back);

/* Fails until its attempt is the number at the argument's beginning; then gives the argument
 * back. */
static rp_status persists(rp_call *call, const void *arg, size_t size)
{
    rp_call_info info = RP_CALL_INFO_INIT;
    int enough;
    memcpy(&enough, arg, sizeof enough);
    rp_call_info_of(call, &info);
    if (info.attempt < enough)
        return rp_fail(call, info.attempt, "attempt %d", info.attempt);
    return rp_return(call, arg, size);
}
RP_TASK(persists);

/* ---- statuses ---- */

static const int values[] = {
#define VALUE(name, value, text) value,
    RP_STATUS_LIST(VALUE)
#undef VALUE
        2,
    9,
    18,
    99,
    127,
    128,
    255,
    256,
    65535,
    65536,
    -1,
    -30,
    INT_MAX,
    INT_MIN
};
enum { VALUES = sizeof values / sizeof *values };

static void every_value(void)
{
    rp_future futures[VALUES];
    if (!open_pool(NULL))
        return;
    for (size_t i = 0; i < VALUES; i++)
        futures[i] = submit(returns, &values[i], sizeof values[i]);
    for (size_t i = 0; i < VALUES; i++) {
        rp_outcome outcome = RP_OUTCOME_INIT;
        rp_status expected = values[i] == RP_OK || values[i] == RP_ERR_CANCELLED
                                 ? (rp_status)values[i]
                                 : RP_ERR_TASK;
        char code[16], room[8] = "room";
        size_t size = 99;
        (void)snprintf(code, sizeof code, "%d", values[i]);
        IS(RP_OK, rp_wait(pool, futures[i], RP_FOREVER)); /* waiting worked */
        IS(RP_OK, rp_outcome_of(pool, futures[i], &outcome));
        CU_ASSERT_EQUAL(outcome.status, expected);
        CU_ASSERT_EQUAL(outcome.code, values[i]);
        CU_ASSERT_EQUAL(outcome.size, 0);
        CU_ASSERT_EQUAL(outcome.attempts, 1);
        IS(expected, rp_get(pool, futures[i], RP_FOREVER, room, sizeof room, &size));
        if (expected == RP_ERR_TASK) {
            SAYS(code);
            SAYS("returns");
            CU_ASSERT_EQUAL(size, 99);
            CU_ASSERT_STRING_EQUAL(room, "room");
        }
    }
    close_pool();
}

static void applied(void)
{
    if (!open_pool(NULL))
        return;
    for (size_t i = 0; i < VALUES; i++) {
        rp_status expected = values[i] == RP_OK || values[i] == RP_ERR_CANCELLED
                                 ? (rp_status)values[i]
                                 : RP_ERR_TASK;
        IS(expected, rp_apply(pool, returns, &values[i], sizeof values[i], NULL, 0, NULL));
    }
    close_pool();
}

/* ---- rp_fail ---- */

static void code_and_message(void)
{
    rp_outcome outcome = RP_OUTCOME_INIT;
    void *data = NULL;
    if (!open_pool(NULL))
        return;
    rp_future future = submit(explains, "everywhere", 10);
    IS(RP_OK, rp_wait(pool, future, RP_FOREVER));
    IS(RP_OK, rp_outcome_of(pool, future, &outcome));
    CU_ASSERT_EQUAL(outcome.status, RP_ERR_TASK);
    CU_ASSERT_EQUAL(outcome.code, -12345);
    CU_ASSERT_EQUAL(outcome.size, 0);
    says(outcome.message, "no luck in 3 places: everywhere", __FILE__, __LINE__);
    says(outcome.message, "explains", __FILE__, __LINE__);
    says(outcome.message, outcome.host, __FILE__, __LINE__);
    IS(RP_ERR_TASK, rp_take(pool, future, 0, &data, NULL));
    CU_ASSERT_PTR_NULL(data);
    SAYS("no luck in 3 places: everywhere");
    IS(RP_OK, rp_progress(pool));
    SAYS("no luck in 3 places: everywhere"); /* what succeeds leaves it */
    close_pool();
}

static void long_messages_are_cut(void)
{
    rp_outcome outcome = RP_OUTCOME_INIT;
    if (!open_pool(NULL))
        return;
    rp_future future = submit(babbles, "x", 1), silent = submit(babbles, NULL, 0);
    IS(RP_OK, rp_wait(pool, future, RP_FOREVER));
    IS(RP_OK, rp_outcome_of(pool, future, &outcome));
    const char *begin = strstr(outcome.message, "bbb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(begin);
    CU_ASSERT(strspn(begin, "b") >= 990 && strspn(begin, "b") <= 1000);
    IS(RP_ERR_TASK, rp_get(pool, silent, RP_FOREVER, NULL, 0, NULL));
    SAYS("babbles");
    close_pool();
}

static void fail_without_failing(void)
{
    char room[8] = "";
    if (!open_pool(NULL))
        return;
    IS(RP_OK, rp_apply(pool, takes_it_back, NULL, 0, room, sizeof room, NULL));
    CU_ASSERT_STRING_EQUAL(room, "fine");
    /* and nothing of one failure shows in the next */
    IS(RP_ERR_TASK, rp_apply(pool, explains, "a", 1, NULL, 0, NULL));
    IS(RP_ERR_TASK, rp_apply(pool, returns, &(int){ RP_ERR_TASK }, sizeof(int), NULL, 0, NULL));
    CU_ASSERT_PTR_NULL(strstr(rp_error_message(), "luck"));
    close_pool();
}

/* Thousands of failures among successes: each its own. */
static void many(void)
{
    enum { COUNT = 5000 };
    static rp_future futures[COUNT];
    int wrong = 0;
    if (!open_pool(NULL))
        return;
    for (int i = 0; i < COUNT; i++)
        futures[i] = submit(i % 3 ? returns : echo, &i, sizeof i);
    for (int i = 0; i < COUNT; i++) {
        rp_outcome outcome = RP_OUTCOME_INIT;
        wrong += rp_wait(pool, futures[i], RP_FOREVER) != RP_OK ||
                 rp_outcome_of(pool, futures[i], &outcome) != RP_OK;
        bool good = i % 3 == 0 || i == RP_OK;
        wrong += good ? outcome.status != RP_OK : outcome.code != i || outcome.status == RP_OK;
        wrong += rp_release(pool, futures[i]) != RP_OK;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    close_pool();
}

/* ---- retries ---- */

static void retries(void)
{
    static char arg[200000];
    static const size_t sizes[] = { sizeof(int), 100, 3000, 5000, sizeof arg };
    rp_stats stats = RP_STATS_INIT;
    uint64_t retried = 0;
    if (!open_pool(NULL))
        return;
    fill(arg, sizeof arg, 3);
    for (size_t i = 0; i < 3 * sizeof sizes / sizeof *sizes; i++) {
        size_t sent = sizes[i / 3];
        int enough = (int)i % 5 + 1;
        rp_task_options options = RP_TASK_OPTIONS_INIT;
        rp_outcome outcome = RP_OUTCOME_INIT;
        rp_future future = { 0 };
        options.retries = 4;
        options.priority = (int)i % 2;
        options.borrow = i % 3 == 1;
        memcpy(arg, &enough, sizeof enough);
        IS(RP_OK, rp_submit(pool, persists, arg, sent, &options, &future));
        IS(RP_OK, rp_wait(pool, future, RP_FOREVER));
        IS(RP_OK, rp_outcome_of(pool, future, &outcome));
        CU_ASSERT_EQUAL(outcome.status, RP_OK);
        CU_ASSERT_EQUAL(outcome.attempts, enough);
        CU_ASSERT(outcome.size == sent && memcmp(outcome.data, arg, sent) == 0);
        retried += (uint64_t)enough - 1;
    }
    IS(RP_OK, rp_stats_of(pool, &stats));
    CU_ASSERT_EQUAL(stats.retried, retried);
    CU_ASSERT_EQUAL(stats.failed, 0);
    CU_ASSERT_EQUAL(stats.done, stats.submitted);
    close_pool();
}

static void retries_used_up(void)
{
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    rp_outcome outcome = RP_OUTCOME_INIT;
    rp_future future = { 0 };
    int enough = 1000;
    if (!open_pool(NULL))
        return;
    for (int allowed = 0; allowed <= 250; allowed += allowed < 3 ? 1 : 247) {
        options.retries = allowed;
        IS(RP_OK, rp_submit(pool, persists, &enough, sizeof enough, &options, &future));
        IS(RP_OK, rp_wait(pool, future, RP_FOREVER));
        IS(RP_OK, rp_outcome_of(pool, future, &outcome));
        CU_ASSERT_EQUAL(outcome.status, RP_ERR_TASK);
        CU_ASSERT_EQUAL(outcome.attempts, allowed + 1);
        CU_ASSERT_EQUAL(outcome.code, allowed + 1);
        IS(RP_OK, rp_release(pool, future));
    }
    /* a task that stopped because it was asked to has not failed */
    IS(RP_OK, rp_submit(pool, returns, &(int){ RP_ERR_CANCELLED }, sizeof(int), &options, &future));
    IS(RP_OK, rp_wait(pool, future, RP_FOREVER));
    IS(RP_OK, rp_outcome_of(pool, future, &outcome));
    CU_ASSERT_EQUAL(outcome.attempts, 1);
    close_pool();
}

static void retries_among_others(void)
{
    enum { COUNT = 2000 };
    static rp_future futures[COUNT];
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    int wrong = 0;
    if (!open_pool(NULL))
        return;
    options.retries = 2;
    for (int i = 0; i < COUNT; i++) {
        int enough = i % 4 + 1; /* one in four is never done */
        IS(RP_OK,
           rp_submit(pool, persists, &enough, sizeof enough, i % 5 ? &options : NULL, &futures[i]));
    }
    for (int i = 0; i < COUNT; i++) {
        rp_status expected = i % 4 + 1 <= (i % 5 ? 3 : 1) ? RP_OK : RP_ERR_TASK;
        int enough = 0;
        wrong += rp_get(pool, futures[i], RP_FOREVER, &enough, sizeof enough, NULL) != expected;
        wrong += expected == RP_OK && enough != i % 4 + 1;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    close_pool();
}

/* ---- detached ---- */

struct heard {
    int errors, others;
    char line[2000];
};

static void listen(rp_level level, const char *line, void *user)
{
    struct heard *heard = user;
    if (level == RP_LOG_ERROR)
        heard->errors++;
    else
        heard->others++;
    (void)snprintf(heard->line, sizeof heard->line, "%s", line);
}

static void detached_failures_are_logged(void)
{
    struct heard heard = { 0 };
    rp_stats stats = RP_STATS_INIT;
    rp_config config = RP_CONFIG_INIT;
    config.log = listen;
    config.log_user = &heard;
    if (!open_pool(&config))
        return;
    for (int i = 0; i < 10; i++)
        IS(RP_OK, rp_submit(pool, echo, "x", 1, NULL, NULL));
    IS(RP_OK, rp_release(pool, submit(explains, "released", 8))); /* somebody knew of it */
    IS(RP_OK, rp_drain(pool, RP_FOREVER));
    CU_ASSERT_EQUAL(heard.errors, 0);
    IS(RP_OK, rp_submit(pool, explains, "detached", 8, NULL, NULL));
    IS(RP_OK, rp_drain(pool, RP_FOREVER));
    CU_ASSERT_EQUAL(heard.errors, 1);
    says(heard.line, "no luck in 3 places: detached", __FILE__, __LINE__);
    says(heard.line, "explains", __FILE__, __LINE__);
    IS(RP_OK, rp_stats_of(pool, &stats));
    CU_ASSERT_EQUAL(stats.failed, 2);
    CU_ASSERT_EQUAL(stats.done, 10);
    close_pool();
    CU_ASSERT_EQUAL(heard.errors, 1);
}

int main(int argc, char **argv)
{
    static CU_TestInfo failing[] = { { "every_value", every_value },
                                     { "applied", applied },
                                     { "code_and_message", code_and_message },
                                     { "long_messages_are_cut", long_messages_are_cut },
                                     { "fail_without_failing", fail_without_failing },
                                     { "many", many },
                                     { "retries", retries },
                                     { "retries_used_up", retries_used_up },
                                     { "retries_among_others", retries_among_others },
                                     { "detached_failures_are_logged",
                                       detached_failures_are_logged },
                                     CU_TEST_INFO_NULL };
    static CU_SuiteInfo suites[] = { { "failing", NULL, NULL, NULL, end_pool, failing },
                                     CU_SUITE_INFO_NULL };
    return harness_main(argc, argv, suites);
}
