/* How much work a worker gets: a table of cases, and what holds for every case. */
#include "harness.h"
#include "tables/policy.h"
#include "tables/roster.h"

#include <stdio.h>

#define RT 10e-6 /* round trip, seconds */

struct policy_case {
    const char *what;
    struct rpi_view view;
    uint32_t least, most; /* tasks granted */
};

static const struct policy_case cases[] = {
    { "unknown, idle",
      { .mean = -1, .round_trip = RT, .queued = 1000, .workers = 4, .in_flight = 0 },
      1,
      1 },
    { "unknown, busy",
      { .mean = -1, .round_trip = RT, .queued = 1000, .workers = 4, .in_flight = 1 },
      0,
      0 },
    { "very long, idle",
      { .mean = 1, .round_trip = RT, .queued = 1000, .workers = 4, .in_flight = 0 },
      1,
      1 },
    { "very long, busy",
      { .mean = 1, .round_trip = RT, .queued = 1000, .workers = 4, .in_flight = 1 },
      0,
      0 },
    { "long, idle",
      { .mean = 20 * RT, .round_trip = RT, .queued = 1000, .workers = 4, .in_flight = 0 },
      1,
      1 },
    { "long, one ahead",
      { .mean = 20 * RT, .round_trip = RT, .queued = 1000, .workers = 4, .in_flight = 1 },
      1,
      1 },
    { "long, two ahead",
      { .mean = 20 * RT, .round_trip = RT, .queued = 1000, .workers = 4, .in_flight = 2 },
      0,
      0 },
    { "long, near the end",
      { .mean = 20 * RT, .round_trip = RT, .queued = 4, .workers = 4, .in_flight = 1 },
      0,
      0 },
    { "long, the last",
      { .mean = 20 * RT, .round_trip = RT, .queued = 1, .workers = 4, .in_flight = 0 },
      1,
      1 },
    { "middling, idle",
      { .mean = 2 * RT, .round_trip = RT, .queued = 1000, .workers = 4, .in_flight = 0 },
      2,
      10 },
    { "middling, busy",
      { .mean = 2 * RT, .round_trip = RT, .queued = 1000, .workers = 4, .in_flight = 3 },
      2,
      10 },
    { "middling, full",
      { .mean = 2 * RT,
        .round_trip = RT,
        .queued = 1000,
        .workers = 4,
        .in_flight = RPI_ROSTER_DEPTH },
      0,
      0 },
    { "middling, near the end",
      { .mean = 2 * RT, .round_trip = RT, .queued = 4, .workers = 4, .in_flight = 1 },
      0,
      0 },
    { "middling, shared",
      { .mean = 2 * RT, .round_trip = RT, .queued = 24, .workers = 4, .in_flight = 0 },
      3,
      3 },
    { "short, idle",
      { .mean = 100e-9, .round_trip = RT, .queued = 100000, .workers = 4, .in_flight = 0 },
      200,
      65535 },
    { "short, full",
      { .mean = 100e-9,
        .round_trip = RT,
        .queued = 100000,
        .workers = 4,
        .in_flight = RPI_ROSTER_DEPTH },
      0,
      0 },
    { "short, the last",
      { .mean = 100e-9, .round_trip = RT, .queued = 1, .workers = 4, .in_flight = 0 },
      1,
      65535 },
    { "no time at all",
      { .mean = 0, .round_trip = RT, .queued = 1U << 30, .workers = 1, .in_flight = 0 },
      65535,
      65535 },
    { "many workers",
      { .mean = 100e-9, .round_trip = RT, .queued = 10, .workers = 100000, .in_flight = 0 },
      1,
      65535 },
};

static void table_of_cases(void)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rpi_view view = cases[i].view;
        view.fills = true;
        struct rpi_grant grant = rpi_policy_grant(&view);
        CU_ASSERT_TRUE(grant.tasks >= cases[i].least && grant.tasks <= cases[i].most);
        if (grant.tasks < cases[i].least || grant.tasks > cases[i].most)
            fprintf(stderr, "%s: %u tasks\n", cases[i].what, grant.tasks);
        if (grant.tasks > 0)
            CU_ASSERT_TRUE(grant.seconds > 0);
    }
}

/* Every mixture of these. */
static const double means[] = { -1,     0,      2e-9,   100e-9, 5e-6, RT, 15e-6,
                                100e-6, 101e-6, 400e-6, 501e-6, 1,    1e6 };
static const double trips[] = { 0.5e-6, RT, 1e-3 };
static const uint64_t queues[] = { 1, 2, 3, 4, 5, 8, 100, 1000, 1000000, (uint64_t)1 << 40 };
static const uint32_t crews[] = { 1, 2, 4, 1000 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void for_every(void (*check)(struct rpi_view view))
{
    for (size_t i = 0; i < COUNT(means) * COUNT(trips) * COUNT(queues) * COUNT(crews) * 2; i++) {
        size_t at = i / 2;
        struct rpi_view view = { .fills = i % 2 };
        view.mean = means[at % COUNT(means)];
        at /= COUNT(means);
        view.round_trip = trips[at % COUNT(trips)];
        at /= COUNT(trips);
        view.queued = queues[at % COUNT(queues)];
        view.workers = crews[at / COUNT(queues)];
        check(view);
    }
}

static void check_idle(struct rpi_view view)
{
    struct rpi_grant grant = rpi_policy_grant(&view);
    CU_ASSERT_TRUE(grant.tasks >= 1);
    CU_ASSERT_TRUE(grant.tasks <= UINT16_MAX);
}

static void idle_worker_always_gets_work(void)
{
    for_every(check_idle);
}

/* The roster asks for the worker with the fewest batches only: who has more may not get what he is
 * refused. */
static void check_falling(struct rpi_view view)
{
    bool refused = false;
    for (view.in_flight = 0; view.in_flight <= RPI_ROSTER_DEPTH + 1; view.in_flight++) {
        uint32_t tasks = rpi_policy_grant(&view).tasks;
        CU_ASSERT_TRUE(!refused || tasks == 0);
        CU_ASSERT_TRUE(view.in_flight < RPI_ROSTER_DEPTH || tasks == 0);
        refused = tasks == 0;
    }
}

static void refusal_holds_for_the_busier(void)
{
    for_every(check_falling);
}

/* Long tasks: one in a batch, and at most one that waits for the running one. */
static void check_long(struct rpi_view view)
{
    if (view.mean >= 0 && view.mean <= 10 * view.round_trip * 1.001)
        return;
    for (view.in_flight = 0; view.in_flight <= RPI_ROSTER_DEPTH; view.in_flight++) {
        uint32_t tasks = rpi_policy_grant(&view).tasks;
        CU_ASSERT_TRUE(tasks <= 1);
        CU_ASSERT_TRUE(view.in_flight < 2 || tasks == 0);
        CU_ASSERT_TRUE(view.in_flight == 0 || view.queued > view.workers || tasks == 0);
    }
}

static void long_tasks_go_alone(void)
{
    for_every(check_long);
}

/* A batch of short tasks is predicted to take some round trips, and no more than a fair part of
 * what is queued, or one round trip. */
static void check_short(struct rpi_view view)
{
    if (view.mean < 0 || view.mean > 10 * view.round_trip)
        return;
    struct rpi_grant grant = rpi_policy_grant(&view);
    double limit = 10 * view.round_trip > 100e-6 ? 10 * view.round_trip : 100e-6;
    double predicted = grant.tasks * view.mean;
    CU_ASSERT_TRUE(grant.tasks == 1 || predicted <= limit * 1.001);
    if (predicted > view.round_trip * 1.001 && grant.tasks > 1)
        CU_ASSERT_TRUE(grant.tasks <= view.queued / view.workers);
}

static void short_tasks_share_fairly(void)
{
    for_every(check_short);
}

static bool recalls(double left, uint32_t tasks, double *again)
{
    struct rpi_burden burden = { .now = 100, .due = 100 + left, .round_trip = RT, .tasks = tasks };
    return rpi_policy_recalls(&burden, again);
}

/* Asked for are much work that is left, and what should be done by now; between these it is looked
 * at when that time has come. */
static void recalls_much_or_overdue(void)
{
    double again;
    CU_ASSERT_FALSE(recalls(1, 1, &again));
    CU_ASSERT_TRUE(again < 0);
    CU_ASSERT_FALSE(recalls(-1, 0, &again));
    CU_ASSERT_TRUE(again < 0);
    CU_ASSERT_TRUE(recalls(10 * RT, 2, &again));
    CU_ASSERT_TRUE(recalls(-10 * RT, 2, &again));
    CU_ASSERT_FALSE(recalls(RT, 2, &again));
    CU_ASSERT_DOUBLE_EQUAL(again, 100 + 2 * RT, 1e-9);
    CU_ASSERT_FALSE(recalls(-RT / 2, 2, &again));
    CU_ASSERT_DOUBLE_EQUAL(again, 100 + RT / 2, 1e-9);
    CU_ASSERT_FALSE(recalls(10 * RT, 1000, &again)); /* it would cost more than it brings */
    CU_ASSERT_TRUE(recalls(-10 * RT, 1000, &again)); /* but there a long one is hidden */
    struct rpi_burden burden = { .now = again, .due = again - RT, .round_trip = RT, .tasks = 2 };
    for (int i = 0; i < 1000; i++) { /* when it is looked at again, it is asked */
        burden.due += 1e-7 * i;
        burden.now = burden.due;
        if (!rpi_policy_recalls(&burden, &again))
            burden.now = again;
        CU_ASSERT_TRUE(rpi_policy_recalls(&burden, &again));
    }
}

static CU_TestInfo tests[] = { { "table_of_cases", table_of_cases },
                               { "idle_worker_always_gets_work", idle_worker_always_gets_work },
                               { "refusal_holds_for_the_busier", refusal_holds_for_the_busier },
                               { "long_tasks_go_alone", long_tasks_go_alone },
                               { "short_tasks_share_fairly", short_tasks_share_fairly },
                               { "recalls_much_or_overdue", recalls_much_or_overdue },
                               CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "policy", NULL, NULL, NULL, NULL, tests }, CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
