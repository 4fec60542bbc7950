/* Maps at rank 0: cutting chunks and scattering their results. */
#include "settle.h"
#include "status.h"

#include <stdio.h>

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t rpi_map_portion(const struct rpi_map *map, uint32_t room, uint32_t result_room, uint64_t tasks)
{
    const struct rpi_map_request *request = &map->request;
    uint64_t left = request->count - map->next;
    uint64_t most = UINT32_MAX; /* by what a payload's length can say */
    if (request->chunk) {
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

static void note_failure(struct rpi_map *map, const struct rpi_item_failure *failure, uint64_t index, int worker)
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
static void scatter(struct rpi_map *map, const struct rpi_chunk *chunk, const uint8_t *results, uint64_t from, uint64_t to)
{
    size_t size = map->request.out_size;
    if (size && to > from)
        memcpy((uint8_t *)map->request.out + (chunk->first + from) * size, results + from * size, (to - from) * size);
    if (map->request.statuses)
        for (uint64_t i = from; i < to; i++)
            map->request.statuses[chunk->first + i] = RP_OK;
}

static rp_status scatter_around_failures(struct rpi_map *map, const struct rpi_frame *frame, const uint8_t *payload,
                                         int worker)
{
    const struct rpi_chunk *chunk = &frame->chunk;
    const uint8_t *end = payload + frame->length;
    const uint8_t *at = payload + (((uint64_t)chunk->count * chunk->out_size + 7U) & ~(uint64_t)7);
    uint64_t next = 0;
    for (uint32_t i = 0; i < frame->failures; i++) {
        struct rpi_item_failure failure;
        rp_status status = at > end ? rpi_reader_bad("a chunk is cut off") : rpi_item_failure_get(&at, end, &failure);
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
static rp_status fail_all(struct rpi_map *map, const struct rpi_frame *frame, const uint8_t *payload, int worker)
{
    char message[RPI_MESSAGE_MAX + 1];
    struct rpi_item_failure failure = { .message = message };
    rp_status status = rpi_failure_get(payload, frame->length, &failure.status, &failure.code, message);
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
    rpi_free(&master->config.alloc, map);
}

#define FAILURE_TEXT (RPI_MESSAGE_MAX + 512)

/* Room for the failure of a map; NULL: no memory. */
static struct rpi_failure *new_failure(struct rpi_master *master)
{
    return rpi_reserve(&master->config.alloc, sizeof(struct rpi_failure) + FAILURE_TEXT);
}

static void describe(const struct rpi_master *master, const struct rpi_map *map, struct rpi_failure *failure)
{
    failure->code = map->code;
    (void)snprintf(failure->message, FAILURE_TEXT,
                   "item %llu of a map of %s %s on worker %d (%s) with code %d%s%s; %llu of %llu items failed",
                   (unsigned long long)map->failed, master->config.registry->names[map->request.function],
                   map->status == RP_ERR_CANCELLED ? "was cancelled" : "failed", map->worker,
                   master->roster.seats[map->worker].host, map->code, map->message[0] ? ": " : "", map->message,
                   (unsigned long long)map->failures, (unsigned long long)map->request.count);
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

rp_status rpi_map_settle(struct rpi_master *master, struct rpi_map *map)
{
    struct rpi_failure *failure = map->failures ? new_failure(master) : NULL;
    if (map->failures && !failure)
        return rpi_no_memory("a failure's message");
    settle(master, map, failure);
    return RP_OK;
}

rp_status rpi_map_cancel(struct rpi_master *master, struct rpi_map *map)
{
    struct rpi_item_failure item = { .status = RP_ERR_CANCELLED, .code = RP_ERR_CANCELLED, .message = "" };
    uint64_t waiting = map->request.count - map->next;
    map->stopped = true;
    if (!waiting)
        return RP_OK; /* what is at workers settles it */
    struct rpi_failure *failure = map->left == waiting ? new_failure(master) : NULL;
    if (map->left == waiting && !failure)
        return rpi_no_memory("a failure's message");
    for (uint64_t i = map->next; i < map->request.count; i++)
        note_failure(map, &item, i, 0);
    rpi_future_of(&master->futures, map->id)->state = RP_SENT; /* its entry in the queue is void now */
    master->queue.tasks -= waiting;
    master->queue.bytes -= waiting * map->request.in_size;
    master->counts.cancelled += waiting;
    map->next = map->request.count;
    map->left -= waiting;
    if (map->left == 0)
        settle(master, map, failure);
    return RP_OK;
}

/* Every check comes before the first change, but for memory: a chunk that could not settle its map comes again. */
static rp_status check(const struct rpi_map *map, const struct rpi_frame *frame, const struct rpi_future *future)
{
    const struct rpi_chunk *chunk = &frame->chunk;
    if (!(frame->flags & RPI_FRAME_CHUNK) || chunk->first != future->pending.number ||
        chunk->count != future->pending.items || chunk->out_size != map->request.out_size)
        return rpi_reader_bad("it is not the chunk that was asked for");
    uint64_t results = (uint64_t)chunk->count * chunk->out_size;
    if (frame->flags & RPI_FRAME_FAILED)
        return RP_OK;
    if (frame->length < results || (frame->failures == 0 && frame->length != results))
        return rpi_reader_bad("a chunk's results are cut off");
    return RP_OK;
}

rp_status rpi_map_chunk_done(struct rpi_master *master, const struct rpi_frame *frame, struct rpi_future *future,
                             const uint8_t *payload, int worker)
{
    struct rpi_map *map = future->pending.map;
    uint32_t items = future->pending.items;
    uint64_t failures = map->failures, cancelled = map->cancelled;
    rp_status status = check(map, frame, future);
    if (status == RP_OK && frame->flags & RPI_FRAME_FAILED)
        status = fail_all(map, frame, payload, worker);
    else if (status == RP_OK && frame->failures)
        status = scatter_around_failures(map, frame, payload, worker);
    else if (status == RP_OK)
        scatter(map, &frame->chunk, payload, 0, items);
    if (status != RP_OK)
        return status;
    uint64_t failed = map->failures - failures, stopped = map->cancelled - cancelled;
    if (map->left == items) {
        status = rpi_map_settle(master, map);
        if (status != RP_OK) {
            map->failures = failures; /* counted again next time */
            map->cancelled = cancelled;
            return status;
        }
    } else {
        map->left -= items;
    }
    master->counts.cancelled += stopped;
    master->counts.failed += failed - stopped;
    master->counts.done += items - failed;
    rpi_future_free(&master->futures, frame->id, future);
    return RP_OK;
}
