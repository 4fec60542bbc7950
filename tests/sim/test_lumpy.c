/* Maps whose items take very different times, in an order that looks harmless at first: no worker
 * is left with the long ones while another has nothing to do. */
/* limit: 240 */
#include "harness.h"
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

/* When the last item ends if each goes, in order, to the worker that is free first; *longest: of
 * the items. */
static double greedy(enum sim_shape shape, int workers, double *longest)
{
    double *free_at = calloc((size_t)workers, sizeof *free_at), end = 0;
    CU_ASSERT_PTR_NOT_NULL_FATAL(free_at);
    *longest = 0;
    for (uint64_t item = 0; item < sim_shape_count(shape); item++) {
        double seconds = sim_shape_seconds(shape, item);
        int first = 0;
        for (int worker = 1; worker < workers; worker++)
            if (free_at[worker] < free_at[first])
                first = worker;
        free_at[first] += seconds;
        end = free_at[first] > end ? free_at[first] : end;
        *longest = seconds > *longest ? seconds : *longest;
    }
    free(free_at);
    return end;
}

/* Over links of 5 us: within a tenth of the list, and one item. */
static void play(enum sim_shape shape, int workers, uint64_t chunk, double known, uint64_t seed)
{
    struct sim_plan plan = {
        .seed = seed, .workers = workers, .batch_limit = 4032, .actions = 1, .pace = 1e-6
    };
    plan.latency = 5e-6;
    plan.large = 100;
    plan.answers = true;
    plan.check_every = 1000;
    plan.shape = shape;
    plan.chunk = chunk;
    plan.known = known;
    struct sim_report report;
    double longest, list = greedy(shape, workers, &longest), most = 1.10 * list + longest;
    bool sound = sim_run(&plan, &report);
    CU_ASSERT_TRUE(sound);
    CU_ASSERT_EQUAL(report.runs, sim_shape_count(shape));
    CU_ASSERT_TRUE(report.seconds <= most);
    CU_ASSERT_TRUE(report.seconds >= longest);
    if (!sound || report.seconds > most || report.seconds < longest)
        fprintf(stderr,
                "shape %d, %d workers, chunk %d, known %g, seed %d: %.4f s, greedy %.4f, longest "
                "%.4f %s\n",
                (int)shape, workers, (int)chunk, known, (int)seed, report.seconds, list, longest,
                report.violation);
}

static void play_all(int workers, uint64_t seeds)
{
    static const uint64_t chunks[] = { 0, 1, 25 };
    static const double known[] = { 0, 100e-9, 1e-3 };
    for (int shape = SIM_SHAPELESS + 1; shape < SIM_SHAPES; shape++)
        for (int i = 0; i < 9; i++)
            for (uint64_t seed = 1; seed <= seeds; seed++)
                play((enum sim_shape)shape, workers, chunks[i % 3], known[i / 3], seed);
}

static void three_workers(void)
{
    play_all(3, 5);
}

static void four_workers(void)
{
    play_all(4, 5);
}

static void thirty_workers(void)
{
    play_all(30, 2);
}

static void thousand_workers(void)
{
    play_all(1000, 1);
}

static CU_TestInfo tests[] = { { "three_workers", three_workers },
                               { "four_workers", four_workers },
                               { "thirty_workers", thirty_workers },
                               { "thousand_workers", thousand_workers },
                               CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "lumpy", NULL, NULL, NULL, NULL, tests }, CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
