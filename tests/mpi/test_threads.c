/* Four threads of rank 0 at one pool, each through every function. */
/* run: alone, -n 1, -n 2, -n 4 */
#include "fixture.h"
#include "threads.h"

static void mix(const rp_config *config, int rounds)
{
    if (!open_pool(config))
        return;
    CU_ASSERT_EQUAL(threads_mix(pool, 4, rounds), 0);
    close_pool();
}

static void four_threads(void)
{
    mix(NULL, 50);
}

static void four_threads_without_a_caretaker(void)
{
    rp_config config = RP_CONFIG_INIT;
    config.background = RP_OFF;
    mix(&config, 50);
}

static void four_threads_and_a_narrow_queue(void)
{
    rp_config config = RP_CONFIG_INIT;
    config.queue_limit_tasks = 3;
    mix(&config, 20);
}

int main(int argc, char **argv)
{
    static CU_TestInfo threads[] = {
        { "four_threads", four_threads },
        { "four_threads_without_a_caretaker", four_threads_without_a_caretaker },
        { "four_threads_and_a_narrow_queue", four_threads_and_a_narrow_queue },
        CU_TEST_INFO_NULL
    };
    static CU_SuiteInfo suites[] = { { "threads", NULL, NULL, NULL, end_pool, threads },
                                     CU_SUITE_INFO_NULL };
    return harness_main(argc, argv, suites);
}
