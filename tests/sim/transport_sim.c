#include "transport_sim.h"

#include "memory.h"

#include <stdio.h>
#include <stdlib.h>

#define SLOW      0.03 /* part of the messages that are much slower */
#define SLOWER    30.0
#define LATE_SENT 0.1 /* part of the sends that are reported long after */
#define LATE      200.0

void transport_sim_init(struct transport_sim *transport, uint64_t seed, double latency, int workers)
{
    *transport = (struct transport_sim){ .chance = { seed },
                                         .latency = latency,
                                         .workers = workers };
    for (int side = 0; side < 2; side++) {
        transport->lanes[side] = test_zeroed(((size_t)workers + 1) * sizeof(struct sim_lane));
        for (int worker = 0; worker <= workers; worker++) {
            rpi_list_init(&transport->lanes[side][worker].batches);
            rpi_list_init(&transport->lanes[side][worker].pieces);
        }
    }
}

static struct sim_message *message_of(struct rpi_link *link)
{
    return RPI_MEMBER(link, struct sim_message, link);
}

void transport_sim_drop(struct sim_message *message)
{
    if (!message)
        return;
    rpi_list_remove(&message->link);
    free(message->bytes);
    free(message);
}

static void drop_all(struct rpi_link *list)
{
    for (struct rpi_link *link; (link = rpi_list_first(list));)
        transport_sim_drop(message_of(link));
}

void transport_sim_fini(struct transport_sim *transport)
{
    struct sim_event event;
    while (transport_sim_next(transport, &event))
        transport_sim_drop(event.message);
    free(transport->heap);
    for (int side = 0; side < 2; side++) {
        for (int worker = 0; worker <= transport->workers; worker++) {
            drop_all(&transport->lanes[side][worker].batches);
            drop_all(&transport->lanes[side][worker].pieces);
            free(transport->lanes[side][worker].rooms);
        }
        free(transport->lanes[side]);
    }
}

/* ---- events: a heap by time */

static bool earlier(const struct sim_event *a, const struct sim_event *b)
{
    return a->at < b->at || (!(b->at < a->at) && a->order < b->order);
}

/* There is room. */
static void put(struct transport_sim *transport, const struct sim_event *event)
{
    struct sim_event *heap = transport->heap;
    size_t i = transport->count++;
    for (; i > 0 && earlier(event, &heap[(i - 1) / 2]); i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = *event;
}

void transport_sim_add(struct transport_sim *transport, struct sim_event event)
{
    if (transport->count == transport->capacity) {
        transport->capacity = transport->capacity ? 2 * transport->capacity : 256;
        transport->heap = test_room(transport->heap, transport->capacity * sizeof *transport->heap);
    }
    event.order = transport->order++;
    put(transport, &event);
}

/* Takes the event at `i` out and puts the last one into its place. */
static struct sim_event take(struct transport_sim *transport, size_t i)
{
    struct sim_event *heap = transport->heap, taken = heap[i], last = heap[--transport->count];
    for (; i > 0 && earlier(&last, &heap[(i - 1) / 2]); i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    for (size_t child = 2 * i + 1; child < transport->count; child = 2 * i + 1) {
        if (child + 1 < transport->count && earlier(&heap[child + 1], &heap[child]))
            child++;
        if (!earlier(&heap[child], &last))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return taken;
}

bool transport_sim_next(struct transport_sim *transport, struct sim_event *event)
{
    if (!transport->count)
        return false;
    *event = take(transport, 0);
    return true;
}

bool transport_sim_next_at(struct transport_sim *transport, int worker, double until,
                           struct sim_event *event)
{
    size_t first = transport->count;
    for (size_t i = 0; i < transport->count; i++) {
        const struct sim_event *one = &transport->heap[i];
        if (one->side == SIM_WORKER && one->worker == worker && one->kind <= SIM_SENT &&
            one->at <= until &&
            (first == transport->count || earlier(one, &transport->heap[first])))
            first = i;
    }
    if (first == transport->count)
        return false;
    *event = take(transport, first);
    return true;
}

/* ---- messages */

static uint64_t sum_of(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint64_t sum = size;
    for (; size >= 8; size -= 8, bytes += 8)
        sum = (sum ^ rpi_get64(bytes)) * 0x9E3779B97F4A7C15U;
    for (; size > 0; size--, bytes++)
        sum = (sum ^ *bytes) * 0x9E3779B97F4A7C15U;
    return sum;
}

/* `copied` false: only what the sender's bytes were. */
static struct sim_message *message_new(const void *data, size_t size, bool copied)
{
    struct sim_message *message = test_zeroed(sizeof *message);
    rpi_list_init(&message->link);
    message->source = data;
    message->size = size;
    message->sum = data ? sum_of(data, size) : 0;
    message->bytes = copied ? test_room(NULL, size) : NULL;
    if (copied && size)
        memcpy(message->bytes, data, size);
    return message;
}

bool transport_sim_unchanged(const struct sim_message *message)
{
    return !message->source || message->sum == sum_of(message->source, message->size);
}

static struct sim_lane *lane_to(struct transport_sim *transport, enum sim_side side, int worker)
{
    return &transport->lanes[side][worker];
}

void transport_sim_slow(struct transport_sim *transport, int worker, double times)
{
    lane_to(transport, SIM_MASTER, worker)->slow = times;
    lane_to(transport, SIM_WORKER, worker)->slow = times;
}

/* A random delay of one message, in seconds. */
static double random_delay(struct transport_sim *transport, int worker)
{
    double delay = transport->latency / 2 +
                   chance_exponential(&transport->chance, transport->latency / 2);
    double slow = lane_to(transport, SIM_MASTER, worker)->slow;
    if (slow > 0)
        delay *= slow;
    return chance_is(&transport->chance, SLOW) ? SLOWER * delay : delay;
}

void transport_sim_send_bytes(struct transport_sim *transport, enum sim_side from, int worker,
                              const void *data, size_t size, double now)
{
    enum sim_side to = from == SIM_MASTER ? SIM_WORKER : SIM_MASTER;
    struct sim_lane *lane = lane_to(transport, to, worker);
    double at = now + random_delay(transport, worker);
    if (at > lane->last)
        lane->last = at;
    rpi_list_append(&lane->batches, &message_new(data, size, true)->link);
    transport_sim_add(
        transport,
        (struct sim_event){ .at = lane->last, .kind = SIM_BATCH, .side = to, .worker = worker });
}

static void report_sent(struct transport_sim *transport, enum sim_side from, int worker,
                        struct rpi_batch *batch, const void *data, size_t size, double now)
{
    double delay = chance_is(&transport->chance, 0.3) ? 0 : random_delay(transport, worker);
    if (chance_is(&transport->chance, LATE_SENT))
        delay *= LATE;
    transport_sim_add(transport, (struct sim_event){ .at = now + delay,
                                                     .kind = SIM_SENT,
                                                     .side = from,
                                                     .worker = worker,
                                                     .message = message_new(data, size, false),
                                                     .cookie = batch });
}

/* Large payloads that have been sent, and that a receive waits for, come in a while. */
static void match(struct transport_sim *transport, enum sim_side side, int worker, double now)
{
    struct sim_lane *lane = lane_to(transport, side, worker);
    for (struct rpi_link *link; lane->room_count && (link = rpi_list_pop(&lane->pieces));) {
        struct rpi_arrival *arrival = lane->rooms[0];
        memmove(lane->rooms, lane->rooms + 1, --lane->room_count * sizeof(struct rpi_arrival *));
        if (arrival->size != message_of(link)->size)
            (void)snprintf(transport->wrong, sizeof transport->wrong,
                           "worker %d: room for %u bytes meets a payload of %zu", worker,
                           (uint32_t)arrival->size, message_of(link)->size);
        transport_sim_add(transport,
                          (struct sim_event){ .at = now + random_delay(transport, worker),
                                              .kind = SIM_PIECE,
                                              .side = side,
                                              .worker = worker,
                                              .message = message_of(link),
                                              .cookie = arrival });
    }
}

void transport_sim_send(struct transport_sim *transport, enum sim_side from, int worker,
                        struct rpi_batch *batch, double now)
{
    enum sim_side to = from == SIM_MASTER ? SIM_WORKER : SIM_MASTER;
    transport_sim_send_bytes(transport, from, worker, batch->bytes, batch->size, now);
    report_sent(transport, from, worker, batch, batch->bytes, batch->size, now);
    for (uint16_t i = 0; i < batch->piece_count; i++) {
        const struct rpi_piece *piece = &batch->pieces[i];
        rpi_list_append(&lane_to(transport, to, worker)->pieces,
                        &message_new(piece->data, piece->size, true)->link);
        report_sent(transport, from, worker, batch, piece->owned, piece->size, now);
    }
    match(transport, to, worker, now);
}

void transport_sim_post(struct transport_sim *transport, enum sim_side side, int worker,
                        struct rpi_arrival *arrival, double now)
{
    struct sim_lane *lane = lane_to(transport, side, worker);
    if (lane->room_count == lane->room_capacity) {
        lane->room_capacity = lane->room_capacity ? 2 * lane->room_capacity : 8;
        lane->rooms = test_room(lane->rooms, lane->room_capacity * sizeof(struct rpi_arrival *));
    }
    lane->rooms[lane->room_count++] = arrival;
    match(transport, side, worker, now);
}

struct sim_message *transport_sim_first(const struct transport_sim *transport, enum sim_side side,
                                        int worker)
{
    struct rpi_link *link = rpi_list_first(&transport->lanes[side][worker].batches);
    return link ? message_of(link) : NULL;
}

void transport_sim_renew(struct transport_sim *transport, int worker)
{
    size_t count = transport->count;
    transport->count = 0; /* each of the others is put in anew, at or before its place */
    for (size_t i = 0; i < count; i++) {
        struct sim_event event = transport->heap[i];
        if (event.worker == worker)
            transport_sim_drop(event.message);
        else
            put(transport, &event);
    }
    for (int side = 0; side < 2; side++) {
        struct sim_lane *lane = &transport->lanes[side][worker];
        drop_all(&lane->batches);
        drop_all(&lane->pieces);
        lane->room_count = 0;
    }
}
