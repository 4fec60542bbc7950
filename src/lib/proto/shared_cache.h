/* The shared data sets as a worker knows them: what rank 0 has told about, and what of it is mapped
 * here. */
#ifndef RPI_SHARED_CACHE_H
#define RPI_SHARED_CACHE_H

#include "base/alloc.h"
#include "base/list.h"
#include "base/shm_segment.h"

/* On its way into this process; a state with a * is work for the thread that drives
 * the engine (rpi_shared_fetch_work).
 *
 *   KNOWN --a task needs it--> SEEK* --found and mapped--> READY
 *                               | not found: rank 0 is asked
 *                             ASKED --"it is there"--> SEEK*
 *                               | "make room"
 *                             MAKE* --no room--> FAILED (the task fails; the next one tries again)
 *                               | room
 *                             OFFERED --"it comes"--> FILLING --it came--> FILLED* --> READY
 *                               | "no task of it counts any more"
 *                             REFUSED* --the room is freed--> FAILED */
enum rpi_shared_state {
    RPI_KNOWN,
    RPI_SEEK,
    RPI_ASKED,
    RPI_MAKE,
    RPI_OFFERED,
    RPI_REFUSED,
    RPI_FILLING,
    RPI_FILLED,
    RPI_READY,
    RPI_FAILED,
    RPI_DROPPED, /* * no task needs it any more: its segment is freed */
};

struct rpi_shared_datum {
    struct rpi_link link;
    uint64_t number;        /* of the version: the first epoch in which it is current */
    struct rpi_shm segment; /* size 0: from here on the name means nothing */
    enum rpi_shared_state state;
    bool asked;   /* where to find it is rank 0's answer, not its first word */
    bool dropped; /* while it is filled */
    int64_t pid;  /* the process that has it ... */
    int32_t fd;   /* ... by this descriptor */
    char name[];
};

struct rpi_shared_cache {
    struct rpi_alloc alloc;
    struct rpi_link data; /* by number */
    uint64_t ready;       /* an epoch whose data are all here */
    uint32_t work;        /* data in a state with a * */
    uint64_t changes;     /* counted, so that the owner of a copy can see that it is old */
};

void rpi_shared_cache_init(struct rpi_shared_cache *shared_cache, const struct rpi_alloc *alloc);
/* Segments are not its own. */
void rpi_shared_cache_fini(struct rpi_shared_cache *shared_cache);

static inline struct rpi_shared_datum *rpi_shared_datum_of(const struct rpi_link *link)
{
    return RPI_MEMBER(link, struct rpi_shared_datum, link);
}

static inline bool rpi_shared_cache_is_work(enum rpi_shared_state state)
{
    return state == RPI_SEEK || state == RPI_MAKE || state == RPI_REFUSED || state == RPI_FILLED ||
           state == RPI_DROPPED;
}

/* NULL: no memory. */
struct rpi_shared_datum *rpi_shared_cache_add(struct rpi_shared_cache *shared_cache,
                                              uint64_t number, const char *name, size_t length);
void rpi_shared_cache_remove(struct rpi_shared_cache *shared_cache, struct rpi_shared_datum *datum);
/* By its number, dropped ones not; NULL: unknown. */
struct rpi_shared_datum *rpi_shared_cache_numbered(const struct rpi_shared_cache *shared_cache,
                                                   uint64_t number);
/* What `name` meant in this epoch; NULL: nothing. */
struct rpi_shared_datum *rpi_shared_cache_named(const struct rpi_shared_cache *shared_cache,
                                                const char *name, uint64_t epoch);
/* Moves a datum to another state, and counts the work. */
void rpi_shared_cache_set(struct rpi_shared_cache *shared_cache, struct rpi_shared_datum *datum,
                          enum rpi_shared_state state);

#endif
