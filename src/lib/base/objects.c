#include "base/objects.h"

#include "base/hash.h"

#include <link.h>
#include <stdbool.h>

struct search {
    uintptr_t address;
    struct rpi_object found;
};

static bool has(const struct dl_phdr_info *info, uintptr_t address)
{
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && address - (info->dlpi_addr + part->p_vaddr) < part->p_memsz)
            return true;
    }
    return false;
}

/* Of its name, then of its address in one step. */
static uint64_t identify(const struct dl_phdr_info *info)
{
    const char *name = info->dlpi_name ? info->dlpi_name : "";
    uint64_t hash = rpi_hash_one(rpi_hash_bytes(RPI_HASH_NONE, name, strlen(name)),
                                 info->dlpi_addr);
    return hash ? hash : 1;
}

static int look(struct dl_phdr_info *info, size_t size, void *context)
{
    struct search *search = context;
    (void)size;
    search->found.unloads = info->dlpi_subs;
    if (!has(info, search->address))
        return 0;
    search->found.id = identify(info);
    return 1;
}

struct rpi_object rpi_object_of(rp_fn *fn)
{
    struct search search = { .address = (uintptr_t)fn };
    (void)dl_iterate_phdr(look, &search);
    return search.found;
}
