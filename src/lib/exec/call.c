#include "exec/call.h"

#include "base/clock.h"
#include "base/status.h"
#include "proto/wire.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

_Thread_local struct rp_call *rpi_call_now;

rp_status rpi_call_forbidden(const char *function)
{
    return rpi_error(RP_ERR_CONTEXT, "%s may not be called inside a task (%s)", function,
                     rpi_call_now->name);
}

/* `broken` leads every way back from the task to where `copied` is looked at, at no cost to a task
 * that forks nothing. */
void rpi_call_leave_to_parent(void)
{
    struct rp_call *call = rpi_call_now;
    rpi_call_now = NULL;
    if (!call)
        return;
    call->copied = true;
    call->broken = RP_ERR_CONTEXT;
    call->look = NULL; /* it would ask the parent's transport */
}

_Noreturn void rpi_call_came_back(const char *what, const char *name)
{
    (void)dprintf(STDERR_FILENO,
                  "rankpool: a process (pid %ld) that %s %s forked has come back from it, and is "
                  "ended: it must "
                  "leave by exit, _exit or exec\n",
                  (long)getpid(), what, name);
    _exit(1);
}

void *rp_reserve(rp_call *call, size_t size)
{
    if (!call) {
        (void)rpi_error(RP_ERR_INVALID, "rp_reserve: the call is NULL");
        return NULL;
    }
    if (call->owned) {
        rpi_buffer_free(call->owned);
        call->owned = NULL;
    }
    call->size = size;
    call->data = call->room;
    if (size <= call->room_size)
        return call->data;
    if (size <= UINT32_MAX)
        call->data = call->owned = rpi_buffer_new(&call->alloc, size);
    else
        call->data = NULL;
    if (!call->data) {
        call->size = 0;
        call->broken = RP_ERR_NOMEM;
    }
    return call->data;
}

/* Into the room that is there, which may be where it lies already. */
static inline void put_result(rp_call *call, const void *result, size_t size)
{
    call->data = call->room;
    call->size = size;
    if (size == RPI_SMALL_RESULT)
        memmove(call->room, result, RPI_SMALL_RESULT);
    else
        memmove(call->room, result, size);
}

rp_status rp_return(rp_call *call, const void *result, size_t size)
{
    if (call && result && !call->owned && size <= call->room_size) { /* nearly always */
        put_result(call, result, size);
        return RP_OK;
    }
    if (!call || (!result && size > 0))
        return rpi_error(RP_ERR_INVALID, "rp_return needs a call and a result");
    if (size > UINT32_MAX)
        return rpi_error(call->broken = RP_ERR_INVALID,
                         "rp_return: a result of %zu bytes is over 4,294,967,295", size);
    void *before =
        call->owned; /* `result` may lie in it: room that was reserved, and not all of it used */
    call->owned = NULL;
    void *room = rp_reserve(call, size);
    if (room && size > 0)
        memmove(room, result, size);
    if (before)
        rpi_buffer_free(before);
    return room || size == 0 ? RP_OK : rpi_named("rp_return", rpi_no_memory("a task's result"));
}

rp_status rp_fail(rp_call *call, int code, const char *format, ...)
{
    va_list arguments;
    if (!call)
        return RP_ERR_TASK;
    call->failed = true;
    call->code = code;
    call->message[0] = '\0';
    if (format) {
        va_start(arguments, format);
        (void)vsnprintf(call->message, sizeof call->message, format, arguments);
        va_end(arguments);
    }
    return RP_ERR_TASK;
}

#define LOOK_TICKS ((uint64_t)50 * RPI_TICKS_US) /* between two looks for news */

/* It may be asked from a const call; what changes belongs to the worker. */
bool rp_cancelled(const rp_call *const_call)
{
    rp_call *call = (rp_call *)(uintptr_t)const_call;
    if (!call)
        return false;
    if (call->look && !atomic_load_explicit(call->cancel, memory_order_relaxed) &&
        rpi_ticks() - call->looked > LOOK_TICKS) {
        call->look(call->look_context);
        call->looked = rpi_ticks();
    }
    return atomic_load_explicit(call->cancel, memory_order_relaxed) ||
           (call->deadline > 0 && rpi_now() > call->deadline);
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) *
        0xBF58476D1CE4E5B9U; /* the finaliser of splitmix64 (Steele, Lea, Flood 2014) */
    x = (x ^ x >> 27) * 0x94D049BB133111EBU;
    return x ^ x >> 31;
}

uint64_t rp_seed(const rp_call *call)
{
    const uint64_t step = 0x9E3779B97F4A7C15U;
    if (!call)
        return 0;
    uint64_t seed = mix(mix(call->seed + step) ^ (call->task->number + 1) * step);
    return call->task->is_chunk ? mix(seed ^ (call->item + 1) * step) : seed;
}

void **rp_worker_data(rp_call *call)
{
    return call ? call->worker_data : NULL;
}

const void *rp_input(const rp_call *call, size_t index, size_t *size)
{
    if (!call || index >= call->task->input_count)
        return NULL;
    const rp_bytes *input = &call->task->inputs[index];
    if (size)
        *size = input->size;
    return input->size ? input->data : NULL;
}

const void *rp_shared(const rp_call *call, const char *name, size_t *size)
{
    const struct rpi_shared_datum *datum = NULL;
    if (call && name && call->shared_cache && call->task->epoch)
        datum = rpi_shared_cache_named(call->shared_cache, name, call->task->epoch);
    if (size)
        *size = datum ? (size_t)datum->segment.size : 0;
    return datum ? datum->segment.data : NULL;
}

/* ---- children */

static rp_status child_options(const rp_task_options *options, struct rpi_frame *frame)
{
    if (!options)
        return RP_OK;
    if (options->struct_size != sizeof *options)
        return rpi_error(RP_ERR_INVALID, "rp_spawn: options.struct_size is %zu, not %zu",
                         options->struct_size, sizeof *options);
    if (options->key.size)
        return rpi_error(RP_ERR_CONTEXT, "rp_spawn: a spawned task has no key");
    if (options->worker || options->worker_hard || options->after_count || options->on_done)
        return rpi_error(RP_ERR_INVALID,
                         "rp_spawn: options.worker, after and on_done are not for spawned tasks");
    if (!rpi_wire_starts_fit(options->attempts, options->retries) || !(options->cost >= 0) ||
        !(options->time_limit >= 0))
        return rpi_error(RP_ERR_INVALID,
                         "rp_spawn: options.attempts, retries, cost or time_limit is out of range");
    if (options->time_limit > 0) {
        frame->flags |= RPI_FRAME_RAN;
        frame->ran = rpi_wire_limit_ns(options->time_limit);
    }
    if (options->priority || options->attempts || options->retries || options->cost > 0) {
        frame->flags |= RPI_FRAME_CHUNK;
        frame->chunk.count = (uint32_t)options->priority;
        frame->failures = (uint32_t)options->retries;
        frame->chunk.in_size = (uint32_t)options->attempts;
        memcpy(&frame->chunk.first, &options->cost, sizeof options->cost);
    }
    return RP_OK;
}

static rp_status add_child(rp_call *call, const struct rpi_frame *frame, const void *arg)
{
    uint32_t size = rpi_frame_size(frame->flags, frame->length);
    if (size > call->children_capacity - call->children_used) {
        uint32_t capacity = 2 * call->children_capacity + size + 1024;
        uint8_t *children = capacity > size ? rpi_resize(&call->alloc, call->children, capacity)
                                            : NULL;
        if (!children)
            return rpi_no_memory("spawned tasks");
        call->children = children;
        call->children_capacity = capacity;
    }
    struct rpi_writer writer = { .base = call->children,
                                 .used = call->children_used,
                                 .limit = call->children_capacity };
    rpi_wire_put_payload(rpi_writer_frame(&writer, frame), arg, frame->length);
    call->children_used = writer.used;
    call->children_count++;
    return RP_OK;
}

rp_status rp_spawn(rp_call *call, rp_fn *fn, const void *arg, size_t size,
                   const rp_task_options *options)
{
    if (!call || !fn || (!arg && size > 0))
        return rpi_error(RP_ERR_INVALID, "rp_spawn: call, function or argument is NULL");
    if (!call->task->may_spawn)
        return rpi_error(RP_ERR_CONTEXT,
                         "rp_spawn: only a task in an unordered stream may spawn others");
    if (size > call->child_limit)
        return rpi_error(RP_ERR_INVALID, "rp_spawn: an argument of %zu bytes is over %zu", size,
                         call->child_limit);
    uint16_t function = rpi_registry_find(call->registry, fn);
    if (function == RPI_NO_FUNCTION)
        return rpi_error(RP_ERR_UNREGISTERED, "rp_spawn: the function at %p is not registered",
                         (void *)(uintptr_t)fn);
    struct rpi_frame frame = { .id = call->task->id,
                               .function = function,
                               .attempt = call->task->attempt,
                               .length = (uint32_t)size };
    frame.flags = RPI_FRAME_SPAWNED | RPI_FRAME_NUMBER;
    frame.number = call->children_count;
    rp_status status = child_options(options, &frame);
    return status == RP_OK ? rpi_named("rp_spawn", add_child(call, &frame, arg)) : status;
}

void rp_call_info_of(const rp_call *call, rp_call_info *info)
{
    if (!call || !info || info->struct_size != sizeof *info)
        return;
    info->task = call->task->number;
    info->attempt = call->task->attempt;
    info->worker = call->worker;
    info->host = call->host;
    info->name = call->name;
}
