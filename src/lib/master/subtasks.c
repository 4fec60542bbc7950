#include "master/subtasks.h"

#include "base/status.h"
#include "master/keyed.h"
#include "master/master.h"
#include "master/ready.h"
#include "tables/completions.h"

static struct rpi_subtasks_held *held_of(const struct rpi_master *master, int worker, uint64_t id,
                                         uint8_t attempt)
{
    const struct rpi_link *head = &master->roster.seats[worker].held;
    for (struct rpi_link *link = head->next; link != head; link = link->next) {
        struct rpi_subtasks_held *held = RPI_MEMBER(link, struct rpi_subtasks_held, link);
        if (held->parent == id && held->attempt == attempt)
            return held;
    }
    return NULL;
}

/* One is kept for the next parent: a tree of millions of tasks needs no more. */
static struct rpi_subtasks_held *new_held(struct rpi_master *master, int worker, uint64_t id,
                                          uint8_t attempt)
{
    struct rpi_subtasks_held *held = master->spare_held;
    if (!held)
        held = rpi_zeroed(&master->config.alloc, sizeof *held);
    if (!held)
        return NULL;
    master->spare_held = NULL;
    held->parent = id;
    held->attempt = attempt;
    held->used = held->count = 0;
    rpi_list_append(&master->roster.seats[worker].held, &held->link);
    return held;
}

static void free_held(struct rpi_master *master, struct rpi_subtasks_held *held)
{
    if (!held)
        return;
    rpi_free(&master->config.alloc, held->frames);
    rpi_free(&master->config.alloc, held);
}

static void put_held(struct rpi_master *master, struct rpi_subtasks_held *held)
{
    rpi_list_remove(&held->link);
    if (master->spare_held)
        free_held(master, held);
    else
        master->spare_held = held;
}

static bool make_room(const struct rpi_master *master, struct rpi_subtasks_held *held,
                      uint32_t size)
{
    if (size <= held->capacity - held->used)
        return true;
    uint32_t capacity = 2 * held->capacity + size + 256;
    uint8_t *frames = rpi_resize(&master->config.alloc, held->frames, capacity);
    if (!frames)
        return false;
    held->frames = frames;
    held->capacity = capacity;
    return true;
}

static double cost_of(const struct rpi_frame *frame)
{
    double cost = 0;
    if (frame->flags & RPI_FRAME_CHUNK)
        memcpy(&cost, &frame->chunk.first, sizeof cost);
    return cost;
}

rp_status rpi_subtasks_hold(struct rpi_master *master, int worker, const struct rpi_frame *frame,
                            const uint8_t *from, const uint8_t *to)
{
    uint32_t size = (uint32_t)(to - from);
    if (frame->function >= master->config.registry->count || frame->flags & RPI_FRAME_LARGE)
        return rpi_reader_bad("a spawned task has no such function, or a large argument");
    double cost = cost_of(frame);
    if (!(cost >= 0))
        return rpi_reader_bad("a spawned task's cost is no cost");
    if (frame->flags & RPI_FRAME_CHUNK &&
        !rpi_wire_starts_fit(frame->chunk.in_size, frame->failures))
        return rpi_reader_bad("a spawned task has more attempts than there are");
    struct rpi_subtasks_held *held = held_of(master, worker, frame->id, frame->attempt);
    if (frame->number > (held ? held->count : 0))
        return rpi_reader_bad("a spawned task is missing before another");
    if (!held)
        held = new_held(master, worker, frame->id, frame->attempt);
    if (!held || !make_room(master, held, size))
        return rpi_no_memory("spawned tasks");
    if (frame->number < held->count)
        return RP_OK; /* the batch came before, when memory ran out in it */
    memcpy(held->frames + held->used, from, size);
    held->used += size;
    held->count++;
    return RP_OK;
}

/* The multiplier is that of splitmix64. */
uint64_t rpi_subtasks_number(uint64_t parent, uint64_t ordinal)
{
    uint64_t x = (parent ^ 0x9E3779B97F4A7C15U) * 0xBF58476D1CE4E5B9U + ordinal + 1;
    x = (x ^ x >> 27) * 0x94D049BB133111EBU;
    return (x ^ x >> 31) | (uint64_t)1 << 63;
}

static rp_status queue_child(struct rpi_master *master, const struct rpi_frame *frame,
                             const struct rpi_future *parent, uint64_t *id)
{
    const struct rpi_options *parents = rpi_options_at(&master->options, parent->options);
    struct rpi_options options = { .completions = parents->completions, .epoch = parents->epoch };
    struct rpi_request request = { .function = frame->function,
                                   .arg = frame->payload,
                                   .size = frame->length,
                                   .options = &options,
                                   .link = parent->link,
                                   .released = true,
                                   .spawned = true };
    request.depth = 1 + (parent->flags & RPI_FUTURE_SPAWNED ? parent->pending.depth : 0);
    request.number = rpi_subtasks_number(parent->pending.number, frame->number);
    if (frame->flags & RPI_FRAME_RAN)
        options.time_limit = 1e-9 * (double)frame->ran;
    if (frame->flags & RPI_FRAME_CHUNK) {
        options.priority = (int32_t)frame->chunk.count;
        options.retries = frame->failures;
        options.attempts = frame->chunk.in_size;
        options.cost = cost_of(frame);
    }
    return rpi_master_submit(master, &request, master->now, id);
}

/* It was queued in this very step. */
static void take_child_back(struct rpi_master *master, uint64_t id)
{
    struct rpi_future *future = rpi_future_of(&master->futures, id);
    const struct rpi_options options = *rpi_options_at(&master->options, future->options);
    rpi_ready_void(master, &options, rpi_future_size(future));
    rpi_master_forget_options(master, future);
    rpi_future_free(&master->futures, id, future);
    master->counts.submitted--;
    master->unsettled--;
}

/* All of them or none; each one's frame has its id then. */
static rp_status queue_children(struct rpi_master *master, struct rpi_subtasks_held *held,
                                const struct rpi_future *parent)
{
    struct rpi_reader reader = { .at = held->frames, .end = held->frames + held->used };
    struct rpi_frame frame = { 0 };
    uint32_t queued = 0;
    rp_status status = RP_OK;
    for (; status == RP_OK && queued < held->count; queued++) {
        uint8_t *at = held->frames + (reader.at - held->frames);
        uint64_t id;
        reader.left = 1;
        status = rpi_reader_frame(&reader, &frame);
        if (status == RP_OK)
            status = queue_child(master, &frame, parent, &id);
        if (status != RP_OK)
            break;
        rpi_put64(at, id);
    }
    if (status == RP_OK)
        return RP_OK;
    reader.at = held->frames;
    for (; queued > 0; queued--) {
        reader.left = 1;
        if (rpi_reader_frame(&reader, &frame) == RP_OK)
            take_child_back(master, frame.id);
    }
    return status;
}

rp_status rpi_subtasks_commit(struct rpi_master *master, int worker, const struct rpi_frame *answer,
                              const struct rpi_future *parent)
{
    struct rpi_subtasks_held *held = held_of(master, worker, answer->id, answer->attempt);
    struct rpi_completions *completions =
        rpi_options_at(&master->options, parent->options)->completions;
    struct rpi_keyed *keyed = rpi_options_at(&master->options, parent->options)->keyed;
    if (!held)
        return RP_OK;
    if (keyed)
        keyed->spawns = true;
    if (completions && !master->dropped) { /* dropped: the workers are told to stop */
        rp_status status = rpi_idqueue_reserve(&completions->ready, &master->config.alloc,
                                               completions->open + held->count);
        if (status == RP_OK)
            status = queue_children(master, held, parent);
        if (status != RP_OK)
            return status;
        completions->open += held->count;
    }
    put_held(master, held);
    return RP_OK;
}

void rpi_subtasks_drop(struct rpi_master *master, int worker, const struct rpi_frame *answer)
{
    struct rpi_subtasks_held *held = held_of(master, worker, answer->id, answer->attempt);
    if (held)
        put_held(master, held);
}

void rpi_subtasks_lost(struct rpi_master *master, int worker)
{
    for (struct rpi_link *link; (link = rpi_list_first(&master->roster.seats[worker].held));)
        put_held(master, RPI_MEMBER(link, struct rpi_subtasks_held, link));
}

void rpi_subtasks_fini(struct rpi_master *master)
{
    for (int worker = 0; worker <= master->roster.workers; worker++)
        for (struct rpi_link *link; (link = rpi_list_pop(&master->roster.seats[worker].held));)
            free_held(master, RPI_MEMBER(link, struct rpi_subtasks_held, link));
    free_held(master, master->spare_held);
    master->spare_held = NULL;
}
