/* A worker's end of the side channel against rank 0's, over real sockets: coming in, signs of life,
 * and what becomes of a worker, and of its children, when rank 0 ends.  And the sleep of both: two
 * threads play a worker and rank 0, and lose no message to it. */
#include "base/proctree.h"
#include "exec/forkserver.h"
#include "harness.h"
#include "memory.h"
#include "oob/oob_listener.h"
#include "oob/oob_master.h"
#include "oob/oob_protocol.h"
#include "oob/oob_socket.h"
#include "oob/oob_worker.h"

#include <math.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENT 30.0 /* seconds for what comes at once: only a test that fails waits so long */

static struct memory memory;
static struct rpi_oob_listener gate;
static struct rpi_oob_master channel;
static struct rpi_oob_worker oob;

static void begin(void)
{
    memory = (struct memory){ 0 };
    struct rpi_alloc alloc = memory_hook(&memory);
    CU_ASSERT_EQUAL_FATAL(rpi_oob_listener_open(&gate, INADDR_LOOPBACK), RP_OK);
    CU_ASSERT_EQUAL_FATAL(rpi_oob_master_init(&channel, &alloc, 1), RP_OK);
    rpi_oob_worker_init(&oob);
}

static void end(void)
{
    rpi_oob_worker_close(&oob);
    rpi_oob_listener_close(&gate, &(const struct rpi_log){ 0 });
    rpi_oob_master_fini(&channel, false);
    CU_ASSERT_EQUAL(memory.live, 0);
}

/* ---- coming in */

static void *be_rank_0(void *context)
{
    double until = rpi_now() + PATIENT;
    int worker, file;
    (void)context;
    while (channel.joined == 0 && rpi_now() < until)
        if (rpi_oob_listener_next(&gate, rpi_now(), 1, &worker, &file))
            (void)rpi_oob_master_add(&channel, worker, file);
        else
            (void)poll(NULL, 0, 1);
    return NULL;
}

static void come_in(double timeout, double beat)
{
    pthread_t rank_0;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&rank_0, NULL, be_rank_0, NULL), 0);
    CU_ASSERT_EQUAL(rpi_oob_worker_open(&oob, gate.ip, gate.port, gate.token, 1, beat, timeout),
                    RP_OK);
    (void)pthread_join(rank_0, NULL);
    CU_ASSERT_TRUE_FATAL(rpi_oob_master_has(&channel, 1));
}

static void greeted_and_closed(void)
{
    static const double timeouts[] = { PATIENT, 1e300, INFINITY };
    for (size_t i = 0; i < 3; i++) {
        begin();
        come_in(timeouts[i], 0);
        rpi_oob_worker_close(&oob);
        double until = rpi_now() + PATIENT;
        while (rpi_oob_master_lives(&channel, 1) && rpi_now() < until)
            continue;
        CU_ASSERT_EQUAL(rpi_oob_master_next_lost(&channel), 1);
        end();
    }
}

static void says(const char *text)
{
    CU_ASSERT_PTR_NOT_NULL(strstr(rp_error_message(), text));
    if (!strstr(rp_error_message(), text))
        fprintf(stderr, "\"%s\" does not say \"%s\"\n", rp_error_message(), text);
}

static void nobody_lets_it_in(void)
{
    begin(); /* it may connect, but is never greeted */
    CU_ASSERT_EQUAL(rpi_oob_worker_open(&oob, gate.ip, gate.port, gate.token, 1, 0, 0.05),
                    RP_ERR_BROKEN);
    says("rank 0 could not be reached at 127.0.0.1:");
    says("btl_tcp_if_include");
    uint16_t port = gate.port;
    rpi_oob_listener_close(&gate, &(const struct rpi_log){ 0 });
    CU_ASSERT_EQUAL(rpi_oob_worker_open(&oob, gate.ip, port, gate.token, 1, 0, 0.05),
                    RP_ERR_BROKEN);
    says("refused");
    end();
}

/* Which no network mends: it is said at once. */
static void no_descriptor_for_it(void)
{
    struct rlimit before = { 0 }, few;
    begin();
    int next = dup(0);
    CU_ASSERT_TRUE_FATAL(next >= 0 && getrlimit(RLIMIT_NOFILE, &before) == 0);
    (void)close(next); /* all below it are taken */
    few = before;
    few.rlim_cur = (rlim_t)next;
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &few), 0);
    double began = rpi_now();
    CU_ASSERT_EQUAL(rpi_oob_worker_open(&oob, gate.ip, gate.port, gate.token, 1, 0, PATIENT),
                    RP_ERR_BROKEN);
    CU_ASSERT(rpi_now() - began < PATIENT / 2);
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &before), 0);
    says("too many open files");
    says("ulimit -n");
    CU_ASSERT_PTR_NULL(strstr(rp_error_message(), "btl_tcp_if_include"));
    end();
}

static void count_one(void *context, int worker)
{
    (void)worker;
    ++*(int *)context;
}

static void signs_of_life(void)
{
    int heard = 0;
    begin();
    come_in(PATIENT, 0.01);
    double until = rpi_now() + PATIENT;
    while (heard < 5 && rpi_now() < until) {
        rpi_oob_master_wait(&channel, 1);
        rpi_oob_master_hear(&channel, count_one, &heard);
    }
    CU_ASSERT_TRUE(heard >= 5);
    CU_ASSERT_EQUAL(channel.parked, 0);
    rpi_oob_worker_close(&oob);
    end();
}

/* ---- rank 0's end */

enum way { LEFT, PARTED, SURPRISED, SURPRISED_LEADER };

/* Whether a process may take over what its children leave: qemu-user 7.2 refuses that, and nothing
 * finds a grandchild there. */
static bool adopts(void)
{
    int value;
    return prctl(PR_GET_CHILD_SUBREAPER, &value, 0UL, 0UL, 0UL) == 0;
}

/* A worker in a process of its own, whose child has one too; 0 from here on is its end by its own
 * will. */
static void be_worker(int file, int pipe_end, enum way way)
{
    if (way == SURPRISED_LEADER)
        (void)setpgid(0, 0);
    pid_t child = fork();
    if (child == 0) {
        (void)close(file);
        if (adopts())
            (void)fork();
        for (;;)
            (void)pause();
    }
    if (child < 0)
        _exit(3);
    rpi_oob_worker_init(&oob);
    if (rpi_oob_worker_start(&oob, file, 0) != RP_OK)
        _exit(4);
    if (way == LEFT)
        rpi_oob_worker_leave(&oob);
    (void)!write(pipe_end, "r", 1);
    double until = rpi_now() + PATIENT;
    while (!atomic_load(&oob.gone) && rpi_now() < until)
        rpi_oob_worker_park(&oob, 0.1);
    bool gone = atomic_load(&oob.gone);
    rpi_oob_worker_close(&oob);
    rpi_proctree_kill();
    _exit(gone ? 0 : 5);
}

/* All of them hold the pipe: its end is theirs. */
static bool all_are_gone(int pipe_end)
{
    struct pollfd look = { .fd = pipe_end, .events = POLLIN };
    char byte;
    return poll(&look, 1, (int)(PATIENT * 1e3)) == 1 && read(pipe_end, &byte, 1) == 0;
}

static void rank_0_ends(enum way way, bool killed, int code)
{
    int sockets[2], ends[2], status = 0;
    char byte;
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
    pid_t worker = fork();
    if (worker == 0) {
        (void)close(sockets[0]);
        (void)close(ends[0]);
        (void)close(STDERR_FILENO);
        be_worker(sockets[1], ends[1], way);
    }
    (void)close(sockets[1]);
    (void)close(ends[1]);
    CU_ASSERT_EQUAL(read(ends[0], &byte, 1), 1);
    if (way == PARTED)
        rpi_oob_socket_say(sockets[0], RPI_OOB_SIGNAL_PARTED);
    (void)close(sockets[0]);
    CU_ASSERT_TRUE(all_are_gone(ends[0]));
    CU_ASSERT_EQUAL(waitpid(worker, &status, 0), worker);
    CU_ASSERT_EQUAL(WIFSIGNALED(status), killed);
    CU_ASSERT_EQUAL(killed ? WTERMSIG(status) : WEXITSTATUS(status), code);
    (void)close(ends[0]);
}

/* ---- a task's process */

/* Goes on for ever, and has a child that leads a session of its own. */
static void live(void *context)
{
    if (!adopts() || fork() == 0) {
        (void)setsid();
        (void)!write(*(int *)context, "r", 1);
    }
    for (;;)
        (void)pause();
}

static bool is_alive(int64_t pid)
{
    siginfo_t info = { .si_pid = 0 };
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

/* A worker that kills its offspring may be killed itself meanwhile.  The fork server has to see
 * that: it must be neither stopped nor dead. */
static void fork_servers_are_left_alone(void)
{
    int ends[2], status = 0;
    CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
    pid_t worker = fork();
    if (worker == 0) {
        struct rpi_forkserver forkserver;
        char bytes[1];
        const struct rpi_forkserver_config config = {
            .live = live, .context = &ends[1], .keep = { ends[1], -1 }, .error = STDERR_FILENO
        };
        struct rpi_forkserver_news news;
        if (rpi_forkserver_start(&forkserver, &config) != RP_OK ||
            !rpi_forkserver_fork(&forkserver))
            _exit(2);
        while (rpi_forkserver_hear(&forkserver, &news) == 0)
            (void)poll(NULL, 0, 1);
        pid_t other = fork();
        if (other == 0)
            live(&ends[1]);
        if (read(ends[0], bytes, 1) != 1 || read(ends[0], bytes, 1) != 1) /* from both families */
            _exit(4);
        rpi_proctree_kill();
        _exit(is_alive(forkserver.pid) && !is_alive(other) ? 0 : 3);
    }
    (void)close(ends[1]);
    CU_ASSERT_EQUAL(waitpid(worker, &status, 0), worker);
    CU_ASSERT_EQUAL(status, 0);
    CU_ASSERT_TRUE(all_are_gone(ends[0]));
    (void)close(ends[0]);
}

static void a_worker_ends_with_rank_0(void)
{
    rank_0_ends(SURPRISED, false, 1);
    rank_0_ends(SURPRISED_LEADER, true,
                SIGKILL); /* the group that a launcher gave it, and itself */
}

static void not_one_that_leaves_too(void)
{
    rank_0_ends(LEFT, false, 0);
    rank_0_ends(PARTED, false, 0);
}

/* ---- sleepers */

/* What stands for MPI: how many messages have gone each way.  Reading a count is a look. */
static atomic_uint_fast64_t sent_down, sent_up;
static atomic_uint timeouts; /* sleeps that ended by timeout */
static atomic_bool over;

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define ROUNDS 4000
#else
#define ROUNDS 20000
#endif

/* As transport_mpi.c: it says that it means to sleep, looks once more, and sleeps. */
static void *be_sleepy_worker(void *context)
{
    uint64_t done = 0;
    (void)context;
    while (!atomic_load(&over)) {
        if (atomic_load(&sent_down) > done) {
            rpi_oob_worker_came(&oob);
            done++;
            atomic_store(&sent_up, done);
            rpi_oob_worker_sent(&oob, false);
            continue;
        }
        rpi_oob_worker_doze(&oob);
        if (atomic_load(&sent_down) > done || atomic_load(&over))
            continue;
        double began = rpi_now();
        rpi_oob_worker_park(&oob, PATIENT);
        if (rpi_now() - began >= PATIENT)
            (void)atomic_fetch_add(&timeouts, 1);
    }
    return NULL;
}

static void send_one(void)
{
    (void)atomic_fetch_add(&sent_down, 1);
    rpi_oob_master_sent(&channel, 1);
}

/* Rank 0 sleeps only when it has found nothing for RPI_BACKOFF_DROWSY seconds. */
static bool await_answer(uint64_t number, unsigned *sleeps)
{
    double since = rpi_now(), until = since + PATIENT;
    while (atomic_load(&sent_up) < number) {
        rpi_oob_master_hear(&channel, NULL, NULL);
        if (rpi_now() > until)
            return false;
        if (rpi_now() - since < RPI_BACKOFF_DROWSY || atomic_load(&sent_up) >= number)
            continue;
        rpi_oob_master_wait(&channel, PATIENT);
        ++*sleeps;
    }
    return true;
}

/* A message comes at each moment while a worker falls asleep: at once, after its PARKED, during its
 * last look, in its sleep. */
static void no_wake_up_is_lost(void)
{
    pthread_t worker;
    uint32_t random = 1;
    unsigned sleeps = 0, parked = 0;
    uint64_t number = 0;
    bool came = true;
    begin();
    come_in(PATIENT, 0);
    atomic_store(&sent_down, 0);
    atomic_store(&sent_up, 0);
    atomic_store(&timeouts, 0);
    atomic_store(&over, false);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&worker, NULL, be_sleepy_worker, NULL), 0);
    while (came && number < ROUNDS) {
        random = random * 1664525 + 1013904223;
        for (uint32_t i = random >> 16 & 255; i > 0; i--)
            if (i % 16 == 0)
                rpi_oob_master_hear(&channel, NULL, NULL);
        parked += channel.parked > 0;
        send_one();
        if (random >> 28 == 0) {
            send_one();
            number++;
        }
        came = await_answer(++number, &sleeps);
    }
    CU_ASSERT_EQUAL(atomic_load(&sent_up), number);
    CU_ASSERT_EQUAL(atomic_load(&timeouts), 0);
    CU_ASSERT_TRUE(parked > 0);
    printf("%llu messages, %u to a worker that slept, %u sleeps of rank 0\n",
           (unsigned long long)number, parked, sleeps);
    atomic_store(&over, true);
    send_one();
    while (pthread_tryjoin_np(worker, NULL) != 0)
        rpi_oob_master_hear(&channel, NULL, NULL); /* and rings, if it has not seen that */
    end();
}

/* Rank 0 sleeps each time: the worker waits until it must. */
static void rank_0_is_rung(void)
{
    unsigned sleeps = 0;
    begin();
    come_in(PATIENT, 0);
    for (int i = 0; i < 50; i++) {
        rpi_oob_master_hear(&channel, NULL, NULL);
        double quiet = rpi_now() +
                       RPI_BACKOFF_DROWSY; /* so long nothing was found: it may sleep from now on */
        while (rpi_now() < quiet)
            continue;
        rpi_oob_worker_sent(&oob, false);
        double began = rpi_now();
        rpi_oob_master_wait(&channel, PATIENT);
        sleeps += rpi_now() - began < PATIENT;
    }
    CU_ASSERT_EQUAL(sleeps, 50);
    end();
}

static unsigned bytes_waiting(int file)
{
    int count = 0;
    CU_ASSERT_EQUAL(ioctl(file, FIONREAD, &count), 0);
    return (unsigned)count;
}

/* Messages leave late, one after the other, as MPI reports: the first after a pause rings, then at
 * most one in each pause's length. */
static void what_leaves_late_rings_now_and_then(void)
{
    int sockets[2];
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    rpi_oob_worker_init(&oob);
    CU_ASSERT_EQUAL_FATAL(rpi_oob_worker_start(&oob, sockets[1], 0), RP_OK);
    for (int i = 0; i < 10; i++) {
        unsigned before = bytes_waiting(sockets[0]);
        while (rpi_ticks() - oob.rung < oob.quiet)
            continue;
        rpi_oob_worker_sent(&oob, true);
        CU_ASSERT_EQUAL(bytes_waiting(sockets[0]), before + 1);
        uint64_t quiet = oob.quiet, began = oob.rung; /* it is learnt, and grows */
        for (int j = 0; j < 1000; j++)
            rpi_oob_worker_sent(&oob, true);
        CU_ASSERT_TRUE(bytes_waiting(sockets[0]) - before - 1 <= (rpi_ticks() - began) / quiet);
    }
    rpi_oob_worker_leave(&oob);
    (void)close(sockets[0]);
    rpi_oob_worker_close(&oob);
}

static void say_many(int file, uint8_t byte, int times)
{
    for (int i = 0; i < times; i++)
        rpi_oob_socket_say(file, byte);
}

/* A heartbeat from rank 0 neither ends a sleep nor calls for another PARKED; a ring does both. */
static void beats_let_sleep(void)
{
    int sockets[2];
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    rpi_oob_worker_init(&oob);
    CU_ASSERT_EQUAL_FATAL(rpi_oob_worker_start(&oob, sockets[1], 0), RP_OK);
    rpi_oob_worker_doze(&oob);
    say_many(sockets[0], RPI_OOB_SIGNAL_ALIVE, 600);
    double began = rpi_now();
    rpi_oob_worker_park(&oob, 0.05);
    CU_ASSERT_TRUE(rpi_now() - began >= 0.05);
    CU_ASSERT_EQUAL(bytes_waiting(sockets[1]), 0);
    rpi_oob_worker_doze(&oob);
    CU_ASSERT_EQUAL(bytes_waiting(sockets[0]), 1); /* one PARKED */
    say_many(sockets[0], RPI_OOB_SIGNAL_ALIVE, 3);
    say_many(sockets[0], RPI_OOB_SIGNAL_RING, 1);
    began = rpi_now();
    rpi_oob_worker_park(&oob, PATIENT);
    CU_ASSERT_TRUE(rpi_now() - began < PATIENT);
    rpi_oob_worker_doze(&oob);
    CU_ASSERT_EQUAL(bytes_waiting(sockets[0]), 2);
    rpi_oob_worker_leave(&oob);
    (void)close(sockets[0]);
    rpi_oob_worker_close(&oob);
}

/* The thread reads rank 0's heartbeats when it sends its own, unless the worker sleeps: then it
 * reads nothing. */
static void beats_do_not_pile_up(void)
{
    int sockets[2];
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    rpi_oob_worker_init(&oob);
    CU_ASSERT_EQUAL_FATAL(rpi_oob_worker_start(&oob, sockets[1], 0.002), RP_OK);
    say_many(sockets[0], RPI_OOB_SIGNAL_ALIVE, 600);
    double until = rpi_now() + PATIENT;
    while (bytes_waiting(sockets[1]) && rpi_now() < until)
        (void)poll(NULL, 0, 1);
    CU_ASSERT_EQUAL(bytes_waiting(sockets[1]), 0);
    rpi_oob_worker_doze(&oob);
    say_many(sockets[0], RPI_OOB_SIGNAL_RING, 1);
    unsigned before = bytes_waiting(sockets[0]);
    while (bytes_waiting(sockets[0]) < before + 5 &&
           rpi_now() < until) /* the thread looks five times */
        (void)poll(NULL, 0, 1);
    CU_ASSERT_EQUAL(bytes_waiting(sockets[1]), 1);
    rpi_oob_worker_leave(&oob);
    (void)close(sockets[0]);
    rpi_oob_worker_close(&oob);
}

static CU_TestInfo coming[] = { { "greeted_and_closed", greeted_and_closed },
                                { "nobody_lets_it_in", nobody_lets_it_in },
                                { "no_descriptor_for_it", no_descriptor_for_it },
                                { "signs_of_life", signs_of_life },
                                CU_TEST_INFO_NULL };
static CU_TestInfo ending[] = { { "a_worker_ends_with_rank_0", a_worker_ends_with_rank_0 },
                                { "not_one_that_leaves_too", not_one_that_leaves_too },
                                { "fork_servers_are_left_alone", fork_servers_are_left_alone },
                                CU_TEST_INFO_NULL };
static CU_TestInfo sleeping[] = { { "no_wake_up_is_lost", no_wake_up_is_lost },
                                  { "rank_0_is_rung", rank_0_is_rung },
                                  { "what_leaves_late_rings_now_and_then",
                                    what_leaves_late_rings_now_and_then },
                                  { "beats_let_sleep", beats_let_sleep },
                                  { "beats_do_not_pile_up", beats_do_not_pile_up },
                                  CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "coming", NULL, NULL, NULL, NULL, coming },
                                 { "ending", NULL, NULL, NULL, NULL, ending },
                                 { "sleeping", NULL, NULL, NULL, NULL, sleeping },
                                 CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
