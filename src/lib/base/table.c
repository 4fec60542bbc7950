#include "base/table.h"

bool rpi_table_make(struct rpi_table *table, const struct rpi_alloc *alloc, uint32_t count)
{
    if (table->buckets)
        return true;
    table->buckets = rpi_reserve(alloc, count * sizeof *table->buckets);
    if (!table->buckets)
        return false;
    table->count = count;
    for (uint32_t i = 0; i < count; i++)
        rpi_list_init(&table->buckets[i]);
    return true;
}

struct rpi_link *rpi_table_pop(struct rpi_table *table)
{
    struct rpi_link *link = NULL;
    while (table->count && !(link = rpi_list_pop(&table->buckets[table->count - 1])))
        table->count--;
    return link;
}

void rpi_table_free(struct rpi_table *table, const struct rpi_alloc *alloc)
{
    rpi_free(alloc, table->buckets);
    *table = (struct rpi_table){ .buckets = NULL };
}

struct rpi_link *rpi_table_next(const struct rpi_table *table, const struct rpi_link *link,
                                uint64_t key)
{
    struct rpi_link *head = link ? rpi_table_bucket(table, key) : table->buckets;
    if (!head)
        return NULL;
    struct rpi_link *next = link ? link->next : head->next;
    while (next == head) {
        if (++head == table->buckets + table->count)
            return NULL;
        next = head->next;
    }
    return next;
}
