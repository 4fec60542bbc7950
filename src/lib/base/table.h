/* A hash table of intrusive chains.  Its records have a struct rpi_link each and belong to the
 * caller, who finds them in the bucket of their key.  The number of buckets stays. */
#ifndef RPI_TABLE_H
#define RPI_TABLE_H

#include "base/alloc.h"
#include "base/list.h"

#include <stdint.h>

struct rpi_table {
    struct rpi_link *buckets; /* NULL before the first record */
    uint32_t count;
};

/* Makes `count` buckets, a power of two, unless they are there.  false: no memory. */
RP_MUST_USE bool rpi_table_make(struct rpi_table *table, const struct rpi_alloc *alloc,
                                uint32_t count);
/* Takes a record out, so as to empty the table before it is freed: nothing else is done with it
 * from then on.  NULL: it is empty. */
struct rpi_link *rpi_table_pop(struct rpi_table *table);
/* Frees the buckets, whose records are gone. */
void rpi_table_free(struct rpi_table *table, const struct rpi_alloc *alloc);

/* The bucket of a key; NULL: none was made yet. */
static inline struct rpi_link *rpi_table_bucket(const struct rpi_table *table, uint64_t key)
{
    uint64_t hash = (key * 0x9E3779B97F4A7C15U) >> 32;
    return table->buckets ? &table->buckets[hash & (table->count - 1)] : NULL;
}

/* Walks all records in some order: the one after `link`, which has this key (NULL: the first), or
 * NULL. */
struct rpi_link *rpi_table_next(const struct rpi_table *table, const struct rpi_link *link,
                                uint64_t key);

#endif
