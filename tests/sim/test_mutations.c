/* The simulator's checks can fail: each fault on purpose is seen, in every schedule in which it
 * happens. */
/* limit: 240 */
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
    if (fault == SIM_LOSE_RETURNED) {
        plan.recalls = 0.5;
        plan.fault_at = 1;
    }
    if (fault == SIM_FORGE_RETURNED)
        plan.recalls = 0; /* a worker that is asked may hand the same task back in truth */
    return plan;
}

struct seen {
    int happened, detected;
    char example[400];
};

static void tell(enum sim_fault fault, const struct seen *seen)
{
    printf("fault %d: %d times, seen %d times%s%s\n", fault, seen->happened, seen->detected,
           seen->detected ? ", as: " : "", seen->example);
}

static void try_plan(const struct sim_plan *plan, struct seen *seen)
{
    struct sim_report report;
    bool sound = sim_run(plan, &report);
    seen->happened += report.faulted;
    seen->detected += report.faulted && !sound;
    if (!sound)
        (void)snprintf(seen->example, sizeof seen->example, "%s", report.violation);
}

static struct seen try_seeds(enum sim_fault fault, int seeds)
{
    struct seen seen = { 0 };
    for (uint64_t seed = 1; seed <= (uint64_t)seeds; seed++) {
        struct sim_plan plan = plan_with(fault, seed);
        try_plan(&plan, &seen);
    }
    tell(fault, &seen);
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

/* A task that is handed back and forgotten, or run nevertheless. */
static void lost_returns(void)
{
    struct seen seen = try_seeds(SIM_LOSE_RETURNED, SEEDS);
    CU_ASSERT_TRUE(seen.happened > SEEDS / 10);
    CU_ASSERT_EQUAL(seen.detected, seen.happened);
}

static void forged_returns(void)
{
    always_seen(SIM_FORGE_RETURNED);
}

/* A task that goes before its turn is seen only where others wait. */
static void wrong_order(void)
{
    struct seen seen = try_seeds(SIM_WRONG_RANK, SEEDS);
    CU_ASSERT_TRUE(seen.detected > SEEDS / 10);
}

static void urgency_forgotten(void)
{
    struct seen seen = try_seeds(SIM_FORGET_URGENT, 4 * SEEDS);
    CU_ASSERT_TRUE(seen.happened > SEEDS / 2);
    CU_ASSERT_TRUE(seen.detected > SEEDS / 20);
}

static void results_twice(void)
{
    always_seen(SIM_RESULTS_TWICE);
}

static struct seen try_plans(struct sim_plan (*plan_of)(uint64_t seed), enum sim_fault fault)
{
    struct seen seen = { 0 };
    for (uint64_t seed = 1; seed <= 2 * SEEDS; seed++) {
        struct sim_plan plan = plan_of(seed);
        plan.fault = fault;
        plan.fault_at = 1;
        plan.ending = SIM_CLOSE;
        plan.fail_ppm = 0;
        plan.cancels = false;
        try_plan(&plan, &seen);
    }
    tell(fault, &seen);
    return seen;
}

/* In schedules where workers die. */
static struct seen try_losing(enum sim_fault fault)
{
    return try_plans(sim_plan_losing, fault);
}

/* The checks miss a fault in a task that is detached or released. */
static void nearly_always_seen(enum sim_fault fault)
{
    struct seen seen = try_losing(fault);
    CU_ASSERT_TRUE(seen.happened > SEEDS / 4);
    CU_ASSERT_TRUE(seen.detected > seen.happened * 3 / 4);
}

static void forgotten_with_its_worker(void)
{
    nearly_always_seen(SIM_FORGET_LOST);
}

static void start_not_counted(void)
{
    nearly_always_seen(SIM_MISCOUNT_START);
}

static void batch_mate_failed(void)
{
    nearly_always_seen(SIM_FAIL_MATE);
}

/* Unless its first start ends no worker: there is only one left. */
static void once_is_once(void)
{
    nearly_always_seen(SIM_START_TWICE);
}

/* Where nothing else waits meanwhile, it is alone by chance. */
static void not_alone(void)
{
    struct seen seen = try_losing(SIM_FORGET_SOLO);
    CU_ASSERT_TRUE(seen.happened > SEEDS / 4);
    CU_ASSERT_TRUE(seen.detected > SEEDS / 10);
}

/* The checks miss an unheard loss where the worker had no task. */
static void unheard_loss(void)
{
    int happened = 0, detected = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct sim_plan plan = sim_plan_losing(seed);
        struct sim_report report;
        plan.fault = SIM_MISS_LOSS;
        plan.fault_at = 1;
        plan.ending = SIM_CLOSE;
        plan.fail_ppm = 0;
        plan.cancels = false;
        bool sound = sim_run(&plan, &report);
        happened += report.faulted;
        detected += report.faulted && !sound;
    }
    printf("fault %d: %d times, seen %d times\n", SIM_MISS_LOSS, happened, detected);
    CU_ASSERT_TRUE(detected > SEEDS / 4);
}

static void unheard_replacement(void)
{
    int happened = 0, detected = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct sim_plan plan = sim_plan_losing(seed);
        struct sim_report report;
        plan.fault = SIM_MISS_REPLACED;
        plan.fault_at = 1;
        plan.replaced = 1;
        bool sound = sim_run(&plan, &report);
        happened += report.faulted;
        detected += report.faulted && !sound;
    }
    printf("fault %d: %d times, seen %d times\n", SIM_MISS_REPLACED, happened, detected);
    CU_ASSERT_TRUE(happened > SEEDS / 4);
    CU_ASSERT_EQUAL(detected, happened);
}

/* Where the task succeeds in time it does not show. */
static void try_not_counted(void)
{
    struct seen seen = try_plans(sim_plan_failing, SIM_FORGET_RETRY);
    CU_ASSERT_TRUE(seen.happened > SEEDS / 4);
    CU_ASSERT_TRUE(seen.detected > seen.happened / 3);
}

/* Unless the worker dies first, or has no room for something else that its task sees. */
static void damaged_shared_data(void)
{
    struct seen seen = try_plans(sim_plan_sharing, SIM_DAMAGE_SHARED);
    CU_ASSERT_TRUE(seen.happened > SEEDS / 4);
    CU_ASSERT_TRUE(seen.detected > seen.happened * 9 / 10);
}

/* A worker that only waits to be told what is dead may never hear so. */
static void lost_shared_data(void)
{
    struct seen seen = try_plans(sim_plan_sharing, SIM_LOSE_SHARED);
    CU_ASSERT_TRUE(seen.happened > SEEDS / 4);
    CU_ASSERT_TRUE(seen.detected > seen.happened / 2);
}

/* Where a task comes before the name is shared again. */
static void other_shared_data(void)
{
    struct seen seen = try_plans(sim_plan_sharing, SIM_WRONG_SHARED);
    CU_ASSERT_TRUE(seen.happened > SEEDS / 4);
    CU_ASSERT_TRUE(seen.detected > seen.happened / 2);
}

/* Unless its parent fails, or is lost. */
static void lost_child(void)
{
    struct seen seen = try_plans(sim_plan_spawning, SIM_LOSE_CHILD);
    CU_ASSERT_TRUE(seen.happened > SEEDS / 4);
    CU_ASSERT_TRUE(seen.detected > seen.happened / 2);
}

static void child_twice(void)
{
    struct seen seen = try_plans(sim_plan_spawning, SIM_CHILD_TWICE);
    CU_ASSERT_TRUE(seen.happened > SEEDS / 4);
    CU_ASSERT_EQUAL(seen.detected, seen.happened);
}

static void lost_item(void)
{
    struct seen seen = try_plans(sim_plan_spawning, SIM_LOSE_ITEM);
    CU_ASSERT_TRUE(seen.happened > SEEDS / 4);
    CU_ASSERT_EQUAL(seen.detected, seen.happened);
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
                               { "lost_returns", lost_returns },
                               { "forged_returns", forged_returns },
                               { "wrong_order", wrong_order },
                               { "urgency_forgotten", urgency_forgotten },
                               { "results_twice", results_twice },
                               { "forgotten_with_its_worker", forgotten_with_its_worker },
                               { "start_not_counted", start_not_counted },
                               { "batch_mate_failed", batch_mate_failed },
                               { "once_is_once", once_is_once },
                               { "not_alone", not_alone },
                               { "unheard_loss", unheard_loss },
                               { "unheard_replacement", unheard_replacement },
                               { "try_not_counted", try_not_counted },
                               { "damaged_shared_data", damaged_shared_data },
                               { "lost_shared_data", lost_shared_data },
                               { "other_shared_data", other_shared_data },
                               { "lost_child", lost_child },
                               { "child_twice", child_twice },
                               { "lost_item", lost_item },
                               CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "mutations", NULL, NULL, NULL, NULL, tests },
                                 CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
