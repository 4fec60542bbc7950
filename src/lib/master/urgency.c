#include "master/urgency.h"

#include "master/ready.h"

static int32_t priority_of(const struct rpi_master *master, const struct rpi_future *future)
{
    if (future->flags & RPI_FUTURE_MAP)
        return future->pending.map->request.options.priority;
    return rpi_options_at(&master->options, future->options)->priority;
}

/* Whether it may still run, and has a lower priority than that. */
static bool is_less(const struct rpi_master *master, const struct rpi_future *future,
                    int32_t priority)
{
    bool open = future && future->state != RP_DONE && future->state != RPI_STORING;
    return open && priority_of(master, future) < priority;
}

static void list(struct rpi_master *master, struct rpi_deps_dependent *dependent)
{
    rpi_list_remove(&dependent->urgent);
    rpi_list_prepend(&master->deps.urgent, &dependent->urgent);
}

void rpi_urgency_note(struct rpi_master *master, struct rpi_deps_dependent *dependent)
{
    int32_t priority = priority_of(master, rpi_future_of(&master->futures, dependent->id));
    for (uint32_t i = 0; i < dependent->count; i++)
        if (is_less(master, rpi_future_of(&master->futures, dependent->edges[i].input->id),
                    priority)) {
            list(master, dependent);
            return;
        }
}

static rp_status move_up(struct rpi_master *master, uint64_t id, const struct rpi_future *future,
                         int32_t priority)
{
    const struct rpi_options *options = rpi_options_at(&master->options, future->options);
    const struct rpi_rank rank = {
        .priority = priority, .cost = options->cost, .order = future->pending.number, .back = true
    };
    struct rpi_taskq *queue = options->hard ? &master->ready.own[options->worker]->queue
                                            : &master->ready.queue;
    rp_status status = rpi_taskq_raise(queue, &master->ready.places, &master->futures, id, &rank);
    if (status == RP_OK && options->hard)
        rpi_ready_wake(master, options->worker);
    return status;
}

static rp_status raise_task(struct rpi_master *master, uint64_t id, struct rpi_future *future,
                            int32_t priority)
{
    rp_status status = future->state == RP_QUEUED ? move_up(master, id, future, priority) : RP_OK;
    if (status == RP_OK)
        status = rpi_options_raise(&master->options, &future->options, priority);
    if (status == RP_OK && future->state == RP_WAITING)
        list(master, rpi_options_at(&master->options, future->options)->dependent);
    return status;
}

/* Its chunks borrow its options from the table, which stay as they are; chunks that run again have
 * queue entries of their own. */
static rp_status raise_map(struct rpi_master *master, struct rpi_map *map, int32_t priority)
{
    const struct rpi_rank rank = {
        .priority = priority, .cost = map->request.options.cost, .order = map->number, .back = true
    };
    const struct rpi_future *future = rpi_future_of(&master->futures, map->id);
    rp_status status = RP_OK;
    if (future->state == RP_QUEUED)
        status = rpi_taskq_raise(&master->ready.queue, &master->ready.places, &master->futures,
                                 map->id, &rank);
    for (const struct rpi_attempt *attempt = NULL;
         status == RP_OK && (attempt = rpi_attempts_next(&master->attempts, attempt));) {
        const struct rpi_future *chunk = rpi_future_of(&master->futures, attempt->id);
        if (chunk && chunk->flags & RPI_FUTURE_CHUNK && chunk->state == RP_QUEUED &&
            chunk->pending.map == map)
            status = rpi_taskq_raise(&master->ready.queue, &master->ready.places, &master->futures,
                                     attempt->id, &rank);
    }
    if (status == RP_OK)
        map->request.options.priority = priority;
    return status;
}

static rp_status raise_any(struct rpi_master *master, uint64_t id, struct rpi_future *future,
                           int32_t priority)
{
    return future->flags & RPI_FUTURE_MAP ? raise_map(master, future->pending.map, priority)
                                          : raise_task(master, id, future, priority);
}

/* The last one listed goes first: its own inputs follow at once, and a chain that grows ever more
 * urgent is walked only from its end. */
void rpi_urgency_spread(struct rpi_master *master)
{
    for (struct rpi_link *link; (link = rpi_list_pop(&master->deps.urgent));) {
        struct rpi_deps_dependent *dependent = RPI_MEMBER(link, struct rpi_deps_dependent, urgent);
        int32_t priority = priority_of(master, rpi_future_of(&master->futures, dependent->id));
        for (uint32_t i = 0; i < dependent->count; i++) {
            uint64_t id = dependent->edges[i].input->id;
            struct rpi_future *future = rpi_future_of(&master->futures, id);
            if (!is_less(master, future, priority) ||
                raise_any(master, id, future, priority) == RP_OK)
                continue;
            list(master, dependent);
            return;
        }
    }
}
