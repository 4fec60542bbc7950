#include "worker/shared_fetch.h"

#include "base/status.h"

/* ---- what tasks see */

/* Sets going what a task waits for; true: it is here, or it cannot be had. */
static bool is_here(struct rpi_shared_cache *shared_cache, struct rpi_shared_datum *datum,
                    const char **missing)
{
    if (datum->state == RPI_READY)
        return true;
    if (datum->state == RPI_FAILED) {
        *missing = datum->name;
        datum->asked = false;
        rpi_shared_cache_set(shared_cache, datum, RPI_KNOWN);
        return true;
    }
    if (datum->state == RPI_KNOWN)
        rpi_shared_cache_set(shared_cache, datum, RPI_SEEK);
    return false;
}

bool rpi_shared_fetch_ready(struct rpi_worker *worker, uint64_t epoch, const char **missing)
{
    struct rpi_shared_cache *shared_cache = &worker->shared_cache;
    bool ready = true;
    *missing = NULL;
    for (struct rpi_link *link = shared_cache->data.next; link != &shared_cache->data;
         link = link->next) {
        struct rpi_shared_datum *datum = rpi_shared_datum_of(link);
        if (datum->number <= epoch &&
            rpi_shared_cache_named(shared_cache, datum->name, epoch) == datum)
            ready = is_here(shared_cache, datum, missing) && ready;
    }
    if (*missing)
        return true;
    if (ready)
        shared_cache->ready = epoch;
    return ready;
}

/* ---- messages */

static bool send(struct rpi_worker *worker, enum rpi_share_what what,
                 const struct rpi_shared_datum *datum)
{
    const struct rpi_share_message message = { .what = what,
                                               .version = datum->number,
                                               .fd = datum->segment.fd };
    struct rpi_batch *batch = rpi_batch_get(&worker->batches);
    if (!batch)
        return false;
    batch->size = rpi_share_put(batch->bytes, &message);
    batch->sends = 1;
    batch->peer = 0;
    rpi_list_append(&worker->outgoing, &batch->link);
    return true;
}

bool rpi_shared_fetch_in_order(const struct rpi_share_message *message)
{
    return message->what == RPI_SHARE_NEW || message->what == RPI_SHARE_DROP;
}

static bool learn(struct rpi_shared_cache *shared_cache, const struct rpi_share_message *message)
{
    struct rpi_shared_datum *datum = rpi_shared_cache_add(shared_cache, message->version,
                                                          message->name, message->length);
    if (!datum)
        return false;
    datum->segment.size = message->size;
    datum->segment.token = message->token;
    datum->pid = message->pid;
    datum->fd = message->fd;
    if (message->size == 0)
        datum->state = RPI_READY;
    return true;
}

bool rpi_shared_fetch_apply(struct rpi_worker *worker, const struct rpi_share_message *message)
{
    struct rpi_shared_cache *shared_cache = &worker->shared_cache;
    if (message->what == RPI_SHARE_NEW)
        return learn(shared_cache, message);
    struct rpi_shared_datum *datum = rpi_shared_cache_numbered(shared_cache, message->version);
    if (datum && datum->state == RPI_FILLING)
        datum->dropped = true; /* MPI still writes there */
    else if (datum)
        rpi_shared_cache_set(shared_cache, datum, RPI_DROPPED);
    return true;
}

static rp_status expect_bytes(struct rpi_worker *worker, struct rpi_shared_datum *datum)
{
    struct rpi_arrival *arrival = rpi_zeroed(&worker->config.alloc, sizeof *arrival);
    if (!arrival)
        return rpi_no_memory("shared data");
    arrival->size = datum->segment.size;
    arrival->buffer = datum->segment.data;
    arrival->datum = datum;
    rpi_list_append(&worker->incoming, &arrival->link);
    rpi_shared_cache_set(&worker->shared_cache, datum, RPI_FILLING);
    return RP_OK;
}

rp_status rpi_shared_fetch_receive(struct rpi_worker *worker,
                                   const struct rpi_share_message *message)
{
    struct rpi_shared_cache *shared_cache = &worker->shared_cache;
    struct rpi_shared_datum *datum = rpi_shared_cache_numbered(shared_cache, message->version);
    if (message->what == RPI_SHARE_DATA)
        return datum && datum->state == RPI_OFFERED
                   ? expect_bytes(worker, datum)
                   : rpi_reader_bad("it brings shared data that were not announced");
    if (datum && datum->state == RPI_OFFERED && message->what == RPI_SHARE_GONE)
        rpi_shared_cache_set(shared_cache, datum, RPI_REFUSED);
    if (!datum || datum->state != RPI_ASKED)
        return RP_OK; /* the task that wanted it was cancelled */
    if (message->what == RPI_SHARE_MAP) {
        datum->pid = message->pid;
        datum->fd = message->fd;
        datum->asked = true;
        rpi_shared_cache_set(shared_cache, datum, RPI_SEEK);
    } else {
        rpi_shared_cache_set(shared_cache, datum,
                             message->what == RPI_SHARE_FILL ? RPI_MAKE : RPI_FAILED);
    }
    return RP_OK;
}

void rpi_shared_fetch_arrived(struct rpi_worker *worker, struct rpi_shared_datum *datum)
{
    rpi_shared_cache_set(&worker->shared_cache, datum, datum->dropped ? RPI_DROPPED : RPI_FILLED);
}

/* ---- work for the caller */

struct rpi_shared_datum *rpi_shared_fetch_work(struct rpi_worker *worker)
{
    struct rpi_shared_cache *shared_cache = &worker->shared_cache;
    if (!shared_cache->work)
        return NULL;
    for (struct rpi_link *link = shared_cache->data.next; link != &shared_cache->data;
         link = link->next)
        if (rpi_shared_cache_is_work(rpi_shared_datum_of(link)->state))
            return rpi_shared_datum_of(link);
    return NULL;
}

/* What rank 0 is told, and what the datum becomes. */
static bool report(struct rpi_worker *worker, struct rpi_shared_datum *datum,
                   enum rpi_share_what what, enum rpi_shared_state state)
{
    if (!send(worker, what, datum))
        return false;
    rpi_shared_cache_set(&worker->shared_cache, datum, state);
    return true;
}

bool rpi_shared_fetch_worked(struct rpi_worker *worker, struct rpi_shared_datum *datum, bool done)
{
    if (datum->state == RPI_DROPPED) {
        rpi_shared_cache_remove(&worker->shared_cache, datum);
        return true;
    }
    if (datum->state == RPI_REFUSED) {
        rpi_shared_cache_set(&worker->shared_cache, datum, RPI_FAILED);
        return true;
    }
    if (datum->state == RPI_MAKE)
        return report(worker, datum, done ? RPI_SHARE_ROOM : RPI_SHARE_NO_ROOM,
                      done ? RPI_OFFERED : RPI_FAILED);
    if (datum->state == RPI_FILLED)
        return report(worker, datum, RPI_SHARE_HAVE, RPI_READY);
    if (!done)
        return report(worker, datum, datum->asked ? RPI_SHARE_ALONE : RPI_SHARE_WANT, RPI_ASKED);
    rpi_shared_cache_set(&worker->shared_cache, datum, RPI_READY);
    return true;
}
