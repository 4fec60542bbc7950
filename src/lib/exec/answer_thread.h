/* The worker's caretaker: a thread that answers rank 0 while a task runs long.  It borrows engine and transport from the main thread
 * (handoff.h), takes in what has come, sends what is ready, and sleeps nearly all the time. */
#ifndef RPI_ANSWER_THREAD_H
#define RPI_ANSWER_THREAD_H

#include "base/handoff.h"
#include "base/wakeup.h"

#include <pthread.h>

struct rpi_serve;

struct rpi_answer_thread {
    struct rpi_wakeup nap;
    pthread_t thread;
    bool live;
    double watch;  /* seconds that a task runs before its worker's messages are looked at meanwhile */
    uint64_t seen; /* turn of the loan at the last look */
    double rest;   /* seconds until the next */
    double since;  /* when that turn was first seen */
};

/* Where the transport may be used from several threads, one at a time.  A thread that cannot be had is done without. */
void rpi_answer_thread_start(struct rpi_serve *server);
void rpi_answer_thread_stop(struct rpi_serve *server);

#endif
