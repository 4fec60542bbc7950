#include "tables/copies.h"

struct copy {
    struct rpi_link link;
    uint64_t id;
    uint32_t batch;
    uint8_t attempt;
};

bool rpi_copies_add(struct rpi_roster *roster, int worker, uint64_t id, uint8_t attempt,
                    uint32_t batch)
{
    struct copy *copy = rpi_reserve(&roster->alloc, sizeof *copy);
    if (!copy)
        return false;
    *copy = (struct copy){ .id = id, .batch = batch, .attempt = attempt };
    rpi_list_append(&roster->seats[worker].copies, &copy->link);
    return true;
}

/* A worker answers in order, nearly: the one that is looked for is among the first. */
static struct copy *find(const struct rpi_roster *roster, int worker, uint64_t id, uint8_t attempt)
{
    const struct rpi_link *head = &roster->seats[worker].copies;
    for (struct rpi_link *link = head->next; link != head; link = link->next) {
        struct copy *copy = RPI_MEMBER(link, struct copy, link);
        if (copy->id == id && copy->attempt == attempt)
            return copy;
    }
    return NULL;
}

bool rpi_copies_has(const struct rpi_roster *roster, int worker, uint64_t id, uint8_t attempt)
{
    return find(roster, worker, id, attempt);
}

bool rpi_copies_take(struct rpi_roster *roster, int worker, uint64_t id, uint8_t attempt,
                     uint32_t *batch)
{
    struct copy *copy = find(roster, worker, id, attempt);
    if (!copy)
        return false;
    *batch = copy->batch;
    rpi_list_remove(&copy->link);
    rpi_free(&roster->alloc, copy);
    return true;
}

bool rpi_copies_pop(struct rpi_roster *roster, int worker, uint32_t *batch)
{
    struct rpi_link *link = rpi_list_pop(&roster->seats[worker].copies);
    struct copy *copy = link ? RPI_MEMBER(link, struct copy, link) : NULL;
    if (!copy)
        return false;
    *batch = copy->batch;
    rpi_free(&roster->alloc, copy);
    return true;
}

void rpi_copies_drop(struct rpi_roster *roster, int worker)
{
    uint32_t batch;
    while (rpi_copies_pop(roster, worker, &batch))
        continue;
}
