#include "master/deps.h"

#include "base/status.h"
#include "master/inflight.h"
#include "master/master.h"
#include "master/urgency.h"

/* a power of two; the chains grow with the inputs that are needed at one time */
#define BUCKETS 1024

/* ---- the table of inputs */

static struct rpi_deps_input *find(const struct rpi_deps *deps, uint64_t id)
{
    if (deps->count == 0)
        return NULL;
    const struct rpi_link *head = rpi_table_bucket(&deps->table, id);
    for (struct rpi_link *link = head->next; link != head; link = link->next) {
        struct rpi_deps_input *input = RPI_MEMBER(link, struct rpi_deps_input, link);
        if (input->id == id)
            return input;
    }
    return NULL;
}

bool rpi_deps_hold(const struct rpi_deps *deps, uint64_t id)
{
    return find(deps, id);
}

static struct rpi_deps_input *find_or_make(struct rpi_master *master, uint64_t id)
{
    struct rpi_deps *deps = &master->deps;
    struct rpi_deps_input *input = find(deps, id);
    if (input || !rpi_table_make(&deps->table, &master->config.alloc, BUCKETS))
        return input;
    input = rpi_zeroed(&master->config.alloc, sizeof *input);
    if (!input)
        return NULL;
    input->id = id;
    rpi_list_init(&input->edges);
    rpi_list_append(rpi_table_bucket(&deps->table, id), &input->link);
    deps->count++;
    return input;
}

/* Opens a message about inputs, which its worker gets before any task that is sent later. */
static struct rpi_batch *open_message(struct rpi_master *master, struct rpi_writer *writer)
{
    struct rpi_batch *batch = rpi_batch_get(&master->batches);
    if (batch)
        rpi_writer_open(writer, batch->bytes, master->batches.limit);
    return batch;
}

static void send_message(struct rpi_master *master, struct rpi_batch *batch,
                         struct rpi_writer *writer, int worker)
{
    rpi_writer_close(writer, RPI_INPUT, 0);
    batch->size = writer->used;
    batch->peer = worker;
    batch->sends = (uint16_t)(1 + batch->piece_count);
    rpi_inflight_send(master, batch);
}

/* Tells the workers that have the outcome to forget it.  Without memory they keep it until the
 * pool's end. */
static void forget_at_workers(struct rpi_master *master, const struct rpi_deps_input *input)
{
    for (int worker = 0; input->sent && worker <= master->roster.workers; worker++) {
        struct rpi_writer writer;
        struct rpi_frame frame = { .id = input->id, .flags = RPI_FRAME_FAILED };
        const struct rpi_seat *seat = &master->roster.seats[worker];
        if (!(input->sent[worker / 8] & 1 << worker % 8) || seat->lost)
            continue;
        struct rpi_batch *batch = open_message(master, &writer);
        if (!batch)
            return;
        (void)rpi_writer_frame(&writer, &frame);
        send_message(master, batch, &writer, worker);
    }
}

void rpi_deps_replaced(struct rpi_master *master, int worker)
{
    const struct rpi_table *table = &master->deps.table;
    uint64_t id = 0;
    for (struct rpi_link *link = NULL; (link = rpi_table_next(table, link, id));) {
        struct rpi_deps_input *input = RPI_MEMBER(link, struct rpi_deps_input, link);
        id = input->id;
        if (input->sent)
            input->sent[worker / 8] &= (uint8_t) ~(1 << worker % 8);
    }
}

bool rpi_master_needs(const struct rpi_master *master, uint64_t id, const struct rpi_future *future)
{
    return future->options || future->flags & RPI_FUTURE_STREAMED ||
           rpi_deps_hold(&master->deps, id);
}

void rpi_master_release(struct rpi_master *master, uint64_t id, struct rpi_future *future)
{
    if (future->state == RP_DONE && !rpi_master_needs(master, id, future))
        rpi_future_free(&master->futures, id, future);
    else
        future->flags |= RPI_FUTURE_RELEASED;
}

/* Drops one dependent; after the last one only the application may hold the outcome. */
static void drop_input(struct rpi_master *master, struct rpi_deps_input *input)
{
    if (--input->dependents)
        return;
    struct rpi_future *future = rpi_future_of(&master->futures, input->id);
    uint64_t id = input->id;
    forget_at_workers(master, input);
    rpi_list_remove(&input->link);
    rpi_free(&master->config.alloc, input->sent);
    rpi_free(&master->config.alloc, input);
    master->deps.count--;
    if (future && future->flags & RPI_FUTURE_RELEASED && future->state == RP_DONE)
        rpi_master_release(master, id, future);
}

/* ---- dependents */

static bool failed(const struct rpi_future *future)
{
    return future->state == RP_DONE && future->status != RP_OK;
}

static bool add_edge(struct rpi_master *master, struct rpi_deps_dependent *dependent, uint64_t id,
                     const struct rpi_future *future)
{
    struct rpi_deps_edge *edge = &dependent->edges[dependent->count];
    struct rpi_deps_input *input = find_or_make(master, id);
    rpi_list_init(&edge->link);
    if (!input)
        return false;
    edge->owner = dependent;
    edge->input = input;
    input->dependents++;
    dependent->count++;
    if (failed(future))
        dependent->failed = id;
    if (future->state == RP_DONE)
        return true;
    rpi_list_append(&input->edges, &edge->link);
    dependent->unmet++;
    return true;
}

rp_status rpi_deps_gather(struct rpi_master *master, const rp_future *after, size_t count,
                          struct rpi_deps_dependent **dependent)
{
    for (size_t i = 0; i < count; i++)
        if (!rpi_master_future(master, after[i].id))
            return rpi_error(RP_ERR_STALE, "options.after[%zu] was released, or is of another pool",
                             i);
    struct rpi_deps_dependent *new = rpi_zeroed(&master->config.alloc,
                                                sizeof *new + count * sizeof *new->edges);
    if (!new)
        return rpi_no_memory("a task's inputs");
    rpi_list_init(&new->link);
    rpi_list_init(&new->urgent);
    rpi_list_append(&master->deps.all, &new->all);
    for (size_t i = 0; i < count; i++) {
        if (add_edge(master, new, after[i].id, rpi_master_future(master, after[i].id)))
            continue;
        rpi_deps_let_go(master, new);
        return rpi_no_memory("a task's inputs");
    }
    *dependent = new;
    return RP_OK;
}

rp_status rpi_deps_follow(struct rpi_master *master, uint64_t id,
                          struct rpi_deps_dependent **dependent)
{
    struct rpi_deps_dependent *new = rpi_zeroed(&master->config.alloc,
                                                sizeof *new + sizeof *new->edges);
    if (!new)
        return rpi_no_memory("a task that shares an outcome");
    new->follows = true;
    rpi_list_init(&new->link);
    rpi_list_init(&new->urgent);
    rpi_list_append(&master->deps.all, &new->all);
    if (add_edge(master, new, id, rpi_future_of(&master->futures, id))) {
        *dependent = new;
        return RP_OK;
    }
    rpi_deps_let_go(master, new);
    return rpi_no_memory("a task that shares an outcome");
}

static void move_on(struct rpi_master *master, struct rpi_deps_dependent *dependent)
{
    rpi_list_remove(&dependent->link);
    rpi_list_append(&master->deps.moved, &dependent->link);
}

void rpi_deps_submitted(struct rpi_master *master, struct rpi_deps_dependent *dependent,
                        uint64_t id, const struct rpi_entry *entry)
{
    dependent->id = id;
    dependent->entry = *entry;
    master->deps.waiting++;
    if (dependent->unmet == 0 || dependent->failed)
        move_on(master, dependent);
    else
        rpi_urgency_note(master, dependent);
}

void rpi_deps_settled(struct rpi_master *master, uint64_t id, const struct rpi_future *future)
{
    struct rpi_deps_input *input = find(&master->deps, id);
    if (!input)
        return;
    for (struct rpi_link *link; (link = rpi_list_pop(&input->edges));) {
        struct rpi_deps_dependent *dependent = RPI_MEMBER(link, struct rpi_deps_edge, link)->owner;
        dependent->unmet--;
        if (failed(future))
            dependent->failed = id;
        if (dependent->id && (dependent->unmet == 0 || dependent->failed))
            move_on(master, dependent);
    }
}

void rpi_deps_let_go(struct rpi_master *master, struct rpi_deps_dependent *dependent)
{
    for (uint32_t i = 0; i < dependent->count; i++) {
        rpi_list_remove(&dependent->edges[i].link);
        drop_input(master, dependent->edges[i].input);
    }
    rpi_list_remove(&dependent->link);
    rpi_list_remove(&dependent->urgent);
    rpi_list_remove(&dependent->all);
    rpi_buffer_free(dependent->arg);
    rpi_free(&master->config.alloc, dependent);
}

void rpi_deps_fini(struct rpi_master *master)
{
    struct rpi_deps *deps = &master->deps;
    for (struct rpi_link *link; (link = rpi_list_pop(&deps->all));) {
        struct rpi_deps_dependent *dependent = RPI_MEMBER(link, struct rpi_deps_dependent, all);
        rpi_buffer_free(dependent->arg);
        rpi_free(&master->config.alloc, dependent);
    }
    for (struct rpi_link *link; (link = rpi_table_pop(&deps->table));) {
        struct rpi_deps_input *input = RPI_MEMBER(link, struct rpi_deps_input, link);
        rpi_free(&master->config.alloc, input->sent);
        rpi_free(&master->config.alloc, input);
    }
    rpi_table_free(&deps->table, &master->config.alloc);
    deps->count = 0;
}

/* ---- to workers */

/* A message with the outcome of `id` as its piece, which kept it in place, has gone. */
static void unpin(void *context, uint64_t id)
{
    struct rpi_master *master = context;
    struct rpi_deps_input *input = find(&master->deps, id);
    if (input)
        drop_input(master, input);
}

/* Adds the outcome; a large one is sent in place, and stays there while anything depends on it. */
static bool put_outcome(struct rpi_master *master, struct rpi_deps_input *input,
                        struct rpi_batch *batch, struct rpi_writer *writer)
{
    const struct rpi_future *future = rpi_future_of(&master->futures, input->id);
    const void *data = future->flags & RPI_FUTURE_BUFFER ? future->done.data : future->done.small;
    struct rpi_frame frame = { .id = input->id, .length = future->done.size };
    if (frame.length > rpi_wire_inline_limit(writer->limit))
        frame.flags = RPI_FRAME_LARGE;
    if (!rpi_writer_fits(writer, rpi_frame_size(frame.flags, frame.length)) ||
        (frame.flags && batch->piece_count == RPI_BATCH_PIECES))
        return false;
    uint8_t *at = rpi_writer_frame(writer, &frame);
    if (!frame.flags) {
        rpi_wire_put_payload(at, data, frame.length);
        return true;
    }
    batch->pieces[batch->piece_count++] = (struct rpi_piece){ .data = data, .size = frame.length };
    batch->input = input->id;
    batch->unpin = unpin;
    input->dependents++;
    return true;
}

static bool send_outcome(struct rpi_master *master, struct rpi_deps_input *input, int worker)
{
    size_t bytes = (size_t)master->roster.workers / 8 + 1;
    struct rpi_writer writer;
    if (!input->sent)
        input->sent = rpi_zeroed(&master->config.alloc, bytes);
    if (!input->sent)
        return false;
    if (input->sent[worker / 8] & 1 << worker % 8)
        return true;
    struct rpi_batch *batch = open_message(master, &writer);
    if (!batch)
        return false;
    if (!put_outcome(master, input, batch,
                     &writer)) { /* cannot be: one fits into an empty message */
        rpi_batch_put(&master->batches, batch);
        return false;
    }
    send_message(master, batch, &writer, worker);
    input->sent[worker / 8] |= (uint8_t)(1 << worker % 8);
    return true;
}

/* Which outcomes the task needs, in the order of `after`, in as many frames as it takes. */
static bool send_list(struct rpi_master *master, const struct rpi_deps_dependent *dependent,
                      int worker)
{
    uint32_t most = rpi_wire_inline_limit(master->batches.limit) / 8;
    for (uint32_t from = 0; from < dependent->count; from += most) {
        uint32_t count = dependent->count - from < most ? dependent->count - from : most;
        struct rpi_frame frame = {
            .id = dependent->id, .flags = RPI_FRAME_NUMBER, .number = from, .length = 8 * count
        };
        struct rpi_writer writer;
        struct rpi_batch *batch = open_message(master, &writer);
        if (!batch)
            return false;
        uint8_t *at = rpi_writer_frame(&writer, &frame);
        for (uint32_t i = 0; i < count; i++)
            rpi_put64(at + 8 * (size_t)i, dependent->edges[from + i].input->id);
        send_message(master, batch, &writer, worker);
    }
    return true;
}

bool rpi_deps_send(struct rpi_master *master, const struct rpi_deps_dependent *dependent,
                   int worker)
{
    for (uint32_t i = 0; i < dependent->count; i++)
        if (!send_outcome(master, dependent->edges[i].input, worker))
            return false;
    return send_list(master, dependent, worker);
}
