#include "taskq.h"

#include "status.h"

#define HEADER RPI_TASKQ_HEADER

struct rpi_ranked {
    struct rpi_rank rank;
    struct rpi_entry entry; /* its data is the copy, or what it points at */
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
    return entry->flags & RPI_ENTRY_POINTS ? (uint32_t)sizeof entry->data : (entry->size + 7U) & ~7U;
}

static struct rpi_block *tail_with(struct rpi_taskq *queue, uint32_t size)
{
    struct rpi_block *tail = queue->tail;
    if (tail && size <= sizeof tail->bytes - tail->used)
        return tail;
    struct rpi_block *block = queue->spare ? queue->spare : rpi_reserve(&queue->alloc, sizeof *block);
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
    uint8_t *to = rpi_taskq_put(block, entry->id, entry->function, (uint8_t)entry->flags, entry->size, body);
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
        head->used = queue->at = 0; /* the same bytes again, while they are in the cache */
        return false;
    }
    queue->head = head->next;
    queue->at = 0;
    if (queue->spare)
        rpi_free(&queue->alloc, head);
    else
        queue->spare = head;
    return true;
}

static bool peek_plain(struct rpi_taskq *queue, struct rpi_entry *entry)
{
    if (!queue->head || (queue->at == queue->head->used && !advance(queue)))
        return false;
    const uint8_t *from = queue->head->bytes + queue->at;
    entry->id = rpi_get64(from);
    entry->function = rpi_get16(from + 8);
    entry->flags = from[11];
    entry->size = rpi_get32(from + 12);
    entry->data = from + HEADER;
    if (entry->flags & RPI_ENTRY_POINTS)
        memcpy(&entry->data, from + HEADER, sizeof entry->data);
    queue->peeked = HEADER + body_size(entry);
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

static rp_status push_ranked(struct rpi_taskq *queue, const struct rpi_entry *entry, const struct rpi_rank *rank)
{
    if (queue->ranked == queue->capacity) {
        size_t capacity = queue->capacity ? 2 * queue->capacity : 64;
        struct rpi_ranked *heap = rpi_resize(&queue->alloc, queue->heap, capacity * sizeof *heap);
        if (!heap)
            return rpi_no_memory("the task queue");
        queue->heap = heap;
        queue->capacity = capacity;
    }
    struct rpi_ranked *item = &queue->heap[queue->ranked];
    *item = (struct rpi_ranked){ .rank = *rank, .entry = *entry };
    if (!(entry->flags & RPI_ENTRY_POINTS)) {
        void *copy = rpi_reserve(&queue->alloc, entry->size);
        if (!copy)
            return rpi_no_memory("the task queue");
        if (entry->size)
            memcpy(copy, entry->data, entry->size);
        item->entry.data = copy;
    }
    sift_up(queue->heap, queue->ranked++);
    return RP_OK;
}

static void pop_ranked(struct rpi_taskq *queue)
{
    const struct rpi_entry *entry = &queue->heap[0].entry;
    if (!(entry->flags & RPI_ENTRY_POINTS))
        rpi_free(&queue->alloc, (void *)(uintptr_t)entry->data);
    queue->heap[0] = queue->heap[--queue->ranked];
    if (queue->ranked)
        sift_down(queue->heap, queue->ranked);
}

/* ---- both */

static bool ranked_first(struct rpi_taskq *queue)
{
    struct rpi_entry unused;
    return queue->ranked && (queue->heap[0].rank.priority >= 0 || !peek_plain(queue, &unused));
}

rp_status rpi_taskq_push(struct rpi_taskq *queue, const struct rpi_entry *entry, const struct rpi_rank *rank)
{
    if (rank->priority == 0 && !(rank->cost > 0) && !rank->back)
        return push_plain(queue, entry);
    return push_ranked(queue, entry, rank);
}

bool rpi_taskq_peek(struct rpi_taskq *queue, struct rpi_entry *entry)
{
    if (!ranked_first(queue))
        return peek_plain(queue, entry);
    *entry = queue->heap[0].entry;
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

void rpi_taskq_fini(struct rpi_taskq *queue, void (*drop)(void *context, const struct rpi_entry *entry), void *context)
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
