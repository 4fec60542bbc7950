/* The thread at rank 0 that drives a pool while the application computes: asleep while calls on the pool drive it, at work when none
 * has for about 0.5 ms and tasks are unsettled, blocked until a call leaves work behind while there is none.  It takes the pool's lock
 * only where nobody else has it, and runs no task and no callback but the log's.
 *
 * Blocked, it looks once a second as long as buffers are idle (bufcache.h), and gives these back after a second in which no call drove the pool.
 * While it drives and nothing comes for a while it sleeps on the transport, until a worker rings.  While a call does that, it is blocked too.
 *
 *            a call left work behind                 no call for 0.5 ms
 *   BLOCKED ------------------------> WATCHING -------------------------> DRIVING
 *      ^                               |   ^                               |  |
 *      +---- nothing is unsettled -----+   +-------- a call came ----------+  |
 *      +--------------------- nothing is unsettled ---------------------------+ */
#ifndef RPI_PROGRESS_THREAD_H
#define RPI_PROGRESS_THREAD_H

#include "base/clock.h"
#include "base/wakeup.h"

#include <rankpool.h>
#include <stdint.h>

struct rpi_progress_thread {
    pthread_t thread;
    struct rpi_wakeup nap;
    bool live;    /* there is one; changes only while no other call is under way */
    bool blocked; /* it wants to be woken when a call leaves something unsettled; guarded by the pool's lock */
    /* its own */
    uint64_t seen;                /* the pool's last step that it knows of */
    bool driving;                 /* the last look took a step */
    double rest;                  /* seconds between the last look and the next; negative: until it is woken */
    struct rpi_patience patience; /* of its sleeps on the transport */
    bool parked;                  /* the rest is to be taken on the transport */
    bool keeps;                   /* it is blocked for a second only: buffers are idle */
    double heard;                 /* when a step of its own last found something */
};

/* Starts the pool's caretaker.  A failure is logged: the pool goes on without it. */
void rpi_progress_thread_start(rp_pool *pool);
/* Ends it, and returns when its thread is gone; none: no effect.  The pool's lock is held, but let go meanwhile. */
void rpi_progress_thread_stop(rp_pool *pool);

#endif
