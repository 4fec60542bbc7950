/* The simulator's checks can fail: each fault on purpose is seen, in every schedule in which it happens. */
#include "harness.h"
#include "sim.h"

#include <stdio.h>

#define SEEDS 200

/* A plan in which nothing hides the fault: all that is submitted settles, and memory suffices. */
static struct sim_plan plan_with(enum sim_fault fault, uint64_t seed)
{
    struct sim_plan plan = sim_plan_of(seed);
    plan.fault = fault;
    plan.fault_at = 1 + (uint32_t)(seed % 5);
    plan.ending = SIM_CLOSE;
    plan.fail_ppm = 0;
    plan.lazy = 0;
    plan.cancels = false;
    return plan;
}

struct seen {
    int happened, detected;
    char example[400];
};

static struct seen try_seeds(enum sim_fault fault, int seeds)
{
    struct seen seen = { 0 };
    for (uint64_t seed = 1; seed <= (uint64_t)seeds; seed++) {
        struct sim_plan plan = plan_with(fault, seed);
        struct sim_report report;
        bool sound = sim_run(&plan, &report);
        seen.happened += report.faulted;
        seen.detected += report.faulted && !sound;
        if (!sound)
            (void)snprintf(seen.example, sizeof seen.example, "%s", report.violation);
    }
    printf("fault %d: %d times, seen %d times%s%s\n", fault, seen.happened, seen.detected, seen.detected ? ", as: " : "",
           seen.example);
    return seen;
}

static void always_seen(enum sim_fault fault)
{
    struct seen seen = try_seeds(fault, SEEDS);
    CU_ASSERT_TRUE(seen.happened > SEEDS / 4);
    CU_ASSERT_EQUAL(seen.detected, seen.happened);
}

static void lost_tasks(void)
{
    always_seen(SIM_LOSE_TASKS);
}

static void lost_results(void)
{
    always_seen(SIM_LOSE_RESULTS);
}

static void tasks_run_twice(void)
{
    always_seen(SIM_RUN_TWICE);
}

static void damaged_result(void)
{
    always_seen(SIM_DAMAGE_RESULT);
}

static void skipped_dispatch(void)
{
    always_seen(SIM_SKIP_DISPATCH);
}

static void changed_outcome(void)
{
    always_seen(SIM_CHANGE_DONE);
}

static void leaked_block(void)
{
    always_seen(SIM_LEAK);
}

static void wrong_credit(void)
{
    always_seen(SIM_OVERCREDIT);
}

static void lost_sent_report(void)
{
    always_seen(SIM_LOSE_SENT);
}

static void bytes_changed_while_sent(void)
{
    always_seen(SIM_TOUCH_SENT);
}

/* A task that goes before its turn is seen only where others wait. */
static void wrong_order(void)
{
    struct seen seen = try_seeds(SIM_WRONG_RANK, SEEDS);
    CU_ASSERT_TRUE(seen.detected > SEEDS / 10);
}

/* The engine itself forgives this one: a result counts once. */
static void results_twice(void)
{
    struct seen seen = try_seeds(SIM_RESULTS_TWICE, SEEDS);
    CU_ASSERT_TRUE(seen.happened > SEEDS / 2);
    CU_ASSERT_EQUAL(seen.detected, 0);
}

static CU_TestInfo tests[] = { { "lost_tasks", lost_tasks },
                               { "lost_results", lost_results },
                               { "tasks_run_twice", tasks_run_twice },
                               { "damaged_result", damaged_result },
                               { "skipped_dispatch", skipped_dispatch },
                               { "changed_outcome", changed_outcome },
                               { "leaked_block", leaked_block },
                               { "wrong_credit", wrong_credit },
                               { "lost_sent_report", lost_sent_report },
                               { "bytes_changed_while_sent", bytes_changed_while_sent },
                               { "wrong_order", wrong_order },
                               { "results_twice", results_twice },
                               CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "mutations", NULL, NULL, NULL, NULL, tests }, CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
