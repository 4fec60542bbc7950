#include "oob/oob_worker.h"

#include "base/advice.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/hosts.h"
#include "base/private.h"
#include "base/proctree.h"
#include "base/status.h"
#include "base/thread.h"
#include "oob/oob_address.h"
#include "oob/oob_protocol.h"
#include "oob/oob_socket.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define AGAIN    10  /* ms between two tries to connect */
#define KNOWN_AT 0.2 /* seconds after which the length of a tick is known well enough */
#define SELDOM   10  /* seconds between heartbeats that only answer */

void rpi_oob_worker_init(struct rpi_oob_worker *oob)
{
    *oob = (struct rpi_oob_worker){ .file = -1, .stop = -1, .host_timeout = RPI_HOST_TIMEOUT };
}

/* ---- the thread */

/* Rank 0 is gone: no process wants this worker's results any more, or would end it. */
static void end_process(const struct rpi_oob_worker *oob)
{
    char line[512], host[256] = "?";
    (void)gethostname(host, sizeof host - 1);
    int length = snprintf(line, sizeof line,
                          "rankpool: worker %d (%s, pid %ld): rank 0 has ended without a word, or "
                          "cannot be reached: this worker ends, and "
                          "what it runs\n",
                          oob->number, host, (long)getpid());
    rpi_proctree_kill();
    (void)!write(STDERR_FILENO, line, (size_t)length);
    if (getpgrp() ==
        getpid()) /* a launcher gave this rank a group, in which is what its tasks started */
        (void)kill(0, SIGKILL);
    _exit(1);
}

static bool is_over(struct rpi_oob_worker *oob)
{
    if (!atomic_load(&oob->leaving) && !atomic_load(&oob->parted))
        end_process(oob);
    atomic_store(&oob->gone, true);
    return true;
}

/* With `hearing` locked. */
static bool take(struct rpi_oob_worker *oob, struct rpi_oob_protocol *signals)
{
    uint8_t bytes[256];
    int got = rpi_oob_socket_read(oob->file, bytes, sizeof bytes);
    if (got > 0)
        rpi_oob_protocol_read(signals, bytes, (size_t)got);
    if (got > 0)
        atomic_store(&oob->heard, true);
    if (signals->parted)
        atomic_store(&oob->parted, true);
    return got < 0 && is_over(oob);
}

/* Takes what rank 0 said; true: nothing more comes.  One thread at a time: a word that one has read
 * is known when the other sees the end. */
static bool hear(struct rpi_oob_worker *oob, struct rpi_oob_protocol *signals)
{
    (void)pthread_mutex_lock(&oob->hearing);
    bool over = take(oob, signals);
    (void)pthread_mutex_unlock(&oob->hearing);
    return over;
}

/* A worker that runs a long task reads nothing, and rank 0's heartbeats would fill its socket.  It
 * does not need a ring among them: it has not said yet that it sleeps. */
static void empty(struct rpi_oob_worker *oob)
{
    struct rpi_oob_protocol signals = { .rung = false };
    (void)pthread_mutex_lock(&oob->hearing);
    if (!atomic_load(&oob->announced) && !atomic_load(&oob->gone))
        (void)take(oob, &signals);
    (void)pthread_mutex_unlock(&oob->hearing);
}

/* Waits for rank 0's end, and empties the socket now and then.  The worker itself reads what rank 0
 * says, when it sleeps, so that a ring wakes one thread and not two. */
static void *listen_to_rank_0(void *context)
{
    struct rpi_oob_worker *oob = context;
    struct pollfd files[2] = { { .fd = oob->file, .events = POLLRDHUP },
                               { .fd = oob->stop, .events = POLLIN } };
    struct rpi_oob_protocol signals = { .rung = false };
    int limit = oob->beat > 0 ? (int)(oob->beat * 1e3) : -1;
    double next = rpi_now() + oob->beat;
    for (;;) {
        int count = poll(files, 2, limit);
        if (count > 0 && files[1].revents)
            return NULL;
        if (count > 0 && files[0].revents && hear(oob, &signals))
            files[0].fd = -1; /* it ends when it is told to */
        if (limit > 0 && rpi_now() >= next) {
            next = rpi_now() + oob->beat;
            empty(oob);
            if (atomic_exchange(&oob->heard, false) || !oob->answers)
                rpi_oob_socket_say(oob->file, RPI_OOB_SIGNAL_ALIVE);
        }
    }
}

/* ---- beginning and end */

static rp_status failed(const char *what, int error)
{
    if (rpi_files_are_short(error))
        return rpi_files_error("a worker's side channel", error);
    return rpi_error(RP_ERR_BROKEN, "a worker's side channel: %s failed: %s", what,
                     strerror(error));
}

rp_status rpi_oob_worker_start(struct rpi_oob_worker *oob, int file, double beat)
{
    oob->file = rpi_private(file);
    oob->answers = !(beat > 0) && rpi_oob_socket_is_far(file);
    oob->beat = oob->answers ? SELDOM : beat;
    oob->opened = oob->said = oob->rung = rpi_ticks();
    oob->opened_at = rpi_now();
    oob->quiet = (uint64_t)(RPI_TICKS_US * 1e6 * RPI_OOB_WORKER_QUIET) /
                 3; /* a tick may be so much longer than it should be */
    oob->stop = rpi_private(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    int error = oob->stop < 0 ? errno : 0;
    (void)pthread_mutex_init(&oob->hearing, NULL); /* cannot fail with these arguments */
    if (!error)
        error = rpi_thread_start(&oob->thread, listen_to_rank_0, oob);
    oob->live = error == 0;
    if (!error)
        return RP_OK;
    (void)pthread_mutex_destroy(&oob->hearing);
    rp_status status = failed("a thread", error);
    rpi_oob_worker_close(oob);
    return status;
}

void rpi_oob_worker_leave(struct rpi_oob_worker *oob)
{
    atomic_store(&oob->leaving, true);
}

void rpi_oob_worker_close(struct rpi_oob_worker *oob)
{
    uint64_t one = 1;
    rpi_oob_worker_leave(oob);
    if (oob->live) {
        (void)!write(oob->stop, &one, sizeof one);
        (void)pthread_join(oob->thread, NULL);
        (void)pthread_mutex_destroy(&oob->hearing);
        oob->live = false;
    }
    if (oob->stop >= 0)
        rpi_private_close(oob->stop);
    if (oob->file >= 0)
        rpi_private_close(oob->file);
    oob->stop = oob->file = -1;
}

/* Shows the token, and waits for the greeting; false: it was not let in. */
static bool is_let_in(int file, const uint8_t *token, int number, double seconds)
{
    uint8_t proof[RPI_OOB_PROOF_BYTES], greeting;
    struct pollfd look = { .fd = file, .events = POLLIN | POLLRDHUP };
    rpi_oob_proof_write(proof, token, (uint32_t)number);
    if (send(file, proof, sizeof proof, MSG_NOSIGNAL) != (ssize_t)sizeof proof)
        return false;
    errno = ETIMEDOUT;
    if (poll(&look, 1, rpi_oob_socket_poll_ms(seconds)) != 1)
        return false;
    errno = ECONNRESET;
    return rpi_oob_socket_read(file, &greeting, 1) == 1;
}

rp_status rpi_oob_worker_open(struct rpi_oob_worker *oob, uint32_t ip, uint16_t port,
                              const uint8_t *token, int number, double beat, double timeout)
{
    double deadline = rpi_now() + timeout, left = timeout;
    int error;
    do {
        int file = rpi_oob_socket_connect(ip, port, left, oob->host_timeout);
        if (file >= 0) {
            left = deadline - rpi_now();
            oob->number = number;
            if (is_let_in(file, token, number, left > 0 ? left : 0))
                return rpi_oob_worker_start(oob, file, beat);
        }
        error = errno;
        if (file >= 0)
            rpi_private_close(file);
        if (rpi_files_are_short(error))
            return rpi_files_error("a worker's side channel", error);
        (void)poll(NULL, 0, AGAIN);
        left = deadline - rpi_now();
    } while (left > 0);
    char text[RPI_OOB_ADDRESS_BYTES];
    rpi_oob_address_text(ip, port, text);
    return rpi_error(RP_ERR_BROKEN,
                     "rank 0 could not be reached at %s within %g s, as config.open_timeout has it "
                     "(%s): %s that it listens on",
                     text, timeout, strerror(error), rpi_advice(RPI_ADVICE_NETWORK));
}

/* ---- sleeping and waking */

/* Ticks are of about a known length: measured once there was time for it. */
static void learn_quiet(struct rpi_oob_worker *oob, uint64_t ticks)
{
    double passed = rpi_now() - oob->opened_at;
    oob->is_quiet_known = passed > KNOWN_AT;
    if (oob->is_quiet_known)
        oob->quiet = (uint64_t)((double)(ticks - oob->opened) / passed *
                                (0.9 * RPI_OOB_WORKER_QUIET));
}

void rpi_oob_worker_sent(struct rpi_oob_worker *oob, bool anew)
{
    if (!oob->live)
        return;
    uint64_t now = rpi_ticks();
    rpi_oob_worker_came(oob);
    if (!oob->is_quiet_known)
        learn_quiet(oob, now);
    if (now - (anew ? oob->rung : oob->said) >= oob->quiet) {
        rpi_oob_socket_say(oob->file, RPI_OOB_SIGNAL_RING);
        oob->said = oob->rung = now;
    } else if (!anew)
        oob->said = now;
}

void rpi_oob_worker_count(struct rpi_oob_worker *oob, uint32_t sent)
{
    uint8_t record[RPI_OOB_COUNT_BYTES];
    rpi_oob_count_write(record, sent);
    (void)send(oob->file, record, sizeof record, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void rpi_oob_worker_last_words(void *oob, const struct rpi_death *death)
{
    uint8_t record[RPI_OOB_WORDS_BYTES];
    rpi_oob_words_write(record, death);
    (void)send(((struct rpi_oob_worker *)oob)->file, record, sizeof record,
               MSG_DONTWAIT | MSG_NOSIGNAL);
}

void rpi_oob_worker_doze(struct rpi_oob_worker *oob)
{
    (void)pthread_mutex_lock(&oob->hearing); /* from here on the other thread takes no ring */
    bool before = atomic_exchange(&oob->announced, true);
    (void)pthread_mutex_unlock(&oob->hearing);
    if (!before)
        rpi_oob_socket_say(oob->file, RPI_OOB_SIGNAL_PARKED);
}

/* A sleep that ended by itself leaves what was said as it was: nothing has rung since.  So does a
 * heartbeat, and ends no sleep. */
void rpi_oob_worker_park(struct rpi_oob_worker *oob, double seconds)
{
    struct pollfd look = { .fd = atomic_load(&oob->gone) ? -1 : oob->file,
                           .events = POLLIN | POLLRDHUP };
    struct rpi_oob_protocol signals = { .rung = false };
    double end = rpi_now() + seconds;
    bool over = false;
    do {
        const struct timespec limit = rpi_timespec(seconds);
        if (ppoll(&look, 1, &limit, NULL) != 1)
            return;
        over = hear(oob, &signals);
        seconds = end - rpi_now();
    } while (!over && !signals.rung && !signals.parted && seconds > 0);
    if (over || signals.rung || signals.parted)
        rpi_oob_worker_came(oob);
}
