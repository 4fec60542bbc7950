/* What must hold after every step, whatever the engines do inside. */
#include "checks_map.h"
#include "inside.h"
#include "master/deps.h"

#include <stdlib.h>

/* What the policy promises, written here a second time. */
#define LONG  10.0 /* round trips: longer tasks go alone */
#define APART 50.0 /* round trips: longer ones are not prefetched */

#define NUMBER(n) ((unsigned long long)(n))

/* ---- settled once, with what its last run came to */

static uint64_t sum_of(const rp_outcome *outcome)
{
    const uint8_t *bytes = outcome->data;
    size_t step = 1 + outcome->size / 64; /* of long ones a sample will do */
    uint64_t sum = chance_mix((uint64_t)outcome->status * 65536 + (uint64_t)outcome->attempts,
                              (uint64_t)outcome->code);
    for (size_t i = 0; i < outcome->size; i += step)
        sum = chance_mix(sum, bytes[i]);
    return chance_mix(sum, (uint64_t)outcome->worker);
}

static void check_message(struct sim *sim, uint64_t number, const rp_outcome *outcome)
{
    const struct promise *promise = &sim->model.tasks[number]->last.promise;
    const char *happened = outcome->status == RP_ERR_CANCELLED ? "was cancelled"
                           : outcome->status == RP_ERR_LOST    ? "was lost"
                           : outcome->status == RP_ERR_CRASHED ? "crashed"
                                                               : "failed";
    char words[RPI_MESSAGE_MAX + 1] = "";
    if (outcome->status == RP_ERR_TASK && promise->kind == PROMISE_FAIL &&
        outcome->code == promise->code)
        promise_message(promise, words);
    if (!strstr(outcome->message, words) || !strstr(outcome->message, happened))
        model_fail(&sim->model, "task %llu: its failure says \"%s\"", NUMBER(number),
                   outcome->message);
}

/* A task that only a lost worker might have run. */
static bool has_no_worker(const struct sim *sim, const struct model_task *task)
{
    return task->options.hard &&
           (sim->workers[task->options.worker].gone || sim->workers[task->options.worker].replaced);
}

/* One that was given up at a worker: the success of any of its starts, or the failure of the last
 * one, or the end with its worker. */
static void check_given_up_outcome(struct sim *sim, uint64_t number, const rp_outcome *outcome)
{
    struct model_task *task = sim->model.tasks[number];
    if (outcome->status == RP_ERR_CRASHED && task->ended != RP_ERR_CRASHED)
        model_fail(&sim->model, "task %llu crashed, though no worker named it", NUMBER(number));
    if (outcome->status == RP_ERR_CRASHED || outcome->status == RP_ERR_LOST ||
        outcome->status == RP_ERR_CANCELLED || outcome->status == RP_ERR_INPUT) {
        bool allowed = task->ended == outcome->status || task->cancel_asked ||
                       has_no_worker(sim, task) || task->handed == 0 ||
                       task->tries[task->handed % 64].status == outcome->status;
        if (!allowed)
            model_fail(&sim->model, "task %llu settled with status %d", NUMBER(number),
                       outcome->status);
        if (outcome->status == RP_ERR_LOST && sim->plan.deaths <= 0 && sim->plan.silences <= 0 &&
            !task->poison && !task->options.hard && faults_limit(task) > 1 && !sim->dropped)
            model_fail(&sim->model, "task %llu is lost, though it ends no worker", NUMBER(number));
        task->ended = outcome->status;
        check_message(sim, number, outcome);
        return;
    }
    if (outcome->status == RP_ERR_TASK && task->retried < task->options.retries && !sim->dropped &&
        !task->cancel_asked)
        model_fail(&sim->model, "task %llu settled after %u tries after returned errors, of %u",
                   NUMBER(number), task->retried, task->options.retries);
    for (uint32_t i = 1; i <= task->handed && i < 64; i++) {
        const struct model_run *run = &task->tries[i];
        if (!(task->ran >> i & 1) || run->status != outcome->status || run->code != outcome->code ||
            run->worker != outcome->worker || (run->status != RP_OK && i != task->handed))
            continue;
        if (run->status == RP_OK &&
            (outcome->size != run->promise.size ||
             !pattern_matches(outcome->data, outcome->size, run->promise.pattern)))
            continue;
        task->last = *run;
        if (run->status != RP_OK)
            check_message(sim, number, outcome);
        return;
    }
    model_fail(&sim->model,
               "task %llu settled with status %d and code %d from worker %d: none of its %u starts "
               "came to that",
               NUMBER(number), outcome->status, outcome->code, outcome->worker, task->handed);
}

static void check_task_outcome(struct sim *sim, uint64_t number, const rp_outcome *outcome)
{
    const struct model_task *task = sim->model.tasks[number];
    const struct model_run *last = &task->last;
    int code;
    rp_status status = model_outcome(&sim->model, task, &code);
    bool ran = status != RP_ERR_INPUT && !task->cancelled_here;
    if (task->given_up || (has_no_worker(sim, task) && outcome->status == RP_ERR_LOST)) {
        check_given_up_outcome(sim, number, outcome);
        return;
    }
    if (outcome->status != status || (outcome->code != code && status != RP_ERR_INPUT))
        model_fail(&sim->model, "task %llu settled with status %d and code %d, not %d and %d",
                   NUMBER(number), outcome->status, outcome->code, status, code);
    else if (outcome->attempts != (int)task->handed || outcome->worker != (ran ? last->worker : 0))
        model_fail(&sim->model,
                   "task %llu settled after %d attempts at worker %d, it was handed out %u times, "
                   "last to %d",
                   NUMBER(number), outcome->attempts, outcome->worker, task->handed, last->worker);
    else if (status != RP_OK)
        check_message(sim, number, outcome);
    else if (outcome->size != last->promise.size ||
             !pattern_matches(outcome->data, outcome->size, last->promise.pattern))
        model_fail(&sim->model, "task %llu settled with other bytes than it returned",
                   NUMBER(number));
}

/* It may settle only when it has run, and has no try left. */
static void check_settling(struct sim *sim, uint64_t number)
{
    struct model_task *task = sim->model.tasks[number];
    int code;
    task->settled = true;
    task->running = false;
    for (uint32_t i = 0; i < task->after_count; i++)
        sim->model.tasks[task->after[i]]->dependents--;
    if (task->map) {
        check_map_items(sim, number);
        return;
    }
    uint32_t starts = 1 + task->retried + task->given_up;
    if (task->handed > starts || task->retried > task->options.retries ||
        task->given_up > faults_limit(task))
        model_fail(
            &sim->model,
            "task %llu settled after %u starts: %u were given up, %u came after returned errors",
            NUMBER(number), task->handed, task->given_up, task->retried);
    if (task->given_up || has_no_worker(sim, task))
        return;
    rp_status status = model_outcome(&sim->model, task, &code);
    uint32_t unrun = status == RP_ERR_CANCELLED && task->cancel_asked && !task->cancelled_here ? 1
                                                                                               : 0;
    if (status != RP_ERR_INPUT && !task->cancelled_here &&
        (task->handed == 0 || task->runs + unrun < task->handed))
        model_fail(&sim->model, "task %llu settled, but ran %u times, handed out %u times",
                   NUMBER(number), task->runs, task->handed);
    else if (status == RP_ERR_TASK && task->handed <= task->options.retries && !sim->dropped &&
             !task->cancel_asked)
        model_fail(&sim->model, "task %llu settled after %u runs, it had a try left",
                   NUMBER(number), task->runs);
}

static void settle(struct sim *sim, uint64_t number, const struct rpi_future *future)
{
    struct model_task *task = sim->model.tasks[number];
    check_settling(sim, number);
    rpi_master_outcome(&sim->master, future, &task->outcome);
    if (task->map)
        check_map_outcome(sim, number, &task->outcome);
    else
        check_task_outcome(sim, number, &task->outcome);
    spawns_settled(sim, number, &task->outcome);
    task->outcome_sum = sum_of(&task->outcome);
}

static void check_unchanged(struct sim *sim, uint64_t number, const struct rpi_future *future)
{
    const struct model_task *task = sim->model.tasks[number];
    rp_outcome outcome = RP_OUTCOME_INIT;
    rpi_master_outcome(&sim->master, future, &outcome);
    if (outcome.data != task->outcome.data || outcome.message != task->outcome.message ||
        sum_of(&outcome) != task->outcome_sum)
        model_fail(&sim->model, "task %llu: its outcome changed after it was settled",
                   NUMBER(number));
}

/* The application has no handle of it; its future stays while on_done is due, a task comes after
 * it, or the stream has not delivered it. */
static void check_released(struct sim *sim, uint64_t number)
{
    struct model_task *task = sim->model.tasks[number];
    const struct rpi_future *future = rpi_future_of(&sim->master.futures, task->id);
    bool needed = (task->options.on_done && !task->calls) ||
                  rpi_deps_hold(&sim->master.deps, task->id) ||
                  (task->streamed && !task->vanished && !task->delivered);
    if (!task->settled && future && future->state == RP_DONE)
        settle(sim, number, future);
    else if (!task->settled && !future) {
        check_settling(sim, number);
        if (has_no_worker(sim, task) && !task->handed &&
            !task->ended) /* no check saw how; tasks after it failed with it */
            task->ended = RP_ERR_LOST;
        spawns_settled(sim, number, NULL);
    }
    if (rpi_master_future(&sim->master, task->id) || (task->settled && future && !needed))
        model_fail(&sim->model, "task %llu: it was released, but its future is live",
                   NUMBER(number));
}

void check_future(struct sim *sim, uint64_t number)
{
    struct model_task *task = sim->model.tasks[number];
    const struct rpi_future *held = rpi_master_future(&sim->master, task->id);
    if (task->released)
        check_released(sim, number);
    else if (!held)
        model_fail(&sim->model, "task %llu: its future is gone", NUMBER(number));
    else if (held->state == RP_DONE && task->settled)
        check_unchanged(sim, number, held);
    else if (held->state == RP_DONE)
        settle(sim, number, held);
    else if (task->settled || held->state == RP_STALE ||
             (held->state == RP_WAITING && !task->after_count))
        model_fail(&sim->model, "task %llu: it %s settled, now its state is %d", NUMBER(number),
                   task->settled ? "was" : "is not", held->state);
}

static void check_futures(struct sim *sim)
{
    struct model *model = &sim->model;
    bool open = false;
    for (uint64_t i = model->first; i < model->count; i++) {
        check_future(sim, i);
        const struct model_task *task = model->tasks[i];
        open = open || !task->settled || !task->released ||
               rpi_future_of(&sim->master.futures, task->id);
        if (!open)
            model->first = i + 1;
    }
}

/* ---- credit: batches at a worker */

static bool is_out(const struct sim *sim, int worker, uint64_t id, uint8_t attempt)
{
    const struct rpi_future *future = rpi_future_of(&sim->master.futures, id);
    return future && future->state == RP_SENT && future->attempts == attempt &&
           sim->master.batches.table[future->pending.batch]->peer == worker;
}

static bool has_landed(const struct sim *sim, int worker, struct flight *flight)
{
    while (flight->first < flight->count &&
           !is_out(sim, worker, flight->ids[flight->first], flight->attempts[flight->first]))
        flight->first++;
    return flight->first == flight->count;
}

static void free_flight(struct flight *flight)
{
    free(flight->ids);
    free(flight->attempts);
}

static void forget_landed(struct sim *sim, struct sim_worker *worker)
{
    int kept = 0;
    for (int i = 0; i < worker->flight_count; i++) {
        if (has_landed(sim, (int)(worker - sim->workers), &worker->flights[i]))
            free_flight(&worker->flights[i]);
        else
            worker->flights[kept++] = worker->flights[i];
    }
    worker->flight_count = kept;
}

static void check_credit(struct sim *sim, int number)
{
    struct sim_worker *worker = &sim->workers[number];
    const struct rpi_seat *seat = &sim->master.roster.seats[number];
    uint32_t counted = seat->in_flight;
    forget_landed(sim, worker);
    if (seat->lost != worker->gone)
        model_fail(&sim->model, "worker %d is %s, and the roster does not know", number,
                   worker->gone ? "lost" : "there");
    if (counted != (uint32_t)worker->flight_count || counted > RPI_ROSTER_DEPTH)
        model_fail(&sim->model, "worker %d: the roster counts %u batches in flight, there are %d",
                   number, counted, worker->flight_count);
}

static struct flight *new_flight(struct sim *sim, int worker, uint16_t count)
{
    struct sim_worker *self = &sim->workers[worker];
    forget_landed(sim, self);
    if (self->flight_count == RPI_ROSTER_DEPTH)
        return NULL;
    struct flight *flight = &self->flights[self->flight_count++];
    *flight = (struct flight){ .ids = test_zeroed(count * sizeof *flight->ids),
                               .attempts = test_zeroed(count) };
    return flight;
}

/* ---- handing out */

static void check_chunk(struct sim *sim, uint64_t number, const struct rpi_frame *frame)
{
    struct model_map *map = sim->model.tasks[number]->map;
    const struct rpi_chunk *chunk = &frame->chunk;
    bool fits = chunk->count > 0 && chunk->first < map->count &&
                chunk->count <= map->count - chunk->first;
    if (!fits || frame->attempt != 1 + map->given_up[chunk->first] ||
        map->given_up[chunk->first] >= faults_limit(sim->model.tasks[number]))
        model_fail(&sim->model, "task %llu: %u items from %llu on are handed out", NUMBER(number),
                   chunk->count, NUMBER(chunk->first));
    for (uint64_t i = 0; fits && i < chunk->count; i++) {
        if (map->out_now[chunk->first + i])
            model_fail(&sim->model, "task %llu: item %llu is handed out again", NUMBER(number),
                       NUMBER(chunk->first + i));
        map->out_now[chunk->first + i] = true;
    }
    map->handed += chunk->count;
}

/* Where memory was refused for it, what urgent tasks wait for is not raised yet. */
static bool ranks_before(const struct sim *sim, uint64_t a, uint64_t b)
{
    return rpi_list_empty(&sim->master.deps.urgent) && model_before(&sim->model, a, b);
}

/* The first task that an idle worker gets is not one that ranks lower than one that only it may
 * run. */
static void check_own_waits(struct sim *sim, int worker, uint64_t number)
{
    struct model *model = &sim->model;
    for (uint64_t i = model->first; i < model->count; i++) {
        const struct model_task *task = model->tasks[i];
        if (!task->options.hard || task->options.worker != worker || !ranks_before(sim, i, number))
            continue;
        const struct rpi_future *future = rpi_future_of(&sim->master.futures, task->id);
        if (future && future->state == RP_QUEUED)
            model_fail(model,
                       "worker %d gets task %llu before task %llu of its own, which ranks higher",
                       worker, NUMBER(number), NUMBER(i));
    }
}

/* Whether its last start has returned an error, which it may answer for with another. */
static bool may_retry(const struct model_task *task)
{
    return (task->given_up ? task->tries[task->handed % 64].status : task->last.status) ==
               RP_ERR_TASK &&
           !task->never_again;
}

static void check_frame(struct sim *sim, int worker, const struct rpi_frame *frame)
{
    struct model *model = &sim->model;
    uint64_t number = model_find(model, frame->number);
    if (number >= model->count || model->tasks[number]->settled) {
        model_fail(model, "task %llu is handed out, but was %s",
                   NUMBER(number < model->count ? number : frame->number),
                   number < model->count ? "settled" : "never submitted");
        return;
    }
    struct model_task *task = model->tasks[number];
    uint64_t *last = task->options.hard ? &sim->workers[worker].last_own : &sim->last_rank;
    if (task->options.hard && task->options.worker != worker)
        model_fail(model, "task %llu is for worker %d only, and goes to %d", NUMBER(number),
                   task->options.worker, worker);
    if (*last && ranks_before(sim, number, *last - 1))
        model_fail(model, "task %llu is handed out after task %llu, which ranks lower",
                   NUMBER(number), NUMBER(*last - 1));
    *last = number + 1;
    if (!task->options.hard && sim->workers[worker].flight_count == 1 &&
        sim->workers[worker].flights[0].count == 1)
        check_own_waits(sim, worker, number);
    if (task->map) {
        check_chunk(sim, number, frame);
        return;
    }
    task->restarted = task->restart;
    task->retried += task->handed > 0 && !task->restart;
    bool again = task->restart || (may_retry(task) && task->retried <= task->options.retries);
    if (task->given_up >= faults_limit(task))
        model_fail(model, "task %llu starts once more, though its attempts are used up",
                   NUMBER(number));
    task->restart = false;
    if (frame->attempt != ++task->handed || (frame->attempt > 1 && !again))
        model_fail(model, "task %llu is handed out as attempt %u after %u runs", NUMBER(number),
                   frame->attempt, task->runs);
    for (uint32_t i = 0; i < task->after_count; i++)
        if (!model->tasks[task->after[i]]->settled)
            check_future(sim, task->after[i]); /* it is settled in this very step */
    for (uint32_t i = 0; i < task->after_count; i++)
        if (!model->tasks[task->after[i]]->settled)
            model_fail(model, "task %llu is handed out before task %llu", NUMBER(number),
                       NUMBER(task->after[i]));
    task->running = false; /* its result was heard of, or it is its first time */
}

/* A message beside the tasks: a cancel, or what tasks need. */
/* Whether a frame's task was given up before, and so goes alone. */
static bool goes_alone(const struct sim *sim, const struct rpi_frame *frame)
{
    uint64_t number = model_find(&sim->model, frame->number);
    const struct model_task *task = number < sim->model.count ? sim->model.tasks[number] : NULL;
    return task && (task->map ? task->map->given_up[frame->chunk.first] : task->given_up);
}

static bool is_message(const struct rpi_batch *batch)
{
    return batch->bytes[1] == RPI_CANCEL || batch->bytes[1] == RPI_INPUT ||
           batch->bytes[1] == RPI_RECALL || batch->bytes[1] == RPI_SHARE;
}

void check_handed_out(struct sim *sim, const struct rpi_batch *batch)
{
    struct rpi_reader reader;
    struct rpi_frame frame = { 0 };
    uint16_t pieces = 0;
    struct sim_worker *to = batch->peer >= 1 && batch->peer <= sim->plan.workers
                                ? &sim->workers[batch->peer]
                                : NULL;
    if (to && to->gone)
        model_fail(&sim->model, "worker %d is lost, and gets a message", batch->peer);
    if (is_message(batch) && batch->size <= sim->plan.batch_limit)
        return;
    if (batch->peer < 1 || batch->peer > sim->plan.workers || batch->size > sim->plan.batch_limit ||
        rpi_reader_open(&reader, batch->bytes, batch->size) != RP_OK || reader.left == 0) {
        model_fail(&sim->model, "a batch of %u bytes to worker %d is none", batch->size,
                   batch->peer);
        return;
    }
    if (sim->workers[batch->peer].told)
        model_fail(&sim->model, "worker %d was told to stop, and gets a batch of tasks",
                   batch->peer);
    struct flight *flight = new_flight(sim, batch->peer, reader.left);
    bool shared = reader.left > 1 || to->flight_count > 1,
         alone = to->flight_count > 1 && to->flights[0].solo;
    if (!flight) {
        model_fail(&sim->model, "worker %d gets a batch more than %d", batch->peer,
                   RPI_ROSTER_DEPTH);
        return;
    }
    while (reader.left && rpi_reader_frame(&reader, &frame) == RP_OK) {
        flight->ids[flight->count] = frame.id;
        flight->attempts[flight->count++] = frame.attempt;
        flight->solo = flight->solo || goes_alone(sim, &frame);
        if (alone || (shared && flight->solo))
            model_fail(&sim->model, "task %llu shares worker %d with one that goes alone",
                       NUMBER(frame.number), batch->peer);
        check_frame(sim, batch->peer, &frame);
        pieces = (uint16_t)(pieces + (frame.flags & RPI_FRAME_LARGE ? 1 : 0));
    }
    if (reader.left || reader.at != reader.end || pieces != batch->piece_count)
        model_fail(&sim->model, "a batch to worker %d is not whole", batch->peer);
}

/* ---- no worker waits while a task does */

/* What is queued, by the model. */
struct waiting {
    uint64_t head; /* the first; the count of tasks when there is none */
    uint64_t tasks, bytes;
    uint64_t own; /* for one worker only */
    bool unsure;  /* the head may be another: a task among them came after others, or was raised */
    int starving; /* a worker that has nothing, though tasks of its own are queued; or 0 */
};

/* Whether items of a map wait as chunks: they were handed out, and their worker was lost, or gave
 * them back. */
static bool has_items_again(const struct sim *sim, const struct rpi_future *map)
{
    for (const struct rpi_attempt *attempt = NULL;
         (attempt = rpi_attempts_next(&sim->master.attempts, attempt));) {
        const struct rpi_future *chunk = rpi_future_of(&sim->master.futures, attempt->id);
        if (chunk->flags & RPI_FUTURE_CHUNK && chunk->state == RP_QUEUED &&
            chunk->pending.map == map->pending.map && chunk->pending.items)
            return true;
    }
    return false;
}

static struct waiting look_at_queue(struct sim *sim)
{
    const struct model *model = &sim->model;
    struct waiting waiting = { .head = model->count };
    for (uint64_t i = model->first; i < model->count; i++) {
        const struct model_task *task = model->tasks[i];
        const struct rpi_future *future = rpi_future_of(&sim->master.futures, task->id);
        bool map = future && future->flags & RPI_FUTURE_MAP;
        bool again = map && has_items_again(sim, future);
        if (!again && (!future || future->state != RP_QUEUED))
            continue;
        if (task->options.hard) {
            waiting.own++;
            if (sim->master.roster.seats[task->options.worker].in_flight == 0)
                waiting.starving = task->options.worker;
            continue;
        }
        waiting.unsure = waiting.unsure || task->after_count || task->parent ||
                         model_is_raised(task);
        uint64_t items = task->map ? task->map->count - task->map->handed : 1;
        waiting.tasks += items;
        waiting.bytes += items * (task->map ? task->map->in_size : task->size);
        if (waiting.head == model->count || model_before(model, i, waiting.head))
            waiting.head = i;
    }
    return waiting;
}

/* How many batches each worker has at the least while this is queued. */
static uint32_t depth_due(const struct sim *sim, const struct waiting *waiting)
{
    const struct rpi_master *master = &sim->master;
    double mean = master->timing.functions[sim->model.tasks[waiting->head]->function].mean;
    bool enough = waiting->tasks > (uint64_t)(master->roster.workers - master->roster.lost);
    bool fills = waiting->bytes + waiting->tasks * RPI_FRAME_HEADER >= sim->plan.batch_limit;
    if (waiting->unsure || master->attempts.count || mean < 0 ||
        mean > APART * master->timing.round_trip)
        return 1;
    if (mean > LONG * master->timing.round_trip)
        return enough ? 2 : 1;
    return (mean < master->timing.round_trip ? fills : enough) ? RPI_ROSTER_DEPTH : 1;
}

void check_dispatched(struct sim *sim, bool refused)
{
    struct waiting waiting = look_at_queue(sim);
    const struct rpi_taskq *queue = &sim->master.ready.queue;
    if (sim->dropped)
        return; /* what was queued stays so for good */
    if (waiting.tasks != queue->tasks || waiting.own != sim->master.ready.own_tasks ||
        waiting.bytes != queue->bytes)
        model_fail(&sim->model, "the queue counts %llu tasks of %llu bytes, there are %llu of %llu",
                   NUMBER(queue->tasks), NUMBER(queue->bytes), NUMBER(waiting.tasks),
                   NUMBER(waiting.bytes));
    if (waiting.starving && !refused)
        model_fail(&sim->model, "worker %d has nothing, though tasks of its own are queued",
                   waiting.starving);
    if (waiting.head == sim->model.count)
        return;
    if (sim->last_rank && ranks_before(sim, waiting.head, sim->last_rank - 1))
        model_fail(&sim->model, "task %llu is handed out, task %llu of higher rank is queued",
                   NUMBER(sim->last_rank - 1), NUMBER(waiting.head));
    uint32_t due = depth_due(sim, &waiting);
    for (int worker = 1; !refused && worker <= sim->plan.workers; worker++) {
        uint32_t has = sim->master.roster.seats[worker].in_flight;
        const struct rpi_seat *seat = &sim->master.roster.seats[worker];
        if (has < due && !seat->halted && !seat->alone && !seat->lost)
            model_fail(
                &sim->model,
                "worker %d has %u batches, of %u due, while task %llu and %llu more are queued",
                worker, has, due, NUMBER(waiting.head), NUMBER(waiting.tasks - 1));
    }
    if (!refused && rpi_master_starves(&sim->master))
        model_fail(&sim->model, "rpi_master_starves: task %llu is queued", NUMBER(waiting.head));
}

/* ---- all together */

void check_step(struct sim *sim, int worker)
{
    uint64_t every = sim->plan.check_every ? sim->plan.check_every : 1;
    if (sim->transport.wrong[0])
        model_fail(&sim->model, "%s", sim->transport.wrong);
    if (worker)
        check_credit(sim, worker);
    if (sim->report->steps % every)
        return;
    check_futures(sim);
    for (int i = 1; i <= sim->plan.workers; i++)
        check_credit(sim, i);
}

/* What the counters should say; what was cancelled on its way may count either way. */
static void check_counts(struct sim *sim)
{
    const struct rpi_counts *counts = &sim->master.counts;
    struct rpi_counts ours = { 0 };
    uint64_t detached_fails = 0;
    bool vague = sim->model.cancels;
    for (uint64_t i = 0; i < sim->model.count; i++) {
        const struct model_task *task = sim->model.tasks[i];
        int code;
        vague = vague || (task->map && check_map_vague(task->map));
        rp_status status = task->map ? RP_OK : model_outcome(&sim->model, task, &code);
        ours.submitted += task->map ? task->map->count : 1;
        ours.failed += task->map ? check_map_failures(sim, i, &ours.cancelled)
                                 : status != RP_OK && status != RP_ERR_CANCELLED;
        ours.cancelled += status == RP_ERR_CANCELLED;
        ours.retried += task->handed > 1 ? task->handed - 1 : 0;
        detached_fails += task->detached && status != RP_OK && status != RP_ERR_CANCELLED;
    }
    if (sim->report->lost) {
        if (counts->submitted != ours.submitted ||
            counts->done + counts->failed + counts->cancelled != ours.submitted)
            model_fail(&sim->model,
                       "counted %llu submitted, %llu done, %llu failed, %llu cancelled",
                       NUMBER(counts->submitted), NUMBER(counts->done), NUMBER(counts->failed),
                       NUMBER(counts->cancelled));
        sim->report->retried = counts->retried;
        return;
    }
    bool same = counts->failed == ours.failed && counts->cancelled == ours.cancelled &&
                counts->retried == ours.retried;
    if (counts->submitted != ours.submitted ||
        counts->done + counts->failed + counts->cancelled != ours.submitted || (!same && !vague))
        model_fail(&sim->model,
                   "counted %llu submitted, %llu done, %llu failed, %llu cancelled, %llu retried",
                   NUMBER(counts->submitted), NUMBER(counts->done), NUMBER(counts->failed),
                   NUMBER(counts->cancelled), NUMBER(counts->retried));
    if (detached_fails != sim->detached_fails)
        model_fail(&sim->model, "%llu detached tasks failed, %llu were logged",
                   NUMBER(detached_fails), NUMBER(sim->detached_fails));
    sim->report->retried = counts->retried;
}

void check_end(struct sim *sim)
{
    if (sim->plan.ending == SIM_ABANDON)
        return;
    check_futures(sim);
    for (uint64_t i = 0; i < sim->model.count && sim->plan.ending == SIM_CLOSE; i++)
        if (!sim->model.tasks[i]->settled ||
            (sim->model.tasks[i]->options.on_done && sim->model.tasks[i]->calls != 1))
            model_fail(&sim->model, "task %llu is lost: nothing is on its way any more", NUMBER(i));
    for (int i = 1; i <= sim->plan.workers; i++)
        if (!sim->workers[i].dead && !rpi_worker_finished(&sim->workers[i].engine))
            model_fail(&sim->model, "worker %d was told to stop, but has not finished", i);
    if (sim->plan.ending != SIM_CLOSE || sim->model.violation[0])
        return;
    spawns_end(sim);
    if (sim->master.attempts.count)
        model_fail(&sim->model, "all is settled, but %llu losses are kept",
                   NUMBER(sim->master.attempts.count));
    if (sim->master.deps.count && !sim->report->lost)
        model_fail(&sim->model, "all is settled, but %llu outcomes are kept for others",
                   NUMBER(sim->master.deps.count));
    if (sim->master.unsettled || sim->master.ready.queue.tasks || sim->master.ready.queue.bytes)
        model_fail(&sim->model, "all is settled, but the engine counts %llu",
                   NUMBER(sim->master.unsettled));
    check_counts(sim);
}
