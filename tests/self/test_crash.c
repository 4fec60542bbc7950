#include "harness.h"

#include <stdlib.h>

static void crashes(void)
{
    abort();
}

static CU_TestInfo tests[] = { { "crashes", crashes }, CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "crash", NULL, NULL, NULL, NULL, tests }, CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
