/* A stream of tasks, and the tasks that these spawn: what each attempt of a task spawns is known
 * from its seed, and differs from what its other attempts do. */
#include "inside.h"
#include "master/subtasks.h"

#include <stdlib.h>

#define NUMBER(n)   ((unsigned long long)(n))
#define GENERATIONS 4
#define MANY        2000 /* tasks: from there on none spawns */

/* ---- what each attempt spawns */

static uint32_t children_of(const struct model_task *task, uint32_t attempt)
{
    struct chance chance = { chance_mix(task->seed, 1000 + attempt) };
    if (!task->spawns)
        return 0;
    uint32_t most = chance_is(&chance, 0.1) ? 30 : 5;
    return chance_below(&chance, 1 + most / (1 + 2 * task->depth));
}

static void random_child_options(struct chance *chance, struct rpi_options *options)
{
    if (chance_is(chance, 0.5))
        return;
    if (chance_is(chance, 0.5))
        options->priority = (int32_t)chance_below(chance, 5) - 2;
    if (chance_is(chance, 0.3))
        options->cost = chance_below(chance, 4);
    if (chance_is(chance, 0.3))
        options->retries = chance_below(chance, 4);
    if (chance_is(chance, 0.3))
        options->attempts = chance_below(chance, 4);
}

/* Number and place are not its. */
static void describe(const struct sim *sim, const struct model_task *parent, uint32_t attempt,
                     uint32_t ordinal, struct model_task *child)
{
    struct chance chance = { chance_mix(parent->seed, 5000 + attempt * 256 + ordinal) };
    uint32_t limit = rpi_wire_inline_limit(sim->plan.batch_limit);
    child->seed = chance_next(&chance);
    child->function = sim->plan.function >= 0 ? sim->plan.function
                                              : (int)chance_below(&chance, MODEL_FUNCTIONS);
    child->size = chance_is(&chance, 0.7)   ? 8
                  : chance_is(&chance, 0.8) ? chance_below(&chance, 200)
                                            : chance_below(&chance, limit + 1);
    child->largest = sim->plan.large;
    child->depth = parent->depth + 1;
    child->index = parent->index;
    child->poison = sim->plan.poison > 0 && chance_is(&chance, sim->plan.poison / 2);
    child->spawns = child->depth < GENERATIONS && chance_is(&chance, sim->plan.spawns);
    if (chance_is(&chance, 0.2))
        child->failing = 1 + chance_below(&chance, 3);
    random_child_options(&chance, &child->options);
    child->urgency = child->options.priority;
    child->streamed = child->released = true;
}

rp_status spawns_play(struct sim *sim, rp_call *call, const struct model_task *task,
                      uint32_t attempt)
{
    rp_status status = RP_OK;
    for (uint32_t i = 0; status == RP_OK && i < children_of(task, attempt); i++) {
        struct model_task child = { 0 };
        rp_task_options options = RP_TASK_OPTIONS_INIT;
        describe(sim, task, attempt, i, &child);
        options.priority = child.options.priority;
        options.cost = child.options.cost;
        options.retries = (int)child.options.retries;
        options.attempts = (int)child.options.attempts;
        uint8_t *arg = test_room(NULL, child.size);
        pattern_fill(arg, child.size, child.seed);
        status = rp_spawn(call, sim->registry.functions[child.function], arg, child.size, &options);
        free(arg);
    }
    return status;
}

/* ---- what rank 0 has made of it */

/* A fault on purpose: a wrong engine would queue it twice. */
static void queue_again(struct sim *sim, const struct model_task *child)
{
    struct rpi_options options = child->options;
    struct rpi_request request = { .function = (uint16_t)child->function,
                                   .size = child->size,
                                   .options = &options,
                                   .link = child->index,
                                   .released = true,
                                   .spawned = true,
                                   .depth = child->depth,
                                   .number = child->number };
    uint64_t id;
    uint8_t *arg = test_room(NULL, child->size);
    pattern_fill(arg, child->size, child->seed);
    request.arg = arg;
    options.completions = &sim->stream;
    sim->stream.open++;
    if (rpi_idqueue_reserve(&sim->stream.ready, &sim->alloc, sim->stream.open + 1) == RP_OK)
        (void)!rpi_master_submit(&sim->master, &request, sim->now, &id);
    free(arg);
}

static void found(struct sim *sim, uint64_t id, const struct rpi_future *future,
                  struct model_task *parent, uint32_t attempt, uint32_t ordinal)
{
    struct model_task *child = model_add_spawned(&sim->model, future->pending.number);
    describe(sim, parent, attempt, ordinal, child);
    child->id = id;
    child->parent = parent;
    memcpy(child->shared, parent->shared, sizeof child->shared);
    child->cancel_asked = sim->dropped;
    if (parent->children_of && parent->children_of != attempt)
        model_fail(&sim->model, "task %llu has children of attempts %u and %u",
                   NUMBER(parent->place), parent->children_of, attempt);
    if (future->link != child->index || future->pending.depth != child->depth)
        model_fail(&sim->model, "task %llu: its child is said to be %u below root %u",
                   NUMBER(parent->place), future->pending.depth, future->link);
    parent->children_of = attempt;
    parent->children++;
    sim->report->spawned++;
    sim->report->respawned += parent->children == 1 && parent->given_up;
    if (sim_fault_now(sim, SIM_CHILD_TWICE))
        queue_again(sim, child);
}

/* Whether this one is a child that the attempt spawns. */
static bool is_child(const struct sim *sim, const struct rpi_future *future,
                     const struct model_task *parent, uint32_t attempt, uint32_t *ordinal)
{
    (void)sim;
    for (*ordinal = 0; *ordinal < children_of(parent, attempt); ++*ordinal)
        if (rpi_subtasks_number(parent->number, *ordinal) == future->pending.number)
            return true;
    return false;
}

/* An answer that says that its task has succeeded. */
struct success {
    uint64_t id;
    uint32_t attempt;
};

static struct model_task *by_id(const struct sim *sim, uint64_t id)
{
    for (uint64_t i = sim->model.first; i < sim->model.count; i++)
        if (sim->model.tasks[i]->id == id)
            return sim->model.tasks[i];
    return NULL;
}

static void look_for_parent(struct sim *sim, uint64_t id, const struct rpi_future *future,
                            const struct success *successes, uint32_t count)
{
    uint64_t place = model_find(&sim->model, future->pending.number);
    uint32_t ordinal;
    if (place < sim->model.count && sim->model.tasks[place]->id == id)
        return; /* it is known */
    if (place < sim->model.count) {
        model_fail(&sim->model, "task %llu was spawned once and is queued twice", NUMBER(place));
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct model_task *parent = by_id(sim, successes[i].id);
        if (!parent || !is_child(sim, future, parent, successes[i].attempt, &ordinal))
            continue;
        found(sim, id, future, parent, successes[i].attempt, ordinal);
        return;
    }
    model_fail(&sim->model, "a task is queued that none has spawned and succeeded");
}

static void look_for_children(struct sim *sim, const struct success *successes, uint32_t count)
{
    const struct rpi_futures *futures = &sim->master.futures;
    for (uint32_t i = 0; sim->spawned != sim->master.spawned && i < futures->touched; i++) {
        const struct rpi_future *future = rpi_future_slot(futures, i);
        if (future->flags & RPI_FUTURE_SPAWNED &&
            (future->state == RP_QUEUED || future->state == RP_SENT))
            look_for_parent(sim, (uint64_t)future->generation << 32 | i, future, successes, count);
    }
    sim->spawned = sim->master.spawned;
}

void spawns_forget(struct sim *sim, int worker)
{
    struct rpi_link *link = rpi_list_first(&sim->master.roster.seats[worker].held);
    if (link && sim_fault_now(sim, SIM_LOSE_CHILD))
        RPI_MEMBER(link, struct rpi_subtasks_held, link)->count--;
}

void spawns_received(struct sim *sim, const struct sim_message *message)
{
    struct rpi_reader reader;
    struct rpi_frame frame = { 0 };
    uint32_t count = 0;
    if (sim->spawned == sim->master.spawned ||
        rpi_reader_open(&reader, message->bytes, message->size) != RP_OK)
        return;
    struct success *successes = test_zeroed((reader.left + 1U) * sizeof *successes);
    while (reader.left && rpi_reader_frame(&reader, &frame) == RP_OK)
        if (!(frame.flags & (RPI_FRAME_SPAWNED | RPI_FRAME_FAILED | RPI_FRAME_LARGE)))
            successes[count++] = (struct success){ frame.id, frame.attempt };
    look_for_children(sim, successes, count);
    free(successes);
}

void spawns_arrived(struct sim *sim, uint64_t id, uint32_t attempt)
{
    const struct success success = { id, attempt };
    if (sim->spawned != sim->master.spawned)
        look_for_children(sim, &success, 1);
}

/* ---- a parent's end */

/* Whether this attempt may be the one that the outcome, or (NULL) an empty success, is of. */
static bool may_be(const struct model_task *task, uint32_t attempt, const rp_outcome *outcome)
{
    const struct model_run *run = &task->tries[attempt];
    if (!(task->ran >> attempt & 1) || run->status != RP_OK)
        return false;
    if (!outcome)
        return run->promise.size == 0;
    return run->worker == outcome->worker && run->promise.size == outcome->size &&
           pattern_matches(outcome->data, outcome->size, run->promise.pattern);
}

static bool has_its_children(const struct model_task *task, const rp_outcome *outcome)
{
    if (outcome && outcome->status != RP_OK)
        return task->children == 0;
    for (uint32_t i = 1; i < 64; i++)
        if (may_be(task, i, outcome) && task->children == children_of(task, i) &&
            (!task->children || task->children_of == i))
            return true;
    return false;
}

void spawns_settled(struct sim *sim, uint64_t number, const rp_outcome *outcome)
{
    struct model_task *task = sim->model.tasks[number];
    if (!task->streamed || sim->model.violation[0])
        return;
    if (!outcome && !sim->stream.skip_empty)
        model_fail(&sim->model, "task %llu settled, and its item is gone", NUMBER(number));
    task->vanished = !outcome;
    if (outcome && outcome->status == RP_OK && outcome->size == 0 && sim->stream.skip_empty)
        task->vanished = true;
    bool dropped = sim->dropped &&
                   !task->children; /* the pool ends, and nothing is queued any more */
    if (!dropped && !has_its_children(task, outcome))
        model_fail(
            &sim->model, "task %llu settled with status %d, and has %u children, of attempt %u",
            NUMBER(number), outcome ? outcome->status : RP_OK, task->children, task->children_of);
}

/* ---- the stream */

rp_status stream_item(struct sim *sim, struct model_task *task, struct rpi_request *request,
                      struct rpi_options *options)
{
    struct chance *chance = &sim->chance;
    if (task->detached || chance_is(chance, 0.3))
        return RP_OK;
    rp_status status = rpi_idqueue_reserve(&sim->stream.ready, &sim->alloc, sim->stream.open + 1);
    if (status != RP_OK)
        return status;
    task->streamed = true;
    task->index = sim->streamed;
    task->spawns = sim->model.count < MANY && chance_is(chance, sim->plan.spawns);
    task->options.completions = options->completions = &sim->stream;
    task->released = request->released = chance_is(chance, 0.8);
    request->link = task->index;
    sim->stream.open++;
    return RP_OK;
}

static void take(struct sim *sim)
{
    uint64_t id = rpi_idqueue_pop(&sim->stream.ready);
    struct model_task *task = by_id(sim, id);
    struct rpi_future *future = rpi_future_of(&sim->master.futures, id);
    sim->stream.open--;
    if (sim_fault_now(sim, SIM_LOSE_ITEM))
        return;
    if (!task || !future || future->state != RP_DONE || !(future->flags & RPI_FUTURE_STREAMED)) {
        model_fail(&sim->model, "the stream gives what is no settled item");
        return;
    }
    for (uint64_t i = sim->model.first; i < task->place && task->after_count; i++)
        check_future(sim, i); /* it may have failed with one of these */
    check_future(sim, task->place);
    bool spawned = future->flags & RPI_FUTURE_SPAWNED;
    if (task->delivered++ || !task->streamed || task->vanished)
        model_fail(&sim->model, "task %llu comes from the stream %u times", NUMBER(task->place),
                   task->delivered);
    if (spawned != (task->parent != NULL) || future->link != task->index ||
        (spawned && future->done.depth != task->depth))
        model_fail(&sim->model, "task %llu comes from the stream as %u below root %u",
                   NUMBER(task->place), future->done.depth, future->link);
    future->flags &= (uint8_t)~RPI_FUTURE_STREAMED;
    if (future->flags & RPI_FUTURE_RELEASED)
        rpi_master_release(&sim->master, id, future);
}

void stream_take(struct sim *sim, uint32_t most)
{
    while (sim->stream.ready.count && most-- && !sim->model.violation[0])
        take(sim);
}

void spawns_end(struct sim *sim)
{
    for (uint64_t i = 0; i < sim->model.count; i++) {
        const struct model_task *task = sim->model.tasks[i];
        if (task->streamed && task->delivered != (task->vanished ? 0 : 1))
            model_fail(&sim->model, "task %llu came from the stream %u times", NUMBER(i),
                       task->delivered);
    }
    if (sim->stream.open)
        model_fail(&sim->model, "all is settled, but the stream counts %llu items",
                   NUMBER(sim->stream.open));
}
