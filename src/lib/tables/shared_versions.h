/* The shared data sets as rank 0 keeps them.
 *
 * Each rp_share begins an epoch.  A version is what one rp_share gave to a name: it is current from
 * its own epoch until the epoch of the next rp_share of that name.  A task belongs to the epoch of
 * its submission and sees the versions that were current then.  A version that is no longer current
 * is dead when no unsettled task belongs to an epoch that sees it.
 *
 *   epoch      1     2     3     4     5
 *   "a"        [ version 1 )[ version 3     ...
 *   "b"              [ version 2 )[4: gone) ... */
#ifndef RPI_SHARED_VERSIONS_H
#define RPI_SHARED_VERSIONS_H

#include "base/alloc.h"
#include "base/list.h"
#include "base/shm_segment.h"

/* What a worker has of a version, as far as rank 0 was asked. */
enum rpi_holding {
    RPI_HOLDS_NOTHING,
    RPI_WAITS, /* for another worker of its host */
    RPI_FILLS, /* it was told to make room, or the bytes are on their way */
    RPI_HOLDS, /* and others of its host can map it from there, if fd >= 0 */
};

struct rpi_holder {
    uint8_t state; /* rpi_holding */
    int32_t fd;    /* its own */
};

struct rpi_shared_version {
    struct rpi_link link;
    uint64_t number, until;     /* the epochs in which it is current: [number, until) */
    struct rpi_shm segment;     /* size 0: from here on the name means nothing */
    uint32_t sending;           /* messages under way that carry its bytes */
    int dropped;                /* dying: workers below this one have been told */
    struct rpi_holder *holders; /* by worker; NULL: none has asked */
    char name[];
};

/* The unsettled tasks of one epoch. */
struct rpi_epoch {
    uint64_t number, tasks;
};

struct rpi_shared_versions {
    struct rpi_alloc alloc;
    int workers;
    uint64_t last;        /* the last epoch that began; 0: none */
    uint64_t current;     /* to which a task submitted now belongs; 0: nothing is shared, and tasks
                             carry nothing */
    struct rpi_link live; /* by number */
    /* dead, but some worker has not been told, or its bytes are still being sent */
    struct rpi_link dying;
    struct rpi_link dead; /* their segments must be freed */
    /* by number: those with unsettled tasks, and last of all the current one */
    struct rpi_epoch *epochs;
    uint32_t count, capacity;
    uint64_t *told; /* by worker: what began up to this epoch it knows */
    bool closed;    /* the pool ends: nothing is sent any more */
};

void rpi_shared_versions_init(struct rpi_shared_versions *versions, const struct rpi_alloc *alloc,
                              int workers);
/* Segments are not its own: rpi_shared_versions_end comes first, and their maker frees them. */
void rpi_shared_versions_fini(struct rpi_shared_versions *versions);

/* Begins an epoch in which `name` means this segment (taken over), or with size 0 nothing.
 * RP_ERR_NOMEM: nothing changed. */
RP_MUST_USE rp_status rpi_shared_versions_add(struct rpi_shared_versions *versions,
                                              const char *name, const struct rpi_shm *segment);

/* This epoch, the current one or one with unsettled tasks, has one more. */
void rpi_shared_versions_hold(struct rpi_shared_versions *versions, uint64_t epoch);
/* A task of this epoch is settled. */
void rpi_shared_versions_release(struct rpi_shared_versions *versions, uint64_t epoch);

/* The live version of this number, or NULL. */
struct rpi_shared_version *rpi_shared_versions_find(const struct rpi_shared_versions *versions,
                                                    uint64_t number);
/* Its holders, made at the first call; NULL: no memory. */
struct rpi_holder *rpi_shared_version_holders(const struct rpi_shared_versions *versions,
                                              struct rpi_shared_version *version);

/* Everything is dead now: for the pool's end. */
void rpi_shared_versions_end(struct rpi_shared_versions *versions);
/* The next dead version, or NULL; its segment is the caller's to free, then the version by
 * rpi_shared_version_free. */
struct rpi_shared_version *rpi_shared_versions_dead(struct rpi_shared_versions *versions);
void rpi_shared_version_free(const struct rpi_shared_versions *versions,
                             struct rpi_shared_version *version);

#endif
