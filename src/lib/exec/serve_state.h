/* What a worker at work remembers (serve.h), and its answering thread (answer_thread.h). */
#ifndef RPI_SERVE_STATE_H
#define RPI_SERVE_STATE_H

#include "base/clock.h"
#include "base/handoff.h"
#include "base/wakeup.h"
#include "exec/inline.h"
#include "proto/transport.h"
#include "worker/state.h"

#include <pthread.h>

struct rpi_answer_thread {
    struct rpi_wakeup wakeup;
    pthread_t thread;
    bool live;
    /* seconds that a task runs before its worker's messages are looked at meanwhile */
    double watch;
    uint64_t seen; /* turn of the handoff at the last look */
    double rest;   /* seconds until the next */
    double since;  /* when that turn was first seen */
};

struct rpi_serve {
    struct rpi_worker worker;
    struct rpi_inline executor;
    struct rpi_task task, plain; /* what runs; off the stack: read when a task ends its thread */
    struct rpi_child *child;     /* where tasks run instead; NULL: here */
    struct rpi_transport *transport; /* borrowed; peer 0 is the master */
    rp_status broken;                /* RP_OK while it can go on */
    rp_status shortage; /* RP_ERR_NOMEM: something waits for memory; reset when it is read */
    void (*pause)(void *context);   /* NULL, or called before a task's function runs ... */
    void (*resume)(void *context);  /* ... and after it */
    bool (*hurries)(void *context); /* NULL, or asked in between: what has not begun goes back, and
                                       the thread is free soon */
    void *context;
    /* of all that is here but the executor: handed off while a task's function runs */
    struct rpi_handoff handoff;
    struct rpi_answer_thread answer_thread;
    void (*finalizer)(void *worker_data); /* NULL, or called at the end */
    uint32_t came;                        /* messages, in the last look */
    struct rpi_watch watch;
    bool brief; /* the last tasks were so short that a look at the clock is shared by several */
};

#endif
