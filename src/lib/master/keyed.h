/* Tasks with a key, in a pool that keeps a journal.  While one is under way, another of the same
 * function, key and argument follows it (deps.h) and shares its outcome.  Its success waits in
 * RPI_STORING until the journal has it:
 *
 *   rpi_master_submit --> rpi_settle_end --> due --rpi_master_due--> (journal)
 * --rpi_master_stored--> done
 *
 * Failures, and successes of tasks that spawned others (which would be missing next time), are not
 * stored: they are done at once. */
#ifndef RPI_KEYED_H
#define RPI_KEYED_H

#include "master/master.h"

struct rpi_keyed {
    struct rpi_link link; /* in its bucket */
    struct rpi_link due;  /* among those to store, or in the storer's list, or alone */
    uint64_t id;          /* its future */
    uint64_t number;      /* the journal's */
    struct rpi_key key;   /* its bytes follow */
    uint16_t function;
    bool spawns; /* it has committed children */
    uint8_t bytes[];
};

/* The one under way, or NULL. */
struct rpi_keyed *rpi_keyed_find(const struct rpi_master *master, uint16_t function,
                                 const struct rpi_key *key);
/* Makes the record of a new one; rpi_master_submit completes it, rpi_keyed_free undoes it.
 * RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_keyed_make(struct rpi_master *master, uint16_t function,
                                     const struct rpi_key *key, struct rpi_keyed **keyed);
void rpi_keyed_free(struct rpi_master *master, struct rpi_keyed *keyed);

/* A future with a record is done.  Whether it waits for the journal; else its record is gone. */
bool rpi_keyed_waits(struct rpi_master *master, struct rpi_future *future, struct rpi_keyed *keyed);
void rpi_keyed_fini(struct rpi_master *master);

#endif
