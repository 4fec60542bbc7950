#include "master/shared.h"

#include "base/status.h"
#include "master/inflight.h"

/* ---- to workers */

static struct rpi_batch *message_to(struct rpi_master *master, int worker,
                                    const struct rpi_share_message *message)
{
    struct rpi_batch *batch = rpi_batch_get(&master->batches);
    if (!batch)
        return NULL;
    batch->size = rpi_share_put(batch->bytes, message);
    batch->peer = worker;
    batch->sends = 1;
    rpi_inflight_send(master, batch);
    return batch;
}

static bool say(struct rpi_master *master, int worker, enum rpi_share_what what, uint64_t version)
{
    const struct rpi_share_message message = { .what = what, .version = version, .fd = -1 };
    return message_to(master, worker, &message);
}

/* Tells which process has it, and under which descriptor. */
static bool point(struct rpi_master *master, int worker, enum rpi_share_what what,
                  const struct rpi_shared_version *version, int owner, int32_t fd)
{
    const struct rpi_share_message message = { .what = what,
                                               .version = version->number,
                                               .size = version->segment.size,
                                               .token = version->segment.token,
                                               .pid = master->roster.seats[owner].pid,
                                               .fd = fd,
                                               .name = version->name,
                                               .length = (uint32_t)strlen(version->name) };
    return message_to(master, worker, &message);
}

static struct rpi_shared_version *version_of(struct rpi_link *link)
{
    return RPI_MEMBER(link, struct rpi_shared_version, link);
}

/* A worker that waits for a neighbour holds a task that was done elsewhere meanwhile: tells it to
 * go on. */
static bool drop_everywhere(struct rpi_master *master, struct rpi_shared_version *version)
{
    const struct rpi_shared_versions *versions = &master->versions;
    for (; !versions->closed && version->dropped <= versions->workers; version->dropped++) {
        int worker = version->dropped;
        struct rpi_holder *holder = version->holders ? &version->holders[worker] : NULL;
        bool listens = !master->roster.seats[worker].lost;
        if (listens && holder && holder->state == RPI_WAITS &&
            !say(master, worker, RPI_SHARE_GONE, version->number))
            return false;
        if (holder && holder->state == RPI_WAITS)
            holder->state = RPI_HOLDS_NOTHING;
        if (listens && versions->told[worker] >= version->number &&
            !say(master, worker, RPI_SHARE_DROP, version->number))
            return false;
    }
    return true;
}

bool rpi_shared_sweep(struct rpi_master *master)
{
    struct rpi_shared_versions *versions = &master->versions;
    for (struct rpi_link *link = versions->dying.next, *next; link != &versions->dying;
         link = next) {
        next = link->next;
        if (!drop_everywhere(master, version_of(link)))
            return false;
        if (version_of(link)->sending)
            continue;
        rpi_list_remove(link);
        rpi_list_append(&versions->dead, link);
    }
    return true;
}

bool rpi_shared_tell(struct rpi_master *master, int worker, uint64_t epoch)
{
    struct rpi_shared_versions *versions = &master->versions;
    if (!versions->told)
        return true; /* nothing was ever shared */
    uint64_t *told = &versions->told[worker];
    if (!rpi_list_empty(&versions->dying) && !rpi_shared_sweep(master))
        return false; /* died since this dispatch began: a removal among them is not told any more,
                         and what it removed might be seen */
    if (*told >= epoch)
        return true;
    for (struct rpi_link *link = versions->live.next; link != &versions->live; link = link->next) {
        const struct rpi_shared_version *version = version_of(link);
        if (version->number > epoch)
            break;
        if (version->number <= *told)
            continue;
        if (!point(master, worker, RPI_SHARE_NEW, version, 0, version->segment.fd))
            return false;
        *told = version->number;
    }
    *told = epoch;
    return true;
}

rp_status rpi_master_share(struct rpi_master *master, const char *name,
                           const struct rpi_shm *segment)
{
    return rpi_shared_versions_add(&master->versions, name, segment);
}

/* ---- from workers */

static bool same_host(const struct rpi_master *master, int a, int b)
{
    return strcmp(master->roster.seats[a].host, master->roster.seats[b].host) == 0;
}

#define NO_WORKER (-1)

/* Whether others can count on what this worker has, or is getting. */
static bool counts(const struct rpi_master *master, int worker, const struct rpi_holder *holder)
{
    return !master->roster.seats[worker].lost && (holder->state != RPI_HOLDS || holder->fd >= 0);
}

/* A worker (or rank 0, if it works) on this one's host in this state, or -1.  What others cannot
 * map does not count. */
static int neighbour(const struct rpi_master *master, const struct rpi_shared_version *version,
                     int worker, enum rpi_holding state)
{
    for (int i = 0; i <= master->roster.workers; i++) {
        const struct rpi_holder *holder = &version->holders[i];
        if (i != worker && holder->state == state && counts(master, i, holder) &&
            same_host(master, i, worker))
            return i;
    }
    return NO_WORKER;
}

static bool tell_to_fill(struct rpi_master *master, const struct rpi_shared_version *version,
                         int worker)
{
    if (!say(master, worker, RPI_SHARE_FILL, version->number))
        return false;
    version->holders[worker].state = RPI_FILLS;
    return true;
}

/* `alone`: it cannot map what its neighbours have, as their host is another kernel of the same
 * name, or they run as another user. */
static bool answer(struct rpi_master *master, const struct rpi_shared_version *version, int worker,
                   bool alone)
{
    int owner = alone ? NO_WORKER : neighbour(master, version, worker, RPI_HOLDS);
    if (owner != NO_WORKER)
        return point(master, worker, RPI_SHARE_MAP, version, owner, version->holders[owner].fd);
    if (alone || neighbour(master, version, worker, RPI_FILLS) == NO_WORKER)
        return tell_to_fill(master, version, worker);
    version->holders[worker].state = RPI_WAITS;
    return true;
}

static bool send_bytes(struct rpi_master *master, struct rpi_shared_version *version, int worker)
{
    const struct rpi_share_message message = { .what = RPI_SHARE_DATA,
                                               .version = version->number,
                                               .fd = -1 };
    if (version->holders[worker].state != RPI_FILLS)
        return true;
    struct rpi_batch *batch = message_to(master, worker, &message);
    if (!batch)
        return false;
    batch->pieces[0] = (struct rpi_piece){ .data = version->segment.data,
                                           .size = version->segment.size };
    batch->piece_count = 1;
    master->counts.bytes_out += version->segment.size;
    batch->sends = 2;
    batch->version = version;
    version->sending++;
    return true;
}

/* Those of its host that wait for it go on: they map what it has, or the next of them fills. */
static bool release_waiting(struct rpi_master *master, const struct rpi_shared_version *version,
                            int worker)
{
    for (int i; (i = neighbour(master, version, worker, RPI_WAITS)) != NO_WORKER;) {
        version->holders[i].state = RPI_HOLDS_NOTHING;
        if (!answer(master, version, i, false)) {
            version->holders[i].state = RPI_WAITS;
            return false;
        }
        if (version->holders[i].state != RPI_HOLDS_NOTHING)
            break; /* it fills, and the others wait for that */
    }
    return true;
}

bool rpi_shared_lost(struct rpi_master *master, int worker)
{
    for (struct rpi_link *link = master->versions.live.next; link != &master->versions.live;
         link = link->next) {
        struct rpi_shared_version *version = version_of(link);
        struct rpi_holder *holder = version->holders ? &version->holders[worker] : NULL;
        if (holder && holder->state == RPI_FILLS && !release_waiting(master, version, worker))
            return false;
        if (holder)
            holder->state = RPI_HOLDS_NOTHING;
    }
    return true;
}

void rpi_shared_replaced(struct rpi_master *master, int worker)
{
    struct rpi_shared_versions *versions = &master->versions;
    if (versions->told)
        versions->told[worker] = 0;
    for (struct rpi_link *link = versions->live.next; link != &versions->live; link = link->next)
        if (version_of(link)->holders)
            version_of(link)->holders[worker] = (struct rpi_holder){ 0 };
}

static bool take(struct rpi_master *master, struct rpi_shared_version *version, int worker,
                 const struct rpi_share_message *message)
{
    struct rpi_holder *holder = &version->holders[worker];
    switch (message->what) {
    case RPI_SHARE_WANT:
    case RPI_SHARE_ALONE:
        return answer(master, version, worker, message->what == RPI_SHARE_ALONE);
    case RPI_SHARE_ROOM:
        return send_bytes(master, version, worker);
    case RPI_SHARE_NO_ROOM:
        holder->state = RPI_HOLDS_NOTHING;
        return release_waiting(master, version, worker);
    case RPI_SHARE_HAVE:
        holder->state = RPI_HOLDS;
        holder->fd = message->fd;
        return release_waiting(master, version, worker);
    case RPI_SHARE_NEW:
    case RPI_SHARE_DROP:
    case RPI_SHARE_MAP:
    case RPI_SHARE_FILL:
    case RPI_SHARE_DATA:
    case RPI_SHARE_GONE:
        break;
    }
    return true;
}

rp_status rpi_shared_receive(struct rpi_master *master, int worker, const struct rpi_reader *reader)
{
    struct rpi_share_message message;
    struct rpi_shared_versions *versions = &master->versions;
    rp_status status = rpi_share_get(reader, &message);
    if (status != RP_OK || versions->closed)
        return status;
    struct rpi_shared_version *version = rpi_shared_versions_find(versions, message.version);
    bool taken;
    if (!version || version->segment.size == 0)
        taken = say(master, worker, RPI_SHARE_GONE, message.version);
    else
        taken = rpi_shared_version_holders(versions, version) &&
                take(master, version, worker, &message);
    return taken ? RP_OK : rpi_no_memory("an answer about shared data");
}
