/* How a pool's workers run tasks: rank 0's word, which travels to them. */
#ifndef RPI_ISOLATION_H
#define RPI_ISOLATION_H

#include <stdbool.h>
#include <stdint.h>

struct rpi_isolation {
    bool fork;
    uint64_t tasks_per_child; /* 0: no limit */
    double cancel_grace;      /* seconds */
};

#endif
