#include "tables/futures.h"

void rpi_futures_init(struct rpi_futures *futures, const struct rpi_alloc *alloc,
                      uint32_t first_generation)
{
    *futures = (struct rpi_futures){ .alloc = *alloc,
                                     .free = RPI_NO_SLOT,
                                     .first_generation = first_generation ? first_generation : 1 };
}

static bool add_segment(struct rpi_futures *futures)
{
    if (futures->segment_count == futures->segment_capacity) {
        uint32_t capacity = futures->segment_capacity ? 2 * futures->segment_capacity : 64;
        struct rpi_future **segments = rpi_resize(&futures->alloc, futures->segments,
                                                  capacity * sizeof(struct rpi_future *));
        if (!segments)
            return false;
        futures->segments = segments;
        futures->segment_capacity = capacity;
    }
    struct rpi_future *segment = rpi_reserve(&futures->alloc, RPI_SEGMENT * sizeof *segment);
    if (!segment)
        return false;
    futures->segments[futures->segment_count++] = segment;
    return true;
}

/* A slot that was never used; RPI_NO_SLOT: no memory, or all of 2^32 - 1 are live. */
static uint32_t touch(struct rpi_futures *futures)
{
    uint32_t index = futures->touched;
    if (index == RPI_NO_SLOT)
        return RPI_NO_SLOT;
    if (index >> RPI_SEGMENT_BITS == futures->segment_count && !add_segment(futures))
        return RPI_NO_SLOT;
    futures->touched++;
    return index;
}

struct rpi_future *rpi_future_new(struct rpi_futures *futures, uint64_t *id)
{
    if (futures->free != RPI_NO_SLOT)
        return rpi_future_next(futures, id);
    uint32_t index = touch(futures);
    if (index == RPI_NO_SLOT)
        return NULL;
    struct rpi_future *future = rpi_future_slot(futures, index);
    futures->live++;
    *future = (struct rpi_future){ .generation = futures->first_generation, .state = RP_QUEUED };
    *id = (uint64_t)future->generation << 32 | index;
    return future;
}

/* Whether this pool has given such an id: each use of a slot has had the next generation. */
static bool was_given(const struct rpi_futures *futures, const struct rpi_future *slot,
                      uint32_t generation)
{
    uint32_t uses = slot->generation - futures->first_generation;
    bool is_retired = uses == 0 && slot->state == RP_STALE;
    return is_retired || generation - futures->first_generation < uses;
}

const char *rpi_future_why_stale(const struct rpi_futures *futures, uint64_t id)
{
    uint32_t index = (uint32_t)id;
    const struct rpi_future *slot = index < futures->touched ? rpi_future_slot(futures, index)
                                                             : NULL;
    bool is_live = slot && rpi_future_of(futures, id);
    if (id == 0)
        return "it is {0}, which no call has set";
    if (is_live && slot->flags & RPI_FUTURE_STREAMED)
        return "it belongs to a stream, which delivers and releases it";
    if (is_live || (slot && was_given(futures, slot, (uint32_t)(id >> 32))))
        return "it was released already: rp_get and rp_take do so as they give its result or its "
               "failure, and so do "
               "rp_release and a stream";
    return "it is of another pool";
}

void rpi_future_drop(struct rpi_futures *futures, const struct rpi_future *future)
{
    if (future->state != RP_DONE && future->state != RPI_STORING)
        return;
    if (future->flags & RPI_FUTURE_BUFFER)
        rpi_buffer_free(future->done.data);
    else if (future->status != RP_OK)
        rpi_free(&futures->alloc, future->done.data);
}

void rpi_futures_fini(struct rpi_futures *futures)
{
    for (uint32_t i = 0; i < futures->touched; i++)
        rpi_future_drop(futures, rpi_future_slot(futures, i));
    for (uint32_t i = 0; i < futures->segment_count; i++)
        rpi_free(&futures->alloc, futures->segments[i]);
    rpi_free(&futures->alloc, futures->segments);
    *futures = (struct rpi_futures){ .alloc = futures->alloc, .free = RPI_NO_SLOT };
}
