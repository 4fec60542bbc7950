#include "pool/respawn.h"

#include "base/backoff.h"
#include "base/clock.h"
#include "base/status.h"
#include "base/thread.h"
#include "pool/tracing.h"

#include <stdio.h>

#define LAST_WAIT 5.0 /* seconds, at the pool's end, for a replacement on the way */

void rpi_respawn_free(struct rpi_respawn *respawn)
{
    if (respawn)
        respawn->ops->release(respawn);
}

/* ---- the errand, on its own thread */

static void *run(void *context)
{
    struct rpi_respawn *respawn = context;
    struct rpi_respawn_errand *errand = &respawn->errand;
    errand->status = respawn->ops->fetch(respawn, errand);
    if (errand->status != RP_OK)
        (void)snprintf(errand->why, sizeof errand->why, "%s", rp_error_message());
    atomic_store(&respawn->over, true);
    if (!atomic_load(&respawn->forsaken))
        respawn->transport->ops->wake(respawn->transport);
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
        count += other != worker && !pool->master.roster.seats[other].lost &&
                 strcmp(host_of(pool, other), host_of(pool, worker)) == 0;
    return count;
}

static void give_up(struct rpi_respawn *respawn)
{
    respawn->closed = true;
    respawn->waiting = 0;
}

/* The worker whose replacement is next; 0: none, or not yet. */
static int next(rp_pool *pool)
{
    struct rpi_respawn *respawn = pool->members.respawn;
    int first = 0;
    for (int worker = 1; worker <= pool->master.roster.workers; worker++) {
        double since = pool->members.peers[worker].vacant;
        if (!(since > 0))
            continue;
        if (pool->members.peers[worker].lost ||
            (is_abroad(pool, worker) && pool->now - since < pool->members.respawn->doubt))
            return 0;
        if (neighbours(pool, worker) == 0) {
            rpi_say(&respawn->log, RP_LOG_WARNING,
                    "worker %d was the last on its host (%s): were that gone as well, Open MPI "
                    "would end every worker when "
                    "one is spawned.  Lost workers are not replaced any more; the program's next "
                    "start has every worker "
                    "again",
                    worker, host_of(pool, worker));
            give_up(respawn);
            return 0;
        }
        if (!first || since < pool->members.peers[first].vacant)
            first = worker;
    }
    return first;
}

static void send_for(rp_pool *pool, int worker)
{
    struct rpi_respawn *respawn = pool->members.respawn;
    pool->members.peers[worker].vacant = 0;
    respawn->waiting--;
    respawn->left--;
    respawn->registry = &pool->registry;
    respawn->transport = pool->transport;
    respawn->errand = (struct rpi_respawn_errand){ .worker = worker,
                                                   .abroad = is_abroad(pool, worker),
                                                   .beside = neighbours(pool, worker) };
    (void)snprintf(respawn->errand.host, sizeof respawn->errand.host, "%s", host_of(pool, worker));
    atomic_store(&respawn->over, false);
    respawn->busy = rpi_thread_start(&respawn->thread, run, respawn) == 0;
    if (!respawn->busy)
        rpi_say(&respawn->log, RP_LOG_WARNING,
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
        status = pool->members.respawn->ops->adopt(pool->transport, errand->worker,
                                                   errand->transport);
    if (status != RP_OK)
        errand->transport->ops->close(errand->transport, false);
    return status;
}

/* The errand, if the replacement has come; else NULL. */
static const struct rpi_respawn_errand *take_in(rp_pool *pool)
{
    struct rpi_respawn *respawn = pool->members.respawn;
    const struct rpi_respawn_errand *errand = &respawn->errand;
    char text[64];
    (void)pthread_join(respawn->thread, NULL);
    respawn->busy = false;
    rp_status status = admit(pool, errand);
    bool again = errand->stuck && !respawn->stuck && !respawn->closed && respawn->left > 0;
    if (errand->stuck && respawn->stuck)
        give_up(respawn);
    respawn->stuck = errand->stuck;
    if (status != RP_OK) {
        rpi_say(&respawn->log, RP_LOG_WARNING, "worker %d (%s) is not replaced%s: %s",
                errand->worker, errand->host, again ? " yet" : "", rp_error_message());
        if (again)
            rpi_respawn_wish(pool, errand->worker);
        return NULL;
    }
    respawn->count++;
    (void)snprintf(text, sizeof text, "replaced by pid %lld", (long long)errand->pid);
    rpi_tracing_event(pool, errand->worker, text);
    rpi_say(&respawn->log, RP_LOG_WARNING,
            "worker %d (%s) is replaced, by pid %lld; %d more may be", errand->worker, errand->host,
            (long long)errand->pid, respawn->left);
    return errand;
}

/* ---- the pool's */

void rpi_respawn_wish(rp_pool *pool, int worker)
{
    struct rpi_respawn *respawn = pool->members.respawn;
    if (!respawn || respawn->closed)
        return;
    pool->members.peers[worker].vacant = pool->now;
    respawn->waiting++;
}

const struct rpi_respawn_errand *rpi_respawn_come(rp_pool *pool)
{
    struct rpi_respawn *respawn = pool->members.respawn;
    return respawn && respawn->busy && atomic_load(&respawn->over) ? take_in(pool) : NULL;
}

void rpi_respawn_step(rp_pool *pool)
{
    struct rpi_respawn *respawn = pool->members.respawn;
    if (!respawn || respawn->busy || respawn->closed || respawn->waiting == 0 || respawn->left == 0)
        return;
    int worker = next(pool);
    if (worker)
        send_for(pool, worker);
}

bool rpi_respawn_hope(const rp_pool *pool)
{
    const struct rpi_respawn *respawn = pool->members.respawn;
    return respawn &&
           (respawn->busy || (!respawn->closed && respawn->waiting > 0 && respawn->left > 0));
}

int rpi_respawn_count(const rp_pool *pool)
{
    return pool->members.respawn ? pool->members.respawn->count : 0;
}

const struct rpi_respawn_errand *rpi_respawn_stop(rp_pool *pool)
{
    struct rpi_respawn *respawn = pool->members.respawn;
    struct rpi_backoff backoff = { .crowded = true };
    double deadline = rpi_now() + LAST_WAIT;
    if (!respawn)
        return NULL;
    give_up(respawn);
    while (respawn->busy && !atomic_load(&respawn->over) && rpi_now() < deadline)
        rpi_backoff_wait(&backoff);
    const struct rpi_respawn_errand *come = rpi_respawn_come(pool);
    if (respawn->busy) {
        atomic_store(&respawn->forsaken, true);
        (void)pthread_detach(respawn->thread);
        respawn->busy = false;
        respawn->ops->forsake(); /* the thread is inside MPI; what it uses stays, as a pool with
                                  losses is never freed */
    }
    return come;
}
