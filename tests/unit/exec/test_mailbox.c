/* The line of orders between a worker and its tasks' process: what is begun and what is withdrawn,
 * while both are at it. */
#include "exec/mailbox.h"
#include "harness.h"

#include <pthread.h>
#include <sched.h>

static struct rpi_mailbox mailbox;

static void one_by_one(void)
{
    uint32_t number = 0, first = UINT32_MAX - 1; /* numbers go round */
    rpi_mailbox_set(&mailbox, first + 3, first);
    atomic_store(&mailbox.done, first);
    for (uint32_t i = 1; i <= 3; i++) {
        CU_ASSERT_TRUE(rpi_mailbox_begin(&mailbox, &number));
        CU_ASSERT_EQUAL(number, first + i);
        CU_ASSERT_EQUAL(rpi_mailbox_begun(&mailbox), number);
        CU_ASSERT_FALSE(rpi_mailbox_is_done(&mailbox, number));
        atomic_store(&mailbox.done, number);
        CU_ASSERT_TRUE(rpi_mailbox_is_done(&mailbox, number));
        CU_ASSERT_TRUE(rpi_mailbox_is_done(&mailbox, first));
    }
    CU_ASSERT_FALSE(rpi_mailbox_begin(&mailbox, &number));
    CU_ASSERT_EQUAL(rpi_mailbox_given(&mailbox), first + 3);
}

static void withdrawn(void)
{
    uint32_t number = 0;
    rpi_mailbox_set(&mailbox, 14, 10);
    CU_ASSERT_EQUAL(rpi_mailbox_withdraw(&mailbox, 12), 12);
    CU_ASSERT_TRUE(rpi_mailbox_begin(&mailbox, &number));
    CU_ASSERT_EQUAL(rpi_mailbox_withdraw(&mailbox, 10), 11); /* it is begun */
    CU_ASSERT_FALSE(rpi_mailbox_begin(&mailbox, &number));
    CU_ASSERT_EQUAL(rpi_mailbox_withdraw(&mailbox, 10), 11);
}

/* ---- both at once */

enum { ROUNDS = 20000, GIVEN = 8 };
static uint32_t begun[ROUNDS * GIVEN + 1]; /* how often */
static atomic_bool over;

static void *take_orders(void *none)
{
    uint32_t number;
    for (;;) {
        bool last = atomic_load(&over);
        if (rpi_mailbox_begin(&mailbox, &number)) {
            begun[number]++;
            atomic_store(&mailbox.done, number);
        } else if (last) {
            return none;
        } else {
            (void)sched_yield();
        }
    }
}

/* Each order up to the last that was not withdrawn is begun, once; what is withdrawn is given again
 * under the same number. */
static void each_once(void)
{
    uint32_t taken = 0;
    pthread_t thread;
    atomic_store(&over, false);
    atomic_store(&mailbox.done, 0);
    rpi_mailbox_set(&mailbox, 0, 0);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, take_orders, NULL), 0);
    for (int i = 0; i < ROUNDS; i++) {
        rpi_mailbox_set(&mailbox, taken + GIVEN, taken);
        for (int j = i % 50; j > 0; j--)
            (void)rpi_mailbox_given(&mailbox);
        uint32_t last = rpi_mailbox_withdraw(&mailbox, taken);
        CU_ASSERT(last - taken <= GIVEN);
        while (!rpi_mailbox_is_done(&mailbox, last))
            (void)sched_yield();
        taken = last;
    }
    atomic_store(&over, true);
    (void)pthread_join(thread, NULL);
    for (uint32_t i = 1; i <= taken; i++)
        CU_ASSERT_EQUAL(begun[i], 1);
    CU_ASSERT(taken == ROUNDS * GIVEN || begun[taken + 1] == 0);
}

int main(int argc, char **argv)
{
    static CU_TestInfo line[] = { { "one_by_one", one_by_one },
                                  { "withdrawn", withdrawn },
                                  { "each_once", each_once },
                                  CU_TEST_INFO_NULL };
    static CU_SuiteInfo suites[] = { { "line", NULL, NULL, NULL, NULL, line }, CU_SUITE_INFO_NULL };
    return harness_main(argc, argv, suites);
}
