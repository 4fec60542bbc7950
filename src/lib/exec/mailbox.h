/* The memory that a worker and its tasks' process share: orders go one way, reports the other.
 *
 * Orders are numbered, and stand in a line.  The process begins them one by one; either side may
 * withdraw those that are not begun, by the same word, so that it is always known which have.  So a
 * process may be given several short tasks at once, which share the cost of sleeping and waking:
 * that is more than their own.
 *
 * It is mapped before the process is forked, so that it lies at the same address in both, and as
 * large as the largest task could need: untouched pages cost nothing.  What the process can write
 * to, the worker reads once, copies, and then checks. */
#ifndef RPI_MAILBOX_H
#define RPI_MAILBOX_H

#include "base/futex.h"
#include "proto/task.h"

/* How far a task is, for those that watch it from another thread or process, and how far a chunk of
 * a map may go.
 *
 * The items of a running chunk that have not begun can be taken from it at any time.  Its runner
 * says which item is next, then reads the limit; its cutter sets the limit to 0, then reads the
 * item.  If both keep this order (the cutter enforces it on the runner where that is cheaper), one
 * of the two sees what the other has written: so an item is either begun or taken, never both. */
struct rpi_mailbox_progress {
    _Atomic uint64_t deadline; /* nanoseconds on the monotonic clock; 0: none */
    /* of a chunk: */
    _Atomic uint32_t item;     /* the one that runs, or the limit; those before it are done */
    _Atomic uint32_t limit;    /* items from this one on must not begin; 0: it is being cut, wait */
    _Atomic uint32_t failures; /* of them */
    _Atomic uint32_t failures_size; /* bytes, after the results */
};

/* Call before a chunk of `items` items, at least one, is given to its runner. */
static inline void rpi_mailbox_progress_begin(struct rpi_mailbox_progress *progress, uint32_t items)
{
    atomic_store_explicit(&progress->item, 0, memory_order_relaxed);
    atomic_store_explicit(&progress->limit, items, memory_order_release);
}

/* Leaves the chunk the items that it has begun, the first at least; returns how many these are.
 * Only one at a time may cut.  `fence`: makes the thread that runs it order its accesses; NULL: it
 * does so by itself, or is this thread. */
static inline uint32_t rpi_mailbox_progress_cut(struct rpi_mailbox_progress *progress,
                                                void (*fence)(void))
{
    uint32_t limit = atomic_exchange(&progress->limit, 0);
    if (fence)
        fence();
    uint32_t item = atomic_load(&progress->item);
    if (item < limit)
        limit = item + 1;
    atomic_store(&progress->limit, limit);
    return limit;
}

enum rpi_mailbox_order {
    RPI_MAILBOX_ORDER_START, /* a new process: the initializer */
    RPI_MAILBOX_ORDER_RUN,
    RPI_MAILBOX_ORDER_SHARED, /* which shared data there are now */
    RPI_MAILBOX_ORDER_END,    /* the finalizer, then leave */
};

#define RPI_LINE 64 /* orders, at the most */

struct rpi_mailbox_command {
    enum rpi_mailbox_order what;
    bool first;           /* of those given together: its report begins `out`, the others follow */
    struct rpi_task task; /* pointers into `in` */
};

struct rpi_mailbox {
    /* the worker's */
    _Alignas(64) struct rpi_futex orders;
    uint64_t shared; /* entries of a list in `in` */
    atomic_bool cancel;
    struct rpi_mailbox_command line[RPI_LINE]; /* by number */
    /* both sides' */
    /* of the line: the number of the last order given (high half) and of the last one begun */
    _Alignas(64) _Atomic uint64_t ends;
    /* the process's */
    _Atomic uint32_t done; /* number of the last order whose report is there */
    struct rpi_mailbox_progress progress;
};

/* Whether `a` comes after `b`; numbers wrap around. */
static inline bool rpi_mailbox_is_after(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) > 0;
}

static inline struct rpi_mailbox_command *rpi_mailbox_command_of(struct rpi_mailbox *mailbox,
                                                                 uint32_t number)
{
    return &mailbox->line[number % RPI_LINE];
}

uint32_t rpi_mailbox_given(const struct rpi_mailbox *mailbox);
uint32_t rpi_mailbox_begun(const struct rpi_mailbox *mailbox);
bool rpi_mailbox_is_done(const struct rpi_mailbox *mailbox, uint32_t number);
/* By the worker, while no order waits to begin: sets the numbers of the last one given and
 * begun. */
void rpi_mailbox_set(struct rpi_mailbox *mailbox, uint32_t given, uint32_t begun);
/* By the process.  false: nothing waits. */
bool rpi_mailbox_begin(struct rpi_mailbox *mailbox, uint32_t *number);
/* Withdraws orders after `kept` that are not begun; returns the last that was not withdrawn. */
uint32_t rpi_mailbox_withdraw(struct rpi_mailbox *mailbox, uint32_t kept);

/* The worker's view, private to each process. */
struct rpi_mailbox_area {
    struct rpi_mailbox *mailbox;
    uint8_t *in, *out; /* arguments; the report */
    size_t in_room, out_room;
    size_t mapped;
};

/* RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_mailbox_area_map(struct rpi_mailbox_area *area);
void rpi_mailbox_area_unmap(struct rpi_mailbox_area *area);
/* Where a report begins that follows one of `size` bytes at `at`. */
static inline size_t rpi_mailbox_area_next(size_t at, uint64_t size)
{
    return (at + (size_t)size + 63) & ~(size_t)63;
}
/* Copies out of the area; what is large is given back to the system on the way. */
void rpi_mailbox_area_take(void *to, uint8_t *from, size_t size);
/* Gives `size` bytes at `from`, needed no more, back to the system if they are many. */
void rpi_mailbox_area_drop(uint8_t *from, size_t size);

#endif
