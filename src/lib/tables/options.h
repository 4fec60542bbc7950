/* Task options, interned: a task stores a number, and tasks submitted one after another with equal
 * options share it. */
#ifndef RPI_OPTIONS_H
#define RPI_OPTIONS_H

#include "base/alloc.h"

struct rpi_completions;
struct rpi_deps_dependent;
struct rpi_keyed;

struct rpi_options {
    int32_t priority;
    uint32_t retries;
    uint32_t attempts; /* as given; 0: default */
    double cost;
    double time_limit; /* seconds; 0: none */
    rp_done *on_done;
    void *user;
    int32_t worker;                       /* wanted; 0: any */
    bool hard;                            /* and no other */
    struct rpi_deps_dependent *dependent; /* what it comes after, or NULL */
    struct rpi_keyed *keyed;              /* what the journal must know of it, or NULL */
    struct rpi_completions *completions;  /* of the stream that its outcome goes to */
    uint64_t epoch; /* of its submission (shared_versions.h); 0: nothing was shared */
};

/* How often a task may start whose process or worker ends in it. */
static inline uint32_t rpi_options_attempts(const struct rpi_options *options)
{
    return options->attempts ? options->attempts : 3;
}

struct rpi_interned;

struct rpi_option_table {
    struct rpi_alloc alloc;
    struct rpi_interned *entries; /* entry 0 is unused: number 0 means no options */
    uint32_t count, capacity, free, last;
};

void rpi_options_init(struct rpi_option_table *table, const struct rpi_alloc *alloc);
void rpi_options_fini(struct rpi_option_table *table);

/* The number of these options, held once more; 0 in *number for options that are all default. */
RP_MUST_USE rp_status rpi_options_intern(struct rpi_option_table *table,
                                         const struct rpi_options *options, uint32_t *number);
/* Once more; not 0. */
void rpi_options_hold(struct rpi_option_table *table, uint32_t number);
bool rpi_options_are_default(const struct rpi_options *options);
/* Changes the priority of one task's options; *number is then the new options'.  RP_ERR_NOMEM:
 * nothing changed. */
RP_MUST_USE rp_status rpi_options_raise(struct rpi_option_table *table, uint32_t *number,
                                        int32_t priority);
/* `number` 0: the defaults. */
const struct rpi_options *rpi_options_at(const struct rpi_option_table *table, uint32_t number);
void rpi_options_release(struct rpi_option_table *table, uint32_t number);
/* The completions are gone: no task goes there any more. */
void rpi_options_detach(struct rpi_option_table *table, const struct rpi_completions *completions);

#endif
