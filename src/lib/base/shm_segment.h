/* A piece of memory that processes of one host can have in common.  A plain type: the engines carry
 * it, shm.c makes it. */
#ifndef RPI_SHM_SEGMENT_H
#define RPI_SHM_SEGMENT_H

#include <stdint.h>

struct rpi_shm {
    void *data;     /* as mapped here; NULL: not yet */
    uint64_t size;  /* bytes */
    uint64_t token; /* random: by which a process knows that it found the right one */
    int32_t fd;     /* by which others of the host map it; -1: they cannot */
};

#endif
