/* What a worker and its forkserver tell each other (forkserver.h). */
#ifndef RPI_FORKSERVER_PROTOCOL_H
#define RPI_FORKSERVER_PROTOCOL_H

#include <stdint.h>

#define RPI_FORKSERVER_KEEPS 2

struct rpi_forkserver_config {
    void (*live)(void *context); /* a child's life; it does not return */
    void *context;
    int keep[RPI_FORKSERVER_KEEPS]; /* descriptors that a child needs, or -1; all others are closed
                                       but standard output */
    int error;                      /* what becomes its standard error */
};

/* Orders: one byte each. */
#define RPI_FORKSERVER_ORDER_FORK 'f'
#define RPI_FORKSERVER_ORDER_KILL 'k'

enum rpi_forkserver_what {
    RPI_FORKSERVER_BORN = 1,  /* value: pid */
    RPI_FORKSERVER_STILLBORN, /* value: errno of fork */
    RPI_FORKSERVER_DIED,      /* value: as waitpid gives it */
};

struct rpi_forkserver_news {
    enum rpi_forkserver_what what;
    int64_t value;
};

#endif
