#include "master/ready.h"

#include "base/status.h"

static struct rpi_ready_own *own_of(struct rpi_master *master, int worker)
{
    const struct rpi_alloc *alloc = &master->config.alloc;
    if (!master->ready.own)
        master->ready.own = rpi_zeroed(alloc, ((size_t)master->roster.workers + 1) *
                                                  sizeof(struct rpi_ready_own *));
    if (!master->ready.own)
        return NULL;
    if (!master->ready.own[worker]) {
        struct rpi_ready_own *own = rpi_reserve(alloc, sizeof *own);
        if (!own)
            return NULL;
        rpi_taskq_init(&own->queue, alloc);
        rpi_list_init(&own->link);
        own->worker = worker;
        master->ready.own[worker] = own;
    }
    return master->ready.own[worker];
}

static void wake(struct rpi_master *master, struct rpi_ready_own *own)
{
    rpi_list_remove(&own->link);
    rpi_list_append(&master->ready.awake, &own->link);
}

void rpi_ready_wake(struct rpi_master *master, int worker)
{
    if (master->ready.own && master->ready.own[worker])
        wake(master, master->ready.own[worker]);
}

void rpi_ready_void(struct rpi_master *master, const struct rpi_options *options, uint32_t size)
{
    rpi_ready_count(
        master, options->hard ? &master->ready.own[options->worker]->queue : &master->ready.queue,
        -1, -(int64_t)size);
}

rp_status rpi_ready_enqueue(struct rpi_master *master, const struct rpi_entry *entry,
                            const struct rpi_options *options, bool back, uint64_t order)
{
    const struct rpi_rank rank = {
        .priority = options->priority, .cost = options->cost, .order = order, .back = back
    };
    struct rpi_ready_own *own = options->hard ? own_of(master, options->worker) : NULL;
    if (options->hard && !own)
        return rpi_no_memory("a worker's own queue");
    rp_status status = rpi_taskq_push(own ? &own->queue : &master->ready.queue, entry, &rank);
    if (status != RP_OK)
        return status;
    rpi_ready_count(master, own ? &own->queue : &master->ready.queue, 1, (int64_t)entry->size);
    if (own)
        wake(master, own);
    return RP_OK;
}

static void drop_queue(struct rpi_taskq *queue)
{
    struct rpi_entry entry;
    while (rpi_taskq_peek(queue, &entry)) {
        rpi_ready_drop_entry(&entry);
        rpi_taskq_pop(queue);
    }
    queue->tasks = queue->bytes = 0;
}

void rpi_ready_drop(struct rpi_master *master)
{
    drop_queue(&master->ready.queue);
    for (int worker = 1; master->ready.own && worker <= master->roster.workers; worker++)
        if (master->ready.own[worker])
            drop_queue(&master->ready.own[worker]->queue);
    master->ready.own_tasks = master->ready.own_bytes = 0;
}

static void drop_entry(void *context, const struct rpi_entry *entry)
{
    (void)context;
    rpi_ready_drop_entry(entry);
}

void rpi_ready_fini(struct rpi_master *master)
{
    rpi_taskq_fini(&master->ready.queue, drop_entry, NULL);
    for (int worker = 1; master->ready.own && worker <= master->roster.workers; worker++) {
        if (master->ready.own[worker])
            rpi_taskq_fini(&master->ready.own[worker]->queue, drop_entry, NULL);
        rpi_free(&master->config.alloc, master->ready.own[worker]);
    }
    rpi_free(&master->config.alloc, master->ready.own);
}
