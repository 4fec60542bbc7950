/* The pool of the public interface: drives engine and transport.  What its files share. */
#ifndef RPI_POOL_H
#define RPI_POOL_H

#include "pool/idle.h"
#include "pool/state.h"
#include "proto/isolation.h"

/* Why a call is refused: a task's context, or no pool. */
RP_MUST_USE rp_status rpi_pool_refused(const char *function);
/* Why there is no pool in this process; NULL: nothing is known. */
#define RPI_POOL_SERVES "this rank is a worker: only rank 0 has a pool"
#define RPI_POOL_SERVED                                                                            \
    "this rank was a worker: only rank 0 has a pool, so put what uses it inside `if (pool)`"
void rpi_pool_is_elsewhere(const char *why);
const char *rpi_pool_absence(void);

/* Where the lock is another's, or shut: of a child of fork(), or in a process that has ended the
 * pool at its exit. */
RP_MUST_USE rp_status rpi_pool_enter_late(rp_pool *pool, const char *function);

/* Begins a call on the pool: checks that it may be made here, and takes the lock, which
 * rpi_pool_leave gives back.  RP_ERR_CONTEXT, RP_ERR_INVALID: the lock is not held. */
RP_MUST_USE static inline rp_status rpi_pool_enter(rp_pool *pool, const char *function)
{
    if (!pool || rpi_call_current())
        return rpi_pool_refused(function);
    if (!rpi_biased_lock_is_own(&pool->lock) || !rpi_biased_lock_enter(&pool->lock))
        return rpi_pool_enter_late(pool, function);
    return RP_OK;
}

/* Takes the lock back after a function of the application's, which may have forked: a child does
 * not come back from `what`. */
void rpi_pool_come_back(rp_pool *pool, const char *what);

/* Wakes it, if there is something for it to do. */
void rpi_pool_call_caretaker(rp_pool *pool);

/* Whether it is a pool of one process. */
static inline bool rpi_pool_is_alone(const rp_pool *pool)
{
    return pool->local.server && !pool->local.here;
}
/* Whether a thread is inside a waiting call and drives the pool: not one that runs a task or an
 * on_done function. */
static inline bool rpi_pool_attended(const rp_pool *pool)
{
    return pool->waiting > pool->local.executing + pool->delivering;
}
/* Notes what failed: false: a shortage of memory, which passes; all else breaks the pool. */
bool rpi_pool_note(rp_pool *pool, rp_status status);
/* Wakes the threads that wait, if there is anything new for them.  The lock is held. */
static inline void rpi_pool_rouse(rp_pool *pool)
{
    if (pool->idle.sleepers)
        rpi_idle_rouse_now(pool);
}

static inline void rpi_pool_leave(rp_pool *pool)
{
    if (pool->progress_thread.blocked)
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
    struct rpi_respawn *respawn;     /* likewise */
    char *hosts;                     /* taken over; NULL for one process */
    const int64_t *pids;             /* by rank */
    int workers;
    bool recovery; /* the launcher lets the job go on without ranks that have ended */
    bool threads;  /* the transport may be used from several threads, one at a time */
    uint32_t batch_limit;
    double began; /* rp_open, seconds */
};
/* On failure nothing is taken over. */
RP_MUST_USE rp_status rpi_pool_make(const rp_config *config, struct rpi_pool_parts *parts,
                                    rp_pool **pool);

/* The config that holds for `config`, checked: RP_ERR_INVALID names what is wrong. */
RP_MUST_USE rp_status rpi_pool_config_check(const rp_config *config, rp_config *checked);
/* As strtod, with a point in every locale: of numbers that rankpool launch writes. */
double rpi_pool_config_seconds(const char *text, char **end);
/* The number of a function of the application's.  RP_ERR_INVALID (NULL), RP_ERR_UNREGISTERED. */
RP_MUST_USE rp_status rpi_pool_function(const rp_pool *pool, rp_fn *fn, const char *caller,
                                        uint16_t *number);

/* Where config.host_timeout has its default from, if it is set: rankpool launch sets it. */
#define RPI_POOL_HOST_TIMEOUT_SETTING "RANKPOOL_HOST_TIMEOUT"
struct rpi_isolation rpi_pool_config_isolation(const rp_config *checked);
/* RANKPOOL_BATCH_BYTES, or the default. */
RP_MUST_USE rp_status rpi_pool_batch_limit(uint32_t *limit);

/* Ends every pool still open: for a process's end.  What they have in memory stays: whatever runs
 * later may still call on them. */
void rpi_pools_terminate(void);
/* Around fork(): the list of open pools is still meanwhile; in the child it is empty then, and a
 * call on one of them is refused. */
void rpi_pools_hold(void);
void rpi_pools_release(void);
void rpi_pools_leave_to_parent(void);

#endif
