/* The main function of every CUnit program here.
 *
 *   static CU_TestInfo wire[] = { { "round_trip", round_trip }, CU_TEST_INFO_NULL };
 *   static CU_SuiteInfo suites[] = { { "wire", NULL, NULL, NULL, NULL, wire }, CU_SUITE_INFO_NULL
 * };
 *
 *   int main(int argc, char **argv)
 *   {
 *       return harness_main(argc, argv, suites);
 *   }
 *
 * Failed assertions are printed as they happen, with file and line; a test that dies is named. The
 * last line is "PROGRAM: N passed, N failed", which tests/run adds up: it knows a program that
 * prints no such line for a failure. Under mpirun every rank runs the suites and prints its own
 * failures, and rank 0 alone prints the last line; what failed elsewhere shows in the exit status.
 * TEST_CASE=name in the environment (or the first argument) runs the one test of that name. */
#ifndef HARNESS_H
#define HARNESS_H

#include <CUnit/CUnit.h>
#include <CUnit/TestDB.h>

/* Runs the suites; returns main's exit status: 0 when at least one test ran and none failed. */
int harness_main(int argc, char **argv, CU_SuiteInfo *suites);

#endif
