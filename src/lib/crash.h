/* The last words of a worker whose task crashes the process or leaves it by exit(). */
#ifndef RPI_CRASH_H
#define RPI_CRASH_H

#include <stdbool.h>

/* From now on a fatal signal first names the running task on stderr, then does what it did before.  Process-wide, once.  `alone`: this worker's
 * end is not the job's. */
void rpi_crash_watch(bool alone);

/* Names the task that called exit(); 0: no task runs on this thread. */
int rpi_crash_exit(void);

#endif
