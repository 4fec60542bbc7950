/* Threads that wait for a pool and have given the core away.  One of them sleeps on the transport,
 * and is woken by what comes; others sleep beside it.  Whoever changes something they may wait for
 * wakes them: what has come, a task settled, a callback that has returned. */
#ifndef RPI_IDLE_H
#define RPI_IDLE_H

#include "pool/state.h"

void rpi_idle_init(struct rpi_idle *idle);
void rpi_idle_fini(struct rpi_idle *idle);

/* Whether a thread may sleep after one more step that finds nothing: not while something goes on
 * whose progress wakes no thread. */
bool rpi_idle_doze(const rp_pool *pool);

/* For how many seconds, at the most. */
double rpi_idle_limit(const rp_pool *pool, struct rpi_backoff *backoff);

/* Sleeps for `seconds` at the most, after rpi_idle_doze() said true and a step found nothing.  The
 * pool's lock is held, but let go meanwhile.  `polite`: this thread takes it back only when it is
 * free (the caretaker does not own it).  Returns whether it was woken before its time. */
bool rpi_idle_take(rp_pool *pool, double seconds, bool polite);

/* Wakes them if something has changed.  The pool's lock is held. */
void rpi_idle_rouse_now(rp_pool *pool);

#endif
