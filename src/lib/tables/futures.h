/* The future table: id -> state -> outcome.  An id is a slot's index and generation; a slot is
 * settled exactly once and then freed, which makes its id stale.  Slots live in segments that never
 * move and are not touched before their first use. */
#ifndef RPI_FUTURES_H
#define RPI_FUTURES_H

#include "base/alloc.h"
#include "proto/task.h"

#define RPI_SEGMENT_BITS 12
#define RPI_SEGMENT      (1U << RPI_SEGMENT_BITS)
#define RPI_NO_SLOT      UINT32_MAX

enum rpi_future_flag {
    RPI_FUTURE_RELEASED = 1,  /* the application does not hold the id: freed when settled */
    RPI_FUTURE_BUFFER = 2,    /* done: data is an rpi_buffer */
    RPI_FUTURE_SPAWNED = 4,   /* by a task */
    RPI_FUTURE_CHUNK = 8,     /* of a map; known to no application */
    RPI_FUTURE_DETACHED = 16, /* submitted without a handle: a failure is logged */
    RPI_FUTURE_MAP = 32,
    RPI_FUTURE_ARRIVING = 64, /* its large result is on the way */
    RPI_FUTURE_STREAMED =
        128, /* an item of a stream, not delivered, or rp_map's own: freed by it */
};

/* A state beside those of rp_state: its success is known, but waits for the journal.  To the
 * application it is RP_SENT. */
#define RPI_STORING 100

/* A failed task's done.data. */
struct rpi_failure {
    int code;
    char message[];
};

/* 40 bytes: what ten million queued tasks cost is this and their arguments. */
struct rpi_future {
    uint32_t generation;
    uint8_t state;  /* rp_state or RPI_STORING; RP_STALE: free */
    uint8_t status; /* rp_status, when RP_DONE */
    uint8_t attempts;
    uint8_t flags;
    uint32_t options; /* interned; 0: none */
    uint32_t link;    /* the next free slot; of a stream's task: its index there, modulo 2^32 */
    union {
        struct {
            uint64_t number; /* of submission; of a chunk: its first item */
            union {
                double submitted;
                uint32_t depth; /* of a spawned task: generations below the root */
                struct rpi_map *map;
            };
            union {
                uint32_t batch; /* RP_SENT: that carries it */
                struct {
                    uint16_t function;  /* RP_QUEUED */
                    uint16_t size_high; /* of its argument, in halves: where else nothing stands */
                };
            };
            union {
                uint32_t items; /* of a chunk */
                struct {
                    uint16_t retried;
                    uint16_t size_low; /* RP_QUEUED */
                };
            };
        } pending;
        struct {
            union {
                uint8_t small[RPI_SMALL_RESULT];
                void *data;
            };
            uint32_t size;
            uint32_t worker;
            union {
                float queued;
                uint32_t depth; /* of a spawned task */
            };
            float ran;
        } done;
    };
};

struct rpi_futures {
    struct rpi_alloc alloc;
    struct rpi_future **segments;
    uint32_t segment_count, segment_capacity;
    uint32_t touched; /* slots used at least once */
    uint32_t free;    /* the last one freed, or RPI_NO_SLOT */
    uint32_t first_generation;
    uint64_t live;
};

/* `first_generation`: random, so that another pool's ids are stale here. */
void rpi_futures_init(struct rpi_futures *futures, const struct rpi_alloc *alloc,
                      uint32_t first_generation);
/* Frees all, the data of live outcomes included. */
void rpi_futures_fini(struct rpi_futures *futures);

static inline struct rpi_future *rpi_future_slot(const struct rpi_futures *futures, uint32_t index)
{
    return &futures->segments[index >> RPI_SEGMENT_BITS][index & (RPI_SEGMENT - 1)];
}

/* The live future of this id, released ones included; NULL: stale. */
static inline struct rpi_future *rpi_future_of(const struct rpi_futures *futures, uint64_t id)
{
    uint32_t index = (uint32_t)id;
    if (index >= futures->touched)
        return NULL;
    struct rpi_future *future = rpi_future_slot(futures, index);
    return future->generation == (uint32_t)(id >> 32) && future->state != RP_STALE ? future : NULL;
}

/* What is known of a queued task beside its entry: enough to cancel it there. */
static inline void rpi_future_queued(struct rpi_future *future, uint16_t function, uint32_t size)
{
    future->pending.function = function;
    future->pending.size_high = (uint16_t)(size >> 16);
    future->pending.size_low = (uint16_t)size;
}

static inline uint32_t rpi_future_size(const struct rpi_future *future)
{
    return (uint32_t)future->pending.size_high << 16 | future->pending.size_low;
}

/* Why an id is of no use, as the end of a sentence. */
const char *rpi_future_why_stale(const struct rpi_futures *futures, uint64_t id);

/* A new future in state RP_QUEUED, all else zero; NULL: no memory. */
struct rpi_future *rpi_future_new(struct rpi_futures *futures, uint64_t *id);

/* The same, quicker where a slot was freed before. */
static inline struct rpi_future *rpi_future_next(struct rpi_futures *futures, uint64_t *id)
{
    uint32_t index = futures->free;
    if (index == RPI_NO_SLOT)
        return rpi_future_new(futures, id);
    struct rpi_future *future = rpi_future_slot(futures, index);
    futures->free = future->link;
    futures->live++;
    *id = (uint64_t)future->generation << 32 | index;
    *future = (struct rpi_future){ .generation = future->generation, .state = RP_QUEUED };
    return future;
}

/* Frees what its outcome holds. */
void rpi_future_drop(struct rpi_futures *futures, const struct rpi_future *future);

/* Frees the slot and what its outcome holds. */
static inline void rpi_future_free(struct rpi_futures *futures, uint64_t id,
                                   struct rpi_future *future)
{
    if (future->flags & RPI_FUTURE_BUFFER || future->status != RP_OK)
        rpi_future_drop(futures, future);
    future->state = RP_STALE;
    futures->live--;
    if (++future->generation == 0)
        future->generation = 1; /* so that the id 0 is never valid */
    if (future->generation == futures->first_generation)
        return; /* used 2^32 times: retired, or an old id would be live again */
    future->link = futures->free;
    futures->free = (uint32_t)id;
}

#endif
