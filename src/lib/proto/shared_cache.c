#include "proto/shared_cache.h"

#include <string.h>

void rpi_catalogue_init(struct rpi_catalogue *catalogue, const struct rpi_alloc *alloc)
{
    *catalogue = (struct rpi_catalogue){ .alloc = *alloc };
    rpi_list_init(&catalogue->data);
}

void rpi_catalogue_fini(struct rpi_catalogue *catalogue)
{
    for (struct rpi_link *link; (link = rpi_list_first(&catalogue->data));)
        rpi_catalogue_remove(catalogue, rpi_datum_of(link));
}

struct rpi_datum *rpi_catalogue_add(struct rpi_catalogue *catalogue, uint64_t number, const char *name, size_t length)
{
    struct rpi_datum *datum = rpi_zeroed(&catalogue->alloc, sizeof *datum + length + 1);
    if (!datum)
        return NULL;
    datum->number = number;
    datum->segment.fd = -1;
    memcpy(datum->name, name, length);
    rpi_list_append(&catalogue->data, &datum->link);
    catalogue->changes++;
    return datum;
}

void rpi_catalogue_set(struct rpi_catalogue *catalogue, struct rpi_datum *datum, enum rpi_obtaining state)
{
    catalogue->work += (uint32_t)rpi_catalogue_is_work(state) - (uint32_t)rpi_catalogue_is_work(datum->state);
    datum->state = state;
    catalogue->changes++;
}

void rpi_catalogue_remove(struct rpi_catalogue *catalogue, struct rpi_datum *datum)
{
    rpi_catalogue_set(catalogue, datum, RPI_KNOWN);
    rpi_list_remove(&datum->link);
    rpi_free(&catalogue->alloc, datum);
}

static bool is_gone(const struct rpi_datum *datum)
{
    return datum->dropped || datum->state == RPI_DROPPED;
}

struct rpi_datum *rpi_catalogue_numbered(const struct rpi_catalogue *catalogue, uint64_t number)
{
    for (const struct rpi_link *link = catalogue->data.next; link != &catalogue->data; link = link->next)
        if (rpi_datum_of(link)->number == number && !is_gone(rpi_datum_of(link)))
            return rpi_datum_of(link);
    return NULL;
}

struct rpi_datum *rpi_catalogue_named(const struct rpi_catalogue *catalogue, const char *name, uint64_t epoch)
{
    for (const struct rpi_link *link = catalogue->data.previous; link != &catalogue->data; link = link->previous) {
        struct rpi_datum *datum = rpi_datum_of(link);
        if (datum->number <= epoch && strcmp(datum->name, name) == 0 && !is_gone(datum))
            return datum->segment.size > 0 ? datum : NULL;
    }
    return NULL;
}
