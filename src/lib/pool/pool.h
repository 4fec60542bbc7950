/* The pool behind the public interface: drives engine and transport.  What its files share. */
#ifndef RPI_POOL_H
#define RPI_POOL_H

#include "pool/progress_thread.h"
#include "base/hosts.h"
#include "pool/detector.h"
#include "base/biased_lock.h"
#include "master/master.h"
#include "pool/idle.h"
#include "exec/serve.h"

#include <stdatomic.h>

struct rpi_journal;
struct rpi_trace;
struct rpi_respawn;

/* What the pool knows of a rank. */
struct rpi_members_peer {
    bool away;          /* it has ended its service, or its life */
    bool lost, suspect; /* and the engine had no memory to take note yet */
    uint64_t sending;   /* messages to it whose bytes MPI still needs */
};

struct rp_pool {
    struct rpi_biased_lock lock; /* guards all below */
    struct rpi_link streams;
    bool delivering;      /* a thread is calling on_done functions */
    struct rpi_link link; /* among the process's open pools */
    struct rpi_alloc alloc;
    struct rpi_log log;
    struct rpi_registry registry;
    struct rpi_master master;
    struct rpi_transport *transport;
    char *hosts; /* one string a rank, HOST_BYTES apart */
    /* local_worker.c: the worker in this process, at the other end of a local transport */
    struct rpi_serve *server;
    struct rpi_transport *worker_end;
    struct rpi_transport
        *here;      /* rank 0's end, where that worker is number 0; NULL: it is the only one, or there is none */
    bool executing; /* a thread is inside one of its tasks, */
    bool hurried;   /* and has handed back what had not begun: nobody else drives the pool */
    int waiting;    /* threads in rpi_wait */
    struct rpi_progress_thread caretaker;
    struct rpi_watchdog *warden; /* or NULL */
    atomic_uint polls;           /* of the transport, begun and ended: odd while one is under way; for the warden */
    /* journaling.c */
    struct rpi_journal *journal; /* or NULL */
    bool journal_sync;
    struct rpi_link storing; /* keyed tasks whose outcome is to be committed before they settle */
    uint64_t found;          /* outcomes that the journal had */
    bool other;              /* one of another argument was met */
    struct rpi_trace *trace; /* or NULL */
    struct rpi_idle rest;    /* of threads that wait */
    uint64_t turns;          /* ends of anything else that a call may wait for: callbacks, tasks that ran here, ranks */
    uint64_t limit_tasks, limit_bytes;
    unsigned calls;     /* that may have driven it */
    uint64_t stepped;   /* ticks of the last step */
    uint64_t pause;     /* ticks that calls which need no step leave between two, by what the last cost */
    uint64_t submitted; /* tasks, at the last of these steps */
    unsigned held;      /* steps so far that left queued tasks for a fuller batch */
    bool burst;         /* the last one did */
    bool lonely;        /* nobody drives it but calls, for want of threads in MPI, and that was not said yet */
    bool left_work;     /* lonely: the last step left tasks so */
    bool late;          /* it found a worker idle while tasks were queued */
    uint64_t sending;   /* messages whose bytes MPI still needs */
    double now;         /* seconds, at the last step */
    struct rpi_watch watch;
    double opened, open_seconds;
    /* members.c */
    struct rpi_members_peer *ranks; /* by number */
    struct rpi_detector detector;
    int due;                        /* losses and suspicions that the engine had no memory for */
    int goodbyes;                   /* so many */
    int lost;                       /* ranks whose life ended first */
    int last;                       /* of them, the last one; 0: none */
    struct rpi_respawn *heirs;      /* who takes the places of lost workers; or NULL */
    bool recovery;                  /* the launcher lets the job go on without them */
    uint8_t stop[RPI_BATCH_HEADER]; /* the last message to every rank */
    bool collective;                /* the peers are processes that close together */
    rp_status broken;               /* RP_OK while the pool can go on */
    char why[512];
    bool ending;        /* a thread is ending it, or exit() is */
    bool left;          /* this is a child of fork(): the pool is its parent's */
    rp_status shortage; /* RP_ERR_NOMEM: the last step could not take all that came */
};

/* Why a call is refused: a task's context, or no pool. */
RP_MUST_USE rp_status rpi_pool_refused(const char *function);
/* Why there is no pool in this process; NULL: nothing is known. */
#define RPI_POOL_SERVES "this rank is a worker: only rank 0 has a pool"
#define RPI_POOL_SERVED "this rank was a worker: only rank 0 has a pool, so put what uses it inside `if (pool)`"
void rpi_pool_is_elsewhere(const char *why);
const char *rpi_pool_absence(void);

/* Where the lock is another's, or shut: of a child of fork(), or in a process that has ended the pool at its exit. */
RP_MUST_USE rp_status rpi_pool_enter_late(rp_pool *pool, const char *function);

/* Puts a checked request into a pool.  Locks; every path out unlocks. */
RP_MUST_USE static inline rp_status rpi_pool_enter(rp_pool *pool, const char *function)
{
    if (!pool || rpi_call_current())
        return rpi_pool_refused(function);
    if (!rpi_biased_lock_is_own(&pool->lock) || !rpi_biased_lock_enter(&pool->lock))
        return rpi_pool_enter_late(pool, function);
    return RP_OK;
}

/* Takes the lock back after a function of the application's, which may have forked: a child does not come back from `what`. */
void rpi_pool_come_back(rp_pool *pool, const char *what);

/* Wakes it, if there is something for it to do. */
void rpi_pool_call_caretaker(rp_pool *pool);

/* Whether it is a pool of one process. */
static inline bool rpi_pool_is_alone(const rp_pool *pool)
{
    return pool->server && !pool->here;
}
/* Whether a thread is inside a waiting call and drives the pool: not one that runs a task or an on_done function. */
static inline bool rpi_pool_attended(const rp_pool *pool)
{
    return pool->waiting > pool->executing + pool->delivering;
}
/* Notes what failed: false: a shortage of memory, which passes; all else breaks the pool. */
bool rpi_pool_note(rp_pool *pool, rp_status status);
/* Wakes the threads that wait, if there is anything new for them.  The lock is held. */
static inline void rpi_pool_rouse(rp_pool *pool)
{
    if (pool->rest.sleepers)
        rpi_idle_rouse_now(pool);
}

static inline void rpi_pool_leave(rp_pool *pool)
{
    if (pool->caretaker.blocked)
        rpi_pool_call_caretaker(pool);
    rpi_pool_rouse(pool);
    rpi_biased_lock_give(&pool->lock);
}
/* RP_ERR_BROKEN, with the reason, for a pool that cannot go on. */
RP_MUST_USE rp_status rpi_pool_sound(const rp_pool *pool);
/* Whether it takes tasks: RP_ERR_BROKEN, or RP_ERR_CONTEXT inside rp_terminate. */
RP_MUST_USE rp_status rpi_pool_open(const rp_pool *pool);
void rpi_pool_break(rp_pool *pool, rp_status status);

/* What rp_open has found out when a pool can be made. */
struct rpi_pool_parts {
    struct rpi_transport *transport; /* taken over; NULL: a pool of one process */
    struct rpi_registry *registry;   /* taken over */
    struct rpi_journal *journal;     /* taken over; or NULL */
    struct rpi_trace *trace;         /* likewise */
    struct rpi_respawn *heirs;       /* likewise */
    char *hosts;                     /* taken over; NULL for one process */
    const int64_t *pids;             /* by rank */
    int workers;
    bool recovery; /* the launcher lets the job go on without ranks that have ended */
    bool threads;  /* the transport may be used from several threads, one at a time */
    uint32_t batch_limit;
    double began; /* rp_open, seconds */
};
/* On failure nothing is taken over. */
RP_MUST_USE rp_status rpi_pool_make(const rp_config *config, struct rpi_pool_parts *parts, rp_pool **pool);

/* The config that holds for `config`, checked: RP_ERR_INVALID names what is wrong. */
RP_MUST_USE rp_status rpi_pool_config_check(const rp_config *config, rp_config *checked);
/* As strtod, with a point in every locale: of numbers that rankpool launch writes. */
double rpi_config_seconds(const char *text, char **end);
/* The number of a function of the application's.  RP_ERR_INVALID (NULL), RP_ERR_UNREGISTERED. */
RP_MUST_USE rp_status rpi_pool_function(const rp_pool *pool, rp_fn *fn, const char *caller, uint16_t *number);

/* Where config.host_timeout has its default from, if it is set: rankpool launch sets it. */
#define RPI_HOST_TIMEOUT_SETTING "RANKPOOL_HOST_TIMEOUT"
struct rpi_isolation rpi_config_isolation(const rp_config *checked);
/* RANKPOOL_BATCH_BYTES, or the default. */
RP_MUST_USE rp_status rpi_batch_limit(uint32_t *limit);

/* Ends every pool still open: for a process's end.  What they have in memory stays: whatever runs later may still call on them. */
void rpi_lifecycle_terminate(void);
/* Around fork(): the list of open pools is still meanwhile; in the child it is empty then, and a call on one of them is refused. */
void rpi_pools_hold(void);
void rpi_pools_release(void);
void rpi_pools_leave_to_parent(void);

#endif
