#include "worker/inputs.h"

#include "base/status.h"

#define BUCKETS 256

/* An outcome; its bytes are in its arrival's buffer, which is complete at once when they came
 * inside a message. */
struct kept {
    struct rpi_link link;
    uint64_t id;
    struct rpi_arrival arrival;
};

/* What one task needs. */
struct list {
    struct rpi_link link;
    uint64_t task;
    uint32_t count;
    uint64_t ids[];
};

void rpi_inputs_init(struct rpi_inputs *inputs, const struct rpi_alloc *alloc)
{
    *inputs = (struct rpi_inputs){ .alloc = *alloc };
}

static void drop_kept(struct rpi_inputs *inputs, struct kept *kept)
{
    rpi_list_remove(&kept->link);
    rpi_list_remove(&kept->arrival.link);
    rpi_buffer_free(kept->arrival.buffer);
    rpi_free(&inputs->alloc, kept);
}

static void drop_list(struct rpi_inputs *inputs, struct list *list)
{
    rpi_list_remove(&list->link);
    rpi_free(&inputs->alloc, list);
    inputs->list_count--;
}

void rpi_inputs_fini(struct rpi_inputs *inputs)
{
    struct rpi_link *link;
    while ((link = rpi_table_pop(&inputs->kept)))
        drop_kept(inputs, RPI_MEMBER(link, struct kept, link));
    while ((link = rpi_table_pop(&inputs->lists)))
        drop_list(inputs, RPI_MEMBER(link, struct list, link));
    rpi_table_free(&inputs->kept, &inputs->alloc);
    rpi_table_free(&inputs->lists, &inputs->alloc);
    rpi_free(&inputs->alloc, inputs->views);
    inputs->views = NULL;
}

static struct kept *find_kept(struct rpi_inputs *inputs, uint64_t id)
{
    struct rpi_link *head = rpi_table_bucket(&inputs->kept, id);
    for (struct rpi_link *link = head ? head->next : head; link != head; link = link->next)
        if (RPI_MEMBER(link, struct kept, link)->id == id)
            return RPI_MEMBER(link, struct kept, link);
    return NULL;
}

static struct list *find_list(struct rpi_inputs *inputs, uint64_t task)
{
    struct rpi_link *head = rpi_table_bucket(&inputs->lists, task);
    if (inputs->list_count == 0)
        return NULL;
    for (struct rpi_link *link = head->next; link != head; link = link->next)
        if (RPI_MEMBER(link, struct list, link)->task == task)
            return RPI_MEMBER(link, struct list, link);
    return NULL;
}

/* ---- taking in */

/* A large one, in a message of its own, is taken a second time too: its bytes are on their way, and
 * need their room. */
static rp_status keep(struct rpi_inputs *inputs, const struct rpi_frame *frame,
                      struct rpi_arrival **arrival)
{
    if (find_kept(inputs, frame->id) && !(frame->flags & RPI_FRAME_LARGE))
        return RP_OK; /* the message came before, when memory ran out in it, or this worker was
                         never told to forget it */
    struct kept *kept = NULL;
    if (rpi_table_make(&inputs->kept, &inputs->alloc, BUCKETS))
        kept = rpi_zeroed(&inputs->alloc, sizeof *kept);
    void *buffer = kept ? rpi_buffer_new(&inputs->alloc, frame->length) : NULL;
    if (!buffer) {
        rpi_free(&inputs->alloc, kept);
        return rpi_no_memory("another task's outcome");
    }
    kept->id = frame->id;
    kept->arrival = (struct rpi_arrival){ .size = frame->length,
                                          .buffer = buffer,
                                          .complete = !(frame->flags & RPI_FRAME_LARGE),
                                          .outcome = true };
    rpi_list_init(&kept->arrival.link);
    rpi_list_append(rpi_table_bucket(&inputs->kept, frame->id), &kept->link);
    if (!kept->arrival.complete)
        *arrival = &kept->arrival;
    else if (frame->length)
        memcpy(buffer, frame->payload, frame->length);
    return RP_OK;
}

/* A part of a task's list, from number `from`; the parts come in order. */
static rp_status note_list(struct rpi_inputs *inputs, const struct rpi_frame *frame)
{
    struct list *old = find_list(inputs, frame->id);
    uint32_t count = frame->length / 8, before = old ? old->count : 0;
    if (frame->number < before)
        return RP_OK; /* it came before */
    if (frame->number != before || frame->flags & RPI_FRAME_LARGE || frame->length % 8)
        return rpi_reader_bad("the list of a task's inputs has a gap");
    struct list *list = NULL;
    if (rpi_table_make(&inputs->lists, &inputs->alloc, BUCKETS))
        list = rpi_reserve(&inputs->alloc,
                           sizeof *list + ((size_t)before + count) * sizeof *list->ids);
    if (!list)
        return rpi_no_memory("the list of a task's inputs");
    if (old) {
        memcpy(list->ids, old->ids, before * sizeof *list->ids);
        drop_list(inputs, old);
    }
    list->task = frame->id;
    list->count = before + count;
    for (uint32_t i = 0; i < count; i++)
        list->ids[before + i] = rpi_get64(frame->payload + 8 * (size_t)i);
    rpi_list_append(rpi_table_bucket(&inputs->lists, frame->id), &list->link);
    inputs->list_count++;
    return RP_OK;
}

/* What is still coming stays: MPI writes into it. */
static void forget(struct rpi_inputs *inputs, uint64_t id)
{
    struct rpi_link *head = rpi_table_bucket(&inputs->kept, id);
    for (struct rpi_link *link = head ? head->next : head, *next; link != head; link = next) {
        struct kept *kept = RPI_MEMBER(link, struct kept, link);
        next = link->next;
        if (kept->id == id && kept->arrival.complete)
            drop_kept(inputs, kept);
    }
}

rp_status rpi_inputs_take(struct rpi_inputs *inputs, const struct rpi_frame *frame,
                          struct rpi_arrival **arrival)
{
    *arrival = NULL;
    if (frame->flags & RPI_FRAME_NUMBER)
        return note_list(inputs, frame);
    if (!(frame->flags & RPI_FRAME_FAILED))
        return keep(inputs, frame, arrival);
    forget(inputs, frame->id);
    return RP_OK;
}

/* ---- giving out */

bool rpi_inputs_for(struct rpi_inputs *inputs, uint64_t task, const rp_bytes **views,
                    uint32_t *count)
{
    const struct list *list = find_list(inputs, task);
    *count = 0;
    if (!list)
        return true;
    if (list->count > inputs->view_capacity) {
        rp_bytes *room = rpi_resize(&inputs->alloc, inputs->views, list->count * sizeof *room);
        if (!room)
            return false;
        inputs->views = room;
        inputs->view_capacity = list->count;
    }
    for (uint32_t i = 0; i < list->count; i++) {
        const struct kept *kept = find_kept(inputs, list->ids[i]);
        if (!kept || !kept->arrival.complete)
            return false;
        inputs->views[i] = (rp_bytes){ kept->arrival.buffer, kept->arrival.size };
    }
    *views = inputs->views;
    *count = list->count;
    return true;
}

void rpi_inputs_done(struct rpi_inputs *inputs, uint64_t task)
{
    struct list *list = find_list(inputs, task);
    if (list)
        drop_list(inputs, list);
}
