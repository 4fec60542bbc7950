/* A worker's tasks' process as the worker sees it: its birth, its orders, the wait for what comes
 * of them, its death. */
#ifndef RPI_CHILD_H
#define RPI_CHILD_H

#include "exec/child_main.h"
#include "exec/forkserver.h"
#include "exec/postmortem.h"
#include "proto/isolation.h"

enum rpi_child_look {
    RPI_CHILD_LOOK_NOTHING,
    RPI_CHILD_LOOK_SOMETHING, /* more may be on its way */
    RPI_CHILD_LOOK_OVER,      /* the pool has failed: stop at once */
};

struct rpi_child_config {
    struct rpi_child_main_config main;
    struct rpi_isolation isolation;
    const atomic_bool *cancel; /* the running task must stop */
    enum rpi_child_look (*look)(void *context);
    /* NULL, or: lists the tasks after the one to run, in order, as far as they may run whatever
     * comes meanwhile */
    uint32_t (*follow)(void *context, struct rpi_task *tasks, uint32_t most);
    void *context;
};

struct rpi_child {
    struct rpi_child_config config;
    struct rpi_child_main main; /* as every process finds it */
    struct rpi_forkserver forkserver;
    struct rpi_postmortem_tail tail;
    int timer;   /* a timerfd: of the next look */
    double rest; /* seconds that it was set for; 0: it does not run */
    bool looks;  /* at the world, while it waits */
    bool alive;
    int64_t pid;
    int status;     /* how it died, as waitpid gives it */
    uint32_t given; /* number of the last order */
    uint32_t taken; /* of the last one whose end is known here */
    size_t report;  /* where the next report begins */
    size_t used;    /* bytes of `in`, by the tasks that it has */
    uint64_t ran;   /* tasks */
    uint32_t items; /* of the chunk that it was given and that is not awaited yet, those that it may
                       run; 0: no chunk */
    uint32_t saved; /* of the same chunk, by processes before it */
    struct rpi_task *coming; /* the chunk that waits until the process is ready; or NULL */
    uint64_t changes;        /* of the shared cache, when its shared data were brought in line */
    char message[RPI_MESSAGE_MAX + 1];
    uint64_t heard; /* ticks, when its standard error was passed on */
    void *init_arg;
    uint8_t *scratch; /* room for short reports */
};

enum rpi_child_end {
    RPI_CHILD_END_DONE,      /* its report is there */
    RPI_CHILD_END_DIED,      /* by itself */
    RPI_CHILD_END_EARLY,     /* died before it began this */
    RPI_CHILD_END_OVERRAN,   /* killed at its deadline */
    RPI_CHILD_END_CANCELLED, /* killed after the grace */
    RPI_CHILD_END_OVER,      /* killed: the pool has failed */
    RPI_CHILD_END_REFUSED,   /* it was not begun */
};

/* What an order may cost. */
struct rpi_child_patience {
    double limit;   /* seconds for each part; 0: none */
    uint32_t parts; /* items of a chunk, or 1 */
    bool deaf;      /* it cannot be cancelled */
};

/* All but the first process.  RP_ERR_NOMEM, RP_ERR_FULL. */
RP_MUST_USE rp_status rpi_child_init(struct rpi_child *child,
                                     const struct rpi_child_config *config);
void rpi_child_fini(struct rpi_child *child);

/* A fresh process, its initializer run.  RP_ERR_BROKEN: that failed; RP_ERR_FULL, RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_child_start(struct rpi_child *child);
/* Has the finalizer run and the process leave. */
void rpi_child_stop(struct rpi_child *child);
/* Ends it at once. */
void rpi_child_kill(struct rpi_child *child);

/* Gives an order, which has nothing but what is in the mailbox. */
void rpi_child_command(struct rpi_child *child, enum rpi_mailbox_order what);
/* Gives `count` tasks at once, RPI_LINE at the most, whose arguments are in the area.  Each is
 * awaited, in their order. */
void rpi_child_give(struct rpi_child *child, const struct rpi_task *tasks, uint32_t count);
/* Whether the next task has been given to the process and was not withdrawn; whether it is done. */
bool rpi_child_has_next(const struct rpi_child *child);
bool rpi_child_is_next_done(const struct rpi_child *child);
/* Withdraws what the process has not begun; returns how many tasks it keeps that were not
 * awaited. */
uint32_t rpi_child_hold(struct rpi_child *child);
/* Waits for what comes of the next order. */
enum rpi_child_end rpi_child_await(struct rpi_child *child,
                                   const struct rpi_child_patience *patience);
/* Copies the report out of the shared memory, then checks it; *result is valid until the next one.
 * RP_ERR_CRASHED, RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_child_report(struct rpi_child *child, const struct rpi_task *task,
                                       struct rpi_result *result);

#endif
