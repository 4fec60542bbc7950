/* Settling: the master's half that takes results.  For the master's own files only. */
#ifndef RPI_SETTLE_H
#define RPI_SETTLE_H

#include "master/master.h"

/* Items that were handed out and came back. */
struct rpi_range {
    uint64_t first;
    uint32_t count;
};

/* A map whose items are not all settled. */
struct rpi_map {
    struct rpi_link link;
    struct rpi_map_request request;
    uint64_t id, number;
    uint64_t next;          /* the first item not handed out yet */
    struct rpi_range *back; /* these go before it */
    uint32_t back_count, back_capacity;
    uint64_t back_items;
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

/* as many retries as any options allow: it was cancelled at its worker */
#define RPI_NEVER_AGAIN UINT16_MAX

/* What is known of a task when it settles. */
struct rpi_settled {
    rp_status status;
    int code;
    const char *message; /* the task's own words */
    int worker;
    bool at_worker; /* it was sent there: else `worker` says nothing */
    double ran;     /* seconds */
    uint16_t function;
    bool final; /* it is not tried again, whatever its options say */
};

/* What became of a failed task, in words. */
const char *rpi_failure_verb(rp_status status);
/* for RP_ERR_INPUT; the input's failure follows */
#define RPI_BEHIND_A_FAILED "was not run, a task before it failed"

/* Settles a failed task, or queues it again.  RP_ERR_NOMEM: nothing changed. */
RP_MUST_USE rp_status rpi_settle_failure(struct rpi_master *master, uint64_t id,
                                         struct rpi_future *future, const struct rpi_settled *how);
/* Settles a task with a result, which is copied.  RP_ERR_NOMEM: nothing changed. */
RP_MUST_USE rp_status rpi_settle_result(struct rpi_master *master, uint64_t id,
                                        struct rpi_future *future, const uint8_t *data,
                                        uint32_t size, const struct rpi_settled *how);
/* Copies a result too large for its future into a new *buffer; for others *buffer stays as it is.
 * RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_settle_room(const struct rpi_master *master, const uint8_t *data,
                                      uint32_t size, void **buffer);
/* Settles a task with a result of more than RPI_SMALL_RESULT bytes in an rpi_buffer, which it takes
 * over. */
void rpi_settle_buffer(struct rpi_master *master, uint64_t id, struct rpi_future *future,
                       void *buffer, uint32_t size, const struct rpi_settled *how);

/* The future of a frame's task if this attempt is under way at that worker and unanswered; else
 * NULL. */
struct rpi_future *rpi_settle_awaited(const struct rpi_master *master, int worker,
                                      const struct rpi_frame *frame);
/* Takes `tasks` tasks, which ran for `ran` seconds in all, from the batch with this index. */
void rpi_settle_leave(struct rpi_master *master, uint32_t index, uint32_t tasks, double ran);
/* The common part of settling.  It overwrites future->pending: read what you need of that before,
 * and set the data after. */
void rpi_settle_done(struct rpi_master *master, struct rpi_future *future,
                     const struct rpi_settled *how);
void rpi_arrival_free(struct rpi_master *master, struct rpi_arrival *arrival);
/* Forgets the losses of a task that is settled. */
static inline void rpi_settle_losses(struct rpi_master *master, uint64_t id)
{
    if (master->losses.count)
        (void)rpi_attempts_forget(&master->losses, id);
}
/* Ends settling: tells all that wait for the future, and frees it if it is released and not
 * needed. */
void rpi_settle_tell(struct rpi_master *master, uint64_t id, struct rpi_future *future);
/* The same, unless it waits for the journal first. */
void rpi_settle_end(struct rpi_master *master, uint64_t id, struct rpi_future *future);

/* Items that wait at rank 0. */
static inline uint64_t rpi_map_waiting(const struct rpi_map *map)
{
    return map->request.count - map->next + map->back_items;
}
/* The first of them, and how many follow each other from there on. */
static inline uint64_t rpi_map_first(const struct rpi_map *map, uint64_t *run)
{
    const struct rpi_range *range = map->back_count ? &map->back[map->back_count - 1] : NULL;
    *run = range ? range->count : map->request.count - map->next;
    return range ? range->first : map->next;
}
/* Takes out the first `items` of them, at most that run. */
void rpi_map_take(struct rpi_map *map, uint64_t items);
/* Returns a chunk to its map, as cancelled if the map is, and frees its future.  RP_ERR_NOMEM:
 * nothing changed. */
RP_MUST_USE rp_status rpi_map_chunk_back(struct rpi_master *master, uint64_t id,
                                         struct rpi_future *chunk);

/* Leaves a chunk its first `items`, fewer than it has, and returns the others to the map, as
 * cancelled if the map is.  RP_ERR_NOMEM: nothing changed. */
RP_MUST_USE rp_status rpi_map_chunk_cut(struct rpi_master *master, struct rpi_future *chunk,
                                        uint32_t items);
/* A future for some items of a map; it borrows the map's options.  NULL: no memory. */
struct rpi_future *rpi_map_new_chunk(struct rpi_master *master, struct rpi_map *map, uint64_t first,
                                     uint64_t items, uint64_t *id);
/* Fails the first item of a chunk, and frees the chunk if it was the last.  RP_ERR_NOMEM: nothing
 * changed. */
RP_MUST_USE rp_status rpi_map_item_failed(struct rpi_master *master, uint64_t id,
                                          struct rpi_future *chunk,
                                          const struct rpi_item_failure *failure, int worker);
/* Settles a map without items. */
void rpi_map_settle_empty(struct rpi_master *master, struct rpi_map *map);
/* Cancels the items not handed out yet; settles the map if none is at a worker. */
RP_MUST_USE rp_status rpi_map_cancel(struct rpi_master *master, struct rpi_map *map);

/* How many items, at least one, the next chunk of a map takes in a batch with room for `room` bytes
 * and `tasks` tasks: as many as the application has chosen, if it has, and for items that came back
 * at most that. */
uint64_t rpi_map_portion(const struct rpi_map *map, uint32_t room, uint32_t result_room,
                         uint64_t tasks);
/* RP_ERR_BROKEN: it is no answer to this chunk. */
RP_MUST_USE rp_status rpi_map_check(const struct rpi_frame *frame, const struct rpi_future *chunk);
/* Scatters a chunk's results and frees its future; `payload` has frame->length bytes.
 * RP_ERR_BROKEN: it is damaged. */
RP_MUST_USE rp_status rpi_map_chunk_done(struct rpi_master *master, const struct rpi_frame *frame,
                                         struct rpi_future *chunk, const uint8_t *payload,
                                         int worker);
void rpi_map_free(struct rpi_master *master, struct rpi_map *map);

#endif
