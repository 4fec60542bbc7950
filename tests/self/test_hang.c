#include "harness.h"

#include <unistd.h>

static void hangs(void)
{
    for (;;)
        pause();
}

static CU_TestInfo tests[] = { { "hangs", hangs }, CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "hang", NULL, NULL, NULL, NULL, tests }, CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
