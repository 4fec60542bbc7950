#include "exec/serve.h"

#include "base/backoff.h"
#include "base/bufcache.h"
#include "base/clock.h"
#include "base/membarrier.h"
#include "base/status.h"
#include "exec/fork.h"
#include "exec/shared_io.h"
#include "worker/inbox.h"
#include "worker/worker.h"

#include <stdio.h>
#include <unistd.h>

/* seconds of brief tasks between two looks at the transport; of others STALE */
#define TURN  100e-6
#define STALE 20e-6 /* seconds a finished result waits for others at the most */
/* messages at once: more of them may wait, cancels above all, and must be read before a task
 * starts */
#define MANY        8
#define BRIEF       500e-9 /* seconds: shorter tasks share looks at the clock */
#define BRIEF_TASKS 16     /* tasks per glance, which looks if BRIEF_TICKS have passed */
#define BRIEF_TICKS ((uint64_t)RPI_TICKS_US * 2)

/* A shortage of memory passes: what could not be handed over stays the next effect. */
static void note(struct rpi_serve *server, rp_status status)
{
    if (status == RP_ERR_NOMEM)
        server->shortage = status;
    else if (status != RP_OK)
        server->broken = status;
}

/* A task asks whether it is cancelled: what has come is taken in, so that it can be told. */
static void look_for_news(void *context)
{
    struct rpi_serve *server = context;
    if (server->resume)
        server->resume(server->context);
    (void)rpi_serve_news(server);
    if (server->pause)
        server->pause(server->context);
}

bool rpi_serve_news(struct rpi_serve *server)
{
    struct rpi_events events = rpi_serve_events(server);
    bool any = false;
    rp_status status = server->transport->ops->poll(server->transport, &events, &any);
    if (status != RP_OK)
        server->broken = status;
    if (server->hurries && server->hurries(server->context))
        note(server, rpi_inbox_give_back(&server->worker));
    rpi_worker_flush(&server->worker);
    (void)rpi_serve_pump(server); /* an error is kept in server->broken */
    return any;
}

/* A task runs in its process: the worker has time for the rest. */
static enum rpi_child_look look_around(void *context)
{
    struct rpi_serve *server = context;
    if (server->resume)
        server->resume(server->context);
    bool any = rpi_serve_news(server), is_over = server->broken != RP_OK || server->worker.alone;
    if (server->pause)
        server->pause(server->context);
    return is_over ? RPI_CHILD_LOOK_OVER : any ? RPI_CHILD_LOOK_SOMETHING : RPI_CHILD_LOOK_NOTHING;
}

static uint32_t follow(void *context, struct rpi_task *tasks, uint32_t most)
{
    const struct rpi_serve *server = context;
    return rpi_worker_follow(&server->worker, tasks, most);
}

/* The running chunk is cut, for its own thread or for the answer thread. */
static uint32_t cut(void *context)
{
    struct rpi_serve *server = context;
    if (server->child)
        return rpi_fork_cut(server->child);
    return rpi_mailbox_progress_cut(&server->executor.own,
                                    server->executor.fenced ? NULL : rpi_membarrier_all);
}

rp_status rpi_serve_init(struct rpi_serve *server, const struct rpi_serve_config *config)
{
    struct rpi_worker_config worker = { .alloc = config->alloc,
                                        .batch_limit = config->batch_limit,
                                        .functions = config->registry->count,
                                        .cut = cut,
                                        .context = server };
    *server = (struct rpi_serve){ .transport = config->transport };
    rpi_worker_init(&server->worker, &worker);
    rp_status status = rpi_inline_init(&server->executor, &config->alloc, config->registry,
                                       rpi_wire_inline_limit(config->batch_limit), config->number,
                                       config->host);
    server->executor.call.cancel = &server->worker.cancel;
    server->executor.call.look = look_for_news;
    server->executor.call.look_context = server;
    server->executor.call.seed = config->seed;
    server->executor.call.shared_cache = &server->worker.shared_cache;
    return status;
}

rp_status rpi_serve_initialise(struct rpi_serve *server, uint16_t function, const void *arg,
                               size_t size)
{
    const struct rp_call *call = &server->executor.call;
    struct rpi_task task = { .function = function, .attempt = 1, .arg = arg, .size = size };
    struct rpi_result result;
    rpi_inline_execute(&server->executor, &task, &result);
    if (result.status == RP_OK) {
        rpi_buffer_free(result.owned);
        return RP_OK;
    }
    return rpi_error(RP_ERR_BROKEN, "the initializer %s failed on worker %d (%s) with code %d%s%s",
                     call->name, call->worker, call->host, result.code,
                     result.message[0] ? ": " : "", result.message);
}

rp_status rpi_serve_isolate(struct rpi_serve *server, const struct rpi_isolation *isolation,
                            uint16_t initializer, rp_bytes init_arg,
                            void (*finalizer)(void *worker_data))
{
    const struct rpi_inline *executor = &server->executor;
    const struct rpi_child_config config = { .main = { .alloc = executor->alloc,
                                                       .registry = executor->registry,
                                                       .room = executor->room,
                                                       .number = executor->call.worker,
                                                       .host = executor->call.host,
                                                       .seed = executor->call.seed,
                                                       .initializer = initializer,
                                                       .init_arg = init_arg,
                                                       .finalizer = finalizer,
                                                       .worker = getpid() },
                                             .isolation = *isolation,
                                             .cancel = &server->worker.cancel,
                                             .look = look_around,
                                             .follow = follow,
                                             .context = server };
    return rpi_fork_open(&config, &server->child);
}

static void finalise(struct rpi_serve *server)
{
    pid_t self = getpid();
    server->finalizer(server->executor.worker_data);
    if (getpid() != self)
        rpi_call_came_back("the finalizer", "of a worker's");
}

void rpi_serve_fini(struct rpi_serve *server)
{
    if (server->child)
        rpi_fork_close(server->child, server->broken != RP_OK || server->worker.alone);
    else if (server->finalizer)
        finalise(server);
    rpi_shared_io_end(&server->worker);
    rpi_worker_fini(&server->worker);
    rpi_inline_fini(&server->executor);
}

/* ---- what the transport reports */

static bool on_batch(void *context, int peer, const void *data, size_t size)
{
    struct rpi_serve *server = context;
    (void)peer;
    server->came++;
    rp_status status = rpi_worker_receive(&server->worker, data, size);
    note(server, status);
    return status != RP_ERR_NOMEM;
}

static void on_sent(void *context, void *cookie)
{
    struct rpi_serve *server = context;
    rpi_worker_sent(&server->worker, cookie);
}

static bool on_received(void *context, void *cookie)
{
    struct rpi_serve *server = context;
    rpi_worker_arrived(&server->worker, cookie);
    return true;
}

struct rpi_events rpi_serve_events(struct rpi_serve *server)
{
    return (struct rpi_events){
        .batch = on_batch, .sent = on_sent, .received = on_received, .context = server
    };
}

/* ---- running */

/* The clock's looks of one turn. */
struct turn {
    double began, last; /* seconds; last: what ran before it has its time */
    double sent;        /* the results before it are sent */
    uint64_t ticks;     /* at `last` */
    uint32_t untimed;   /* tasks since `last` */
    uint32_t glanced;   /* the value of `untimed` at the last glance */
};

static void look(struct rpi_serve *server, struct turn *turn)
{
    uint64_t ticks = rpi_ticks();
    double now = rpi_watch_at(&server->watch, ticks);
    if (turn->untimed) {
        rpi_worker_spent(&server->worker, now - turn->last);
        server->brief = now - turn->last < BRIEF * turn->untimed && !server->child;
        turn->untimed = turn->glanced = 0;
    }
    turn->last = now;
    turn->ticks = ticks;
}

/* Short tasks share a look: a count of ticks tells when it is due, for a quarter of its price. */
static void glance(struct rpi_serve *server, struct turn *turn)
{
    if (turn->untimed - turn->glanced < BRIEF_TASKS)
        return;
    turn->glanced = turn->untimed;
    if (rpi_ticks() - turn->ticks > BRIEF_TICKS)
        look(server, turn);
}

static void flush(struct rpi_serve *server, struct turn *turn)
{
    rpi_worker_flush(&server->worker);
    (void)rpi_serve_pump(server); /* an error is kept in server->broken */
    turn->sent = turn->last;
}

/* A task's children go before its result, which commits them. */
static bool put_children(struct rpi_serve *server, struct turn *turn,
                         const struct rpi_result *result)
{
    const uint8_t *at = result->children;
    for (uint32_t i = 0; i < result->children_count; i++) {
        uint32_t size = rpi_frame_size(at[11], rpi_get32(at + 12));
        if (!rpi_worker_fits_frame(&server->worker, size)) {
            look(server, turn);
            flush(server, turn);
        }
        if (!rpi_worker_make_room(&server->worker))
            return false;
        rpi_worker_put_frame(&server->worker, at, size);
        at += size;
    }
    return true;
}

/* Whether the next one is done too: a process has done both since it was last waited for. */
static bool came_together(const struct rpi_serve *server)
{
    return server->child && rpi_child_is_next_done(server->child);
}

static void finish(struct rpi_serve *server, struct turn *turn, const struct rpi_task *task,
                   struct rpi_result *result)
{
    if (result->status == RP_OK && result->children_count && !put_children(server, turn, result)) {
        rpi_buffer_free(result->owned);
        *result = (struct rpi_result){ .status = RP_ERR_TASK,
                                       .code = RP_ERR_NOMEM,
                                       .message = "the worker has no memory for spawned tasks" };
    }
    double ran = -1;
    if (task->cancelled) {
        ran = 0; /* it says nothing about the others */
    } else if (!came_together(server) && (task->is_chunk || result->owned || !server->brief)) {
        if (turn->untimed == 0) {
            double now = rpi_watch_look(&server->watch);
            ran = now - turn->last;
            turn->last = now;
            server->brief = ran < BRIEF && !task->is_chunk && !server->child;
        } else {
            turn->untimed++;
            look(server, turn);
            turn->untimed = 0;
        }
    } else {
        turn->untimed++;
    }
    if (!rpi_worker_fits(&server->worker, result)) {
        look(server, turn);
        flush(server, turn);
    }
    rpi_worker_done(&server->worker, task, result, ran);
}

/* Data that the task was promised cannot be had on this host. */
static void refuse(struct rpi_serve *server, const struct rpi_task *task, struct rpi_result *result)
{
    char *text = server->executor.call.message;
    (void)snprintf(text, sizeof server->executor.call.message,
                   "the worker has no memory for the shared data \"%s\"", task->missing);
    *result = (struct rpi_result){ .status = RP_ERR_TASK, .code = RP_ERR_NOMEM, .message = text };
}

static void execute(struct rpi_serve *server, const struct rpi_task *task,
                    struct rpi_result *result)
{
    if (task->cancelled) {
        *result = (struct rpi_result){ .status = RP_ERR_CANCELLED,
                                       .code = RP_ERR_CANCELLED,
                                       .message = "" };
        return;
    }
    if (task->missing) {
        refuse(server, task, result);
        return;
    }
    rpi_inline_expect(&server->executor, task);
    if (server->pause)
        server->pause(server->context);
    rpi_handoff_out(&server->handoff);
    if (server->child)
        rpi_fork_execute(server->child, task, &server->worker.shared_cache, result);
    else
        rpi_inline_execute(&server->executor, task, result);
    rpi_handoff_back(&server->handoff);
    if (server->resume)
        server->resume(server->context);
}

/* The next task; the shared data it needs are seen to. */
static bool next(struct rpi_serve *server, struct rpi_task *task)
{
    if (rpi_worker_next(&server->worker, task))
        return true;
    if (!server->worker.shared_cache.work)
        return false;
    rpi_shared_io(&server->worker, server->child);
    if (server->worker.shared_cache.work) /* only memory for the word about it was missing */
        note(server, RP_ERR_NOMEM);
    (void)rpi_serve_pump(server); /* an error is kept in server->broken */
    return rpi_worker_next(&server->worker, task);
}

/* Whether results wait to be sent, or the transport to be looked at. */
static bool is_due(const struct rpi_serve *server, const struct turn *turn)
{
    return turn->last - turn->sent > STALE ||
           turn->last - turn->began >= (server->brief ? TURN : STALE);
}

/* Runs tasks up to the first that is not plain in itself or in its outcome, as nearly all are;
 * returns how many ran. */
static uint32_t run_plain(struct rpi_serve *server, struct turn *turn, uint32_t most)
{
    struct rpi_task *task = &server->plain;
    struct rpi_result result = { .status = RP_OK };
    uint32_t count = 0;
    *task = (struct rpi_task){ 0 };
    while (count < most && !is_due(server, turn) && rpi_worker_next_plain(&server->worker, task)) {
        rpi_handoff_out(&server->handoff);
        const void *plain = rpi_inline_execute_plain(&server->executor, task, &result);
        rpi_handoff_back(&server->handoff);
        count++;
        if (!plain) {
            finish(server, turn, task, &result);
            break;
        }
        rpi_worker_done_plain(&server->worker, task, plain);
        turn->untimed++;
        glance(server, turn);
    }
    return count;
}

/* Tasks that the process was given are awaited before any message is read that may concern them. */
static bool goes_on(const struct rpi_serve *server, const struct turn *turn, bool more)
{
    if (server->child && rpi_child_has_next(server->child))
        return true;
    return more && turn->last - turn->began < (server->brief ? TURN : STALE);
}

uint32_t rpi_serve_run(struct rpi_serve *server, uint32_t most)
{
    struct rpi_task *const task = &server->task;
    struct rpi_result result;
    uint32_t count = 0;
    if (!next(server, task)) {
        note(server, server->worker.starved ? RP_ERR_NOMEM : RP_OK);
        return 0;
    }
    struct turn turn = { .ticks = rpi_ticks() };
    turn.began = turn.last = turn.sent = rpi_watch_at(&server->watch, turn.ticks);
    do {
        if (task->is_chunk && turn.untimed)
            look(server, &turn);
        execute(server, task, &result);
        finish(server, &turn, task, &result);
        count++;
        if (server->brief && !server->child && !server->pause)
            count += run_plain(server, &turn, most - count);
        if (!server->child)
            glance(server, &turn);
        if (turn.last - turn.sent > STALE)
            flush(server, &turn);
    } while (goes_on(server, &turn, count < most) && next(server, task));
    look(server, &turn);
    flush(server, &turn);
    return count;
}

rp_status rpi_serve_pump(struct rpi_serve *server)
{
    struct rpi_transport *transport = server->transport;
    struct rpi_worker *worker = &server->worker;
    rp_status status = server->broken;
    struct rpi_batch *batch;
    struct rpi_arrival *arrival;
    while (status == RP_OK && (arrival = rpi_worker_incoming(worker))) {
        status = transport->ops->receive_large(transport, 0, arrival->buffer, arrival->size,
                                               arrival);
        if (status == RP_ERR_NOMEM)
            rpi_worker_unposted(worker, arrival);
    }
    while (status == RP_OK && (batch = rpi_worker_outgoing(worker))) {
        uint16_t done;
        status = rpi_batch_send(batch, transport, &done);
        if (status == RP_ERR_NOMEM)
            rpi_worker_unsent(worker, batch);
        for (; done > 0; done--)
            rpi_worker_sent(worker, batch);
    }
    note(server, status);
    return server->broken;
}

static rp_status say_goodbye(struct rpi_serve *server)
{
    uint8_t bytes[RPI_BATCH_HEADER];
    struct rpi_writer writer;
    bool done = false;
    rpi_writer_open(&writer, bytes, sizeof bytes);
    rpi_writer_close(&writer, RPI_STOP, 0);
    struct rpi_batch *batch = server->worker.spare ? server->worker.spare
                                                   : rpi_batch_get(&server->worker.batches);
    if (!batch)
        return rpi_no_memory("a worker's goodbye");
    server->worker.spare = NULL;
    memcpy(batch->bytes, bytes, sizeof bytes);
    batch->sends = 1;
    rp_status status = server->transport->ops->send(server->transport, 0, batch->bytes,
                                                    sizeof bytes, batch, &done);
    if (done)
        rpi_worker_sent(&server->worker, batch);
    if (status == RP_ERR_NOMEM)
        server->worker.spare = batch;
    return status;
}

/* Nothing was found: looks again for some tens of microseconds, then sleeps briefly; after
 * RPI_BACKOFF_DROWSY seconds and one more look (`dozing`) it sleeps long, unless rank 0 rings. */
static void wait_for_news(struct rpi_serve *server, struct rpi_backoff *backoff, bool *dozing)
{
    struct rpi_transport *transport = server->transport;
    if (*dozing) {
        double began = rpi_now(), limit = rpi_backoff_rest(backoff);
        if (limit >= RPI_BACKOFF_IDLE_MOST)
            rpi_bufcache_trim(server->worker.config.alloc.cache);
        transport->ops->park(transport, limit);
        if (rpi_now() < began + limit)
            rpi_backoff_rouse(backoff);
        *dozing = false;
    } else if (server->shortage == RP_OK && rpi_backoff_is_drowsy(backoff) &&
               transport->ops->doze(transport)) {
        *dozing = true;
    } else {
        server->shortage = RP_OK;
        backoff->moving = transport->moving;
        rpi_backoff_wait(backoff);
    }
}

rp_status rpi_serve_loop(struct rpi_serve *server)
{
    struct rpi_transport *transport = server->transport;
    struct rpi_events events = rpi_serve_events(server);
    struct rpi_backoff backoff = { .crowded = transport->crowd > 1 };
    bool said = false, dozing = false;
    while (!said || !rpi_worker_finished(&server->worker)) {
        bool any = false;
        rp_status status = RP_OK;
        if (server->child) /* some are left only where there was no memory for their results */
            server->worker.ahead = (uint16_t)rpi_child_hold(server->child);
        transport->hasty = rpi_backoff_spins(&backoff);
        do {
            server->came = 0;
            status = transport->ops->poll(transport, &events, &any);
        } while (status == RP_OK && server->came >= MANY);
        server->worker.ahead = 0;
        if (status != RP_OK)
            return status;
        if (rpi_serve_pump(server) != RP_OK)
            return server->broken;
        if (server->worker.alone)
            return rpi_error(RP_ERR_BROKEN,
                             "rank 0 says that the pool has failed; its own message tells why");
        if (rpi_serve_run(server, UINT32_MAX) || any) {
            rpi_backoff_reset(&backoff);
            dozing = false;
        } else if (!said && rpi_worker_finished(&server->worker)) {
            status = say_goodbye(server);
            if (status != RP_OK && status != RP_ERR_NOMEM) /* which passes: rank 0 waits for it */
                return status;
            said = status == RP_OK;
        } else {
            if (server->child)
                rpi_postmortem_tail_forward(&server->child->tail);
            wait_for_news(server, &backoff, &dozing);
        }
    }
    return RP_OK;
}
