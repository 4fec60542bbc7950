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

rp_status rpi_chunk_resume_begin(struct rpi_chunk_resume *resume, const struct rpi_alloc *alloc,
                                 const struct rpi_task *task)
{
    *resume = (struct rpi_chunk_resume){ .alloc = *alloc,
                                         .task = task,
                                         .items = task->chunk.count };
    resume->results = rpi_buffer_new(alloc, results_size(task));
    if (!resume->results)
        return rpi_no_memory("a chunk's results");
    memset(resume->results, 0, results_size(task));
    return RP_OK;
}

void rpi_chunk_resume_drop(struct rpi_chunk_resume *resume)
{
    rpi_buffer_free(resume->results);
    resume->results = NULL;
}

void rpi_chunk_resume_cut(struct rpi_chunk_resume *resume, uint32_t items)
{
    resume->items = items;
}

void rpi_chunk_resume_rest(const struct rpi_chunk_resume *resume, struct rpi_task *rest)
{
    const struct rpi_chunk *chunk = &resume->task->chunk;
    size_t before = (size_t)resume->done * chunk->in_size;
    *rest = *resume->task;
    rest->arg = (const uint8_t *)resume->task->arg + before;
    rest->chunk.count = resume->items - resume->done;
    rest->size = (size_t)rest->chunk.count * chunk->in_size;
    rest->chunk.first += resume->done;
}

/* Room for `size` bytes more of failures. */
static uint8_t *more(struct rpi_chunk_resume *resume, uint32_t size)
{
    uint64_t used = results_size(resume->task) + resume->failures_size;
    if (size > resume->capacity - resume->failures_size) {
        uint64_t capacity = 2 * (uint64_t)resume->capacity + size + 1024,
                 all = results_size(resume->task) + capacity;
        uint8_t *results = all > UINT32_MAX ? NULL : rpi_buffer_new(&resume->alloc, all);
        if (!results)
            return NULL;
        memcpy(results, resume->results, used);
        rpi_buffer_free(resume->results);
        resume->results = results;
        resume->capacity = (uint32_t)capacity;
    }
    resume->failures_size += size;
    return resume->results + used;
}

rp_status rpi_chunk_resume_add(struct rpi_chunk_resume *resume, const uint8_t *results,
                               uint32_t items, const uint8_t *failures, uint32_t size,
                               uint32_t count)
{
    size_t out = resume->task->chunk.out_size;
    uint8_t *to = more(resume, size), *end = to + size;
    if (!to)
        return rpi_no_memory("a chunk's results");
    if (size)
        memcpy(to, failures, size);
    for (const uint8_t *at = to; at < end;) {
        struct rpi_item_failure failure;
        uint8_t *here = to + (at - to);
        if (rpi_item_failure_get(&at, end, &failure) != RP_OK)
            break; /* cannot be: they are checked */
        rpi_put32(here, failure.item + resume->done);
    }
    if (items && out)
        memcpy(resume->results + resume->done * out, results, items * out);
    resume->failures += count;
    resume->done += items;
    return RP_OK;
}

rp_status rpi_chunk_resume_fail(struct rpi_chunk_resume *resume, uint32_t items,
                                const struct rpi_result *how)
{
    struct rpi_item_failure failure = { .status = how->status,
                                        .code = how->code,
                                        .message = how->message };
    failure.length = (uint32_t)strlen(how->message);
    for (; items; items--) {
        uint8_t *to = more(resume, rpi_item_failure_size(failure.length));
        if (!to)
            return rpi_no_memory("a chunk's results");
        failure.item = resume->done++;
        rpi_item_failure_put(to, &failure);
        resume->failures++;
    }
    return RP_OK;
}

void rpi_chunk_resume_finish(struct rpi_chunk_resume *resume, struct rpi_result *result)
{
    *result = (struct rpi_result){ .status = RP_OK, .message = "", .failures = resume->failures };
    uint64_t all = results_size(resume->task), before = size_of(resume->task, resume->items);
    if (before < all)
        memmove(resume->results + before, resume->results + all, resume->failures_size);
    result->data = result->owned = resume->results;
    result->size = resume->failures ? before + resume->failures_size
                                    : (size_t)resume->items * resume->task->chunk.out_size;
    resume->results = NULL;
}
