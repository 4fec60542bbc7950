/* Rank 0's end of the side channel, over real sockets on loopback: who is let in, who is not, and
 * what each may cost; what the workers say once they are in.  That no sleeper is forgotten:
 * test_oob_worker. */
#include "base/clock.h"
#include "base/hosts.h"
#include "harness.h"
#include "memory.h"
#include "oob/oob_listener.h"
#include "oob/oob_master.h"
#include "oob/oob_protocol.h"
#include "oob/oob_socket.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define WORKERS 4
#define PATIENT 30.0 /* seconds for what comes at once: only a test that fails waits so long */

static struct memory memory;
static struct rpi_oob_listener gate;
static struct rpi_oob_master channel;
static double now; /* the gate's */
static int files;  /* open descriptors before */
static int logged;
static char last_line[300];

static int open_files(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;
    CU_ASSERT_PTR_NOT_NULL_FATAL(directory);
    /* cppcheck-suppress readdirCalled */
    while (readdir(directory))
        count++;
    (void)closedir(directory);
    return count;
}

static void on_log(rp_level level, const char *line, void *user)
{
    (void)user;
    CU_ASSERT_EQUAL(level, RP_LOG_WARNING);
    logged++;
    (void)snprintf(last_line, sizeof last_line, "%s", line);
}

static const struct rpi_log sink = { .sink = on_log };

static void begin(void)
{
    files = open_files();
    memory = (struct memory){ 0 };
    now = 1000;
    logged = 0;
    last_line[0] = '\0';
    struct rpi_alloc alloc = memory_hook(&memory);
    CU_ASSERT_EQUAL_FATAL(rpi_oob_listener_open(&gate, INADDR_LOOPBACK), RP_OK);
    CU_ASSERT_EQUAL_FATAL(rpi_oob_master_init(&channel, &alloc, WORKERS), RP_OK);
}

static void end(void)
{
    rpi_oob_listener_close(&gate, &sink);
    rpi_oob_master_fini(&channel, false);
    CU_ASSERT_EQUAL(memory.live, 0);
    CU_ASSERT_EQUAL(open_files(), files);
}

/* ---- who comes */

static int come(void)
{
    int file = rpi_oob_socket_connect(gate.ip, gate.port, PATIENT, RPI_HOST_TIMEOUT);
    CU_ASSERT_TRUE_FATAL(file >= 0);
    return file;
}

static void say(int file, const void *bytes, size_t size)
{
    CU_ASSERT_EQUAL_FATAL(send(file, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
}

static int come_and_say(const void *bytes, size_t size)
{
    int file = come();
    say(file, bytes, size);
    return file;
}

static int come_as(uint32_t worker)
{
    uint8_t proof[RPI_OOB_PROOF_BYTES];
    rpi_oob_proof_write(proof, gate.token, worker);
    return come_and_say(proof, sizeof proof);
}

/* Lets in who has proven itself, as the opening does. */
static void let_in(void)
{
    int worker, file;
    while (rpi_oob_listener_next(&gate, now, WORKERS, &worker, &file))
        (void)rpi_oob_master_add(&channel, worker, file);
}

static bool wait_for(int file, short events)
{
    struct pollfd look = { .fd = file, .events = events };
    return poll(&look, 1, (int)(PATIENT * 1e3)) == 1;
}

/* Until this many have joined: a connection on loopback comes when the kernel gets to it. */
static void let_in_until(int joined)
{
    double until = rpi_now() + PATIENT;
    struct pollfd look = { .fd = gate.listener, .events = POLLIN };
    do {
        let_in();
        if (channel.joined < joined)
            (void)poll(&look, 1, 1);
    } while (channel.joined < joined && rpi_now() < until);
    CU_ASSERT_EQUAL(channel.joined, joined);
}

static void let_in_refused(uint64_t count)
{
    double until = rpi_now() + PATIENT;
    do
        let_in();
    while (gate.refused < count && rpi_now() < until);
    CU_ASSERT_EQUAL(gate.refused, count);
}

/* Rank 0 has closed it, without a byte. */
static void was_refused(int file)
{
    uint8_t byte;
    CU_ASSERT_TRUE(wait_for(file, POLLIN | POLLRDHUP));
    CU_ASSERT_TRUE(rpi_oob_socket_read(file, &byte, 1) < 0);
    (void)close(file);
}

static void was_greeted(int file)
{
    uint8_t byte = 0;
    CU_ASSERT_TRUE(wait_for(file, POLLIN));
    CU_ASSERT_EQUAL(rpi_oob_socket_read(file, &byte, 1), 1);
    CU_ASSERT_EQUAL(byte, RPI_OOB_SIGNAL_RING);
}

/* ---- the gate */

static void the_token_lets_in(void)
{
    begin();
    int worker[WORKERS + 1];
    for (uint32_t i = WORKERS; i > 0; i--)
        worker[i] = come_as(i);
    let_in_until(WORKERS);
    for (int i = 1; i <= WORKERS; i++) {
        CU_ASSERT_TRUE(rpi_oob_master_has(&channel, i) && rpi_oob_master_lives(&channel, i));
        was_greeted(worker[i]);
    }
    rpi_oob_listener_close(&gate, &sink);
    CU_ASSERT_EQUAL(logged, 0);
    for (int i = 1; i <= WORKERS; i++)
        (void)close(worker[i]);
    end();
}

static void a_token_in_pieces_is_one(void)
{
    begin();
    uint8_t proof[RPI_OOB_PROOF_BYTES];
    rpi_oob_proof_write(proof, gate.token, 2);
    int file = come();
    for (size_t i = 0; i < sizeof proof; i++) {
        CU_ASSERT_EQUAL(channel.joined, 0);
        say(file, &proof[i], 1);
        let_in();
    }
    let_in_until(1);
    CU_ASSERT_TRUE(rpi_oob_master_has(&channel, 2));
    (void)close(file);
    end();
}

static void wrong_tokens(void)
{
    uint8_t proof[RPI_OOB_PROOF_BYTES];
    int strangers[2 * RPI_OOB_PROOF_BYTES];
    begin();
    for (uint32_t i = 0; i < RPI_OOB_PROOF_BYTES;
         i++) { /* one bit wrong: of the token, or a number that no worker has */
        rpi_oob_proof_write(proof, gate.token, 1);
        proof[i] ^= i < RPI_OOB_TOKEN_BYTES ? 1 : 64;
        strangers[i] = come_and_say(proof, sizeof proof);
        strangers[RPI_OOB_PROOF_BYTES + i] = come_as(i % 2 ? WORKERS + 1 + i : 0);
    }
    let_in_refused(2 * RPI_OOB_PROOF_BYTES);
    CU_ASSERT_EQUAL(channel.joined, 0);
    for (int i = 0; i < 2 * RPI_OOB_PROOF_BYTES; i++)
        was_refused(strangers[i]);
    end();
    CU_ASSERT_EQUAL(logged, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(last_line, "40 connections to 127.0.0.1:"));
}

/* Nothing said, or half of it, or less and less of it: its time is short, and counts from its
 * coming. */
static void the_slow_are_refused(void)
{
    uint8_t proof[RPI_OOB_PROOF_BYTES];
    begin();
    rpi_oob_proof_write(proof, gate.token, 1);
    int silent = come(), half = come_and_say(proof, RPI_OOB_PROOF_BYTES / 2), slow = come();
    for (size_t i = 0; i < 5; i++) {
        say(slow, &proof[i], 1);
        let_in();
        now += 1;
    }
    CU_ASSERT_EQUAL(gate.refused, 0);
    now += 1;
    let_in_refused(3);
    was_refused(silent);
    was_refused(half);
    was_refused(slow);
    int worker = come_as(1); /* the refused keep no worker out */
    let_in_until(1);
    was_greeted(worker);
    (void)close(worker);
    end();
}

static void who_leaves_early_is_forgotten(void)
{
    begin();
    for (int i = 0; i < 3 * RPI_OOB_LISTENER_VISITORS; i++) {
        (void)close(i % 2 ? come() : come_and_say("half", 4));
        let_in();
    }
    let_in_refused(3 * RPI_OOB_LISTENER_VISITORS);
    end();
}

static void the_second_of_a_number_is_closed(void)
{
    begin();
    int first = come_as(3);
    let_in_until(1);
    int second = come_as(3);
    was_greeted(first);
    double until = rpi_now() + PATIENT;
    while (!rpi_oob_socket_ended(second) && rpi_now() < until)
        let_in();
    was_refused(second);
    CU_ASSERT_TRUE(rpi_oob_master_lives(&channel, 3));
    CU_ASSERT_EQUAL(channel.joined, 1);
    (void)close(first);
    end();
}

/* However many come, few descriptors are theirs at a time, and the workers among them get in. */
static void a_crowd_of_strangers(void)
{
    enum { STRANGERS = 10000, MOST = 64 };
    int open[MOST], most_open = 0, workers[WORKERS] = { 0 };
    begin();
    for (int i = 0; i < MOST; i++)
        open[i] = -1;
    for (int i = 0; i < STRANGERS; i++) {
        if (i % (STRANGERS / WORKERS) == 0) {
            workers[channel.joined] = come_as((uint32_t)channel.joined + 1);
            let_in_until(channel.joined + 1);
        }
        if (open[i % MOST] >= 0)
            (void)close(open[i % MOST]);
        open[i % MOST] = i % 3 ? come() : come_and_say("GET / HTTP/1.0\r\n\r\n", 18);
        let_in();
        int here = 0;
        for (int k = 0; k < RPI_OOB_LISTENER_VISITORS; k++)
            here += gate.visitors[k].file >= 0;
        most_open = here > most_open ? here : most_open;
    }
    CU_ASSERT_TRUE(most_open <= RPI_OOB_LISTENER_VISITORS);
    CU_ASSERT_EQUAL(channel.joined, WORKERS);
    CU_ASSERT_TRUE(gate.refused > STRANGERS / 2);
    for (int i = 0; i < MOST; i++)
        (void)close(open[i]);
    for (int i = 0; i < WORKERS; i++) {
        CU_ASSERT_TRUE(rpi_oob_master_lives(&channel, i + 1));
        (void)close(workers[i]);
    }
    end();
    CU_ASSERT_EQUAL(logged, 1);
}

static void behind_a_closed_gate(void)
{
    begin();
    int stranger = come();
    let_in();
    rpi_oob_listener_close(&gate, &sink);
    was_refused(stranger);
    CU_ASSERT_TRUE(rpi_oob_socket_connect(gate.ip, gate.port, PATIENT, RPI_HOST_TIMEOUT) < 0);
    CU_ASSERT_EQUAL(errno, ECONNREFUSED);
    int worker, file;
    CU_ASSERT_FALSE(rpi_oob_listener_next(&gate, now, WORKERS, &worker, &file));
    rpi_oob_listener_close(&gate, &sink);
    end();
    CU_ASSERT_EQUAL(logged, 1);
}

/* Two gates at once have tokens of their own. */
static void another_pools_token(void)
{
    struct rpi_oob_listener other;
    begin();
    CU_ASSERT_EQUAL_FATAL(rpi_oob_listener_open(&other, INADDR_LOOPBACK), RP_OK);
    CU_ASSERT_NOT_EQUAL(memcmp(gate.token, other.token, RPI_OOB_TOKEN_BYTES), 0);
    uint8_t proof[RPI_OOB_PROOF_BYTES];
    rpi_oob_proof_write(proof, other.token, 1);
    int stranger = come_and_say(proof, sizeof proof);
    let_in_refused(1);
    was_refused(stranger);
    rpi_oob_listener_close(&other, &sink);
    end();
}

/* ---- what workers say */

static int heard[WORKERS + 1];

static void on_alive(void *context, int worker)
{
    (void)context;
    heard[worker]++;
}

static void join_all(int *worker)
{
    begin();
    memset(heard, 0, sizeof heard);
    for (uint32_t i = 1; i <= WORKERS; i++) {
        worker[i] = come_as(i);
        let_in_until((int)i);
        was_greeted(worker[i]);
    }
    rpi_oob_listener_close(&gate, &sink);
}

static void leave_all(int *worker)
{
    for (int i = 1; i <= WORKERS; i++)
        if (worker[i] >= 0)
            (void)close(worker[i]);
    end();
}

/* Hears until the worker has been heard of, or is lost. */
static void hear_of(int worker)
{
    double until = rpi_now() + PATIENT;
    int before = heard[worker];
    while (heard[worker] == before && channel.lost == 0 && rpi_now() < until) {
        rpi_oob_master_wait(&channel, 0.1);
        rpi_oob_master_hear(&channel, on_alive, NULL);
    }
    CU_ASSERT_TRUE(heard[worker] > before || channel.lost > 0);
}

static void tell(int worker, int file, const char *text)
{
    say(file, text, strlen(text));
    hear_of(worker);
}

static bool is_rung(int file)
{
    uint8_t bytes[16];
    bool ring = false;
    for (int got; (got = rpi_oob_socket_read(file, bytes, sizeof bytes)) > 0;)
        ring = true;
    return ring;
}

static void parked_and_rung(void)
{
    int worker[WORKERS + 1];
    join_all(worker);
    rpi_oob_master_sent(&channel, 1); /* it is awake: not rung now, but when it means to sleep */
    CU_ASSERT_FALSE(is_rung(worker[1]));
    tell(1, worker[1], "p");
    CU_ASSERT_EQUAL(channel.parked, 0);
    was_greeted(worker[1]);
    tell(1, worker[1], "p");
    CU_ASSERT_EQUAL(channel.parked, 1);
    tell(1, worker[1], "p"); /* said twice, it sleeps once */
    tell(2, worker[2], "ap");
    CU_ASSERT_EQUAL(channel.parked, 2);
    rpi_oob_master_sent(&channel, 1);
    was_greeted(worker[1]);
    CU_ASSERT_EQUAL(channel.parked, 1);
    CU_ASSERT_FALSE(is_rung(worker[2]));
    tell(2, worker[2], "pr"); /* it rings: it is awake */
    CU_ASSERT_EQUAL(channel.parked, 0);
    leave_all(worker);
}

/* Any bytes are harmless; a flood from one worker does not keep others from being heard. */
static void garbage_and_floods(void)
{
    static uint8_t flood[4096];
    int worker[WORKERS + 1];
    join_all(worker);
    for (size_t i = 0; i < sizeof flood; i++)
        flood[i] = (uint8_t)(i * 37);
    for (int k = 0; k < 30; k++)
        (void)send(worker[1], flood, sizeof flood, MSG_DONTWAIT | MSG_NOSIGNAL);
    tell(2, worker[2], "p");
    CU_ASSERT_TRUE(channel.parked >= 1);
    for (int k = 0; k < 600; k++)
        rpi_oob_master_hear(&channel, on_alive, NULL);
    CU_ASSERT_TRUE(rpi_oob_master_lives(&channel, 1) && rpi_oob_master_lives(&channel, 2));
    CU_ASSERT_EQUAL(channel.lost, 0);
    leave_all(worker);
}

static void an_end_is_told_once(void)
{
    int worker[WORKERS + 1];
    join_all(worker);
    CU_ASSERT_EQUAL(rpi_oob_master_next_lost(&channel), 0);
    tell(3, worker[3], "p");
    (void)close(worker[3]);
    worker[3] = -1;
    hear_of(3);
    CU_ASSERT_EQUAL(channel.parked, 0);
    CU_ASSERT_EQUAL(rpi_oob_master_next_lost(&channel), 3);
    CU_ASSERT_EQUAL(rpi_oob_master_next_lost(&channel), 0);
    CU_ASSERT_FALSE(rpi_oob_master_lives(&channel, 3));
    rpi_oob_master_sent(&channel, 3); /* it is gone: no ring */
    say(worker[4], "aaaa", 4);        /* its end is seen before what it said is read */
    (void)close(worker[4]);
    worker[4] = -1;
    double until = rpi_now() + PATIENT;
    while (rpi_oob_master_lives(&channel, 4) && rpi_now() < until)
        continue;
    CU_ASSERT_EQUAL(rpi_oob_master_next_lost(&channel), 4);
    rpi_oob_master_drop(&channel, 2);
    was_refused(worker[2]); /* which ends it */
    worker[2] = -1;
    rpi_oob_master_hear(&channel, on_alive, NULL);
    CU_ASSERT_EQUAL(rpi_oob_master_next_lost(&channel), 0);
    CU_ASSERT_TRUE(rpi_oob_master_lives(&channel, 1));
    leave_all(worker);
}

static void the_lost_come_again(void)
{
    int worker[WORKERS + 1];
    join_all(worker);
    CU_ASSERT_EQUAL_FATAL(rpi_oob_listener_open(&gate, INADDR_LOOPBACK), RP_OK);
    (void)close(worker[1]);
    hear_of(1);
    worker[1] = come_as(1); /* before rank 0 was told of the end: not yet */
    double until = rpi_now() + PATIENT;
    while (!rpi_oob_socket_ended(worker[1]) && rpi_now() < until)
        let_in();
    was_refused(worker[1]);
    CU_ASSERT_EQUAL(rpi_oob_master_next_lost(&channel), 1);
    worker[1] = come_as(1);
    let_in_until(WORKERS + 1);
    was_greeted(worker[1]);
    CU_ASSERT_TRUE(rpi_oob_master_lives(&channel, 1));
    leave_all(worker);
}

static void parting_is_heard(void)
{
    int worker[WORKERS + 1];
    uint8_t bytes[8];
    join_all(worker);
    rpi_oob_master_fini(&channel, true);
    for (int i = 1; i <= WORKERS; i++) {
        CU_ASSERT_TRUE(wait_for(worker[i], POLLIN));
        CU_ASSERT_EQUAL(rpi_oob_socket_read(worker[i], bytes, sizeof bytes), 1);
        CU_ASSERT_EQUAL(bytes[0], RPI_OOB_SIGNAL_PARTED);
    }
    leave_all(worker);
}

static void the_bell_ends_a_sleep(void)
{
    int worker[WORKERS + 1];
    join_all(worker);
    rpi_oob_master_ring(&channel);
    rpi_oob_master_ring(&channel);
    double began = rpi_now();
    rpi_oob_master_wait(&channel, PATIENT);
    CU_ASSERT_TRUE(rpi_now() - began < PATIENT);
    began = rpi_now();
    rpi_oob_master_wait(&channel, 0.01); /* two rings were one */
    CU_ASSERT_TRUE(rpi_now() - began >= 0.01);
    leave_all(worker);
}

/* From another address than rank 0's, as from another host. */
static int come_from_afar(uint32_t worker)
{
    struct sockaddr_in here = { .sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1) };
    struct sockaddr_in there = { .sin_family = AF_INET,
                                 .sin_port = htons(gate.port),
                                 .sin_addr.s_addr = htonl(gate.ip) };
    uint8_t proof[RPI_OOB_PROOF_BYTES];
    int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CU_ASSERT_EQUAL_FATAL(bind(file, (const struct sockaddr *)&here, sizeof here), 0);
    CU_ASSERT_EQUAL_FATAL(connect(file, (const struct sockaddr *)&there, sizeof there), 0);
    rpi_oob_proof_write(proof, gate.token, worker);
    say(file, proof, sizeof proof);
    return file;
}

static void beat_often(int times)
{
    for (int i = 0; i < times; i++) {
        channel.next_beat = 0;
        rpi_oob_master_hear(&channel, on_alive, NULL);
    }
}

/* What has come, until `least` bytes have. */
static int beats_at(int file, int least)
{
    uint8_t bytes[256];
    int count = 0;
    for (int got; count < least && wait_for(file, POLLIN) &&
                  (got = rpi_oob_socket_read(file, bytes, sizeof bytes)) > 0;)
        for (int i = 0; i < got; i++)
            count += bytes[i] == RPI_OOB_SIGNAL_ALIVE;
    return count;
}

/* Heartbeats go to other hosts alone, at their time, and not for ever to a worker that says
 * nothing. */
static void those_elsewhere_get_beats(void)
{
    begin();
    memset(heard, 0, sizeof heard);
    int near = come_as(1);
    let_in_until(1);
    was_greeted(near);
    beat_often(3);
    CU_ASSERT_EQUAL(channel.far, 0);
    int far = come_from_afar(2);
    let_in_until(2);
    was_greeted(far);
    CU_ASSERT_EQUAL(channel.far, 1);
    beat_often(1);
    rpi_oob_master_hear(&channel, on_alive, NULL); /* too early for a second one */
    CU_ASSERT_EQUAL(beats_at(far, 1), 1);
    CU_ASSERT_FALSE(is_rung(far));
    beat_often(RPI_OOB_MASTER_BEATS + 100);
    CU_ASSERT_EQUAL(beats_at(far, RPI_OOB_MASTER_BEATS - 1), RPI_OOB_MASTER_BEATS - 1);
    CU_ASSERT_FALSE(is_rung(far));
    tell(2, far, "a");
    beat_often(1);
    CU_ASSERT_EQUAL(beats_at(far, 1), 1);
    CU_ASSERT_TRUE(channel.next_beat - rpi_now() < 1.1 * rpi_oob_socket_beat(RPI_HOST_TIMEOUT));
    channel.far += 2000; /* a crowd of them, which gets less often */
    beat_often(1);
    CU_ASSERT_TRUE(channel.next_beat - rpi_now() > 2 * rpi_oob_socket_beat(RPI_HOST_TIMEOUT));
    channel.far -= 2000;
    CU_ASSERT_EQUAL(beats_at(far, 1), 1);
    CU_ASSERT_FALSE(is_rung(near));
    rpi_oob_master_drop(&channel, 2);
    CU_ASSERT_EQUAL(channel.far, 0);
    beat_often(1);
    (void)close(far);
    (void)close(near);
    end();
}

static int option(int file, int name)
{
    int value = -1;
    socklen_t size = sizeof value;
    CU_ASSERT_EQUAL(getsockopt(file, IPPROTO_TCP, name, &value, &size), 0);
    return value;
}

/* All of it: the kernel's questions, the time without an answer at either end, and the
 * heartbeats. */
static void one_time_for_lost_hosts(void)
{
    static const double timeouts[] = { 1, 3, 10, 99.5, 250, 3600 };
    for (size_t i = 0; i < sizeof timeouts / sizeof *timeouts; i++) {
        double timeout = timeouts[i];
        begin();
        channel.host_timeout = timeout;
        int worker = rpi_oob_socket_connect(gate.ip, gate.port, PATIENT, timeout);
        int master = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CU_ASSERT_TRUE_FATAL(worker >= 0 && master >= 0);
        rpi_oob_socket_prepare(master, RPI_OOB_SOCKET_MASTER, timeout);
        int asked = option(master, TCP_KEEPIDLE) +
                    option(master, TCP_KEEPINTVL) * option(master, TCP_KEEPCNT);
        CU_ASSERT(asked <= (timeout > 2 ? timeout : 2) && asked > 0.9 * timeout);
        CU_ASSERT_EQUAL(option(worker, TCP_KEEPCNT), option(master, TCP_KEEPCNT));
        double first = option(master, TCP_USER_TIMEOUT) * 1e-3,
               last = option(worker, TCP_USER_TIMEOUT) * 1e-3;
        CU_ASSERT(first + rpi_oob_socket_beat(timeout) + 0.4 <
                  timeout); /* rank 0 gives it up in time, */
        CU_ASSERT(first + rpi_oob_socket_beat(timeout) + 0.4 > 0.8 * timeout);
        CU_ASSERT(last > timeout); /* and the worker itself not before that */
        if (i == 1)
            CU_ASSERT(option(master, TCP_USER_TIMEOUT) == 2200 &&
                      option(worker, TCP_USER_TIMEOUT) == 3500);
        int far = come_from_afar(2);
        let_in_until(1);
        was_greeted(far);
        beat_often(1);
        double next = channel.next_beat - rpi_now();
        CU_ASSERT(next < 1.01 * timeout / 12 && next > timeout / 12 - 0.5);
        (void)close(far);
        (void)close(worker);
        (void)close(master);
        end();
    }
}

/* With one descriptor too few, the gate says why it admits no worker. */
static void no_descriptor_for_one(void)
{
    struct rlimit before = { 0 }, few;
    int worker, file;
    begin();
    int coming = come(), next = dup(0);
    CU_ASSERT_TRUE_FATAL(next >= 0 && getrlimit(RLIMIT_NOFILE, &before) == 0);
    (void)close(next); /* all below it are taken */
    few = before;
    few.rlim_cur = (rlim_t)next;
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &few), 0);
    CU_ASSERT_FALSE(rpi_oob_listener_next(&gate, 0, WORKERS, &worker, &file));
    CU_ASSERT_EQUAL(gate.error, EMFILE);
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &before), 0);
    (void)close(coming);
    end();
}

static void no_memory_for_it(void)
{
    files = open_files();
    memory = (struct memory){ .fail_at = 1 };
    struct rpi_alloc alloc = memory_hook(&memory);
    CU_ASSERT_EQUAL(rpi_oob_master_init(&channel, &alloc, WORKERS), RP_ERR_NOMEM);
    rpi_oob_master_fini(&channel, true);
    CU_ASSERT_EQUAL(open_files(), files);
}

/* ---- last words */

static const struct rpi_death a_death = {
    .id = 0x123456789AU, .item = 7, .code = 11, .attempt = 2, .way = RPI_WAY_SIGNAL
};

static bool is_known(int worker, const struct rpi_death *death)
{
    const struct rpi_death *known = rpi_oob_master_words(&channel, worker);
    return known->id == death->id && known->item == death->item && known->code == death->code &&
           known->attempt == death->attempt && known->way == death->way;
}

/* Last words come whole or in pieces, among other signals, or right before the socket's end; rank 0
 * reads them when it looks and before it sends. */
static void last_words(void)
{
    uint8_t words[RPI_OOB_WORDS_BYTES];
    int worker[WORKERS + 1];
    join_all(worker);
    rpi_oob_words_write(words, &a_death);
    tell(1, worker[1], "a");
    CU_ASSERT_EQUAL(rpi_oob_master_words(&channel, 1)->way, RPI_WAY_NONE);
    for (size_t i = 0; i < sizeof words; i++) {
        say(worker[1], words + i, 1);
        hear_of(1);
        CU_ASSERT_EQUAL(rpi_oob_master_words(&channel, 1)->way,
                        i + 1 < sizeof words ? RPI_WAY_NONE : RPI_WAY_SIGNAL);
    }
    tell(1, worker[1], "p"); /* it was no part of them */
    CU_ASSERT_TRUE(is_known(1, &a_death) && channel.parked == 1);
    say(worker[2], words, sizeof words);
    (void)close(worker[2]);
    worker[2] = -1;
    double until = rpi_now() + PATIENT;
    while (rpi_oob_master_lives(&channel, 2) && rpi_now() < until)
        continue;
    CU_ASSERT_TRUE(is_known(2, &a_death) && rpi_oob_master_next_lost(&channel) == 2);
    say(worker[3], words, sizeof words - 1); /* it did not come to the end */
    (void)close(worker[3]);
    worker[3] = -1;
    while (channel.lost == 0 && rpi_now() < until)
        rpi_oob_master_hear(&channel, on_alive, NULL);
    CU_ASSERT_TRUE(rpi_oob_master_next_lost(&channel) == 3 &&
                   rpi_oob_master_words(&channel, 3)->way == RPI_WAY_NONE);
    leave_all(worker);
}

/* A count in pieces; the last whole one stands, and what it holds is no signal. */
static void counts(void)
{
    uint8_t record[RPI_OOB_COUNT_BYTES];
    int worker[WORKERS + 1];
    join_all(worker);
    CU_ASSERT_EQUAL(rpi_oob_master_count(&channel, 1), 0);
    rpi_oob_count_write(record, 70000);
    for (size_t i = 0; i < sizeof record; i++) {
        say(worker[1], record + i, 1);
        hear_of(1);
        CU_ASSERT_EQUAL(rpi_oob_master_count(&channel, 1), i + 1 < sizeof record ? 0 : 70000);
    }
    rpi_oob_count_write(record, 'p');
    say(worker[2], record, sizeof record);
    hear_of(2);
    CU_ASSERT_TRUE(rpi_oob_master_count(&channel, 2) == 'p' && channel.parked == 0);
    CU_ASSERT_EQUAL(rpi_oob_master_count(&channel, 1), 70000);
    leave_all(worker);
}

/* Words that cannot be are none, and end what was known; the next ones are heard. */
static void words_that_cannot_be(void)
{
    static const struct rpi_death wrong[] = {
        { .id = 0, .code = 11, .attempt = 1, .way = RPI_WAY_SIGNAL },
        { .id = 1, .code = 11, .attempt = 0, .way = RPI_WAY_SIGNAL },
        { .id = 1, .code = 0, .attempt = 1, .way = RPI_WAY_SIGNAL },
        { .id = 1, .code = 65, .attempt = 1, .way = RPI_WAY_SIGNAL },
        { .id = 1, .code = -1, .attempt = 1, .way = RPI_WAY_SIGNAL },
        { .id = 1, .attempt = 1, .way = RPI_WAY_NONE },
        { .id = 1, .attempt = 1, .way = RPI_WAY_QUICK_EXIT + 1 },
        { .id = 1, .attempt = 1, .way = 255 }
    };
    uint8_t words[RPI_OOB_WORDS_BYTES];
    int worker[WORKERS + 1];
    join_all(worker);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        rpi_oob_words_write(words, &a_death);
        say(worker[1], words, sizeof words);
        hear_of(1);
        CU_ASSERT_TRUE(is_known(1, &a_death));
        rpi_oob_words_write(words, &wrong[i]);
        say(worker[1], words, sizeof words);
        hear_of(1);
        CU_ASSERT_EQUAL(rpi_oob_master_words(&channel, 1)->way, RPI_WAY_NONE);
    }
    leave_all(worker);
}

static CU_TestInfo in[] = { { "the_token_lets_in", the_token_lets_in },
                            { "a_token_in_pieces_is_one", a_token_in_pieces_is_one },
                            { "wrong_tokens", wrong_tokens },
                            { "the_slow_are_refused", the_slow_are_refused },
                            { "who_leaves_early_is_forgotten", who_leaves_early_is_forgotten },
                            { "the_second_of_a_number_is_closed",
                              the_second_of_a_number_is_closed },
                            { "a_crowd_of_strangers", a_crowd_of_strangers },
                            { "behind_a_closed_gate", behind_a_closed_gate },
                            { "another_pools_token", another_pools_token },
                            CU_TEST_INFO_NULL };
static CU_TestInfo said[] = { { "parked_and_rung", parked_and_rung },
                              { "garbage_and_floods", garbage_and_floods },
                              { "an_end_is_told_once", an_end_is_told_once },
                              { "the_lost_come_again", the_lost_come_again },
                              { "last_words", last_words },
                              { "counts", counts },
                              { "words_that_cannot_be", words_that_cannot_be },
                              { "parting_is_heard", parting_is_heard },
                              { "the_bell_ends_a_sleep", the_bell_ends_a_sleep },
                              { "those_elsewhere_get_beats", those_elsewhere_get_beats },
                              { "one_time_for_lost_hosts", one_time_for_lost_hosts },
                              { "no_descriptor_for_one", no_descriptor_for_one },
                              { "no_memory_for_it", no_memory_for_it },
                              CU_TEST_INFO_NULL };
static CU_SuiteInfo suites[] = { { "gate", NULL, NULL, NULL, NULL, in },
                                 { "channel", NULL, NULL, NULL, NULL, said },
                                 CU_SUITE_INFO_NULL };

int main(int argc, char **argv)
{
    return harness_main(argc, argv, suites);
}
