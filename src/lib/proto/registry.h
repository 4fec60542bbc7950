/* The names of a pool's task functions, in which a function's number is its place among the sorted
 * names, so that equal registries give equal numbers on every rank. */
#ifndef RPI_REGISTRY_H
#define RPI_REGISTRY_H

#include "base/alloc.h"

#define RPI_NAME_MAX    255
#define RPI_NO_FUNCTION UINT16_MAX

struct rpi_registry {
    struct rpi_alloc alloc;
    const char **names; /* sorted; the strings belong to the process's table */
    rp_fn **functions;  /* functions[i] is named names[i] */
    uint16_t *slots;    /* function -> number: open addressing */
    uint32_t mask;
    uint32_t count;
    uint64_t hash; /* of all names */
};

/* Empty, with room for `most` names.  RP_ERR_NOMEM: empty, and nothing is left to free. */
RP_MUST_USE rp_status rpi_registry_init(struct rpi_registry *registry,
                                        const struct rpi_alloc *alloc, uint32_t most);
/* Adds a name, whose text the caller keeps, in its place among the others: in time that grows with
 * their number, a few hundred, once an open. */
void rpi_registry_add(struct rpi_registry *registry, const char *name, rp_fn *fn);
/* After the last name: makes functions found by their address, and the hash. */
void rpi_registry_index(struct rpi_registry *registry);
void rpi_registry_fini(struct rpi_registry *registry);

static inline uint32_t rpi_registry_slot(rp_fn *fn)
{
    return (uint32_t)(((uint64_t)(uintptr_t)fn * 0x9E3779B97F4A7C15U) >> 40);
}

/* The function's number, or RPI_NO_FUNCTION. */
static inline uint16_t rpi_registry_find(const struct rpi_registry *registry, rp_fn *fn)
{
    for (uint32_t i = rpi_registry_slot(fn);; i++) {
        uint16_t number = registry->slots[i & registry->mask];
        if (number == RPI_NO_FUNCTION || registry->functions[number] == fn)
            return number;
    }
}

#endif
