/* Settling: the master's half that takes results.  Shared by master.c, settle.c and map.c only. */
#ifndef RPI_SETTLE_H
#define RPI_SETTLE_H

#include "master.h"

/* A map whose items are not all settled. */
struct rpi_map {
    struct rpi_link link;
    struct rpi_map_request request;
    uint64_t id, number;
    uint64_t next; /* the first item not handed out yet */
    uint64_t left; /* items not settled */
    double submitted;
    bool stopped; /* it was cancelled */
    uint64_t failures;
    uint64_t cancelled; /* of them */
    uint64_t failed;    /* the lowest failing index */
    rp_status status;   /* its */
    int code;
    int worker;
    char message[RPI_MESSAGE_MAX + 1];
};

/* What is known of a task when it settles. */
struct rpi_settled {
    rp_status status;
    int code;
    const char *message; /* the task's own words */
    int worker;
    bool at_worker; /* it was sent there: else `worker` says nothing */
    double ran;     /* seconds */
    uint16_t function;
};

/* Settles a failed task, or queues it again.  RP_ERR_NOMEM: nothing changed. */
RP_MUST_USE rp_status rpi_settle_failure(struct rpi_master *master, uint64_t id, struct rpi_future *future,
                                         const struct rpi_settled *how);
/* Settles a task with a result of more than RPI_SMALL_RESULT bytes in an rpi_buffer, which it takes over. */
void rpi_settle_buffer(struct rpi_master *master, uint64_t id, struct rpi_future *future, void *buffer, uint32_t size,
                       const struct rpi_settled *how);

/* Queues a task where its options want it; `back`: it was queued before.  RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_master_enqueue(struct rpi_master *master, const struct rpi_entry *entry,
                                         const struct rpi_options *options, bool back, uint64_t order);
/* A queued task with these options is void: it counts no more, and its entry is dropped when it comes up. */
void rpi_master_void(struct rpi_master *master, const struct rpi_options *options);
/* A worker has credit again: the tasks that only it may run are looked at. */
void rpi_master_wake(struct rpi_master *master, int worker);

/* The end of settling: who waits for it is told, and what nobody holds is freed. */
void rpi_settle_end(struct rpi_master *master, uint64_t id, struct rpi_future *future);

/* Settles a map whose items all are.  RP_ERR_NOMEM: nothing changed. */
RP_MUST_USE rp_status rpi_map_settle(struct rpi_master *master, struct rpi_map *map);
/* Cancels the items not handed out yet; settles the map if none is at a worker. */
RP_MUST_USE rp_status rpi_map_cancel(struct rpi_master *master, struct rpi_map *map);

/* The next chunk of a map: how many items, at least one, go into a batch with `room` bytes left and `tasks` to go. */
uint64_t rpi_map_portion(const struct rpi_map *map, uint32_t room, uint32_t result_room, uint64_t tasks);
/* Scatters a chunk's results and frees its future; `payload` has frame->length bytes.  RP_ERR_BROKEN: it is damaged. */
RP_MUST_USE rp_status rpi_map_chunk_done(struct rpi_master *master, const struct rpi_frame *frame, struct rpi_future *chunk,
                                         const uint8_t *payload, int worker);
void rpi_map_free(struct rpi_master *master, struct rpi_map *map);

#endif
