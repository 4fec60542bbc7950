#include "worker/inbox.h"

/* ---- walking through what is there, from the first task that has not begun */

struct walk {
    const struct rpi_link *head, *link; /* of the batch that is read */
    struct rpi_reader reader;
};

static void open_next(struct walk *walk)
{
    walk->reader.left = 0;
    for (walk->link = walk->link->next; walk->link != walk->head; walk->link = walk->link->next) {
        const struct rpi_batch *batch = RPI_MEMBER(walk->link, struct rpi_batch, link);
        if (rpi_reader_open(&walk->reader, batch->bytes, batch->size) == RP_OK && walk->reader.left)
            return;
        walk->reader.left = 0;
    }
}

static struct walk begin(const struct rpi_worker *worker)
{
    struct walk walk = { .head = &worker->inbox, .link = &worker->inbox };
    struct rpi_frame frame;
    if (worker->reading) {
        walk.link = worker->inbox.next;
        walk.reader = worker->reader;
    }
    for (uint32_t i = 0; i < worker->ahead && walk.reader.left; i++)
        if (rpi_reader_frame(&walk.reader, &frame) != RP_OK)
            break; /* cannot be: it was read through when it came */
    return walk;
}

/* The next frame's bytes, which are ours to mark; NULL: that was all. */
static uint8_t *next(struct walk *walk, struct rpi_frame *frame)
{
    if (walk->reader.left == 0)
        open_next(walk);
    uint8_t *at = (uint8_t *)(uintptr_t)walk->reader.at;
    return walk->reader.left && rpi_reader_frame(&walk->reader, frame) == RP_OK ? at : NULL;
}

/* ---- handing back */

/* The message that is being written; no batch: none yet. */
struct answer {
    struct rpi_batch *batch;
    struct rpi_writer writer;
};

static void send(struct rpi_worker *worker, struct answer *answer, uint64_t word)
{
    struct rpi_batch *batch = answer->batch;
    rpi_writer_close(&answer->writer, RPI_RETURNED, word);
    batch->size = answer->writer.used;
    batch->peer = 0;
    batch->sends = 1;
    rpi_list_append(&worker->outgoing, &batch->link);
}

static bool open_answer(struct rpi_worker *worker, struct answer *answer)
{
    struct rpi_batch *batch = rpi_batch_get(&worker->batches);
    if (!batch)
        return false;
    if (answer->batch)
        send(worker, answer, 0);
    answer->batch = batch;
    rpi_writer_open(&answer->writer, batch->bytes, worker->config.batch_limit);
    return true;
}

static bool may_leave(const uint8_t *at, const struct rpi_frame *frame)
{
    return !rpi_inbox_has_left(at) && !(frame->flags & (RPI_FRAME_LARGE | RPI_FRAME_CANCELLED));
}

/* false: no memory to say so, it stays. */
static bool hand_back(struct rpi_worker *worker, struct answer *answer, uint8_t *at,
                      const struct rpi_frame *frame)
{
    const struct rpi_frame returned = { .id = frame->id, .attempt = frame->attempt };
    bool fits = answer->batch && rpi_writer_fits(&answer->writer, RPI_FRAME_HEADER);
    if (!fits && !open_answer(worker, answer))
        return false;
    (void)rpi_writer_frame(&answer->writer, &returned);
    at[10] = 0;
    if (worker->inputs.list_count)
        rpi_inputs_done(&worker->inputs, frame->id);
    return true;
}

/* ---- cutting chunks: what was lost once goes in pieces anyhow, and these are known by their
 * futures */

static bool may_cut(const struct rpi_frame *frame)
{
    return frame->flags & RPI_FRAME_CHUNK && !(frame->flags & RPI_FRAME_CANCELLED) &&
           frame->attempt == 1 && frame->chunk.count > 1;
}

/* Says that the chunk keeps `items` of its items.  There is room. */
static void say_cut(struct answer *answer, uint64_t id, uint8_t attempt, uint32_t items)
{
    struct rpi_frame kept = { .id = id, .attempt = attempt, .flags = RPI_FRAME_CHUNK };
    kept.chunk.count = items;
    (void)rpi_writer_frame(&answer->writer, &kept);
}

/* The first of the answer. */
static void cut_running(struct rpi_worker *worker, struct answer *answer)
{
    struct rpi_task *running = &worker->running;
    if (!worker->busy || !running->is_chunk || running->attempt != 1 || running->chunk.count < 2 ||
        !worker->config.cut)
        return;
    uint32_t items = worker->config.cut(worker->config.context);
    if (items >= running->chunk.count)
        return;
    running->chunk.count = items;
    say_cut(answer, running->id, running->attempt, items);
}

/* One that has not begun and stays keeps its first item.  Its argument remains as long as it was.
 * false: no memory to say so. */
static bool cut_waiting(struct rpi_worker *worker, struct answer *answer, uint8_t *at,
                        const struct rpi_frame *frame)
{
    if (!rpi_writer_fits(&answer->writer, rpi_frame_size(RPI_FRAME_CHUNK, 0)) &&
        !open_answer(worker, answer))
        return false;
    say_cut(answer, frame->id, frame->attempt, 1);
    rpi_put32(at + rpi_frame_size(frame->flags & (RPI_FRAME_NUMBER | RPI_FRAME_RAN), 0), 1);
    return true;
}

rp_status rpi_inbox_give_back(struct rpi_worker *worker)
{
    struct walk walk = begin(worker);
    struct rpi_frame frame;
    struct answer answer = { 0 };
    bool keep = !worker->busy;
    if (!open_answer(worker, &answer))
        return rpi_no_memory("tasks to be handed back");
    cut_running(worker, &answer);
    for (uint8_t *at; (at = next(&walk, &frame));) {
        bool stays = keep || !may_leave(at, &frame);
        if (rpi_inbox_has_left(at))
            continue;
        if (stays ? may_cut(&frame) && !cut_waiting(worker, &answer, at, &frame)
                  : !hand_back(worker, &answer, at, &frame))
            break; /* the rest stays */
        keep = keep && frame.flags & RPI_FRAME_CANCELLED;
    }
    send(worker, &answer, RPI_RETURNED_ALL);
    return RP_OK;
}

/* ---- cancelling */

/* What a CANCEL message means. */
struct cancel {
    bool all, map;
    uint64_t id, number;
};

static bool meant(const struct cancel *cancel, uint64_t id, uint64_t number, bool is_chunk)
{
    return cancel->all || (cancel->map ? is_chunk && number == cancel->number : id == cancel->id);
}

/* What cannot be handed back is marked, and not run when it comes up. */
static void cancel_what_is_meant(struct rpi_worker *worker, const struct cancel *cancel,
                                 struct answer *answer)
{
    struct walk walk = begin(worker);
    struct rpi_frame frame;
    if (worker->busy &&
        meant(cancel, worker->running.id, worker->running.number, worker->running.is_chunk))
        atomic_store_explicit(&worker->cancel, true, memory_order_relaxed);
    for (uint8_t *at; (at = next(&walk, &frame));)
        if (!rpi_inbox_has_left(at) &&
            meant(cancel, frame.id, frame.number, frame.flags & RPI_FRAME_CHUNK) &&
            !(may_leave(at, &frame) && hand_back(worker, answer, at, &frame)))
            at[11] |= RPI_FRAME_CANCELLED;
}

rp_status rpi_inbox_cancel(struct rpi_worker *worker, struct rpi_reader *reader)
{
    struct cancel cancel = { .all = reader->left == 0 };
    struct answer answer = { 0 };
    rp_status status = RP_OK;
    if (cancel.all)
        cancel_what_is_meant(worker, &cancel, &answer);
    while (status == RP_OK && reader->left) {
        struct rpi_frame frame = { 0 };
        status = rpi_reader_frame(reader, &frame);
        cancel = (struct cancel){ .map = frame.flags & RPI_FRAME_NUMBER,
                                  .id = frame.id,
                                  .number = frame.number };
        if (status == RP_OK)
            cancel_what_is_meant(worker, &cancel, &answer);
    }
    if (answer.batch)
        send(worker, &answer, 0);
    return status;
}
