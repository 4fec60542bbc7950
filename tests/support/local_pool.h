/* A pool of one process without MPI: what rp_open makes where no launcher started the process, for
 * programs that link no MPI. */
#ifndef LOCAL_POOL_H
#define LOCAL_POOL_H

#include "memory.h"

/* Opens one over this memory; log lines go nowhere.  As rp_open. */
RP_MUST_USE rp_status local_pool_open(struct memory *memory, rp_pool **pool);
/* The same with this config, but for its memory; where it names no sink, log lines go nowhere. */
RP_MUST_USE rp_status local_pool_open_as(struct memory *memory, const rp_config *config,
                                         rp_pool **pool);

#endif
