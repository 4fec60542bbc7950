#include "master.h"

#include "inputs.h"

#include "policy.h"
#include "settle.h"
#include "sharing.h"
#include "spawned.h"
#include "status.h"

#define FIRST_ROUND_TRIP 10e-6 /* seconds, until it is measured */

/* The tasks that one worker alone may run. */
struct rpi_own {
    struct rpi_taskq queue;
    struct rpi_link link; /* in master->awake, or alone */
    int worker;
};

rp_status rpi_master_init(struct rpi_master *master, const struct rpi_master_config *config)
{
    *master = (struct rpi_master){ .config = *config, .round_trip = FIRST_ROUND_TRIP };
    rpi_futures_init(&master->futures, &config->alloc, config->first_generation);
    rpi_taskq_init(&master->queue, &config->alloc);
    rpi_options_init(&master->options, &config->alloc);
    rpi_versions_init(&master->versions, &config->alloc, config->workers);
    rpi_batches_init(&master->batches, &config->alloc, config->batch_limit);
    rpi_list_init(&master->outgoing);
    rpi_list_init(&master->incoming);
    rpi_list_init(&master->arriving);
    rpi_list_init(&master->maps);
    rpi_list_init(&master->awake);
    rpi_list_init(&master->inputs.all);
    rpi_list_init(&master->inputs.moved);
    rp_status status = rpi_roster_init(&master->roster, &config->alloc, config->workers);
    if (status != RP_OK)
        return status;
    master->times = rpi_reserve(&config->alloc, config->registry->count * sizeof *master->times);
    if (!master->times) {
        rpi_roster_fini(&master->roster);
        return rpi_no_memory("the functions' times");
    }
    for (uint32_t i = 0; i < config->registry->count; i++)
        master->times[i] = (struct rpi_function_time){ .mean = -1 };
    return RP_OK;
}

static void drop_entry(void *context, const struct rpi_entry *entry)
{
    (void)context;
    if (entry->flags & RPI_ENTRY_OWNED)
        rpi_buffer_free((void *)(uintptr_t)entry->data);
}

static void drop_arrivals(struct rpi_master *master, struct rpi_link *list)
{
    for (struct rpi_link *link; (link = rpi_list_pop(list));) {
        struct rpi_arrival *arrival = RPI_MEMBER(link, struct rpi_arrival, link);
        rpi_buffer_free(arrival->buffer);
        rpi_free(&master->config.alloc, arrival);
    }
}

void rpi_master_fini(struct rpi_master *master)
{
    rpi_spawned_fini(master);
    rpi_inputs_fini(master);
    drop_arrivals(master, &master->incoming);
    drop_arrivals(master, &master->arriving);
    rpi_taskq_fini(&master->queue, drop_entry, master);
    for (int worker = 1; master->own && worker <= master->roster.workers; worker++) {
        if (master->own[worker])
            rpi_taskq_fini(&master->own[worker]->queue, drop_entry, master);
        rpi_free(&master->config.alloc, master->own[worker]);
    }
    rpi_free(&master->config.alloc, master->own);
    for (struct rpi_link *link; (link = rpi_list_first(&master->maps));)
        rpi_map_free(master, RPI_MEMBER(link, struct rpi_map, link));
    rpi_ring_fini(&master->called, &master->config.alloc);
    rpi_futures_fini(&master->futures);
    rpi_options_fini(&master->options);
    rpi_versions_fini(&master->versions);
    rpi_batches_fini(&master->batches);
    rpi_roster_fini(&master->roster);
    rpi_free(&master->config.alloc, master->times);
    master->times = NULL;
}

/* ---- submitting */

/* An argument too long for a batch is copied once, into the buffer it is sent from. */
static rp_status set_data(struct rpi_master *master, const struct rpi_request *request, struct rpi_entry *entry)
{
    entry->data = request->arg;
    if (request->size <= rpi_inline_limit(master->config.batch_limit))
        return RP_OK;
    entry->flags = RPI_ENTRY_LARGE;
    if (request->borrow)
        return RP_OK;
    void *copy = rpi_buffer_new(&master->config.alloc, request->size);
    if (!copy)
        return rpi_no_memory("a task's argument");
    memcpy(copy, request->arg, request->size);
    entry->data = copy;
    entry->flags = RPI_ENTRY_LARGE | RPI_ENTRY_OWNED;
    return RP_OK;
}

static struct rpi_own *own_of(struct rpi_master *master, int worker)
{
    const struct rpi_alloc *alloc = &master->config.alloc;
    if (!master->own)
        master->own = rpi_zeroed(alloc, ((size_t)master->roster.workers + 1) * sizeof(struct rpi_own *));
    if (!master->own)
        return NULL;
    if (!master->own[worker]) {
        struct rpi_own *own = rpi_reserve(alloc, sizeof *own);
        if (!own)
            return NULL;
        rpi_taskq_init(&own->queue, alloc);
        rpi_list_init(&own->link);
        own->worker = worker;
        master->own[worker] = own;
    }
    return master->own[worker];
}

static void wake(struct rpi_master *master, struct rpi_own *own)
{
    rpi_list_remove(&own->link);
    rpi_list_append(&master->awake, &own->link);
}

void rpi_master_wake(struct rpi_master *master, int worker)
{
    if (master->own && master->own[worker])
        wake(master, master->own[worker]);
}

static void count(struct rpi_master *master, struct rpi_taskq *queue, int64_t tasks, int64_t bytes)
{
    queue->tasks += (uint64_t)tasks;
    queue->bytes += (uint64_t)bytes;
    if (queue != &master->queue) {
        master->own_tasks += (uint64_t)tasks;
        master->own_bytes += (uint64_t)bytes;
    }
}

void rpi_master_void(struct rpi_master *master, const struct rpi_options *options)
{
    count(master, options->hard ? &master->own[options->worker]->queue : &master->queue, -1, 0);
}

/* Puts a task where its options want it, and counts it. */
rp_status rpi_master_enqueue(struct rpi_master *master, const struct rpi_entry *entry, const struct rpi_options *options,
                             bool back, uint64_t order)
{
    const struct rpi_rank rank = { .priority = options->priority, .cost = options->cost, .order = order, .back = back };
    struct rpi_own *own = options->hard ? own_of(master, options->worker) : NULL;
    if (options->hard && !own)
        return rpi_no_memory("a worker's own queue");
    rp_status status = rpi_taskq_push(own ? &own->queue : &master->queue, entry, &rank);
    if (status != RP_OK)
        return status;
    count(master, own ? &own->queue : &master->queue, 1, (int64_t)entry->size);
    if (own)
        wake(master, own);
    return RP_OK;
}

/* Nearly every task: behind the others. */
static rp_status enqueue_plain(struct rpi_master *master, const struct rpi_entry *entry)
{
    static const struct rpi_rank last;
    rp_status status = rpi_taskq_push(&master->queue, entry, &last);
    if (status == RP_OK) {
        master->queue.tasks++;
        master->queue.bytes += entry->size;
    }
    return status;
}

/* The record of what it needs; its argument waits there. */
static rp_status come_after(struct rpi_master *master, const struct rpi_request *request, const struct rpi_options *given,
                            struct rpi_entry *entry, struct rpi_options *with)
{
    struct rpi_dependent *dependent;
    rp_status status = rpi_inputs_gather(master, request->after, request->after_count, &dependent);
    if (status != RP_OK)
        return status;
    if (given)
        *with = *given;
    with->dependent = dependent;
    if (entry->flags & RPI_ENTRY_OWNED) {
        dependent->arg = (void *)(uintptr_t)entry->data;
    } else if (!(entry->flags & RPI_ENTRY_LARGE) && entry->size) {
        dependent->arg = rpi_buffer_new(&master->config.alloc, entry->size);
        if (!dependent->arg)
            return rpi_no_memory("a task's argument");
        memcpy(dependent->arg, entry->data, entry->size);
        entry->data = dependent->arg;
    }
    return RP_OK;
}

/* The options of a task submitted while data are shared: those and its epoch.  A spawned one's epoch is its parent's. */
static const struct rpi_options *in_epoch(const struct rpi_master *master, const struct rpi_request *request,
                                          struct rpi_options *own)
{
    if (request->spawned)
        return request->options;
    if (request->options)
        *own = *request->options;
    own->epoch = master->versions.current;
    return own;
}

rp_status rpi_master_submit(struct rpi_master *master, const struct rpi_request *request, double now, uint64_t *id)
{
    struct rpi_entry entry = { .size = request->size, .function = request->function };
    struct rpi_options own = { 0 }, with = { 0 };
    const struct rpi_options *given = master->versions.current ? in_epoch(master, request, &own) : request->options;
    uint32_t options = 0;
    uint64_t new_id;
    rp_status status = set_data(master, request, &entry);
    if (status != RP_OK)
        return status;
    if (request->after_count) {
        status = come_after(master, request, given, &entry, &with);
        given = &with;
    }
    if (status == RP_OK && given && given->on_done)
        status = rpi_ring_reserve(&master->called, &master->config.alloc, master->calls_due + 1);
    if (given && status == RP_OK)
        status = rpi_options_intern(&master->options, given, &options);
    if (status != RP_OK)
        goto drop_data;
    struct rpi_future *future = rpi_future_new(&master->futures, &new_id);
    if (!future) {
        status = rpi_no_memory("a future");
        goto drop_options;
    }
    entry.id = new_id;
    if (!with.dependent)
        status = given ? rpi_master_enqueue(master, &entry, given, request->spawned,
                                            request->spawned ? UINT64_MAX - master->next_number : master->next_number)
                       : enqueue_plain(master, &entry);
    if (status != RP_OK)
        goto drop_future;
    future->options = options;
    future->link = request->link;
    future->pending.function = request->function;
    if (request->spawned) {
        future->flags = RPI_FUTURE_SPAWNED;
        future->pending.number = request->number;
        future->pending.depth = request->depth;
        master->next_number++;
    } else {
        future->pending.number = master->next_number++;
        future->pending.submitted = now;
    }
    if (given && given->outbox)
        future->flags |= (uint8_t)(RPI_FUTURE_STREAMED | (request->released ? RPI_FUTURE_RELEASED : 0));
    else if (request->released)
        future->flags = RPI_FUTURE_DETACHED | RPI_FUTURE_RELEASED;
    if (with.dependent) {
        future->state = RP_WAITING;
        rpi_inputs_submitted(master, with.dependent, new_id, &entry);
    }
    master->unsettled++;
    master->counts.submitted++;
    if (given) {
        master->calls_due += given->on_done != NULL;
        if (given->epoch)
            rpi_versions_hold(&master->versions, given->epoch);
    }
    *id = new_id;
    return RP_OK;

drop_future:
    rpi_future_free(&master->futures, new_id, future);
drop_options:
    rpi_options_release(&master->options, options);
drop_data:
    if (with.dependent)
        rpi_inputs_let_go(master, with.dependent); /* and the argument with it */
    else
        drop_entry(master, &entry);
    return status;
}

rp_status rpi_master_map(struct rpi_master *master, const struct rpi_map_request *request, double now, uint64_t *id)
{
    struct rpi_map *map = rpi_zeroed(&master->config.alloc, sizeof *map);
    if (!map)
        return rpi_no_memory("a map");
    uint32_t options = 0;
    rp_status status = RP_OK;
    if (request->options.on_done)
        status = rpi_ring_reserve(&master->called, &master->config.alloc, master->calls_due + 1);
    map->request = *request;
    map->request.options.epoch = master->versions.current;
    if (status == RP_OK)
        status = rpi_options_intern(&master->options, &map->request.options, &options);
    if (status != RP_OK)
        goto drop_map;
    struct rpi_future *future = rpi_future_new(&master->futures, &map->id);
    if (!future) {
        status = rpi_no_memory("a future");
        goto drop_options;
    }
    struct rpi_entry entry = { .id = map->id, .function = request->function, .flags = RPI_ENTRY_MAP, .data = map };
    struct rpi_rank rank = { .priority = request->options.priority,
                             .cost = request->options.cost,
                             .order = master->next_number };
    status = rpi_taskq_push(&master->queue, &entry, &rank);
    if (status != RP_OK)
        goto drop_future;
    map->number = master->next_number++;
    map->left = request->count;
    map->submitted = now;
    rpi_list_append(&master->maps, &map->link);
    future->options = options;
    future->flags = RPI_FUTURE_MAP;
    future->pending.number = map->number;
    future->pending.map = map;
    master->queue.tasks += request->count;
    master->queue.bytes += request->count * request->in_size;
    master->unsettled++;
    master->counts.submitted += request->count;
    master->calls_due += request->options.on_done != NULL;
    if (master->versions.current)
        rpi_versions_hold(&master->versions, master->versions.current);
    *id = map->id;
    return request->count ? RP_OK : rpi_map_settle(master, map); /* nothing failed: it needs no memory */

drop_future:
    rpi_future_free(&master->futures, map->id, future);
drop_options:
    rpi_options_release(&master->options, options);
drop_map:
    rpi_free(&master->config.alloc, map);
    return status;
}

/* ---- handing out */

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
    if (flags & RPI_FRAME_LARGE && filling->batch->piece_count == RPI_PIECES)
        return false;
    return rpi_writer_fits(&filling->writer, rpi_frame_size(flags | RPI_FRAME_NUMBER, length));
}

static void put_frame(struct filling *filling, const struct rpi_frame *frame, const void *data, void *owned)
{
    uint8_t *at = rpi_writer_frame(&filling->writer, frame);
    if (!(frame->flags & RPI_FRAME_LARGE)) {
        rpi_put_payload(at, data, frame->length);
        return;
    }
    struct rpi_batch *batch = filling->batch;
    batch->pieces[batch->piece_count++] = (struct rpi_piece){ .data = data, .size = frame->length, .owned = owned };
}

static void mark_sent(struct filling *filling, struct rpi_future *future)
{
    future->state = RP_SENT;
    future->pending.batch = filling->batch->index;
    filling->batch->remaining++;
}

/* What a worker must know of a task's options. */
static void tell_options(const struct rpi_master *master, struct rpi_frame *frame, const struct rpi_future *future)
{
    const struct rpi_options *options = rpi_options_at(&master->options, future->options);
    if (options->outbox && !options->outbox->ordered)
        frame->flags |= RPI_FRAME_MAY_SPAWN;
    if (options->time_limit > 0) {
        frame->flags |= RPI_FRAME_RAN;
        frame->ran = options->time_limit < 1e9 ? (uint64_t)(options->time_limit * 1e9) : (uint64_t)1e18;
    }
}

static bool send_inputs(struct rpi_master *master, const struct rpi_future *future, int worker)
{
    const struct rpi_dependent *dependent = rpi_options_at(&master->options, future->options)->dependent;
    return !dependent || rpi_inputs_send(master, dependent, worker);
}

static bool put_task(struct rpi_master *master, struct filling *filling, const struct rpi_entry *entry,
                     struct rpi_future *future)
{
    struct rpi_frame frame = { .id = entry->id, .function = entry->function, .length = entry->size };
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
    count(master, filling->queue, -1, -(int64_t)entry->size);
    return true;
}

/* Cuts the next chunk from a map, which stays at the head of the queue until its last item is handed out. */
static bool put_chunk(struct rpi_master *master, struct filling *filling, const struct rpi_entry *entry)
{
    struct rpi_map *map = (struct rpi_map *)(uintptr_t)entry->data;
    const struct rpi_map_request *request = &map->request;
    if (!fits(filling, RPI_FRAME_CHUNK | RPI_FRAME_LARGE | RPI_FRAME_RAN, 0))
        return false;
    uint32_t room = filling->writer.limit - filling->writer.used -
                    rpi_frame_size(RPI_FRAME_CHUNK | RPI_FRAME_NUMBER | RPI_FRAME_RAN, 0);
    uint64_t items = rpi_map_portion(map, room & ~7U, rpi_inline_limit(filling->writer.limit),
                                     filling->grant.tasks - filling->tasks);
    uint32_t length = (uint32_t)(items * request->in_size);
    struct rpi_frame frame = { .function = entry->function, .attempt = 1, .flags = RPI_FRAME_CHUNK, .length = length };
    if (rpi_padded(length) > room) {
        if (filling->tasks > 0)
            return false; /* in a batch of its own there is more room, or it goes as a piece */
        frame.flags |= RPI_FRAME_LARGE;
    }
    tell_options(master, &frame, rpi_future_of(&master->futures, map->id));
    struct rpi_future *chunk = rpi_future_new(&master->futures, &frame.id);
    if (!chunk)
        return false;
    frame.chunk = (struct rpi_chunk){
        .count = (uint32_t)items, .in_size = request->in_size, .out_size = request->out_size, .first = map->next
    };
    number_frame(filling, &frame, map->number);
    put_frame(filling, &frame, request->in_size ? (const uint8_t *)request->in + map->next * request->in_size : NULL, NULL);
    chunk->flags = RPI_FUTURE_CHUNK | RPI_FUTURE_RELEASED;
    chunk->attempts = 1;
    chunk->pending.number = map->next;
    chunk->pending.map = map;
    chunk->pending.items = (uint32_t)items;
    mark_sent(filling, chunk);
    filling->tasks += items;
    map->next += items;
    master->queue.tasks -= items;
    master->queue.bytes -= length;
    if (map->next == request->count) {
        rpi_future_of(&master->futures, map->id)->state = RP_SENT; /* it may be released */
        rpi_taskq_pop(&master->queue);
    }
    return true;
}

/* The first entry that is still wanted. */
static struct rpi_future *peek(struct rpi_master *master, struct rpi_taskq *queue, struct rpi_entry *entry)
{
    while (rpi_taskq_peek(queue, entry)) {
        struct rpi_future *future = rpi_future_of(&master->futures, entry->id);
        if (future && future->state == RP_QUEUED)
            return future;
        drop_entry(master, entry);
        count(master, queue, 0, -(int64_t)entry->size);
        rpi_taskq_pop(queue);
    }
    return NULL;
}

/* The worker that this task would rather have, or `otherwise`. */
static int wanted(const struct rpi_master *master, const struct rpi_future *future, int otherwise)
{
    int worker = rpi_options_at(&master->options, future->options)->worker;
    return worker ? worker : otherwise;
}

static uint64_t epoch_of(const struct rpi_master *master, const struct rpi_future *future)
{
    return future->options ? rpi_options_at(&master->options, future->options)->epoch : 0;
}

/* Which epoch the batch is for, and what its worker must know of that.  false: no memory. */
static bool begin_epoch(struct rpi_master *master, struct filling *filling)
{
    struct rpi_entry entry;
    const struct rpi_future *future = peek(master, filling->queue, &entry);
    filling->epoch = future ? epoch_of(master, future) : 0;
    if (!filling->epoch)
        return true;
    if (!rpi_sharing_tell(master, filling->worker, filling->epoch))
        return false;
    rpi_writer_epoch(&filling->writer, filling->epoch);
    return true;
}

static void fill(struct rpi_master *master, struct filling *filling)
{
    struct rpi_entry entry;
    for (struct rpi_future *future;
         filling->tasks < filling->grant.tasks && (future = peek(master, filling->queue, &entry));) {
        double mean = master->times[entry.function].mean;
        uint64_t before = filling->tasks;
        if (before > 0 && (mean < 0 || filling->predicted + mean > filling->grant.seconds))
            break;
        if (before > 0 && filling->worker == 0 && entry.flags & RPI_ENTRY_MAP)
            break; /* its chunk may be long */
        if (before > 0 && future->options && wanted(master, future, filling->worker) != filling->worker)
            break;
        if (before > 0 && epoch_of(master, future) != filling->epoch)
            break;
        bool put = entry.flags & RPI_ENTRY_MAP ? put_chunk(master, filling, &entry)
                                               : put_task(master, filling, &entry, future);
        if (!put)
            break;
        filling->predicted += (double)(filling->tasks - before) * mean;
    }
}

static struct rpi_grant grant_for(const struct rpi_master *master, const struct rpi_taskq *queue,
                                  const struct rpi_entry *entry, int worker)
{
    struct rpi_view view = {
        .mean = master->times[entry->function].mean,
        .round_trip = master->round_trip,
        .queued = queue->tasks,
        .workers = queue == &master->queue ? (uint32_t)master->roster.workers : 1,
        .fills = queue->bytes + queue->tasks * RPI_FRAME_HEADER >= master->config.batch_limit,
        .in_flight = master->roster.seats[worker].in_flight,
    };
    return rpi_policy_grant(&view);
}

static bool send_one(struct rpi_master *master, struct rpi_taskq *queue, int worker, struct rpi_grant grant, double now)
{
    struct filling filling = { .batch = rpi_batch_get(&master->batches), .grant = grant, .queue = queue, .worker = worker };
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
    rpi_roster_sent(&master->roster, worker);
    rpi_list_append(&master->outgoing, &batch->link);
    master->counts.messages_out++;
    master->counts.bytes_out += batch->size;
    return true;
}

/* Tasks that one worker alone may run: as long as it has credit.  false: for want of memory not all that could go went. */
static bool dispatch_own(struct rpi_master *master, struct rpi_own *own, double now)
{
    struct rpi_entry entry;
    while (master->roster.seats[own->worker].in_flight < RPI_DEPTH && peek(master, &own->queue, &entry)) {
        struct rpi_grant grant = grant_for(master, &own->queue, &entry, own->worker);
        if (!grant.tasks)
            return true; /* a batch that it finishes wakes this queue again */
        if (!send_one(master, &own->queue, own->worker, grant, now))
            return false;
    }
    return true;
}

static void dispatch_awake(struct rpi_master *master, double now)
{
    struct rpi_link again;
    rpi_list_init(&again);
    for (struct rpi_link *link; (link = rpi_list_pop(&master->awake));)
        if (!dispatch_own(master, RPI_MEMBER(link, struct rpi_own, link), now))
            rpi_list_append(&again, link);
    for (struct rpi_link *link; (link = rpi_list_pop(&again));)
        rpi_list_append(&master->awake, link);
}

/* Where the first task goes now; 0: it waits. */
static int choose(const struct rpi_master *master, const struct rpi_entry *entry, const struct rpi_future *future,
                  struct rpi_grant *grant)
{
    int least = rpi_roster_least(&master->roster);
    int worker = future->options ? wanted(master, future, least) : least;
    if (worker && worker != least && master->roster.seats[worker].in_flight < RPI_DEPTH) {
        *grant = grant_for(master, &master->queue, entry, worker);
        if (grant->tasks)
            return worker;
    }
    if (least)
        *grant = grant_for(master, &master->queue, entry, least);
    return least && grant->tasks ? least : 0;
}

void rpi_master_dispatch(struct rpi_master *master, double now)
{
    struct rpi_entry entry;
    struct rpi_grant grant;
    master->now = now;
    if (!rpi_list_empty(&master->versions.dying) && !rpi_sharing_sweep(master))
        return;
    if (!rpi_list_empty(&master->inputs.moved) && !master->dropped)
        rpi_inputs_advance(master);
    dispatch_awake(master, now);
    for (const struct rpi_future *future; (future = peek(master, &master->queue, &entry));) {
        int worker = choose(master, &entry, future, &grant);
        if (!worker || !send_one(master, &master->queue, worker, grant, now))
            return;
    }
}

/* The first task may be one chunk of a map, of a size that the application has chosen. */
static double expected(const struct rpi_master *master, const struct rpi_entry *entry)
{
    double mean = master->times[entry->function].mean;
    if (!(entry->flags & RPI_ENTRY_MAP))
        return mean;
    const struct rpi_map *map = entry->data;
    return map->request.chunk > 1 ? mean * (double)map->request.chunk : mean;
}

bool rpi_master_dispatch_here(struct rpi_master *master, double most, double now)
{
    struct rpi_entry entry;
    struct rpi_grant grant;
    const struct rpi_future *future = peek(master, &master->queue, &entry);
    if (!future || master->roster.seats[0].in_flight || wanted(master, future, 0) || choose(master, &entry, future, &grant))
        return false;
    double seconds = expected(master, &entry);
    if (seconds < 0 || seconds >= most)
        return false;
    grant = rpi_policy_grant_here(seconds);
    return send_one(master, &master->queue, 0, grant, now);
}

static void drop_queue(struct rpi_master *master, struct rpi_taskq *queue)
{
    struct rpi_entry entry;
    while (rpi_taskq_peek(queue, &entry)) {
        drop_entry(master, &entry);
        rpi_taskq_pop(queue);
    }
    queue->tasks = queue->bytes = 0;
}

void rpi_master_drop_queued(struct rpi_master *master)
{
    drop_queue(master, &master->queue);
    for (int worker = 1; master->own && worker <= master->roster.workers; worker++)
        if (master->own[worker])
            drop_queue(master, &master->own[worker]->queue);
    master->own_tasks = master->own_bytes = 0;
    master->dropped = true;
}

bool rpi_master_starves(struct rpi_master *master)
{
    struct rpi_entry entry;
    struct rpi_grant grant;
    for (int worker = 1; master->own && worker <= master->roster.workers; worker++) {
        struct rpi_own *own = master->own[worker];
        if (own && master->roster.seats[worker].in_flight == 0 && peek(master, &own->queue, &entry))
            return true; /* one that has something is looked at again when it has done it */
    }
    const struct rpi_future *future = peek(master, &master->queue, &entry);
    return future && choose(master, &entry, future, &grant);
}

struct rpi_batch *rpi_master_outgoing(struct rpi_master *master)
{
    struct rpi_link *link = rpi_list_pop(&master->outgoing);
    return link ? RPI_MEMBER(link, struct rpi_batch, link) : NULL;
}

void rpi_master_unsent(struct rpi_master *master, struct rpi_batch *batch)
{
    rpi_list_prepend(&master->outgoing, &batch->link);
}

void rpi_master_unposted(struct rpi_master *master, struct rpi_arrival *arrival)
{
    rpi_list_remove(&arrival->link);
    rpi_list_prepend(&master->incoming, &arrival->link);
}

struct rpi_arrival *rpi_master_incoming(struct rpi_master *master)
{
    struct rpi_link *link = rpi_list_pop(&master->incoming);
    if (!link)
        return NULL;
    rpi_list_append(&master->arriving, link);
    return RPI_MEMBER(link, struct rpi_arrival, link);
}

/* ---- futures */

struct rpi_future *rpi_master_future(const struct rpi_master *master, uint64_t id)
{
    struct rpi_future *future = rpi_future_of(&master->futures, id);
    return future && !(future->flags & RPI_FUTURE_RELEASED) ? future : NULL;
}

void rpi_master_forget_options(struct rpi_master *master, struct rpi_future *future)
{
    uint64_t epoch = rpi_options_at(&master->options, future->options)->epoch;
    rpi_options_release(&master->options, future->options);
    future->options = 0;
    if (epoch)
        rpi_versions_release(&master->versions, epoch);
}

bool rpi_master_needs(const struct rpi_master *master, uint64_t id, const struct rpi_future *future)
{
    return future->options || future->flags & RPI_FUTURE_STREAMED || rpi_inputs_hold(&master->inputs, id);
}

void rpi_master_release(struct rpi_master *master, uint64_t id, struct rpi_future *future)
{
    if (future->state == RP_DONE && !rpi_master_needs(master, id, future))
        rpi_future_free(&master->futures, id, future);
    else
        future->flags |= RPI_FUTURE_RELEASED;
}

void rpi_master_outcome(const struct rpi_master *master, const struct rpi_future *future, rp_outcome *outcome)
{
    const struct rpi_failure *failure = future->status != RP_OK ? future->done.data : NULL;
    outcome->status = (rp_status)future->status;
    outcome->code = failure ? failure->code : 0;
    outcome->message = failure ? failure->message : "";
    outcome->size = failure ? 0 : future->done.size;
    outcome->data = NULL;
    if (outcome->size)
        outcome->data = future->flags & RPI_FUTURE_BUFFER ? future->done.data : future->done.small;
    outcome->worker = (int)future->done.worker;
    outcome->host = master->roster.seats[future->done.worker].host;
    outcome->attempts = future->attempts;
    outcome->queued = future->flags & RPI_FUTURE_SPAWNED ? 0 : (double)future->done.queued;
    outcome->ran = (double)future->done.ran;
}
