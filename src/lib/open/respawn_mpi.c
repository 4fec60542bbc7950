#include "open/respawn_mpi.h"

#include "base/list.h"
#include "base/status.h"
#include "open/oob_setup.h"
#include "pool/pool.h"
#include "transport/mpi/mpi_runtime.h"
#include "transport/mpi/mpi_spawn.h"
#include "transport/mpi/transport_mpi.h"

#include <string.h>

struct mpi_heirs {
    struct rpi_respawn base;
    /* what one is told */
    unsigned turn;
    double timeout, beat, host_timeout;
    uint64_t seed;
    uint32_t batch_limit;
    uint16_t initializer;
    rp_bytes init_arg; /* a copy */
    struct rpi_isolation isolation;
    bool attended;
};

static const struct mpi_heirs *heirs_of(struct rpi_respawn *base)
{
    return RPI_MEMBER(base, struct mpi_heirs, base);
}

/* The talk of an opening, with this one rank. */
static rp_status meet(const struct mpi_heirs *respawn, struct rpi_respawn_errand *errand)
{
    char hosts[2 * RPI_HOST_BYTES] = "";
    int64_t pids[2] = { 0 };
    struct rpi_handshake opening = { .alloc = respawn->base.alloc,
                                     .log = respawn->base.log,
                                     .registry = respawn->base.registry,
                                     .transport = errand->transport,
                                     .timeout = respawn->timeout,
                                     .hasty = true,
                                     .shift = errand->worker - 1,
                                     .beside = errand->beside,
                                     .batch_limit = respawn->batch_limit,
                                     .hosts = hosts,
                                     .pids = pids,
                                     .seed = respawn->seed,
                                     .initializer = respawn->initializer,
                                     .init_arg = respawn->init_arg,
                                     .isolation = respawn->isolation,
                                     .attended = respawn->attended };
    struct rpi_oob_setup_mpi side;
    rpi_oob_setup_prepare(&side, &opening);
    side.foreign = true;
    side.beat = respawn->beat;
    side.host_timeout = respawn->host_timeout;
    rp_status status = rpi_handshake_master(&opening);
    errand->pid = pids[1];
    memcpy(errand->came_to, hosts + RPI_HOST_BYTES, RPI_HOST_BYTES);
    if (status != RP_OK)
        errand->transport->ops->close(errand->transport, opening.together);
    return status;
}

static rp_status fetch(struct rpi_respawn *base, struct rpi_respawn_errand *errand)
{
    const struct mpi_heirs *respawn = heirs_of(base);
    const char *host = errand->abroad ? errand->host : NULL;
    MPI_Comm ranks;
    rp_status status = rpi_mpi_spawn_spawn(RPI_MPI_SPAWN_HEIR, 1, respawn->turn, host,
                                           respawn->timeout, &base->alloc, &ranks);
    errand->stuck = status == RP_ERR_BROKEN;
    if (status != RP_OK)
        return status;
    status = rpi_transport_mpi_open(ranks, respawn->timeout, &base->alloc, &errand->transport);
    (void)MPI_Comm_free(&ranks);
    return status == RP_OK ? meet(respawn, errand) : status;
}

static void release(struct rpi_respawn *base)
{
    struct mpi_heirs *respawn = RPI_MEMBER(base, struct mpi_heirs, base);
    struct rpi_alloc alloc = base->alloc;
    rpi_free(&alloc, (void *)(uintptr_t)respawn->init_arg.data);
    rpi_free(&alloc, respawn);
}

static const struct rpi_respawn_ops ops = { .fetch = fetch,
                                            .adopt = rpi_transport_mpi_adopt,
                                            .forsake = rpi_mpi_runtime_give_up,
                                            .release = release };

/* NULL: they can come. */
static const char *obstacle(void)
{
    if (!rpi_mpi_runtime_recovers())
        return "the launcher may end the whole job with its first lost rank: it needs rankpool "
               "launch, or mpirun "
               "--enable-recovery";
    if (!rpi_mpi_runtime_threads())
        return "it needs MPI_THREAD_MULTIPLE, which this MPI was not initialised with";
    return NULL;
}

static rp_status copy_argument(struct mpi_heirs *respawn, rp_bytes from)
{
    if (from.size == 0)
        return RP_OK;
    void *to = rpi_reserve(&respawn->base.alloc, from.size);
    if (!to)
        return rpi_no_memory("a copy of config.init_arg, for workers in the places of lost ones");
    memcpy(to, from.data, from.size);
    respawn->init_arg = (rp_bytes){ .data = to, .size = from.size };
    return RP_OK;
}

/* The pool's time for a lost host, or mpirun's, which rankpool launch has told the ranks, and a
 * second. */
static double doubt_of(const rp_config *config)
{
    rp_config launched;
    rp_status status = rpi_pool_config_check(NULL, &launched);
    (void)status; /* it was checked */
    return 1 + (config->host_timeout > launched.host_timeout ? config->host_timeout
                                                             : launched.host_timeout);
}

rp_status rpi_respawn_mpi_make(const rp_config *config, const struct rpi_handshake *opening,
                               unsigned turn, double beat, struct rpi_respawn **respawn)
{
    *respawn = NULL;
    if (config->respawn == 0)
        return RP_OK;
    if (obstacle()) {
        rpi_say(&opening->log, RP_LOG_WARNING, "config.respawn has no effect: %s", obstacle());
        return RP_OK;
    }
    struct mpi_heirs *new = rpi_zeroed(&opening->alloc, sizeof *new);
    if (!new)
        return rpi_no_memory("a pool");
    *new = (struct mpi_heirs){ .turn = turn,
                               .timeout = opening->timeout,
                               .beat = beat,
                               .host_timeout = config->host_timeout,
                               .seed = opening->seed,
                               .batch_limit = opening->batch_limit,
                               .initializer = opening->initializer,
                               .isolation = opening->isolation,
                               .attended = opening->attended };
    new->base = (struct rpi_respawn){ .ops = &ops,
                                      .alloc = opening->alloc,
                                      .log = opening->log,
                                      .doubt = doubt_of(config),
                                      .left = config->respawn };
    rp_status status = copy_argument(new, opening->init_arg);
    if (status == RP_OK)
        *respawn = &new->base;
    else
        rpi_respawn_free(&new->base);
    return status;
}
