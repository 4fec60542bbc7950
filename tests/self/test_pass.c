#include "harness.h"

static void holds(void)
{
    CU_ASSERT_EQUAL(1 + 1, 2);
}

static CU_TestInfo tests[] = { { "first", holds }, { "second", holds }, CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "pass", NULL, NULL, NULL, NULL, tests }, CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
