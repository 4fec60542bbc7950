/* The pool's side of the trace: what is drawn of what it sees. */
#ifndef RPI_TRACING_H
#define RPI_TRACING_H

#include "pool/state.h"

/* Opens the config's trace; NULL in *trace where it has none.  RP_ERR_IO, RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_tracing_open(const rp_config *config, struct rpi_trace **trace);
/* Names the rows.  RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_tracing_begin(rp_pool *pool);

/* A batch came from this worker; before the engine takes it.  One that the engine has no memory for
 * comes again, and its tasks may be drawn twice. */
void rpi_tracing_batch(rp_pool *pool, int worker, const void *data, size_t size);
/* A large payload is here; before the engine takes it. */
void rpi_tracing_arrived(rp_pool *pool, const struct rpi_arrival *arrival);
/* What became of a worker, for its row. */
void rpi_tracing_event(rp_pool *pool, int worker, const char *what);

#endif
