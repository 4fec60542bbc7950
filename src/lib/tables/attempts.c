#include "tables/attempts.h"

#define BUCKETS 256 /* a power of two: what a lost worker had is a few hundred tasks */

void rpi_attempts_init(struct rpi_attempts *losses, const struct rpi_alloc *alloc)
{
    *losses = (struct rpi_attempts){ .alloc = *alloc };
}

static struct rpi_attempt *loss_of(struct rpi_link *link)
{
    return RPI_MEMBER(link, struct rpi_attempt, link);
}

void rpi_attempts_fini(struct rpi_attempts *losses)
{
    for (struct rpi_link *link; (link = rpi_table_pop(&losses->table));)
        rpi_free(&losses->alloc, loss_of(link));
    rpi_table_free(&losses->table, &losses->alloc);
    losses->count = 0;
}

struct rpi_attempt *rpi_attempts_find(const struct rpi_attempts *losses, uint64_t id)
{
    if (losses->count == 0)
        return NULL;
    const struct rpi_link *head = rpi_table_bucket(&losses->table, id);
    for (struct rpi_link *link = head->next; link != head; link = link->next)
        if (loss_of(link)->id == id)
            return loss_of(link);
    return NULL;
}

struct rpi_attempt *rpi_attempts_of(struct rpi_attempts *losses, uint64_t id)
{
    struct rpi_attempt *loss = rpi_attempts_find(losses, id);
    if (loss || !rpi_table_make(&losses->table, &losses->alloc, BUCKETS))
        return loss;
    loss = rpi_zeroed(&losses->alloc, sizeof *loss);
    if (!loss)
        return NULL;
    loss->id = id;
    rpi_list_append(rpi_table_bucket(&losses->table, id), &loss->link);
    losses->count++;
    return loss;
}

void rpi_attempt_note(struct rpi_attempt *loss, int worker)
{
    if (loss->times < RPI_ATTEMPT_PLACES)
        loss->workers[loss->times] = worker;
    loss->times++;
}

const struct rpi_attempt *rpi_attempts_next(const struct rpi_attempts *losses,
                                            const struct rpi_attempt *loss)
{
    struct rpi_link *next = loss ? rpi_table_next(&losses->table, &loss->link, loss->id)
                                 : rpi_table_next(&losses->table, NULL, 0);
    return next ? loss_of(next) : NULL;
}

bool rpi_attempts_forget(struct rpi_attempts *losses, uint64_t id)
{
    struct rpi_attempt *loss = rpi_attempts_find(losses, id);
    if (!loss)
        return false;
    rpi_list_remove(&loss->link);
    rpi_free(&losses->alloc, loss);
    losses->count--;
    return true;
}
