#include "proto/batch.h"

void rpi_batches_init(struct rpi_batches *batches, const struct rpi_alloc *alloc, uint32_t limit)
{
    *batches = (struct rpi_batches){ .alloc = *alloc, .limit = limit };
    rpi_list_init(&batches->free);
}

static struct rpi_batch *make(struct rpi_batches *batches)
{
    if (batches->count == batches->capacity) {
        uint32_t capacity = batches->capacity ? 2 * batches->capacity : 32;
        struct rpi_batch **table = rpi_resize(&batches->alloc, batches->table,
                                              capacity * sizeof(struct rpi_batch *));
        if (!table)
            return NULL;
        batches->table = table;
        batches->capacity = capacity;
    }
    struct rpi_batch *batch = rpi_reserve(&batches->alloc, sizeof *batch + batches->limit);
    if (!batch)
        return NULL;
    batch->index = batches->count;
    rpi_list_init(&batch->link);
    batches->table[batches->count++] = batch;
    return batch;
}

struct rpi_batch *rpi_batch_get(struct rpi_batches *batches)
{
    struct rpi_link *link = batches->free.next; /* the last one put: its bytes are in the cache */
    struct rpi_batch *batch;
    if (link != &batches->free) {
        rpi_list_remove(link);
        batch = RPI_MEMBER(link, struct rpi_batch, link);
    } else if (!(batch = make(batches))) {
        return NULL;
    }
    batch->size = batch->remaining = 0;
    batch->sends = batch->begun = batch->piece_count = 0;
    batch->ran = batch->sent_at = 0;
    batch->to_idle = batch->movable = batch->divisible = batch->handed = false;
    batch->version = NULL;
    batch->input = 0;
    return batch;
}

static void drop_pieces(struct rpi_batch *batch)
{
    for (uint16_t i = 0; i < batch->piece_count; i++)
        rpi_buffer_free(batch->pieces[i].owned);
    batch->piece_count = 0;
}

void rpi_batch_put(struct rpi_batches *batches, struct rpi_batch *batch)
{
    drop_pieces(batch);
    rpi_list_remove(&batch->link);
    rpi_list_prepend(&batches->free, &batch->link);
}

rp_status rpi_batch_send(struct rpi_batch *batch, struct rpi_transport *transport, uint16_t *done)
{
    const struct rpi_transport_ops *ops = transport->ops;
    for (*done = 0; batch->begun <= batch->piece_count; batch->begun++) {
        const struct rpi_piece *piece = batch->begun ? &batch->pieces[batch->begun - 1] : NULL;
        bool now = false;
        rp_status status = piece ? ops->send_large(transport, batch->peer, piece->data, piece->size,
                                                   batch, &now)
                                 : ops->send(transport, batch->peer, batch->bytes, batch->size,
                                             batch, &now);
        if (status != RP_OK)
            return status;
        *done = (uint16_t)(*done + now);
    }
    return RP_OK;
}

void rpi_batches_fini(struct rpi_batches *batches)
{
    for (uint32_t i = 0; i < batches->count; i++) {
        drop_pieces(batches->table[i]);
        rpi_free(&batches->alloc, batches->table[i]);
    }
    rpi_free(&batches->alloc, batches->table);
    batches->table = NULL;
    batches->count = 0;
}
