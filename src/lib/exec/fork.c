#include "exec/fork.h"

#include "base/clock.h"
#include "base/status.h"
#include "exec/child_result.h"
#include "exec/chunk_resume.h"
#include "exec/postmortem.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define BIRTHS     3    /* that may fail for one task */
#define SHORT      4096 /* bytes of an argument: longer ones are not copied ahead of time */
#define HEAR_TICKS ((uint64_t)1000 * RPI_TICKS_US)

rp_status rpi_fork_open(const struct rpi_child_config *config, struct rpi_child **child)
{
    struct rpi_alloc alloc = config->main.alloc;
    struct rpi_child *new = rpi_reserve(&alloc, sizeof *new);
    if (!new)
        return rpi_no_memory("a worker");
    rp_status status = rpi_child_init(new, config);
    if (status == RP_OK)
        status = rpi_child_start(new);
    if (status == RP_OK) {
        new->looks = true;
        *child = new;
        return RP_OK;
    }
    rpi_child_fini(new);
    rpi_free(&alloc, new);
    return status;
}

void rpi_fork_close(struct rpi_child *child, bool over)
{
    struct rpi_alloc alloc = child->config.main.alloc;
    child->looks = false; /* there is nothing to look at any more */
    if (!over)
        rpi_child_stop(child);
    rpi_child_fini(child);
    rpi_free(&alloc, child);
}

/* ---- failures that are not the function's own */

static void fail(struct rpi_child *child, rp_status status, int code, struct rpi_result *result)
{
    *result = (struct rpi_result){ .status = status, .code = code, .message = child->message };
}

static void crashed(struct rpi_child *child, struct rpi_result *result)
{
    rpi_postmortem(child->message, sizeof child->message, child->pid, child->status, &child->tail);
    fail(child, RP_ERR_CRASHED, rpi_postmortem_code(child->status), result);
}

static void overran(struct rpi_child *child, double limit, struct rpi_result *result)
{
    (void)snprintf(child->message, sizeof child->message,
                   "its process (pid %lld) was killed after its limit of %.3g s",
                   (long long)child->pid, limit);
    rpi_postmortem_last_words(child->message, sizeof child->message, &child->tail);
    fail(child, RP_ERR_DEADLINE, 0, result);
}

static void cancelled(struct rpi_child *child, struct rpi_result *result)
{
    (void)snprintf(
        child->message, sizeof child->message,
        "its process (pid %lld) was killed: it went on for %.3g s after rp_cancelled() said so",
        (long long)child->pid, child->config.isolation.cancel_grace);
    fail(child, RP_ERR_CANCELLED, RP_ERR_CANCELLED, result);
}

/* The outcome when the pool has failed; it is not reported. */
static void over(struct rpi_result *result)
{
    *result = (struct rpi_result){ .status = RP_ERR_CANCELLED,
                                   .code = RP_ERR_CANCELLED,
                                   .message = "" };
}

/* ---- what a process is given */

/* Copies to the room for arguments, 64 bytes aligned; NULL: there is none. */
static void *put(const struct rpi_mailbox_area *area, size_t *used, const void *data, size_t size)
{
    size_t at = (*used + 63) & ~(size_t)63;
    if (at > area->in_room || size > area->in_room - at)
        return NULL;
    if (size)
        memcpy(area->in + at, data, size);
    *used = at + size;
    return area->in + at;
}

static bool put_inputs(const struct rpi_mailbox_area *area, size_t *used, struct rpi_task *task)
{
    const rp_bytes *from = task->inputs;
    rp_bytes *views = put(area, used, from, task->input_count * sizeof *from);
    if (!views)
        return false;
    for (uint32_t i = 0; i < task->input_count; i++) {
        views[i].data = put(area, used, from[i].data, from[i].size);
        if (!views[i].data)
            return false;
    }
    task->inputs = views;
    return true;
}

/* Its argument and inputs, where the process finds them. */
static bool put_task(const struct rpi_mailbox_area *area, size_t *used, struct rpi_task *task)
{
    task->arg = put(area, used, task->arg, task->size);
    return task->arg && (!task->input_count || put_inputs(area, used, task));
}

/* ---- shared data */

static bool put_datum(const struct rpi_mailbox_area *area, size_t *used,
                      const struct rpi_shared_datum *datum)
{
    size_t length = strlen(datum->name);
    struct rpi_child_main_datum entry = { .number = datum->number,
                                          .size = datum->segment.size,
                                          .token = datum->segment.token,
                                          .fd = datum->segment.fd,
                                          .length = (uint32_t)length };
    if (sizeof entry + length + 8 > area->in_room - *used)
        return false;
    memcpy(area->in + *used, &entry, sizeof entry);
    memcpy(area->in + *used + sizeof entry, datum->name, length);
    *used += sizeof entry + rpi_wire_padded(entry.length);
    return true;
}

/* All that is here, which is all that a task can see. */
static bool put_list(const struct rpi_mailbox_area *area,
                     const struct rpi_shared_cache *shared_cache)
{
    size_t used = 0;
    area->mailbox->shared = 0;
    for (const struct rpi_link *link = shared_cache->data.next; link != &shared_cache->data;
         link = link->next) {
        const struct rpi_shared_datum *datum = rpi_shared_datum_of(link);
        if (datum->state != RPI_READY || datum->dropped)
            continue;
        if (!put_datum(area, &used, datum))
            return false;
        area->mailbox->shared++;
    }
    return true;
}

/* Brings the process's shared data in line with the worker's.  RPI_CHILD_END_DONE: *all tells
 * whether it has them all. */
static enum rpi_child_end share(struct rpi_child *child,
                                const struct rpi_shared_cache *shared_cache, bool *all)
{
    static const struct rpi_child_patience patience;
    const struct rpi_task none = { 0 };
    struct rpi_result result;
    *all = true;
    if (child->changes == shared_cache->changes)
        return RPI_CHILD_END_DONE;
    *all = put_list(&child->main.area, shared_cache);
    if (!*all)
        return RPI_CHILD_END_DONE;
    rpi_child_command(child, RPI_MAILBOX_ORDER_SHARED);
    enum rpi_child_end end = rpi_child_await(child, &patience);
    if (end != RPI_CHILD_END_DONE)
        return end;
    *all = rpi_child_report(child, &none, &result) == RP_OK && result.status == RP_OK;
    if (*all)
        child->changes = shared_cache->changes;
    return end;
}

/* ---- cutting a chunk */

/* A chunk whose process is not there yet, or is brought up to date, keeps one item. */
static uint32_t cut_coming(const struct rpi_child *child)
{
    struct rpi_task *coming = child->coming;
    if (!coming)
        return UINT32_MAX;
    coming->chunk.count = 1;
    coming->size = coming->chunk.in_size;
    return child->saved + 1;
}

/* The process could damage the limit that it has: it is read once and kept in child->items. */
uint32_t rpi_fork_cut(struct rpi_child *child)
{
    struct rpi_mailbox_progress *progress = &child->main.area.mailbox->progress;
    if (!child->items)
        return cut_coming(child);
    uint32_t items = rpi_mailbox_progress_cut(progress, NULL);
    if (items == 0 || items > child->items)
        return UINT32_MAX;
    child->items = items;
    return child->saved + items;
}

/* The process's part of a chunk has ended: the task keeps the items that it had. */
static void end_part(struct rpi_child *child, struct rpi_task *task)
{
    if (!task->is_chunk)
        return;
    task->chunk.count = child->items;
    task->size = (size_t)task->chunk.count * task->chunk.in_size;
    child->items = 0;
}

/* Packs the result of a chunk, which has room for all `given` items, to those that it kept.
 * RP_ERR_CRASHED: it has failures of others. */
static rp_status shrink(const struct rpi_task *task, uint32_t given, struct rpi_result *result)
{
    uint64_t all = ((uint64_t)given * task->chunk.out_size + 7U) & ~(uint64_t)7;
    uint64_t results = (uint64_t)task->chunk.count * task->chunk.out_size,
             before = (results + 7U) & ~(uint64_t)7;
    uint8_t *data = (uint8_t *)(uintptr_t)result->data;
    if (result->status != RP_OK)
        return RP_OK;
    if (!result->failures) {
        result->size = results;
        return RP_OK;
    }
    if (!rpi_child_result_failures(data + all, result->size - all, result->failures,
                                   task->chunk.count)) {
        rpi_buffer_free(result->owned);
        return rpi_error(
            RP_ERR_CRASHED,
            "what its process left is damaged: an item has failed that it was not to run");
    }
    memmove(data + before, data + all, result->size - all);
    memset(data + results, 0, before - results);
    result->size -= all - before;
    return RP_OK;
}

/* ---- running */

/* A process to run a task in.  false: *result tells why there is none. */
static bool make_ready(struct rpi_child *child, int *births, struct rpi_result *result)
{
    rp_status status = RP_OK;
    while (!child->alive && (*births)++ < BIRTHS)
        status = rpi_child_start(child);
    if (child->alive)
        return true;
    (void)snprintf(child->message, sizeof child->message,
                   "there is no process to run it in: %.900s",
                   status == RP_OK ? "each of several died before it began" : rp_error_message());
    fail(child, RP_ERR_CRASHED, (int)status, result);
    return false;
}

static void take(struct rpi_child *child, const struct rpi_task *task, uint32_t given,
                 struct rpi_result *result)
{
    struct rpi_task whole = *task;
    whole.chunk.count = given;
    rp_status status = rpi_child_report(child, &whole, result);
    if (status == RP_OK && task->is_chunk && given != task->chunk.count)
        status = shrink(task, given, result);
    if (status == RP_OK)
        return;
    (void)snprintf(child->message, sizeof child->message, "%.900s", rp_error_message());
    if (status == RP_ERR_NOMEM) {
        fail(child, RP_ERR_TASK, RP_ERR_NOMEM, result);
        return;
    }
    rpi_child_kill(child);
    fail(child, RP_ERR_CRASHED, SIGKILL, result);
}

/* `given`: the items that its process got, of a chunk that may have fewer since. */
static void tell(struct rpi_child *child, const struct rpi_task *task, uint32_t given,
                 enum rpi_child_end end, struct rpi_result *result)
{
    switch (end) {
    case RPI_CHILD_END_DONE:
        take(child, task, given, result);
        break;
    case RPI_CHILD_END_DIED:
        crashed(child, result);
        break;
    case RPI_CHILD_END_OVERRAN:
        overran(child, task->limit, result);
        break;
    case RPI_CHILD_END_CANCELLED:
        cancelled(child, result);
        break;
    case RPI_CHILD_END_OVER:
        over(result);
        break;
    case RPI_CHILD_END_EARLY:   /* and another process had it */
    case RPI_CHILD_END_REFUSED: /* and told */
        break;
    }
}

static enum rpi_child_end refuse(struct rpi_child *child, const char *why,
                                 struct rpi_result *result)
{
    (void)snprintf(child->message, sizeof child->message, "%s", why);
    fail(child, RP_ERR_TASK, RP_ERR_NOMEM, result);
    return RPI_CHILD_END_REFUSED;
}

/* Passes on what it said on standard error, but not after each short task.  What a good task has
 * said does not count as a later one's last words. */
static void hear(struct rpi_child *child, bool good)
{
    uint64_t now = rpi_ticks();
    if (good && now - child->heard < HEAR_TICKS)
        return;
    child->heard = now;
    rpi_postmortem_tail_forward(&child->tail);
    if (good)
        rpi_postmortem_tail_begin(&child->tail);
}

static bool is_short(const struct rpi_task *task)
{
    return !task->is_chunk && !task->input_count && task->size <= SHORT;
}

/* Tasks that the process is given along with this one; at most `most` in all. */
static uint32_t follow(struct rpi_child *child, struct rpi_task *tasks, uint32_t most)
{
    const struct rpi_child_config *config = &child->config;
    uint64_t limit = config->isolation.tasks_per_child;
    if (limit && most > limit - child->ran)
        most = (uint32_t)(limit - child->ran);
    if (!config->follow || most < 2 || !is_short(tasks))
        return 1;
    return 1 + config->follow(config->context, tasks + 1, most - 1);
}

/* Gives the process the task, with all that it can see, and those that may go along. */
static enum rpi_child_end hand_over(struct rpi_child *child, const struct rpi_task *task,
                                    const struct rpi_shared_cache *shared_cache,
                                    struct rpi_result *result)
{
    const struct rpi_mailbox_area *area = &child->main.area;
    struct rpi_task tasks[RPI_LINE];
    bool shared;
    enum rpi_child_end end = share(child, shared_cache, &shared);
    if (end != RPI_CHILD_END_DONE)
        return end == RPI_CHILD_END_DIED ? RPI_CHILD_END_EARLY : end;
    if (!shared && task->epoch)
        return refuse(child, "its process has no memory or descriptor for the shared data", result);
    child->used = 0;
    tasks[0] = *task;
    if (!put_task(area, &child->used, &tasks[0]))
        return refuse(child,
                      "its argument and inputs are larger than the memory shared with its process",
                      result);
    uint32_t count = follow(child, tasks, RPI_LINE), put = 1;
    while (put < count && put_task(area, &child->used, &tasks[put]))
        put++;
    rpi_child_give(child, tasks, put);
    child->coming = NULL;
    return RPI_CHILD_END_DONE;
}

/* *given: the items of a chunk that its process got. */
static enum rpi_child_end run(struct rpi_child *child, struct rpi_task *task,
                              const struct rpi_shared_cache *shared_cache, uint32_t *given,
                              struct rpi_result *result)
{
    enum rpi_child_end end = rpi_child_has_next(child)
                                 ? RPI_CHILD_END_DONE
                                 : hand_over(child, task, shared_cache, result);
    *given = task->chunk.count;
    if (end != RPI_CHILD_END_DONE)
        return end;
    const struct rpi_child_patience patience = { .limit = task->limit,
                                                 .parts = task->is_chunk ? task->chunk.count : 1 };
    end = rpi_child_await(child, &patience);
    end_part(child, task);
    hear(child, end == RPI_CHILD_END_DONE);
    if (!rpi_child_has_next(child))
        rpi_mailbox_area_drop(child->main.area.in, child->used);
    return end;
}

/* Runs a task, in another process if one dies before it has begun, which is not the task's doing.
 * *task has then the items that a chunk keeps, *given those that its process got. */
static enum rpi_child_end execute(struct rpi_child *child, struct rpi_task *task,
                                  const struct rpi_shared_cache *shared_cache, uint32_t *given,
                                  struct rpi_result *result)
{
    enum rpi_child_end end;
    int births = 0;
    do {
        child->coming = task->is_chunk ? task : NULL;
        *given = task->chunk.count;
        bool ready = rpi_child_has_next(child) || make_ready(child, &births, result);
        end = ready ? run(child, task, shared_cache, given, result) : RPI_CHILD_END_REFUSED;
        child->coming = NULL;
    } while (end == RPI_CHILD_END_EARLY);
    tell(child, task, *given, end, result);
    return end;
}

/* ---- chunks */

/* Keeps what the process, which got `given` items, did before it died, and fails the item that it
 * died of.  RP_ERR_CRASHED: what it left is damaged. */
static rp_status save(struct rpi_child *child, struct rpi_chunk_resume *resume,
                      const struct rpi_task *rest, uint32_t given, const struct rpi_result *how)
{
    const struct rpi_mailbox_area *area = &child->main.area;
    const struct rpi_mailbox_progress *progress = &area->mailbox->progress;
    uint32_t items = atomic_load(&progress->item), count = atomic_load(&progress->failures);
    uint64_t results = (uint64_t)given * rest->chunk.out_size,
             size = atomic_load(&progress->failures_size);
    uint64_t at = RPI_CHILD_RESULT_DATA + ((results + 7U) & ~(uint64_t)7);
    rp_status status = RP_ERR_CRASHED;
    if (items > rest->chunk.count || count > items ||
        size > (uint64_t)count * rpi_item_failure_size(RPI_MESSAGE_MAX) || at > area->out_room ||
        size > area->out_room - at)
        return status;
    uint8_t *failures = rpi_reserve(&resume->alloc, size);
    if (!failures)
        return rpi_no_memory("a chunk's results");
    memcpy(failures, area->out + at, size);
    if (rpi_child_result_failures(failures, size, count, items))
        status = rpi_chunk_resume_add(resume, area->out + RPI_CHILD_RESULT_DATA, items, failures,
                                      (uint32_t)size, count);
    rpi_free(&resume->alloc, failures);
    bool died_in_one = items < rest->chunk.count; /* else after the last */
    return status == RP_OK && died_in_one ? rpi_chunk_resume_fail(resume, 1, how) : status;
}

/* Adds the last process's result to what is saved. */
static rp_status conclude(struct rpi_chunk_resume *resume, const struct rpi_task *rest,
                          const struct rpi_result *result)
{
    const uint8_t *data = result->data;
    uint64_t results = (uint64_t)rest->chunk.count * rest->chunk.out_size,
             at = (results + 7U) & ~(uint64_t)7;
    uint32_t size = result->failures ? (uint32_t)(result->size - at) : 0;
    if (result->status != RP_OK)
        return rpi_chunk_resume_fail(resume, rest->chunk.count, result);
    return rpi_chunk_resume_add(resume, data, rest->chunk.count, size ? data + at : data, size,
                                result->failures);
}

/* Completes a chunk whose process died with `given` of its items, and which keeps `rest`.  *result
 * tells how it died, and becomes the whole chunk's. */
static void go_on(struct rpi_child *child, const struct rpi_task *task, struct rpi_task *rest,
                  uint32_t given, const struct rpi_shared_cache *shared_cache,
                  enum rpi_child_end end, struct rpi_result *result)
{
    struct rpi_chunk_resume resume;
    rp_status status = rpi_chunk_resume_begin(&resume, &child->config.main.alloc, task);
    while (status == RP_OK) {
        rpi_chunk_resume_cut(&resume, resume.done + rest->chunk.count);
        if (end == RPI_CHILD_END_DIED || end == RPI_CHILD_END_OVERRAN) {
            status = save(child, &resume, rest, given, result);
        } else {
            status = conclude(&resume, rest, result);
            rpi_buffer_free(result->owned);
        }
        if (status != RP_OK || resume.done == resume.items)
            break;
        rpi_chunk_resume_rest(&resume, rest);
        child->saved = resume.done;
        end = execute(child, rest, shared_cache, &given, result);
    }
    if (status == RP_OK)
        rpi_chunk_resume_finish(&resume, result);
    else if (status == RP_ERR_NOMEM)
        (void)refuse(child, "the worker has no memory for a chunk's results", result);
    rpi_chunk_resume_drop(&resume);
}

/* ---- any task */

static void recycle(struct rpi_child *child)
{
    uint64_t most = child->config.isolation.tasks_per_child;
    if (child->alive && most && ++child->ran >= most)
        rpi_child_stop(child);
}

void rpi_fork_execute(struct rpi_child *child, const struct rpi_task *task,
                      const struct rpi_shared_cache *shared_cache, struct rpi_result *result)
{
    struct rpi_task rest = *task;
    uint32_t given;
    child->saved = 0;
    enum rpi_child_end end = execute(child, &rest, shared_cache, &given, result);
    if (task->is_chunk && (end == RPI_CHILD_END_DIED || end == RPI_CHILD_END_OVERRAN))
        go_on(child, task, &rest, given, shared_cache, end, result);
    recycle(child);
}
