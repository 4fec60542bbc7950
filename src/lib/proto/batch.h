/* A batch and the buffer it is written in.  At rank 0 the buffer of a sent batch is the retained
 * copy of its tasks, kept until their results are in; at a worker it is kept until it is sent, or,
 * in the inbox, until its last task is done. */
#ifndef RPI_BATCH_H
#define RPI_BATCH_H

#include "base/alloc.h"
#include "base/list.h"
#include "proto/transport.h"
#include "proto/wire.h"

#define RPI_BATCH_PIECES 8 /* large payloads a batch announces, at the most */

/* A large payload that travels after its batch. */
struct rpi_piece {
    const void *data;
    uint64_t size;
    void *owned; /* freed with the batch; NULL: borrowed */
};

struct rpi_batch {
    struct rpi_link link; /* free, to be sent, or in flight at its worker */
    uint32_t index;
    uint32_t size; /* bytes */
    int peer;
    uint16_t sends; /* not reported sent yet */
    uint16_t begun; /* sends handed to the transport */
    uint16_t piece_count;
    struct rpi_piece pieces[RPI_BATCH_PIECES];
    /* at rank 0 */
    uint32_t remaining; /* tasks without a result */
    bool to_idle;       /* its worker had nothing else */
    bool movable;       /* its tasks may run elsewhere */
    bool divisible; /* a chunk in it has more than one item: of these some may run elsewhere, too */
    bool handed;    /* it was given out to be sent: it may have begun */
    double sent_at; /* seconds */
    double ran;     /* seconds, of its tasks' results */
    struct rpi_shared_version *version;           /* whose bytes its piece is, or NULL */
    uint64_t input;                               /* the future whose outcome its piece is, or 0 */
    void (*unpin)(void *context, uint64_t input); /* call when that piece has gone */
    _Alignas(16) uint8_t bytes[];
};

struct rpi_batches {
    struct rpi_alloc alloc;
    struct rpi_batch **table;
    uint32_t count, capacity;
    uint32_t limit; /* bytes of one */
    struct rpi_link free;
};

void rpi_batches_init(struct rpi_batches *batches, const struct rpi_alloc *alloc, uint32_t limit);
void rpi_batches_fini(struct rpi_batches *batches);

/* An empty batch; NULL: no memory. */
struct rpi_batch *rpi_batch_get(struct rpi_batches *batches);
/* Frees what its pieces own and keeps it for the next get. */
void rpi_batch_put(struct rpi_batches *batches, struct rpi_batch *batch);

/* Hands the transport what it does not have yet: the batch, then each of its pieces.  *done: how
 * many of these no longer need their bytes.  RP_ERR_NOMEM: call again later. */
RP_MUST_USE rp_status rpi_batch_send(struct rpi_batch *batch, struct rpi_transport *transport,
                                     uint16_t *done);

/* A large payload whose receive must be posted, or is: both engines ask for these. */
struct rpi_arrival {
    struct rpi_link link;
    int peer;
    bool complete;
    bool outcome; /* of another task, kept elsewhere */
    uint64_t size;
    void *buffer;                   /* an rpi_buffer */
    struct rpi_frame frame;         /* that announced it */
    struct rpi_shared_datum *datum; /* at a worker: whose room `buffer` is, or NULL */
};

#endif
