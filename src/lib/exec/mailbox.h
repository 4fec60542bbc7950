/* The memory that a worker and its tasks' process have in common: orders one way, what became of
 * them the other.
 *
 * Orders are numbered, and stand in a line.  The process begins them one by one; either side may
 * withdraw those that are not begun, by the same word, so that it is always known which have.  So a
 * process may be given several short tasks at once, and sleeping and waking, which costs more than
 * they do, are shared by all of them.
 *
 * It is mapped before the process is forked, so that it lies at the same address in both, and as
 * large as the largest task could need: pages that nobody touches cost nothing.  What the process
 * can write to, the worker reads once, copies, and then checks. */
#ifndef RPI_MAILBOX_H
#define RPI_MAILBOX_H

#include "base/futex.h"
#include "exec/progress.h"
#include "proto/task.h"

enum rpi_mailbox_order {
    RPI_MAILBOX_ORDER_START, /* a new process: the initializer */
    RPI_MAILBOX_ORDER_RUN,
    RPI_MAILBOX_ORDER_SHARED, /* which shared data there are now */
    RPI_MAILBOX_ORDER_END,    /* the finalizer, then leave */
};

#define RPI_LINE 64 /* orders, at the most */

struct rpi_mailbox_command {
    enum rpi_mailbox_order what;
    bool first; /* of those given together: its report begins `out`, that of each other one is
                   behind the last */
    struct rpi_task task; /* pointers into `in` */
};

struct rpi_mailbox {
    /* the worker's */
    _Alignas(64) struct rpi_futex orders;
    uint64_t shared; /* entries of a list in `in` */
    atomic_bool cancel;
    struct rpi_mailbox_command line[RPI_LINE]; /* by number */
    /* both sides' */
    /* of the line: the number of the last order given, above that of the last one begun */
    _Alignas(64) _Atomic uint64_t ends;
    /* the process's */
    _Atomic uint32_t done; /* number of the last order whose report is there */
    struct rpi_mailbox_progress progress;
};

/* Numbers go round: whether `a` is behind `b`. */
static inline bool rpi_mailbox_is_after(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) > 0;
}

static inline struct rpi_mailbox_command *rpi_mailbox_command_of(struct rpi_mailbox *board,
                                                                 uint32_t number)
{
    return &board->line[number % RPI_LINE];
}

uint32_t rpi_mailbox_given(const struct rpi_mailbox *board);
uint32_t rpi_mailbox_begun(const struct rpi_mailbox *board);
bool rpi_mailbox_is_done(const struct rpi_mailbox *board, uint32_t number);
/* By the worker, while nothing in the line waits to begin: so far the line is to go, `begun` of it
 * done with. */
void rpi_mailbox_set(struct rpi_mailbox *board, uint32_t given, uint32_t begun);
/* By the process.  false: nothing waits. */
bool rpi_mailbox_begin(struct rpi_mailbox *board, uint32_t *number);
/* Withdraws what is behind `kept` and not begun; returns the last that was not withdrawn. */
uint32_t rpi_mailbox_withdraw(struct rpi_mailbox *board, uint32_t kept);

/* The worker's view, private to each process. */
struct rpi_mailbox_area {
    struct rpi_mailbox *board;
    uint8_t *in, *out; /* arguments; the report */
    size_t in_room, out_room;
    size_t mapped;
};

/* RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_mailbox_area_map(struct rpi_mailbox_area *area);
void rpi_mailbox_area_unmap(struct rpi_mailbox_area *area);
/* Where a report begins behind one of `size` bytes that begins at `at`. */
static inline size_t rpi_mailbox_area_next(size_t at, uint64_t size)
{
    return (at + (size_t)size + 63) & ~(size_t)63;
}
/* Copies out of the area; what is large is given back to the system on the way. */
void rpi_mailbox_area_take(void *to, uint8_t *from, size_t size);
/* `size` bytes at `from` are needed no more: large ones are given back. */
void rpi_mailbox_area_drop(uint8_t *from, size_t size);

#endif
