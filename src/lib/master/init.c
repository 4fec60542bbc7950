/* The engine's beginning and end. */
#include "base/status.h"
#include "master/deps.h"
#include "master/inflight.h"
#include "master/keyed.h"
#include "master/map.h"
#include "master/master.h"
#include "master/ready.h"
#include "master/subtasks.h"

#define FIRST_ROUND_TRIP 10e-6 /* seconds, until it is measured */

rp_status rpi_master_init(struct rpi_master *master, const struct rpi_master_config *config)
{
    *master = (struct rpi_master){ .config = *config,
                                   .timing.round_trip = FIRST_ROUND_TRIP,
                                   .rebalance.look_again = -1 };
    rpi_futures_init(&master->futures, &config->alloc, config->first_generation);
    rpi_taskq_init(&master->ready.queue, &config->alloc);
    master->ready.places.alloc = config->alloc;
    rpi_options_init(&master->options, &config->alloc);
    rpi_shared_versions_init(&master->versions, &config->alloc, config->workers);
    rpi_batches_init(&master->batches, &config->alloc, config->batch_limit);
    rpi_list_init(&master->inflight.outgoing);
    rpi_list_init(&master->inflight.incoming);
    rpi_list_init(&master->inflight.arriving);
    rpi_list_init(&master->inflight.aside);
    rpi_list_init(&master->maps);
    rpi_list_init(&master->ready.awake);
    rpi_list_init(&master->deps.all);
    rpi_list_init(&master->keys.due);
    rpi_attempts_init(&master->attempts, &config->alloc);
    rpi_list_init(&master->deps.moved);
    rpi_list_init(&master->deps.urgent);
    rp_status status = rpi_roster_init(&master->roster, &config->alloc, config->workers);
    if (status != RP_OK)
        return status;
    master->timing.functions = rpi_reserve(&config->alloc, config->registry->count *
                                                               sizeof *master->timing.functions);
    if (!master->timing.functions) {
        rpi_roster_fini(&master->roster);
        return rpi_no_memory("the functions' times");
    }
    for (uint32_t i = 0; i < config->registry->count; i++)
        master->timing.functions[i] = (struct rpi_function_time){ .mean = -1 };
    return RP_OK;
}

static void drop_arrivals(struct rpi_master *master, struct rpi_link *list)
{
    for (struct rpi_link *link; (link = rpi_list_first(list));)
        rpi_inflight_drop_arrival(master, RPI_MEMBER(link, struct rpi_arrival, link));
}

void rpi_master_fini(struct rpi_master *master)
{
    rpi_subtasks_fini(master);
    rpi_deps_fini(master);
    rpi_keyed_fini(master);
    drop_arrivals(master, &master->inflight.incoming);
    drop_arrivals(master, &master->inflight.arriving);
    drop_arrivals(master, &master->inflight.aside);
    rpi_ready_fini(master);
    rpi_taskq_places_fini(&master->ready.places);
    for (struct rpi_link *link; (link = rpi_list_first(&master->maps));)
        rpi_map_free(master, RPI_MEMBER(link, struct rpi_map, link));
    rpi_idqueue_fini(&master->called.ids, &master->config.alloc);
    rpi_futures_fini(&master->futures);
    rpi_attempts_fini(&master->attempts);
    rpi_options_fini(&master->options);
    rpi_shared_versions_fini(&master->versions);
    rpi_batches_fini(&master->batches);
    rpi_roster_fini(&master->roster);
    rpi_free(&master->config.alloc, master->timing.functions);
    master->timing.functions = NULL;
}

void rpi_master_drop_queued(struct rpi_master *master)
{
    rpi_ready_drop(master);
    master->dropped = true;
}
