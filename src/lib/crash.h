/* The last words of a worker whose task crashes the process or leaves it by exit(). */
#ifndef RPI_CRASH_H
#define RPI_CRASH_H

/* From now on a fatal signal first names the running task on stderr, then does what it did before.  Process-wide, once. */
void rpi_crash_watch(void);

/* Names the task that called exit(); 0: no task runs on this thread. */
int rpi_crash_exit(void);

#endif
