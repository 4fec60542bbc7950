#include "pool/respawn.h"

#include "base/clock.h"
#include "base/status.h"
#include "pool/tracing.h"
#include "base/thread.h"

#include <signal.h>
#include <stdio.h>

#define LAST_WAIT 5.0 /* seconds, at the pool's end, for an heir on the way */

rp_status rpi_respawn_init(struct rpi_respawn *heirs, const struct rpi_alloc *alloc,
                           const struct rpi_log *log, int workers, int limit)
{
    *heirs = (struct rpi_respawn){ .alloc = *alloc, .log = *log, .left = limit };
    heirs->since = rpi_zeroed(alloc, ((size_t)workers + 1) * sizeof *heirs->since);
    return heirs->since ? RP_OK : rpi_no_memory("a pool");
}

void rpi_respawn_free(struct rpi_respawn *heirs)
{
    if (!heirs)
        return;
    rpi_free(&heirs->alloc, heirs->since);
    heirs->ops->release(heirs);
}

/* ---- the errand, on its own thread */

static void *run(void *context)
{
    struct rpi_respawn *heirs = context;
    struct rpi_respawn_errand *errand = &heirs->errand;
    errand->status = heirs->ops->fetch(heirs, errand);
    if (errand->status != RP_OK)
        (void)snprintf(errand->why, sizeof errand->why, "%s", rp_error_message());
    atomic_store(&heirs->over, true);
    if (!atomic_load(&heirs->forsaken))
        heirs->pool->ops->wake(heirs->pool);
    return NULL;
}

/* ---- sending for one */

static const char *host_of(const rp_pool *pool, int worker)
{
    return pool->master.roster.seats[worker].host;
}

static bool is_abroad(const rp_pool *pool, int worker)
{
    return strcmp(host_of(pool, worker), pool->hosts) != 0;
}

/* The ranks of the pool on this worker's host that live. */
static int neighbours(const rp_pool *pool, int worker)
{
    int count = !is_abroad(pool, worker);
    for (int other = 1; other <= pool->master.roster.workers; other++)
        count += other != worker && pool->master.roster.seats[other].presence != RPI_LOST &&
                 strcmp(host_of(pool, other), host_of(pool, worker)) == 0;
    return count;
}

static void give_up(struct rpi_respawn *heirs)
{
    heirs->closed = true;
    heirs->waiting = 0;
}

/* The worker whose heir is next; 0: none, or not yet. */
static int next(rp_pool *pool)
{
    struct rpi_respawn *heirs = pool->heirs;
    int first = 0;
    for (int worker = 1; worker <= pool->master.roster.workers; worker++) {
        double since = heirs->since[worker];
        if (!(since > 0))
            continue;
        if (pool->ranks[worker].lost ||
            (is_abroad(pool, worker) && pool->now - since < pool->heirs->doubt))
            return 0;
        if (neighbours(pool, worker) == 0) {
            rpi_say(&heirs->log, RP_LOG_WARNING,
                    "worker %d was the last on its host (%s): were that gone as well, Open MPI "
                    "would end every worker when "
                    "one is spawned.  Lost workers are not replaced any more; the program's next "
                    "start has every worker "
                    "again",
                    worker, host_of(pool, worker));
            give_up(heirs);
            return 0;
        }
        if (!first || since < heirs->since[first])
            first = worker;
    }
    return first;
}

static void send_for(rp_pool *pool, int worker)
{
    struct rpi_respawn *heirs = pool->heirs;
    heirs->since[worker] = 0;
    heirs->waiting--;
    heirs->left--;
    heirs->registry = &pool->registry;
    heirs->pool = pool->transport;
    heirs->errand = (struct rpi_respawn_errand){ .worker = worker,
                                                 .abroad = is_abroad(pool, worker),
                                                 .beside = neighbours(pool, worker) };
    (void)snprintf(heirs->errand.host, sizeof heirs->errand.host, "%s", host_of(pool, worker));
    atomic_store(&heirs->over, false);
    heirs->busy = rpi_thread_start(&heirs->thread, run, heirs) == 0;
    if (!heirs->busy)
        rpi_say(&heirs->log, RP_LOG_WARNING,
                "worker %d is not replaced: no thread could be started", worker);
}

/* ---- taking one in */

static rp_status admit(rp_pool *pool, const struct rpi_respawn_errand *errand)
{
    if (errand->status != RP_OK)
        return rpi_error(errand->status, "%s", errand->why);
    rp_status status = RP_OK;
    if (strcmp(errand->came_to, errand->host) != 0)
        status = rpi_error(RP_ERR_MPI, "MPI has spawned the new one on %s", errand->came_to);
    if (status == RP_OK)
        status = pool->heirs->ops->adopt(pool->transport, errand->worker, errand->transport);
    if (status != RP_OK)
        errand->transport->ops->close(errand->transport, false);
    return status;
}

/* The errand, if the heir has come; else NULL. */
static const struct rpi_respawn_errand *take_in(rp_pool *pool)
{
    struct rpi_respawn *heirs = pool->heirs;
    const struct rpi_respawn_errand *errand = &heirs->errand;
    char text[64];
    (void)pthread_join(heirs->thread, NULL);
    heirs->busy = false;
    rp_status status = admit(pool, errand);
    bool again = errand->stuck && !heirs->stuck && !heirs->closed && heirs->left > 0;
    if (errand->stuck && heirs->stuck)
        give_up(heirs);
    heirs->stuck = errand->stuck;
    if (status != RP_OK) {
        rpi_say(&heirs->log, RP_LOG_WARNING, "worker %d (%s) is not replaced%s: %s", errand->worker,
                errand->host, again ? " yet" : "", rp_error_message());
        if (again)
            rpi_respawn_wish(pool, errand->worker);
        return NULL;
    }
    heirs->count++;
    (void)snprintf(text, sizeof text, "replaced by pid %lld", (long long)errand->pid);
    rpi_tracing_event(pool, errand->worker, text);
    rpi_say(&heirs->log, RP_LOG_WARNING, "worker %d (%s) is replaced, by pid %lld; %d more may be",
            errand->worker, errand->host, (long long)errand->pid, heirs->left);
    return errand;
}

/* ---- the pool's */

void rpi_respawn_wish(rp_pool *pool, int worker)
{
    struct rpi_respawn *heirs = pool->heirs;
    if (!heirs || heirs->closed)
        return;
    heirs->since[worker] = pool->now;
    heirs->waiting++;
}

const struct rpi_respawn_errand *rpi_respawn_come(rp_pool *pool)
{
    struct rpi_respawn *heirs = pool->heirs;
    return heirs && heirs->busy && atomic_load(&heirs->over) ? take_in(pool) : NULL;
}

void rpi_respawn_step(rp_pool *pool)
{
    struct rpi_respawn *heirs = pool->heirs;
    if (!heirs || heirs->busy || heirs->closed || heirs->waiting == 0 || heirs->left == 0)
        return;
    int worker = next(pool);
    if (worker)
        send_for(pool, worker);
}

bool rpi_respawn_hope(const rp_pool *pool)
{
    const struct rpi_respawn *heirs = pool->heirs;
    return heirs && (heirs->busy || (!heirs->closed && heirs->waiting > 0 && heirs->left > 0));
}

int rpi_respawn_count(const rp_pool *pool)
{
    return pool->heirs ? pool->heirs->count : 0;
}

const struct rpi_respawn_errand *rpi_respawn_stop(rp_pool *pool)
{
    struct rpi_respawn *heirs = pool->heirs;
    struct rpi_patience patience = { .crowded = true };
    double deadline = rpi_now() + LAST_WAIT;
    if (!heirs)
        return NULL;
    give_up(heirs);
    while (heirs->busy && !atomic_load(&heirs->over) && rpi_now() < deadline)
        rpi_patience_wait(&patience);
    const struct rpi_respawn_errand *come = rpi_respawn_come(pool);
    if (heirs->busy) {
        atomic_store(&heirs->forsaken, true);
        (void)pthread_detach(heirs->thread);
        heirs->busy = false;
        heirs->ops->forsake(); /* the thread is inside MPI; what it uses stays, as a pool with
                                  losses is never freed */
    }
    return come;
}
