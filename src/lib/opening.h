/* The talk at a pool's opening, over any transport: each rank says hello to rank 0, which answers with a verdict; every rank
 * comes out with the same status.
 *
 *   hello    header (kind HELLO)    registry hash u64   pid i64   status u32   functions u32   host and message: u16 length, bytes
 *            then the functions' names, sorted, each with its zero, as many as fit
 *   verdict  header (kind VERDICT)  status u32   workers u32   batch bytes u32   ranks on this host u32   seed u64
 *            initializer u32 (its number; 0xFFFF: none)   bytes of its argument u32   together u32   message: u16 length, bytes
 *
 * With an initializer its argument follows as a large payload; each rank runs it, says hello again with what came of it, and
 * gets a second verdict.
 */
#ifndef RPI_OPENING_H
#define RPI_OPENING_H

#include "pool.h"

/* What a rank brings along. */
struct rpi_opening {
    struct rpi_alloc alloc;
    struct rpi_log log;
    const struct rpi_registry *registry;
    struct rpi_transport *transport;
    int rank;
    double timeout;   /* seconds */
    rp_status status; /* what went wrong on this rank before; its message is rp_error_message() */
    int processes;    /* rank 0: workers wanted, 0 = all */
    /* what comes out */
    uint32_t batch_limit; /* in: rank 0's wish */
    int workers;
    char *hosts;          /* rank 0: RPI_HOST_BYTES a rank; the caller's */
    int64_t *pids;        /* rank 0: by rank; the caller's */
    uint64_t seed;        /* in at rank 0 */
    uint16_t initializer; /* in at rank 0; RPI_NO_FUNCTION: none */
    rp_bytes init_arg;    /* in at rank 0; at a worker an rpi_buffer, the caller's */
    int crowd;            /* ranks on this rank's host */
    bool together;        /* of a failure: every rank has heard of it, so that they can end the transport together */
};

RP_MUST_USE rp_status rpi_opening_master(struct rpi_opening *opening);
RP_MUST_USE rp_status rpi_opening_worker(struct rpi_opening *opening);
/* With an initializer: tells rank 0 what came of it (its message is rp_error_message()) and gets the verdict on all. */
RP_MUST_USE rp_status rpi_opening_report(struct rpi_opening *opening, rp_status status);

/* Rank 0 cannot go on after all: the others, who serve already, hear so. */
void rpi_opening_take_back(struct rpi_opening *opening);

#endif
