#include "proto/shared_cache.h"

#include <string.h>

void rpi_shared_cache_init(struct rpi_shared_cache *shared_cache, const struct rpi_alloc *alloc)
{
    *shared_cache = (struct rpi_shared_cache){ .alloc = *alloc };
    rpi_list_init(&shared_cache->data);
}

void rpi_shared_cache_fini(struct rpi_shared_cache *shared_cache)
{
    for (struct rpi_link *link; (link = rpi_list_first(&shared_cache->data));)
        rpi_shared_cache_remove(shared_cache, rpi_shared_datum_of(link));
}

struct rpi_shared_datum *rpi_shared_cache_add(struct rpi_shared_cache *shared_cache,
                                              uint64_t number, const char *name, size_t length)
{
    struct rpi_shared_datum *datum = rpi_zeroed(&shared_cache->alloc, sizeof *datum + length + 1);
    if (!datum)
        return NULL;
    datum->number = number;
    datum->segment.fd = -1;
    memcpy(datum->name, name, length);
    rpi_list_append(&shared_cache->data, &datum->link);
    shared_cache->changes++;
    return datum;
}

void rpi_shared_cache_set(struct rpi_shared_cache *shared_cache, struct rpi_shared_datum *datum,
                          enum rpi_shared_state state)
{
    shared_cache->work += (uint32_t)rpi_shared_cache_is_work(state) -
                          (uint32_t)rpi_shared_cache_is_work(datum->state);
    datum->state = state;
    shared_cache->changes++;
}

void rpi_shared_cache_remove(struct rpi_shared_cache *shared_cache, struct rpi_shared_datum *datum)
{
    rpi_shared_cache_set(shared_cache, datum, RPI_KNOWN);
    rpi_list_remove(&datum->link);
    rpi_free(&shared_cache->alloc, datum);
}

static bool is_gone(const struct rpi_shared_datum *datum)
{
    return datum->dropped || datum->state == RPI_DROPPED;
}

struct rpi_shared_datum *rpi_shared_cache_numbered(const struct rpi_shared_cache *shared_cache,
                                                   uint64_t number)
{
    for (const struct rpi_link *link = shared_cache->data.next; link != &shared_cache->data;
         link = link->next)
        if (rpi_shared_datum_of(link)->number == number && !is_gone(rpi_shared_datum_of(link)))
            return rpi_shared_datum_of(link);
    return NULL;
}

struct rpi_shared_datum *rpi_shared_cache_named(const struct rpi_shared_cache *shared_cache,
                                                const char *name, uint64_t epoch)
{
    for (const struct rpi_link *link = shared_cache->data.previous; link != &shared_cache->data;
         link = link->previous) {
        struct rpi_shared_datum *datum = rpi_shared_datum_of(link);
        if (datum->number <= epoch && strcmp(datum->name, name) == 0 && !is_gone(datum))
            return datum->segment.size > 0 ? datum : NULL;
    }
    return NULL;
}
