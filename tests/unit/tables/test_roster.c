/* How much each worker has in flight. */
#include "harness.h"
#include "memory.h"
#include "tables/roster.h"

static struct memory memory;
static struct rpi_roster roster;

static void begin(int workers)
{
    memory = (struct memory){ 0 };
    struct rpi_alloc alloc = memory_hook(&memory);
    CU_ASSERT_EQUAL_FATAL(rpi_roster_init(&roster, &alloc, workers), RP_OK);
}

static void end(void)
{
    rpi_roster_fini(&roster);
    CU_ASSERT_EQUAL(memory.live, 0);
}

/* Sends a batch to whoever is next; returns who. */
static int send_next(void)
{
    int worker = rpi_roster_least(&roster);
    if (worker)
        rpi_roster_sent(&roster, worker);
    return worker;
}

static void all_in_turn(void)
{
    begin(3);
    for (int round = 0; round < RPI_ROSTER_DEPTH; round++)
        for (int worker = 1; worker <= 3; worker++) {
            CU_ASSERT_EQUAL(rpi_roster_has_idle(&roster), round == 0);
            CU_ASSERT_EQUAL(send_next(), worker);
        }
    CU_ASSERT_EQUAL(rpi_roster_least(&roster), 0);
    for (int worker = 1; worker <= 3; worker++)
        CU_ASSERT_EQUAL(roster.seats[worker].in_flight, RPI_ROSTER_DEPTH);
    end();
}

static void least_loaded_first(void)
{
    begin(3);
    for (int i = 0; i < 6; i++)
        (void)send_next(); /* two each */
    rpi_roster_done(&roster, 2);
    CU_ASSERT_EQUAL(rpi_roster_least(&roster), 2);
    rpi_roster_done(&roster, 3);
    rpi_roster_done(&roster, 3);
    CU_ASSERT_TRUE(rpi_roster_has_idle(&roster));
    CU_ASSERT_EQUAL(send_next(), 3);
    CU_ASSERT_EQUAL(send_next(), 2); /* longest with one */
    CU_ASSERT_EQUAL(send_next(), 3);
    CU_ASSERT_EQUAL(send_next(), 1);
    end();
}

static void longest_idle_first(void)
{
    begin(4);
    for (int i = 0; i < 4; i++)
        (void)send_next();
    static const int order[] = { 3, 1, 4, 2 };
    for (int i = 0; i < 4; i++)
        rpi_roster_done(&roster, order[i]);
    for (int i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(send_next(), order[i]);
    end();
}

static void random_use(void)
{
    enum { WORKERS = 50 };
    uint32_t counts[WORKERS + 1] = { 0 }, state = 1;
    begin(WORKERS);
    for (int i = 0; i < 20000; i++) {
        uint32_t least = RPI_ROSTER_DEPTH;
        state = state * 1664525 + 1013904223;
        int worker = 1 + (int)(state >> 16) % WORKERS;
        if (state >> 31 && counts[worker] > 0) {
            rpi_roster_done(&roster, worker);
            counts[worker]--;
        } else if ((worker = send_next()) > 0) {
            counts[worker]++;
        }
        for (int k = 1; k <= WORKERS; k++)
            least = counts[k] < least ? counts[k] : least;
        int next = rpi_roster_least(&roster);
        CU_ASSERT_EQUAL(next == 0, least == RPI_ROSTER_DEPTH);
        CU_ASSERT_TRUE(next == 0 || counts[next] == least);
        CU_ASSERT_EQUAL(rpi_roster_has_idle(&roster), least == 0);
        CU_ASSERT_TRUE(worker == 0 || roster.seats[worker].in_flight == counts[worker]);
    }
    end();
}

/* A worker that was asked gets nothing until it is heard of, or has nothing. */
static void asked_ones_wait(void)
{
    begin(2);
    CU_ASSERT_TRUE(roster.idle == 2 && rpi_list_empty(&roster.loaded));
    for (int i = 0; i < 4; i++)
        (void)send_next(); /* two each */
    CU_ASSERT_EQUAL(roster.idle, 0);
    rpi_roster_load(&roster, 1, 5, 100, 3);
    rpi_roster_load(&roster, 2, 5, 100, 4);
    rpi_roster_load(&roster, 1, 2, 101, 1);
    CU_ASSERT_TRUE(roster.seats[1].movable == 7 && roster.seats[1].due > 103.9 &&
                   roster.seats[1].due < 104.1);
    CU_ASSERT_PTR_EQUAL(rpi_list_first(&roster.loaded),
                        &roster.seats[2].load); /* its last batch is the older */
    rpi_roster_ask(&roster, 2);
    CU_ASSERT_PTR_EQUAL(rpi_list_first(&roster.loaded), &roster.seats[1].load);
    CU_ASSERT_TRUE(roster.asked == 1 && !rpi_roster_has_credit(&roster, 2) &&
                   rpi_roster_has_credit(&roster, 1));
    CU_ASSERT_EQUAL(send_next(), 1);
    rpi_roster_answered(&roster, 2);
    CU_ASSERT_EQUAL(roster.asked, 0);
    rpi_roster_answered(&roster, 2);
    CU_ASSERT_EQUAL(roster.asked, 0);
    CU_ASSERT_EQUAL(send_next(), 1);
    CU_ASSERT_EQUAL(send_next(), 0);
    rpi_roster_heard(&roster, 2);
    CU_ASSERT_EQUAL(send_next(), 2);
    rpi_roster_ask(&roster, 2);
    for (int i = 0; i < 3; i++)
        rpi_roster_done(&roster, 2);
    CU_ASSERT_TRUE(roster.idle == 1 && rpi_roster_has_credit(&roster, 2));
    CU_ASSERT_EQUAL(send_next(), 2);
    end();
}

static void without_memory(void)
{
    struct rpi_alloc alloc = memory_hook(&memory);
    memory = (struct memory){ .fail_at = 1 };
    CU_ASSERT_EQUAL(rpi_roster_init(&roster, &alloc, 4), RP_ERR_NOMEM);
    CU_ASSERT_EQUAL(memory.live, 0);
}

static void who_is_not_present_gets_nothing(void)
{
    begin(3);
    rpi_roster_lost(&roster, 1);
    rpi_roster_sent(&roster, 2);
    rpi_roster_alone(&roster, 2);
    CU_ASSERT_EQUAL(roster.lost, 1);
    for (int i = 0; i < RPI_ROSTER_DEPTH; i++)
        CU_ASSERT_EQUAL(send_next(), 3);
    CU_ASSERT_EQUAL(send_next(), 0);
    CU_ASSERT_FALSE(rpi_roster_has_idle(&roster));
    rpi_roster_done(&roster, 2); /* what went alone is done */
    CU_ASSERT_EQUAL(send_next(), 2);
    rpi_roster_replace(&roster, 1, 77);
    CU_ASSERT_EQUAL(send_next(), 1);
    rpi_roster_lost(&roster, 1);
    rpi_roster_done(&roster, 1);
    rpi_roster_lost(&roster, 2);
    CU_ASSERT_TRUE(send_next() == 0 && roster.lost == 2 && !rpi_roster_deserted(&roster));
    rpi_roster_lost(&roster, 3);
    CU_ASSERT_TRUE(roster.lost == 3 && rpi_roster_deserted(&roster));
    end();
}

static CU_TestInfo tests[] = { { "all_in_turn", all_in_turn },
                               { "least_loaded_first", least_loaded_first },
                               { "longest_idle_first", longest_idle_first },
                               { "random_use", random_use },
                               { "asked_ones_wait", asked_ones_wait },
                               { "without_memory", without_memory },
                               { "who_is_not_present_gets_nothing",
                                 who_is_not_present_gets_nothing },
                               CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "roster", NULL, NULL, NULL, NULL, tests }, CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
