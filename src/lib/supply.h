/* Does what a worker's engine asks for shared data: maps, makes room, frees (obtain.h). */
#ifndef RPI_SUPPLY_H
#define RPI_SUPPLY_H

#include "worker.h"

void rpi_supply(struct rpi_worker *worker);
/* Frees all that is mapped: for the worker's end. */
void rpi_supply_end(struct rpi_worker *worker);

#endif
