/* Workers that are lost, and what becomes of their tasks.
 *
 * What stood in a batch that was handed to the transport may have started there.  If its attempts
 * allow a start more it is queued again, before its equals, and from then on it goes alone: to a
 * worker that has nothing else and gets nothing else meanwhile.  So the next loss names the
 * culprit: of the tasks that were together in the first one, only those that end their worker again
 * and again use their attempts up.  A map's chunk is cut so that its attempts suffice to come down
 * to the one item.
 *
 * Where the worker itself has said which task ended it, that one fails, and starts nowhere else. */
#include "base/status.h"
#include "master/deps.h"
#include "master/inflight.h"
#include "master/map.h"
#include "master/master.h"
#include "master/ready.h"
#include "master/retry.h"
#include "master/settle.h"
#include "master/shared.h"
#include "master/subtasks.h"

#include <stdio.h>

/* Starts that ended with a returned error count against options.retries instead. */
static uint32_t starts_of(const struct rpi_future *future)
{
    return future->flags & RPI_FUTURE_CHUNK ? future->attempts
                                            : (uint8_t)(future->attempts - future->pending.retried);
}

/* ---- what a person is told */

static size_t append(char *text, size_t used, const char *more, int worker, const char *host)
{
    int length = worker ? snprintf(text + used, RPI_MESSAGE_MAX - used, "%sworker %d (%s)", more,
                                   worker, host)
                        : snprintf(text + used, RPI_MESSAGE_MAX - used, "%s", more);
    size_t now = used + (size_t)length;
    return now < RPI_MESSAGE_MAX ? now : RPI_MESSAGE_MAX - 1;
}

static void tell_places(const struct rpi_master *master, const struct rpi_attempt *attempt,
                        char *text, size_t used)
{
    uint32_t known = attempt->times < RPI_ATTEMPT_PLACES ? attempt->times : RPI_ATTEMPT_PLACES;
    for (uint32_t i = 0; i < known; i++)
        used = append(text, used, i ? ", " : " before that ", attempt->workers[i],
                      master->roster.seats[attempt->workers[i]].host);
    (void)append(text, used,
                 ".  If it is the task that ends them, isolation = RP_FORK keeps that from the "
                 "workers, where tasks use no "
                 "MPI; options.attempts allows more starts",
                 0, NULL);
}

/* Follows "task NAME (number N) was lost on worker W (HOST): ". */
static void tell_lost(const struct rpi_master *master, const struct rpi_options *options,
                      const struct rpi_attempt *attempt, char *text)
{
    uint32_t starts = 1 + (attempt ? attempt->times : 0);
    if (master->dropped)
        (void)append(text, 0, "the worker is gone, and the pool was ending", 0, NULL);
    else if (options->hard)
        (void)append(text, 0,
                     "the worker is gone; the task may have been running, and may run nowhere else",
                     0, NULL);
    else if (!attempt)
        (void)snprintf(text, RPI_MESSAGE_MAX,
                       "the worker is gone; the task may have been running, and options.attempts = "
                       "%lu allows no start more",
                       (unsigned long)rpi_options_attempts(options));
    else
        tell_places(
            master, attempt, text,
            (size_t)snprintf(text, RPI_MESSAGE_MAX,
                             "the task was started %lu times, and each time its worker was lost:",
                             (unsigned long)starts));
}

/* ---- settling what will not run again */

static rp_status fail_chunk(struct rpi_master *master, uint64_t id, struct rpi_future *chunk,
                            const struct rpi_settled *how)
{
    uint8_t payload[8 + RPI_MESSAGE_MAX];
    size_t length = strlen(how->message);
    const struct rpi_map *map = chunk->pending.map;
    struct rpi_frame frame = { .id = id, .flags = RPI_FRAME_CHUNK | RPI_FRAME_FAILED };
    frame.chunk = (struct rpi_chunk){ .count = chunk->pending.items,
                                      .out_size = map->request.out_size,
                                      .first = chunk->pending.number };
    frame.length = rpi_failure_size(length);
    rpi_failure_put(payload, how->status, how->code, how->message, length);
    return rpi_map_chunk_done(master, &frame, chunk, payload, how->worker);
}

static rp_status settle(struct rpi_master *master, const struct rpi_retry_retained *retained,
                        struct rpi_future *future, const struct rpi_settled *how)
{
    uint64_t id = retained->frame.id;
    uint32_t batch = future->pending.batch;
    bool chunk = future->flags & RPI_FUTURE_CHUNK;
    if (!chunk)
        future->state = RP_QUEUED; /* no batch hears of it yet */
    rp_status status = chunk ? fail_chunk(master, id, future, how)
                             : rpi_retry_or_fail(master, id, future, how);
    if (status == RP_OK)
        rpi_inflight_leave(master, batch, 1, 0);
    else
        future->state = RP_SENT;
    return status;
}

static rp_status settle_lost(struct rpi_master *master, const struct rpi_retry_retained *retained,
                             struct rpi_future *future, const struct rpi_options *options)
{
    char message[RPI_MESSAGE_MAX] = "";
    struct rpi_settled how = { .status = RP_ERR_LOST,
                               .message = message,
                               .worker = retained->batch->peer,
                               .at_worker = true,
                               .function = retained->frame.function };
    tell_lost(master, options, rpi_attempts_find(&master->attempts, retained->frame.id), message);
    return settle(master, retained, future, &how);
}

static rp_status settle_cancelled(struct rpi_master *master,
                                  const struct rpi_retry_retained *retained,
                                  struct rpi_future *future)
{
    struct rpi_settled how = { .status = RP_ERR_CANCELLED,
                               .code = RP_ERR_CANCELLED,
                               .message = "the worker is lost",
                               .worker = retained->batch->peer,
                               .at_worker = true,
                               .function = retained->frame.function };
    return settle(master, retained, future, &how);
}

/* ---- starting again */

/* How many items go at once, so that `starts` more losses come down to one: cuts them into the
 * smallest number of pieces p with p^starts >= items. */
static uint32_t piece_of(uint32_t items, uint32_t starts)
{
    uint32_t pieces = starts < 2 ? items : 1;
    for (double reached = 0; starts > 1 && reached < items; pieces++) {
        reached = 1;
        for (uint32_t i = 0; i < starts && reached < items; i++)
            reached *= pieces + 1;
    }
    return (items + pieces - 1) / pieces;
}

static rp_status start_again(struct rpi_master *master, const struct rpi_retry_retained *retained,
                             struct rpi_future *future, uint32_t attempts)
{
    uint32_t batch = future->pending.batch,
             items = future->flags & RPI_FUTURE_CHUNK ? future->pending.items : 1;
    int worker = retained->batch->peer;
    uint64_t id = retained->frame.id;
    struct rpi_attempt *attempt = rpi_attempts_of(&master->attempts, id);
    if (!attempt)
        return rpi_no_memory("a task that was lost");
    struct rpi_attempt before = *attempt;
    rpi_attempt_note(attempt, worker);
    attempt->piece = piece_of(items, attempts - starts_of(future));
    rp_status status = rpi_retry(master, retained, future, 0);
    if (status != RP_OK) {
        attempt->times = before.times;
        attempt->piece = before.piece;
        return status;
    }
    rpi_inflight_leave(master, batch, 1, 0);
    master->counts.retried += items;
    return RP_OK;
}

static bool is_cancelled(const struct rpi_future *future)
{
    return future->flags & RPI_FUTURE_CHUNK ? future->pending.map->stopped
                                            : future->pending.retried == RPI_SETTLE_NEVER_AGAIN;
}

/* A task that may have started at the lost worker. */
static rp_status give_up(struct rpi_master *master, const struct rpi_retry_retained *retained,
                         struct rpi_future *future)
{
    const struct rpi_options *options = rpi_options_at(&master->options, future->options);
    uint32_t starts = starts_of(future), attempts = rpi_options_attempts(options);
    if (is_cancelled(future))
        return settle_cancelled(master, retained, future);
    if (starts < attempts && !options->hard && !master->dropped)
        return start_again(master, retained, future, attempts);
    return settle_lost(master, retained, future, options);
}

/* One that cannot have started goes back as it was. */
static rp_status take_one_back(struct rpi_master *master, const struct rpi_retry_retained *retained,
                               struct rpi_future *future)
{
    uint32_t batch = future->pending.batch;
    if (is_cancelled(future))
        return settle_cancelled(master, retained, future);
    if (future->flags & RPI_FUTURE_CHUNK &&
        !rpi_attempts_find(&master->attempts, retained->frame.id))
        return rpi_map_chunk_back(master, retained->frame.id, future);
    rp_status status = rpi_retry(master, retained, future, 0);
    if (status != RP_OK)
        return status;
    future->attempts--;
    rpi_inflight_leave(master, batch, 1, 0);
    return RP_OK;
}

/* ---- the task that ended its worker, by the worker's own words */

static bool is_culprit(const struct rpi_master *master, const struct rpi_retry_retained *retained,
                       const struct rpi_future *future)
{
    const struct rpi_death *death = &master->roster.deaths[retained->batch->peer];
    if (death->way == RPI_WAY_NONE || death->id != retained->frame.id ||
        death->attempt != future->attempts || future->flags & RPI_FUTURE_ARRIVING ||
        is_cancelled(future))
        return false;
    return !(future->flags & RPI_FUTURE_CHUNK) ||
           (death->item >= future->pending.number &&
            death->item - future->pending.number < future->pending.items);
}

/* Follows "task NAME (number N) crashed on worker W (HOST): ". */
static void tell_crashed(const struct rpi_master *master, int worker, char *text)
{
    const struct rpi_seat *seat = &master->roster.seats[worker];
    char how[RPI_DEATH_TEXT];
    rpi_death_tell(&master->roster.deaths[worker], how);
    (void)snprintf(text, RPI_MESSAGE_MAX,
                   "its process (pid %lld) %s, and was the worker; workers left: %d; isolation = "
                   "RP_FORK keeps that from the "
                   "workers, where tasks use no MPI",
                   (long long)seat->pid, how, master->roster.workers - master->roster.lost);
}

static rp_status settle_crashed(struct rpi_master *master,
                                const struct rpi_retry_retained *retained,
                                struct rpi_future *future)
{
    int worker = retained->batch->peer;
    char message[RPI_MESSAGE_MAX] = "";
    struct rpi_settled how = { .status = RP_ERR_CRASHED,
                               .code = master->roster.deaths[worker].code,
                               .message = message,
                               .worker = worker,
                               .at_worker = true,
                               .function = retained->frame.function,
                               .final = true };
    tell_crashed(master, worker, message);
    return settle(master, retained, future, &how);
}

/* The items of a chunk before the one that ended the worker ran there, and are given up in a
 * chunk of their own. */
static rp_status give_up_before(struct rpi_master *master,
                                const struct rpi_retry_retained *retained, struct rpi_future *chunk,
                                uint32_t items)
{
    struct rpi_retry_retained part = *retained;
    struct rpi_batch *batch = retained->batch;
    uint32_t *movable = &master->roster.seats[batch->peer].movable;
    struct rpi_future *before = rpi_map_new_chunk(master, chunk->pending.map, chunk->pending.number,
                                                  items, &part.frame.id);
    if (!before)
        return rpi_no_memory("a task that was lost");
    before->state = RP_SENT;
    before->attempts = chunk->attempts;
    before->pending.batch = chunk->pending.batch;
    batch->remaining++;
    *movable += batch->movable;
    rp_status status = give_up(master, &part, before);
    if (status == RP_OK) {
        chunk->pending.number += items;
        chunk->pending.items -= items;
        return RP_OK;
    }
    batch->remaining--;
    *movable -= batch->movable;
    rpi_settle_attempts(master, part.frame.id);
    rpi_future_free(&master->futures, part.frame.id, before);
    return status;
}

/* The items after it were not begun: they go back, unless the pool is ending. */
static rp_status crash_item(struct rpi_master *master, const struct rpi_retry_retained *retained,
                            struct rpi_future *chunk)
{
    int worker = retained->batch->peer;
    struct rpi_death *death = &master->roster.deaths[worker];
    uint32_t before = (uint32_t)(death->item - chunk->pending.number),
             after = chunk->pending.items - before - 1;
    char message[RPI_MESSAGE_MAX] = "";
    rp_status status = before ? give_up_before(master, retained, chunk, before) : RP_OK;
    if (status != RP_OK)
        return status;
    tell_crashed(master, worker, message);
    struct rpi_item_failure failure = { .status = RP_ERR_CRASHED,
                                        .code = death->code,
                                        .message = message };
    failure.length = (uint32_t)strlen(message);
    status = rpi_map_item_failed(master, retained->frame.id, chunk, &failure, worker);
    if (status != RP_OK)
        return status;
    death->way = RPI_WAY_NONE;
    if (!after)
        return RP_OK;
    return master->dropped ? give_up(master, retained, chunk)
                           : take_one_back(master, retained, chunk);
}

static rp_status crash(struct rpi_master *master, const struct rpi_retry_retained *retained,
                       struct rpi_future *future)
{
    if (future->flags & RPI_FUTURE_CHUNK)
        return crash_item(master, retained, future);
    rp_status status = settle_crashed(master, retained, future);
    if (status == RP_OK)
        master->roster.deaths[retained->batch->peer].way = RPI_WAY_NONE;
    return status;
}

/* ---- what the worker has */

static struct rpi_future *current(const struct rpi_master *master,
                                  const struct rpi_retry_retained *retained)
{
    struct rpi_future *future = rpi_future_of(&master->futures, retained->frame.id);
    if (!rpi_inflight_is_sent(future, retained->frame.attempt) || future->flags & RPI_FUTURE_MAP)
        return NULL;
    return future->pending.batch == retained->batch->index ? future : NULL;
}

/* Each task of the batch that is waited for there.  Once the last has left it, its bytes may be
 * another message's. */
static rp_status give_up_batch(struct rpi_master *master, struct rpi_batch *batch)
{
    struct rpi_retry_retained_reader reader;
    rp_status status = RP_OK;
    batch->to_idle = false; /* what it took is no round trip */
    for (bool more = rpi_retry_retained_open(&reader, batch);
         more && status == RP_OK && batch->remaining && rpi_retry_retained_next(&reader);) {
        struct rpi_future *future = current(master, &reader.now);
        if (future && is_culprit(master, &reader.now, future))
            status = crash(master, &reader.now, future);
        else if (future)
            status = give_up(master, &reader.now, future);
    }
    return status;
}

/* It was never handed to the transport.  With its last task the batch is free. */
static rp_status take_back(struct rpi_master *master, struct rpi_batch *batch)
{
    struct rpi_retry_retained_reader reader;
    rp_status status = RP_OK;
    batch->to_idle = false;
    for (bool more = rpi_retry_retained_open(&reader, batch);
         more && status == RP_OK && batch->remaining && rpi_retry_retained_next(&reader);) {
        struct rpi_future *future = current(master, &reader.now);
        if (future)
            status = take_one_back(master, &reader.now, future);
    }
    return status;
}

static rp_status give_up_batches(struct rpi_master *master, int worker)
{
    rp_status status = RP_OK;
    for (uint32_t i = 0; status == RP_OK && i < master->batches.count; i++) {
        struct rpi_batch *batch = master->batches.table[i];
        if (batch->remaining && batch->peer == worker)
            status = batch->handed ? give_up_batch(master, batch) : take_back(master, batch);
    }
    return status;
}

/* ---- what is not with the transport yet */

/* Drops a message to a worker that is gone, or what is left of one. */
static void drop_message(struct rpi_master *master, struct rpi_batch *batch)
{
    uint16_t unsent = (uint16_t)(1 + batch->piece_count - batch->begun);
    batch->sends = (uint16_t)(batch->sends - unsent + 1);
    rpi_master_sent(master, batch);
}

/* Takes back batches of tasks and drops other messages. */
static void clear_outgoing(struct rpi_master *master, int worker)
{
    master->roster.seats[worker].cancels = NULL;
    for (struct rpi_link *link = master->inflight.outgoing.next, *next;
         link != &master->inflight.outgoing; link = next) {
        struct rpi_batch *batch = RPI_MEMBER(link, struct rpi_batch, link);
        bool tasks = batch->remaining && !batch->handed;
        next = link->next;
        if (batch->peer != worker)
            continue;
        rpi_list_remove(link);
        if (tasks)
            batch->sends = 0;
        else
            drop_message(master, batch);
    }
}

/* ---- the worker */

/* MPI may still write into what is posted. */
static void set_arrivals_aside(struct rpi_master *master, int worker)
{
    for (struct rpi_link *link = master->inflight.incoming.next, *next;
         link != &master->inflight.incoming; link = next) {
        struct rpi_arrival *arrival = RPI_MEMBER(link, struct rpi_arrival, link);
        next = link->next;
        if (arrival->peer == worker)
            rpi_inflight_drop_arrival(master, arrival);
    }
    for (struct rpi_link *link = master->inflight.arriving.next, *next;
         link != &master->inflight.arriving; link = next) {
        next = link->next;
        if (RPI_MEMBER(link, struct rpi_arrival, link)->peer != worker)
            continue;
        rpi_list_remove(link);
        rpi_list_append(&master->inflight.aside, link);
    }
}

void rpi_master_died(struct rpi_master *master, int worker, const struct rpi_death *death)
{
    master->roster.deaths[worker] = *death;
}

rp_status rpi_master_lost(struct rpi_master *master, int worker, double now)
{
    master->now = now;
    if (!master->roster.seats[worker].lost)
        rpi_roster_lost(&master->roster, worker);
    rpi_subtasks_lost(master, worker);
    set_arrivals_aside(master, worker);
    clear_outgoing(master, worker);
    rp_status status = give_up_batches(master, worker);
    if (status == RP_OK && !rpi_shared_lost(master, worker))
        status = rpi_no_memory("an answer about shared data");
    rpi_ready_wake(master, worker); /* what it alone may run fails */
    return status;
}

void rpi_master_replaced(struct rpi_master *master, int worker, int64_t pid, double now)
{
    master->now = now;
    rpi_shared_replaced(master, worker);
    rpi_deps_replaced(master, worker);
    rpi_roster_replace(&master->roster, worker, pid);
    rpi_ready_wake(master, worker);
}
