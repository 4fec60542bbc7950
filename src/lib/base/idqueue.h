/* A queue of ids.  Room is reserved when a task is submitted, so that taking note of its end cannot
 * fail. */
#ifndef RPI_IDQUEUE_H
#define RPI_IDQUEUE_H

#include "base/alloc.h"

struct rpi_idqueue {
    uint64_t *ids;
    size_t first, count, capacity; /* capacity: 0 or a power of two */
};

/* Makes room for `count` ids in all.  RP_ERR_NOMEM: it is as it was. */
RP_MUST_USE rp_status rpi_idqueue_reserve(struct rpi_idqueue *ring, const struct rpi_alloc *alloc,
                                          size_t count);
void rpi_idqueue_fini(struct rpi_idqueue *ring, const struct rpi_alloc *alloc);

static inline void rpi_idqueue_push(struct rpi_idqueue *ring, uint64_t id)
{
    ring->ids[(ring->first + ring->count++) & (ring->capacity - 1)] = id;
}

/* Call only while count > 0. */
static inline uint64_t rpi_idqueue_pop(struct rpi_idqueue *ring)
{
    uint64_t id = ring->ids[ring->first];
    ring->first = (ring->first + 1) & (ring->capacity - 1);
    ring->count--;
    return id;
}

#endif
