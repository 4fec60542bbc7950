/* A worker's end of the side channel, and the thread that watches it, at any thread level of MPI:
 * the thread never calls MPI.  It notices rank 0's end, whatever the worker is busy with, and then
 * ends this process at once.  The worker itself reads what rank 0 says, when it sleeps.
 *
 * Why rank 0 is not left asleep.  Rank 0 sleeps only after it has found nothing for
 * RPI_BACKOFF_DROWSY seconds.  A worker rings it after each message, unless the one before went out
 * less than half of that ago (RPI_OOB_WORKER_QUIET).  Suppose that rank 0 sleeps, and its last look
 * missed a message. If the worker rang for it, that byte ends the sleep.  If not, the message
 * before was sent less than QUIET earlier.  If rank 0 has not seen that one either, the same holds
 * for it, and the first of such a row was rung for.  If it has, it looked at least DROWSY - QUIET
 * seconds after this message was sent: over shared memory the message was there to be seen.  Over
 * tcp it may be late, or it may wait inside MPI for progress: so rank 0's sleeps begin at 1 ms,
 * double while nothing comes, and end at a second.
 *
 * If MPI kept a message for a while, the worker rings again when it has left, unless it rang less
 * than QUIET before: then rank 0's sleeps are still the short ones that follow a ring.  (Open MPI
 * calls every full batch over shared memory done only when rank 0 has read it: a ring for each of
 * them costs more than its tasks.) */
#ifndef RPI_OOB_WORKER_H
#define RPI_OOB_WORKER_H

#include "base/backoff.h"
#include "base/death.h"

#include <rankpool.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#define RPI_OOB_WORKER_QUIET (RPI_BACKOFF_DROWSY / 2)

struct rpi_oob_worker {
    int file;            /* -1: there is none */
    int stop;            /* an eventfd that ends the thread */
    int number;          /* this worker's; 0: not known yet */
    double host_timeout; /* seconds: rank 0's host is given up a little later; the default, until it
                            is set */
    double beat;
    bool answers; /* its heartbeats are answers to rank 0's, once for many */
    pthread_t thread;
    bool live;               /* it is there */
    pthread_mutex_t hearing; /* who reads the socket */
    atomic_bool parted;      /* rank 0 ends without waiting for this worker */
    atomic_bool gone;        /* its socket's end was seen */
    atomic_bool leaving;     /* this worker leaves: rank 0's end no longer ends it */
    atomic_bool heard;       /* something came since the last heartbeat */
    atomic_bool announced;   /* this worker said that it sleeps, and was not rung since */
    uint64_t said;           /* ticks when rank 0 was last sent something */
    uint64_t rung;           /* and when it was rung */
    uint64_t opened;         /* ticks, and */
    double opened_at;        /* seconds */
    uint64_t quiet;          /* ticks that are at most RPI_OOB_WORKER_QUIET */
    bool is_quiet_known;     /* and not much less */
};

void rpi_oob_worker_init(struct rpi_oob_worker *oob);
/* Connects to rank 0's gate as worker `number`, and starts the thread, which sends a heartbeat each
 * `beat` seconds; if that is 0, every 10 s, in answer to a rank 0 on another host that sends some.
 * RP_ERR_BROKEN: rank 0 could not be reached within `timeout` seconds, or there is no thread. */
RP_MUST_USE rp_status rpi_oob_worker_open(struct rpi_oob_worker *oob, uint32_t ip, uint16_t port,
                                          const uint8_t *token, int number, double beat,
                                          double timeout);
/* The same over a connected socket, which it takes over, also where it fails. */
RP_MUST_USE rp_status rpi_oob_worker_start(struct rpi_oob_worker *oob, int file, double beat);
/* From now on rank 0's end does not end this process. */
void rpi_oob_worker_leave(struct rpi_oob_worker *oob);
/* Ends the thread and closes the socket; none: no effect. */
void rpi_oob_worker_close(struct rpi_oob_worker *oob);

/* A message was sent to rank 0: rings it if it may sleep.  `anew`: it was sent before, but has only
 * now left. */
void rpi_oob_worker_sent(struct rpi_oob_worker *oob, bool anew);
/* Something came from rank 0. */
static inline void rpi_oob_worker_came(struct rpi_oob_worker *oob)
{
    atomic_store_explicit(&oob->announced, false, memory_order_relaxed);
}
/* Says how many messages have been sent to rank 0 so far. */
void rpi_oob_worker_count(struct rpi_oob_worker *oob, uint32_t sent);
/* Says how a task ends this process.  For signal handlers too: nothing is locked. */
void rpi_oob_worker_last_words(void *oob, const struct rpi_death *death);
/* Says that this worker is about to sleep. */
void rpi_oob_worker_doze(struct rpi_oob_worker *oob);
/* Sleeps until rank 0 says something or ends, or `seconds` have passed. */
void rpi_oob_worker_park(struct rpi_oob_worker *oob, double seconds);

#endif
