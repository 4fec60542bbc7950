/* The application: random calls, as rp_submit, rp_map, rp_get and rp_release make them. */
#include "inside.h"

#include <stdlib.h>

static uint32_t random_size(struct sim *sim)
{
    struct chance *chance = &sim->chance;
    if (sim->plan.plain)
        return 8;
    switch (chance_below(chance, 16)) {
    case 0:
        return 0;
    case 1:
    case 2:
        return chance_below(chance, 64);
    case 3:
        return chance_below(chance, sim->plan.large + 1);
    case 4: /* about where arguments begin to travel alone */
        return rpi_wire_inline_limit(sim->plan.batch_limit) - 20 + chance_below(chance, 40);
    default:
        return 8;
    }
}

static void random_options(struct sim *sim, struct rpi_options *options)
{
    struct chance *chance = &sim->chance;
    if (sim->plan.plain || chance_is(chance, 0.5))
        return;
    if (chance_is(chance, 0.5))
        options->priority = (int32_t)chance_below(chance, 5) - 2;
    if (chance_is(chance, 0.3))
        options->cost = chance_below(chance, 4);
    if (chance_is(chance, 0.3))
        options->retries = chance_below(chance, 4);
    if (chance_is(chance, 0.1))
        options->attempts = chance_below(chance, 4);
    if (chance_is(chance, 0.1))
        options->time_limit = 1e6;
    if (chance_is(chance, 0.2)) {
        options->worker = 1 + (int32_t)chance_below(chance, (uint32_t)sim->plan.workers);
        options->hard = chance_is(chance, 0.5);
    }
}

/* What rp_task_options names; the simulator itself delivers. */
static void on_done(rp_pool *pool, rp_future future, const rp_outcome *outcome, void *user)
{
    (void)pool;
    (void)future;
    (void)outcome;
    (void)user;
}

void app_deliver(struct sim *sim)
{
    struct rpi_master *master = &sim->master;
    while (master->called.ids.count) {
        uint64_t id = rpi_idqueue_pop(&master->called.ids);
        struct rpi_future *future = rpi_future_of(&master->futures, id);
        struct model_task *task = rpi_options_at(&master->options, future->options)->user;
        master->called.due--;
        if (task->id != id || ++task->calls > 1 || future->state != RP_DONE)
            model_fail(&sim->model, "on_done was called for another task, or twice");
        rpi_master_forget_options(master, future);
        if (future->flags & RPI_FUTURE_RELEASED)
            rpi_master_release(master, id, future);
    }
}

/* Some tasks that this one comes after. */
static void random_inputs(struct sim *sim, struct model_task *task, rp_future *ids)
{
    struct model *model = &sim->model;
    uint32_t open = (uint32_t)(model->count - 1 - model->first);
    if (sim->plan.plain || !open || !chance_is(&sim->chance, 0.15))
        return;
    uint32_t count = 1 + chance_below(&sim->chance, 3);
    task->after = test_zeroed(count * sizeof *task->after);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t number = model->first + chance_below(&sim->chance, open);
        if (model->tasks[number]->released)
            continue;
        ids[task->after_count].id = model->tasks[number]->id;
        task->after[task->after_count++] = number;
    }
}

static struct model_task *new_task(struct sim *sim)
{
    struct model_task *task = model_add(&sim->model);
    task->function = sim->plan.function >= 0 ? sim->plan.function
                                             : (int)chance_below(&sim->chance, MODEL_FUNCTIONS);
    task->plain = sim->plan.plain;
    task->largest = sim->plan.large;
    random_options(sim, &task->options);
    task->urgency = task->options.priority;
    task->poison = sim->plan.poison > 0 && chance_is(&sim->chance, sim->plan.poison);
    if (!task->plain && chance_is(&sim->chance, sim->plan.failing > 0 ? sim->plan.failing : 0.2))
        task->failing = 1 + chance_below(&sim->chance, 3);
    if (sim->plan.failing > 0 && task->failing)
        task->options.retries = chance_below(&sim->chance, 6);
    return task;
}

/* The call was refused or not: nothing may have changed, or all. */
static bool accepted(struct sim *sim, rp_status status, uint64_t unsettled, uint64_t refused)
{
    const struct rpi_master *master = &sim->master;
    uint64_t number = sim->model.submitted - 1;
    if (status == RP_OK && master->next_number == number + 1 && master->unsettled == unsettled + 1)
        return true;
    if (status == RP_ERR_NOMEM && sim->memory.refused > refused && master->next_number == number &&
        master->unsettled == unsettled)
        model_forget_last(&sim->model);
    else
        model_fail(&sim->model, "submitting task %llu gave %d, and the engine counts %llu tasks",
                   (unsigned long long)number, status, (unsigned long long)master->next_number);
    return false;
}

/* An input has failed: it will not run. */
static bool waits_in_vain(const struct sim *sim, const struct model_task *task)
{
    for (uint32_t i = 0; i < task->after_count; i++) {
        const struct rpi_future *input = rpi_future_of(&sim->master.futures,
                                                       sim->model.tasks[task->after[i]]->id);
        if (input && input->state == RP_DONE && input->status != RP_OK)
            return true;
    }
    return false;
}

static void submit(struct sim *sim)
{
    struct model_task *task = new_task(sim);
    uint64_t unsettled = sim->master.unsettled, refused = sim->memory.refused;
    bool borrow = !sim->plan.plain && chance_is(&sim->chance, 0.3);
    task->size = random_size(sim);
    task->detached = task->released = !sim->plan.plain && chance_is(&sim->chance, 0.1);
    uint8_t *arg = test_room(NULL, task->size);
    pattern_fill(arg, task->size, task->seed);
    rp_future inputs[3];
    random_inputs(sim, task, inputs);
    if (!sim->plan.plain && chance_is(&sim->chance, 0.1))
        task->options.on_done = on_done;
    task->options.user = task->options.on_done ? task : NULL;
    struct rpi_options options = task->options;
    struct rpi_request request = { .function = (uint16_t)task->function,
                                   .borrow = borrow,
                                   .released = task->detached,
                                   .arg = arg,
                                   .size = task->size,
                                   .after = inputs,
                                   .after_count = task->after_count,
                                   .options = &options };
    if (sim_fault_now(sim, SIM_WRONG_RANK))
        options.priority += 5;
    if (task->poison && !task->options.hard && !task->released &&
        sim_fault_now(sim, SIM_START_TWICE))
        task->options.attempts = 1;
    if (borrow)
        task->arg = arg;
    rp_status status = RP_OK;
    if (sim->plan.spawns > 0)
        status = stream_item(sim, task, &request, &options);
    if (status == RP_OK)
        status = rpi_master_submit(&sim->master, &request, sim->now, &task->id);
    if (!borrow) {
        pattern_fill(arg, task->size, ~task->seed); /* it was copied */
        free(arg);
    }
    if (status != RP_OK && task->streamed)
        sim->stream.open--;
    if (!accepted(sim, status, unsettled, refused))
        return;
    sim->streamed += task->streamed;
    for (uint32_t i = 0; i < task->after_count; i++)
        sim->model.tasks[task->after[i]]->dependents++;
    if (task->after_count && !waits_in_vain(sim, task))
        model_urge(&sim->model);
    if (!rpi_list_empty(&sim->master.deps.urgent) && sim_fault_now(sim, SIM_FORGET_URGENT))
        (void)rpi_list_pop(&sim->master.deps.urgent);
}

static void submit_map(struct sim *sim)
{
    struct chance *chance = &sim->chance;
    struct model_task *task = new_task(sim);
    uint64_t unsettled = sim->master.unsettled, refused = sim->memory.refused;
    uint64_t count = 1 + chance_below(chance, 4 * sim->plan.burst);
    uint32_t in_size = random_size(sim), out_size = random_size(sim);
    task->options.retries = 0; /* maps refuse these */
    task->options.worker = 0;
    task->options.hard = false;
    if (in_size + out_size > 1000)
        count = 1 + count % 16;
    model_make_map(task, chance, count, in_size, out_size);
    task->poison_item = task->poison ? chance_below(chance, (uint32_t)count) : 0;
    if ((sim->plan.fail_ppm || sim->plan.shares > 0) &&
        !task->map->statuses) /* else it would not be known what a refusal made of an item */
        task->map->statuses = test_zeroed(count * sizeof *task->map->statuses);
    if (chance_is(chance, 0.5))
        task->map->chunk = 1 + chance_below(chance, (uint32_t)count + 3);
    struct rpi_map_request request = { .function = (uint16_t)task->function,
                                       .in = in_size ? task->map->in : NULL,
                                       .out = out_size ? task->map->out : NULL,
                                       .in_size = in_size,
                                       .out_size = out_size,
                                       .count = count,
                                       .chunk = task->map->chunk,
                                       .statuses = task->map->statuses,
                                       .options = task->options };
    rp_status status = rpi_master_map(&sim->master, &request, sim->now, &task->id);
    (void)accepted(sim, status, unsettled, refused);
}

/* Lets go of a task, whether it is settled or not; one that is settled is looked at before. */
static void release(struct sim *sim, uint64_t number)
{
    struct model_task *task = sim->model.tasks[number];
    check_future(sim, number);
    struct rpi_future *future = rpi_master_future(&sim->master, task->id);
    if (task->released || !future)
        return;
    task->released = true;
    rpi_master_release(&sim->master, task->id, future);
    if (rpi_master_future(&sim->master, task->id))
        model_fail(&sim->model, "task %llu: its future is live after its release",
                   (unsigned long long)number);
}

static void release_some(struct sim *sim)
{
    struct model *model = &sim->model;
    uint64_t open = model->count - model->first;
    if (!open)
        return;
    for (uint32_t i = 1 + chance_below(&sim->chance, 4); i > 0; i--)
        release(sim, model->first + chance_below(&sim->chance, (uint32_t)open));
}

/* Lets go of all that is settled, as an application that gets its results. */
static void collect(struct sim *sim)
{
    for (uint64_t i = sim->model.first; i < sim->model.count; i++)
        if (sim->model.tasks[i]->settled)
            release(sim, i);
}

/* ---- cancelling */

static bool waits_here(const struct sim *sim, const struct model_task *task)
{
    const struct rpi_future *future = rpi_future_of(&sim->master.futures, task->id);
    return !task->map && future && (future->state == RP_QUEUED || future->state == RP_WAITING);
}

static bool is_done(const struct sim *sim, const struct model_task *task)
{
    const struct rpi_future *future = rpi_future_of(&sim->master.futures, task->id);
    return !future || future->state == RP_DONE;
}

static void cancel_one(struct sim *sim)
{
    struct model *model = &sim->model;
    uint64_t open = model->count - model->first;
    uint64_t number = model->first + (open ? chance_below(&sim->chance, (uint32_t)open) : 0);
    struct rpi_future *future = open ? rpi_master_future(&sim->master, model->tasks[number]->id)
                                     : NULL;
    if (!future)
        return;
    struct model_task *task = model->tasks[number];
    check_future(sim, number);
    bool waits = waits_here(sim, task);
    uint64_t refused = sim->memory.refused;
    rp_status status = rpi_master_cancel(&sim->master, task->id, future, sim->now);
    model->cancels = true;
    task->cancel_asked = true;
    if (status == RP_OK)
        task->never_again = true;
    else if (status != RP_ERR_NOMEM || sim->memory.refused == refused)
        model_fail(model, "cancelling task %llu gave %d", (unsigned long long)number, status);
    task->cancelled_here = task->cancelled_here || (waits && status == RP_OK);
    if (waits && is_done(sim, task) != (status == RP_OK))
        model_fail(model, "task %llu was cancelled before it was handed out, with %d",
                   (unsigned long long)number, status);
}

/* All at once; the released ones too. */
static void cancel_all(struct sim *sim)
{
    struct model *model = &sim->model;
    uint64_t open = model->count - model->first;
    bool *waits = test_zeroed(open);
    for (uint64_t i = 0; i < open; i++) {
        check_future(sim, model->first + i);
        waits[i] = waits_here(sim, model->tasks[model->first + i]);
    }
    rp_status status = rpi_master_cancel_all(&sim->master, sim->now);
    model->cancels = true;
    for (uint64_t i = 0; i < open; i++) {
        unsigned long long number = model->first + i;
        struct model_task *task = model->tasks[number];
        task->cancel_asked = true;
        task->never_again = task->never_again || status == RP_OK;
        task->cancelled_here = task->cancelled_here || (waits[i] && is_done(sim, task));
        if (status == RP_OK && waits[i] && !is_done(sim, task))
            model_fail(model, "task %llu was not cancelled with the others", number);
    }
    free(waits);
}

static void cancel(struct sim *sim)
{
    if (chance_is(&sim->chance, 0.1))
        cancel_all(sim);
    else
        for (uint32_t i = 1 + chance_below(&sim->chance, 4); i > 0 && !sim->model.violation[0]; i--)
            cancel_one(sim);
}

static void submit_shape(struct sim *sim)
{
    struct model_task *task = new_task(sim);
    uint64_t unsettled = sim->master.unsettled, count = sim_shape_count(sim->plan.shape);
    model_make_map(task, &sim->chance, count, 8, 8);
    task->map->chunk = sim->plan.chunk;
    struct rpi_map_request request = { .function = (uint16_t)task->function,
                                       .in = task->map->in,
                                       .out = task->map->out,
                                       .in_size = 8,
                                       .out_size = 8,
                                       .count = count,
                                       .chunk = task->map->chunk,
                                       .statuses = task->map->statuses };
    rp_status status = rpi_master_map(&sim->master, &request, sim->now, &task->id);
    (void)accepted(sim, status, unsettled, sim->memory.refused);
}

bool app_act(struct sim *sim)
{
    struct chance *chance = &sim->chance;
    if (sim->actions >= sim->plan.actions)
        return false;
    sim->actions++;
    if (sim->plan.shape) {
        submit_shape(sim);
        return true;
    }
    if (sim->plan.shares > 0 && chance_is(chance, sim->plan.shares)) {
        shares_act(sim);
        return true;
    }
    uint32_t what = sim->plan.plain ? 0 : chance_below(chance, 11);
    uint32_t burst = sim->plan.plain ? sim->plan.burst : 1 + chance_below(chance, sim->plan.burst);
    if (what == 10 && sim->plan.cancels)
        cancel(sim);
    else if (what == 9)
        submit_map(sim);
    else if (what == 8)
        release_some(sim);
    else if (what == 7)
        collect(sim);
    else
        while (burst-- && !sim->model.violation[0])
            submit(sim);
    return true;
}
