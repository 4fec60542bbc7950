/* Pools whose workers rank 0 spawns: the parent's side, and a spawned worker's. */
#ifndef RPI_SPAWNED_H
#define RPI_SPAWNED_H

#include <rankpool.h>

/* Spawns config->processes workers and opens the pool with them. */
RP_MUST_USE rp_status rpi_spawned_parent(const rp_config *config, double began, rp_pool **pool);
/* In a spawned worker: serves, if this is the open that it was spawned for, else passes it. */
RP_MUST_USE rp_status rpi_spawned_open(const rp_config *config, double began, rp_pool **pool);
/* A spawned worker whose program ends without the open that its parent waits in says so. */
void rpi_spawned_answer(void);

#endif
