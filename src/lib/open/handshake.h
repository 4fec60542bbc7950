/* The talk at a pool's opening, over any transport: each rank says hello to rank 0, which answers
 * with a verdict; every rank comes out with the same status.
 *
 *   hello    header (kind HELLO)
 *            registry hash u64   pid i64   status u32   functions u32
 *            host and message: u16 length, bytes
 *            then the functions' names, sorted, each with its zero, as many as fit
 *   verdict  header (kind VERDICT)
 *            status u32   workers u32   batch bytes u32   ranks on this host u32   seed u64
 *            initializer u32 (its number; 0xFFFF: none)   bytes of its argument u32
 *            flags u32 (1 together, 2 a caretaker at each worker)
 *            isolation u32 (1: in a process of their own)   tasks per process u64
 *            cancel_grace f64   the rank's number in the pool u32
 *            side channel: address u32   port u32   ms between heartbeats u32
 *            ms that a host may be silent u32   token, 16 bytes
 *            message: u16 length, bytes
 *
 * Each rank then connects to the side channel and makes ready what it needs to serve, says hello
 * again with what came of it, and gets a second verdict: nothing that can fail comes after the last
 * one.  An initializer runs before that second hello; if it has an argument there is a round more
 * before, for the room that the argument takes, and the argument follows as a large payload.  STOP
 * instead of a verdict: rank 0 has no memory left for one. */
#ifndef RPI_HANDSHAKE_H
#define RPI_HANDSHAKE_H

#include "pool/pool.h"
#include "oob/oob_protocol.h"

/* Where the side channel's connections come in. */
struct rpi_handshake_gate_place {
    uint32_t ip;           /* host byte order */
    uint16_t port;         /* 0: there is no side channel */
    uint32_t beat;         /* ms between heartbeats; 0: none */
    uint32_t host_timeout; /* ms without an answer, after which a host is given up */
    uint8_t token[RPI_TOKEN_BYTES];
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

RP_MUST_USE rp_status rpi_handshake_master(struct rpi_handshake *opening);
/* The first round; the side channel is up to the caller: rpi_handshake_join. */
RP_MUST_USE rp_status rpi_handshake_worker(struct rpi_handshake *opening);
/* Connects to the side channel, if there is one. */
RP_MUST_USE rp_status rpi_handshake_join(struct rpi_handshake *opening);
/* Only with an argument for the initializer: the round for its room, and the receiving of it. */
RP_MUST_USE rp_status rpi_handshake_argument(struct rpi_handshake *opening);
/* The last round: tells rank 0 whether this rank can serve (its message is rp_error_message()) and
 * gets the verdict on all. */
RP_MUST_USE rp_status rpi_handshake_report(struct rpi_handshake *opening, rp_status status);

/* Rank 0 cannot go on after all: tells the others, which serve already. */
void rpi_handshake_take_back(struct rpi_handshake *opening);

#endif
