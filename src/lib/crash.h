/* The last words of a worker whose task crashes the process or leaves it by exit(). */
#ifndef RPI_CRASH_H
#define RPI_CRASH_H

#define RPI_CRASH_ENDS_JOB     "this ends the whole job"
#define RPI_CRASH_ENDS_SPAWNED "this ends all spawned workers"
#define RPI_CRASH_ENDS_WORKER                                                                                              \
    "this ends the worker; the others go on, one of them with this task if it may start again (options.attempts); "        \
    "isolation = RP_FORK spares the worker, where tasks use no MPI"

/* From now on a fatal signal first names the running task on stderr, and what its end `ends`, then does what it did before.  Process-wide, once. */
void rpi_crash_watch(const char *ends);

/* Names the task that called exit(); 0: no task runs on this thread. */
int rpi_crash_exit(void);

#endif
