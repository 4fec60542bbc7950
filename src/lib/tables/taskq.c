#include "tables/taskq.h"

#include "base/status.h"
#include "tables/futures.h"

#define HEADER RPI_TASKQ_HEADER

/* An entry with a rank; it stays where it is while the heap moves. */
struct node {
    struct rpi_entry entry; /* its data is `bytes`, or what it points at */
    uint8_t bytes[];
};

struct rpi_ranked {
    struct rpi_rank rank;
    struct node *node;
};

/* One of these, or neither. */
struct rpi_place {
    uint8_t *plain; /* the header */
    struct node *node;
};

void rpi_taskq_init(struct rpi_taskq *queue, const struct rpi_alloc *alloc)
{
    *queue = (struct rpi_taskq){ .alloc = *alloc };
}

static bool before(const struct rpi_rank *a, const struct rpi_rank *b)
{
    if (a->priority != b->priority)
        return a->priority > b->priority;
    if (a->cost < b->cost || a->cost > b->cost)
        return a->cost > b->cost;
    return a->order < b->order;
}

/* ---- the blocks */

static uint32_t body_size(const struct rpi_entry *entry)
{
    return entry->flags & RPI_ENTRY_POINTS ? (uint32_t)sizeof entry->data
                                           : (entry->size + 7U) & ~7U;
}

static struct rpi_block *tail_with(struct rpi_taskq *queue, uint32_t size)
{
    struct rpi_block *tail = queue->tail;
    if (tail && size <= sizeof tail->bytes - tail->used)
        return tail;
    struct rpi_block *block = queue->spare ? queue->spare
                                           : rpi_reserve(&queue->alloc, sizeof *block);
    if (!block)
        return NULL;
    queue->spare = NULL;
    block->next = NULL;
    block->used = 0;
    if (tail)
        tail->next = block;
    else
        queue->head = block;
    queue->tail = block;
    return block;
}

static rp_status push_plain(struct rpi_taskq *queue, const struct rpi_entry *entry)
{
    uint32_t body = body_size(entry);
    struct rpi_block *block = tail_with(queue, HEADER + body);
    if (!block)
        return rpi_no_memory("the task queue");
    uint8_t *to = rpi_taskq_put(block, entry->id, entry->function, (uint8_t)entry->flags,
                                entry->size, body);
    if (entry->flags & RPI_ENTRY_POINTS) {
        memcpy(to, &entry->data, sizeof entry->data);
    } else if (entry->size == 8) {
        memcpy(to, entry->data, 8);
    } else if (entry->size) {
        rpi_put64(to + body - 8, 0);
        memcpy(to, entry->data, entry->size);
    }
    return RP_OK;
}

/* Leaves a block that is read to its end; false: nothing is left. */
static bool advance(struct rpi_taskq *queue)
{
    struct rpi_block *head = queue->head;
    if (!head->next) {
        head->used = queue->at = queue->known_to =
            0; /* the same bytes again, while they are in the cache */
        return false;
    }
    if (queue->known == head) {
        queue->known = head->next;
        queue->known_to = 0;
    }
    queue->head = head->next;
    queue->at = 0;
    if (queue->spare)
        rpi_free(&queue->alloc, head);
    else
        queue->spare = head;
    return true;
}

static void read_plain(const uint8_t *from, struct rpi_entry *entry)
{
    entry->id = rpi_get64(from);
    entry->function = rpi_get16(from + 8);
    entry->flags = from[11];
    entry->size = rpi_get32(from + 12);
    entry->data = from + HEADER;
    if (entry->flags & RPI_ENTRY_POINTS)
        memcpy(&entry->data, from + HEADER, sizeof entry->data);
}

static bool peek_plain(struct rpi_taskq *queue, struct rpi_entry *entry)
{
    if (!queue->head || (queue->at == queue->head->used && !advance(queue)))
        return false;
    read_plain(queue->head->bytes + queue->at, entry);
    queue->peeked = HEADER + body_size(entry);
    return true;
}

/* ---- places */

static struct rpi_place *place_of(struct rpi_places *places, uint64_t id)
{
    uint32_t slot = (uint32_t)id;
    if (slot < places->count)
        return &places->at[slot];
    uint64_t count = slot + (uint64_t)slot / 2 + 64;
    if (count > UINT32_MAX)
        count = UINT32_MAX;
    struct rpi_place *at = rpi_resize(&places->alloc, places->at, (size_t)count * sizeof *at);
    if (!at)
        return NULL;
    memset(at + places->count, 0, (size_t)(count - places->count) * sizeof *at);
    places->at = at;
    places->count = (uint32_t)count;
    return &at[slot];
}

void rpi_taskq_places_fini(struct rpi_places *places)
{
    rpi_free(&places->alloc, places->at);
    places->at = NULL;
    places->count = 0;
}

/* Of an entry that is not wanted any more there is nothing to know: the slot may be another's. */
static bool note_place(struct rpi_places *places, const struct rpi_futures *futures, uint64_t id,
                       struct rpi_place at)
{
    const struct rpi_future *future = rpi_future_of(futures, id);
    if (!future || future->state != RP_QUEUED)
        return true;
    struct rpi_place *place = place_of(places, id);
    if (place)
        *place = at;
    return place;
}

/* Those without rank that were pushed since the last time. */
static bool note_plain(struct rpi_taskq *queue, const struct rpi_futures *futures)
{
    struct rpi_entry entry;
    if (!queue->known)
        queue->known = queue->head;
    while (queue->known) {
        struct rpi_block *block = queue->known;
        if (block == queue->head && queue->known_to < queue->at)
            queue->known_to = queue->at;
        while (queue->known_to < block->used) {
            uint8_t *header = block->bytes + queue->known_to;
            read_plain(header, &entry);
            if (!note_place(queue->places, futures, entry.id,
                            (struct rpi_place){ .plain = header }))
                return false;
            queue->known_to += HEADER + body_size(&entry);
        }
        if (!block->next)
            break;
        queue->known = block->next;
        queue->known_to = 0;
    }
    return true;
}

/* Those with a rank; those that come later are noted as they are pushed. */
static bool note_ranked(struct rpi_taskq *queue, struct rpi_places *places,
                        const struct rpi_futures *futures)
{
    for (size_t i = 0; i < queue->ranked; i++) {
        struct node *node = queue->heap[i].node;
        if (!note_place(places, futures, node->entry.id, (struct rpi_place){ .node = node }))
            return false;
    }
    queue->places = places;
    return true;
}

/* ---- the heap */

static void sift_up(struct rpi_ranked *heap, size_t i)
{
    struct rpi_ranked item = heap[i];
    for (; i > 0 && before(&item.rank, &heap[(i - 1) / 2].rank); i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = item;
}

static void sift_down(struct rpi_ranked *heap, size_t count)
{
    struct rpi_ranked item = heap[0];
    size_t i = 0;
    for (size_t child = 1; child < count; child = 2 * i + 1) {
        if (child + 1 < count && before(&heap[child + 1].rank, &heap[child].rank))
            child++;
        if (!before(&heap[child].rank, &item.rank))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = item;
}

static bool make_room(struct rpi_taskq *queue)
{
    if (queue->ranked < queue->capacity)
        return true;
    size_t capacity = queue->capacity ? 2 * queue->capacity : 64;
    struct rpi_ranked *heap = rpi_resize(&queue->alloc, queue->heap, capacity * sizeof *heap);
    if (!heap)
        return false;
    queue->heap = heap;
    queue->capacity = capacity;
    return true;
}

static struct node *make_node(const struct rpi_alloc *alloc, const struct rpi_entry *entry)
{
    size_t size = entry->flags & RPI_ENTRY_POINTS ? 0 : entry->size;
    struct node *node = rpi_reserve(alloc, sizeof *node + size);
    if (!node)
        return NULL;
    node->entry = *entry;
    if (size)
        node->entry.data = memcpy(node->bytes, entry->data, size);
    return node;
}

static rp_status push_ranked(struct rpi_taskq *queue, const struct rpi_entry *entry,
                             const struct rpi_rank *rank)
{
    struct rpi_place *place = queue->places ? place_of(queue->places, entry->id) : NULL;
    if ((queue->places && !place) || !make_room(queue))
        return rpi_no_memory("the task queue");
    struct node *node = make_node(&queue->alloc, entry);
    if (!node)
        return rpi_no_memory("the task queue");
    if (place)
        *place = (struct rpi_place){ .node = node };
    queue->heap[queue->ranked] = (struct rpi_ranked){ .rank = *rank, .node = node };
    sift_up(queue->heap, queue->ranked++);
    return RP_OK;
}

static void pop_ranked(struct rpi_taskq *queue)
{
    rpi_free(&queue->alloc, queue->heap[0].node);
    queue->heap[0] = queue->heap[--queue->ranked];
    if (queue->ranked)
        sift_down(queue->heap, queue->ranked);
}

/* What is left at the old place is no task's, and owns nothing. */
static void leave(const struct rpi_place *place)
{
    if (place->node) {
        place->node->entry.id = 0;
        place->node->entry.flags &= (uint16_t)~RPI_ENTRY_OWNED;
    } else {
        rpi_put64(place->plain, 0);
        place->plain[11] &= (uint8_t)~RPI_ENTRY_OWNED;
    }
}

rp_status rpi_taskq_raise(struct rpi_taskq *queue, struct rpi_places *places,
                          const struct rpi_futures *futures, uint64_t id,
                          const struct rpi_rank *rank)
{
    struct rpi_entry entry;
    if ((!queue->places && !note_ranked(queue, places, futures)) || !note_plain(queue, futures))
        return rpi_no_memory("the task queue");
    const struct rpi_place old = places->at[(uint32_t)id];
    if (old.node)
        entry = old.node->entry;
    else
        read_plain(old.plain, &entry);
    rp_status status = push_ranked(queue, &entry, rank);
    if (status == RP_OK)
        leave(&old);
    return status;
}

/* ---- both */

static bool ranked_first(struct rpi_taskq *queue)
{
    struct rpi_entry unused;
    return queue->ranked && (queue->heap[0].rank.priority >= 0 || !peek_plain(queue, &unused));
}

rp_status rpi_taskq_push(struct rpi_taskq *queue, const struct rpi_entry *entry,
                         const struct rpi_rank *rank)
{
    if (rank->priority == 0 && !(rank->cost > 0) && !rank->back)
        return push_plain(queue, entry);
    return push_ranked(queue, entry, rank);
}

bool rpi_taskq_peek(struct rpi_taskq *queue, struct rpi_entry *entry)
{
    if (!ranked_first(queue))
        return peek_plain(queue, entry);
    *entry = queue->heap[0].node->entry;
    queue->peeked = 0;
    return true;
}

struct rpi_rank rpi_taskq_rank(const struct rpi_taskq *queue)
{
    static const struct rpi_rank none;
    return queue->peeked ? none : queue->heap[0].rank;
}

void rpi_taskq_pop(struct rpi_taskq *queue)
{
    if (queue->peeked)
        queue->at += queue->peeked;
    else
        pop_ranked(queue);
}

const uint8_t *rpi_taskq_run(const struct rpi_taskq *queue, uint32_t *bytes)
{
    if (!queue->peeked)
        return NULL;
    *bytes = queue->head->used - queue->at;
    return queue->head->bytes + queue->at;
}

void rpi_taskq_fini(struct rpi_taskq *queue,
                    void (*drop)(void *context, const struct rpi_entry *entry), void *context)
{
    struct rpi_entry entry;
    while (rpi_taskq_peek(queue, &entry)) {
        drop(context, &entry);
        rpi_taskq_pop(queue);
    }
    rpi_free(&queue->alloc, queue->head); /* the last one */
    rpi_free(&queue->alloc, queue->spare);
    rpi_free(&queue->alloc, queue->heap);
    queue->head = queue->tail = queue->spare = NULL;
    queue->heap = NULL;
    queue->ranked = queue->capacity = 0;
}
