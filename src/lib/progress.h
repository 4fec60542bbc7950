/* How far a task is, for who watches it from another process. */
#ifndef RPI_PROGRESS_H
#define RPI_PROGRESS_H

#include <stdatomic.h>
#include <stdint.h>

struct rpi_progress {
    _Atomic uint64_t deadline; /* nanoseconds on the monotonic clock; 0: none */
    /* of a chunk: */
    _Atomic uint32_t item;          /* the one that runs; those before it are done */
    _Atomic uint32_t failures;      /* of them */
    _Atomic uint32_t failures_size; /* bytes, behind the results */
};

#endif
