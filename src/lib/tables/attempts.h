/* What is known of tasks whose worker was lost, or silent too long, while they may have been running there: how often, and where.  Each
 * stands here until it is settled. */
#ifndef RPI_ATTEMPTS_H
#define RPI_ATTEMPTS_H

#include "base/alloc.h"
#include "base/list.h"

#define RPI_LOSS_PLACES 6 /* workers that are remembered for one task */

struct rpi_loss {
    struct rpi_link link;         /* in its bucket */
    uint64_t id;                  /* of the future */
    uint32_t times;               /* starts that were given up */
    uint32_t piece;               /* of a map's chunk: so many of its items go at once now */
    int workers[RPI_LOSS_PLACES]; /* the first that they were given up at */
};

struct rpi_losses {
    struct rpi_alloc alloc;
    struct rpi_link *buckets; /* NULL before the first */
    uint64_t count;
};

void rpi_losses_init(struct rpi_losses *losses, const struct rpi_alloc *alloc);
void rpi_losses_fini(struct rpi_losses *losses);

/* NULL: it was never lost. */
struct rpi_loss *rpi_losses_find(const struct rpi_losses *losses, uint64_t id);
/* Its record, made at the first call with nothing in it; NULL: no memory. */
struct rpi_loss *rpi_losses_of(struct rpi_losses *losses, uint64_t id);
void rpi_loss_note(struct rpi_loss *loss, int worker);
/* All of them in some order: the one behind `loss` (NULL: the first), or NULL. */
const struct rpi_loss *rpi_losses_next(const struct rpi_losses *losses, const struct rpi_loss *loss);
/* Whether it was in there. */
bool rpi_losses_forget(struct rpi_losses *losses, uint64_t id);

#endif
