#include "exec/chunk_resume.h"

#include "proto/wire.h"

static uint64_t size_of(const struct rpi_task *task, uint32_t items)
{
    return ((uint64_t)items * task->chunk.out_size + 7U) & ~(uint64_t)7;
}

/* Room for all that the chunk has had. */
static uint64_t results_size(const struct rpi_task *task)
{
    return size_of(task, task->chunk.count);
}

rp_status rpi_chunk_resume_begin(struct rpi_chunk_resume *salvage, const struct rpi_alloc *alloc,
                                 const struct rpi_task *task)
{
    *salvage = (struct rpi_chunk_resume){ .alloc = *alloc,
                                          .task = task,
                                          .items = task->chunk.count };
    salvage->results = rpi_buffer_new(alloc, results_size(task));
    if (!salvage->results)
        return rpi_no_memory("a chunk's results");
    memset(salvage->results, 0, results_size(task));
    return RP_OK;
}

void rpi_chunk_resume_drop(struct rpi_chunk_resume *salvage)
{
    rpi_buffer_free(salvage->results);
    salvage->results = NULL;
}

void rpi_chunk_resume_cut(struct rpi_chunk_resume *salvage, uint32_t items)
{
    salvage->items = items;
}

void rpi_chunk_resume_rest(const struct rpi_chunk_resume *salvage, struct rpi_task *rest)
{
    const struct rpi_chunk *chunk = &salvage->task->chunk;
    size_t before = (size_t)salvage->done * chunk->in_size;
    *rest = *salvage->task;
    rest->arg = (const uint8_t *)salvage->task->arg + before;
    rest->chunk.count = salvage->items - salvage->done;
    rest->size = (size_t)rest->chunk.count * chunk->in_size;
    rest->chunk.first += salvage->done;
}

/* Room for `size` bytes more of failures. */
static uint8_t *more(struct rpi_chunk_resume *salvage, uint32_t size)
{
    uint64_t used = results_size(salvage->task) + salvage->failures_size;
    if (size > salvage->capacity - salvage->failures_size) {
        uint64_t capacity = 2 * (uint64_t)salvage->capacity + size + 1024,
                 all = results_size(salvage->task) + capacity;
        uint8_t *results = all > UINT32_MAX ? NULL : rpi_buffer_new(&salvage->alloc, all);
        if (!results)
            return NULL;
        memcpy(results, salvage->results, used);
        rpi_buffer_free(salvage->results);
        salvage->results = results;
        salvage->capacity = (uint32_t)capacity;
    }
    salvage->failures_size += size;
    return salvage->results + used;
}

rp_status rpi_chunk_resume_add(struct rpi_chunk_resume *salvage, const uint8_t *results,
                               uint32_t items, const uint8_t *failures, uint32_t size,
                               uint32_t count)
{
    size_t out = salvage->task->chunk.out_size;
    uint8_t *to = more(salvage, size), *end = to + size;
    if (!to)
        return rpi_no_memory("a chunk's results");
    if (size)
        memcpy(to, failures, size);
    for (const uint8_t *at = to; at < end;) {
        struct rpi_item_failure failure;
        uint8_t *here = to + (at - to);
        if (rpi_item_failure_get(&at, end, &failure) != RP_OK)
            break; /* cannot be: they are checked */
        rpi_put32(here, failure.item + salvage->done);
    }
    if (items && out)
        memcpy(salvage->results + salvage->done * out, results, items * out);
    salvage->failures += count;
    salvage->done += items;
    return RP_OK;
}

rp_status rpi_chunk_resume_fail(struct rpi_chunk_resume *salvage, uint32_t items,
                                const struct rpi_result *how)
{
    struct rpi_item_failure failure = { .status = how->status,
                                        .code = how->code,
                                        .message = how->message };
    failure.length = (uint32_t)strlen(how->message);
    for (; items; items--) {
        uint8_t *to = more(salvage, rpi_item_failure_size(failure.length));
        if (!to)
            return rpi_no_memory("a chunk's results");
        failure.item = salvage->done++;
        rpi_item_failure_put(to, &failure);
        salvage->failures++;
    }
    return RP_OK;
}

void rpi_chunk_resume_finish(struct rpi_chunk_resume *salvage, struct rpi_result *result)
{
    *result = (struct rpi_result){ .status = RP_OK, .message = "", .failures = salvage->failures };
    uint64_t all = results_size(salvage->task), before = size_of(salvage->task, salvage->items);
    if (before < all)
        memmove(salvage->results + before, salvage->results + all, salvage->failures_size);
    result->data = result->owned = salvage->results;
    result->size = salvage->failures ? before + salvage->failures_size
                                     : (size_t)salvage->items * salvage->task->chunk.out_size;
    salvage->results = NULL;
}
