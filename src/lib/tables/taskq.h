/* The ready queue: priority first, then longest cost, then order of submission.
 *
 * Tasks without rank (priority 0, cost 0: nearly all) are in a row in blocks of bytes that never
 * move; the others are in a heap.  At priority 0 the heap goes first: its tasks are costly, or were
 * queued before (they came back). */
#ifndef RPI_TASKQ_H
#define RPI_TASKQ_H

#include "base/alloc.h"
#include "base/bytes.h"

#include <string.h>

enum rpi_entry_flag {
    RPI_ENTRY_LARGE = 1,  /* data is a buffer of its own */
    RPI_ENTRY_OWNED = 2,  /* an rpi_buffer, freed with the task; else borrowed */
    RPI_ENTRY_MAP = 4,    /* data is a struct rpi_map with items still to hand out */
    RPI_ENTRY_CHUNK = 8,  /* data is a map whose chunk `id` comes again */
    RPI_ENTRY_SPENT = 16, /* the worker that it would rather have handed it back */
    RPI_ENTRY_SOLO = 32,  /* it was at a worker that was lost: it goes alone */
};
#define RPI_ENTRY_POINTS (RPI_ENTRY_LARGE | RPI_ENTRY_MAP | RPI_ENTRY_CHUNK)

struct rpi_entry {
    uint64_t id; /* of its future */
    uint32_t size;
    uint16_t function;
    uint16_t flags;
    const void *data; /* `size` bytes, or what the flags say */
};

/* Where a task stands. */
struct rpi_rank {
    int32_t priority;
    bool back; /* it was queued before, or raised: before its equals without cost */
    double cost;
    uint64_t order; /* lower first */
};

/* Entries without rank, each a header, then its argument or the pointer to it, padded to 8.  The
 * header is a frame's (msg.h) of the task's first attempt, with the entry's flags in place of the
 * frame's: entries without flags are frames. A block is so long that malloc maps it by itself: one
 * that is read through goes back to the system, not into a heap whose end is in use. */
struct rpi_block {
    struct rpi_block *next;
    uint32_t used;
    uint32_t unused;
    uint8_t bytes[262144 - 16];
};
#define RPI_TASKQ_HEADER 16

struct rpi_ranked;
struct rpi_futures;

/* Where each task's entry stands, by its future's slot: kept for a queue from its first
 * rpi_taskq_raise on. */
struct rpi_place;
struct rpi_places {
    struct rpi_alloc alloc;
    struct rpi_place *at;
    uint32_t count;
};

struct rpi_taskq {
    struct rpi_alloc alloc;
    struct rpi_places *places; /* NULL: not kept yet */
    struct rpi_block *known; /* the entries before `known_to` in this block, and those of the blocks
                                before it, have their places */
    uint32_t known_to;
    struct rpi_block *head, *tail, *spare;
    uint32_t at;     /* in head */
    uint32_t peeked; /* bytes in head of what was peeked at; 0: it is in the heap */
    struct rpi_ranked *heap;
    size_t ranked, capacity;
    uint64_t tasks; /* a map counts as its items */
    uint64_t bytes; /* of arguments */
};

void rpi_taskq_init(struct rpi_taskq *queue, const struct rpi_alloc *alloc);
/* Calls drop(context, entry) for each entry left. */
void rpi_taskq_fini(struct rpi_taskq *queue,
                    void (*drop)(void *context, const struct rpi_entry *entry), void *context);

/* Copies data unless the flags say that it is pointed at.  Does not count: the owner of the
 * counters knows what a map or a cancelled task weighs.  RP_ERR_NOMEM: nothing changed. */
RP_MUST_USE rp_status rpi_taskq_push(struct rpi_taskq *queue, const struct rpi_entry *entry,
                                     const struct rpi_rank *rank);

/* Writes an entry's header at the block's end, where there is room for it and for `body` bytes
 * more; returns where these go. */
static inline uint8_t *rpi_taskq_put(struct rpi_block *block, uint64_t id, uint16_t function,
                                     uint8_t flags, uint32_t size, uint32_t body)
{
    uint8_t *to = block->bytes + block->used;
    block->used += RPI_TASKQ_HEADER + body;
    rpi_put64(to, id);
    rpi_put16(to + 8, function);
    to[10] = 1;
    to[11] = flags;
    rpi_put32(to + 12, size);
    return to + RPI_TASKQ_HEADER;
}

/* Whether rpi_taskq_push_short is possible. */
static inline bool rpi_taskq_has_room(const struct rpi_taskq *queue)
{
    return queue->tail && sizeof queue->tail->bytes - queue->tail->used >= RPI_TASKQ_HEADER + 8;
}

/* rpi_taskq_push, counted, of nearly every task: no rank, no flags, 8 bytes. */
static inline void rpi_taskq_push_short(struct rpi_taskq *queue, uint64_t id, uint16_t function,
                                        const void *data)
{
    memcpy(rpi_taskq_put(queue->tail, id, function, 0, 8, 8), data, 8);
    queue->tasks++;
    queue->bytes += 8;
}

/* The first entry; its data is valid until rpi_taskq_pop.  false: none. */
bool rpi_taskq_peek(struct rpi_taskq *queue, struct rpi_entry *entry);
/* The rank of what rpi_taskq_peek gave; all 0 if it has none. */
struct rpi_rank rpi_taskq_rank(const struct rpi_taskq *queue);
/* Removes what rpi_taskq_peek gave; no push may come between. */
void rpi_taskq_pop(struct rpi_taskq *queue);

/* Gives a task that is queued here another, higher rank.  `places` are those of all queues of these
 * futures.  A queue's first is a walk through it, and what is pushed without rank is walked once.
 * Not between peek and pop.  RP_ERR_NOMEM: nothing changed. */
RP_MUST_USE rp_status rpi_taskq_raise(struct rpi_taskq *queue, struct rpi_places *places,
                                      const struct rpi_futures *futures, uint64_t id,
                                      const struct rpi_rank *rank);
void rpi_taskq_places_fini(struct rpi_places *places);

/* The entry that rpi_taskq_peek gave and those after it in its block, *bytes in all: entries
 * without flags are frames (msg.h) of a first attempt.  NULL: it is in the heap. */
const uint8_t *rpi_taskq_run(const struct rpi_taskq *queue, uint32_t *bytes);
/* Removes the first `bytes` bytes of these, whole entries. */
static inline void rpi_taskq_skip(struct rpi_taskq *queue, uint32_t bytes)
{
    queue->at += bytes;
}

#endif
