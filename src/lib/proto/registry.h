/* Names of task functions.  One table per process, filled before any open; each pool takes a
 * snapshot, in which a function's number is its place among the sorted names, so that equal
 * registries give equal numbers on every rank.  Functions of a plug-in that was unloaded are in no
 * snapshot taken afterwards. */
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
    uint64_t hash; /* of all names, FNV-1a */
};

/* RP_ERR_INVALID with a message when an earlier registration was bad (a name that two functions
 * have); RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_registry_snapshot(struct rpi_registry *registry,
                                            const struct rpi_alloc *alloc);
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
