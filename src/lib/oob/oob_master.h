/* Rank 0's end of the side channel: a socket from each worker.  It says when a worker ends, carries
 * the doorbell, and is what rank 0 sleeps on.  No data of tasks ever travels here; a task that ends
 * its worker is named.
 *
 * Why no worker is left asleep.  A worker that means to sleep says PARKED, looks at MPI once more,
 * and sleeps until it is rung.  Rank 0 keeps two marks for each: `parked` (it said so, and was not
 * rung since) and `owed` (something was sent to it since it was last rung for a PARKED).  Suppose
 * that the worker's last look missed a message.  If rank 0 sent it after reading that PARKED,
 * `parked` was set or a ring had gone out since: either way the worker is rung after its PARKED,
 * and wakes.  If rank 0 sent it before, `owed` was set when it read the PARKED, and it rang then.
 * A ring may overtake a message over tcp, or a message may wait inside MPI for either side's
 * progress: so a worker that was rung for nothing sleeps 1 ms at first, then twice as long each
 * time, and at most a second.
 *
 * Why rank 0 is not left asleep: oob_worker.h. */
#ifndef RPI_OOB_MASTER_H
#define RPI_OOB_MASTER_H

#include "base/alloc.h"
#include "base/death.h"

#include <stdint.h>

struct rpi_oob_master_end; /* one worker's */

struct rpi_oob_master {
    struct rpi_alloc alloc;
    struct rpi_oob_master_end *ends; /* by worker */
    int workers;                     /* there is room for */
    int joined;                      /* ever */
    int parked;                      /* workers that sleep */
    int lost;                        /* workers whose end is not told yet */
    int far;                         /* workers on other hosts */
    double host_timeout; /* seconds: their hosts are given up then; the default, until it is set */
    double next_beat;    /* when these get one */
    int epoll;           /* the sockets and the bell; -1: there is no channel */
    int bell;            /* an eventfd that ends a sleep */
};

/* Workers on other hosts get heartbeats (rpi_oob_socket_beat), by rpi_oob_master_hear, so that
 * something is under way, or soon will be, whenever a cable is cut: only then can that be seen in
 * time.  The time between them grows with the number of workers, so that sending them takes only
 * some hundredths of rank 0's time. */
#define RPI_OOB_MASTER_MANY 1000.0
/* At most this many to a worker that says nothing meanwhile: it is stopped and does not read them,
 * and a connection that takes no more would count as broken. */
#define RPI_OOB_MASTER_BEATS 1000

RP_MUST_USE rp_status rpi_oob_master_init(struct rpi_oob_master *channel,
                                          const struct rpi_alloc *alloc, int workers);
/* Closes every socket.  `parted`: tells the workers before that this is not rank 0's death. */
void rpi_oob_master_fini(struct rpi_oob_master *channel, bool parted);

/* Takes a worker's connected socket over, and greets it.  False: that worker has one already, and
 * this one is closed. */
bool rpi_oob_master_add(struct rpi_oob_master *channel, int worker, int file);

/* Takes over the socket of the one worker of another channel, with what is known of it, for a
 * worker whose own has ended.  False: that one has ended as well. */
bool rpi_oob_master_move(struct rpi_oob_master *channel, int worker, struct rpi_oob_master *from);

/* Whether it has one, or had one until it ended. */
bool rpi_oob_master_has(const struct rpi_oob_master *channel, int worker);

/* Reads what the workers said.  alive(context, worker), unless NULL, is called for those that said
 * anything. */
void rpi_oob_master_hear(struct rpi_oob_master *channel, void (*alive)(void *context, int worker),
                         void *context);
/* A worker that has ended, each told once; 0: none. */
int rpi_oob_master_next_lost(struct rpi_oob_master *channel);
/* Whether a worker has not ended, looked at right now. */
bool rpi_oob_master_lives(struct rpi_oob_master *channel, int worker);
/* What a worker that has ended said of it. */
const struct rpi_death *rpi_oob_master_words(const struct rpi_oob_master *channel, int worker);
/* How many messages the worker has sent over MPI, as it said last. */
uint32_t rpi_oob_master_count(const struct rpi_oob_master *channel, int worker);
/* A message was sent to the worker: it is rung if it sleeps. */
void rpi_oob_master_sent(struct rpi_oob_master *channel, int worker);
/* Its socket is closed, by which the worker ends.  Not told as lost. */
void rpi_oob_master_drop(struct rpi_oob_master *channel, int worker);

/* Blocks until a worker says something, the bell is rung, or `seconds` have passed.  By one thread;
 * the others may use the channel meanwhile. */
void rpi_oob_master_wait(const struct rpi_oob_master *channel, double seconds);
/* From any thread. */
void rpi_oob_master_ring(const struct rpi_oob_master *channel);

#endif
