/* Maps: their items go out in chunks, and come back as results, failures, or to go again. */
#ifndef RPI_MAP_H
#define RPI_MAP_H

#include "master/master.h"

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
