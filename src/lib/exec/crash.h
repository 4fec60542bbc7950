/* The last words of a process whose task crashes it, or leaves it in another way than by
 * returning: on standard error, and to rank 0. */
#ifndef RPI_CRASH_H
#define RPI_CRASH_H

#include "base/death.h"

#include <stdbool.h>

/* What the end of a process that runs tasks ends. */
enum rpi_crash_ends {
    RPI_CRASH_ENDS_JOB,
    RPI_CRASH_ENDS_SPAWNED, /* all spawned workers */
    RPI_CRASH_ENDS_WORKER,
    RPI_CRASH_ENDS_PROCESS, /* of a task's own */
};

/* What the thread that serves does. */
enum rpi_crash_phase { RPI_CRASH_IN_TASKS, RPI_CRASH_IN_INITIALIZER, RPI_CRASH_IN_FINALIZER };

/* From now on a signal that ends this process first names the running task on stderr, and what
 * its end `ends`.  A handler that was there before is called first, and nothing is said unless
 * it gives the signal up.  An exit() in a task says so as well, and then calls abort(), unless
 * NULL, which does not return.  Process-wide; the last call's words hold. */
void rpi_crash_watch(enum rpi_crash_ends ends, void (*abort)(int code));

struct rp_call;

/* The same in a process that is forked for tasks, where signals have their default actions: of the
 * ways that rpi_crash_end is told. */
void rpi_crash_watch_child(const struct rp_call *call);

/* From now on this thread only runs tasks, by this call: what another thread does meanwhile counts
 * as the task's doing, and no thread may leave the process. NULL ends that. */
void rpi_crash_serve(const struct rp_call *call);

/* Sets the function that tells rank 0 of a task that ends this process, in a signal handler
 * perhaps; NULL: it is not told. */
void rpi_crash_tell(void (*tell)(void *context, const struct rpi_death *death), void *context);

/* What this thread does from now on; at first it runs tasks. */
void rpi_crash_phase(enum rpi_crash_phase phase);

/* The end of this thread inside a task is noticed from now on. */
void rpi_crash_arm_now(void);
extern _Thread_local bool rpi_crash_armed __attribute__((tls_model("initial-exec")));
static inline void rpi_crash_arm(void)
{
    if (!rpi_crash_armed)
        rpi_crash_arm_now();
}

/* This thread ends; it does not come back where it runs tasks. For pthread_cleanup_push. */
void rpi_crash_thread_ends(void *unused);

/* The process ends in this way: returns only where no task runs or is waited for. */
void rpi_crash_end(enum rpi_way way, int code);

#endif
