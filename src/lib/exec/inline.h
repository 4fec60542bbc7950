/* Runs a task in the worker's own process. */
#ifndef RPI_INLINE_H
#define RPI_INLINE_H

#include "exec/call.h"
#include "exec/mailbox.h"
#include "proto/registry.h"

struct rpi_inline {
    struct rpi_alloc alloc;
    const struct rpi_registry *registry; /* borrowed */
    struct rp_call call;
    void *worker_data;
    atomic_bool never;   /* what call.cancel points at while no cancel can come */
    size_t room;         /* bytes of an argument, or a child's, that travels inside a batch */
    uint8_t *aligned;    /* room for one, aligned for any type */
    size_t results_room; /* bytes of a result that needs no buffer of its own */
    uint8_t *results;    /* room for one, likewise */
    bool outside;        /* that room is another's, which sees results and failures as they come */
    struct rpi_mailbox_progress own;       /* where it says how far it is ... */
    struct rpi_mailbox_progress *progress; /* ... or NULL, and this one: another process's too */
    bool fenced; /* what cuts a chunk in its progress cannot make this thread order its accesses */
    uint8_t *failures; /* of a chunk's items, as they travel; outside: after their results */
    uint32_t failures_size, failures_capacity;
};

/* `room`: bytes; a longer result gets a buffer of its own.  `host` is borrowed. */
RP_MUST_USE rp_status rpi_inline_init(struct rpi_inline *executor, const struct rpi_alloc *alloc,
                                      const struct rpi_registry *registry, size_t room, int worker,
                                      const char *host);
void rpi_inline_fini(struct rpi_inline *executor);
/* From now on results go to this room, aligned for any type, and its progress to *progress. */
void rpi_inline_place(struct rpi_inline *executor, void *results, size_t room,
                      struct rpi_mailbox_progress *progress);

/* Call before a chunk runs, and before anything may cut it.  It skips `progress`, which its owner
 * begins. */
static inline void rpi_inline_expect(struct rpi_inline *executor, const struct rpi_task *task)
{
    if (task->is_chunk)
        rpi_mailbox_progress_begin(&executor->own, task->chunk.count);
}

/* Runs the task; *result is valid until the next run.  A chunk, which was expected, may be cut
 * meanwhile (mailbox.h): its result has the items that it keeps; outside, that has room for all
 * items still, and then the failures. */
void rpi_inline_execute(struct rpi_inline *executor, const struct rpi_task *task,
                        struct rpi_result *result);

/* The outcome of a task, no chunk and without limit, whose function has just returned this. */
void rpi_inline_judge(struct rpi_inline *executor, rp_status returned, struct rpi_result *result);

#define RPI_INLINE_ALIGNMENT 16 /* of any type */

/* A batch aligns arguments to 8: enough for short ones. */
static inline bool rpi_inline_is_aligned(const void *arg, size_t size)
{
    return (uintptr_t)arg % RPI_INLINE_ALIGNMENT == 0 || size < RPI_INLINE_ALIGNMENT;
}

/* The task's argument, aligned for any type. */
const void *rpi_inline_align(struct rpi_inline *executor, const struct rpi_task *task);

/* Whether the running task has succeeded with RPI_SMALL_RESULT bytes in the room for results and
 * nothing else. */
static inline bool rpi_inline_is_plain(const struct rp_call *call)
{
    return call->broken == RP_OK && call->size == RPI_SMALL_RESULT && !call->owned &&
           !call->children_count;
}

/* Runs a task that is a function and an argument and nothing else, as rpi_inline_execute does.
 * Returns NULL and the outcome, or for nearly every task the RPI_SMALL_RESULT bytes that are its
 * result. */
static inline const void *rpi_inline_execute_plain(struct rpi_inline *executor,
                                                   const struct rpi_task *task,
                                                   struct rpi_result *result)
{
    struct rp_call *call = &executor->call;
    const void *arg = rpi_inline_is_aligned(task->arg, task->size)
                          ? task->arg
                          : rpi_inline_align(executor, task);
    call->name = executor->registry->names[task->function];
    call->task = task;
    call->deadline = 0;
    rpi_call_reset(call, executor->results, executor->results_room);
    struct rp_call *before = rpi_call_enter(call);
    rp_status returned = executor->registry->functions[task->function](call, arg, task->size);
    rpi_call_leave(before);
    if (returned == RP_OK && rpi_inline_is_plain(call))
        return call->data;
    rpi_inline_judge(executor, returned, result);
    return NULL;
}

#endif
