#include "tables/shared_versions.h"

#include "base/status.h"

#include <string.h>

#define FOR_EVER UINT64_MAX

static struct rpi_shared_version *version_of(const struct rpi_link *link)
{
    return RPI_MEMBER(link, struct rpi_shared_version, link);
}

void rpi_shared_versions_init(struct rpi_shared_versions *versions, const struct rpi_alloc *alloc,
                              int workers)
{
    *versions = (struct rpi_shared_versions){ .alloc = *alloc, .workers = workers };
    rpi_list_init(&versions->live);
    rpi_list_init(&versions->dying);
    rpi_list_init(&versions->dead);
}

void rpi_shared_version_free(const struct rpi_shared_versions *versions,
                             struct rpi_shared_version *version)
{
    rpi_free(&versions->alloc, version->holders);
    rpi_free(&versions->alloc, version);
}

void rpi_shared_versions_fini(struct rpi_shared_versions *versions)
{
    rpi_shared_versions_end(versions);
    for (struct rpi_shared_version *version; (version = rpi_shared_versions_dead(versions));)
        rpi_shared_version_free(versions, version);
    rpi_free(&versions->alloc, versions->epochs);
    rpi_free(&versions->alloc, versions->told);
    versions->epochs = NULL;
    versions->told = NULL;
}

static void move(struct rpi_shared_version *version, struct rpi_link *to)
{
    rpi_list_remove(&version->link);
    rpi_list_append(to, &version->link);
}

/* ---- who is dead */

/* Whether an unsettled task belongs to an epoch in [from, until). */
static bool has_tasks(const struct rpi_shared_versions *versions, uint64_t from, uint64_t until)
{
    uint32_t low = 0, high = versions->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (versions->epochs[middle].number < from)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < versions->count && versions->epochs[low].number < until; low++)
        if (versions->epochs[low].tasks)
            return true;
    return false;
}

static bool has_older(const struct rpi_shared_versions *versions,
                      const struct rpi_shared_version *version)
{
    for (const struct rpi_link *link = version->link.previous; link != &versions->live;
         link = link->previous)
        if (strcmp(version_of(link)->name, version->name) == 0)
            return true;
    return false;
}

/* That a name means nothing need not be known where it never meant anything. */
static bool is_dead(const struct rpi_shared_versions *versions,
                    const struct rpi_shared_version *version)
{
    if (version->segment.size == 0 && !has_older(versions, version))
        return true;
    return version->until != FOR_EVER && !has_tasks(versions, version->number, version->until);
}

/* From the oldest on, so that a removal is looked at after what it removed. */
static void bury(struct rpi_shared_versions *versions)
{
    for (struct rpi_link *link = versions->live.next, *next; link != &versions->live; link = next) {
        next = link->next;
        if (is_dead(versions, version_of(link)))
            move(version_of(link), &versions->dying);
    }
}

void rpi_shared_versions_end(struct rpi_shared_versions *versions)
{
    for (struct rpi_link *link; (link = rpi_list_first(&versions->live));)
        move(version_of(link), &versions->dead);
    for (struct rpi_link *link; (link = rpi_list_first(&versions->dying));)
        move(version_of(link), &versions->dead);
    versions->current = 0;
}

struct rpi_shared_version *rpi_shared_versions_dead(struct rpi_shared_versions *versions)
{
    struct rpi_link *link = rpi_list_pop(&versions->dead);
    return link ? version_of(link) : NULL;
}

/* ---- epochs */

static bool reserve_epoch(struct rpi_shared_versions *versions)
{
    if (versions->count < versions->capacity)
        return true;
    uint32_t capacity = versions->capacity ? 2 * versions->capacity : 8;
    struct rpi_epoch *epochs = rpi_resize(&versions->alloc, versions->epochs,
                                          capacity * sizeof *epochs);
    if (!epochs)
        return false;
    versions->epochs = epochs;
    versions->capacity = capacity;
    return true;
}

static bool any_current(const struct rpi_shared_versions *versions)
{
    for (const struct rpi_link *link = versions->live.next; link != &versions->live;
         link = link->next)
        if (version_of(link)->until == FOR_EVER && version_of(link)->segment.size > 0)
            return true;
    return false;
}

/* The epoch that was current keeps its place only if it has tasks. */
static void begin_epoch(struct rpi_shared_versions *versions)
{
    if (versions->count && versions->epochs[versions->count - 1].tasks == 0)
        versions->count--;
    versions->current = 0;
    if (!any_current(versions))
        return;
    versions->current = versions->last;
    versions->epochs[versions->count++] = (struct rpi_epoch){ .number = versions->last };
}

/* From the newest on: it is nearly always that one.  `count`: there is none such. */
static uint32_t place_of(const struct rpi_shared_versions *versions, uint64_t epoch)
{
    for (uint32_t i = versions->count; i > 0; i--)
        if (versions->epochs[i - 1].number == epoch)
            return i - 1;
    return versions->count;
}

void rpi_shared_versions_hold(struct rpi_shared_versions *versions, uint64_t epoch)
{
    uint32_t i = place_of(versions, epoch);
    if (i < versions->count)
        versions->epochs[i].tasks++;
}

void rpi_shared_versions_release(struct rpi_shared_versions *versions, uint64_t epoch)
{
    uint32_t i = place_of(versions, epoch);
    if (i == versions->count || --versions->epochs[i].tasks || epoch == versions->current)
        return;
    versions->count--;
    memmove(versions->epochs + i, versions->epochs + i + 1,
            (versions->count - i) * sizeof *versions->epochs);
    bury(versions);
}

/* ---- versions */

static struct rpi_shared_version *current_of(const struct rpi_shared_versions *versions,
                                             const char *name)
{
    for (const struct rpi_link *link = versions->live.previous; link != &versions->live;
         link = link->previous)
        if (strcmp(version_of(link)->name, name) == 0)
            return version_of(link)->until == FOR_EVER ? version_of(link) : NULL;
    return NULL;
}

rp_status rpi_shared_versions_add(struct rpi_shared_versions *versions, const char *name,
                                  const struct rpi_shm *segment)
{
    struct rpi_shared_version *old = current_of(versions, name);
    size_t length = strlen(name);
    if (segment->size == 0 && (!old || old->segment.size == 0))
        return RP_OK;
    if (!versions->told)
        versions->told = rpi_zeroed(&versions->alloc,
                                    ((size_t)versions->workers + 1) * sizeof *versions->told);
    struct rpi_shared_version *version = rpi_zeroed(&versions->alloc, sizeof *version + length + 1);
    if (!versions->told || !version || !reserve_epoch(versions)) {
        rpi_free(&versions->alloc, version);
        return rpi_no_memory("shared data");
    }
    version->number = ++versions->last;
    version->until = FOR_EVER;
    version->segment = *segment;
    memcpy(version->name, name, length + 1);
    if (old)
        old->until = version->number;
    rpi_list_append(&versions->live, &version->link);
    begin_epoch(versions);
    bury(versions);
    return RP_OK;
}

struct rpi_shared_version *rpi_shared_versions_find(const struct rpi_shared_versions *versions,
                                                    uint64_t number)
{
    for (const struct rpi_link *link = versions->live.next; link != &versions->live;
         link = link->next)
        if (version_of(link)->number == number)
            return version_of(link);
    return NULL;
}

struct rpi_holder *rpi_shared_version_holders(const struct rpi_shared_versions *versions,
                                              struct rpi_shared_version *version)
{
    if (!version->holders)
        version->holders = rpi_zeroed(&versions->alloc,
                                      ((size_t)versions->workers + 1) * sizeof *version->holders);
    return version->holders;
}
