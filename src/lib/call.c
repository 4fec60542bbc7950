#include "call.h"

#include "clock.h"
#include "status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local struct rp_call *current;

struct rp_call *rpi_call_current(void)
{
    return current;
}

struct rp_call *rpi_call_enter(struct rp_call *call)
{
    struct rp_call *before = current;
    current = call;
    return before;
}

void rpi_call_leave(struct rp_call *before)
{
    current = before;
}

rp_status rpi_call_forbid(const char *function)
{
    if (!current)
        return RP_OK;
    return rpi_error(RP_ERR_CONTEXT, "%s may not be called inside a task (%s)", function, current->name);
}

void *rp_reserve(rp_call *call, size_t size)
{
    if (!call)
        return NULL;
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

rp_status rp_return(rp_call *call, const void *result, size_t size)
{
    if (!call || (!result && size > 0))
        return rpi_error(RP_ERR_INVALID, "rp_return needs a call and a result");
    if (size > UINT32_MAX)
        return rpi_error(call->broken = RP_ERR_INVALID, "a result of %zu bytes is over 4,294,967,295", size);
    void *before = call->owned; /* `result` may lie in it: room that was reserved, and not all of it used */
    call->owned = NULL;
    void *room = rp_reserve(call, size);
    if (room && size > 0)
        memmove(room, result, size);
    if (before)
        rpi_buffer_free(before);
    return room || size == 0 ? RP_OK : rpi_no_memory("a task's result");
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
    return atomic_load_explicit(call->cancel, memory_order_relaxed) || (call->deadline > 0 && rpi_now() > call->deadline);
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9U; /* the finaliser of splitmix64 (Steele, Lea, Flood 2014) */
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
