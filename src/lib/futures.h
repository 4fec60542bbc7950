/* The future table: id -> state -> outcome.  An id is a slot's index and generation; a slot is settled exactly once and then freed,
 * which makes its id stale.  Slots live in segments that never move and are not touched before their first use. */
#ifndef RPI_FUTURES_H
#define RPI_FUTURES_H

#include "alloc.h"

#define RPI_SEGMENT_BITS 12
#define RPI_SEGMENT      (1U << RPI_SEGMENT_BITS)
#define RPI_NO_SLOT      UINT32_MAX
#define RPI_SMALL_RESULT 8 /* bytes that need no buffer */

enum rpi_future_flag {
    RPI_FUTURE_RELEASED = 1,  /* nobody holds the id: freed when settled */
    RPI_FUTURE_BUFFER = 2,    /* done: data is an rpi_buffer */
    RPI_FUTURE_SPAWNED = 4,   /* by a task */
    RPI_FUTURE_CHUNK = 8,     /* of a map; known to no application */
    RPI_FUTURE_DETACHED = 16, /* submitted without a handle: a failure is logged */
    RPI_FUTURE_MAP = 32,
    RPI_FUTURE_ARRIVING = 64,  /* its large result is on the way */
    RPI_FUTURE_STREAMED = 128, /* an item of a stream, not delivered, or rp_map's own: freed by it */
};

/* A failed task's done.data. */
struct rpi_failure {
    int code;
    char message[];
};

/* 40 bytes: what ten million queued tasks cost is this and their arguments. */
struct rpi_future {
    uint32_t generation;
    uint8_t state;  /* rp_state; RP_STALE: free */
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
                uint32_t batch;    /* RP_SENT: that carries it */
                uint16_t function; /* RP_QUEUED */
            };
            union {
                uint32_t items; /* of a chunk */
                uint32_t retried;
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
void rpi_futures_init(struct rpi_futures *futures, const struct rpi_alloc *alloc, uint32_t first_generation);
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

/* A new future in state RP_QUEUED, all else zero; NULL: no memory. */
struct rpi_future *rpi_future_new(struct rpi_futures *futures, uint64_t *id);

/* Frees the slot and what its outcome holds. */
void rpi_future_free(struct rpi_futures *futures, uint64_t id, struct rpi_future *future);

#endif
