/* An intrusive ring: a head and its members are struct rpi_link; an empty head points at itself. */
#ifndef RPI_LIST_H
#define RPI_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct rpi_link {
    struct rpi_link *next, *previous;
};

#define RPI_MEMBER(link, type, field) ((type *)(void *)((char *)(link)-offsetof(type, field)))

static inline void rpi_list_init(struct rpi_link *head)
{
    head->next = head->previous = head;
}

static inline bool rpi_list_empty(const struct rpi_link *head)
{
    return head->next == head;
}

static inline void rpi_list_append(struct rpi_link *head, struct rpi_link *link)
{
    link->previous = head->previous;
    link->next = head;
    head->previous->next = link;
    head->previous = link;
}

/* Before all others. */
static inline void rpi_list_prepend(struct rpi_link *head, struct rpi_link *link)
{
    rpi_list_append(head->next, link);
}

static inline void rpi_list_remove(struct rpi_link *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    link->next = link->previous = link;
}

/* NULL when empty. */
static inline struct rpi_link *rpi_list_first(const struct rpi_link *head)
{
    return rpi_list_empty(head) ? NULL : head->next;
}

static inline struct rpi_link *rpi_list_pop(struct rpi_link *head)
{
    struct rpi_link *link = rpi_list_first(head);
    if (link)
        rpi_list_remove(link);
    return link;
}

#endif
