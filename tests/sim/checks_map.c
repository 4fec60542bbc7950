#include "checks_map.h"

#define NUMBER(n) ((unsigned long long)(n))

static rp_status promised(const struct model_task *task, uint64_t item, int *code)
{
    struct promise promise = model_promise(task, item, 1);
    rp_status status = promise_status(&promise, code);
    return status == RP_OK && promise.size != task->map->out_size ? RP_ERR_SIZE : status;
}

static bool is_untouched(const uint8_t *out, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (out[i] != MODEL_UNTOUCHED)
            return false;
    return true;
}

/* What came of an item: as promised, or, where memory was refused, a failure. */
static rp_status status_of(const struct model_task *task, uint64_t item, int *code)
{
    const struct model_map *map = task->map;
    rp_status status = promised(task, item, code);
    *code = map->ended[item] == RP_ERR_CANCELLED ? RP_ERR_CANCELLED
            : map->ended[item] == RP_ERR_CRASHED ? 11
            : map->ended[item]                   ? 0
                                                 : *code;
    if (map->ended[item])
        return map->ended[item];
    bool dropped = map->statuses ? map->statuses[item] == RP_ERR_CANCELLED
                                 : map->out_size > 0 &&
                                       is_untouched(map->out + item * map->out_size, map->out_size);
    if (task->cancel_asked && map->given_up[item] && dropped &&
        (map->statuses || status == RP_OK)) {
        *code = RP_ERR_CANCELLED; /* while it waited to go again */
        return RP_ERR_CANCELLED;
    }
    if (task->cancel_asked && map->runs[item] == 0) {
        bool no_room = map->refused[item] && (!map->statuses || map->statuses[item] == RP_ERR_TASK);
        *code = no_room ? RP_ERR_NOMEM : RP_ERR_CANCELLED;
        return no_room ? RP_ERR_TASK : RP_ERR_CANCELLED;
    }
    if (!map->refused[item])
        return status;
    bool failed = map->statuses ? map->statuses[item] == RP_ERR_TASK
                                : map->out_size > 0 &&
                                      is_untouched(map->out + item * map->out_size, map->out_size);
    if (status == RP_ERR_TASK || !failed)
        return status;
    *code = RP_ERR_NOMEM;
    return RP_ERR_TASK;
}

static void check_item(struct sim *sim, uint64_t number, uint64_t item)
{
    const struct model_task *task = sim->model.tasks[number];
    const struct model_map *map = task->map;
    const uint8_t *out = map->out + item * map->out_size;
    int code;
    rp_status status = status_of(task, item, &code);
    bool unrun = map->runs[item] == 0 &&
                 (status == RP_ERR_CANCELLED ||
                  (map->refused[item] && status != RP_OK)); /* no room for its chunk */
    bool again = map->given_up[item] && (map->runs[item] > 0 || map->ended[item]);
    if (map->runs[item] != 1 && !unrun && !again)
        model_fail(&sim->model, "task %llu: item %llu of %llu ran %u times", NUMBER(number),
                   NUMBER(item), NUMBER(map->count), map->runs[item]);
    else if (map->statuses && map->statuses[item] != status)
        model_fail(&sim->model, "task %llu: item %llu has status %d, not %d", NUMBER(number),
                   NUMBER(item), map->statuses[item], status);
    else if (status == RP_OK &&
             !pattern_matches(out, map->out_size, model_promise(task, item, 1).pattern))
        model_fail(&sim->model, "task %llu: item %llu has other bytes than it returned",
                   NUMBER(number), NUMBER(item));
    else if (status != RP_OK && !is_untouched(out, map->out_size))
        model_fail(&sim->model, "task %llu: item %llu failed, but its place was written",
                   NUMBER(number), NUMBER(item));
}

void check_map_items(struct sim *sim, uint64_t number)
{
    struct model_task *task = sim->model.tasks[number];
    struct model_run *last = &task->last;
    for (uint64_t i = task->map->count; i-- > 0;) {
        int code;
        rp_status status = status_of(task, i, &code);
        check_item(sim, number, i);
        if (status != RP_OK)
            *last = (struct model_run){ .status = status, .code = code };
    }
}

uint64_t check_map_failures(const struct sim *sim, uint64_t number, uint64_t *cancelled)
{
    const struct model_task *task = sim->model.tasks[number];
    uint64_t failures = 0;
    int code;
    for (uint64_t i = 0; i < task->map->count; i++) {
        rp_status status = status_of(task, i, &code);
        *cancelled += status == RP_ERR_CANCELLED ? 1 : 0;
        failures += status != RP_OK && status != RP_ERR_CANCELLED ? 1 : 0;
    }
    return failures;
}

bool check_map_vague(const struct model_map *map)
{
    for (uint64_t i = 0; !map->statuses && i < map->count; i++)
        if (map->refused[i] || map->given_up[i])
            return true;
    return false;
}

void check_map_outcome(struct sim *sim, uint64_t number, const rp_outcome *outcome)
{
    const struct model_task *task = sim->model.tasks[number];
    uint64_t item = 0;
    int code = 0;
    rp_status status = RP_OK;
    while (item < task->map->count && (status = status_of(task, item, &code)) == RP_OK)
        item++;
    if (check_map_vague(task->map))
        return;
    if (outcome->status != status || (status != RP_OK && !task->map->refused[item] &&
                                      !task->cancel_asked && outcome->code != code))
        model_fail(&sim->model,
                   "map %llu settled with status %d and code %d: item %llu failed with %d and %d",
                   NUMBER(number), outcome->status, outcome->code, NUMBER(item), status, code);
    else if (status != RP_OK && !strstr(outcome->message, "item "))
        model_fail(&sim->model, "map %llu: its failure says \"%s\"", NUMBER(number),
                   outcome->message);
}
