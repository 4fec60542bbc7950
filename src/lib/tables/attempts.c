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
    for (size_t i = 0; losses->buckets && i < BUCKETS; i++)
        for (struct rpi_link *link; (link = rpi_list_pop(&losses->buckets[i]));)
            rpi_free(&losses->alloc, loss_of(link));
    rpi_free(&losses->alloc, losses->buckets);
    losses->buckets = NULL;
    losses->count = 0;
}

static struct rpi_link *bucket_of(const struct rpi_attempts *losses, uint64_t id)
{
    return &losses->buckets[(id * 0x9E3779B97F4A7C15U) >> 32 & (BUCKETS - 1)];
}

struct rpi_attempt *rpi_attempts_find(const struct rpi_attempts *losses, uint64_t id)
{
    if (losses->count == 0)
        return NULL;
    const struct rpi_link *head = bucket_of(losses, id);
    for (struct rpi_link *link = head->next; link != head; link = link->next)
        if (loss_of(link)->id == id)
            return loss_of(link);
    return NULL;
}

static bool make_buckets(struct rpi_attempts *losses)
{
    if (losses->buckets)
        return true;
    losses->buckets = rpi_reserve(&losses->alloc, BUCKETS * sizeof *losses->buckets);
    for (size_t i = 0; losses->buckets && i < BUCKETS; i++)
        rpi_list_init(&losses->buckets[i]);
    return losses->buckets;
}

struct rpi_attempt *rpi_attempts_of(struct rpi_attempts *losses, uint64_t id)
{
    struct rpi_attempt *loss = rpi_attempts_find(losses, id);
    if (loss || !make_buckets(losses))
        return loss;
    loss = rpi_zeroed(&losses->alloc, sizeof *loss);
    if (!loss)
        return NULL;
    loss->id = id;
    rpi_list_append(bucket_of(losses, id), &loss->link);
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
    if (losses->count == 0)
        return NULL;
    struct rpi_link *head = loss ? bucket_of(losses, loss->id) : losses->buckets;
    const struct rpi_link *next = loss ? loss->link.next : head->next;
    while (next == head) {
        if (++head == losses->buckets + BUCKETS)
            return NULL;
        next = head->next;
    }
    return RPI_MEMBER(next, struct rpi_attempt, link);
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
