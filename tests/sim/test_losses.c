/* Thousands of random schedules in which workers die and fall silent: tasks of all kinds, tasks
 * that return errors, streams whose tasks spawn others, and data that are shared and replaced.
 * SEED=n runs seed n alone, SEEDS=m runs m seeds from n (1) on; SECONDS=s (make soak) as many as
 * fit into s seconds. */
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

static const struct kind {
    const char *name;
    struct sim_plan (*plan)(uint64_t seed);
    uint64_t every; /* it runs for one seed in this many; with SEED for each */
} kinds[] = { { "losing", sim_plan_losing, 1 },
              { "failing", sim_plan_failing, 8 },
              { "spawning", sim_plan_spawning, 4 },
              { "sharing", sim_plan_sharing, 6 } };
#define KINDS (sizeof kinds / sizeof *kinds)

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

/* Adds up what happened; false: a violation. */
static bool run(const struct kind *kind, uint64_t seed, struct sim_report *sum)
{
    struct sim_plan plan = kind->plan(seed);
    struct sim_report report;
    bool sound = sim_run(&plan, &report);
    if (!sound)
        fprintf(stderr, "%s schedule %" PRIu64 ": %s\n    again with: SEED=%" PRIu64 " %s\n",
                kind->name, seed, report.violation, seed, program_invocation_name);
    sum->steps += report.steps;
    sum->tasks += report.tasks;
    sum->runs += report.runs;
    sum->lost += report.lost;
    sum->replaced += report.replaced;
    sum->silent += report.silent;
    sum->given_up += report.given_up;
    sum->slow += report.slow;
    sum->refused += report.refused;
    sum->spawned += report.spawned;
    sum->respawned += report.respawned;
    sum->parted += report.parted;
    sum->failed_and_lost += report.failed_and_lost;
    sum->named += report.named;
    sum->shared += report.shared;
    sum->filled += report.filled;
    return sound;
}

static void losing_schedules(void)
{
    uint64_t seconds = number_from("SECONDS", 0), until = (uint64_t)time(NULL) + seconds;
    uint64_t first = number_from("SEED", 1),
             count = number_from("SEEDS", getenv("SEED") && !seconds ? 1 : SCHEDULES);
    bool all = getenv("SEED");
    struct sim_report sum = { 0 };
    uint64_t seed = first, schedules = 0;
    int failures = 0;
    for (; (seconds ? (uint64_t)time(NULL) < until : seed < first + count) && failures < 5; seed++)
        for (size_t i = 0; i < KINDS; i++)
            if (all || seed % kinds[i].every == 0) {
                schedules++;
                failures += !run(&kinds[i], seed, &sum);
            }
    printf("%" PRIu64 " schedules of %" PRIu64 " seeds from %" PRIu64 " on: %" PRIu64
           " steps, %" PRIu64 " tasks, %" PRIu64 " runs, %" PRIu64 " workers lost, %" PRIu64
           " replaced, %" PRIu64 " silent, %" PRIu64 " starts given up, over slow links %" PRIu64
           ", allocations refused %" PRIu64 ", %" PRIu64 " tasks spawned, %" PRIu64
           " parents that ran again, %" PRIu64
           " workers lost between children and their parent's result, %" PRIu64
           " tasks tried again and started again, %" PRIu64 " named by their worker, %" PRIu64
           " data shared, %" PRIu64 " copies at hosts, %d violations\n",
           schedules, seed - first, first, sum.steps, sum.tasks, sum.runs, sum.lost, sum.replaced,
           sum.silent, sum.given_up, sum.slow, sum.refused, sum.spawned, sum.respawned, sum.parted,
           sum.failed_and_lost, sum.named, sum.shared, sum.filled, failures);
    CU_ASSERT_EQUAL(failures, 0);
    if (seed - first >= 1000) { /* the schedules are of all kinds */
        uint64_t seeds = seed - first;
        CU_ASSERT_TRUE(sum.lost > seeds / 2);
        CU_ASSERT_TRUE(sum.replaced > seeds / 5);
        CU_ASSERT_TRUE(sum.silent > seeds / 10);
        CU_ASSERT_TRUE(sum.given_up > seeds);
        CU_ASSERT_TRUE(sum.slow > seeds);
        CU_ASSERT_TRUE(sum.spawned > seeds);
        CU_ASSERT_TRUE(sum.respawned > seeds / 20);
        CU_ASSERT_TRUE(sum.parted > seeds / 100);
        CU_ASSERT_TRUE(sum.failed_and_lost > seeds / 5);
        CU_ASSERT_TRUE(sum.named > seeds / 50);
        CU_ASSERT_TRUE(sum.shared > seeds / 2);
        CU_ASSERT_TRUE(sum.filled > seeds / 5);
    }
}

/* Each found a bug of the engine. */
static void schedules_of_old(void)
{
    static const struct {
        struct sim_plan (*plan)(uint64_t seed);
        uint64_t seed;
    } old[] = { { sim_plan_losing, 24359 },    { sim_plan_losing, 121603 },
                { sim_plan_losing, 188294 },   { sim_plan_losing, 209715 },
                { sim_plan_losing, 248894 },   { sim_plan_losing, 300288 },
                { sim_plan_losing, 30653929 }, { sim_plan_losing, 40444880 },
                { sim_plan_spawning, 40 },     { sim_plan_spawning, 156 },
                { sim_plan_sharing, 492 },     { sim_plan_sharing, 105437 },
                { sim_plan_sharing, 105459 } };
    for (size_t i = 0; i < sizeof old / sizeof *old; i++) {
        struct sim_plan plan = old[i].plan(old[i].seed);
        struct sim_report report;
        CU_ASSERT_TRUE(sim_run(&plan, &report));
        if (report.violation[0])
            fprintf(stderr, "old schedule %" PRIu64 ": %s\n", old[i].seed, report.violation);
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
