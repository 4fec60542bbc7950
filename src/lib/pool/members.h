/* What a pool does about workers that end or are silent: it tells the engine, and logs it. */
#ifndef RPI_MEMBERS_H
#define RPI_MEMBERS_H

#include "pool/state.h"

/* For `ranks` ranks, where a worker is lost after `lost_after` seconds of silence; 0: never.
 * RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_members_init(rp_pool *pool, int ranks, double lost_after);
void rpi_members_fini(rp_pool *pool);

struct rpi_respawn_errand;

/* The transport's events. */
void rpi_members_died(void *context, int peer, const struct rpi_death *death);
void rpi_members_lost(void *context, int peer);
void rpi_members_astray(void *context, int peer);
void rpi_members_heard(void *context, int peer);
/* A rank has ended its service. */
void rpi_members_left(rp_pool *pool, int peer);
/* Another process, which the transport knows, has taken a lost worker's place; NULL: none has. */
void rpi_members_replaced(rp_pool *pool, const struct rpi_respawn_errand *errand);
/* What a worker sent is damaged, as rp_error_message() says: it is given up. */
void rpi_members_give_up(rp_pool *pool, int peer);
/* For the pool's step: what the engine had no memory for, and which workers are silent. */
void rpi_members_step(rp_pool *pool);

/* Whether every rank has said goodbye, or is lost. */
bool rpi_members_all_left(rp_pool *pool, const void *unused);

#endif
