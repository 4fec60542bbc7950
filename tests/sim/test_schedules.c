/* Thousands of random schedules.  SEED=n runs that one alone, SEEDS=m runs m from n (1) on; with
 * LOSE=1 each loses a batch of tasks, which must make this fail. */
/* limit: 240 */
#include "harness.h"
#include "sim.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define SCHEDULES 1500
#else
#define SCHEDULES 4000
#endif

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static void add_up(struct sim_report *sum, const struct sim_report *one)
{
    sum->steps += one->steps;
    sum->tasks += one->tasks;
    sum->runs += one->runs;
    sum->messages += one->messages;
    sum->pieces += one->pieces;
    sum->retried += one->retried;
    sum->refused += one->refused;
    sum->recalled += one->recalled;
    sum->returned += one->returned;
    sum->cut += one->cut;
}

static void random_schedules(void)
{
    uint64_t first = number_from("SEED", 1),
             count = number_from("SEEDS", getenv("SEED") ? 1 : SCHEDULES);
    struct sim_report sum = { 0 };
    int failures = 0;
    for (uint64_t seed = first; seed < first + count && failures < 5; seed++) {
        struct sim_plan plan = sim_plan_of(seed);
        struct sim_report report;
        if (number_from("LOSE", 0)) {
            plan.fault = SIM_LOSE_TASKS;
            plan.fault_at = 1;
        }
        if (!sim_run(&plan, &report)) {
            fprintf(stderr, "schedule %" PRIu64 ": %s\n    again with: SEED=%" PRIu64 " %s\n", seed,
                    report.violation, seed, program_invocation_name);
            failures++;
        }
        add_up(&sum, &report);
    }
    printf("%" PRIu64 " schedules from seed %" PRIu64 ": %" PRIu64 " steps, %" PRIu64
           " tasks, %" PRIu64 " runs, %" PRIu64 " batches, %" PRIu64 " large payloads, %" PRIu64
           " retries, %" PRIu64 " allocations refused, %" PRIu64 " recalls, %" PRIu64
           " tasks handed back, %" PRIu64 " chunks cut\n",
           count, first, sum.steps, sum.tasks, sum.runs, sum.messages, sum.pieces, sum.retried,
           sum.refused, sum.recalled, sum.returned, sum.cut);
    CU_ASSERT_EQUAL(failures, 0);
    if (count >= 1000) { /* the schedules are of all kinds */
        CU_ASSERT_TRUE(sum.pieces > count);
        CU_ASSERT_TRUE(sum.retried > count / 10);
        CU_ASSERT_TRUE(sum.refused > count);
        CU_ASSERT_TRUE(sum.recalled > count / 10);
        CU_ASSERT_TRUE(sum.returned > count);
        CU_ASSERT_TRUE(sum.cut > count / 10);
    }
}

static CU_TestInfo tests[] = { { "random_schedules", random_schedules }, CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "schedules", NULL, NULL, NULL, NULL, tests },
                                 CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
