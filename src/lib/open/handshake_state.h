/* What a rank knows and learns while a pool is opened. */
#ifndef RPI_HANDSHAKE_STATE_H
#define RPI_HANDSHAKE_STATE_H

#include "oob/oob_protocol.h"
#include "pool/pool.h"
#include "proto/isolation.h"

/* Where the side channel's connections come in. */
struct rpi_handshake_gate_place {
    uint32_t ip;           /* host byte order */
    uint16_t port;         /* 0: there is no side channel */
    uint32_t beat;         /* ms between heartbeats; 0: none */
    uint32_t host_timeout; /* ms without an answer, after which a host is given up */
    uint8_t token[RPI_OOB_TOKEN_BYTES];
};

/* What makes the side channel. */
struct rpi_oob_setup {
    /* rank 0, before the verdict that lets all in */
    rp_status (*open)(struct rpi_oob_setup *side, struct rpi_handshake_gate_place *place);
    /* rank 0: until every rank has connected, or has said (came[rank]) what it has come to without
     * that.  hear(context) takes what they say; false: that failed.  A failure of one rank ends
     * nothing here: the others are on their way. */
    rp_status (*gather)(struct rpi_oob_setup *side, const bool *came, bool (*hear)(void *context),
                        void *context);
    /* a worker */
    rp_status (*join)(struct rpi_oob_setup *side, const struct rpi_handshake_gate_place *place);
};

/* What a rank brings along. */
struct rpi_handshake {
    struct rpi_alloc alloc;
    struct rpi_log log;
    const struct rpi_registry *registry;
    struct rpi_transport *transport;
    struct rpi_oob_setup *side; /* NULL: there is no side channel */
    int rank;
    double timeout;   /* seconds */
    rp_status status; /* what went wrong on this rank before; its message is rp_error_message() */
    int processes;    /* rank 0: workers wanted, 0 = all */
    int shift;        /* rank 0: a rank's number in the pool is its rank plus this */
    int beside;       /* rank 0: more ranks on each rank's host, which take no part */
    bool hasty;       /* rank 0: an initializer that takes longer than the timeout is a failure */
    /* what comes out */
    uint32_t batch_limit; /* in: rank 0's wish */
    int workers;
    int number;                     /* at a worker: its own in the pool */
    char *hosts;                    /* rank 0: RPI_HOST_BYTES a rank; the caller's */
    int64_t *pids;                  /* rank 0: by rank; the caller's */
    uint64_t seed;                  /* in at rank 0 */
    uint16_t initializer;           /* in at rank 0; RPI_NO_FUNCTION: none */
    rp_bytes init_arg;              /* in at rank 0; at a worker an rpi_buffer, the caller's */
    struct rpi_isolation isolation; /* in at rank 0 */
    int crowd;                      /* ranks on this rank's host */
    bool attended;                  /* each worker may have a caretaker; in at rank 0 */
    struct rpi_handshake_gate_place gate;
    bool together; /* of a failure: every rank has heard of it, so that they can end the transport
                      together */
    /* a worker's message: a shortage of memory can be told, too */
    uint8_t hello[RPI_BATCH_DEFAULT];
};

#endif
