#include "exec/inline.h"

#include "base/backoff.h"
#include "base/clock.h"
#include "base/status.h"
#include "proto/wire.h"

#include <stdio.h>

rp_status rpi_inline_init(struct rpi_inline *executor, const struct rpi_alloc *alloc,
                          const struct rpi_registry *registry, size_t room, int worker,
                          const char *host)
{
    *executor = (struct rpi_inline){ .alloc = *alloc, .registry = registry, .room = room };
    executor->call = (struct rp_call){
        .alloc = *alloc, .worker = worker, .host = host, .name = ""
    };
    executor->call.worker_data = &executor->worker_data;
    executor->call.registry = registry;
    executor->call.child_limit = room;
    executor->call.cancel = &executor->never;
    executor->results_room = room;
    executor->results = rpi_buffer_new(alloc, room);
    executor->aligned = rpi_buffer_new(alloc, room);
    if (executor->results && executor->aligned)
        return RP_OK;
    rpi_inline_fini(executor);
    return rpi_no_memory("a worker's results");
}

void rpi_inline_place(struct rpi_inline *executor, void *results, size_t room,
                      struct rpi_mailbox_progress *progress)
{
    if (!executor->outside)
        rpi_buffer_free(executor->results);
    executor->results = results;
    executor->results_room = room;
    executor->progress = progress;
    executor->outside = executor->fenced = true;
}

void rpi_inline_fini(struct rpi_inline *executor)
{
    if (!executor->outside) {
        rpi_buffer_free(executor->results);
        rpi_free(&executor->alloc, executor->failures);
    }
    rpi_buffer_free(executor->aligned);
    rpi_free(&executor->alloc, executor->call.children);
    executor->call.children = NULL;
    executor->results = executor->aligned = executor->failures = NULL;
}

/* Of a map's items, one after the other, only the size tells what their type needs. */
const void *rpi_inline_align(struct rpi_inline *executor, const struct rpi_task *task)
{
    size_t item = task->is_chunk ? task->chunk.in_size : task->size;
    if (rpi_inline_is_aligned(task->arg, item) ||
        (task->is_chunk && item % RPI_INLINE_ALIGNMENT != 0) || task->size > executor->room)
        return task->arg;
    memcpy(executor->aligned, task->arg, task->size);
    return executor->aligned;
}

/* What the function returned, and what it told rp_fail, as an outcome. */
static void judge(struct rp_call *call, rp_status returned, struct rpi_result *result)
{
    result->status = RP_OK;
    result->message = "";
    result->code = 0;
    if (returned == RP_OK && call->broken == RP_OK)
        return;
    if (call->copied)
        rpi_call_came_back("task", call->name);
    result->status = returned == RP_ERR_CANCELLED ? RP_ERR_CANCELLED : RP_ERR_TASK;
    result->code = (int)returned;
    if (returned == RP_ERR_TASK && call->failed) {
        result->code = call->code;
        result->message = call->message;
    } else if (call->broken != RP_OK) {
        result->code = (int)call->broken;
        result->message = "its result could not be kept: out of memory, or over 4 GiB";
    }
}

/* A task that came back after its time failed, whatever it says. */
static void check_deadline(struct rpi_inline *executor, double limit, struct rpi_result *result)
{
    struct rp_call *call = &executor->call;
    double late = rpi_now() - call->deadline;
    if (late <= 0)
        return;
    result->status = RP_ERR_DEADLINE;
    result->code = 0;
    (void)snprintf(call->message, sizeof call->message, "it ran %.3g s, its limit is %.3g s",
                   limit + late, limit);
    result->message = call->message;
}

static void say_deadline(struct rpi_inline *executor, double deadline)
{
    if (executor->progress)
        atomic_store_explicit(&executor->progress->deadline, (uint64_t)(deadline * 1e9),
                              memory_order_relaxed);
}

static void run(struct rpi_inline *executor, rp_fn *fn, const void *arg, size_t size, double limit,
                struct rpi_result *result)
{
    struct rp_call *call = &executor->call;
    call->deadline = limit > 0 ? rpi_now() + limit : 0;
    if (limit > 0)
        say_deadline(executor, call->deadline);
    judge(call, fn(call, arg, size), result);
    if (limit > 0) {
        say_deadline(executor, 0);
        check_deadline(executor, limit, result);
    }
}

static void fetch_result(struct rpi_inline *executor, struct rpi_result *result)
{
    struct rp_call *call = &executor->call;
    if (result->status != RP_OK) {
        rpi_buffer_free(call->owned);
        return;
    }
    result->data = call->data;
    result->size = call->size;
    result->owned = call->owned;
    result->children = call->children;
    result->children_count = call->children_count;
}

static void run_one(struct rpi_inline *executor, rp_fn *fn, const struct rpi_task *task,
                    struct rpi_result *result)
{
    rpi_call_reset(&executor->call, executor->results, executor->results_room);
    run(executor, fn, rpi_inline_align(executor, task), task->size, task->limit, result);
    fetch_result(executor, result);
}

void rpi_inline_judge(struct rpi_inline *executor, rp_status returned, struct rpi_result *result)
{
    *result = (struct rpi_result){ .status = RP_OK, .message = "" };
    judge(&executor->call, returned, result);
    fetch_result(executor, result);
}

/* ---- chunks */

static bool add_failure(struct rpi_inline *executor, const struct rpi_item_failure *failure)
{
    uint32_t size = rpi_item_failure_size(failure->length);
    if (size > executor->failures_capacity - executor->failures_size) {
        uint32_t capacity = 2 * executor->failures_capacity + size;
        if (executor->outside)
            return false;
        uint8_t *failures = rpi_resize(&executor->alloc, executor->failures, capacity);
        if (!failures)
            return false;
        executor->failures = failures;
        executor->failures_capacity = capacity;
    }
    rpi_item_failure_put(executor->failures + executor->failures_size, failure);
    executor->failures_size += size;
    return true;
}

static void say_failures(struct rpi_inline *executor, const struct rpi_result *total)
{
    struct rpi_mailbox_progress *progress = executor->progress;
    atomic_store_explicit(&progress->failures, total->failures, memory_order_relaxed);
    atomic_store_explicit(&progress->failures_size, executor->failures_size, memory_order_relaxed);
}

/* Waits until the limit is known, as another thread may be cutting the chunk at this moment;
 * returns whether item `i` is before it. */
static __attribute__((noinline)) bool await_limit(const struct rpi_mailbox_progress *progress,
                                                  uint32_t i)
{
    struct rpi_backoff backoff = { 0 };
    uint32_t limit;
    while (!(limit = atomic_load(&progress->limit)))
        rpi_backoff_wait(&backoff);
    return i < limit;
}

/* begin_item() where no other thread orders this one's accesses. */
static __attribute__((noinline)) bool begin_fenced(struct rpi_inline *executor, uint32_t i,
                                                   const struct rpi_result *total)
{
    struct rpi_mailbox_progress *progress = &executor->own;
    if (executor->progress) {
        say_failures(executor, total);
        progress = executor->progress;
    }
    (void)atomic_exchange(&progress->item, i);
    return await_limit(progress, i);
}

/* Begins item `i`, so that a cut cannot take it; false: the chunk ends before it. */
static inline bool begin_item(struct rpi_inline *executor, uint32_t i,
                              const struct rpi_result *total)
{
    if (executor->fenced)
        return begin_fenced(executor, i, total);
    atomic_store_explicit(&executor->own.item, i, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    return i < atomic_load_explicit(&executor->own.limit, memory_order_acquire) ||
           await_limit(&executor->own, i);
}

/* Asked before every item, which has no deadline yet. */
static inline bool is_cancelled(const struct rp_call *call)
{
    return atomic_load_explicit(call->cancel, memory_order_relaxed) ||
           (call->look && rp_cancelled(call));
}

/* Runs item `i`; its result goes straight to its place. */
static bool run_item(struct rpi_inline *executor, rp_fn *fn, const struct rpi_task *task,
                     const uint8_t *items, uint8_t *results, uint32_t i, struct rpi_result *total)
{
    struct rp_call *call = &executor->call;
    size_t in = task->chunk.in_size, out = task->chunk.out_size;
    char text[100];
    struct rpi_result one;
    rpi_call_reset(call, results + i * out, out);
    call->item = task->chunk.first + i;
    if (is_cancelled(call)) {
        one = (struct rpi_result){ .status = RP_ERR_CANCELLED,
                                   .code = RP_ERR_CANCELLED,
                                   .message = "" };
    } else if (task->limit > 0) {
        run(executor, fn, items + i * in, in, task->limit, &one);
        call->deadline = 0; /* it does not hold for the next one */
    } else {
        rp_status returned = fn(call, items + i * in, in);
        if (returned == RP_OK && call->broken == RP_OK && call->size == out && !call->owned)
            return true; /* nearly every one */
        judge(call, returned, &one);
    }
    size_t size = call->size;
    if (call->owned) {
        rpi_buffer_free(call->owned);
        call->owned = NULL;
    }
    if (one.status == RP_OK && size == out)
        return true;
    if (one.status == RP_OK) {
        one.status = RP_ERR_SIZE;
        (void)snprintf(text, sizeof text, "its result has %zu bytes, the map takes %zu", size, out);
        one.message = text;
    }
    struct rpi_item_failure failure = {
        .item = i, .status = one.status, .code = one.code, .message = one.message
    };
    failure.length = (uint32_t)strlen(one.message);
    total->failures++;
    return add_failure(executor, &failure);
}

static void out_of_memory(struct rpi_result *result)
{
    *result = (struct rpi_result){ .status = RP_ERR_TASK,
                                   .code = RP_ERR_NOMEM,
                                   .message = "the worker has no memory for a chunk's results" };
}

/* Puts the failures after the results, in a new buffer if the room is too small. */
static void append_failures(struct rpi_inline *executor, struct rpi_result *result,
                            uint8_t *results, size_t results_size)
{
    size_t before = (results_size + 7U) & ~(size_t)7;
    size_t size = before + executor->failures_size;
    if (result->owned || size > executor->results_room) {
        void *buffer = size > UINT32_MAX ? NULL : rpi_buffer_new(&executor->alloc, size);
        if (buffer && results_size)
            memcpy(buffer, results, results_size);
        rpi_buffer_free(result->owned);
        result->owned = results = buffer;
        if (!buffer) {
            out_of_memory(result);
            return;
        }
    }
    memset(results + results_size, 0, before - results_size);
    if (!executor->outside)
        memcpy(results + before, executor->failures, executor->failures_size);
    result->data = results;
    result->size = size;
}

/* Has failures written after the results, in their final place. */
static void place_failures(struct rpi_inline *executor, size_t results_size)
{
    size_t before = (results_size + 7U) & ~(size_t)7;
    size_t room = before < executor->results_room ? executor->results_room - before : 0;
    executor->failures = executor->results + before;
    executor->failures_capacity = room < UINT32_MAX ? (uint32_t)room : UINT32_MAX;
}

static void run_chunk(struct rpi_inline *executor, rp_fn *fn, const struct rpi_task *task,
                      struct rpi_result *result)
{
    size_t size = (size_t)task->chunk.count * task->chunk.out_size;
    uint8_t *results = executor->results;
    const uint8_t *items = rpi_inline_align(executor, task);
    bool kept = true;
    if (size > executor->results_room)
        results = result->owned = executor->outside ? NULL : rpi_buffer_new(&executor->alloc, size);
    if (!results) {
        out_of_memory(result);
        return;
    }
    executor->failures_size = 0;
    executor->call.deadline = 0;
    if (executor->outside)
        place_failures(executor, size);
    uint32_t i = 0;
    for (; begin_item(executor, i, result); i++)
        if (!run_item(executor, fn, task, items, results, i, result))
            kept = false;
    if (!executor->outside)
        size = (size_t)i * task->chunk.out_size;
    result->data = results;
    result->size = size;
    if (kept && !result->failures)
        return;
    if (kept) {
        append_failures(executor, result, results, size);
        return;
    }
    rpi_buffer_free(result->owned);
    out_of_memory(result);
}

void rpi_inline_execute(struct rpi_inline *executor, const struct rpi_task *task,
                        struct rpi_result *result)
{
    struct rp_call *call = &executor->call;
    rp_fn *fn = executor->registry->functions[task->function];
    *result = (struct rpi_result){ .status = RP_OK, .message = "" };
    call->name = executor->registry->names[task->function];
    call->task = task;
    struct rp_call *before = rpi_call_enter(call);
    if (task->is_chunk)
        run_chunk(executor, fn, task, result);
    else
        run_one(executor, fn, task, result);
    rpi_call_leave(before);
}
