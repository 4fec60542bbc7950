#include "master/pack.h"

#include "master/deps.h"
#include "master/inflight.h"
#include "master/map.h"
#include "master/ready.h"
#include "master/shared.h"
#include "tables/completions.h"

/* A batch while it is filled. */
struct filling {
    struct rpi_batch *batch;
    struct rpi_taskq *queue; /* that it is filled from */
    int worker;
    struct rpi_writer writer;
    struct rpi_grant grant;
    uint64_t epoch;   /* of its tasks */
    uint64_t base;    /* the first frame's number */
    uint64_t tasks;   /* a map's items each */
    bool alone;       /* what is in it goes alone */
    double predicted; /* seconds */
};

/* The number goes into the frame only where counting from the one before would be wrong. */
static void number_frame(struct filling *filling, struct rpi_frame *frame, uint64_t number)
{
    if (filling->writer.count == 0)
        filling->base = number;
    else if (number != filling->writer.next)
        frame->flags |= RPI_FRAME_NUMBER;
    frame->number = number;
    filling->writer.next = number + 1;
}

static bool fits(const struct filling *filling, uint8_t flags, uint32_t length)
{
    if (flags & RPI_FRAME_LARGE && filling->batch->piece_count == RPI_BATCH_PIECES)
        return false;
    return rpi_writer_fits(&filling->writer, rpi_frame_size(flags | RPI_FRAME_NUMBER, length));
}

static void put_frame(struct filling *filling, const struct rpi_frame *frame, const void *data,
                      void *owned)
{
    uint8_t *at = rpi_writer_frame(&filling->writer, frame);
    if (!(frame->flags & RPI_FRAME_LARGE)) {
        rpi_wire_put_payload(at, data, frame->length);
        return;
    }
    struct rpi_batch *batch = filling->batch;
    batch->pieces[batch->piece_count++] = (struct rpi_piece){ .data = data,
                                                              .size = frame->length,
                                                              .owned = owned };
}

static void mark_sent(struct filling *filling, struct rpi_future *future)
{
    future->state = RP_SENT;
    future->pending.batch = filling->batch->index;
    filling->batch->remaining++;
}

/* What a worker must know of a task's options. */
static void tell_options(const struct rpi_master *master, struct rpi_frame *frame,
                         const struct rpi_future *future)
{
    const struct rpi_options *options = rpi_options_at(&master->options, future->options);
    if (options->completions && !options->completions->ordered)
        frame->flags |= RPI_FRAME_MAY_SPAWN;
    if (options->time_limit > 0) {
        frame->flags |= RPI_FRAME_RAN;
        frame->ran = rpi_wire_limit_ns(options->time_limit);
    }
}

static bool send_inputs(struct rpi_master *master, const struct rpi_future *future, int worker)
{
    const struct rpi_deps_dependent *dependent =
        rpi_options_at(&master->options, future->options)->dependent;
    return !dependent || rpi_deps_send(master, dependent, worker);
}

static bool put_task(struct rpi_master *master, struct filling *filling,
                     const struct rpi_entry *entry, struct rpi_future *future)
{
    struct rpi_frame frame = { .id = entry->id,
                               .function = entry->function,
                               .length = entry->size };
    if (entry->flags & RPI_ENTRY_LARGE)
        frame.flags = RPI_FRAME_LARGE;
    if (future->options)
        tell_options(master, &frame, future);
    if (!fits(filling, frame.flags, frame.length))
        return false;
    if (future->options && !send_inputs(master, future, filling->worker))
        return false;
    frame.attempt = ++future->attempts;
    number_frame(filling, &frame, future->pending.number);
    void *owned = entry->flags & RPI_ENTRY_OWNED ? (void *)(uintptr_t)entry->data : NULL;
    put_frame(filling, &frame, entry->data, owned);
    mark_sent(filling, future);
    filling->tasks++;
    rpi_taskq_pop(filling->queue);
    rpi_ready_count(master, filling->queue, -1, -(int64_t)entry->size);
    return true;
}

/* Whether tasks with these options may go anywhere at any time, and so together: their worker must
 * know no more of the options than *flag. */
static bool goes_along(const struct rpi_options *options, uint8_t *flag)
{
    *flag = options->completions && !options->completions->ordered ? RPI_FRAME_MAY_SPAWN : 0;
    return !options->worker && !options->dependent && !(options->time_limit > 0) && !options->epoch;
}

/* Tasks that go the first time, of one function, size and options (by number), lie in the queue as
 * they lie in a batch: as many as may go are marked, then copied together.  Returns whether any
 * went. */
static bool put_run(struct rpi_master *master, struct filling *filling, double mean,
                    uint32_t options)
{
    uint32_t room, used = 0, count = 0;
    uint8_t flag;
    const uint8_t *run = rpi_taskq_run(filling->queue, &room);
    struct rpi_writer *writer = &filling->writer;
    if (!run || filling->epoch || !goes_along(rpi_options_at(&master->options, options), &flag))
        return false;
    const uint64_t alike = rpi_get64(run + 8); /* function, attempt, flags, length */
    const uint32_t length = (uint32_t)(alike >> 32), size = rpi_frame_size(0, length);
    uint64_t most = filling->grant.tasks - filling->tasks;
    if (most > (uint64_t)(UINT16_MAX - writer->count))
        most = UINT16_MAX - writer->count;
    if (room > writer->limit - writer->used)
        room = writer->limit - writer->used;
    for (; count < most && size <= room - used && rpi_get64(run + used + 8) == alike;
         count++, used += size) {
        struct rpi_future *future = rpi_future_of(&master->futures, rpi_get64(run + used));
        bool first = writer->count == 0 && count == 0;
        if (!future || future->state != RP_QUEUED || future->options != options ||
            future->attempts ||
            (!first && (future->pending.number != writer->next ||
                        filling->predicted + mean > filling->grant.seconds)))
            break;
        if (first)
            filling->base = future->pending.number;
        writer->next = future->pending.number + 1;
        filling->predicted += mean;
        future->attempts = 1;
        future->state = RP_SENT;
        future->pending.batch = filling->batch->index;
    }
    if (!count)
        return false;
    memcpy(writer->base + writer->used, run, used);
    for (uint32_t i = 0; flag && i < used; i += size)
        writer->base[writer->used + i + 11] = flag;
    writer->used += used;
    writer->count = (uint16_t)(writer->count + count);
    filling->batch->remaining += count;
    filling->tasks += count;
    rpi_taskq_skip(filling->queue, used);
    rpi_ready_count(master, filling->queue, -(int64_t)count, -(int64_t)count * length);
    return true;
}

static uint32_t chunk_room(const struct filling *filling)
{
    return filling->writer.limit - filling->writer.used -
           rpi_frame_size(RPI_FRAME_CHUNK | RPI_FRAME_NUMBER | RPI_FRAME_RAN, 0);
}

static bool chunk_fits(const struct filling *filling)
{
    return fits(filling, RPI_FRAME_CHUNK | RPI_FRAME_LARGE | RPI_FRAME_RAN, 0);
}

/* The frame of `chunk`, whose future says which items it has.  false: not into this batch. */
static bool put_items(struct rpi_master *master, struct filling *filling, uint64_t id,
                      struct rpi_future *chunk)
{
    const struct rpi_map *map = chunk->pending.map;
    const struct rpi_map_request *request = &map->request;
    uint64_t first = chunk->pending.number;
    struct rpi_frame frame = { .id = id, .function = request->function, .flags = RPI_FRAME_CHUNK };
    frame.chunk = (struct rpi_chunk){ .count = chunk->pending.items,
                                      .in_size = request->in_size,
                                      .out_size = request->out_size,
                                      .first = first };
    frame.length = frame.chunk.count * request->in_size;
    if (frame.length > (chunk_room(filling) & ~7U)) {
        if (filling->tasks > 0)
            return false; /* in a batch of its own there is more room, or it goes as a piece */
        frame.flags |= RPI_FRAME_LARGE;
    }
    tell_options(master, &frame, chunk);
    frame.attempt = ++chunk->attempts;
    number_frame(filling, &frame, map->number);
    put_frame(filling, &frame,
              request->in_size ? (const uint8_t *)request->in + first * request->in_size : NULL,
              NULL);
    filling->tasks += frame.chunk.count;
    filling->batch->divisible = filling->batch->divisible || frame.chunk.count > 1;
    rpi_ready_count(master, filling->queue, -(int64_t)frame.chunk.count, -(int64_t)frame.length);
    mark_sent(filling, chunk);
    return true;
}

/* Cuts the next chunk from a map, which stays at the head of the queue until its last item is
 * handed out. */
static bool put_chunk(struct rpi_master *master, struct filling *filling,
                      const struct rpi_entry *entry)
{
    struct rpi_map *map = (struct rpi_map *)(uintptr_t)entry->data;
    uint64_t id;
    if (!chunk_fits(filling))
        return false;
    uint64_t items = rpi_map_portion(map, chunk_room(filling) & ~7U,
                                     rpi_wire_inline_limit(filling->writer.limit),
                                     filling->grant.tasks - filling->tasks);
    uint64_t run, first = rpi_map_first(map, &run);
    struct rpi_future *chunk = rpi_map_new_chunk(master, map, first, items, &id);
    if (!chunk)
        return false;
    if (!put_items(master, filling, id, chunk)) {
        rpi_future_free(&master->futures, id, chunk);
        return false;
    }
    rpi_map_take(map, items);
    if (!rpi_map_waiting(map)) {
        rpi_future_of(&master->futures, map->id)->state = RP_SENT; /* it may be released */
        rpi_taskq_pop(&master->ready.queue);
    }
    return true;
}

/* Cuts a piece from a chunk that comes again; it is lost as often as that. */
static struct rpi_future *cut_piece(struct rpi_master *master, const struct rpi_attempt *whole,
                                    const struct rpi_future *chunk, uint64_t *id)
{
    struct rpi_future *piece = rpi_map_new_chunk(master, chunk->pending.map, chunk->pending.number,
                                                 whole->piece, id);
    if (!piece)
        return NULL;
    struct rpi_attempt *attempt = rpi_attempts_of(&master->attempts, *id);
    if (!attempt) {
        rpi_future_free(&master->futures, *id, piece);
        return NULL;
    }
    piece->attempts = chunk->attempts;
    attempt->times = whole->times;
    memcpy(attempt->workers, whole->workers, sizeof attempt->workers);
    return piece;
}

/* A chunk that comes again: whole, or in pieces, and then it stays at the head of the queue until
 * its last item is handed out. */
static bool put_chunk_again(struct rpi_master *master, struct filling *filling,
                            const struct rpi_entry *entry, struct rpi_future *chunk)
{
    const struct rpi_attempt *attempt = rpi_attempts_find(&master->attempts, entry->id);
    if (!chunk_fits(filling))
        return false;
    if (!attempt->piece || attempt->piece >= chunk->pending.items) {
        if (!put_items(master, filling, entry->id, chunk))
            return false;
        rpi_taskq_pop(filling->queue);
        return true;
    }
    uint64_t id;
    struct rpi_future *piece = cut_piece(master, attempt, chunk, &id);
    if (!piece)
        return false;
    chunk->pending.number += piece->pending.items;
    chunk->pending.items -= piece->pending.items;
    return put_items(master, filling, id, piece); /* alone, so that it fits in any way */
}

int rpi_pack_wanted(const struct rpi_master *master, const struct rpi_entry *entry,
                    const struct rpi_future *future, int otherwise)
{
    int worker = rpi_options_at(&master->options, future->options)->worker;
    if (!worker || entry->flags & RPI_ENTRY_SPENT || master->roster.seats[worker].lost)
        return otherwise;
    return worker;
}

static uint64_t epoch_of(const struct rpi_master *master, const struct rpi_future *future)
{
    return future->options ? rpi_options_at(&master->options, future->options)->epoch : 0;
}

/* Which epoch the batch is for, and what its worker must know of that.  false: no memory. */
static bool begin_epoch(struct rpi_master *master, struct filling *filling)
{
    struct rpi_entry entry;
    const struct rpi_future *future = rpi_ready_peek(master, filling->queue, &entry);
    filling->epoch = future ? epoch_of(master, future) : 0;
    if (!filling->epoch)
        return true;
    if (!rpi_shared_tell(master, filling->worker, filling->epoch))
        return false;
    rpi_writer_epoch(&filling->writer, filling->epoch);
    return true;
}

static inline bool put(struct rpi_master *master, struct filling *filling,
                       const struct rpi_entry *entry, struct rpi_future *future)
{
    if (!(entry->flags & (RPI_ENTRY_MAP | RPI_ENTRY_CHUNK)))
        return put_task(master, filling, entry, future);
    return entry->flags & RPI_ENTRY_MAP ? put_chunk(master, filling, entry)
                                        : put_chunk_again(master, filling, entry, future);
}

static void fill(struct rpi_master *master, struct filling *filling)
{
    struct rpi_entry entry;
    for (struct rpi_future *future; filling->tasks < filling->grant.tasks &&
                                    (future = rpi_ready_peek(master, filling->queue, &entry));) {
        double mean = master->timing.functions[entry.function].mean;
        uint64_t before = filling->tasks;
        if (before > 0 && (mean < 0 || filling->predicted + mean > filling->grant.seconds))
            break;
        if (before > 0 &&
            (entry.flags & RPI_ENTRY_SOLO || (filling->worker == 0 && entry.flags & RPI_ENTRY_MAP)))
            break; /* it goes alone, or its chunk may be long */
        if (before > 0 && future->options &&
            rpi_pack_wanted(master, &entry, future, filling->worker) != filling->worker)
            break;
        if (before > 0 && epoch_of(master, future) != filling->epoch)
            break;
        if (mean >= 0 && !entry.flags && put_run(master, filling, mean, future->options))
            continue;
        if (!put(master, filling, &entry, future))
            break;
        filling->alone = entry.flags & RPI_ENTRY_SOLO;
        if (filling->alone)
            break;
        filling->predicted += (double)(filling->tasks - before) * mean;
    }
}

bool rpi_pack_send(struct rpi_master *master, struct rpi_taskq *queue, int worker,
                   struct rpi_grant grant, double now)
{
    struct filling filling = {
        .batch = rpi_batch_get(&master->batches), .grant = grant, .queue = queue, .worker = worker
    };
    struct rpi_batch *batch = filling.batch;
    if (!batch)
        return false; /* no memory: the tasks stay queued */
    rpi_writer_open(&filling.writer, batch->bytes, master->batches.limit);
    if (!master->versions.last || begin_epoch(master, &filling))
        fill(master, &filling);
    if (filling.writer.count == 0) {
        rpi_batch_put(&master->batches, batch);
        return false;
    }
    rpi_writer_close(&filling.writer, filling.epoch ? RPI_SHARED_TASKS : RPI_TASKS, filling.base);
    batch->size = filling.writer.used;
    batch->peer = worker;
    batch->sends = (uint16_t)(1 + batch->piece_count);
    batch->to_idle = worker && master->roster.seats[worker].in_flight == 0;
    batch->sent_at = now;
    batch->movable = queue == &master->ready.queue && !filling.alone &&
                     (worker || batch->divisible);
    rpi_roster_sent(&master->roster, worker);
    if (filling.alone)
        rpi_roster_alone(&master->roster, worker);
    if (batch->movable)
        rpi_roster_load(&master->roster, worker, batch->remaining + batch->divisible, now,
                        filling.predicted);
    rpi_inflight_send(master, batch);
    return true;
}
