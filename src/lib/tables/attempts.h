/* What is known of tasks whose worker was lost while they may have been running there: how often,
 * and where.  Each stands here until it is settled. */
#ifndef RPI_ATTEMPTS_H
#define RPI_ATTEMPTS_H

#include "base/alloc.h"
#include "base/table.h"

#define RPI_ATTEMPT_PLACES 6 /* workers that are remembered for one task */

struct rpi_attempt {
    struct rpi_link link;            /* in its bucket */
    uint64_t id;                     /* of the future */
    uint32_t times;                  /* starts that were given up */
    uint32_t piece;                  /* of a map's chunk: how many of its items now go at once */
    int workers[RPI_ATTEMPT_PLACES]; /* the first that they were given up at */
};

struct rpi_attempts {
    struct rpi_alloc alloc;
    struct rpi_table table;
    uint64_t count;
};

void rpi_attempts_init(struct rpi_attempts *attempts, const struct rpi_alloc *alloc);
void rpi_attempts_fini(struct rpi_attempts *attempts);

/* NULL: it was never lost. */
struct rpi_attempt *rpi_attempts_find(const struct rpi_attempts *attempts, uint64_t id);
/* Its record, made at the first call with nothing in it; NULL: no memory. */
struct rpi_attempt *rpi_attempts_of(struct rpi_attempts *attempts, uint64_t id);
void rpi_attempt_note(struct rpi_attempt *attempt, int worker);
/* Walks all of them in some order: the one after `attempt` (NULL: the first), or NULL. */
const struct rpi_attempt *rpi_attempts_next(const struct rpi_attempts *attempts,
                                            const struct rpi_attempt *attempt);
/* Whether it was in there. */
bool rpi_attempts_forget(struct rpi_attempts *attempts, uint64_t id);

#endif
