/* The pool's side of the journal: looks keyed tasks up when they are submitted, hands their
 * outcomes over when they end. */
#ifndef RPI_JOURNALING_H
#define RPI_JOURNALING_H

#include "pool/state.h"

/* Opens the config's journal; NULL in *journal where it has none.  RP_ERR_IO, RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_journaling_open(const rp_config *config, struct rpi_journal **journal);
/* Closes one that no pool has taken over; the thread's message stays.  NULL: no effect. */
void rpi_journaling_drop(struct rpi_journal *journal);

/* Submits a task with this key: settled at once with what the journal has, or queued.  As
 * rpi_master_submit. */
RP_MUST_USE rp_status rpi_journaling_submit(rp_pool *pool, const struct rpi_request *request,
                                            const rp_bytes *key, uint64_t *id);

/* Gives the journal what has ended, and settles what it has; for the pool's step. */
void rpi_journaling_step(rp_pool *pool);
/* Whether the journal, if there is one, has committed all; hurries it. */
bool rpi_journaling_at_rest(rp_pool *pool);
/* RP_ERR_IO: the journal has failed. */
RP_MUST_USE rp_status rpi_journaling_sound(const rp_pool *pool);
/* Tasks whose outcome is in the journal: found there, or committed since. */
uint64_t rpi_journaling_journaled(const rp_pool *pool);
/* Commits, closes the journal, and settles what waited for it.  RP_ERR_IO: not all is in it. */
RP_MUST_USE rp_status rpi_journaling_close(rp_pool *pool);

#endif
