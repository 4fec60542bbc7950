/* Workers in the places of lost ones: config.respawn.
 *
 * A lost worker's replacement is a copy of this program that MPI spawns on the same host, as
 * config.processes does; it makes the program's calls up to the rp_open of this pool, and serves
 * there, under the lost one's number.  A thread of its own spawns it and goes through the opening
 * with it, over a transport of these two alone, while the pool works on; then the pool's transport
 * takes the replacement over.
 *
 * Open MPI 4.1 ends the whole job when something is spawned after a host was lost.  So nothing is
 * spawned unless every worker that waits for a replacement was on rank 0's host, or on a host where
 * another worker still lives `doubt` seconds after the loss.
 *
 * A spawn hangs if the program does before rp_open, but also by a fault of Open MPI's daemon
 * (mpi_spawn.c) that the next escapes.  So a second is tried, and after two in a row no more. */
#ifndef RPI_RESPAWN_H
#define RPI_RESPAWN_H

#include "pool/state.h"

#include <pthread.h>
#include <stdatomic.h>

/* One replacement that is sent for. */
struct rpi_respawn_errand {
    int worker;
    char host[RPI_HOST_BYTES]; /* where the lost one was */
    bool abroad;               /* that is not rank 0's host */
    int beside;                /* ranks that the pool has there */
    /* what came of it */
    rp_status status;
    char why[512];
    bool stuck;                   /* the spawn did not come back, and keeps its thread */
    char came_to[RPI_HOST_BYTES]; /* its host, as it says itself */
    int64_t pid;
    struct rpi_transport *transport; /* of rank 0 and this one peer; the taker's */
};

struct rpi_respawn_ops {
    /* Brings one: spawned, met, and ready to serve.  On a thread of its own. */
    rp_status (*fetch)(struct rpi_respawn *respawn, struct rpi_respawn_errand *errand);
    /* The peer of `from`, which is taken over, has that number in `transport` from now on. */
    rp_status (*adopt)(struct rpi_transport *transport, int number, struct rpi_transport *from);
    /* A fetch will not come back. */
    void (*forsake)(void);
    void (*release)(struct rpi_respawn *respawn);
};

struct rpi_respawn {
    const struct rpi_respawn_ops *ops;
    struct rpi_alloc alloc;
    struct rpi_log log;
    const struct rpi_registry *registry; /* the pool's */
    double doubt;    /* seconds within which a cut cable shows at all workers that it cuts off
                        (oob_socket.h), and to mpirun */
    int waiting;     /* lost workers whose place is vacant (struct rpi_members_peer) */
    int left, count; /* may still be made; were */
    bool stuck;      /* the last one was */
    bool closed;     /* no more replacements are sent for */
    /* the replacement that is sent for */
    struct rpi_transport *transport; /* the pool's: to be woken */
    pthread_t thread;
    bool busy;
    atomic_bool over, forsaken;
    struct rpi_respawn_errand errand; /* the thread's until `over` */
};

/* NULL: no effect. */
void rpi_respawn_free(struct rpi_respawn *respawn);

/* The pool's; its `respawn` may be NULL. */

/* The worker is lost. */
void rpi_respawn_wish(rp_pool *pool, int worker);
/* For the pool's step: takes in a replacement that has come, and returns its errand; else NULL. */
const struct rpi_respawn_errand *rpi_respawn_come(rp_pool *pool);
/* Sends for the next one. */
void rpi_respawn_step(rp_pool *pool);
/* Whether a replacement may still come. */
bool rpi_respawn_hope(const rp_pool *pool);
/* Workers replaced so far. */
int rpi_respawn_count(const rp_pool *pool);
/* The pool ends: sends for no more replacements, and waits some seconds for one that is on the way;
 * returns as rpi_respawn_come. */
const struct rpi_respawn_errand *rpi_respawn_stop(rp_pool *pool);

#endif
