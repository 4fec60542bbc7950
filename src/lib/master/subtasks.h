/* Spawned tasks at rank 0: held until their parent's success says that they are to be. */
#ifndef RPI_SUBTASKS_H
#define RPI_SUBTASKS_H

#include "master/master.h"

/* The children of one task so far, as the frames that announced them. */
struct rpi_subtasks_held {
    struct rpi_link link; /* at its worker's seat, in the order of their parents */
    uint64_t parent;      /* its future */
    uint8_t attempt;      /* which of its starts made them */
    uint8_t *frames;
    uint32_t used, capacity; /* bytes */
    uint32_t count;          /* children */
};

/* A child's identity comes from its parent's and its ordinal, whatever ran where and when; the high
 * bit keeps it apart from numbers of submission. */
uint64_t rpi_subtasks_number(uint64_t parent, uint64_t ordinal);

/* A frame that announces a child.  RP_ERR_NOMEM: give it again; a child that is held already is not
 * held twice. */
RP_MUST_USE rp_status rpi_subtasks_hold(struct rpi_master *master, int worker,
                                        const struct rpi_frame *frame, const uint8_t *from,
                                        const uint8_t *to);
/* The parent, answered by this frame, succeeded: its children are queued, and it is to settle at
 * once, by what cannot fail: the answer of another of its starts would have others.  RP_ERR_NOMEM:
 * none is queued, call again. */
RP_MUST_USE rp_status rpi_subtasks_commit(struct rpi_master *master, int worker,
                                          const struct rpi_frame *answer,
                                          const struct rpi_future *parent);
/* It did not: it has none. */
void rpi_subtasks_drop(struct rpi_master *master, int worker, const struct rpi_frame *answer);
/* The worker is lost: what its tasks have spawned there so far is nothing. */
void rpi_subtasks_lost(struct rpi_master *master, int worker);
void rpi_subtasks_fini(struct rpi_master *master);

#endif
