/* The worker's engine: takes batches of tasks in, gives tasks out one by one, collects their
 * results into batches.  Pure: effects are left to be fetched (batches to send, large payloads to
 * receive). */
#ifndef RPI_WORKER_H
#define RPI_WORKER_H

#include "worker/state.h"

void rpi_worker_init(struct rpi_worker *worker, const struct rpi_worker_config *config);
void rpi_worker_fini(struct rpi_worker *worker);

/* A batch came from rank 0.  RP_ERR_BROKEN: it is damaged.  RP_ERR_NOMEM: nothing changed, give it
 * again later. */
RP_MUST_USE rp_status rpi_worker_receive(struct rpi_worker *worker, const void *data, size_t size);
/* A posted arrival is complete. */
void rpi_worker_arrived(struct rpi_worker *worker, struct rpi_arrival *arrival);
/* The bytes of a batch, or of one of its pieces, are on their way. */
void rpi_worker_sent(struct rpi_worker *worker, struct rpi_batch *batch);

/* The next task to run, valid until rpi_worker_done and the next call.  false: none now (or no
 * memory for its result). */
bool rpi_worker_next(struct rpi_worker *worker, struct rpi_task *task);

/* From now on it runs: what a cancel asks for; no more is kept. */
static inline void rpi_worker_begin(struct rpi_worker *worker, const struct rpi_task *task)
{
    worker->running.id = task->id;
    worker->running.number = task->number;
    worker->running.is_chunk = task->is_chunk;
    worker->busy = true;
    atomic_store_explicit(&worker->cancel, false, memory_order_relaxed);
}

/* rpi_worker_next of nearly every task: nothing but a function and an argument, in the batch that
 * is under way, and its result has room. What is not set here was zero in *task before.  false: the
 * next one is not so. */
static inline bool rpi_worker_next_plain(struct rpi_worker *worker, struct rpi_task *task)
{
    struct rpi_reader *reader = &worker->reader;
    const uint8_t *at = reader->at; /* it was read through when it came */
    if (!worker->reading || !reader->left || at[11] & ~RPI_FRAME_MAY_SPAWN || !at[10] ||
        reader->epoch != worker->shared_cache.ready || worker->inputs.list_count ||
        !worker->spare || !rpi_writer_fits(&worker->writer, rpi_frame_size(0, RPI_SMALL_RESULT)))
        return false;
    task->id = rpi_get64(at);
    task->number = reader->next;
    task->function = rpi_get16(at + 8);
    task->attempt = at[10];
    task->may_spawn = at[11];
    task->epoch = reader->epoch;
    task->arg = at + RPI_FRAME_HEADER;
    task->size = rpi_get32(at + 12);
    reader->at = at + rpi_frame_size(0, (uint32_t)task->size);
    reader->left--;
    reader->next++;
    rpi_worker_begin(worker, task);
    return true;
}

/* rpi_worker_done of such a task with a result of RPI_SMALL_RESULT bytes, without a time of its
 * own. */
static inline void rpi_worker_done_plain(struct rpi_worker *worker, const struct rpi_task *task,
                                         const void *result)
{
    struct rpi_writer *writer = &worker->writer;
    uint8_t *at = writer->base + writer->used;
    writer->used += rpi_frame_size(0, RPI_SMALL_RESULT);
    writer->count++;
    rpi_put64(at, task->id);
    rpi_put16(at + 8, task->function);
    at[10] = task->attempt;
    at[11] = 0;
    rpi_put32(at + 12, RPI_SMALL_RESULT);
    memcpy(at + RPI_FRAME_HEADER, result, RPI_SMALL_RESULT);
    worker->untimed++;
    worker->busy = false;
}

/* Lists up to `most` tasks of the same batch, after the one given last, that need wait for nothing:
 * they may begin elsewhere, and rpi_worker_next gives them all the same.  Returns their number. */
uint32_t rpi_worker_follow(const struct rpi_worker *worker, struct rpi_task *tasks, uint32_t most);

/* Whether the result has room; if not, rpi_worker_flush makes it. */
bool rpi_worker_fits(const struct rpi_worker *worker, const struct rpi_result *result);
/* The task given last is done; the result's buffer is taken over.  `ran`: seconds, or negative:
 * part of what rpi_worker_spent says of several tasks. */
void rpi_worker_done(struct rpi_worker *worker, const struct rpi_task *task,
                     const struct rpi_result *result, double ran);
/* A child that the running task has spawned goes before its result: whether its frame fits, and
 * writing it.  After a flush rpi_worker_make_room makes room; false: no memory. */
bool rpi_worker_fits_frame(const struct rpi_worker *worker, uint32_t size);
void rpi_worker_put_frame(struct rpi_worker *worker, const uint8_t *frame, uint32_t size);
bool rpi_worker_make_room(struct rpi_worker *worker);
/* The tasks without a time of their own took `seconds` together. */
void rpi_worker_spent(struct rpi_worker *worker, double seconds);
/* The results so far go out. */
void rpi_worker_flush(struct rpi_worker *worker);

/* The next effect, or NULL. */
struct rpi_batch *rpi_worker_outgoing(struct rpi_worker *worker);
struct rpi_arrival *rpi_worker_incoming(struct rpi_worker *worker);
/* The transport has no memory for it: it is the next one again. */
void rpi_worker_unsent(struct rpi_worker *worker, struct rpi_batch *batch);
void rpi_worker_unposted(struct rpi_worker *worker, struct rpi_arrival *arrival);

/* Told to stop, and nothing is left to run or to send. */
bool rpi_worker_finished(const struct rpi_worker *worker);

#endif
