#include "pool/members.h"

#include "base/advice.h"
#include "base/status.h"
#include "pool/pool.h"
#include "pool/respawn.h"
#include "pool/tracing.h"

#include <stdio.h>

rp_status rpi_members_init(rp_pool *pool, int ranks, double lost_after)
{
    pool->members.peers = rpi_zeroed(&pool->alloc, (size_t)ranks * sizeof *pool->members.peers);
    if (!pool->members.peers)
        return rpi_no_memory("a pool");
    rp_status status = rpi_detector_init(&pool->members.detector, &pool->alloc, ranks - 1,
                                         lost_after, pool->now);
    if (status != RP_OK)
        rpi_free(&pool->alloc, pool->members.peers);
    return status;
}

void rpi_members_fini(rp_pool *pool)
{
    rpi_detector_fini(&pool->members.detector);
    rpi_free(&pool->alloc, pool->members.peers);
}

static bool leave(rp_pool *pool, int peer)
{
    if (pool->members.peers[peer].away)
        return false;
    pool->members.peers[peer].away = true;
    pool->members.goodbyes++;
    pool->turns++;
    return true;
}

void rpi_members_left(rp_pool *pool, int peer)
{
    (void)leave(pool, peer);
}

/* ---- telling the engine; without memory it is told again */

static void tell_lost(rp_pool *pool, int peer)
{
    rp_status status = rpi_master_lost(&pool->master, peer, pool->now);
    pool->members.peers[peer].lost = status == RP_ERR_NOMEM;
    pool->members.due += pool->members.peers[peer].lost;
    (void)rpi_pool_note(pool, status);
}

static void tell_again(rp_pool *pool)
{
    pool->members.due = 0;
    for (int peer = 1; peer <= pool->master.roster.workers; peer++) {
        if (pool->members.peers[peer].lost)
            tell_lost(pool, peer);
    }
}

/* ---- what happens */

static bool is_worker(const rp_pool *pool, int peer)
{
    return peer >= 1 && peer <= pool->master.roster.workers;
}

/* A worker as messages name it. */
struct name {
    char text[RPI_HOST_BYTES + 64];
};

static struct name name_of(const rp_pool *pool, int peer)
{
    struct name name;
    if (is_worker(pool, peer))
        (void)snprintf(name.text, sizeof name.text, "worker %d (%s, pid %lld)", peer,
                       pool->master.roster.seats[peer].host,
                       (long long)pool->master.roster.seats[peer].pid);
    else
        (void)snprintf(name.text, sizeof name.text,
                       "rank %d (%s), which is no worker of this pool,", peer,
                       pool->hosts + (size_t)peer * RPI_HOST_BYTES);
    return name;
}

/* Nothing that is under way with it will be reported.  False: its service was over. */
static bool lose(rp_pool *pool, int peer)
{
    bool served = leave(pool, peer);
    pool->members.lost++;
    pool->sending -= pool->members.peers[peer].sending;
    pool->members.peers[peer].sending = 0;
    rpi_detector_forget(&pool->members.detector, peer);
    if (!served || !is_worker(pool, peer))
        return served;
    pool->members.last = peer;
    tell_lost(pool, peer);
    rpi_respawn_wish(pool, peer);
    return true;
}

void rpi_members_replaced(rp_pool *pool, const struct rpi_respawn_errand *errand)
{
    if (!errand)
        return;
    int peer = errand->worker;

    pool->members.peers[peer].away = false;
    pool->members.goodbyes--;
    pool->turns++;
    rpi_detector_replaced(&pool->members.detector, peer, pool->now);
    rpi_master_replaced(&pool->master, peer, errand->pid, pool->now);
}

static void break_if_deserted(rp_pool *pool)
{
    if (pool->members.last && !pool->master.versions.closed &&
        rpi_roster_deserted(&pool->master.roster) && !rpi_respawn_hope(pool))
        rpi_pool_break(
            pool,
            rpi_error(
                RP_ERR_BROKEN,
                "no worker is left; %s was the last.  What is not done yet will not be: run the "
                "program again, with config.journal to keep what is done",
                name_of(pool, pool->members.last).text));
}

void rpi_members_died(void *context, int peer, const struct rpi_death *death)
{
    rp_pool *pool = context;
    if (is_worker(pool, peer))
        rpi_master_died(&pool->master, peer, death);
}

/* Whether the engine has found the task that the worker named. */
static bool took_words(const rp_pool *pool, int peer)
{
    return pool->master.roster.deaths[peer].way == RPI_WAY_NONE;
}

static void tell_death(char *text, size_t size, const struct rpi_death *death)
{
    char how[RPI_DEATH_TEXT];
    rpi_death_tell(death, how);
    (void)snprintf(text, size, "its process %s in a task, which fails; of the others it had", how);
}

void rpi_members_lost(void *context, int peer)
{
    rp_pool *pool = context;
    struct rpi_counts before = pool->master.counts;
    const struct rpi_counts *now = &pool->master.counts;
    char why[RPI_DEATH_TEXT + 96] =
        "its process has ended, or its host cannot be reached; of the tasks it had";
    const struct rpi_death death = is_worker(pool, peer)
                                       ? pool->master.roster.deaths[peer]
                                       : (struct rpi_death){ .way = RPI_WAY_NONE };
    if (!lose(pool, peer))
        return;
    if (death.way != RPI_WAY_NONE && took_words(pool, peer)) {
        tell_death(why, sizeof why, &death);
        before.failed++;
    }
    rpi_say(&pool->log, RP_LOG_WARNING,
            "%s is lost: %s %llu start again and %llu end as lost; workers left: %d%s%s",
            name_of(pool, peer).text, why, (unsigned long long)(now->retried - before.retried),
            (unsigned long long)(now->failed - before.failed),
            pool->master.roster.workers - pool->master.roster.lost,
            pool->members.recovery ? "" : "; the launcher may end the others as well",
            pool->members.recovery ? "" : rpi_advice(RPI_ADVICE_RECOVER));
    rpi_tracing_event(pool, peer, "lost");
}

void rpi_members_give_up(rp_pool *pool, int peer)
{
    struct rpi_counts before = pool->master.counts;
    const struct rpi_counts *now = &pool->master.counts;
    char why[RPI_MESSAGE_MAX];
    (void)snprintf(why, sizeof why, "%s", rp_error_message());
    pool->transport->ops->forget(pool->transport, peer);
    (void)lose(pool, peer);
    rpi_say(&pool->log, RP_LOG_ERROR,
            "%s is given up, and ends when it notices: %s; of the tasks it had %llu start again "
            "and %llu end as lost; "
            "workers left: %d",
            name_of(pool, peer).text, why, (unsigned long long)(now->retried - before.retried),
            (unsigned long long)(now->failed - before.failed),
            pool->master.roster.workers - pool->master.roster.lost);
    rpi_tracing_event(pool, peer, "given up");
}

void rpi_members_astray(void *context, int peer)
{
    rpi_members_give_up(context, peer);
}

/* If it runs again, it finds its line to rank 0 closed, and ends. */
static void give_up_silent(rp_pool *pool, int peer)
{
    (void)rpi_error(RP_ERR_LOST,
                    "it was not heard of for %g s (config.lost_after), stopped, hung or cut off",
                    pool->members.detector.limit);
    rpi_members_give_up(pool, peer);
}

void rpi_members_heard(void *context, int peer)
{
    rp_pool *pool = context;
    rpi_detector_heard(&pool->members.detector, peer, pool->now);
}

void rpi_members_step(rp_pool *pool)
{
    if (pool->members.due)
        tell_again(pool);
    for (int peer; (peer = rpi_detector_silent(&pool->members.detector, pool->now));)
        give_up_silent(pool, peer);
    rpi_members_replaced(pool, rpi_respawn_come(pool));
    rpi_respawn_step(pool);
    break_if_deserted(pool);
}

/* ---- at the pool's end */

bool rpi_members_all_left(rp_pool *pool, const void *unused)
{
    (void)unused;
    return pool->members.goodbyes >= pool->transport->peers;
}
