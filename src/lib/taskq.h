/* The ready queue: priority first, then longest cost, then order of submission.
 *
 * Tasks without rank (priority 0, cost 0: nearly all) stand one behind the other in blocks of bytes that never move; the others are
 * in a heap.  At priority 0 the heap goes first: what it holds there is costly, or was queued before (it came back). */
#ifndef RPI_TASKQ_H
#define RPI_TASKQ_H

#include "alloc.h"

#include <string.h>

enum rpi_entry_flag {
    RPI_ENTRY_LARGE = 1, /* data is a buffer of its own */
    RPI_ENTRY_OWNED = 2, /* an rpi_buffer, freed with the task; else borrowed */
    RPI_ENTRY_MAP = 4,   /* data is a struct rpi_map with items still to hand out */
    RPI_ENTRY_CHUNK = 8, /* data is a map whose chunk `id` comes again */
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
    bool back; /* it was queued before: before its equals without cost */
    double cost;
    uint64_t order; /* lower first */
};

struct rpi_block;
struct rpi_ranked;

struct rpi_taskq {
    struct rpi_alloc alloc;
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
void rpi_taskq_fini(struct rpi_taskq *queue, void (*drop)(void *context, const struct rpi_entry *entry), void *context);

/* Copies data unless the flags say that it is pointed at.  Does not count: the owner of the counters knows what a map or a
 * cancelled task weighs.  RP_ERR_NOMEM: nothing changed. */
RP_MUST_USE rp_status rpi_taskq_push(struct rpi_taskq *queue, const struct rpi_entry *entry, const struct rpi_rank *rank);

/* The first entry; its data is valid until rpi_taskq_pop.  false: none. */
bool rpi_taskq_peek(struct rpi_taskq *queue, struct rpi_entry *entry);
/* Removes what rpi_taskq_peek gave; no push may come between. */
void rpi_taskq_pop(struct rpi_taskq *queue);

#endif
