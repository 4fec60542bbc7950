#include "harness.h"

#include <CUnit/TestRun.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *only;             /* the one test to run, or NULL */
static const char *running = "none"; /* read by a signal handler */
static int rank;

static int rank_by_launcher(void)
{
    static const char *const names[] = { "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK" };
    int above = getenv("RANKPOOL_SPAWNED") ? 1 : 0; /* rank 0 is the one that spawned them */
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value != NULL)
            return above + (int)strtol(value, NULL, 10);
    }
    return 0;
}

static void say(const char *text)
{
    ssize_t written = write(STDERR_FILENO, text, strlen(text));
    (void)written;
}

/* Says which test was running, then dies as without us. */
static void on_death(int number)
{
    say("died in test: ");
    say(running);
    say("\n");
    signal(number, SIG_DFL);
    raise(number);
}

static void name_the_dead(void)
{
    signal(SIGABRT, on_death);
    signal(SIGTERM, on_death); /* the time limit */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    signal(SIGSEGV, on_death); /* a sanitizer says more about these than we can */
    signal(SIGBUS, on_death);
    signal(SIGFPE, on_death);
#endif
}

static void on_start(const CU_pTest test, const CU_pSuite suite)
{
    (void)suite;
    running = test->pName;
}

static void print_failures(const char *place, const CU_pFailureRecord failures)
{
    for (CU_pFailureRecord f = failures; f != NULL; f = f->pNext) {
        fprintf(stderr, "%s:%u: rank %d: %s: failed: %s\n", f->strFileName, f->uiLineNumber, rank,
                place, f->strCondition);
    }
}

static void on_complete(const CU_pTest test, const CU_pSuite suite,
                        const CU_pFailureRecord failures)
{
    (void)suite;
    print_failures(test->pName, failures);
    running = "none";
}

static void on_suite_setup_failed(const CU_pSuite suite)
{
    fprintf(stderr, "rank %d: the suite %s could not be set up\n", rank, suite->pName);
}

static void on_suite_cleanup_failed(const CU_pSuite suite)
{
    fprintf(stderr, "rank %d: the suite %s could not be cleaned up\n", rank, suite->pName);
}

/* Switches off every test but `only`. */
static void select_test(void)
{
    for (CU_pSuite suite = CU_get_registry()->pSuite; suite != NULL; suite = suite->pNext) {
        for (CU_pTest test = suite->pTest; test != NULL; test = test->pNext) {
            CU_set_test_active(test, strcmp(test->pName, only) == 0 ? CU_TRUE : CU_FALSE);
        }
    }
}

static int report(const char *program)
{
    const char *slash = strrchr(program, '/');
    unsigned failed = CU_get_number_of_tests_failed() + CU_get_number_of_suites_failed();
    unsigned run = CU_get_number_of_tests_run();
    unsigned passed = run - CU_get_number_of_tests_failed();
    if (rank == 0) {
        printf("%s: %u passed, %u failed\n", slash != NULL ? slash + 1 : program, passed, failed);
        fflush(stdout);
    }
    return failed > 0 || run == 0;
}

int harness_main(int argc, char **argv, CU_SuiteInfo *suites)
{
    rank = rank_by_launcher();
    only = argc > 1 ? argv[1] : getenv("TEST_CASE");
    name_the_dead();
    if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(suites) != CUE_SUCCESS) {
        fprintf(stderr, "CUnit: %s\n", CU_get_error_msg());
        return 2;
    }
    CU_set_test_start_handler(on_start);
    CU_set_test_complete_handler(on_complete);
    CU_set_suite_init_failure_handler(on_suite_setup_failed);
    CU_set_suite_cleanup_failure_handler(on_suite_cleanup_failed);
    CU_set_fail_on_inactive(CU_FALSE);
    if (only != NULL && *only != '\0')
        select_test();
    CU_run_all_tests();
    int status = report(argv[0]);
    CU_cleanup_registry();
    return status;
}
