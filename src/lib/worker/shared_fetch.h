/* Shared data, the worker's half of the protocol (msg.h).  Pure: it maps and frees nothing itself;
 * the caller fetches such work. */
#ifndef RPI_SHARED_FETCH_H
#define RPI_SHARED_FETCH_H

#include "worker/state.h"

/* Whether every data set that a task of this epoch sees is here; what is not is set going.  With
 * *missing one could not be had: the task that wanted it fails, the next one tries again. */
bool rpi_shared_fetch_ready(struct rpi_worker *worker, uint64_t epoch, const char **missing);

/* Whether the message keeps its place among the tasks: it goes to the inbox, and to
 * rpi_shared_fetch_apply when it comes up there. */
bool rpi_shared_fetch_in_order(const struct rpi_share_message *message);
/* false: no memory, try again. */
bool rpi_shared_fetch_apply(struct rpi_worker *worker, const struct rpi_share_message *message);
/* The others, as they come.  RP_ERR_NOMEM: give it again. */
RP_MUST_USE rp_status rpi_shared_fetch_receive(struct rpi_worker *worker,
                                               const struct rpi_share_message *message);
/* The bytes are there. */
void rpi_shared_fetch_arrived(struct rpi_worker *worker, struct rpi_shared_datum *datum);

/* The next one in a state with a * (shared_cache.h), or NULL.  The caller must, in SEEK: map it;
 * MAKE: make room for it, unless there is some; FILLED: seal it; REFUSED and DROPPED: free it; then
 * call rpi_shared_fetch_worked. */
struct rpi_shared_datum *rpi_shared_fetch_work(struct rpi_worker *worker);
/* It was done, or was not possible.  false: no memory for the message about it; the datum is work
 * as before. */
bool rpi_shared_fetch_worked(struct rpi_worker *worker, struct rpi_shared_datum *datum, bool done);

#endif
