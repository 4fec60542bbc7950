/* Tasks that are no longer awaited at a worker: they were started again elsewhere while it was
 * silent, or are settled already.  A result that comes after all is recognised by this, and gives
 * the worker its credit back. */
#ifndef RPI_COPIES_H
#define RPI_COPIES_H

#include "tables/roster.h"

/* false: no memory, nothing changed. */
RP_MUST_USE bool rpi_copies_add(struct rpi_roster *roster, int worker, uint64_t id, uint8_t attempt,
                                uint32_t batch);
/* Takes the copy out and tells which batch carried it; false: there is none. */
bool rpi_copies_take(struct rpi_roster *roster, int worker, uint64_t id, uint8_t attempt,
                     uint32_t *batch);
bool rpi_copies_has(const struct rpi_roster *roster, int worker, uint64_t id, uint8_t attempt);
/* Takes any of the worker's. */
bool rpi_copies_pop(struct rpi_roster *roster, int worker, uint32_t *batch);
void rpi_copies_drop(struct rpi_roster *roster, int worker);

#endif
