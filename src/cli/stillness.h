#ifndef RANKPOOL_CLI_STILLNESS_H
#define RANKPOOL_CLI_STILLNESS_H

#include <stdbool.h>
#include <sys/types.h>

/* Whether a process waits for something that does not come: its first thread, which has an event
 * loop in it, has not run at all for a while, nor wants to.  One that a busy machine keeps from
 * running is not still. */
struct stillness {
    unsigned long slept; /* times until now */
    double since;        /* it sleeps for the same time; 0: it does not */
};

#define STILLNESS_STEP 0.02 /* seconds between two looks */

/* A look at it; true: it has been still for `seconds`.  Where the system does not show whether it
 * only naps, until a time that it has set itself, for `nap` seconds, which is longer than it
 * naps. */
bool stillness_look(struct stillness *stillness, pid_t process, double seconds, double nap);

#endif
