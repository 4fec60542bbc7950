#include "pool/pool.h"

#include "base/status.h"
#include "pool/tracing.h"

#include <stdio.h>
#include <unistd.h>

/* Why this process has no pool: a fact of its last rp_open. */
static _Atomic(const char *) absence;

void rpi_pool_is_elsewhere(const char *why)
{
    atomic_store(&absence, why);
}

const char *rpi_pool_absence(void)
{
    return atomic_load(&absence);
}

rp_status rpi_pool_refused(const char *function)
{
    const char *why = rpi_pool_absence();
    if (rpi_call_current())
        return rpi_call_forbidden(function);
    return rpi_error(RP_ERR_INVALID, "%s: the pool is NULL: %s", function,
                     why ? why : "rp_open has not made one, or rp_close has ended it");
}

static rp_status is_shut(rp_pool *pool, const char *function)
{
    if (pool->closing.left)
        return rpi_error(RP_ERR_CONTEXT,
                         "%s: this process (pid %ld) is a child of fork(), and the pool is its "
                         "parent's: only that one may "
                         "use it",
                         function, (long)getpid());
    return rpi_error(RP_ERR_INVALID,
                     "%s: the pool is closed: the process is ending, and exit() has ended the "
                     "pools that were open",
                     function);
}

rp_status rpi_pool_function(const rp_pool *pool, rp_fn *fn, const char *caller, uint16_t *number)
{
    if (!fn)
        return rpi_error(RP_ERR_INVALID, "%s: the function is NULL", caller);
    *number = rpi_registry_find(&pool->registry, fn);
    if (*number == RPI_NO_FUNCTION)
        return rpi_error(RP_ERR_UNREGISTERED,
                         "%s: the function at %p is not registered: put RP_TASK(its name); at file "
                         "scope, or call "
                         "rp_register before rp_open on every rank",
                         caller, (void *)(uintptr_t)fn);
    return RP_OK;
}

rp_status rpi_pool_enter_late(rp_pool *pool, const char *function)
{
    if (rpi_biased_lock_is_shut(&pool->lock))
        return is_shut(pool, function);
    rpi_biased_lock_contend(&pool->lock);
    if (!rpi_biased_lock_is_shut(&pool->lock))
        return RP_OK;
    rpi_biased_lock_give(&pool->lock);
    return is_shut(pool, function);
}

void rpi_pool_come_back(rp_pool *pool, const char *what)
{
    if (pool->closing.left)
        rpi_call_came_back(what, "of the pool's");
    rpi_biased_lock_take(&pool->lock);
}

void rpi_pool_call_caretaker(rp_pool *pool)
{
    if (pool->master.unsettled == 0 || rpi_pool_attended(pool))
        return;
    pool->progress_thread.blocked = false;
    rpi_wakeup_wake(&pool->progress_thread.wakeup);
}

void rpi_pool_break(rp_pool *pool, rp_status status)
{
    if (pool->broken != RP_OK)
        return;
    pool->broken = status;
    (void)snprintf(pool->why, sizeof pool->why, "%s", rp_error_message());
    rpi_say(&pool->log, RP_LOG_ERROR, "the pool cannot go on: %s", pool->why);
    rpi_tracing_event(pool, 0, pool->why);
}

rp_status rpi_pool_sound(const rp_pool *pool)
{
    return pool->broken == RP_OK ? RP_OK
                                 : rpi_error(RP_ERR_BROKEN, "the pool cannot go on: %s", pool->why);
}

rp_status rpi_pool_open(const rp_pool *pool)
{
    rp_status status = rpi_pool_sound(pool);
    if (status == RP_OK && pool->master.dropped)
        status = rpi_error(RP_ERR_CONTEXT, "the pool is being terminated: it takes no more tasks");
    return status;
}

bool rpi_pool_note(rp_pool *pool, rp_status status)
{
    if (status == RP_ERR_NOMEM) {
        pool->shortage = status;
        return false;
    }
    if (status != RP_OK)
        rpi_pool_break(pool, status);
    return true;
}
