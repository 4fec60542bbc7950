/* The worker's caretaker: a thread that answers rank 0 while a task runs long.  It borrows engine
 * and transport from the main thread (handoff.h), takes in what has come, sends what is ready, and
 * sleeps nearly all the time. */
#ifndef RPI_ANSWER_THREAD_H
#define RPI_ANSWER_THREAD_H

#include "exec/serve_state.h"

/* Where the transport may be used from several threads, one at a time.  A thread that cannot be had
 * is done without. */
void rpi_answer_thread_start(struct rpi_serve *server);
void rpi_answer_thread_stop(struct rpi_serve *server);

#endif
