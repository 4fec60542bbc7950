/* Maps at rank 0: cutting chunks and scattering their results. */
#include "master/map.h"

#include "base/status.h"
#include "master/inflight.h"
#include "master/settle.h"

#include <stdio.h>

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t rpi_map_portion(const struct rpi_map *map, uint32_t room, uint32_t result_room,
                         uint64_t tasks)
{
    const struct rpi_map_request *request = &map->request;
    uint64_t left;
    (void)rpi_map_first(map, &left);
    uint64_t most = UINT32_MAX; /* by what a payload's length can say */
    if (request->chunk) {
        if (!map->back_count || tasks > request->chunk)
            tasks = request->chunk;
        if (request->in_size)
            most = (UINT32_MAX - 64U) / request->in_size;
        if (request->out_size)
            most = least(most, (UINT32_MAX - 64U) / request->out_size);
    } else {
        if (request->in_size)
            most = room / request->in_size;
        if (request->out_size)
            most = least(most, result_room / request->out_size);
    }
    uint64_t items = least(least(left, tasks), most);
    return items ? items : 1;
}

static void note_failure(struct rpi_map *map, const struct rpi_item_failure *failure,
                         uint64_t index, int worker)
{
    map->failures++;
    map->cancelled += failure->status == RP_ERR_CANCELLED;
    if (map->request.statuses)
        map->request.statuses[index] = failure->status;
    if (map->failures > 1 && index > map->failed)
        return;
    map->failed = index;
    map->status = failure->status;
    map->code = failure->code;
    map->worker = worker;
    memcpy(map->message, failure->message, failure->length);
    map->message[failure->length] = '\0';
}

/* Copies results [from, to) of the chunk to their places. */
static void scatter(struct rpi_map *map, const struct rpi_chunk *chunk, const uint8_t *results,
                    uint64_t from, uint64_t to)
{
    size_t size = map->request.out_size;
    if (size && to > from)
        memcpy((uint8_t *)map->request.out + (chunk->first + from) * size, results + from * size,
               (to - from) * size);
    if (map->request.statuses)
        for (uint64_t i = from; i < to; i++)
            map->request.statuses[chunk->first + i] = RP_OK;
}

static rp_status scatter_around_failures(struct rpi_map *map, const struct rpi_frame *frame,
                                         const uint8_t *payload, int worker)
{
    const struct rpi_chunk *chunk = &frame->chunk;
    const uint8_t *end = payload + frame->length;
    const uint8_t *at = payload + (((uint64_t)chunk->count * chunk->out_size + 7U) & ~(uint64_t)7);
    uint64_t next = 0;
    for (uint32_t i = 0; i < frame->failures; i++) {
        struct rpi_item_failure failure;
        rp_status status = at > end ? rpi_reader_bad("a chunk is cut off")
                                    : rpi_item_failure_get(&at, end, &failure);
        if (status != RP_OK)
            return status;
        if (failure.item < next || failure.item >= chunk->count)
            return rpi_reader_bad("a chunk's failures are not in order");
        scatter(map, chunk, payload, next, failure.item);
        note_failure(map, &failure, chunk->first + failure.item, worker);
        next = (uint64_t)failure.item + 1;
    }
    scatter(map, chunk, payload, next, chunk->count);
    return RP_OK;
}

/* The whole chunk failed, in one way. */
static rp_status fail_all(struct rpi_map *map, const struct rpi_frame *frame,
                          const uint8_t *payload, int worker)
{
    char message[RPI_MESSAGE_MAX + 1];
    struct rpi_item_failure failure = { .message = message };
    rp_status status = rpi_failure_get(payload, frame->length, &failure.status, &failure.code,
                                       message);
    if (status != RP_OK)
        return status;
    failure.length = (uint32_t)strlen(message);
    for (uint32_t i = 0; i < frame->chunk.count; i++)
        note_failure(map, &failure, frame->chunk.first + i, worker);
    return RP_OK;
}

void rpi_map_free(struct rpi_master *master, struct rpi_map *map)
{
    rpi_list_remove(&map->link);
    rpi_free(&master->config.alloc, map->back);
    rpi_free(&master->config.alloc, map);
}

#define FAILURE_TEXT (RPI_MESSAGE_MAX + 512)

/* Room for the failure of a map; NULL: no memory. */
static struct rpi_failure *new_failure(struct rpi_master *master)
{
    return rpi_reserve(&master->config.alloc, sizeof(struct rpi_failure) + FAILURE_TEXT);
}

static void describe(const struct rpi_master *master, const struct rpi_map *map,
                     struct rpi_failure *failure)
{
    char code[24] = "";
    failure->code = map->code;
    if (map->status == RP_ERR_TASK)
        (void)snprintf(code, sizeof code, " with code %d", map->code);
    (void)snprintf(
        failure->message, FAILURE_TEXT,
        "item %llu of a map of %s %s on worker %d (%s)%s%s%s; %llu of %llu items failed",
        (unsigned long long)map->failed, master->config.registry->names[map->request.function],
        rpi_settle_verb(map->status), map->worker, master->roster.seats[map->worker].host, code,
        map->message[0] ? ": " : "", map->message, (unsigned long long)map->failures,
        (unsigned long long)map->request.count);
}

/* The map's own future: RP_OK, or, with `failure`, the lowest failing item's. */
static void settle(struct rpi_master *master, struct rpi_map *map, struct rpi_failure *failure)
{
    struct rpi_future *future = rpi_future_of(&master->futures, map->id);
    if (failure)
        describe(master, map, failure);
    future->state = RP_DONE;
    future->status = (uint8_t)(failure ? map->status : RP_OK);
    future->flags &= (uint8_t)~RPI_FUTURE_MAP;
    memset(&future->done, 0, sizeof future->done);
    future->done.data = failure;
    future->done.worker = (uint32_t)map->worker;
    future->done.ran = (float)(master->now - map->submitted);
    master->unsettled--;
    uint64_t id = map->id;
    rpi_map_free(master, map);
    rpi_settle_end(master, id, future);
}

void rpi_map_settle_empty(struct rpi_master *master, struct rpi_map *map)
{
    settle(master, map, NULL);
}

/* ---- cancelling */

/* The map's next chunk that waits to go again, after *attempt (NULL: the first), or NULL; sets
 * *attempt to its record. */
static struct rpi_future *next_waiting(const struct rpi_master *master, const struct rpi_map *map,
                                       const struct rpi_attempt **attempt)
{
    while ((*attempt = rpi_attempts_next(&master->attempts, *attempt))) {
        struct rpi_future *future = rpi_future_of(&master->futures, (*attempt)->id);
        if (future->flags & RPI_FUTURE_CHUNK && future->state == RP_QUEUED &&
            future->pending.map == map)
            return future;
    }
    return NULL;
}

static uint64_t waiting_again(const struct rpi_master *master, const struct rpi_map *map)
{
    uint64_t items = 0;
    const struct rpi_attempt *attempt = NULL;
    for (const struct rpi_future *chunk; (chunk = next_waiting(master, map, &attempt));)
        items += chunk->pending.items;
    return items;
}

static void note_cancelled(struct rpi_map *map, uint64_t from, uint64_t to)
{
    struct rpi_item_failure item = { .status = RP_ERR_CANCELLED,
                                     .code = RP_ERR_CANCELLED,
                                     .message = "" };
    for (uint64_t i = from; i < to; i++)
        note_failure(map, &item, i, 0);
}

static void drop_waiting_again(struct rpi_master *master, struct rpi_map *map)
{
    const struct rpi_attempt *attempt = NULL;
    for (struct rpi_future *chunk; (chunk = next_waiting(master, map, &attempt)); attempt = NULL) {
        uint64_t id = attempt->id;
        note_cancelled(map, chunk->pending.number, chunk->pending.number + chunk->pending.items);
        rpi_settle_attempts(master, id);
        rpi_future_free(&master->futures, id, chunk); /* its entry in the queue is void now */
    }
}

rp_status rpi_map_cancel(struct rpi_master *master, struct rpi_map *map)
{
    uint64_t again = waiting_again(master, map), waiting = rpi_map_waiting(map) + again;
    map->stopped = true;
    if (!waiting)
        return RP_OK; /* what is at workers settles it */
    struct rpi_failure *failure = map->left == waiting ? new_failure(master) : NULL;
    if (map->left == waiting && !failure)
        return rpi_no_memory("a failure's message");
    for (uint64_t run; rpi_map_waiting(map);) {
        uint64_t first = rpi_map_first(map, &run);
        note_cancelled(map, first, first + run);
        rpi_map_take(map, run);
    }
    if (again)
        drop_waiting_again(master, map);
    rpi_future_of(&master->futures, map->id)->state =
        RP_SENT; /* its entry in the queue, if it has one, is void now */
    master->ready.queue.tasks -= waiting;
    master->ready.queue.bytes -= waiting * map->request.in_size;
    master->counts.cancelled += waiting;
    map->left -= waiting;
    if (map->left == 0)
        settle(master, map, failure);
    return RP_OK;
}

/* ---- items that come back */

void rpi_map_take(struct rpi_map *map, uint64_t items)
{
    if (!map->back_count) {
        map->next += items;
        return;
    }
    struct rpi_range *range = &map->back[map->back_count - 1];
    map->back_items -= items;
    range->first += items;
    range->count -= (uint32_t)items;
    if (!range->count)
        map->back_count--;
}

static bool room_for_range(struct rpi_master *master, struct rpi_map *map)
{
    if (map->back_count < map->back_capacity)
        return true;
    uint32_t capacity = 2 * map->back_capacity + 4;
    struct rpi_range *back = rpi_resize(&master->config.alloc, map->back, capacity * sizeof *back);
    if (!back)
        return false;
    map->back = back;
    map->back_capacity = capacity;
    return true;
}

/* A map whose last item was handed out stands in no queue. */
static rp_status queue(struct rpi_master *master, const struct rpi_map *map,
                       struct rpi_future *future)
{
    const struct rpi_entry entry = {
        .id = map->id, .function = map->request.function, .flags = RPI_ENTRY_MAP, .data = map
    };
    const struct rpi_rank rank = { .priority = map->request.options.priority,
                                   .cost = map->request.options.cost,
                                   .order = map->number,
                                   .back = true };
    rp_status status = future->state == RP_QUEUED
                           ? RP_OK
                           : rpi_taskq_push(&master->ready.queue, &entry, &rank);
    if (status == RP_OK)
        future->state = RP_QUEUED;
    return status;
}

/* RP_ERR_NOMEM: nothing changed. */
static rp_status items_back(struct rpi_master *master, struct rpi_map *map, struct rpi_range range)
{
    if (!room_for_range(master, map))
        return rpi_no_memory("a map's items that came back");
    rp_status status = map->stopped ? RP_OK
                                    : queue(master, map, rpi_future_of(&master->futures, map->id));
    if (status != RP_OK)
        return status;
    map->back[map->back_count++] = range;
    map->back_items += range.count;
    master->ready.queue.tasks += range.count;
    master->ready.queue.bytes += (uint64_t)range.count * map->request.in_size;
    if (map->stopped)
        status = rpi_map_cancel(master, map);
    if (status != RP_OK) { /* cannot be cancelled: as if it were under way still */
        rpi_map_take(map, range.count);
        master->ready.queue.tasks -= range.count;
        master->ready.queue.bytes -= (uint64_t)range.count * map->request.in_size;
    }
    return status;
}

rp_status rpi_map_chunk_back(struct rpi_master *master, uint64_t id, struct rpi_future *chunk)
{
    uint32_t batch = chunk->pending.batch;
    rp_status status = items_back(
        master, chunk->pending.map,
        (struct rpi_range){ .first = chunk->pending.number, .count = chunk->pending.items });
    if (status != RP_OK)
        return status;
    rpi_inflight_leave(master, batch, 1, 0);
    rpi_settle_attempts(master, id);
    rpi_future_free(&master->futures, id, chunk);
    return RP_OK;
}

rp_status rpi_map_chunk_cut(struct rpi_master *master, struct rpi_future *chunk, uint32_t items)
{
    rp_status status = items_back(master, chunk->pending.map,
                                  (struct rpi_range){ .first = chunk->pending.number + items,
                                                      .count = chunk->pending.items - items });
    if (status == RP_OK)
        chunk->pending.items = items;
    return status;
}

/* ---- chunks */

struct rpi_future *rpi_map_new_chunk(struct rpi_master *master, struct rpi_map *map, uint64_t first,
                                     uint64_t items, uint64_t *id)
{
    struct rpi_future *chunk = rpi_future_new(&master->futures, id);
    if (!chunk)
        return NULL;
    chunk->flags = RPI_FUTURE_CHUNK | RPI_FUTURE_RELEASED;
    chunk->options = rpi_future_of(&master->futures, map->id)->options;
    chunk->pending.number = first;
    chunk->pending.map = map;
    chunk->pending.items = (uint32_t)items;
    return chunk;
}

rp_status rpi_map_item_failed(struct rpi_master *master, uint64_t id, struct rpi_future *chunk,
                              const struct rpi_item_failure *failure, int worker)
{
    struct rpi_map *map = chunk->pending.map;
    struct rpi_failure *text = map->left == 1 ? new_failure(master) : NULL;
    if (map->left == 1 && !text)
        return rpi_no_memory("a failure's message");
    note_failure(map, failure, chunk->pending.number, worker);
    master->counts.failed++;
    map->left--;
    chunk->pending.number++;
    if (--chunk->pending.items == 0) {
        rpi_inflight_leave(master, chunk->pending.batch, 1, 0);
        rpi_settle_attempts(master, id);
        rpi_future_free(&master->futures, id, chunk);
    }
    if (map->left == 0)
        settle(master, map, text);
    return RP_OK;
}

/* ---- a chunk's end */

rp_status rpi_map_check(const struct rpi_frame *frame, const struct rpi_future *future)
{
    const struct rpi_map *map = future->pending.map;
    const struct rpi_chunk *chunk = &frame->chunk;
    if (!(frame->flags & RPI_FRAME_CHUNK) || chunk->first != future->pending.number ||
        chunk->count != future->pending.items || chunk->out_size != map->request.out_size)
        return rpi_reader_bad("it is not the chunk that was asked for");
    uint64_t results = (uint64_t)chunk->count * chunk->out_size;
    if (frame->flags & RPI_FRAME_FAILED)
        return RP_OK;
    if (frame->length < results || (frame->failures == 0 && frame->length != results))
        return rpi_reader_bad("a chunk's results are cut off");
    if (frame->failures > chunk->count ||
        frame->length >
            results + 8 + (uint64_t)frame->failures * rpi_item_failure_size(RPI_MESSAGE_MAX))
        return rpi_reader_bad("a chunk has more failures than items, or than they can say");
    return RP_OK;
}

/* Gets all its memory before it writes the first item: a chunk that is refused may run again, and
 * end otherwise. */
rp_status rpi_map_chunk_done(struct rpi_master *master, const struct rpi_frame *frame,
                             struct rpi_future *future, const uint8_t *payload, int worker)
{
    struct rpi_map *map = future->pending.map;
    uint32_t items = future->pending.items;
    uint64_t failures = map->failures, cancelled = map->cancelled;
    bool last = map->left == items,
         failing = failures || frame->failures || frame->flags & RPI_FRAME_FAILED;
    rp_status status = rpi_map_check(frame, future);
    struct rpi_failure *failure = status == RP_OK && last && failing ? new_failure(master) : NULL;
    if (status == RP_OK && last && failing && !failure)
        status = rpi_no_memory("a failure's message");
    else if (status == RP_OK && frame->flags & RPI_FRAME_FAILED)
        status = fail_all(map, frame, payload, worker);
    else if (status == RP_OK && frame->failures)
        status = scatter_around_failures(map, frame, payload, worker);
    else if (status == RP_OK)
        scatter(map, &frame->chunk, payload, 0, items);
    if (status != RP_OK) {
        rpi_free(&master->config.alloc, failure);
        return status;
    }
    uint64_t failed = map->failures - failures, stopped = map->cancelled - cancelled;
    if (last)
        settle(master, map, failure);
    else
        map->left -= items;
    master->counts.cancelled += stopped;
    master->counts.failed += failed - stopped;
    master->counts.done += items - failed;
    rpi_settle_attempts(master, frame->id);
    rpi_future_free(&master->futures, frame->id, future);
    return RP_OK;
}
