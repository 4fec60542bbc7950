/* A running task, as its function sees it. */
#ifndef RPI_CALL_H
#define RPI_CALL_H

#include "base/alloc.h"
#include "proto/registry.h"
#include "proto/shared_cache.h"
#include "proto/task.h"

#include <stdatomic.h>

struct rp_call {
    struct rpi_alloc alloc;
    const char *name; /* of its function */
    const char *host;
    int worker;
    const struct rpi_task *task;
    void **worker_data;
    uint64_t seed; /* the pool's */
    uint64_t item; /* of a map */
    const struct rpi_registry *registry;
    const struct rpi_shared_cache *shared_cache; /* of shared data; NULL: none yet */
    uint8_t *children;  /* spawned so far, as the frames that will announce them */
    size_t child_limit; /* bytes of a child's argument: it travels inside a batch */
    uint32_t children_used, children_capacity, children_count;
    double deadline;     /* of its time limit, on the monotonic clock; 0: none */
    atomic_bool *cancel; /* set: it should stop */
    void (*look)(
        void *); /* asks the transport for news, so that a cancel is heard; NULL: there is none */
    void *look_context;
    uint64_t looked; /* ticks */
    /* the result so far */
    void *data;
    size_t size;
    void *owned;   /* the rpi_buffer that has data, or NULL */
    uint8_t *room; /* where short results go */
    size_t room_size;
    /* its failure so far */
    rp_status broken; /* a result could not be kept */
    bool failed;      /* rp_fail was called */
    bool copied; /* this is a copy in a process that the task has forked, which must not return from
                    the task */
    int code;
    char message[RPI_MESSAGE_MAX + 1];
};

/* Of this thread; read by every call on a pool and written twice by every task, so it has its place
 * in each thread's block from the start. */
extern _Thread_local struct rp_call *rpi_call_now __attribute__((tls_model("initial-exec")));

/* The task that this thread runs, or NULL. */
static inline struct rp_call *rpi_call_current(void)
{
    return rpi_call_now;
}

/* Returns the one before. */
static inline struct rp_call *rpi_call_enter(struct rp_call *call)
{
    struct rp_call *before = rpi_call_now;
    rpi_call_now = call;
    return before;
}

static inline void rpi_call_leave(struct rp_call *before)
{
    rpi_call_now = before;
}

/* RP_ERR_CONTEXT, with a message, inside a task. */
RP_MUST_USE rp_status rpi_call_forbidden(const char *function);
RP_MUST_USE static inline rp_status rpi_call_forbid(const char *function)
{
    return rpi_call_now ? rpi_call_forbidden(function) : RP_OK;
}

/* In a child of fork(): the task that this thread runs is its parent's. */
void rpi_call_leave_to_parent(void);
/* Ends a process that came back from `what`, which had forked it: it would go on in its parent's
 * place. */
_Noreturn void rpi_call_came_back(const char *what, const char *name);

/* Makes the call ready for its next run; its result goes to `room` if it fits there, aligned for
 * any type. */
static inline void rpi_call_reset(struct rp_call *call, void *room, size_t room_size)
{
    call->data = NULL;
    call->size = 0;
    call->owned = NULL;
    call->room = room;
    call->room_size = room_size;
    call->broken = RP_OK;
    call->failed = false;
    call->children_used = call->children_count = 0;
}

#endif
