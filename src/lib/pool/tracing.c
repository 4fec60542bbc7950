#include "pool/tracing.h"

#include "base/status.h"
#include "master/inflight.h"
#include "store/trace.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

/* Whether the trace would be written over a file of the journal's, which is open: that, its log or
 * the log's index. */
static bool is_the_journals(const rp_config *config)
{
    static const char *const ends[] = { "", "-wal", "-shm" };
    struct stat trace, journal;
    if (!config->journal || stat(config->trace, &trace) != 0)
        return false;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        char path[PATH_MAX];
        int length = snprintf(path, sizeof path, "%s%s", config->journal, ends[i]);
        if (length > 0 && length < (int)sizeof path && stat(path, &journal) == 0 &&
            journal.st_dev == trace.st_dev && journal.st_ino == trace.st_ino)
            return true;
    }
    return false;
}

rp_status rpi_tracing_open(const rp_config *config, struct rpi_trace **trace)
{
    struct rpi_alloc alloc = rpi_alloc_of(config->alloc, config->alloc_user);
    struct rpi_log log = { .sink = config->log, .user = config->log_user };
    *trace = NULL;
    if (config->trace && is_the_journals(config))
        return rpi_error(RP_ERR_INVALID,
                         "config.trace, %s, is a file of config.journal's: give it another path",
                         config->trace);
    return config->trace ? rpi_trace_open(&alloc, &log, config->trace, trace) : RP_OK;
}

rp_status rpi_tracing_begin(rp_pool *pool)
{
    const struct rpi_roster *roster = &pool->master.roster;
    rp_status status = rpi_trace_begin(pool->trace, roster->workers, pool->opening.at);
    for (int worker = 0; status == RP_OK && worker <= roster->workers; worker++)
        rpi_trace_name(pool->trace, worker, roster->seats[worker].host, roster->seats[worker].pid);
    return status;
}

/* The future that this result counts for, as the engine will find; NULL: none. */
static const struct rpi_future *awaited(const struct rpi_master *master, int worker,
                                        const struct rpi_frame *frame)
{
    const struct rpi_future *future = rpi_future_of(&master->futures, frame->id);
    if (!future || future->flags & RPI_FUTURE_MAP)
        return NULL;
    return rpi_inflight_is_at(master, future, worker, frame->attempt) ? future : NULL;
}

static rp_status status_of(const struct rpi_frame *frame, const uint8_t *payload)
{
    uint32_t status = frame->flags & RPI_FRAME_FAILED && payload && frame->length >= 4
                          ? rpi_get32(payload)
                          : RP_OK;
    return (rp_status)status;
}

static void draw(rp_pool *pool, int worker, const struct rpi_frame *frame, const uint8_t *payload,
                 double ran)
{
    const struct rpi_master *master = &pool->master;
    const struct rpi_future *future = awaited(master, worker, frame);
    if (!future || frame->function >= master->config.registry->count)
        return;
    bool timed = !(future->flags & (RPI_FUTURE_CHUNK | RPI_FUTURE_SPAWNED));
    double queued = timed ? pool->now - future->pending.submitted - ran : 0;
    struct rpi_traced task = { .function = master->config.registry->names[frame->function],
                               .number = future->pending.number,
                               .items = future->flags & RPI_FUTURE_CHUNK ? future->pending.items
                                                                         : 0,
                               .attempt = frame->attempt,
                               .status = status_of(frame, payload),
                               .queued = queued,
                               .ran = ran };
    rpi_trace_task(pool->trace, worker, &task, pool->now);
}

/* Numbers of tasks that have not ended. */
static void count(rp_pool *pool)
{
    const struct rpi_counts *counts = &pool->master.counts;
    uint64_t queued = rpi_master_queued(&pool->master);
    uint64_t unsettled = counts->submitted - counts->done - counts->failed - counts->cancelled;
    rpi_trace_counts(pool->trace, queued, unsettled - queued - pool->master.deps.waiting,
                     pool->now);
}

void rpi_tracing_batch(rp_pool *pool, int worker, const void *data, size_t size)
{
    struct rpi_reader reader;
    if (rpi_reader_open(&reader, data, size) != RP_OK || reader.kind != RPI_RESULTS)
        return;
    double mean = 1e-9 * (double)reader.word;
    count(pool);
    while (reader.left) {
        struct rpi_frame frame = { 0 };
        if (rpi_reader_frame(&reader, &frame) != RP_OK)
            break;
        if (!(frame.flags & (RPI_FRAME_SPAWNED | RPI_FRAME_LARGE)))
            draw(pool, worker, &frame, frame.payload,
                 frame.flags & RPI_FRAME_RAN ? 1e-9 * (double)frame.ran : mean);
    }
    rpi_trace_drawn(pool->trace, worker, pool->now);
}

void rpi_tracing_arrived(rp_pool *pool, const struct rpi_arrival *arrival)
{
    const struct rpi_frame *frame = &arrival->frame;
    draw(pool, arrival->peer, frame, arrival->buffer,
         frame->flags & RPI_FRAME_RAN ? 1e-9 * (double)frame->ran : 0);
    rpi_trace_drawn(pool->trace, arrival->peer, pool->now);
}

void rpi_tracing_event(rp_pool *pool, int worker, const char *what)
{
    if (pool->trace && worker <= pool->master.roster.workers)
        rpi_trace_event(pool->trace, worker, what, pool->now);
}
