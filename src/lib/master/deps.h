/* Tasks that wait for others, and the outcomes that they need: `after` at rank 0.  An outcome with
 * dependents is kept until all these are settled, even if the application has released it; it
 * travels once to each worker that needs it. */
#ifndef RPI_DEPS_H
#define RPI_DEPS_H

#include "master/master.h"

/* Makes the record of a task that comes after these.  RP_ERR_STALE, with the index;
 * RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_deps_gather(struct rpi_master *master, const rp_future *after,
                                      size_t count, struct rpi_deps_dependent **dependent);
/* Makes the record of a task that shares the outcome of an unsettled one.  RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_deps_follow(struct rpi_master *master, uint64_t id,
                                      struct rpi_deps_dependent **dependent);
/* The task is submitted: it waits, or goes on at the next rpi_deps_advance. */
void rpi_deps_submitted(struct rpi_master *master, struct rpi_deps_dependent *dependent,
                        uint64_t id, const struct rpi_entry *entry);
/* Queues or settles the dependents whose wait is over.  What fails for lack of memory is left for
 * the next call. */
void rpi_deps_advance(struct rpi_master *master);
/* Tells the dependents of a future that is settled. */
void rpi_deps_settled(struct rpi_master *master, uint64_t id, const struct rpi_future *future);
/* Lets go of the inputs of a dependent that is settled or was never submitted, and frees it. */
void rpi_deps_let_go(struct rpi_master *master, struct rpi_deps_dependent *dependent);
/* Whether any task depends on it. */
bool rpi_deps_hold(const struct rpi_deps *deps, uint64_t id);
/* Sends the worker the inputs of this task that it lacks.  false: no memory; it may be called
 * again. */
RP_MUST_USE bool rpi_deps_send(struct rpi_master *master,
                               const struct rpi_deps_dependent *dependent, int worker);
/* Another process, which has no outcomes yet, takes a lost worker's place. */
void rpi_deps_replaced(struct rpi_master *master, int worker);
void rpi_deps_fini(struct rpi_master *master);

#endif
