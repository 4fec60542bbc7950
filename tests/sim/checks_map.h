/* What must hold of a settled map. */
#ifndef CHECKS_MAP_H
#define CHECKS_MAP_H

#include "inside.h"

/* Every item ran once; its result, and its status if asked for, are what it gave.  The map's last
 * run becomes that of its lowest item that failed. */
void check_map_items(struct sim *sim, uint64_t number);
/* The map's own outcome is that of its lowest failing item. */
void check_map_outcome(struct sim *sim, uint64_t number, const rp_outcome *outcome);
/* Nothing tells how some item failed that has no status and no result to show: memory was
 * refused. */
bool check_map_vague(const struct model_map *map);
/* How many items failed. */
uint64_t check_map_failures(const struct sim *sim, uint64_t number, uint64_t *cancelled);

#endif
