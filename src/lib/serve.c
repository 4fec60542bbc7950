#include "serve.h"

#include "clock.h"
#include "status.h"
#include "supply.h"

#include <stdio.h>

#define TURN        100e-6 /* seconds of tasks between two looks at the transport */
#define STALE       20e-6  /* seconds a finished result waits for others at the most */
#define BRIEF       500e-9 /* seconds: shorter tasks share looks at the clock */
#define BRIEF_TASKS 16     /* so many */

/* A task asks whether it is cancelled: what has come is taken in, so that it can be told. */
static void look_for_news(void *context)
{
    struct rpi_server *server = context;
    struct rpi_events events = rpi_server_events(server);
    bool any = false;
    if (server->resume)
        server->resume(server->context);
    rp_status status = server->transport->ops->poll(server->transport, &events, &any);
    if (status != RP_OK)
        server->broken = status;
    (void)rpi_server_pump(server); /* an error is kept in server->broken */
    if (server->pause)
        server->pause(server->context);
}

rp_status rpi_server_init(struct rpi_server *server, const struct rpi_server_config *config)
{
    struct rpi_worker_config worker = { .alloc = config->alloc,
                                        .batch_limit = config->batch_limit,
                                        .functions = config->registry->count };
    *server = (struct rpi_server){ .transport = config->transport };
    rpi_worker_init(&server->worker, &worker);
    rp_status status = rpi_executor_init(&server->executor, &config->alloc, config->registry,
                                         rpi_inline_limit(config->batch_limit), config->number, config->host);
    server->executor.call.cancel = &server->worker.cancel;
    server->executor.call.look = look_for_news;
    server->executor.call.look_context = server;
    server->executor.call.seed = config->seed;
    server->executor.call.catalogue = &server->worker.catalogue;
    return status;
}

rp_status rpi_server_initialise(struct rpi_server *server, uint16_t function, const void *arg, size_t size)
{
    const struct rp_call *call = &server->executor.call;
    struct rpi_task task = { .function = function, .attempt = 1, .arg = arg, .size = size };
    struct rpi_result result;
    rpi_execute_inline(&server->executor, &task, &result);
    if (result.status == RP_OK) {
        rpi_buffer_free(result.owned);
        return RP_OK;
    }
    return rpi_error(RP_ERR_BROKEN, "the initializer %s failed on worker %d (%s) with code %d%s%s", call->name,
                     call->worker, call->host, result.code, result.message[0] ? ": " : "", result.message);
}

void rpi_server_fini(struct rpi_server *server)
{
    if (server->finalizer)
        server->finalizer(server->executor.worker_data);
    rpi_supply_end(&server->worker);
    rpi_worker_fini(&server->worker);
    rpi_executor_fini(&server->executor);
}

/* ---- what the transport reports */

/* A shortage of memory passes: what could not be handed over stays the next effect. */
static void note(struct rpi_server *server, rp_status status)
{
    if (status == RP_ERR_NOMEM)
        server->shortage = status;
    else if (status != RP_OK)
        server->broken = status;
}

static bool on_batch(void *context, int peer, const void *data, size_t size)
{
    struct rpi_server *server = context;
    (void)peer;
    rp_status status = rpi_worker_receive(&server->worker, data, size);
    note(server, status);
    return status != RP_ERR_NOMEM;
}

static void on_sent(void *context, void *cookie)
{
    struct rpi_server *server = context;
    rpi_worker_sent(&server->worker, cookie);
}

static bool on_received(void *context, void *cookie)
{
    struct rpi_server *server = context;
    rpi_worker_arrived(&server->worker, cookie);
    return true;
}

struct rpi_events rpi_server_events(struct rpi_server *server)
{
    return (struct rpi_events){ .batch = on_batch, .sent = on_sent, .received = on_received, .context = server };
}

/* ---- running */

/* The clock's looks of one turn. */
struct turn {
    double began, last; /* seconds; last: what ran before it has its time */
    double sent;        /* the results before it are sent */
    uint32_t untimed;   /* tasks since `last` */
};

static void look(struct rpi_server *server, struct turn *turn)
{
    double now = rpi_now();
    if (turn->untimed) {
        rpi_worker_spent(&server->worker, now - turn->last);
        server->brief = now - turn->last < BRIEF * turn->untimed;
        turn->untimed = 0;
    }
    turn->last = now;
}

static void flush(struct rpi_server *server, struct turn *turn)
{
    rpi_worker_flush(&server->worker);
    (void)rpi_server_pump(server); /* an error is kept in server->broken */
    turn->sent = turn->last;
}

/* A task's children go before its result, which says that they are to be. */
static bool put_children(struct rpi_server *server, struct turn *turn)
{
    const struct rp_call *call = &server->executor.call;
    const uint8_t *at = call->children;
    for (uint32_t i = 0; i < call->children_count; i++) {
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

static void finish(struct rpi_server *server, struct turn *turn, const struct rpi_task *task, struct rpi_result *result)
{
    if (result->status == RP_OK && server->executor.call.children_count && !task->cancelled &&
        !put_children(server, turn)) {
        rpi_buffer_free(result->owned);
        *result = (struct rpi_result){ .status = RP_ERR_TASK,
                                       .code = RP_ERR_NOMEM,
                                       .message = "the worker has no memory for spawned tasks" };
    }
    double ran = -1;
    if (task->cancelled) {
        ran = 0; /* it says nothing about the others */
    } else if (task->is_chunk || result->owned || !server->brief) {
        if (turn->untimed == 0) {
            double now = rpi_now();
            ran = now - turn->last;
            turn->last = now;
            server->brief = ran < BRIEF && !task->is_chunk;
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
static void refuse(struct rpi_server *server, const struct rpi_task *task, struct rpi_result *result)
{
    char *text = server->executor.call.message;
    (void)snprintf(text, sizeof server->executor.call.message, "the worker has no memory for the shared data \"%s\"",
                   task->missing);
    *result = (struct rpi_result){ .status = RP_ERR_TASK, .code = RP_ERR_NOMEM, .message = text };
}

static void execute(struct rpi_server *server, const struct rpi_task *task, struct rpi_result *result)
{
    if (task->cancelled) {
        *result = (struct rpi_result){ .status = RP_ERR_CANCELLED, .code = RP_ERR_CANCELLED, .message = "" };
        return;
    }
    if (task->missing) {
        refuse(server, task, result);
        return;
    }
    if (server->pause)
        server->pause(server->context);
    rpi_execute_inline(&server->executor, task, result);
    if (server->resume)
        server->resume(server->context);
}

/* The next task; the shared data it needs are seen to. */
static bool next(struct rpi_server *server, struct rpi_task *task)
{
    if (rpi_worker_next(&server->worker, task))
        return true;
    if (!server->worker.catalogue.work)
        return false;
    rpi_supply(&server->worker);
    if (server->worker.catalogue.work) /* it would be done, but for memory for the word about it */
        note(server, RP_ERR_NOMEM);
    (void)rpi_server_pump(server); /* an error is kept in server->broken */
    return rpi_worker_next(&server->worker, task);
}

uint32_t rpi_server_run(struct rpi_server *server, uint32_t most)
{
    struct rpi_task task;
    struct rpi_result result;
    uint32_t count = 0;
    if (!next(server, &task)) {
        note(server, server->worker.starved ? RP_ERR_NOMEM : RP_OK);
        return 0;
    }
    struct turn turn = { .began = rpi_now() };
    turn.last = turn.sent = turn.began;
    do {
        if (task.is_chunk && turn.untimed)
            look(server, &turn);
        execute(server, &task, &result);
        finish(server, &turn, &task, &result);
        if (turn.untimed >= BRIEF_TASKS)
            look(server, &turn);
        if (turn.last - turn.sent > STALE)
            flush(server, &turn);
    } while (++count < most && turn.last - turn.began < TURN && next(server, &task));
    look(server, &turn);
    flush(server, &turn);
    return count;
}

rp_status rpi_server_pump(struct rpi_server *server)
{
    struct rpi_transport *transport = server->transport;
    struct rpi_worker *worker = &server->worker;
    rp_status status = server->broken;
    struct rpi_batch *batch;
    struct rpi_arrival *arrival;
    while (status == RP_OK && (arrival = rpi_worker_incoming(worker))) {
        status = transport->ops->receive_large(transport, 0, arrival->buffer, arrival->size, arrival);
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

static rp_status say_goodbye(struct rpi_server *server)
{
    uint8_t bytes[RPI_BATCH_HEADER];
    struct rpi_writer writer;
    bool done = false;
    rpi_writer_open(&writer, bytes, sizeof bytes);
    rpi_writer_close(&writer, RPI_STOP, 0);
    struct rpi_batch *batch = server->worker.spare ? server->worker.spare : rpi_batch_get(&server->worker.batches);
    if (!batch)
        return rpi_no_memory("a worker's goodbye");
    server->worker.spare = NULL;
    memcpy(batch->bytes, bytes, sizeof bytes);
    batch->sends = 1;
    rp_status status = server->transport->ops->send(server->transport, 0, batch->bytes, sizeof bytes, batch, &done);
    if (done)
        rpi_worker_sent(&server->worker, batch);
    return status;
}

rp_status rpi_server_loop(struct rpi_server *server)
{
    struct rpi_transport *transport = server->transport;
    struct rpi_events events = rpi_server_events(server);
    struct rpi_patience patience = { .crowded = transport->crowded };
    bool said = false;
    while (!said || !rpi_worker_finished(&server->worker)) {
        bool any = false;
        rp_status status = transport->ops->poll(transport, &events, &any);
        if (status != RP_OK)
            return status;
        if (rpi_server_pump(server) != RP_OK)
            return server->broken;
        if (server->worker.alone)
            return rpi_error(RP_ERR_BROKEN, "rank 0 says that the pool has failed; its own message tells why");
        if (rpi_server_run(server, UINT32_MAX) || any)
            rpi_patience_reset(&patience);
        else if (!said && rpi_worker_finished(&server->worker)) {
            status = say_goodbye(server);
            if (status != RP_OK)
                return status;
            said = true;
        } else
            rpi_patience_wait(&patience);
    }
    return RP_OK;
}
