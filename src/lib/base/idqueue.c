#include "base/idqueue.h"

#include "base/status.h"

rp_status rpi_idqueue_reserve(struct rpi_idqueue *ring, const struct rpi_alloc *alloc, size_t count)
{
    size_t capacity = ring->capacity ? ring->capacity : 64;
    if (count <= ring->capacity)
        return RP_OK;
    while (capacity < count)
        capacity *= 2;
    uint64_t *ids = rpi_reserve(alloc, capacity * sizeof *ids);
    if (!ids)
        return rpi_no_memory("settled tasks");
    for (size_t i = 0; i < ring->count; i++)
        ids[i] = ring->ids[(ring->first + i) & (ring->capacity - 1)];
    rpi_free(alloc, ring->ids);
    ring->ids = ids;
    ring->first = 0;
    ring->capacity = capacity;
    return RP_OK;
}

void rpi_idqueue_fini(struct rpi_idqueue *ring, const struct rpi_alloc *alloc)
{
    rpi_free(alloc, ring->ids);
    *ring = (struct rpi_idqueue){ 0 };
}
