/* Streams: results as they finish, or in order. */
#include "pool/streams.h"

#include "api/pool_submit.h"
#include "base/status.h"
#include "master/submit.h"
#include "pool/callbacks.h"
#include "pool/pool.h"
#include "pool/step.h"
#include "pool/wait.h"

#define LEAST_IN_FLIGHT 4096 /* items, where the application does not say */
#define PER_WORKER      1024

/* ---- beginning */

static rp_status check_options(const rp_pool *pool, const rp_stream_options *options,
                               struct rpi_options *task)
{
    if (!options)
        return RP_OK;
    if (options->struct_size != sizeof *options)
        return rpi_error(RP_ERR_INVALID,
                         "options.struct_size is %zu, not %zu: set it with RP_STREAM_OPTIONS_INIT",
                         options->struct_size, sizeof *options);
    rp_status status = rpi_pool_submit_options(options->task, pool, task);
    if (status == RP_OK && options->task && (options->task->key.size || options->task->after_count))
        status = rpi_error(RP_ERR_INVALID,
                           "options.task.%s would be every item's: give each its own with "
                           "rp_stream_submit",
                           options->task->key.size ? "key" : "after");
    return status;
}

static uint64_t limit_of(const rp_pool *pool, const rp_stream_options *options)
{
    if (options && options->in_flight)
        return options->in_flight;
    uint64_t limit = PER_WORKER * (uint64_t)pool->master.roster.workers;
    return limit > LEAST_IN_FLIGHT ? limit : LEAST_IN_FLIGHT;
}

/* The lock is held. */
static rp_status open_stream(rp_pool *pool, const rp_stream_options *options, rp_stream **stream)
{
    struct rpi_options checked = { 0 };
    rp_status status = check_options(pool, options, &checked);
    if (status == RP_OK)
        status = rpi_pool_sound(pool);
    if (status != RP_OK)
        return status;
    rp_stream *new = rpi_zeroed(&pool->alloc, sizeof *new);
    if (!new)
        return rpi_no_memory("a stream");
    new->pool = pool;
    new->kept.completions = &new->completions;
    if (rpi_options_are_default(&checked))
        status = rpi_options_intern(&pool->master.options, &new->kept, &new->number);
    if (status != RP_OK) {
        rpi_free(&pool->alloc, new);
        return status;
    }
    new->in_flight = limit_of(pool, options);
    new->task = (rp_task_options)RP_TASK_OPTIONS_INIT;
    if (options) {
        new->options = *options;
        new->completions.ordered = options->ordered;
        new->completions.skip_empty = options->skip_empty;
        if (options->task)
            new->task = *options->task;
        new->options.task = options->task ? &new->task : NULL;
    }
    rpi_list_append(&pool->streams, &new->link);
    *stream = new;
    return RP_OK;
}

rp_status rp_stream_open(rp_pool *pool, const rp_stream_options *options, rp_stream **stream)
{
    rp_status status = rpi_pool_enter(pool, "rp_stream_open");
    if (status != RP_OK)
        return status;
    status = stream ? open_stream(pool, options, stream)
                    : rpi_error(RP_ERR_INVALID, "rp_stream_open: stream is NULL");
    rpi_pool_leave(pool);
    return rpi_named("rp_stream_open", status);
}

rp_status rp_imap(rp_pool *pool, rp_fn *fn, rp_source *source, void *context,
                  const rp_stream_options *options, rp_stream **stream)
{
    uint16_t function;
    rp_status status = rpi_pool_enter(pool, "rp_imap");
    if (status != RP_OK)
        return status;
    status = rpi_pool_function(pool, fn, "rp_imap", &function);
    if (status == RP_OK && (!source || !stream))
        status = rpi_error(RP_ERR_INVALID, "rp_imap: %s is NULL", source ? "stream" : "source");
    if (status == RP_OK)
        status = open_stream(pool, options, stream);
    if (status == RP_OK) {
        (*stream)->fn = fn;
        (*stream)->source = source;
        (*stream)->context = context;
        (*stream)->options.task = &(*stream)->task; /* it waits by itself */
        (*stream)->task.no_wait = true;
    }
    rpi_pool_leave(pool);
    return rpi_named("rp_imap", status);
}

/* ---- items in */

/* Room to note the end of one item more; in an ordered stream also its place. */
static rp_status reserve(rp_stream *stream)
{
    const struct rpi_alloc *alloc = &stream->pool->alloc;
    uint64_t capacity = stream->order_capacity ? 2 * stream->order_capacity : 64;
    if (!stream->options.ordered)
        return rpi_idqueue_reserve(&stream->completions.ready, alloc, stream->completions.open + 1);
    if (stream->submitted - stream->next < stream->order_capacity)
        return RP_OK;
    uint64_t *order = rpi_reserve(alloc, capacity * sizeof *order);
    if (!order)
        return rpi_no_memory("a stream's items");
    for (uint64_t i = stream->next; i < stream->submitted; i++)
        order[i & (capacity - 1)] = stream->order[i & (stream->order_capacity - 1)];
    rpi_free(alloc, stream->order);
    stream->order = order;
    stream->order_capacity = capacity;
    return RP_OK;
}

static void note_item(rp_stream *stream, uint64_t id)
{
    if (stream->options.ordered)
        stream->order[stream->submitted & (stream->order_capacity - 1)] = id;
    stream->submitted++;
}

static rp_status check_open(const rp_stream *stream, const char *function)
{
    if (stream->ended)
        return rpi_error(RP_ERR_CONTEXT, "%s: the stream has been ended", function);
    return RP_OK;
}

/* Nearly every item: without options of its own or the stream's, while nothing stands in its way.
 * false: it takes the long way. */
static inline bool submit_plain(rp_stream *stream, rp_fn *fn, const rp_bytes *arg, uint64_t *id)
{
    rp_pool *pool = stream->pool;
    uint16_t function = rpi_pool_submit_plainly(pool, fn, arg->data, arg->size);
    return function != RPI_NO_FUNCTION &&
           rpi_submit_item(&pool->master, function, arg, pool->now, stream->number,
                           (uint32_t)stream->submitted, id) == RP_OK;
}

/* The lock is held. */
static rp_status submit(rp_stream *stream, rp_fn *fn, const void *arg, size_t size,
                        const rp_task_options *options, rp_future *future)
{
    struct rpi_submission submission = { .fn = fn,
                                         .arg = arg,
                                         .size = size,
                                         .options = options ? options : stream->options.task,
                                         .kept = &stream->kept,
                                         .held = future };
    uint64_t id;
    rp_status status = rpi_pool_submit_room(
        stream->pool, size, submission.options); /* meanwhile others may submit here */
    if (status != RP_OK)
        return status;
    if (stream->completions.open >= stream->in_flight)
        (void)rpi_step(stream->pool, false);
    if (stream->completions.open >= stream->in_flight)
        return rpi_error(RP_ERR_FULL, "rp_stream_submit: %llu items are in flight: take one first",
                         (unsigned long long)stream->in_flight);
    status = reserve(stream);
    if (status != RP_OK)
        return status;
    stream->completions.open++; /* first, as the journal may have its outcome */
    if (stream->number && !options && !future &&
        submit_plain(stream, fn, &(const rp_bytes){ arg, size }, &id)) {
        note_item(stream, id);
        rpi_pool_submitted(stream->pool);
        return RP_OK;
    }
    submission.link = (uint32_t)stream->submitted;
    status = rpi_pool_submit(stream->pool, &submission, &id);
    if (status != RP_OK) {
        stream->completions.open--;
        return status;
    }
    note_item(stream, id);
    if (future)
        future->id = id;
    return RP_OK;
}

static rp_status enter(rp_stream *stream, const char *function)
{
    const char *why = rpi_pool_absence();
    if (!stream && !rpi_call_current())
        return rpi_error(RP_ERR_INVALID, "%s: the stream is NULL%s%s", function, why ? ": " : "",
                         why ? why : "");
    return rpi_pool_enter(stream ? stream->pool : NULL, function);
}

rp_status rp_stream_submit(rp_stream *stream, rp_fn *fn, const void *arg, size_t size,
                           const rp_task_options *options, rp_future *future)
{
    rp_status status = enter(stream, "rp_stream_submit");
    if (status != RP_OK)
        return status;
    status = check_open(stream, "rp_stream_submit");
    if (status == RP_OK)
        status = rpi_named("rp_stream_submit", submit(stream, fn, arg, size, options, future));
    rpi_pool_leave(stream->pool);
    return status;
}

static bool is_empty(const rp_stream *stream, const struct rpi_future *future)
{
    return stream->completions.skip_empty && future->status == RP_OK && future->done.size == 0;
}

/* A future of the application's becomes an item; settled already, it is ready at once. */
static rp_status add(rp_stream *stream, uint64_t id)
{
    struct rpi_master *master = &stream->pool->master;
    struct rpi_future *future = rpi_master_future(master, id);
    uint32_t options = 0;
    if (!future)
        return rpi_error(RP_ERR_STALE, "rp_stream_add: no such future (%llx): %s",
                         (unsigned long long)id, rpi_future_why_stale(&master->futures, id));
    if (future->flags & RPI_FUTURE_STREAMED)
        return rpi_error(RP_ERR_INVALID, "rp_stream_add: the future is in a stream already");
    rp_status status = reserve(stream);
    if (status == RP_OK && future->state != RP_DONE) {
        struct rpi_options joined = *rpi_options_at(&master->options, future->options);
        joined.completions = &stream->completions;
        status = rpi_options_intern(&master->options, &joined, &options);
    }
    if (status != RP_OK)
        return status;
    note_item(stream, id);
    stream->completions.open++;
    if (future->state == RP_DONE && is_empty(stream, future)) {
        stream->completions.open--;
        rpi_master_release(master, id, future);
        return RP_OK;
    }
    future->flags |= RPI_FUTURE_STREAMED | RPI_FUTURE_RELEASED;
    future->link = (uint32_t)(stream->submitted - 1);
    if (future->state != RP_DONE) {
        rpi_options_release(&master->options, future->options);
        future->options = options;
    } else if (!stream->options.ordered) {
        rpi_idqueue_push(&stream->completions.ready, id);
    }
    return RP_OK;
}

rp_status rp_stream_add(rp_stream *stream, rp_future future)
{
    rp_status status = enter(stream, "rp_stream_add");
    if (status != RP_OK)
        return status;
    status = check_open(stream, "rp_stream_add");
    if (status == RP_OK)
        status = rpi_named("rp_stream_add", add(stream, future.id));
    rpi_pool_leave(stream->pool);
    return status;
}

rp_status rp_stream_end(rp_stream *stream)
{
    rp_status status = enter(stream, "rp_stream_end");
    if (status != RP_OK)
        return status;
    stream->ended = true;
    rpi_pool_leave(stream->pool);
    return RP_OK;
}

/* Asks the source for its next item, into stream->item, without the lock.  false: there is none. */
static bool ask(rp_stream *stream)
{
    if (stream->asked)
        return true;
    stream->asking = true;
    rpi_pool_leave(stream->pool);
    bool more = stream->source(stream->context, &stream->item);
    rpi_pool_come_back(stream->pool, "a source");
    stream->asking = false;
    stream->asked = more;
    stream->ended = stream->ended || !more;
    return more;
}

/* rp_imap: whether there is room for an item of the source's. */
static bool is_hungry(const rp_stream *stream)
{
    return stream->source && !stream->asking && (stream->asked || !stream->ended) &&
           stream->completions.open < stream->in_flight;
}

/* rp_imap: asks the source for items while there is room; what the pool's queue has no room for is
 * kept. */
static rp_status refill(rp_stream *stream)
{
    rp_status status = RP_OK;
    while (status == RP_OK && is_hungry(stream) && ask(stream)) {
        status = submit(stream, stream->fn, stream->item.data, stream->item.size, NULL, NULL);
        if (status == RP_OK || status == RP_ERR_INVALID) /* that one will never go */
            stream->asked = false;
    }
    return status == RP_ERR_FULL ? RP_OK : status;
}

/* ---- items out */

/* The application has seen it. */
static void let_go(rp_stream *stream, uint64_t id)
{
    struct rpi_master *master = &stream->pool->master;
    struct rpi_future *future = rpi_future_of(&master->futures, id);
    if (!future)
        return;
    future->flags &= (uint8_t)~RPI_FUTURE_STREAMED;
    if (future->flags & RPI_FUTURE_RELEASED)
        rpi_master_release(master, id, future);
}

/* Ordered: passes over items that make none. */
static uint64_t first_in_order(rp_stream *stream)
{
    for (; stream->next < stream->submitted; stream->next++) {
        uint64_t id = stream->order[stream->next & (stream->order_capacity - 1)];
        const struct rpi_future *future = rpi_future_of(&stream->pool->master.futures, id);
        if (future && future->flags & RPI_FUTURE_STREAMED)
            return future->state == RP_DONE ? id : 0;
    }
    return 0;
}

static bool over(const rp_stream *stream)
{
    return stream->ended && !stream->asked && stream->completions.open == 0;
}

static bool ready(rp_pool *pool, const void *context)
{
    rp_stream *stream = *(rp_stream *const *)context;
    (void)pool;
    if (over(stream))
        return true;
    return stream->options.ordered ? first_in_order(stream) != 0
                                   : stream->completions.ready.count > 0;
}

/* Or, in rp_imap, the source can be asked again: what vanished without an item, or left the pool's
 * queue, made room. */
static bool ready_or_hungry(rp_pool *pool, const void *context)
{
    const rp_stream *stream = *(rp_stream *const *)context;
    return ready(pool, context) ||
           (is_hungry(stream) && stream->completions.open <= stream->in_flight / 2 &&
            rpi_pool_submit_has_room(pool, stream->item.size));
}

static rp_status await(rp_stream *stream, double timeout)
{
    double deadline = rpi_deadline(rpi_now(), timeout);
    rp_status status = RP_OK;
    while (status == RP_OK && !ready(stream->pool, &stream)) {
        double left = deadline - rpi_now();
        status = rpi_wait(stream->pool, ready_or_hungry, &stream,
                          timeout < 0 ? RP_FOREVER
                          : left > 0  ? left
                                      : 0);
        if (status == RP_OK)
            status = refill(stream);
    }
    return status;
}

static uint64_t take_ready(rp_stream *stream)
{
    if (!stream->options.ordered)
        return rpi_idqueue_pop(&stream->completions.ready);
    uint64_t id = first_in_order(stream);
    stream->next++;
    return id;
}

static void deliver(rp_stream *stream, uint64_t id, rp_item *item)
{
    const struct rpi_future *future = rpi_future_of(&stream->pool->master.futures, id);
    stream->completions.open--;
    stream->delivered = id;
    stream->outcome = (rp_outcome)RP_OUTCOME_INIT;
    rpi_master_outcome(&stream->pool->master, future, &stream->outcome);
    item->index = stream->submitted - (uint32_t)((uint32_t)stream->submitted - future->link);
    item->depth = future->flags & RPI_FUTURE_SPAWNED ? future->done.depth : 0;
    item->outcome = &stream->outcome;
}

static rp_status next(rp_stream *stream, double timeout, rp_item *item)
{
    if (stream->delivered) {
        let_go(stream, stream->delivered);
        stream->delivered = 0;
    }
    rp_status status = refill(stream);
    if (status == RP_OK && !ready(stream->pool, &stream))
        status = await(stream, timeout);
    else
        rpi_step_drive(stream->pool);
    if (status == RP_ERR_TIMEOUT)
        return rpi_error(RP_ERR_TIMEOUT, "rp_stream_next: no item within %g s", timeout);
    if (status != RP_OK)
        return status;
    if (over(stream))
        return RP_END;
    deliver(stream, take_ready(stream), item);
    return RP_OK;
}

rp_status rp_stream_next(rp_stream *stream, double timeout, rp_item *item)
{
    rp_status status = enter(stream, "rp_stream_next");
    if (status != RP_OK)
        return status;
    if (!item || item->struct_size != sizeof *item || !rpi_is_time(timeout))
        status = rpi_error(RP_ERR_INVALID, "rp_stream_next: set item.struct_size with "
                                           "RP_ITEM_INIT, and a timeout that is a number");
    else
        status = rpi_named("rp_stream_next", next(stream, timeout, item));
    if (stream->pool->master.called.ids.count)
        rpi_callbacks_deliver(stream->pool);
    rpi_pool_leave(stream->pool);
    return status;
}

/* ---- end */

/* What is queued settles now; what is at a worker is the stream's no more. */
static void cancel_rest(rp_stream *stream)
{
    struct rpi_master *master = &stream->pool->master;
    for (uint32_t i = 0; i < master->futures.touched; i++) {
        struct rpi_future *future = rpi_future_slot(&master->futures, i);
        if (future->state == RP_STALE || future->state == RP_DONE || !future->options ||
            rpi_options_at(&master->options, future->options)->completions != &stream->completions)
            continue;
        rp_status status = rpi_master_cancel(master, (uint64_t)future->generation << 32 | i, future,
                                             stream->pool->now);
        if (status != RP_OK)
            rpi_say(&stream->pool->log, RP_LOG_WARNING, "a closed stream's task runs on: %s",
                    rp_error_message());
        if (future->state != RP_DONE)
            future->flags &= (uint8_t)~RPI_FUTURE_STREAMED;
    }
}

static void close_stream(rp_stream *stream)
{
    if (stream->delivered)
        let_go(stream, stream->delivered);
    cancel_rest(stream); /* what is queued is settled by it */
    for (; stream->next < stream->submitted && stream->options.ordered; stream->next++) {
        uint64_t id = stream->order[stream->next & (stream->order_capacity - 1)];
        const struct rpi_future *future = rpi_future_of(&stream->pool->master.futures, id);
        if (future && future->state == RP_DONE && future->flags & RPI_FUTURE_STREAMED)
            let_go(stream, id);
    }
    while (stream->completions.ready.count)
        let_go(stream, rpi_idqueue_pop(&stream->completions.ready));
    rpi_options_detach(&stream->pool->master.options, &stream->completions);
    rpi_streams_drop(stream);
}

rp_status rp_stream_close(rp_stream **stream)
{
    rp_status status = enter(stream ? *stream : NULL, "rp_stream_close");
    if (status != RP_OK || !stream || !*stream)
        return status;
    rp_pool *pool = (*stream)->pool;
    if (rpi_callbacks_inside()) { /* it may run inside a call on this stream */
        rpi_pool_leave(pool);
        return rpi_error(RP_ERR_CONTEXT,
                         "rp_stream_close may not be called by an on_done function");
    }
    close_stream(*stream);
    rpi_step_dispatch(pool); /* what workers are told */
    rpi_pool_leave(pool);
    *stream = NULL;
    return RP_OK;
}
