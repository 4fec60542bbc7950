#include "master/plain.h"

#include "master/inflight.h"
#include "master/ready.h"
#include "base/status.h"

#define FRAME (RPI_FRAME_HEADER + RPI_SMALL_RESULT) /* bytes of a plain result */

rp_status rpi_plain_submit_any(struct rpi_master *master, uint16_t function, const void *arg,
                               uint32_t size, double now, uint64_t *id)
{
    struct rpi_entry entry = { .size = size, .function = function, .data = arg };
    struct rpi_future *future = rpi_future_next(&master->futures, &entry.id);
    if (!future)
        return rpi_no_memory("a future");
    rp_status status = rpi_ready_push_plain(master, &entry);
    if (status != RP_OK) {
        rpi_future_free(&master->futures, entry.id, future);
        return status;
    }
    rpi_plain_begin(master, future, function, size, now);
    *id = entry.id;
    return RP_OK;
}

/* Where the results of tasks with these options go; NULL: not to a stream alone. */
struct way {
    uint32_t options;
    struct rpi_completions *completions;
};

static bool find_way(const struct rpi_master *master, uint32_t number, struct way *way)
{
    const struct rpi_options *options = rpi_options_at(&master->options, number);
    bool alone = !options->on_done && !options->dependent && !options->keyed && !options->epoch;
    *way = (struct way){ .options = number, .completions = alone ? options->completions : NULL };
    return way->completions;
}

/* Nothing but the application waits for it, or nothing but a stream. */
static bool is_simple(const struct rpi_master *master, const struct rpi_future *future,
                      struct way *way)
{
    const unsigned streamed = RPI_FUTURE_STREAMED | RPI_FUTURE_RELEASED;
    if (!future->options)
        return !future->flags;
    return (future->flags & ~(unsigned)RPI_FUTURE_SPAWNED) == streamed &&
           (future->options == way->options ? way->completions != NULL
                                            : find_way(master, future->options, way));
}

static void settle(struct rpi_future *future, double now, double ran, int worker,
                   const uint8_t *result)
{
    double queued = now - future->pending.submitted - ran;
    uint32_t depth = future->pending.depth;
    future->state = RP_DONE;
    future->status = RP_OK;
    memcpy(future->done.small, result, RPI_SMALL_RESULT);
    future->done.size = RPI_SMALL_RESULT;
    future->done.worker = (uint32_t)worker;
    if (future->flags & RPI_FUTURE_SPAWNED)
        future->done.depth = depth;
    else
        future->done.queued = (float)(queued > 0 ? queued : 0);
    future->done.ran = (float)ran;
}

static void tell_stream(struct rpi_master *master, uint64_t id, struct rpi_future *future,
                        struct rpi_completions *completions)
{
    rpi_options_release(&master->options, future->options);
    future->options = 0;
    if (completions && !completions->ordered)
        rpi_idqueue_push(&completions->ready, id);
}

uint32_t rpi_plain_settle(struct rpi_master *master, int worker, struct rpi_reader *reader,
                          double ran, uint16_t *function)
{
    struct way way = { 0 };
    const uint8_t *at = reader->at;
    uint32_t most = (uint32_t)(reader->end - at) / FRAME, count = 0, leaving = 0, batch = 0;
    if (most > reader->left)
        most = reader->left;
    if (!most || master->inputs.count || master->losses.count ||
        !rpi_list_empty(&master->roster.seats[worker].held))
        return 0;
    const uint64_t alike = rpi_get64(at + 8); /* function, attempt, flags, length */
    if (alike >> 24 != (uint64_t)RPI_SMALL_RESULT << 8 ||
        (uint16_t)alike >= master->config.registry->count)
        return 0;
    for (; count < most && rpi_get64(at + 8) == alike; count++, at += FRAME) {
        uint64_t id = rpi_get64(at);
        struct rpi_future *future = rpi_future_of(&master->futures, id);
        if (!rpi_inflight_is_sent(future, (uint8_t)(alike >> 16)) ||
            !is_simple(master, future, &way))
            break;
        if (!leaving || future->pending.batch != batch) {
            if (master->batches.table[future->pending.batch]->peer != worker)
                break;
            if (leaving)
                rpi_inflight_leave(master, batch, leaving, ran * leaving);
            batch = future->pending.batch;
            leaving = 0;
        }
        leaving++;
        settle(future, master->now, ran, worker, at + RPI_FRAME_HEADER);
        if (future->options)
            tell_stream(master, id, future, way.completions);
    }
    if (leaving)
        rpi_inflight_leave(master, batch, leaving, ran * leaving);
    master->unsettled -= count;
    master->counts.done += count;
    reader->at = at;
    reader->left = (uint16_t)(reader->left - count);
    reader->next += count;
    *function = (uint16_t)alike;
    return count;
}
