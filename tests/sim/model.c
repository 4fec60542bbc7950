#include "model.h"

#include "base/bytes.h"
#include "memory.h"
#include "proto/task.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void model_init(struct model *model, uint64_t seed)
{
    *model = (struct model){ .seed = seed };
}

static void free_map(struct model_map *map)
{
    if (!map)
        return;
    free(map->in);
    free(map->out);
    free(map->statuses);
    free(map->runs);
    free(map->refused);
    free(map->given_up);
    free(map->ended);
    free(map->out_now);
    free(map);
}

static void free_task(struct model_task *task)
{
    free(task->arg);
    free(task->after);
    free_map(task->map);
    free(task);
}

void model_fini(struct model *model)
{
    for (uint64_t i = 0; i < model->count; i++)
        free_task(model->tasks[i]);
    free(model->tasks);
}

void model_fail(struct model *model, const char *format, ...)
{
    va_list arguments;
    if (model->violation[0])
        return;
    va_start(arguments, format);
    (void)vsnprintf(model->violation, sizeof model->violation, format, arguments);
    va_end(arguments);
}

static struct model_task *add(struct model *model, uint64_t number)
{
    struct model_task **chain = &model->chains[number % MODEL_CHAINS];
    if (model->count == model->capacity) {
        model->capacity = model->capacity ? 2 * model->capacity : 64;
        model->tasks = test_room(model->tasks, model->capacity * sizeof(struct model_task *));
    }
    struct model_task *task = test_zeroed(sizeof *task);
    task->seed = chance_mix(model->seed, model->count);
    task->number = number;
    memcpy(task->shared, model->shared, sizeof task->shared);
    task->place = model->count;
    task->same_chain = *chain;
    *chain = task;
    model->tasks[model->count++] = task;
    return task;
}

struct model_task *model_add(struct model *model)
{
    return add(model, model->submitted++);
}

struct model_task *model_add_spawned(struct model *model, uint64_t number)
{
    return add(model, number);
}

uint64_t model_find(const struct model *model, uint64_t number)
{
    const struct model_task *task = model->chains[number % MODEL_CHAINS];
    while (task && task->number != number)
        task = task->same_chain;
    return task ? task->place : model->count;
}

void model_forget_last(struct model *model)
{
    struct model_task *last = model->tasks[--model->count];
    model->chains[last->number % MODEL_CHAINS] = last->same_chain;
    model->submitted--;
    free_task(last);
}

void model_make_map(struct model_task *task, struct chance *chance, uint64_t count,
                    uint32_t in_size, uint32_t out_size)
{
    struct model_map *map = test_zeroed(sizeof *map);
    map->count = count;
    map->in_size = in_size;
    map->out_size = out_size;
    map->in = test_room(NULL, count * in_size);
    map->out = test_room(NULL, count * out_size);
    memset(map->out, MODEL_UNTOUCHED, count * out_size);
    map->runs = test_zeroed(count);
    map->refused = test_zeroed(count * sizeof *map->refused);
    map->given_up = test_zeroed(count);
    map->ended = test_zeroed(count * sizeof *map->ended);
    map->out_now = test_zeroed(count * sizeof *map->out_now);
    for (uint64_t i = 0; i < count; i++)
        pattern_fill(map->in + i * in_size, in_size, chance_mix(task->seed, i));
    if (chance_is(chance, 0.5))
        map->statuses = test_zeroed(count * sizeof *map->statuses);
    task->map = map;
}

/* ---- bytes */

void pattern_fill(void *to, size_t size, uint64_t pattern)
{
    uint8_t *bytes = to;
    for (; size >= 8; size -= 8, bytes += 8, pattern += 0x9E3779B97F4A7C15U)
        rpi_put64(bytes, pattern);
    for (; size > 0; size--, bytes++, pattern >>= 8)
        *bytes = (uint8_t)pattern;
}

bool pattern_matches(const void *from, size_t size, uint64_t pattern)
{
    const uint8_t *bytes = from;
    for (; size >= 8; size -= 8, bytes += 8, pattern += 0x9E3779B97F4A7C15U)
        if (rpi_get64(bytes) != pattern)
            return false;
    for (; size > 0; size--, bytes++, pattern >>= 8)
        if (*bytes != (uint8_t)pattern)
            return false;
    return true;
}

/* ---- promises */

static uint32_t random_size(struct chance *chance, uint32_t largest)
{
    switch (chance_below(chance, 8)) {
    case 0:
        return 0;
    case 1:
        return 1 + chance_below(chance, 40);
    case 2:
        return chance_below(chance, largest + 1);
    default:
        return 8;
    }
}

static enum promise_kind random_failure(struct chance *chance)
{
    static const enum promise_kind kinds[] = { PROMISE_FAIL, PROMISE_FAIL, PROMISE_CODE,
                                               PROMISE_CANCEL };
    return kinds[chance_below(chance, 4)];
}

struct promise model_promise(const struct model_task *task, uint64_t item, uint32_t attempt)
{
    struct chance chance = { chance_mix(task->seed, item * 256 + attempt) };
    struct promise promise = { .pattern = chance_next(&chance) };
    bool fails = task->map ? task->failing && chance_below(&chance, 8) < task->failing
                           : attempt <= task->failing;
    promise.kind = chance_is(&chance, 0.5) ? PROMISE_RETURN : PROMISE_RESERVE;
    promise.size = task->plain ? 8 : random_size(&chance, task->largest);
    if (task->map && !chance_is(&chance, task->failing / 64.0))
        promise.size = task->map->out_size;
    if (!fails)
        return promise;
    promise.kind = random_failure(&chance);
    promise.code = 1000 + (int)chance_below(&chance, 1000);
    promise.length = chance_is(&chance, 0.9) ? chance_below(&chance, 60) : RPI_MESSAGE_MAX;
    return promise;
}

rp_status promise_status(const struct promise *promise, int *code)
{
    *code = 0;
    switch (promise->kind) {
    case PROMISE_FAIL:
    case PROMISE_CODE:
        *code = promise->code;
        return RP_ERR_TASK;
    case PROMISE_CANCEL:
        *code = RP_ERR_CANCELLED;
        return RP_ERR_CANCELLED;
    case PROMISE_RETURN:
    case PROMISE_RESERVE:
        return RP_OK;
    }
    return RP_OK;
}

void promise_message(const struct promise *promise, char *to)
{
    for (uint32_t i = 0; i < promise->length; i++)
        to[i] = (char)('a' + (promise->pattern >> i % 60) % 26);
    to[promise->length] = '\0';
}

/* ---- runs */

static void begin_item(struct model *model, uint64_t number, uint64_t item, const void *arg,
                       size_t size)
{
    struct model_task *task = model->tasks[number];
    struct model_map *map = task->map;
    if (item >= map->count) {
        model_fail(model, "task %llu: it has no item %llu", (unsigned long long)number,
                   (unsigned long long)item);
        return;
    }
    if (map->runs[item]++ > map->given_up[item])
        model_fail(model, "task %llu: item %llu ran twice", (unsigned long long)number,
                   (unsigned long long)item);
    if (size != map->in_size || !pattern_matches(arg, size, chance_mix(task->seed, item)))
        model_fail(model, "task %llu: item %llu came damaged", (unsigned long long)number,
                   (unsigned long long)item);
}

static void begin_task(struct model *model, uint64_t number, uint32_t attempt, const void *arg,
                       size_t size)
{
    struct model_task *task = model->tasks[number];
    if (task->given_up) {
        if (attempt == 0 || attempt > task->handed || task->ran >> attempt % 64 & 1)
            model_fail(model, "task %llu: attempt %u runs, of %u", (unsigned long long)number,
                       attempt, task->handed);
        task->runs++;
    } else if (task->running || task->settled)
        model_fail(model, "task %llu ran twice: it %s", (unsigned long long)number,
                   task->running ? "had not come back" : "was settled");
    if (!task->given_up && attempt != ++task->runs)
        model_fail(model, "task %llu: run %u says it is attempt %u", (unsigned long long)number,
                   task->runs, attempt);
    if (size != task->size || !pattern_matches(arg, size, task->seed))
        model_fail(model, "task %llu: its argument came damaged", (unsigned long long)number);
    task->ran |= (uint64_t)1 << attempt % 64;
    task->running = true;
}

void model_begin(struct model *model, uint64_t number, uint64_t item, uint32_t attempt,
                 const void *arg, size_t size)
{
    model->runs++;
    if (number >= model->count)
        model_fail(model, "task %llu ran, but was never submitted", (unsigned long long)number);
    else if ((uintptr_t)arg % 16 != 0 && size >= 16 && size % 16 == 0)
        model_fail(model, "task %llu: its argument is not aligned", (unsigned long long)number);
    else if (model->tasks[number]->map)
        begin_item(model, number, item, arg, size);
    else
        begin_task(model, number, attempt, arg, size);
}

/* An input that failed, or NULL. */
static const struct model_task *failed_input(const struct model *model,
                                             const struct model_task *task)
{
    int code;
    for (uint32_t i = 0; i < task->after_count; i++) {
        const struct model_task *input = model->tasks[task->after[i]];
        if (input->settled && model_outcome(model, input, &code) != RP_OK)
            return input;
    }
    return NULL;
}

rp_status model_outcome(const struct model *model, const struct model_task *task, int *code)
{
    *code = RP_ERR_CANCELLED;
    if (task->cancelled_here)
        return RP_ERR_CANCELLED;
    if (task->ended)
        *code = task->ended == RP_ERR_CANCELLED ? RP_ERR_CANCELLED : 0;
    if (task->ended)
        return task->ended;
    *code = task->last.code;
    return task->handed == 0 && failed_input(model, task) ? RP_ERR_INPUT : task->last.status;
}

bool model_is_raised(const struct model_task *task)
{
    return task->urgency != task->options.priority;
}

/* By a list of its own: a chain may be long. */
void model_urge(struct model *model)
{
    const struct model_task *newest = model->tasks[model->count - 1];
    uint64_t *open = test_room(NULL, model->count * sizeof *open), count = 0;
    int32_t urgency = newest->options.priority;
    open[count++] = newest->place;
    while (count > 0) {
        const struct model_task *task = model->tasks[open[--count]];
        for (uint32_t i = 0; i < task->after_count; i++) {
            struct model_task *input = model->tasks[task->after[i]];
            if (input->settled || input->urgency >= urgency)
                continue;
            input->urgency = urgency;
            open[count++] = input->place; /* each one once */
        }
    }
    free(open);
}

/* Whether it was raised for one that was cancelled before the engine had looked. */
static bool is_doubtful(const struct model *model, const struct model_task *task)
{
    return model->cancels && model_is_raised(task);
}

bool model_before(const struct model *model, uint64_t a, uint64_t b)
{
    const struct rpi_options *first = &model->tasks[a]->options,
                             *second = &model->tasks[b]->options;
    if (is_doubtful(model, model->tasks[a]) || is_doubtful(model, model->tasks[b]))
        return false;
    if (model->tasks[a]->urgency != model->tasks[b]->urgency)
        return model->tasks[a]->urgency > model->tasks[b]->urgency;
    if (first->cost > second->cost || first->cost < second->cost)
        return first->cost > second->cost;
    if (model->tasks[a]->parent || model->tasks[b]->parent || model_is_raised(model->tasks[a]) ||
        model_is_raised(model->tasks[b]))
        return false;
    return a < b && !model->tasks[a]->after_count && !model->tasks[b]->after_count;
}
