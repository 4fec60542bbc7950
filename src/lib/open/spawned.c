#include "open/spawned.h"

#include "base/clock.h"
#include "base/status.h"
#include "open/ranks.h"
#include "pool/pool.h"
#include "transport/mpi/mpi_spawn.h"

rp_status rpi_spawned_parent(const rp_config *config, double began, rp_pool **pool)
{
    MPI_Comm comm;
    struct rpi_ranks ranks = { .began = began, .spawned = true };
    rpi_ranks_prepare(&ranks, config, RP_OK);
    rp_status status = ranks.opening.status;
    if (status == RP_OK)
        status = rpi_mpi_spawn_spawn(RPI_MPI_SPAWN_FIRST, ranks.config.processes,
                                     rpi_ranks_passed() + 1, NULL, ranks.opening.timeout,
                                     &ranks.alloc, &comm);
    if (status == RP_OK)
        return rpi_ranks_open(comm, &ranks, pool);
    rpi_registry_fini(&ranks.registry);
    return status;
}

/* A spawned worker in the open that its parent waits in; `failure`: it cannot serve. */
static rp_status join_family(const rp_config *config, rp_status failure, double began,
                             rp_pool **pool)
{
    MPI_Comm comm;
    struct rpi_ranks ranks = { .began = began, .spawned = true };
    rpi_ranks_prepare(&ranks, config, failure);
    rp_status status = rpi_mpi_spawn_join(&comm);
    if (status == RP_OK)
        return rpi_ranks_open(comm, &ranks, pool);
    rpi_registry_fini(&ranks.registry);
    return status;
}

rp_status rpi_spawned_open(const rp_config *config, double began, rp_pool **pool)
{
    rp_config checked;
    rp_status status = rpi_pool_config_check(config, &checked);
    if (status != RP_OK)
        return status; /* so it was in the parent, which did not count it either */
    if (rpi_ranks_pass() == rpi_mpi_spawn_turn())
        return join_family(config, RP_OK, began, pool);
    rpi_pool_is_elsewhere(RPI_POOL_SERVED);
    *pool = NULL;
    return RP_OK;
}

void rpi_spawned_answer(void)
{
    rp_pool *none = NULL;
    unsigned passed = rpi_ranks_passed(), turn = rpi_mpi_spawn_turn();
    if (passed < turn)
        (void)join_family(
            NULL,
            rpi_error(
                RP_ERR_BROKEN,
                "the program came to its end in a spawned worker after %u calls of rp_open, but "
                "call %u is "
                "the one to serve in: a worker must make the same calls of rp_open as its parent",
                passed, turn),
            rpi_now(), &none);
}
