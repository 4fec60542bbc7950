/* Runs a task in the worker's own process. */
#ifndef RPI_EXECUTOR_INLINE_H
#define RPI_EXECUTOR_INLINE_H

#include "call.h"
#include "registry.h"

struct rpi_executor {
    struct rpi_alloc alloc;
    const struct rpi_registry *registry; /* borrowed */
    struct rp_call call;
    void *worker_data;
    atomic_bool never; /* what call.cancel points at until somebody can cancel */
    size_t room;       /* bytes of a result that needs no buffer of its own */
    uint8_t *results;  /* room for one, aligned for any type */
    uint8_t *aligned;  /* room for an argument, likewise */
    uint8_t *failures; /* of a chunk's items, as they travel */
    uint32_t failures_size, failures_capacity;
};

/* `room`: bytes; a longer result gets a buffer of its own.  `host` is borrowed. */
RP_MUST_USE rp_status rpi_executor_init(struct rpi_executor *executor, const struct rpi_alloc *alloc,
                                        const struct rpi_registry *registry, size_t room, int worker, const char *host);
void rpi_executor_fini(struct rpi_executor *executor);

/* Runs the task; *result is valid until the next run. */
void rpi_execute_inline(struct rpi_executor *executor, const struct rpi_task *task, struct rpi_result *result);

#endif
