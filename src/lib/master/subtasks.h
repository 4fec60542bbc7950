/* Spawned tasks at rank 0: held until their parent has succeeded. */
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

/* Holds the child that a frame announces.  RP_ERR_NOMEM: give it again; a child that is held
 * already is not held twice. */
RP_MUST_USE rp_status rpi_subtasks_hold(struct rpi_master *master, int worker,
                                        const struct rpi_frame *frame, const uint8_t *from,
                                        const uint8_t *to);
/* Queues the children of a parent that succeeded with this answer.  Settle the parent at once, by
 * what cannot fail: another of its starts would have other children.  RP_ERR_NOMEM: none is queued,
 * call again. */
RP_MUST_USE rp_status rpi_subtasks_commit(struct rpi_master *master, int worker,
                                          const struct rpi_frame *answer,
                                          const struct rpi_future *parent);
/* Drops the children of a parent that failed with this answer. */
void rpi_subtasks_drop(struct rpi_master *master, int worker, const struct rpi_frame *answer);
/* Drops what the tasks of a lost worker have spawned so far. */
void rpi_subtasks_lost(struct rpi_master *master, int worker);
void rpi_subtasks_fini(struct rpi_master *master);

#endif
