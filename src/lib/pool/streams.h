/* Streams, as the pool sees them. */
#ifndef RPI_STREAMS_H
#define RPI_STREAMS_H

#include "pool/state.h"
#include "tables/completions.h"

struct rp_stream {
    struct rpi_completions completions;
    struct rpi_link link;    /* in pool->streams */
    struct rpi_options kept; /* of an item without options of its own */
    /* of these among the master's options; 0: its items have others, by options.task */
    uint32_t number;
    rp_pool *pool;
    rp_stream_options options;
    rp_task_options task;    /* options.task's, when it has some */
    uint64_t in_flight;      /* the limit */
    uint64_t submitted;      /* items so far: the next one's index */
    uint64_t *order;         /* ordered: id of item i at i modulo order_capacity */
    uint64_t order_capacity; /* a power of two */
    uint64_t next;           /* ordered: the item to deliver next */
    uint64_t delivered;      /* id of the item that the application looks at; 0: none */
    rp_outcome outcome;      /* its */
    bool ended;
    /* rp_imap */
    rp_fn *fn;
    rp_source *source;
    void *context;
    rp_bytes item; /* that the source gave and the queue had no room for */
    bool asked;    /* item is one */
    bool asking;   /* a thread is inside source */
};

/* Frees one, and those that a pool still has at its end. */
void rpi_streams_drop(rp_stream *stream);
void rpi_streams_free(rp_pool *pool);

#endif
