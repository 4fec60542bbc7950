/* Does what a worker's engine asks for shared data: maps, makes room, frees (shared_fetch.h). */
#ifndef RPI_SHARED_IO_H
#define RPI_SHARED_IO_H

#include "worker/state.h"

/* `keep`: a process of its own will map them too. */
void rpi_shared_io(struct rpi_worker *worker, bool keep);
/* Frees all that is mapped: for the worker's end. */
void rpi_shared_io_end(struct rpi_worker *worker);

#endif
