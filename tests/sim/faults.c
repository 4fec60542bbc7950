/* Workers that die, with their host or alone, and ones that fall silent: they come back in time, or
 * rank 0 gives them up.  And what the model makes of it: which tasks were given up, and with what
 * right some settle there and then. */
#include "inside.h"
#include "master/ready.h"
#include "master/retry.h"
#include "master/settle.h"

#include <stdlib.h>

#define NUMBER(n) ((unsigned long long)(n))
#define HOST      3     /* workers on one */
#define LATER     40e-6 /* seconds until memory is asked for again */

/* A task at a worker before the engine hears that it is lost. */
struct given {
    uint64_t id, number, first;
    uint32_t items;
    uint8_t attempt;
    bool is_chunk, stopped;
};

static void later(struct sim *sim, enum sim_event_kind kind, int worker, double at)
{
    transport_sim_add(
        &sim->transport,
        (struct sim_event){ .at = at, .kind = kind, .side = SIM_MASTER, .worker = worker });
}

/* ---- what happens to the workers */

static int living(const struct sim *sim)
{
    int count = 0;
    for (int i = 1; i <= sim->plan.workers; i++)
        count += !sim->workers[i].dead;
    return count;
}

/* What is on its way comes until `cut`; at `reported`, later than that, rank 0 hears of its end. */
static bool die(struct sim *sim, int worker, double cut, double reported)
{
    struct sim_worker *self = &sim->workers[worker];
    if (self->dead || sim->stopping || living(sim) < 2)
        return false;
    self->dead = true;
    self->cut = cut;
    work_abandon(self);
    later(sim, SIM_LOST, worker, reported);
    sim->report->lost++;
    return true;
}

bool faults_kill(struct sim *sim, int worker)
{
    double latency = sim->plan.latency, cut = sim->now;
    if (!chance_is(&sim->chance, 0.4))
        cut += chance_exponential(&sim->chance, 5 * latency);
    return die(sim, worker, cut, cut + chance_exponential(&sim->chance, 20 * latency));
}

/* Words that name nothing, or another task that the worker may have. */
static void lie(struct chance *chance, struct rpi_death *words)
{
    uint32_t what = chance_below(chance, 3), bit = chance_below(chance, 64);
    if (what == 0)
        words->id ^= (uint64_t)1 << bit;
    else if (what == 1)
        words->item ^= (uint64_t)1 << (32 | bit);
    else
        words->attempt ^= 1;
}

bool faults_kill_by(struct sim *sim, int worker, const rp_call *call, uint64_t item)
{
    struct rpi_death *words = &sim->workers[worker].words;
    struct chance chance = { chance_mix(sim->plan.seed, sim->report->steps) }; /* its own */
    if (!faults_kill(sim, worker))
        return false;
    if (sim->plan.fault == SIM_START_TWICE || chance_is(&chance, 0.5))
        return true; /* without a word: a task that is named starts nowhere again */
    *words = (struct rpi_death){ .id = call->task->id,
                                 .item = item,
                                 .code = 11,
                                 .attempt = call->task->attempt,
                                 .way = RPI_WAY_SIGNAL };
    if (chance_is(&chance, 0.2))
        lie(&chance, words);
    return true;
}

static void fall_silent(struct sim *sim, int worker)
{
    struct sim_worker *self = &sim->workers[worker];
    double until = sim->now + chance_exponential(&sim->chance, 300 * sim->plan.latency);
    if (self->dead || self->silent || sim->stopping)
        return;
    self->silent = true;
    if (self->busy_until < until)
        self->busy_until = until;
    self->looks_at = self->busy_until;
    if (chance_is(&sim->chance, 0.5))
        later(sim, SIM_SILENT, worker, sim->now + (until - sim->now) * chance_unit(&sim->chance));
    later(sim, SIM_BACK, worker, self->busy_until);
    sim->report->silent++;
}

void faults_step(struct sim *sim)
{
    if (sim->plan.deaths <= 0 && sim->plan.silences <= 0)
        return;
    int worker = 1 + (int)chance_below(&sim->chance, (uint32_t)sim->plan.workers);
    if (chance_is(&sim->chance, sim->plan.deaths)) {
        bool host = chance_is(&sim->chance, 0.2);
        int first = host ? worker - (worker - 1) % HOST : worker;
        for (int i = first; i < first + (host ? HOST : 1) && i <= sim->plan.workers; i++)
            (void)faults_kill(sim, i);
    }
    if (chance_is(&sim->chance, sim->plan.silences))
        fall_silent(sim, worker);
}

bool faults_swallow(const struct sim *sim, const struct sim_event *event)
{
    const struct sim_worker *self = &sim->workers[event->worker];
    if (!self->dead || event->kind > SIM_TURN)
        return false;
    return event->side == SIM_WORKER || self->gone ||
           (event->at > self->cut && event->at > self->held_until);
}

/* ---- what the engine makes of it */

static struct given *look(const struct sim *sim, int worker, uint32_t *count)
{
    const struct rpi_futures *futures = &sim->master.futures;
    struct given *given = test_zeroed((futures->touched + 1U) * sizeof *given);
    *count = 0;
    for (uint32_t i = 0; i < futures->touched; i++) {
        const struct rpi_future *future = rpi_future_slot(futures, i);
        if (future->state != RP_SENT || future->flags & RPI_FUTURE_MAP ||
            sim->master.batches.table[future->pending.batch]->peer != worker)
            continue;
        bool chunk = future->flags & RPI_FUTURE_CHUNK;
        given[(*count)++] = (struct given){ .id = (uint64_t)future->generation << 32 | i,
                                            .number = model_find(&sim->model,
                                                                 chunk ? future->pending.map->number
                                                                       : future->pending.number),
                                            .first = future->pending.number,
                                            .items = chunk ? future->pending.items : 1,
                                            .attempt = future->attempts,
                                            .is_chunk = chunk,
                                            .stopped = chunk && future->pending.map->stopped };
    }
    return given;
}

static bool is_there(const struct sim *sim, int worker, const struct given *given)
{
    const struct rpi_future *future = rpi_future_of(&sim->master.futures, given->id);
    return future && future->state == RP_SENT && future->attempts == given->attempt &&
           sim->master.batches.table[future->pending.batch]->peer == worker;
}

uint32_t faults_limit(const struct model_task *task)
{
    return task->options.attempts ? task->options.attempts : 3;
}

static void check_end_there(struct sim *sim, const struct model_task *task, uint64_t number,
                            uint32_t given_up)
{
    bool allowed = task->options.hard || given_up >= faults_limit(task) || sim->dropped ||
                   task->cancel_asked;
    if (!allowed)
        model_fail(&sim->model, "task %llu settled with its worker, though it had a start left",
                   NUMBER(number));
}

/* Whether these words name this task, or chunk, and the engine must believe them. */
static bool is_named(const struct given *given, const struct rpi_death *words)
{
    if (words->way == RPI_WAY_NONE || words->id != given->id || words->attempt != given->attempt ||
        given->stopped)
        return false;
    return !given->is_chunk ||
           (words->item >= given->first && words->item - given->first < given->items);
}

/* The items of a chunk that came before the one that ended the worker: a chunk of their own
 * takes them again, if it may. */
static void items_before(struct sim *sim, const struct given *given, uint64_t end)
{
    struct model_task *task = sim->model.tasks[given->number];
    struct model_map *map = task->map;
    for (uint64_t i = given->first; i < end; i++) {
        map->out_now[i] = false;
        if (++map->given_up[i] >= faults_limit(task) || task->options.hard || sim->dropped)
            map->ended[i] = RP_ERR_LOST;
        else
            map->handed--;
    }
}

/* What has left a chunk whose worker named one of its items: up to `next`, which is still there,
 * or all. */
static void chunk_named(struct sim *sim, const struct given *given, const struct rpi_death *words,
                        uint64_t next)
{
    struct model_task *task = sim->model.tasks[given->number];
    struct model_map *map = task->map;
    items_before(sim, given, words->item < next ? words->item : next);
    task->given_up = true;
    if (next <= words->item)
        return;
    sim->report->named++;
    map->given_up[words->item]++;
    map->out_now[words->item] = false;
    map->ended[words->item] = RP_ERR_CRASHED;
    if (next <= words->item + 1 && next < given->first + given->items)
        return; /* memory ran out before those after it */
    for (uint64_t i = words->item + 1; i < given->first + given->items; i++) {
        map->out_now[i] = false;
        if (sim->dropped) {
            map->given_up[i]++;
            map->ended[i] = RP_ERR_LOST;
        } else {
            map->handed--;
        }
    }
}

static void chunk_given_up(struct sim *sim, const struct given *given)
{
    struct model_task *task = sim->model.tasks[given->number];
    const struct rpi_future *future = rpi_future_of(&sim->master.futures, given->id);
    struct model_map *map = task->map;
    for (uint64_t i = given->first; i < given->first + given->items; i++) {
        map->given_up[i]++;
        map->out_now[i] = false;
        if (!future)
            map->ended[i] = given->stopped ? RP_ERR_CANCELLED : RP_ERR_LOST;
        if (!future)
            check_end_there(sim, task, given->number, map->given_up[i]);
    }
    if (future)
        map->handed -= given->items;
    task->given_up = true;
}

static void task_given_up(struct sim *sim, const struct given *given, const struct rpi_death *words)
{
    struct model_task *task = sim->model.tasks[given->number];
    const struct rpi_future *future = rpi_future_of(&sim->master.futures, given->id);
    task->given_up++;
    task->restart = future && future->state == RP_QUEUED;
    if (task->restart)
        return;
    if (is_named(given, words) && !task->never_again) {
        task->ended = RP_ERR_CRASHED;
        sim->report->named++;
        return;
    }
    task->ended = task->never_again ? RP_ERR_CANCELLED : RP_ERR_LOST;
    check_end_there(sim, task, given->number, task->given_up);
}

static rp_status tell(struct sim *sim, int worker)
{
    uint32_t count;
    struct given *given = look(sim, worker, &count);
    const struct rpi_death words = sim->workers[worker].words;
    if (words.way != RPI_WAY_NONE)
        rpi_master_died(&sim->master, worker, &words);
    rp_status status = rpi_master_lost(&sim->master, worker, sim->now);
    for (uint32_t i = 0; i < count && !sim->model.violation[0]; i++) {
        bool named = given[i].is_chunk && is_named(&given[i], &words),
             there = is_there(sim, worker, &given[i]);
        uint64_t next = given[i].first + (there ? 0 : given[i].items);
        if (named && there)
            next = rpi_future_of(&sim->master.futures, given[i].id)->pending.number;
        if (next == given[i].first)
            continue;
        sim->report->given_up++;
        if (named)
            chunk_named(sim, &given[i], &words, next);
        else if (given[i].is_chunk)
            chunk_given_up(sim, &given[i]);
        else
            task_given_up(sim, &given[i], &words);
    }
    free(given);
    return status;
}

/* ---- faults on purpose: what a wrong engine would do */

static struct rpi_future *first_again(const struct sim *sim, const struct model_task **task)
{
    for (uint64_t i = sim->model.first; i < sim->model.count; i++) {
        *task = sim->model.tasks[i];
        struct rpi_future *future = rpi_future_of(&sim->master.futures, (*task)->id);
        if ((*task)->restart && future && future->state == RP_QUEUED)
            return future;
    }
    return NULL;
}

/* Each time: where nothing else waits, a task is alone by chance. */
static void forget_solo(struct sim *sim)
{
    for (uint64_t i = sim->model.first; i < sim->model.count; i++)
        if (sim->model.tasks[i]->restart &&
            rpi_attempts_forget(&sim->master.attempts, sim->model.tasks[i]->id))
            sim->report->faulted = true;
}

static void spoil(struct sim *sim)
{
    const struct model_task *task;
    if (sim->plan.fault == SIM_FORGET_SOLO)
        forget_solo(sim);
    struct rpi_future *future = first_again(sim, &task);
    if (!future)
        return;
    if (sim_fault_now(sim, SIM_MISCOUNT_START))
        future->attempts--;
    if (sim_fault_now(sim, SIM_FORGET_LOST))
        future->state = RP_WAITING;
    if (sim_fault_now(sim, SIM_FAIL_MATE)) {
        const struct rpi_settled how = { .status = RP_ERR_LOST,
                                         .message = "",
                                         .function = future->pending.function };
        const struct rpi_options options = *rpi_options_at(&sim->master.options, future->options);
        if (rpi_retry_or_fail(&sim->master, task->id, future, &how) == RP_OK)
            rpi_ready_void(&sim->master, &options, task->size);
    }
}

/* Another process comes in its place, while the pool lives. */
static void replace(struct sim *sim, int worker)
{
    struct sim_worker *self = &sim->workers[worker];
    uint32_t fail_ppm = sim->memory.fail_ppm;
    if (sim->stopping)
        return;
    transport_sim_renew(&sim->transport, worker);
    sim_close_worker(sim, worker);
    *self = (struct sim_worker){ .replaced = true };
    sim->memory.fail_ppm = 0;
    sim_open_worker(sim, worker);
    sim->memory.fail_ppm = fail_ppm;
    sim->report->replaced++;
    if (sim_fault_now(sim, SIM_MISS_REPLACED))
        return;
    rpi_master_replaced(&sim->master, worker, self->pid, sim->now);
}

static void on_lost(struct sim *sim, int worker)
{
    if (chance_is(&sim->chance, sim->plan.replaced))
        later(sim, SIM_REPLACED, worker,
              sim->now + chance_exponential(&sim->chance, 100 * sim->plan.latency));
}

static void lose(struct sim *sim, int worker)
{
    struct sim_worker *self = &sim->workers[worker];
    if (sim->now < self->held_until) { /* what was refused without memory comes first */
        later(sim, SIM_LOST, worker, self->held_until + LATER);
        return;
    }
    bool again = self->gone;
    self->gone = true;
    if (!again && sim_fault_now(sim, SIM_MISS_LOSS))
        return;
    if (tell(sim, worker) == RP_ERR_NOMEM)
        later(sim, SIM_LOST, worker, sim->now + LATER);
    else
        on_lost(sim, worker);
    spoil(sim);
}

bool faults_event(struct sim *sim, const struct sim_event *event)
{
    struct sim_worker *self = &sim->workers[event->worker];
    if (event->kind == SIM_LOST)
        lose(sim, event->worker);
    else if (event->kind == SIM_SILENT && self->silent) /* for too long: rank 0 gives it up */
        (void)die(sim, event->worker, sim->now, sim->now);
    else if (event->kind == SIM_BACK)
        self->silent = false;
    else if (event->kind == SIM_REPLACED)
        replace(sim, event->worker);
    else
        return event->kind == SIM_SILENT;
    return true;
}
