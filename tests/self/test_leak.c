#include "harness.h"

#include <stdlib.h>

static void leaks(void)
{
    void *volatile lost = malloc(100);
    CU_ASSERT_PTR_NOT_NULL(lost);
    lost = NULL;
} /* NOLINT(clang-analyzer-unix.Malloc): it must leak */

static CU_TestInfo tests[] = { { "leaks", leaks }, CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "leak", NULL, NULL, NULL, NULL, tests }, CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
