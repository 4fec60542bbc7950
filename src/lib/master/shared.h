/* Shared data, the master's half of the protocol (msg.h): which worker is told what, and which one
 * of a host gets the bytes.
 *
 * A worker asks only when the task that it holds needs the data, so a worker that is told to make
 * room is waiting for just that, and no host waits for a busy worker.  Data that no task on a host
 * needs never travel there. */
#ifndef RPI_SHARED_H
#define RPI_SHARED_H

#include "master/master.h"

/* From now on `name` means this segment (taken over), or with size 0 nothing.  RP_ERR_NOMEM:
 * nothing changed. */
RP_MUST_USE rp_status rpi_master_share(struct rpi_master *master, const char *name,
                                       const struct rpi_shm *segment);

/* Before tasks of this epoch go to a worker: tells what it does not know.  false: no memory, try
 * again later. */
bool rpi_shared_tell(struct rpi_master *master, int worker, uint64_t epoch);
/* Tells the workers which versions are dead.  false: no memory; until it succeeds no task may be
 * handed out, as a worker would take a dead version for a current one. */
bool rpi_shared_sweep(struct rpi_master *master);

/* The worker is lost: other workers of its host stop waiting for what it should get.
 * false: no memory, call again. */
bool rpi_shared_lost(struct rpi_master *master, int worker);

/* Another process takes a lost worker's place: it knows of nothing, and holds nothing. */
void rpi_shared_replaced(struct rpi_master *master, int worker);

/* A worker's question or answer.  RP_ERR_NOMEM: nothing changed that would be done twice, give it
 * again later. */
RP_MUST_USE rp_status rpi_shared_receive(struct rpi_master *master, int worker,
                                         const struct rpi_reader *reader);

#endif
