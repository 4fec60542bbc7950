/* Priority inheritance: an unsettled task that a more urgent one waits for, directly or indirectly,
 * takes that one's priority.  This changes only the order of the queue. */
#ifndef RPI_URGENCY_H
#define RPI_URGENCY_H

#include "master/master.h"

/* Call when a task begins to wait: the next rpi_urgency_spread looks at its inputs. */
void rpi_urgency_note(struct rpi_master *master, struct rpi_deps_dependent *dependent);
/* Raises the priority of what more urgent tasks wait for.  What fails for lack of memory is left
 * for the next call. */
void rpi_urgency_spread(struct rpi_master *master);

#endif
