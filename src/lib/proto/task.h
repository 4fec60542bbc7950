/* Plain types that the engines, the queue and the executor share. */
#ifndef RPI_TASK_H
#define RPI_TASK_H

#include <rankpool.h>

#define RPI_SMALL_RESULT 8 /* bytes: of nearly every argument and result */

#define RPI_MESSAGE_MAX 1000 /* bytes of a failure's message that travel */

/* The items of a map that one task carries. */
struct rpi_chunk {
    uint32_t count;
    uint32_t in_size, out_size; /* of one item, bytes */
    uint64_t first;             /* index of the first in its map */
};

/* A task as a worker runs it. */
struct rpi_task {
    uint64_t id;     /* of its future at rank 0 */
    uint64_t number; /* of submission into its pool; its identity whatever worker runs it */
    uint16_t function;
    uint8_t attempt; /* 1 and up */
    bool is_chunk;
    const rp_bytes *inputs; /* outcomes that it comes after */
    uint32_t input_count;
    bool may_spawn;
    bool cancelled; /* before it started */
    double limit;   /* seconds it may run; 0: no limit */
    uint64_t epoch; /* whose shared data it sees (shared_versions.h) */
    /* NULL, or the name of shared data that could not be had: it is not to run */
    const char *missing;
    struct rpi_chunk chunk;
    const void *arg; /* aligned to 8 at least */
    size_t size;
};

/* What became of it. */
struct rpi_result {
    rp_status status;
    int code;
    const char *message; /* of a failure; at most RPI_MESSAGE_MAX bytes */
    const void *data;    /* the result's bytes; of a chunk: the items' results, and after them its
                            failures (msg.h) */
    size_t size;
    void *owned; /* an rpi_buffer that holds data, handed over with the result; NULL: data is copied
                    at once */
    uint32_t failures; /* of a chunk's items */
    uint32_t children_count;
    const uint8_t *children; /* that it spawned, as the frames that will announce them */
};

#endif
