#include "tables/options.h"

#include "base/status.h"

struct rpi_interned {
    struct rpi_options options;
    uint32_t held; /* number of tasks; 0: free */
    uint32_t next; /* free one; 0: none */
};

static const struct rpi_options defaults;

void rpi_options_init(struct rpi_option_table *table, const struct rpi_alloc *alloc)
{
    *table = (struct rpi_option_table){ .alloc = *alloc, .count = 1 };
}

void rpi_options_fini(struct rpi_option_table *table)
{
    rpi_free(&table->alloc, table->entries);
    table->entries = NULL;
}

static bool equal(double a, double b)
{
    return !(a < b || a > b);
}

static bool same(const struct rpi_options *a, const struct rpi_options *b)
{
    return a->priority == b->priority && a->retries == b->retries && a->attempts == b->attempts &&
           equal(a->cost, b->cost) && equal(a->time_limit, b->time_limit) &&
           a->on_done == b->on_done && a->user == b->user && a->worker == b->worker &&
           a->hard == b->hard && a->completions == b->completions && a->dependent == b->dependent &&
           a->keyed == b->keyed && a->epoch == b->epoch;
}

static uint32_t new_entry(struct rpi_option_table *table)
{
    uint32_t number = table->free;
    if (number) {
        table->free = table->entries[number].next;
        return number;
    }
    if (table->count >= table->capacity) {
        uint32_t capacity = table->capacity ? 2 * table->capacity : 16;
        struct rpi_interned *entries = rpi_resize(&table->alloc, table->entries,
                                                  capacity * sizeof *entries);
        if (!entries)
            return 0;
        table->entries = entries;
        table->capacity = capacity;
    }
    return table->count++;
}

rp_status rpi_options_intern(struct rpi_option_table *table, const struct rpi_options *options,
                             uint32_t *number)
{
    uint32_t last = table->last;
    if (last && table->entries[last].held && same(options, &table->entries[last].options)) {
        table->entries[last].held++;
        *number = last;
        return RP_OK;
    }
    if (same(options, &defaults)) {
        *number = 0;
        return RP_OK;
    }
    uint32_t new = new_entry(table);
    if (!new)
        return rpi_no_memory("task options");
    table->entries[new] = (struct rpi_interned){ .options = *options, .held = 1 };
    table->last = *number = new;
    return RP_OK;
}

void rpi_options_hold(struct rpi_option_table *table, uint32_t number)
{
    table->entries[number].held++;
}

bool rpi_options_are_default(const struct rpi_options *options)
{
    return same(options, &defaults);
}

const struct rpi_options *rpi_options_at(const struct rpi_option_table *table, uint32_t number)
{
    return number ? &table->entries[number].options : &defaults;
}

void rpi_options_release(struct rpi_option_table *table, uint32_t number)
{
    if (!number || --table->entries[number].held)
        return;
    table->entries[number].next = table->free;
    table->free = number;
}

rp_status rpi_options_raise(struct rpi_option_table *table, uint32_t *number, int32_t priority)
{
    struct rpi_options options = *rpi_options_at(table, *number);
    uint32_t new;
    if (*number && table->entries[*number].held == 1) {
        table->entries[*number].options.priority = priority;
        return RP_OK;
    }
    options.priority = priority;
    rp_status status = rpi_options_intern(table, &options, &new);
    if (status != RP_OK)
        return status;
    rpi_options_release(table, *number);
    *number = new;
    return RP_OK;
}

void rpi_options_detach(struct rpi_option_table *table, const struct rpi_completions *completions)
{
    for (uint32_t i = 1; i < table->count && table->entries; i++)
        if (table->entries[i].held && table->entries[i].options.completions == completions)
            table->entries[i].options.completions = NULL;
}
