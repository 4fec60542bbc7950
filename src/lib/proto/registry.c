#include "proto/registry.h"

#include "base/hash.h"
#include "base/status.h"

#include <string.h>

rp_status rpi_registry_init(struct rpi_registry *registry, const struct rpi_alloc *alloc,
                            uint32_t most)
{
    uint32_t slots = 64;
    *registry = (struct rpi_registry){ .alloc = *alloc };
    while (slots < 4 * most)
        slots *= 2;
    registry->mask = slots - 1;
    registry->names = rpi_reserve(alloc, most * sizeof *registry->names);
    registry->functions = rpi_reserve(alloc, most * sizeof *registry->functions);
    registry->slots = rpi_reserve(alloc, slots * sizeof *registry->slots);
    if (!registry->names || !registry->functions || !registry->slots) {
        rpi_registry_fini(registry);
        return rpi_no_memory("the registry of task functions");
    }
    return RP_OK;
}

void rpi_registry_add(struct rpi_registry *registry, const char *name, rp_fn *fn)
{
    uint32_t i = registry->count++;
    for (; i > 0 && strcmp(registry->names[i - 1], name) > 0; i--) {
        registry->names[i] = registry->names[i - 1];
        registry->functions[i] = registry->functions[i - 1];
    }
    registry->names[i] = name;
    registry->functions[i] = fn;
}

static void index_functions(struct rpi_registry *registry)
{
    for (uint32_t i = 0; i <= registry->mask; i++)
        registry->slots[i] = RPI_NO_FUNCTION;
    for (uint32_t number = 0; number < registry->count; number++) {
        uint32_t i = rpi_registry_slot(registry->functions[number]) & registry->mask;
        while (registry->slots[i] != RPI_NO_FUNCTION &&
               registry->functions[registry->slots[i]] != registry->functions[number])
            i = (i + 1) & registry->mask;
        if (registry->slots[i] ==
            RPI_NO_FUNCTION) /* else one function has two names: the first stands */
            registry->slots[i] = (uint16_t)number;
    }
}

static void hash_names(struct rpi_registry *registry)
{
    registry->hash = RPI_HASH_NONE;
    for (uint32_t i = 0; i < registry->count; i++)
        registry->hash = rpi_hash_text(registry->hash, registry->names[i]);
}

void rpi_registry_index(struct rpi_registry *registry)
{
    index_functions(registry);
    hash_names(registry);
}

void rpi_registry_fini(struct rpi_registry *registry)
{
    rpi_free(&registry->alloc, registry->names);
    rpi_free(&registry->alloc, registry->functions);
    rpi_free(&registry->alloc, registry->slots);
    registry->names = NULL;
    registry->functions = NULL;
    registry->slots = NULL;
    registry->count = 0;
}
