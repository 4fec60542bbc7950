/* Dependents whose wait is over: they are queued, or fail with what failed, or take over an
 * outcome. */
#include "base/status.h"
#include "master/deps.h"
#include "master/ready.h"
#include "master/retry.h"
#include "master/settle.h"

#include <stdio.h>

/* Shortens a chain of failures that is too long to its first links and its original failure. */
static void tell_chain(char *text, size_t size, const char *chain)
{
    static const char link[] = RPI_SETTLE_BEHIND_A_FAILED ": ", gap[] = "... ";
    const char *last = chain, *next;
    int head = 0;
    while ((next = strstr(last, link)))
        last = next + sizeof link - 1;
    if (!strncmp(last, gap, sizeof gap - 1))
        last += sizeof gap - 1;
    size_t tail = strlen(last) + sizeof gap;
    for (next = chain;
         (next = strstr(next, link)) && (size_t)(next - chain) + sizeof link - 1 + tail <= size;) {
        next += sizeof link - 1;
        head = (int)(next - chain);
    }
    (void)snprintf(text, size, "%.*s%s%s", head, chain, gap, last);
}

/* The message quotes the failed input's, which in turn quotes that of its own input. */
static rp_status fail(struct rpi_master *master, struct rpi_deps_dependent *dependent,
                      struct rpi_future *future)
{
    char message[RPI_MESSAGE_MAX + 1];
    const struct rpi_future *culprit = rpi_future_of(&master->futures, dependent->failed);
    const struct rpi_failure *failure = culprit->done.data;
    if (strlen(failure->message) < sizeof message)
        (void)snprintf(message, sizeof message, "%s", failure->message);
    else
        tell_chain(message, sizeof message, failure->message);
    struct rpi_settled how = { .status = RP_ERR_INPUT,
                               .code = failure->code,
                               .message = message,
                               .function = dependent->entry.function };
    return rpi_retry_or_fail(master, dependent->id, future, &how);
}

static rp_status copy_failure(const struct rpi_master *master, const struct rpi_future *from,
                              void **data)
{
    const struct rpi_failure *failure = from->done.data;
    size_t size = sizeof *failure + strlen(failure->message) + 1;
    void *copy = rpi_reserve(&master->config.alloc, size);
    if (!copy)
        return rpi_no_memory("a failure's message");
    *data = memcpy(copy, failure, size);
    return RP_OK;
}

static rp_status copy_result(const struct rpi_master *master, const struct rpi_future *from,
                             void **data)
{
    if (!(from->flags & RPI_FUTURE_BUFFER))
        return RP_OK;
    void *copy = rpi_buffer_new(&master->config.alloc, from->done.size);
    if (!copy)
        return rpi_no_memory("a result");
    *data = memcpy(copy, from->done.data, from->done.size);
    return RP_OK;
}

static void count_outcome(struct rpi_counts *counts, rp_status status)
{
    counts->done += status == RP_OK;
    counts->cancelled += status == RP_ERR_CANCELLED;
    counts->failed += status != RP_OK && status != RP_ERR_CANCELLED;
}

/* Settles it as the one that it follows was settled. */
static rp_status share(struct rpi_master *master, struct rpi_deps_dependent *dependent,
                       struct rpi_future *future)
{
    const struct rpi_future *from = rpi_future_of(&master->futures, dependent->edges[0].input->id);
    struct rpi_settled how = { .status = (rp_status)from->status,
                               .worker = (int)from->done.worker,
                               .ran = (double)from->done.ran };
    void *data = NULL;
    rp_status status = how.status == RP_OK ? copy_result(master, from, &data)
                                           : copy_failure(master, from, &data);
    if (status != RP_OK)
        return status;
    if (how.status != RP_OK && future->flags & RPI_FUTURE_DETACHED)
        rpi_say(master->config.log, RP_LOG_ERROR, "a detached task failed: %s",
                ((struct rpi_failure *)data)->message);
    rpi_settle_done(master, future, &how);
    future->attempts = from->attempts;
    future->flags |= from->flags & RPI_FUTURE_BUFFER;
    future->done.size = from->done.size;
    if (data)
        future->done.data = data;
    else
        memcpy(future->done.small, from->done.small, sizeof from->done.small);
    count_outcome(&master->counts, how.status);
    rpi_settle_end(master, dependent->id, future);
    return RP_OK;
}

/* Its arguments move into the queue. */
static rp_status queue(struct rpi_master *master, struct rpi_deps_dependent *dependent,
                       struct rpi_future *future)
{
    const struct rpi_options *options = rpi_options_at(&master->options, future->options);
    rp_status status = rpi_ready_enqueue(master, &dependent->entry, options, false,
                                         future->pending.number);
    if (status != RP_OK)
        return status;
    if (dependent->entry.flags & RPI_ENTRY_OWNED)
        dependent->arg = NULL; /* the queue has it */
    rpi_buffer_free(dependent->arg);
    dependent->arg = NULL;
    future->state = RP_QUEUED;
    rpi_future_queued(future, dependent->entry.function, dependent->entry.size);
    master->deps.waiting--;
    return RP_OK;
}

void rpi_deps_advance(struct rpi_master *master)
{
    for (struct rpi_link *link; (link = rpi_list_first(&master->deps.moved));) {
        struct rpi_deps_dependent *dependent = RPI_MEMBER(link, struct rpi_deps_dependent, link);
        struct rpi_future *future = rpi_future_of(&master->futures, dependent->id);
        bool ends = dependent->follows || dependent->failed;
        rp_status status = dependent->follows  ? share(master, dependent, future)
                           : dependent->failed ? fail(master, dependent, future)
                                               : queue(master, dependent, future);
        if (status != RP_OK)
            return;
        if (!ends) /* else it is gone */
            rpi_list_remove(link);
    }
}
