/* A run: events in their order, each given to the engine it is for; what the engines want is done;
 * then the checks. */
#include "inside.h"
#include "open/register.h"

#include <stdio.h>
#include <stdlib.h>

#define MANY_STEPS 20000000 /* more is a run that never ends */
#define LATER      20e-6    /* seconds until memory is asked for again */

bool sim_fault_now(struct sim *sim, enum sim_fault fault)
{
    if (sim->plan.fault != fault || ++sim->occasions != sim->plan.fault_at)
        return false;
    return sim->report->faulted = true;
}

/* ---- beginning and end */

static void on_log(rp_level level, const char *line, void *user)
{
    struct sim *sim = user;
    if (level == RP_LOG_ERROR && strstr(line, "a detached task failed"))
        sim->detached_fails++;
}

void sim_open_worker(struct sim *sim, int number)
{
    struct sim_worker *worker = &sim->workers[number];
    struct rpi_worker_config config = { .alloc = sim->alloc,
                                        .batch_limit = sim->plan.batch_limit,
                                        .functions = sim->registry.count,
                                        .cut = work_cut,
                                        .context = worker };
    worker->sim = sim;
    rpi_worker_init(&worker->engine, &config);
    if (rpi_inline_init(&worker->executor, &sim->alloc, &sim->registry,
                        rpi_wire_inline_limit(sim->plan.batch_limit), number, "simhost") != RP_OK)
        model_fail(&sim->model, "no executor: %s", rp_error_message());
    worker->executor.call.cancel = &worker->engine.cancel;
    worker->executor.call.shared_cache = &worker->engine.shared_cache;
    shares_open_worker(sim, number);
}

void sim_close_worker(struct sim *sim, int number)
{
    struct sim_worker *worker = &sim->workers[number];
    work_abandon(worker);
    shares_close_worker(sim, number);
    rpi_worker_fini(&worker->engine);
    rpi_inline_fini(&worker->executor);
    for (int i = 0; i < worker->flight_count; i++) {
        free(worker->flights[i].ids);
        free(worker->flights[i].attempts);
    }
}

static void slow_down(struct sim *sim)
{
    struct chance chance = { chance_mix(sim->plan.seed, 4) };
    for (int i = 1; i <= sim->plan.workers; i++)
        if (chance_is(&chance, sim->plan.slow)) {
            transport_sim_slow(&sim->transport, i, 2 + 48 * chance_unit(&chance));
            sim->report->slow++;
        }
}

static void open_sim(struct sim *sim)
{
    const struct sim_plan *plan = &sim->plan;
    work_register();
    sim->alloc = memory_hook(&sim->memory);
    sim->chance.state = chance_mix(plan->seed, 1);
    sim->memory.random = chance_mix(plan->seed, 2);
    sim->log = (struct rpi_log){ .sink = on_log, .user = sim };
    model_init(&sim->model, plan->seed);
    transport_sim_init(&sim->transport, chance_mix(plan->seed, 3), plan->latency, plan->workers);
    sim->workers = test_zeroed(((size_t)plan->workers + 1) * sizeof *sim->workers);
    if (rpi_register_snapshot(&sim->registry, &sim->alloc) != RP_OK)
        model_fail(&sim->model, "no registry: %s", rp_error_message());
    struct rpi_master_config config = { .alloc = sim->alloc,
                                        .log = &sim->log,
                                        .registry = &sim->registry,
                                        .workers = plan->workers,
                                        .batch_limit = plan->batch_limit,
                                        .first_generation = (uint32_t)plan->seed * 7919 };
    if (rpi_master_init(&sim->master, &config) != RP_OK)
        model_fail(&sim->model, "no master: %s", rp_error_message());
    if (plan->known > 0)
        sim->master.timing.functions[plan->function] = (struct rpi_function_time){
            .mean = plan->known, .samples = 1000
        };
    shares_open(sim);
    for (int i = 1; i <= plan->workers; i++)
        sim_open_worker(sim, i);
    sim->memory.fail_ppm = plan->fail_ppm;
    sim->stream.skip_empty = plan->spawns > 0 && plan->seed % 3 == 0;
    slow_down(sim);
}

static void close_sim(struct sim *sim)
{
    sim->report->tasks = sim->model.count;
    sim->report->runs = sim->model.runs;
    sim->report->refused = sim->memory.refused;
    for (uint64_t i = 0; i < sim->model.count; i++)
        sim->report->failed_and_lost += sim->model.tasks[i]->retried &&
                                        sim->model.tasks[i]->given_up;
    for (int i = 1; i <= sim->plan.workers; i++)
        sim_close_worker(sim, i);
    shares_close(sim);
    rpi_master_fini(&sim->master);
    rpi_registry_fini(&sim->registry);
    rpi_idqueue_fini(&sim->stream.ready, &sim->alloc);
    if (sim->memory.live && !sim->model.violation[0])
        model_fail(&sim->model, "%llu blocks were not given back",
                   (unsigned long long)sim->memory.live);
    rpi_free(&sim->alloc, sim->leaked);
    transport_sim_fini(&sim->transport);
    free(sim->workers);
    (void)snprintf(sim->report->violation, sizeof sim->report->violation, "%s",
                   sim->model.violation);
    model_fini(&sim->model);
}

/* ---- the master */

static void add_event(struct sim *sim, enum sim_event_kind kind, enum sim_side side, int worker,
                      double at)
{
    transport_sim_add(&sim->transport,
                      (struct sim_event){ .at = at, .kind = kind, .side = side, .worker = worker });
}

static void step_later(struct sim *sim)
{
    if (!sim->step_due)
        add_event(sim, SIM_STEP, SIM_MASTER, 0, sim->now + LATER);
    sim->step_due = true;
}

static void pump_master(struct sim *sim)
{
    struct rpi_arrival *arrival;
    struct rpi_batch *batch;
    while ((arrival = rpi_master_incoming(&sim->master)))
        transport_sim_post(&sim->transport, SIM_MASTER, arrival->peer, arrival, sim->now);
    while ((batch = rpi_master_outgoing(&sim->master))) {
        check_handed_out(sim, batch);
        if (sim->model.violation[0])
            return;
        sim->report->messages++;
        sim->report->pieces += batch->piece_count;
        transport_sim_send(&sim->transport, SIM_MASTER, batch->peer, batch, sim->now);
        sim->report->recalled += batch->bytes[1] == RPI_RECALL;
        if (batch->bytes[1] == RPI_TASKS && !sim->stopping &&
            sim_fault_now(sim, SIM_FORGE_RETURNED))
            returns_forge(sim, batch);
    }
}

/* The engine says when it may have something new to ask for. */
static void look_again(struct sim *sim)
{
    double at = sim->master.rebalance.look_again;
    if (at < 0 || (sim->look_at > 0 && sim->look_at <= at))
        return;
    sim->look_at = at > sim->now ? at : sim->now;
    transport_sim_add(
        &sim->transport,
        (struct sim_event){ .at = sim->look_at, .kind = SIM_LOOK, .side = SIM_MASTER });
}

static void step_master(struct sim *sim)
{
    uint64_t refused = sim->memory.refused;
    sim->last_rank = 0;
    for (int i = 1; i <= sim->plan.workers; i++)
        sim->workers[i].last_own = 0;
    bool skip = sim->plan.fault == SIM_SKIP_DISPATCH && rpi_master_starves(&sim->master) &&
                sim_fault_now(sim, SIM_SKIP_DISPATCH);
    if (!skip)
        rpi_master_dispatch(&sim->master, sim->now);
    if (chance_is(&sim->chance, sim->plan.recalls))
        returns_recall(sim);
    pump_master(sim);
    shares_bury(sim);
    if (sim->model.violation[0])
        return;
    look_again(sim);
    refused = sim->memory.refused - refused;
    if (!sim->plan.check_every || sim->report->steps % sim->plan.check_every == 0)
        check_dispatched(sim, refused > 0);
    if (refused)
        step_later(sim);
}

/* What it gets is handed out at once, or in a later step. */
static void after_master(struct sim *sim)
{
    if (chance_is(&sim->chance, sim->plan.lazy))
        step_later(sim);
    else
        step_master(sim);
}

static void tell(struct sim *sim, uint64_t how)
{
    uint8_t stop[RPI_BATCH_HEADER];
    struct rpi_writer writer;
    rpi_writer_open(&writer, stop, sizeof stop);
    rpi_writer_close(&writer, RPI_STOP, how);
    sim->stopping = true;
    sim->master.versions.closed = true;
    for (int i = 1; i <= sim->plan.workers; i++) {
        if (sim->workers[i].gone)
            continue;
        sim->workers[i].told = true;
        transport_sim_send_bytes(&sim->transport, SIM_MASTER, i, stop, sizeof stop, sim->now);
    }
}

static void run_app(struct sim *sim)
{
    bool more = app_act(sim);
    bool drop = sim->plan.ending == SIM_TERMINATE && sim->actions > sim->plan.actions / 2;
    if (drop) {
        rpi_master_drop_queued(&sim->master);
        sim->dropped = true;
        for (uint64_t i = sim->model.first; i < sim->model.count; i++)
            sim->model.tasks[i]->cancel_asked = true;
        tell(sim, RPI_STOP_DROP);
    } else if (more) {
        add_event(sim, SIM_APP, SIM_MASTER, 0,
                  sim->now + chance_exponential(&sim->chance, sim->plan.pace));
    }
    after_master(sim);
}

/* ---- messages */

/* A batch that begins with a result of 8 bytes that somebody waits for. */
static bool can_be_damaged(const struct sim *sim, const struct sim_message *message)
{
    const uint8_t *frame = message->bytes + RPI_BATCH_HEADER;
    return message->size >= RPI_BATCH_HEADER + RPI_FRAME_HEADER + 16 &&
           frame[11] == RPI_FRAME_RAN && rpi_get32(frame + 12) == 8 &&
           rpi_master_future(&sim->master, rpi_get64(frame));
}

/* The plan's fault with a batch that arrives; true: it is lost. */
static bool tamper(struct sim *sim, enum sim_side side, struct sim_message *message)
{
    bool results = side == SIM_MASTER;
    if (message->bytes[1] == RPI_SHARE && sim_fault_now(sim, SIM_LOSE_SHARED))
        return true;
    if (message->bytes[1] == RPI_RETURNED && rpi_get16(message->bytes + 2) &&
        sim_fault_now(sim, SIM_LOSE_RETURNED))
        return true;
    if (message->bytes[1] != RPI_TASKS && message->bytes[1] != RPI_RESULTS)
        return false;
    if (results && can_be_damaged(sim, message) && sim_fault_now(sim, SIM_DAMAGE_RESULT))
        message->bytes[RPI_BATCH_HEADER + RPI_FRAME_HEADER + 8] ^= 1;
    return sim_fault_now(sim, results ? SIM_LOSE_RESULTS : SIM_LOSE_TASKS);
}

static rp_status receive(struct sim *sim, enum sim_side side, int worker,
                         const struct sim_message *message)
{
    bool returned = side == SIM_MASTER && message->bytes[1] == RPI_RETURNED;
    if (side == SIM_MASTER)
        spawns_forget(sim, worker);
    rp_status status = returned ? returns_receive(sim, worker, message)
                       : side == SIM_MASTER
                           ? rpi_master_receive(&sim->master, worker, message->bytes, message->size,
                                                sim->now)
                           : rpi_worker_receive(&sim->workers[worker].engine, message->bytes,
                                                message->size);
    if (status != RP_OK && status != RP_ERR_NOMEM)
        model_fail(&sim->model, "worker %d: %s", worker, rp_error_message());
    if (side == SIM_MASTER)
        spawns_received(sim, message);
    return status;
}

static void on_batch(struct sim *sim, enum sim_side side, int worker)
{
    struct sim_message *message = transport_sim_first(&sim->transport, side, worker);
    if (!message)
        return;
    if (tamper(sim, side, message)) {
        transport_sim_drop(message);
        return;
    }
    if (receive(sim, side, worker, message) == RP_ERR_NOMEM) {
        if (side == SIM_MASTER)
            sim->workers[worker].held_until = sim->now + 2 * LATER;
        add_event(sim, SIM_BATCH, side, worker, sim->now + LATER);
        return;
    }
    bool work = message->bytes[1] == RPI_TASKS || message->bytes[1] == RPI_RESULTS;
    if (work && !sim->model.violation[0] &&
        sim_fault_now(sim, side == SIM_MASTER ? SIM_RESULTS_TWICE : SIM_RUN_TWICE))
        (void)receive(sim, side, worker, message);
    transport_sim_drop(message);
}

static void on_piece(struct sim *sim, const struct sim_event *event)
{
    struct rpi_arrival *arrival = event->cookie;
    struct sim_message *message = event->message;
    if (sim->transport.wrong[0]) { /* it may have met another's room */
        model_fail(&sim->model, "%s", sim->transport.wrong);
        transport_sim_drop(message);
        return;
    }
    memcpy(arrival->buffer, message->bytes, message->size);
    if (event->side == SIM_WORKER) {
        rpi_worker_arrived(&sim->workers[event->worker].engine, arrival);
    } else {
        uint64_t id = arrival->frame.id;
        uint8_t attempt = arrival->frame.attempt;
        rp_status status = rpi_master_arrived(&sim->master, arrival, sim->now);
        spawns_arrived(sim, id, attempt);
        if (status == RP_ERR_NOMEM) {
            sim->workers[event->worker].held_until = sim->now + 2 * LATER;
            struct sim_event again = *event;
            again.at = sim->now + LATER;
            transport_sim_add(&sim->transport, again);
            return;
        }
        if (status != RP_OK)
            model_fail(&sim->model, "worker %d: %s", event->worker, rp_error_message());
    }
    transport_sim_drop(message);
}

static void on_sent(struct sim *sim, const struct sim_event *event)
{
    if (!transport_sim_unchanged(event->message))
        model_fail(&sim->model, "worker %d: bytes changed while they were being sent",
                   event->worker);
    if (event->side == SIM_MASTER)
        rpi_master_sent(&sim->master, event->cookie);
    else if (!sim_fault_now(sim, SIM_LOSE_SENT))
        rpi_worker_sent(&sim->workers[event->worker].engine, event->cookie);
    transport_sim_drop(event->message);
}

void sim_deliver(struct sim *sim, const struct sim_event *event)
{
    if (event->kind == SIM_BATCH)
        on_batch(sim, event->side, event->worker);
    else if (event->kind == SIM_PIECE)
        on_piece(sim, event);
    else if (event->kind == SIM_SENT)
        on_sent(sim, event);
}

static void handle(struct sim *sim, const struct sim_event *event)
{
    if (event->kind == SIM_LOOK)
        sim->look_at = 0;
    if (event->kind == SIM_LOOK || event->kind == SIM_STEP) {
        sim->step_due = sim->step_due && event->kind == SIM_LOOK;
        step_master(sim);
        return;
    }
    if (event->kind == SIM_APP) {
        run_app(sim);
        return;
    }
    if (!faults_event(sim, event))
        sim_deliver(sim, event); /* or only a worker's next turn */
    if (sim->model.violation[0])
        return;
    if (event->side == SIM_MASTER) {
        after_master(sim);
    } else {
        work_pump(sim, event->worker, sim->now);
        work_turn(sim, event->worker);
    }
}

/* ---- faults of no place of their own */

/* Each time: it shows only in a task that fails as often as it may. */
static void forget_retries(struct sim *sim)
{
    for (uint64_t i = sim->model.first; i < sim->model.count; i++) {
        const struct model_task *task = sim->model.tasks[i];
        struct rpi_future *future = rpi_future_of(&sim->master.futures, task->id);
        if (task->map || !future || future->state != RP_QUEUED || !future->pending.retried ||
            future->pending.retried != task->options.retries)
            continue;
        future->pending.retried--;
        sim->report->faulted = true;
    }
}

static void make_fault(struct sim *sim)
{
    if (sim->plan.fault == SIM_FORGET_RETRY)
        forget_retries(sim);
    if (sim->master.unsettled && sim_fault_now(sim, SIM_LEAK))
        sim->leaked = rpi_reserve(&sim->alloc, 1);
    if (sim->master.unsettled && rpi_roster_least(&sim->master.roster) &&
        sim_fault_now(sim, SIM_OVERCREDIT))
        rpi_roster_sent(&sim->master.roster, rpi_roster_least(&sim->master.roster));
    for (uint64_t i = sim->model.first; i < sim->model.count && sim->plan.fault == SIM_CHANGE_DONE;
         i++) {
        struct rpi_future *future = rpi_master_future(&sim->master, sim->model.tasks[i]->id);
        if (future && sim->model.tasks[i]->settled && sim_fault_now(sim, SIM_CHANGE_DONE))
            future->done.worker = future->done.worker ? 0 : 1;
    }
}

/* ---- all together */

static bool is_over(const struct sim *sim)
{
    return sim->model.violation[0] ||
           (sim->plan.ending == SIM_ABANDON && sim->actions > sim->plan.actions / 2);
}

/* Nothing is on its way.  Returns whether something is, now. */
static bool end_of_work(struct sim *sim)
{
    app_deliver(sim);
    stream_take(sim, UINT32_MAX);
    if (sim->stopping || sim->master.unsettled)
        return false;
    check_step(sim, 0);
    if (sim->plan.shares > 0 &&
        !sim->swept) { /* the last on_done may have been what a version was kept for */
        sim->swept = true;
        step_master(sim);
        return true;
    }
    if (sim->plan.shares > 0)
        shares_check_rest(sim);
    tell(sim, 0);
    return true;
}

static void follow(struct sim *sim)
{
    struct sim_event event;
    add_event(sim, SIM_APP, SIM_MASTER, 0, 0);
    for (;;) {
        while (!is_over(sim) && transport_sim_next(&sim->transport, &event)) {
            if (event.at >
                sim->now) /* what came too late for a worker's look is at most a task old */
                sim->now = event.at;
            if (event.worker && faults_swallow(sim, &event)) {
                transport_sim_drop(event.message);
                continue;
            }
            if (event.side == SIM_WORKER && work_interrupted(sim, &event)) {
                check_step(sim, event.worker);
                continue;
            }
            if (event.side == SIM_WORKER && event.at < sim->workers[event.worker].busy_until) {
                event.at = sim->workers[event.worker].busy_until;
                transport_sim_add(&sim->transport, event);
                continue;
            }
            uint64_t unsettled = sim->master.unsettled;
            handle(sim, &event);
            if (unsettled && !sim->master.unsettled)
                sim->report->seconds = sim->now;
            if (sim->model.violation[0])
                return;
            make_fault(sim);
            faults_step(sim);
            if (chance_is(&sim->chance, 0.5))
                app_deliver(sim);
            if (sim->stream.ready.count && chance_is(&sim->chance, 0.3))
                stream_take(sim, 1 + chance_below(&sim->chance, 8));
            check_step(sim, event.worker);
            if (++sim->report->steps > MANY_STEPS)
                model_fail(&sim->model, "it never ends");
        }
        if (is_over(sim) || !end_of_work(sim))
            return;
    }
}

bool sim_run(const struct sim_plan *plan, struct sim_report *report)
{
    struct sim *sim = test_zeroed(sizeof *sim);
    *report = (struct sim_report){ 0 };
    sim->plan = *plan;
    sim->report = report;
    open_sim(sim);
    if (!sim->model.violation[0]) {
        follow(sim);
        if (!sim->model.violation[0])
            check_end(sim);
    }
    close_sim(sim);
    free(sim);
    return !report->violation[0];
}

struct sim_plan sim_plan_losing(uint64_t seed)
{
    struct chance chance = { chance_mix(seed, 98) };
    struct sim_plan plan = sim_plan_of(seed);
    plan.workers += 1 + (int)chance_below(&chance, 5);
    uint32_t kind = chance_below(&chance, 4);
    if (kind != 0)
        plan.deaths = 0.02 * chance_unit(&chance) * chance_unit(&chance);
    if (kind == 2 || kind == 3)
        plan.silences = 0.03 * chance_unit(&chance) * chance_unit(&chance);
    if (kind != 1)
        plan.poison = chance_is(&chance, 0.5) ? 0.02 : 0.1;
    if (kind == 2)
        plan.poison = 0;
    plan.cancels = true;
    plan.replaced = chance_is(&chance, 0.5) ? chance_unit(&chance) : 0;
    plan.slow = chance_is(&chance, 0.4) ? chance_unit(&chance) : 0;
    return plan;
}

struct sim_plan sim_plan_failing(uint64_t seed)
{
    struct chance chance = { chance_mix(seed, 96) };
    struct sim_plan plan = sim_plan_losing(seed);
    plan.failing = 0.3 + 0.7 * chance_unit(&chance);
    plan.deaths *= 2; /* so that many meet both */
    if (plan.burst > 12)
        plan.burst = 12;
    return plan;
}

struct sim_plan sim_plan_spawning(uint64_t seed)
{
    struct chance chance = { chance_mix(seed, 97) };
    struct sim_plan plan = sim_plan_losing(seed);
    plan.spawns = 0.2 + 0.8 * chance_unit(&chance);
    plan.actions = 1 + plan.actions / 2;
    if (plan.burst > 12)
        plan.burst = 12;
    return plan;
}

struct sim_plan sim_plan_sharing(uint64_t seed)
{
    struct chance chance = { chance_mix(seed, 95) };
    struct sim_plan plan = seed % 8 < 4 ? sim_plan_spawning(seed) : sim_plan_losing(seed);
    plan.shares = 0.1 + 0.5 * chance_unit(&chance);
    plan.actions *= 2;
    if (plan.burst > 12)
        plan.burst = 12;
    return plan;
}

struct sim_plan sim_plan_of(uint64_t seed)
{
    static const uint32_t limits[] = { RPI_BATCH_MIN, RPI_BATCH_DEFAULT, 8192 };
    static const int crews[] = { 1, 2, 3, 4, 8, 20 };
    struct chance chance = { chance_mix(seed, 99) };
    struct sim_plan plan = { .seed = seed, .function = -1, .cancels = true };
    plan.workers = crews[chance_below(&chance, 6)];
    plan.batch_limit = limits[chance_below(&chance, 3)];
    plan.actions = 1 + chance_below(&chance, 30);
    plan.burst = 1 + chance_below(&chance, chance_is(&chance, 0.2) ? 60 : 8);
    plan.pace = 1e-6 * (double)(1U << chance_below(&chance, 10));
    plan.latency = 1e-6 * (double)(1U << chance_below(&chance, 7));
    plan.lazy = chance_is(&chance, 0.5) ? 0 : 0.5 * chance_unit(&chance);
    plan.large = chance_is(&chance, 0.3) ? 30000 : 5000;
    if (chance_is(&chance, 0.3))
        plan.fail_ppm = 5000U << chance_below(&chance, 7);
    plan.answers = chance_is(&chance, 0.6);
    plan.recalls = chance_is(&chance, 0.5) ? 0.2 * chance_unit(&chance) : 0;
    if (chance_is(&chance, 0.3))
        plan.function = (int)chance_below(&chance, MODEL_FUNCTIONS);
    if (chance_is(&chance, 0.2))
        plan.ending = chance_is(&chance, 0.5) ? SIM_TERMINATE : SIM_ABANDON;
    return plan;
}
