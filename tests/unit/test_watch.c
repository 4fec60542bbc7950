/* Watching processes of this host. */
#include "harness.h"
#include "watch.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LIMIT 10 /* seconds */

static struct rpi_watch watch;

static void start(int most)
{
    struct rpi_alloc alloc = rpi_alloc_of(NULL, NULL);
    CU_ASSERT_EQUAL_FATAL(rpi_watch_init(&watch, &alloc, most), RP_OK);
}

static pid_t child(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        (void)pause();
        _exit(0);
    }
    return pid;
}

static void end(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

/* Killed, and not waited for: it ends when the kernel comes to it. */
static int ended_in_time(void)
{
    struct timespec moment = { .tv_nsec = 1000000 };
    int number = 0;
    for (time_t limit = time(NULL) + LIMIT; number == 0 && time(NULL) < limit; (void)nanosleep(&moment, NULL))
        number = rpi_watch_ended(&watch);
    return number;
}

static void one_of_several_ends(void)
{
    pid_t pids[3];
    start(3);
    for (int i = 0; i < 3; i++) {
        pids[i] = child();
        CU_ASSERT(rpi_watch_add(&watch, pids[i], i + 1));
    }
    CU_ASSERT_EQUAL(rpi_watch_ended(&watch), 0);
    (void)kill(pids[1], SIGKILL); /* and nobody has waited for it: it is a zombie */
    CU_ASSERT_EQUAL(ended_in_time(), 2);
    for (int i = 0; i < 3; i++)
        end(pids[i]);
    CU_ASSERT_NOT_EQUAL(rpi_watch_ended(&watch), 0);
    rpi_watch_fini(&watch);
}

static void who_is_not_there_is_not_watched(void)
{
    pid_t pid = child();
    end(pid);
    start(2);
    CU_ASSERT_FALSE(rpi_watch_add(&watch, pid, 1));
    CU_ASSERT_FALSE(rpi_watch_add(&watch, -1, 1));
    CU_ASSERT_EQUAL(rpi_watch_ended(&watch), 0);
    rpi_watch_fini(&watch);
}

static void no_more_than_there_is_room_for(void)
{
    pid_t pid = child();
    start(1);
    CU_ASSERT(rpi_watch_add(&watch, pid, 1));
    CU_ASSERT_FALSE(rpi_watch_add(&watch, pid, 2));
    rpi_watch_fini(&watch);
    CU_ASSERT_EQUAL(rpi_watch_ended(&watch), 0);
    end(pid);
}

static CU_TestInfo tests[] = { { "one_of_several_ends", one_of_several_ends },
                               { "who_is_not_there_is_not_watched", who_is_not_there_is_not_watched },
                               { "no_more_than_there_is_room_for", no_more_than_there_is_room_for },
                               CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "watch", NULL, NULL, NULL, NULL, tests }, CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
