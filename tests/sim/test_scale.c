/* Big runs: how well the workers are kept busy, and a thousand of them. */
/* limit: 240 */
#include "harness.h"
#include "sim.h"

#include <stdio.h>

#define CREW 3

/* When the last task ends if each goes, in order, to the worker that is free first. */
static double greedy_makespan(const struct sim_plan *plan)
{
    double free_at[CREW] = { 0 }, end = 0;
    for (uint64_t number = 0; number < plan->burst; number++) {
        int first = 0;
        for (int worker = 1; worker < CREW; worker++)
            if (free_at[worker] < free_at[first])
                first = worker;
        free_at[first] += sim_duration(plan, plan->function, number, 0);
        if (free_at[first] > end)
            end = free_at[first];
    }
    return end;
}

/* Over links of 5 us, a run takes at most `most` times greedy_makespan. */
static void at_most(double most, struct sim_plan plan)
{
    double worst = 0;
    uint64_t recalled = 0, returned = 0;
    plan.workers = CREW;
    plan.batch_limit = 4032;
    plan.actions = 1;
    plan.pace = 1e-6;
    plan.latency = 5e-6;
    plan.large = 100;
    plan.plain = plan.answers = true;
    plan.check_every = 50;
    for (plan.seed = 1; plan.seed <= 10; plan.seed++) {
        struct sim_report report;
        if (plan.hidden)
            plan.hidden = plan.burst / 10 *
                          plan.seed; /* at other places, the last one among them */
        bool sound = sim_run(&plan, &report);
        double bound = greedy_makespan(&plan), ratio = report.seconds / bound;
        CU_ASSERT_TRUE(sound);
        CU_ASSERT_EQUAL(report.runs, plan.burst);
        CU_ASSERT_TRUE(ratio <= most);
        CU_ASSERT_TRUE(ratio >= 0.9); /* or the clock is wrong */
        if (!sound || ratio > most)
            fprintf(stderr, "seed %d: makespan %.4f s, greedy %.4f s, ratio %.4f %s\n",
                    (int)plan.seed, report.seconds, bound, ratio, report.violation);
        worst = ratio > worst ? ratio : worst;
        recalled += report.recalled;
        returned += report.returned;
    }
    printf("%d tasks of %g s: at most %.4f of greedy, %d recalls, %d tasks handed back\n",
           (int)plan.burst, plan.mean, worst, (int)recalled, (int)returned);
}

static void makespan(void)
{
    at_most(1.03, (struct sim_plan){ .burst = 2000, .mean = 2e-3, .spread = 1.5 });
    at_most(1.03, (struct sim_plan){ .burst = 2000, .mean = 20e-3, .spread = 1.5 });
    at_most(1.15, (struct sim_plan){ .burst = 2000, .mean = 100e-6, .spread = 1.5 });
}

/* One task of a second among 10,000 of 50 us: what it shares a batch with does not wait for it. */
static void hidden_long_task(void)
{
    at_most(1.03, (struct sim_plan){
                      .burst = 10000, .mean = 50e-6, .spread = 0.1, .hidden = 1, .hidden_for = 1 });
}

static void thousand_workers(void)
{
    for (uint64_t seed = 1; seed <= 2; seed++) {
        struct sim_plan plan = sim_plan_of(seed);
        struct sim_report report;
        plan.workers = 1000;
        plan.actions = 100;
        plan.burst = 400;
        plan.pace = 50e-6;
        plan.latency = 10e-6;
        plan.large = 5000;
        plan.function = -1;
        plan.ending = SIM_CLOSE;
        plan.fail_ppm = 0;
        plan.check_every = 500;
        bool sound = sim_run(&plan, &report);
        printf("1000 workers: %d steps, %d tasks, %d batches, %.4f s\n", (int)report.steps,
               (int)report.tasks, (int)report.messages, report.seconds);
        CU_ASSERT_TRUE(sound);
        CU_ASSERT_TRUE(report.tasks > 5000);
        if (!sound)
            fprintf(stderr, "seed %d: %s\n", (int)seed, report.violation);
    }
}

static CU_TestInfo tests[] = { { "makespan", makespan },
                               { "hidden_long_task", hidden_long_task },
                               { "thousand_workers", thousand_workers },
                               CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "scale", NULL, NULL, NULL, NULL, tests }, CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
