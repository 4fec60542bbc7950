/* Thousands of random schedules in which workers die and fall silent.  SEED=n runs that one alone, SEEDS=n so many from a seed on;
 * SECONDS=n (make soak) as many as there is time for. */
/* limit: 240 */
#include "harness.h"
#include "sim.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if defined(__SANITIZE_ADDRESS__)
#define SCHEDULES 1500
#else
#define SCHEDULES 10000
#endif

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static void losing_schedules(void)
{
    uint64_t seconds = number_from("SECONDS", 0), until = (uint64_t)time(NULL) + seconds;
    uint64_t first = number_from("SEED", 1), count = number_from("SEEDS", getenv("SEED") && !seconds ? 1 : SCHEDULES);
    struct sim_report sum = { 0 };
    uint64_t seed = first;
    int failures = 0;
    for (; (seconds ? (uint64_t)time(NULL) < until : seed < first + count) && failures < 5; seed++) {
        struct sim_plan plan = sim_plan_losing(seed);
        struct sim_report report;
        if (!sim_run(&plan, &report)) {
            fprintf(stderr, "losing schedule %" PRIu64 ": %s\n    again with: SEED=%" PRIu64 " %s\n", seed,
                    report.violation, seed, program_invocation_name);
            failures++;
        }
        sum.steps += report.steps;
        sum.tasks += report.tasks;
        sum.runs += report.runs;
        sum.lost += report.lost;
        sum.replaced += report.replaced;
        sum.silent += report.silent;
        sum.given_up += report.given_up;
        sum.slow += report.slow;
        sum.refused += report.refused;
    }
    printf("%" PRIu64 " schedules from seed %" PRIu64 ": %" PRIu64 " steps, %" PRIu64 " tasks, %" PRIu64 " runs, %" PRIu64
           " workers lost, %" PRIu64 " replaced, %" PRIu64 " silent, %" PRIu64 " starts given up"
           ", behind slow links %" PRIu64 ", allocations refused %" PRIu64 ", %d violations\n",
           seed - first, first, sum.steps, sum.tasks, sum.runs, sum.lost, sum.replaced, sum.silent, sum.given_up, sum.slow,
           sum.refused, failures);
    CU_ASSERT_EQUAL(failures, 0);
    if (seed - first >= 1000) { /* the schedules are of all kinds */
        CU_ASSERT_TRUE(sum.lost > (seed - first) / 2);
        CU_ASSERT_TRUE(sum.replaced > (seed - first) / 5);
        CU_ASSERT_TRUE(sum.silent > (seed - first) / 10);
        CU_ASSERT_TRUE(sum.given_up > seed - first);
        CU_ASSERT_TRUE(sum.slow > seed - first);
    }
}

/* Each found a bug of the engine. */
static void schedules_of_old(void)
{
    static const uint64_t seeds[] = { 24359, 121603, 188294, 209715, 248894, 300288, 30653929 };
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
        struct sim_plan plan = sim_plan_losing(seeds[i]);
        struct sim_report report;
        CU_ASSERT_TRUE(sim_run(&plan, &report));
        if (report.violation[0])
            fprintf(stderr, "losing schedule %" PRIu64 ": %s\n", seeds[i], report.violation);
    }
}

static CU_TestInfo tests[] = { { "schedules_of_old", schedules_of_old },
                               { "losing_schedules", losing_schedules },
                               CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "losses", NULL, NULL, NULL, NULL, tests }, CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
