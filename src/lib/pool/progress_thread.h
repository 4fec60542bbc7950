/* The thread at rank 0 that drives a pool while the application computes: asleep while calls on the
 * pool drive it, at work when none has for about 0.5 ms and tasks are unsettled, blocked when there
 * is no work until a call leaves some.  It takes the pool's lock only when that is free, and runs
 * no task and no callback but the log's.
 *
 * Blocked, it looks once a second as long as buffers are idle (bufcache.h), and frees these after a
 * second in which no call drove the pool.  If nothing comes for a while as it drives, it sleeps on
 * the transport, until a worker rings.  While a call does that, it is blocked too.
 *
 *            a call left work to do                  no call for 0.5 ms
 *   BLOCKED ------------------------> WATCHING -------------------------> DRIVING
 *      ^                               |   ^                               |  |
 *      +---- nothing is unsettled -----+   +-------- a call came ----------+  |
 *      +--------------------- nothing is unsettled ---------------------------+ */
#ifndef RPI_PROGRESS_THREAD_H
#define RPI_PROGRESS_THREAD_H

#include "pool/state.h"

/* Starts the pool's caretaker.  A failure is logged: the pool goes on without it. */
void rpi_progress_thread_start(rp_pool *pool);
/* Ends it, if it runs, and returns when its thread is gone.  The pool's lock is held, but let go
 * meanwhile. */
void rpi_progress_thread_stop(rp_pool *pool);

#endif
