/* Handing out: which worker gets how much now. */
#include "master/deps.h"
#include "master/master.h"
#include "master/pack.h"
#include "master/ready.h"
#include "master/rebalance.h"
#include "master/retry.h"
#include "master/settle.h"
#include "master/shared.h"
#include "master/urgency.h"

#include <float.h>
#include <stdio.h>

static bool fills(const struct rpi_master *master, const struct rpi_taskq *queue)
{
    return queue->bytes + queue->tasks * RPI_FRAME_HEADER >= master->config.batch_limit;
}

static bool came_back(const struct rpi_entry *entry)
{
    const struct rpi_map *map = entry->flags & RPI_ENTRY_MAP ? entry->data : NULL;
    return map ? map->back_count : entry->flags & RPI_ENTRY_SPENT;
}

/* It is unknown how long tasks take that a late worker returned: divides them among the workers
 * that have nothing. */
static void divide(const struct rpi_master *master, struct rpi_grant *grant)
{
    uint64_t idle = master->roster.idle > 0 ? (uint64_t)master->roster.idle : 1;
    uint64_t part = (master->ready.queue.tasks + idle - 1) / idle;
    if (grant->tasks > part)
        grant->tasks = (uint32_t)part;
}

static struct rpi_grant grant_for(const struct rpi_master *master, const struct rpi_taskq *queue,
                                  const struct rpi_entry *entry, int worker)
{
    struct rpi_view view = {
        .mean = master->timing.functions[entry->function].mean,
        .round_trip = master->timing.round_trip,
        .queued = queue->tasks,
        .workers = queue == &master->ready.queue
                       ? (uint32_t)(master->roster.workers - master->roster.lost)
                       : 1,
        .fills = fills(master, queue),
        .in_flight = master->roster.seats[worker].in_flight,
    };
    struct rpi_grant grant = rpi_policy_grant(&view);
    if (master->rebalance.doubtful && queue == &master->ready.queue && came_back(entry))
        divide(master, &grant);
    return grant;
}

bool rpi_master_gathers(struct rpi_master *master)
{
    const struct rpi_taskq *queue = &master->ready.queue;
    struct rpi_entry entry;
    if (!rpi_ready_peek(master, &master->ready.queue, &entry) || entry.flags & RPI_ENTRY_POINTS ||
        master->ready.own_tasks)
        return false;
    double mean = master->timing.functions[entry.function].mean;
    return mean >= 0 && mean < master->timing.round_trip && !fills(master, queue);
}

static const struct rpi_grant one = { .tasks = 1, .seconds = DBL_MAX };

/* Fails the tasks that only a lost worker may run. */
static rp_status fail_own(struct rpi_master *master, struct rpi_ready_own *own)
{
    struct rpi_entry entry;
    struct rpi_settled how = { .status = RP_ERR_LOST, .worker = own->worker };
    char message[RPI_MESSAGE_MAX];
    (void)snprintf(message, sizeof message, "it may run on worker %d (%s) only, which is lost",
                   own->worker, master->roster.seats[own->worker].host);
    how.message = message;
    for (struct rpi_future *future; (future = rpi_ready_peek(master, &own->queue, &entry));) {
        how.function = entry.function;
        rp_status status = rpi_retry_or_fail(master, entry.id, future, &how);
        if (status != RP_OK)
            return status;
        rpi_ready_drop_entry(&entry);
        rpi_ready_count(master, &own->queue, -1, -(int64_t)entry.size);
        rpi_taskq_pop(&own->queue);
    }
    return RP_OK;
}

/* A chunk that goes again has its map's number. */
static uint64_t number_of(const struct rpi_future *future)
{
    return future->flags & RPI_FUTURE_CHUNK ? future->pending.map->number : future->pending.number;
}

/* Whether the first of these tasks goes before the first of the common ones: by rank, then by
 * submission. */
static bool goes_first(struct rpi_master *master, struct rpi_ready_own *own)
{
    struct rpi_entry entry;
    const struct rpi_future *mine = rpi_ready_peek(master, &own->queue, &entry);
    const struct rpi_future *common = rpi_ready_peek(master, &master->ready.queue, &entry);
    if (!mine || !common)
        return mine;
    struct rpi_rank a = rpi_taskq_rank(&own->queue), b = rpi_taskq_rank(&master->ready.queue);
    if (a.priority != b.priority)
        return a.priority > b.priority;
    if (a.cost < b.cost || a.cost > b.cost)
        return a.cost > b.cost;
    if (a.back) /* it stands before its equals, which may be older */
        return true;
    return mine->pending.number < number_of(common);
}

/* Sends a worker its own tasks while it has credit.  (None goes alone: lost once, they fail.)
 * false: memory ran out before all that could go was sent. */
static bool dispatch_own(struct rpi_master *master, struct rpi_ready_own *own, double now)
{
    struct rpi_entry entry;
    if (master->roster.seats[own->worker].lost)
        return fail_own(master, own) == RP_OK;
    while (rpi_roster_has_credit(&master->roster, own->worker) &&
           rpi_ready_peek(master, &own->queue, &entry)) {
        struct rpi_grant grant = grant_for(master, &own->queue, &entry, own->worker);
        bool has_some = master->roster.seats[own->worker].in_flight > 0;
        if (!grant.tasks || (has_some && !goes_first(master, own)))
            return true; /* a batch that it finishes wakes this queue again */
        if (!rpi_pack_send(master, &own->queue, own->worker, grant, now))
            return false;
    }
    return true;
}

/* The queue to serve a worker with credit from: its own, with *grant set for it, if its first task
 * ranks higher and is granted; else the common one, for which *grant is set already. */
static struct rpi_taskq *queue_for(struct rpi_master *master, int worker, struct rpi_grant *grant)
{
    struct rpi_ready_own *own = master->ready.own ? master->ready.own[worker] : NULL;
    struct rpi_entry entry;
    if (!own || !own->queue.tasks || !goes_first(master, own))
        return &master->ready.queue;
    (void)rpi_ready_peek(master, &own->queue, &entry);
    struct rpi_grant mine = grant_for(master, &own->queue, &entry, worker);
    if (!mine.tasks)
        return &master->ready.queue;
    *grant = mine;
    return &own->queue;
}

static void dispatch_awake(struct rpi_master *master, double now)
{
    struct rpi_link again;
    rpi_list_init(&again);
    for (struct rpi_link *link; (link = rpi_list_pop(&master->ready.awake));)
        if (!dispatch_own(master, RPI_MEMBER(link, struct rpi_ready_own, link), now))
            rpi_list_append(&again, link);
    for (struct rpi_link *link; (link = rpi_list_pop(&again));)
        rpi_list_append(&master->ready.awake, link);
}

/* A task that goes alone needs a worker that has nothing. */
static int choose_idle(const struct rpi_master *master, int wanted, int least,
                       struct rpi_grant *grant)
{
    const struct rpi_seat *seats = master->roster.seats;
    *grant = one;
    if (wanted && rpi_roster_has_credit(&master->roster, wanted) && seats[wanted].in_flight == 0)
        return wanted;
    return least && seats[least].in_flight == 0 ? least : 0;
}

/* Where the first task goes now; 0: it waits. */
static int choose(const struct rpi_master *master, const struct rpi_entry *entry,
                  const struct rpi_future *future, struct rpi_grant *grant)
{
    int least = rpi_roster_least(&master->roster);
    int worker = future->options ? rpi_pack_wanted(master, entry, future, least) : least;
    if (entry->flags & RPI_ENTRY_SOLO)
        return choose_idle(master, worker, least, grant);
    if (worker && worker != least && rpi_roster_has_credit(&master->roster, worker)) {
        *grant = grant_for(master, &master->ready.queue, entry, worker);
        if (grant->tasks)
            return worker;
    }
    if (least)
        *grant = grant_for(master, &master->ready.queue, entry, least);
    return least && grant->tasks ? least : 0;
}

/* Returns whether the common queue is empty now. */
static bool dispatch_once(struct rpi_master *master, double now)
{
    struct rpi_entry entry;
    struct rpi_grant grant;
    const struct rpi_future *future;
    while ((future = rpi_ready_peek(master, &master->ready.queue, &entry))) {
        int worker = choose(master, &entry, future, &grant);
        if (!worker)
            break;
        struct rpi_taskq *queue = queue_for(master, worker, &grant);
        if (!rpi_pack_send(master, queue, worker, grant, now))
            break;
    }
    dispatch_awake(master, now);
    return !future;
}

void rpi_master_dispatch(struct rpi_master *master, double now)
{
    bool all, more;
    master->now = now;
    master->rebalance.look_again = -1;
    if (!rpi_list_empty(&master->versions.dying) && !rpi_shared_sweep(master))
        return;
    if (!rpi_list_empty(&master->deps.urgent) && !master->dropped)
        rpi_urgency_spread(master);
    do {
        if (!rpi_list_empty(&master->deps.moved) && !master->dropped)
            rpi_deps_advance(master);
        more = rpi_list_empty(&master->deps.moved);
        all = dispatch_once(master, now);
        /* failing a lost worker's tasks may have moved their dependents, which nothing else may
         * ever wake */
        more = more && !rpi_list_empty(&master->deps.moved) && !master->dropped;
    } while (more);
    if (all && !master->dropped)
        rpi_rebalance_look(master);
}

/* The first task may be one chunk of a map, of a size that the application has chosen. */
static double expected(const struct rpi_master *master, const struct rpi_entry *entry)
{
    double mean = master->timing.functions[entry->function].mean;
    if (!(entry->flags & RPI_ENTRY_MAP))
        return mean;
    const struct rpi_map *map = entry->data;
    return map->request.chunk > 1 ? mean * (double)map->request.chunk : mean;
}

bool rpi_master_dispatch_here(struct rpi_master *master, double most, double now)
{
    struct rpi_entry entry;
    struct rpi_grant grant;
    const struct rpi_future *future = rpi_ready_peek(master, &master->ready.queue, &entry);
    if (!future ||
        entry.flags & (RPI_ENTRY_SOLO | RPI_ENTRY_CHUNK) || /* it may be what ended its worker */
        master->roster.seats[0].in_flight || rpi_pack_wanted(master, &entry, future, 0) ||
        choose(master, &entry, future, &grant))
        return false;
    double seconds = expected(master, &entry);
    if (seconds < 0 || seconds >= most)
        return false;
    grant = rpi_policy_grant_here(seconds);
    return rpi_pack_send(master, &master->ready.queue, 0, grant, now);
}

bool rpi_master_starves(struct rpi_master *master)
{
    struct rpi_entry entry;
    struct rpi_grant grant;
    for (int worker = 1; master->ready.own && worker <= master->roster.workers; worker++) {
        struct rpi_ready_own *own = master->ready.own[worker];
        const struct rpi_seat *seat = &master->roster.seats[worker];
        if (own && seat->in_flight == 0 && rpi_ready_peek(master, &own->queue, &entry))
            return true; /* one that has something is looked at again when it has done it */
    }
    const struct rpi_future *future = rpi_ready_peek(master, &master->ready.queue, &entry);
    return future && choose(master, &entry, future, &grant);
}
