#include "tables/attempts.h"

#define BUCKETS 256 /* a power of two: what a lost worker had is a few hundred tasks */

void rpi_attempts_init(struct rpi_attempts *attempts, const struct rpi_alloc *alloc)
{
    *attempts = (struct rpi_attempts){ .alloc = *alloc };
}

static struct rpi_attempt *attempt_of(struct rpi_link *link)
{
    return RPI_MEMBER(link, struct rpi_attempt, link);
}

void rpi_attempts_fini(struct rpi_attempts *attempts)
{
    for (struct rpi_link *link; (link = rpi_table_pop(&attempts->table));)
        rpi_free(&attempts->alloc, attempt_of(link));
    rpi_table_free(&attempts->table, &attempts->alloc);
    attempts->count = 0;
}

struct rpi_attempt *rpi_attempts_find(const struct rpi_attempts *attempts, uint64_t id)
{
    if (attempts->count == 0)
        return NULL;
    const struct rpi_link *head = rpi_table_bucket(&attempts->table, id);
    for (struct rpi_link *link = head->next; link != head; link = link->next)
        if (attempt_of(link)->id == id)
            return attempt_of(link);
    return NULL;
}

struct rpi_attempt *rpi_attempts_of(struct rpi_attempts *attempts, uint64_t id)
{
    struct rpi_attempt *attempt = rpi_attempts_find(attempts, id);
    if (attempt || !rpi_table_make(&attempts->table, &attempts->alloc, BUCKETS))
        return attempt;
    attempt = rpi_zeroed(&attempts->alloc, sizeof *attempt);
    if (!attempt)
        return NULL;
    attempt->id = id;
    rpi_list_append(rpi_table_bucket(&attempts->table, id), &attempt->link);
    attempts->count++;
    return attempt;
}

void rpi_attempt_note(struct rpi_attempt *attempt, int worker)
{
    if (attempt->times < RPI_ATTEMPT_PLACES)
        attempt->workers[attempt->times] = worker;
    attempt->times++;
}

const struct rpi_attempt *rpi_attempts_next(const struct rpi_attempts *attempts,
                                            const struct rpi_attempt *attempt)
{
    struct rpi_link *next = attempt ? rpi_table_next(&attempts->table, &attempt->link, attempt->id)
                                    : rpi_table_next(&attempts->table, NULL, 0);
    return next ? attempt_of(next) : NULL;
}

bool rpi_attempts_forget(struct rpi_attempts *attempts, uint64_t id)
{
    struct rpi_attempt *attempt = rpi_attempts_find(attempts, id);
    if (!attempt)
        return false;
    rpi_list_remove(&attempt->link);
    rpi_free(&attempts->alloc, attempt);
    attempts->count--;
    return true;
}
