#include "harness.h"

static void fails(void)
{
    CU_ASSERT_EQUAL(1 + 1, 3);
}

static CU_TestInfo tests[] = { { "fails", fails }, CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "fail", NULL, NULL, NULL, NULL, tests }, CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
