/* The workers' side: the task functions, and a worker's turns, after src/lib/exec/serve.c but in
 * virtual time. */
#include "inside.h"

#include <stdlib.h>

#define TURN  100e-6 /* seconds of tasks between two looks at the transport */
#define CARE  0.5e-3 /* seconds into a task until its worker's caretaker takes over */
#define STALE 20e-6  /* seconds a finished result waits for others */

static struct sim *playing; /* the run that the task functions are in */

/* ---- task functions */

static rp_status fail(rp_call *call, const struct promise *promise)
{
    char message[RPI_MESSAGE_MAX + 1];
    promise_message(promise, message);
    return rp_fail(call, promise->code, "%s", message);
}

static rp_status give(rp_call *call, const struct promise *promise)
{
    void *room = promise->kind == PROMISE_RESERVE ? rp_reserve(call, promise->size)
                                                  : test_room(NULL, promise->size);
    if (!room)
        return RP_OK; /* refused memory: the pool makes it a failure by itself */
    pattern_fill(room, promise->size, promise->pattern);
    if (promise->kind == PROMISE_RESERVE)
        return RP_OK;
    (void)rp_return(call, room, promise->size);
    free(room);
    return RP_OK;
}

/* What it comes after has given this. */
static void check_inputs(struct model *model, uint64_t number, const rp_call *call)
{
    const struct model_task *task = model->tasks[number];
    for (uint32_t i = 0; i < task->after_count; i++) {
        const struct model_task *input = model->tasks[task->after[i]];
        const struct promise *promise = &input->last.promise;
        size_t size = 77, expected = input->map ? 0 : promise->size;
        const void *data = rp_input(call, i, &size);
        if (size != expected || (size == 0) != (data == NULL) ||
            !pattern_matches(data, size, promise->pattern))
            model_fail(model, "task %llu: its input %u of %zu bytes came with %zu",
                       (unsigned long long)number, i, expected, size);
    }
    if (rp_input(call, task->after_count, NULL))
        model_fail(model, "task %llu has an input too many", (unsigned long long)number);
}

/* Looks for news, as rp_cancelled does in a task of some length. */
static void look(struct sim *sim, int worker, double until)
{
    struct sim_event event;
    while (!sim->model.violation[0] &&
           transport_sim_next_at(&sim->transport, worker, until, &event))
        sim_deliver(sim, &event);
    work_pump(sim, worker, until);
}

static rp_status play(rp_call *call, const void *arg, size_t size)
{
    struct model *model = &playing->model;
    rp_call_info info = RP_CALL_INFO_INIT;
    rp_call_info_of(call, &info);
    uint64_t item = playing->item++;
    if (playing->poisoned)
        return RP_OK;
    uint64_t number = model_find(model, info.task);
    model_begin(model, number, item, (uint32_t)info.attempt, arg, size);
    if (model->violation[0])
        return RP_OK;
    struct model_task *task = model->tasks[number];
    struct promise promise = model_promise(task, item, task->map ? 1 : (uint32_t)info.attempt);
    if (task->poison && (!task->map || item == task->poison_item) &&
        faults_kill_by(playing, info.worker, call, item)) {
        playing->poisoned = true;
        return RP_OK;
    }
    check_inputs(model, number, call);
    if (playing->plan.shares > 0)
        shares_check(playing, call, task);
    if (chance_is(&playing->chance, 0.1))
        look(playing, info.worker, playing->until);
    if (rp_cancelled(call) && !task->cancel_asked && !playing->workers[info.worker].told)
        model_fail(model, "task %llu must stop, but was not cancelled", (unsigned long long)number);
    rp_status spawned = task->spawns ? spawns_play(playing, call, task, (uint32_t)info.attempt)
                                     : RP_OK;
    if (rp_cancelled(call) && !task->map && chance_is(&playing->chance, 0.5)) {
        playing->obeyed = true;
        return RP_ERR_CANCELLED;
    }
    if (spawned != RP_OK)
        return spawned;
    switch (promise.kind) {
    case PROMISE_FAIL:
        return fail(call, &promise);
    case PROMISE_CODE:
        return (rp_status)promise.code;
    case PROMISE_CANCEL:
        return RP_ERR_CANCELLED;
    case PROMISE_RETURN:
    case PROMISE_RESERVE:
        return give(call, &promise);
    }
    return RP_OK;
}

#define PLAY(name)                                                                                 \
    static rp_status name(rp_call *call, const void *arg, size_t size)                             \
    {                                                                                              \
        return play(call, arg, size);                                                              \
    }                                                                                              \
    struct swallow_semicolon
PLAY(tiny);
PLAY(brief);
PLAY(mixed);
PLAY(tailed);

void work_register(void)
{
    static const struct {
        const char *name;
        rp_fn *fn;
    } functions[MODEL_FUNCTIONS] = {
        { "a_tiny", tiny }, { "b_brief", brief }, { "c_mixed", mixed }, { "d_tailed", tailed }
    };
    for (int i = 0; i < MODEL_FUNCTIONS; i++)
        if (rp_register(functions[i].name, functions[i].fn) != RP_OK)
            abort();
}

uint64_t sim_shape_count(enum sim_shape shape)
{
    static const uint64_t counts[SIM_SHAPES] = { 0, 24, 10040, 100, 100, 100, 100, 200 };
    return counts[shape];
}

double sim_shape_seconds(enum sim_shape shape, uint64_t item)
{
    const double nothing = 100e-9;
    uint64_t count = sim_shape_count(shape);
    switch (shape) {
    case SIM_HALF:
        return item < count / 2 ? nothing : 100e-3;
    case SIM_MOSTLY:
        return item < count - 40 ? nothing : 50e-3;
    case SIM_RAMP:
        return nothing + 1e-3 * (double)item;
    case SIM_FIRST:
        return item == 0 ? 200e-3 : 5e-3;
    case SIM_MIDDLE:
        return item == count / 2 ? 200e-3 : 5e-3;
    case SIM_LAST:
        return item == count - 1 ? 200e-3 : 5e-3;
    case SIM_TENS:
        return item / 10 % 2 ? 20e-3 : nothing;
    case SIM_SHAPELESS:
    case SIM_SHAPES:
        break;
    }
    return 0;
}

double sim_duration(const struct sim_plan *plan, int function, uint64_t number, uint64_t item)
{
    struct chance chance = { chance_mix(chance_mix(plan->seed, number), item + 1) };
    if (plan->shape)
        return sim_shape_seconds(plan->shape, item);
    if (plan->hidden == number + 1)
        return plan->hidden_for;
    if (plan->mean > 0)
        return chance_lognormal(&chance, plan->mean, plan->spread);
    switch (function) {
    case 0:
        return 50e-9 + 250e-9 * chance_unit(&chance);
    case 1:
        return chance_exponential(&chance, 10e-6);
    case 2:
        return chance_is(&chance, 0.05) ? 1e-3 : 2e-6;
    default:
        return chance_lognormal(&chance, 2e-3, 1.2);
    }
}

/* ---- turns */

static void add_turn(struct sim *sim, int worker, double at)
{
    transport_sim_add(
        &sim->transport,
        (struct sim_event){ .at = at, .kind = SIM_TURN, .side = SIM_WORKER, .worker = worker });
}

struct turn {
    double began, now, sent; /* seconds */
};

void work_pump(struct sim *sim, int worker, double now)
{
    struct rpi_worker *engine = &sim->workers[worker].engine;
    struct rpi_arrival *arrival;
    struct rpi_batch *batch;
    while ((arrival = rpi_worker_incoming(engine)))
        transport_sim_post(&sim->transport, SIM_WORKER, worker, arrival, now);
    while ((batch = rpi_worker_outgoing(engine))) {
        if (batch->peer != 0 || batch->size > sim->plan.batch_limit)
            model_fail(&sim->model, "worker %d sends %u bytes to peer %d", worker, batch->size,
                       batch->peer);
        sim->report->messages++;
        sim->report->pieces += batch->piece_count;
        transport_sim_send(&sim->transport, SIM_WORKER, worker, batch, now);
        if (sim_fault_now(sim, SIM_TOUCH_SENT))
            batch->bytes[batch->size - 1] ^= 1;
    }
}

static void flush(struct sim *sim, int worker, struct turn *turn)
{
    rpi_worker_flush(&sim->workers[worker].engine);
    work_pump(sim, worker, turn->now);
    turn->sent = turn->now;
}

static struct model_task *task_of(const struct sim *sim, const struct rpi_task *task)
{
    return sim->model
        .tasks[model_find(&sim->model, task->number)]; /* the master's check has seen it */
}

/* Takes down what a run came to; what it was to come to is known, unless memory was refused. */
static void judge(struct sim *sim, const struct rpi_task *task, const struct rpi_result *result,
                  bool refused)
{
    struct model_task *expected = task_of(sim, task);
    struct model_run run = { 0 }, *last = &run;
    if (expected->map) {
        for (uint64_t i = 0; refused && i < task->chunk.count; i++)
            expected->map->refused[task->chunk.first + i] = true;
        return;
    }
    last->promise = model_promise(expected, 0, task->attempt);
    last->status = promise_status(&last->promise, &last->code);
    if (refused && result->status == RP_ERR_TASK && result->code == RP_ERR_NOMEM) {
        last->status = RP_ERR_TASK; /* though it obeyed: it had been refused a child before */
        last->code = RP_ERR_NOMEM;
    } else if (task->cancelled || sim->obeyed) {
        last->status = RP_ERR_CANCELLED;
        last->code = result->code;
    }
    run.worker = sim->running_at;
    expected->tries[task->attempt % 64] = run;
    if (!expected->settled && task->attempt == expected->handed)
        expected->last = run;
    if (result->status != last->status || result->code != last->code)
        model_fail(&sim->model, "task %llu: its run came to status %d, code %d",
                   (unsigned long long)expected->place, result->status, result->code);
}

static double duration_of(const struct sim *sim, const struct rpi_task *task)
{
    const struct model_task *known = task_of(sim, task);
    if (!task->is_chunk)
        return sim_duration(&sim->plan, known->function, known->place, 0);
    double seconds = 0;
    for (uint64_t i = 0; i < task->chunk.count; i++)
        seconds += sim_duration(&sim->plan, known->function, known->place, task->chunk.first + i);
    return seconds;
}

/* There is no room for the data that it sees: for it this is a run, and its function hears nothing
 * of it. */
static void refuse(struct sim *sim, const struct rpi_task *task, struct rpi_result *result)
{
    uint8_t *arg = task->is_chunk ? NULL
                                  : test_room(NULL, task->size); /* aligned, as for its function */
    if (arg) {
        memcpy(arg, task->arg, task->size);
        model_begin(&sim->model, task_of(sim, task)->place, 0, task->attempt, arg, task->size);
    }
    free(arg);
    *result = (struct rpi_result){ .status = RP_ERR_TASK,
                                   .code = RP_ERR_NOMEM,
                                   .message = "no room" };
}

static void execute(struct sim *sim, struct sim_worker *self, const struct rpi_task *task,
                    struct rpi_result *result)
{
    const void *data;
    playing = sim;
    sim->obeyed = sim->poisoned = false;
    if (!self->pending)
        rpi_inline_expect(&self->executor, task);
    sim->item = task->is_chunk ? task->chunk.first : 0;
    if (task->missing) {
        refuse(sim, task, result);
        return;
    }
    if (self->plain && (data = rpi_inline_execute_plain(&self->executor, task, result)))
        *result = (struct rpi_result){ .status = RP_OK, .data = data, .size = RPI_SMALL_RESULT };
    else if (self->plain)
        self->plain = false;
    else if (!task->cancelled)
        rpi_inline_execute(&self->executor, task, result);
    else if (task_of(sim, task)->cancel_asked)
        *result = (struct rpi_result){ .status = RP_ERR_CANCELLED, .message = "" };
    else
        model_fail(&sim->model, "task %llu came cancelled, but was not",
                   (unsigned long long)task->number);
}

/* A task's children go before its result; in between they may be sent, and the worker may die.
 * false: no memory. */
static bool put_children(struct sim *sim, int worker, struct turn *turn)
{
    struct sim_worker *self = &sim->workers[worker];
    const uint8_t *at = self->result.children;
    for (uint32_t i = 0; i < self->result.children_count; i++) {
        uint32_t size = rpi_frame_size(at[11], rpi_get32(at + 12));
        if (!rpi_worker_fits_frame(&self->engine, size) || chance_is(&sim->chance, 0.02))
            flush(sim, worker, turn);
        if (!rpi_worker_make_room(&self->engine))
            return false;
        rpi_worker_put_frame(&self->engine, at, size);
        at += size;
    }
    if (chance_is(&sim->chance, 0.2))
        flush(sim, worker, turn);
    if (chance_is(&sim->chance, 5 * sim->plan.deaths) && faults_kill(sim, worker))
        sim->report->parted++;
    return self->dead || rpi_worker_make_room(&self->engine);
}

static bool finish_children(struct sim *sim, int worker, struct turn *turn)
{
    struct sim_worker *self = &sim->workers[worker];
    if (self->result.status != RP_OK || !self->result.children_count)
        return true;
    bool put = put_children(sim, worker, turn);
    if (put && !self->dead)
        return true;
    rpi_buffer_free(self->result.owned);
    if (self->dead)
        return false;
    self->result = (struct rpi_result){ .status = RP_ERR_TASK,
                                        .code = RP_ERR_NOMEM,
                                        .message = "no memory" };
    sim->running_at = worker;
    judge(sim, &self->task, &self->result, true);
    return true;
}

/* Runs it, all at once. */
static void run_now(struct sim *sim, int worker, struct rpi_task *task)
{
    struct sim_worker *self = &sim->workers[worker];
    struct rpi_result result = { .status = RP_OK };
    uint64_t refused = sim->memory.refused;
    sim->running_at = worker;
    execute(sim, self, task, &result);
    self->pending = false;
    if (sim->model.violation[0] || self->dead) {
        rpi_buffer_free(result.owned);
        return;
    }
    if (task->is_chunk)
        task->chunk.count = self->engine.running.chunk.count;
    judge(sim, task, &result, sim->memory.refused != refused || task->missing);
    self->task = *task;
    self->result = result;
}

/* The task that was begun is done. */
static void finish(struct sim *sim, int worker, struct turn *turn)
{
    struct sim_worker *self = &sim->workers[worker];
    struct rpi_task *task = &self->task;
    bool timed = task->is_chunk || self->in_task || chance_is(&sim->chance, 0.5);
    self->in_task = false;
    if (self->pending) {
        struct rpi_task chunk = *task;
        sim->until = turn->now;
        run_now(sim, worker, &chunk);
        if (sim->model.violation[0] || self->dead)
            return;
    }
    if (!finish_children(sim, worker, turn))
        return;
    if (!rpi_worker_fits(&self->engine, &self->result))
        flush(sim, worker, turn);
    if (self->plain && !timed)
        rpi_worker_done_plain(&self->engine, task, self->result.data);
    else
        rpi_worker_done(&self->engine, task, &self->result, timed ? self->ran : -1);
    if (!timed)
        rpi_worker_spent(&self->engine, self->ran);
}

void work_abandon(struct sim_worker *worker)
{
    if (worker->in_task && !worker->pending)
        rpi_buffer_free(worker->result.owned);
    worker->in_task = worker->pending = false;
}

/* Of one whose functions were not called yet: by the time they take. */
uint32_t work_cut(void *context)
{
    struct sim_worker *self = context;
    struct sim *sim = self->sim;
    const struct rpi_task *task = &self->task;
    if (!self->pending)
        return rpi_mailbox_progress_cut(&self->executor.own, NULL);
    const struct model_task *known = task_of(sim, task);
    double end = self->began;
    uint32_t items = 0;
    while (items < self->engine.running.chunk.count && (items == 0 || end <= sim->now))
        end += sim_duration(&sim->plan, known->function, known->place, task->chunk.first + items++);
    atomic_store(&self->executor.own.item, items - 1);
    if (end < self->busy_until) {
        self->busy_until = end;
        self->ran = end - self->began;
        add_turn(sim, (int)(self - sim->workers), end > sim->now ? end : sim->now);
    }
    return rpi_mailbox_progress_cut(&self->executor.own, NULL);
}

bool work_interrupted(struct sim *sim, const struct sim_event *event)
{
    struct sim_worker *self = &sim->workers[event->worker];
    if (!self->in_task || event->at >= self->busy_until)
        return false;
    if (event->kind ==
        SIM_TURN) { /* its caretaker's first look: what was done before the task is sent */
        if (!self->silent) {
            rpi_worker_flush(&self->engine);
            work_pump(sim, event->worker, sim->now);
        }
        return false;
    }
    if (event->at < self->looks_at) {
        struct sim_event later = *event;
        later.at = self->looks_at < self->busy_until ? self->looks_at : self->busy_until;
        transport_sim_add(&sim->transport, later);
        return true;
    }
    rpi_worker_flush(&self->engine);
    sim_deliver(sim, event);
    work_pump(sim, event->worker, sim->now);
    return true;
}

static void run_one(struct sim *sim, int worker, const struct rpi_task *given, struct turn *turn)
{
    struct sim_worker *self = &sim->workers[worker];
    struct rpi_task task = *given;
    double ran = task.cancelled ? 0 : duration_of(sim, &task);
    bool is_long = sim->plan.answers && ran > CARE;
    self->began = turn->now;
    sim->until = turn->now + ran;
    if (is_long && task.is_chunk && !task.missing) { /* what is cut from it meanwhile never runs */
        rpi_inline_expect(&self->executor, &task);
        self->pending = true;
        self->task = task;
    } else {
        run_now(sim, worker, &task);
        if (sim->model.violation[0] || self->dead)
            return;
        if (task.is_chunk && !task.cancelled)
            ran = duration_of(sim, &task);
    }
    self->ran = ran;
    self->in_task = is_long;
    self->looks_at = turn->now + CARE;
    if (is_long)
        add_turn(sim, worker, self->looks_at);
    turn->now += ran;
    if (self->in_task)
        self->busy_until = turn->now;
    else
        finish(sim, worker, turn);
}

/* The short way first, as serve.c does. */
static bool next_task(struct sim *sim, int worker, const struct turn *turn, struct rpi_task *task)
{
    struct sim_worker *self = &sim->workers[worker];
    *task = (struct rpi_task){ 0 };
    self->plain = rpi_worker_next_plain(&self->engine, task);
    if (self->plain || rpi_worker_next(&self->engine, task))
        return true;
    if (!self->engine.shared_cache.work || !shares_supply(sim, worker))
        return false;
    work_pump(sim, worker, turn->now);
    return rpi_worker_next(&self->engine, task);
}

void work_turn(struct sim *sim, int worker)
{
    struct sim_worker *self = &sim->workers[worker];
    struct turn turn = { .began = sim->now, .now = sim->now, .sent = sim->now };
    struct rpi_task task;
    uint64_t refused = sim->memory.refused;
    bool next = true;
    if (self->in_task)
        finish(sim, worker, &turn);
    while (!self->in_task && !self->dead && !sim->model.violation[0] &&
           turn.now - turn.began < TURN && (next = next_task(sim, worker, &turn, &task))) {
        run_one(sim, worker, &task, &turn);
        if (self->dead || (sim->plan.deaths > 0 && chance_is(&sim->chance, sim->plan.deaths) &&
                           faults_kill(sim, worker)))
            return; /* half of its batch is done */
        if (!self->in_task && (turn.now - turn.sent > STALE || chance_is(&sim->chance, 0.02)))
            flush(sim, worker, &turn);
        refused = sim->memory.refused;
    }
    if (sim->model.violation[0] || self->dead)
        return;
    if (!self->in_task)
        flush(sim, worker, &turn);
    self->busy_until = turn.now;
    if (!next && refused != sim->memory.refused)
        turn.now += 20e-6; /* no room for the next result: it looks again */
    else if (!(turn.now > sim->now))
        return;
    add_turn(sim, worker, turn.now);
}
