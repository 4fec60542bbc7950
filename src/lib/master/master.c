#include "master/master.h"

#include "master/deps.h"
#include "master/keyed.h"
#include "master/ready.h"
#include "master/settle.h"
#include "master/subtasks.h"
#include "base/status.h"

#define FIRST_ROUND_TRIP 10e-6 /* seconds, until it is measured */

rp_status rpi_master_init(struct rpi_master *master, const struct rpi_master_config *config)
{
    *master = (struct rpi_master){ .config = *config,
                                   .round_trip = FIRST_ROUND_TRIP,
                                   .look_again = -1 };
    rpi_futures_init(&master->futures, &config->alloc, config->first_generation);
    rpi_taskq_init(&master->queue, &config->alloc);
    master->places.alloc = config->alloc;
    rpi_options_init(&master->options, &config->alloc);
    rpi_shared_versions_init(&master->versions, &config->alloc, config->workers);
    rpi_batches_init(&master->batches, &config->alloc, config->batch_limit);
    rpi_list_init(&master->outgoing);
    rpi_list_init(&master->incoming);
    rpi_list_init(&master->arriving);
    rpi_list_init(&master->aside);
    rpi_list_init(&master->maps);
    rpi_list_init(&master->awake);
    rpi_list_init(&master->inputs.all);
    rpi_list_init(&master->keys.due);
    rpi_attempts_init(&master->losses, &config->alloc);
    rpi_list_init(&master->inputs.moved);
    rpi_list_init(&master->inputs.urgent);
    rp_status status = rpi_roster_init(&master->roster, &config->alloc, config->workers);
    if (status != RP_OK)
        return status;
    master->times = rpi_reserve(&config->alloc, config->registry->count * sizeof *master->times);
    if (!master->times) {
        rpi_roster_fini(&master->roster);
        return rpi_no_memory("the functions' times");
    }
    for (uint32_t i = 0; i < config->registry->count; i++)
        master->times[i] = (struct rpi_function_time){ .mean = -1 };
    return RP_OK;
}

static void drop_arrivals(struct rpi_master *master, struct rpi_link *list)
{
    for (struct rpi_link *link; (link = rpi_list_first(list));)
        rpi_arrival_free(master, RPI_MEMBER(link, struct rpi_arrival, link));
}

void rpi_master_fini(struct rpi_master *master)
{
    rpi_subtasks_fini(master);
    rpi_deps_fini(master);
    rpi_keyed_fini(master);
    drop_arrivals(master, &master->incoming);
    drop_arrivals(master, &master->arriving);
    drop_arrivals(master, &master->aside);
    rpi_ready_fini(master);
    rpi_places_fini(&master->places);
    for (struct rpi_link *link; (link = rpi_list_first(&master->maps));)
        rpi_map_free(master, RPI_MEMBER(link, struct rpi_map, link));
    rpi_idqueue_fini(&master->called, &master->config.alloc);
    rpi_futures_fini(&master->futures);
    rpi_attempts_fini(&master->losses);
    rpi_options_fini(&master->options);
    rpi_shared_versions_fini(&master->versions);
    rpi_batches_fini(&master->batches);
    rpi_roster_fini(&master->roster);
    rpi_free(&master->config.alloc, master->times);
    master->times = NULL;
}

/* ---- effects */

void rpi_master_send(struct rpi_master *master, struct rpi_batch *batch)
{
    rpi_list_append(&master->outgoing, &batch->link);
    master->counts.messages_out++;
    master->counts.bytes_out += batch->size;
    for (uint16_t i = 0; i < batch->piece_count; i++)
        master->counts.bytes_out += batch->pieces[i].size;
}

struct rpi_batch *rpi_master_outgoing(struct rpi_master *master)
{
    struct rpi_link *link = rpi_list_pop(&master->outgoing);
    if (!link)
        return NULL;
    struct rpi_batch *batch = RPI_MEMBER(link, struct rpi_batch, link);
    if (master->roster.seats[batch->peer].cancels == batch)
        master->roster.seats[batch->peer].cancels = NULL;
    batch->handed = true;
    return batch;
}

void rpi_master_unsent(struct rpi_master *master, struct rpi_batch *batch)
{
    rpi_list_prepend(&master->outgoing, &batch->link);
    batch->handed = batch->begun > 0;
}

void rpi_master_unposted(struct rpi_master *master, struct rpi_arrival *arrival)
{
    rpi_list_remove(&arrival->link);
    rpi_list_prepend(&master->incoming, &arrival->link);
}

struct rpi_arrival *rpi_master_incoming(struct rpi_master *master)
{
    struct rpi_link *link = rpi_list_pop(&master->incoming);
    if (!link)
        return NULL;
    rpi_list_append(&master->arriving, link);
    return RPI_MEMBER(link, struct rpi_arrival, link);
}

void rpi_master_drop_queued(struct rpi_master *master)
{
    rpi_ready_drop(master);
    master->dropped = true;
}

/* ---- futures */

struct rpi_future *rpi_master_future(const struct rpi_master *master, uint64_t id)
{
    struct rpi_future *future = rpi_future_of(&master->futures, id);
    return future && !(future->flags & RPI_FUTURE_RELEASED) ? future : NULL;
}

void rpi_master_forget_options(struct rpi_master *master, struct rpi_future *future)
{
    uint64_t epoch = rpi_options_at(&master->options, future->options)->epoch;
    rpi_options_release(&master->options, future->options);
    future->options = 0;
    if (epoch)
        rpi_shared_versions_release(&master->versions, epoch);
}

bool rpi_master_needs(const struct rpi_master *master, uint64_t id, const struct rpi_future *future)
{
    return future->options || future->flags & RPI_FUTURE_STREAMED ||
           rpi_deps_hold(&master->inputs, id);
}

void rpi_master_release(struct rpi_master *master, uint64_t id, struct rpi_future *future)
{
    if (future->state == RP_DONE && !rpi_master_needs(master, id, future))
        rpi_future_free(&master->futures, id, future);
    else
        future->flags |= RPI_FUTURE_RELEASED;
}

void rpi_master_outcome(const struct rpi_master *master, const struct rpi_future *future,
                        rp_outcome *outcome)
{
    const struct rpi_failure *failure = future->status != RP_OK ? future->done.data : NULL;
    outcome->status = (rp_status)future->status;
    outcome->code = failure ? failure->code : 0;
    outcome->message = failure ? failure->message : "";
    outcome->size = failure ? 0 : future->done.size;
    outcome->data = NULL;
    if (outcome->size)
        outcome->data = future->flags & RPI_FUTURE_BUFFER ? future->done.data : future->done.small;
    outcome->worker = (int)future->done.worker;
    outcome->host = master->roster.seats[future->done.worker].host;
    outcome->attempts = future->attempts;
    outcome->queued = future->flags & RPI_FUTURE_SPAWNED ? 0 : (double)future->done.queued;
    outcome->ran = (double)future->done.ran;
}
