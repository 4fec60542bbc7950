/* What runs in a tasks' process: it takes orders from its worker (mailbox.h) until it is told to
 * leave. */
#ifndef RPI_CHILD_MAIN_H
#define RPI_CHILD_MAIN_H

#include "base/alloc.h"
#include "exec/mailbox.h"

struct rpi_child_main_config {
    struct rpi_alloc alloc;
    const struct rpi_registry *registry;  /* borrowed */
    size_t room;                          /* bytes of an argument that travels inside a batch */
    int number;                           /* of the worker */
    const char *host;                     /* borrowed */
    uint64_t seed;                        /* the pool's */
    uint16_t initializer;                 /* its number, or RPI_NO_FUNCTION */
    rp_bytes init_arg;                    /* borrowed */
    void (*finalizer)(void *worker_data); /* or NULL */
    int64_t worker;                       /* its pid */
};

struct rpi_child_main {
    struct rpi_child_main_config config;
    struct rpi_mailbox_area area;
    int reports; /* an eventfd: there are some */
};

/* Shared data, in a list for the process. */
struct rpi_child_main_datum {
    uint64_t number, size, token;
    int32_t fd;      /* the worker's */
    uint32_t length; /* of the name, which follows, padded to 8 */
};

/* Its life; never returns. */
_Noreturn void rpi_child_main_live(struct rpi_child_main *child);

#endif
