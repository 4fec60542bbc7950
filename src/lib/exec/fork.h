/* Runs tasks in a process of their own.  If a crash or a kill ends it, the worker goes on with a
 * fresh one.
 *
 * While a task runs the worker sleeps until its process reports or dies, or says something on
 * standard error; in between it looks at the world, so that what comes for the worker is heard. */
#ifndef RPI_FORK_H
#define RPI_FORK_H

#include "exec/child.h"
#include "proto/shared_cache.h"

/* Forks, and runs the initializer.  RP_ERR_BROKEN: it failed; RP_ERR_FULL, RP_ERR_NOMEM: no process
 * could be had. `config` is copied. */
RP_MUST_USE rp_status rpi_fork_open(const struct rpi_child_config *config,
                                    struct rpi_child **child);
/* `over`: the pool has failed, no finalizer runs. */
void rpi_fork_close(struct rpi_child *child, bool over);

/* Makes the running chunk end before its first item that has not begun.  Returns how many items it
 * has then, over all its processes; UINT32_MAX: it cannot be cut at this moment. */
uint32_t rpi_fork_cut(struct rpi_child *child);

/* Runs the task (of a chunk, as much as it keeps); *result is valid until the next run. */
void rpi_fork_execute(struct rpi_child *child, const struct rpi_task *task,
                      const struct rpi_shared_cache *shared_cache, struct rpi_result *result);

#endif
