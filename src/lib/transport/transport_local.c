#include "transport/transport_local.h"

#include "base/list.h"
#include "base/status.h"

#include <string.h>

/* One operation under way: a batch, a large payload, or the room for one. */
struct operation {
    struct rpi_link link;
    void *data;
    size_t size;
    void *cookie;
};

struct end {
    struct rpi_transport base;
    struct rpi_alloc alloc;
    struct end *other;      /* NULL: closed */
    int peer;               /* its number */
    bool forgotten;         /* it counts as ended */
    struct rpi_link inbox;  /* batches from the other end */
    struct rpi_link large;  /* large payloads from the other end */
    struct rpi_link rooms;  /* receives of this end that wait for one */
    struct rpi_link sent;   /* sends of this end that are done */
    struct rpi_link filled; /* receives of this end that are done */
};

static struct end *end_of(struct rpi_transport *transport)
{
    return RPI_MEMBER(transport, struct end, base);
}

static rp_status add(struct end *end, struct rpi_link *list, void *data, size_t size, void *cookie)
{
    struct operation *operation = rpi_reserve(&end->alloc, sizeof *operation);
    if (!operation)
        return rpi_no_memory("a message");
    *operation = (struct operation){ .data = data, .size = size, .cookie = cookie };
    rpi_list_append(list, &operation->link);
    return RP_OK;
}

static rp_status local_send(struct rpi_transport *transport, int peer, const void *data,
                            size_t size, void *cookie, bool *done)
{
    struct end *end = end_of(transport);
    (void)peer;
    *done = end->forgotten;
    return end->forgotten ? RP_OK
                          : add(end, &end->other->inbox, (void *)(uintptr_t)data, size, cookie);
}

static rp_status local_send_large(struct rpi_transport *transport, int peer, const void *data,
                                  size_t size, void *cookie, bool *done)
{
    struct end *end = end_of(transport);
    (void)peer;
    *done = end->forgotten;
    return end->forgotten ? RP_OK
                          : add(end, &end->other->large, (void *)(uintptr_t)data, size, cookie);
}

static rp_status local_receive_large(struct rpi_transport *transport, int peer, void *data,
                                     size_t size, void *cookie)
{
    struct end *end = end_of(transport);
    (void)peer;
    return end->forgotten ? RP_OK : add(end, &end->rooms, data, size, cookie);
}

static struct operation *first(const struct rpi_link *list)
{
    struct rpi_link *link = rpi_list_first(list);
    return link ? RPI_MEMBER(link, struct operation, link) : NULL;
}

static void move(struct operation *operation, struct rpi_link *to)
{
    rpi_list_remove(&operation->link);
    rpi_list_append(to, &operation->link);
}

static void match_large(struct end *end)
{
    struct operation *payload, *room;
    while ((payload = first(&end->large)) && (room = first(&end->rooms))) {
        memcpy(room->data, payload->data, room->size < payload->size ? room->size : payload->size);
        move(payload, &end->other->sent);
        move(room, &end->filled);
    }
}

static void drop(struct end *end, struct operation *operation)
{
    rpi_list_remove(&operation->link);
    rpi_free(&end->alloc, operation);
}

static rp_status local_poll(struct rpi_transport *transport, const struct rpi_events *events,
                            bool *any)
{
    struct end *end = end_of(transport);
    *any = false;
    for (struct operation *batch; !end->forgotten && (batch = first(&end->inbox)); *any = true) {
        if (!events->batch(events->context, end->peer, batch->data, batch->size))
            break;
        move(batch, &end->other->sent);
    }
    if (!end->forgotten)
        match_large(end);
    for (struct operation *sent; !end->forgotten && (sent = first(&end->sent)); *any = true) {
        void *cookie = sent->cookie;
        drop(end, sent);
        events->sent(events->context, cookie);
    }
    for (struct operation *room; !end->forgotten && (room = first(&end->filled)); *any = true) {
        if (!events->received(events->context, room->cookie))
            break;
        drop(end, room);
    }
    return RP_OK;
}

static void local_forget(struct rpi_transport *transport, int peer)
{
    (void)peer;
    end_of(transport)->forgotten = true;
}

/* Both ends are in one process: while one waits, the other must be driven, here or by another
 * thread. */
static bool local_doze(struct rpi_transport *transport)
{
    (void)transport;
    return false;
}

static void local_park(struct rpi_transport *transport, double seconds)
{
    (void)transport;
    (void)seconds;
}

static void local_wake(struct rpi_transport *transport)
{
    (void)transport;
}

static void local_close(struct rpi_transport *transport, bool together)
{
    struct end *end = end_of(transport);
    struct rpi_link *lists[] = { &end->inbox, &end->large, &end->rooms, &end->sent, &end->filled };
    (void)together;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        for (struct operation *operation; (operation = first(lists[i]));)
            drop(end, operation);
    if (end->other)
        end->other->other = NULL;
    rpi_free(&end->alloc, end);
}

static const struct rpi_transport_ops ops = {
    .send = local_send,
    .send_large = local_send_large,
    .receive_large = local_receive_large,
    .poll = local_poll,
    .forget = local_forget,
    .doze = local_doze,
    .park = local_park,
    .wake = local_wake,
    .close = local_close,
};

static struct end *make(const struct rpi_alloc *alloc, int peer)
{
    struct end *end = rpi_reserve(alloc, sizeof *end);
    if (!end)
        return NULL;
    *end = (struct end){ .base = { .ops = &ops, .peers = 1 }, .alloc = *alloc, .peer = peer };
    rpi_list_init(&end->inbox);
    rpi_list_init(&end->large);
    rpi_list_init(&end->rooms);
    rpi_list_init(&end->sent);
    rpi_list_init(&end->filled);
    return end;
}

rp_status rpi_transport_local_open(const struct rpi_alloc *alloc, struct rpi_transport **master,
                                   struct rpi_transport **worker)
{
    struct end *a = make(alloc, 1), *b = make(alloc, 0);
    if (!a || !b) {
        rpi_free(alloc, a);
        rpi_free(alloc, b);
        return rpi_no_memory("a pool");
    }
    a->other = b;
    b->other = a;
    *master = &a->base;
    *worker = &b->base;
    return RP_OK;
}
