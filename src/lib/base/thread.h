/* Starting the library's own threads. */
#ifndef RPI_THREAD_H
#define RPI_THREAD_H

#include <pthread.h>

/* Starts a thread that takes no signals, which are the application's threads', and waits until it
 * runs: a fork soon after copies no lock that a thread's start holds.  0, or an error as of
 * pthread_create. */
int rpi_thread_start(pthread_t *thread, void *(*run)(void *context), void *context);

#endif
