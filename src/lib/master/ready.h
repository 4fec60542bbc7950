/* The queues at rank 0: the common one, and for each worker that has been named one of tasks that
 * only it may run. */
#ifndef RPI_READY_H
#define RPI_READY_H

#include "master/master.h"

/* The tasks that one worker alone may run. */
struct rpi_ready_own {
    struct rpi_taskq queue;
    struct rpi_link link; /* in master->awake, or alone */
    int worker;
};

/* Queues a task where its options want it; `back`: it was queued before.  RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_ready_enqueue(struct rpi_master *master, const struct rpi_entry *entry,
                                        const struct rpi_options *options, bool back,
                                        uint64_t order);
/* Voids a queued task with these options and an argument of `size` bytes: it no longer counts, and
 * its entry is dropped when it comes up. */
void rpi_ready_void(struct rpi_master *master, const struct rpi_options *options, uint32_t size);
/* Call when a worker has credit again: the tasks that only it may run are looked at. */
void rpi_ready_wake(struct rpi_master *master, int worker);
/* Drops all that is queued. */
void rpi_ready_drop(struct rpi_master *master);
void rpi_ready_fini(struct rpi_master *master);

static inline void rpi_ready_count(struct rpi_master *master, struct rpi_taskq *queue,
                                   int64_t tasks, int64_t bytes)
{
    queue->tasks += (uint64_t)tasks;
    queue->bytes += (uint64_t)bytes;
    if (queue != &master->ready.queue) {
        master->ready.own_tasks += (uint64_t)tasks;
        master->ready.own_bytes += (uint64_t)bytes;
    }
}

/* Queues a task without rank, as nearly all are, after its equals. */
RP_MUST_USE static inline rp_status rpi_ready_push_plain(struct rpi_master *master,
                                                         const struct rpi_entry *entry)
{
    static const struct rpi_rank last;
    rp_status status = rpi_taskq_push(&master->ready.queue, entry, &last);
    if (status == RP_OK) {
        master->ready.queue.tasks++;
        master->ready.queue.bytes += entry->size;
    }
    return status;
}

/* Frees the argument of an entry that is taken out. */
static inline void rpi_ready_drop_entry(const struct rpi_entry *entry)
{
    if (entry->flags & RPI_ENTRY_OWNED)
        rpi_buffer_free((void *)(uintptr_t)entry->data);
}

/* The first entry that is still wanted, or NULL. */
static inline struct rpi_future *rpi_ready_peek(struct rpi_master *master, struct rpi_taskq *queue,
                                                struct rpi_entry *entry)
{
    while (rpi_taskq_peek(queue, entry)) {
        struct rpi_future *future = rpi_future_of(&master->futures, entry->id);
        if (future && future->state == RP_QUEUED)
            return future;
        rpi_ready_drop_entry(entry);
        rpi_taskq_pop(queue);
    }
    return NULL;
}

#endif
