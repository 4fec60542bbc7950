/* A worker at work: the worker's engine, an executor and a transport, driven together. */
#ifndef RPI_SERVE_H
#define RPI_SERVE_H

#include "exec/serve_state.h"
#include "proto/isolation.h"

struct rpi_serve_config {
    struct rpi_alloc alloc;
    const struct rpi_registry *registry; /* borrowed */
    struct rpi_transport *transport;     /* borrowed */
    uint32_t batch_limit;                /* bytes */
    int number;                          /* of this worker */
    uint64_t seed;                       /* the pool's */
    const char *host;                    /* borrowed */
};

RP_MUST_USE rp_status rpi_serve_init(struct rpi_serve *server,
                                     const struct rpi_serve_config *config);
void rpi_serve_fini(struct rpi_serve *server);

/* Runs the pool's initializer, which has this number.  RP_ERR_BROKEN: it failed; the message says
 * where and how. */
RP_MUST_USE rp_status rpi_serve_initialise(struct rpi_serve *server, uint16_t function,
                                           const void *arg, size_t size);

/* Has tasks run in a process of their own from now on, with the initializer (or RPI_NO_FUNCTION)
 * and the finalizer (or NULL) in each such process. RP_ERR_BROKEN: the initializer failed;
 * RP_ERR_FULL, RP_ERR_NOMEM: no process can be had. */
RP_MUST_USE rp_status rpi_serve_isolate(struct rpi_serve *server,
                                        const struct rpi_isolation *isolation, uint16_t initializer,
                                        rp_bytes init_arg, void (*finalizer)(void *worker_data));

/* How the transport reports to this server. */
struct rpi_events rpi_serve_events(struct rpi_serve *server);

/* Runs tasks until none is there, `most` have run, or a while has passed; their results are sent
 * where that is due.  Returns how many ran. */
uint32_t rpi_serve_run(struct rpi_serve *server, uint32_t most);

/* While a task runs: takes in what has come, answers, and sends what is ready.  For a thread that
 * has borrowed the server, or waits for a task that runs elsewhere.  Returns whether anything had
 * come. */
bool rpi_serve_news(struct rpi_serve *server);

/* Hands the transport what the engine has for it. */
rp_status rpi_serve_pump(struct rpi_serve *server);

/* A worker rank's life: serves until rank 0 says stop, then says goodbye.  RP_ERR_BROKEN,
 * RP_ERR_MPI: it could not go on. */
RP_MUST_USE rp_status rpi_serve_loop(struct rpi_serve *server);

#endif
