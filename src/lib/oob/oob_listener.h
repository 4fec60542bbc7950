/* Accepts workers' connections at rank 0.  A connection that does not begin with the pool's token,
 * or sends it too slowly, is closed; only a few may be unproven at a time.  Open only while workers
 * are awaited. */
#ifndef RPI_OOB_LISTENER_H
#define RPI_OOB_LISTENER_H

#include "base/log.h"
#include "oob/oob_protocol.h"

/* connections that have not proven themselves; of more, the oldest is closed */
#define RPI_OOB_LISTENER_VISITORS 16

struct rpi_oob_listener_visitor {
    int file; /* -1: none */
    double since;
    struct rpi_oob_proof proof;
};

struct rpi_oob_listener {
    int listener; /* -1: closed */
    uint32_t ip;  /* host byte order */
    uint16_t port;
    uint8_t token[RPI_OOB_TOKEN_BYTES];
    struct rpi_oob_listener_visitor visitors[RPI_OOB_LISTENER_VISITORS];
    uint64_t refused;
    int error; /* errno where no descriptor was free for a connection; 0: none failed so */
};

/* Makes the token and listens on that one address.  RP_ERR_BROKEN: it cannot. */
RP_MUST_USE rp_status rpi_oob_listener_open(struct rpi_oob_listener *listener, uint32_t ip);
/* A proven connection: its file and the number, from 1 to `most`, that it gave.  False: none now.
 * Never waits. */
bool rpi_oob_listener_next(struct rpi_oob_listener *listener, double now, int most, int *worker,
                           int *file);
/* Closes it; a log line tells how many connections were refused, if any. */
void rpi_oob_listener_close(struct rpi_oob_listener *listener, const struct rpi_log *log);

#endif
