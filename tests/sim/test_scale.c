/* Two big runs: how well the workers are kept busy, and a thousand of them. */
#include "harness.h"
#include "sim.h"

#include <stdio.h>

#define CREW  3
#define TASKS 2000

/* When the last task ends if each goes, in order, to the worker that is free first. */
static double greedy_makespan(uint64_t seed, int function)
{
    double free_at[CREW] = { 0 }, end = 0;
    for (uint64_t number = 0; number < TASKS; number++) {
        int first = 0;
        for (int worker = 1; worker < CREW; worker++)
            if (free_at[worker] < free_at[first])
                first = worker;
        free_at[first] += sim_duration(seed, function, number, 0);
        if (free_at[first] > end)
            end = free_at[first];
    }
    return end;
}

/* Lognormal tasks of 2 ms on the mean over links of 5 us: at most 5 % behind. */
static void makespan(void)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct sim_plan plan = { .seed = seed,
                                 .workers = CREW,
                                 .batch_limit = 4032,
                                 .actions = 1,
                                 .burst = TASKS,
                                 .pace = 1e-6,
                                 .latency = 5e-6,
                                 .large = 100,
                                 .plain = true,
                                 .function = 3,
                                 .check_every = 20 };
        struct sim_report report;
        bool sound = sim_run(&plan, &report);
        double bound = greedy_makespan(seed, plan.function);
        printf("seed %d: makespan %.4f s, greedy %.4f s, ratio %.4f\n", (int)seed, report.seconds, bound,
               report.seconds / bound);
        CU_ASSERT_TRUE(sound);
        CU_ASSERT_EQUAL(report.runs, TASKS);
        CU_ASSERT_TRUE(report.seconds <= 1.05 * bound);
        CU_ASSERT_TRUE(report.seconds >= 0.9 * bound); /* or the clock is wrong */
        if (!sound)
            fprintf(stderr, "seed %d: %s\n", (int)seed, report.violation);
    }
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
        printf("1000 workers: %d steps, %d tasks, %d batches, %.4f s\n", (int)report.steps, (int)report.tasks,
               (int)report.messages, report.seconds);
        CU_ASSERT_TRUE(sound);
        CU_ASSERT_TRUE(report.tasks > 5000);
        if (!sound)
            fprintf(stderr, "seed %d: %s\n", (int)seed, report.violation);
    }
}

static CU_TestInfo tests[] = { { "makespan", makespan }, { "thousand_workers", thousand_workers }, CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "scale", NULL, NULL, NULL, NULL, tests }, CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
