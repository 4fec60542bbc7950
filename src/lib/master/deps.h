/* Tasks that wait for others, and the outcomes that they need: `after` at rank 0.  An outcome that
 * somebody depends on is kept until all its dependents are settled, even if the application has
 * released it; it travels once to each worker that needs it. */
#ifndef RPI_DEPS_H
#define RPI_DEPS_H

#include "master/master.h"

/* A future that others depend on. */
struct rpi_deps_input {
    struct rpi_link link; /* in its bucket */
    uint64_t id;
    uint32_t dependents;   /* not settled, and messages under way whose piece it is */
    struct rpi_link edges; /* of those that wait for it */
    uint8_t *sent;         /* a bit for each worker that has it; NULL: none */
};

struct rpi_deps_edge {
    struct rpi_link link;
    struct rpi_deps_dependent *owner;
    struct rpi_deps_input *input;
};

/* A task with inputs. */
struct rpi_deps_dependent {
    struct rpi_link link; /* in inputs->moved when its time has come, else alone */
    struct rpi_link all;
    /* in inputs->urgent when it may be more so than what it waits for, else alone */
    struct rpi_link urgent;
    uint64_t id;
    struct rpi_entry entry; /* while it waits; data is an rpi_buffer, or borrowed */
    void *arg;              /* that buffer, or NULL */
    uint32_t count, unmet;
    uint64_t failed; /* an input that failed; 0: none */
    bool follows;    /* it does not run: its outcome is to be that of its one input */
    struct rpi_deps_edge edges[];
};

/* Makes the record of a task that comes after these.  RP_ERR_STALE, with the index;
 * RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_deps_gather(struct rpi_master *master, const rp_future *after,
                                      size_t count, struct rpi_deps_dependent **dependent);
/* Makes the record of a task that shares the outcome of an unsettled one.  RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_deps_follow(struct rpi_master *master, uint64_t id,
                                      struct rpi_deps_dependent **dependent);
/* The task is submitted: it waits, or goes on at the next rpi_deps_advance. */
void rpi_deps_submitted(struct rpi_master *master, struct rpi_deps_dependent *dependent,
                        uint64_t id, const struct rpi_entry *entry);
/* Queues or fails those whose time has come.  What memory does not suffice for stays for the next
 * time. */
void rpi_deps_advance(struct rpi_master *master);
/* A future is settled: those that wait for it are told. */
void rpi_deps_settled(struct rpi_master *master, uint64_t id, const struct rpi_future *future);
/* A dependent is settled, or was never submitted: it needs its inputs no more. */
void rpi_deps_let_go(struct rpi_master *master, struct rpi_deps_dependent *dependent);
/* Whether somebody depends on it. */
bool rpi_deps_hold(const struct rpi_deps *inputs, uint64_t id);
/* Sends the worker what this task needs and what it has not got yet.  false: no memory, and it may
 * be called again. */
RP_MUST_USE bool rpi_deps_send(struct rpi_master *master,
                               const struct rpi_deps_dependent *dependent, int worker);
/* Another process takes a lost worker's place, which has got nothing yet. */
void rpi_deps_replaced(struct rpi_master *master, int worker);
/* A message that had the outcome of `id` as its piece has gone: until then the outcome stayed where
 * it is. */
void rpi_deps_unpin(struct rpi_master *master, uint64_t id);
void rpi_deps_fini(struct rpi_master *master);

#endif
