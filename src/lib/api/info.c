/* What a pool tells about itself. */
#include "base/status.h"
#include "pool/callbacks.h"
#include "pool/journaling.h"
#include "pool/pool.h"
#include "pool/respawn.h"
#include "pool/step.h"

size_t rp_workers(const rp_pool *pool)
{
    if (!pool || rpi_call_current())
        return 0;
    return (size_t)pool->master.roster.workers; /* fixed at open */
}

rp_status rp_worker_info_of(rp_pool *pool, int worker, rp_worker_info *info)
{
    rp_status status = rpi_pool_enter(pool, "rp_worker_info_of");
    if (status != RP_OK)
        return status;
    rpi_step_drive_now(pool);
    rpi_callbacks_deliver(pool);
    if (!info || info->struct_size != sizeof *info)
        status = rpi_error(RP_ERR_INVALID,
                           "rp_worker_info_of: set info.struct_size with RP_WORKER_INFO_INIT");
    else if (worker < 0 || worker > pool->master.roster.workers)
        status = rpi_error(RP_ERR_INVALID,
                           "rp_worker_info_of: there is no worker %d, they go from 1 to %d", worker,
                           pool->master.roster.workers);
    if (status == RP_OK) {
        const struct rpi_seat *seat = &pool->master.roster.seats[worker];
        info->worker = worker;
        info->host = seat->host;
        info->pid = seat->pid;
        info->lost = seat->lost;
        info->done = seat->done;
        info->busy_seconds = seat->busy;
    }
    rpi_pool_leave(pool);
    return status;
}

rp_status rp_stats_of(rp_pool *pool, rp_stats *stats)
{
    rp_status status = rpi_pool_enter(pool, "rp_stats_of");
    if (status != RP_OK)
        return status;
    rpi_step_drive_now(pool);
    rpi_callbacks_deliver(pool);
    if (!stats || stats->struct_size != sizeof *stats) {
        status = rpi_error(RP_ERR_INVALID, "rp_stats_of: set stats.struct_size with RP_STATS_INIT");
    } else {
        const struct rpi_master *master = &pool->master;
        const struct rpi_counts *counts = &master->counts;
        *stats = (rp_stats)RP_STATS_INIT;
        stats->submitted = counts->submitted;
        stats->done = counts->done;
        stats->failed = counts->failed;
        stats->retried = counts->retried;
        stats->cancelled = counts->cancelled;
        stats->journaled = rpi_journaling_journaled(pool);
        stats->waiting = master->deps.waiting;
        stats->queued = rpi_master_queued(master);
        stats->sent = counts->submitted - counts->done - counts->failed - counts->cancelled -
                      stats->queued - stats->waiting;
        stats->workers = master->roster.workers - master->roster.lost;
        stats->lost = master->roster.lost;
        stats->respawned = rpi_respawn_count(pool);
        stats->messages_out = counts->messages_out;
        stats->messages_in = counts->messages_in;
        stats->bytes_out = counts->bytes_out;
        stats->bytes_in = counts->bytes_in;
        stats->open_seconds = pool->opening.seconds;
        stats->busy_seconds = counts->busy;
        stats->parked = pool->transport->parked;
        stats->recovery = pool->members.recovery ? RP_ON : RP_OFF;
        stats->caretaker = pool->progress_thread.live ? RP_ON : RP_OFF;
    }
    rpi_pool_leave(pool);
    return status;
}
