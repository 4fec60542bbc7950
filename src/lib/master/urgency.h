/* Urgent tasks that wait for others: what such a task waits for, directly or through more of these,
 * goes by its priority too, as long as it is to run.  Only the queue's order changes by that. */
#ifndef RPI_URGENCY_H
#define RPI_URGENCY_H

#include "master/master.h"

/* A task has begun to wait: what it waits for is looked at by the next rpi_urgency_spread. */
void rpi_urgency_note(struct rpi_master *master, struct rpi_deps_dependent *dependent);
/* Raises what more urgent tasks wait for.  What memory does not suffice for stays for the next
 * time. */
void rpi_urgency_spread(struct rpi_master *master);

#endif
