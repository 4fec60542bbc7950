/* Tasks that failed: tried again, or settled with what a person needs to know. */
#include "master/requeue.h"
#include "master/settle.h"
#include "base/status.h"

#include <stdio.h>

const char *rpi_failure_verb(rp_status status)
{
    return status == RP_ERR_CANCELLED  ? "was cancelled"
           : status == RP_ERR_DEADLINE ? "overran its time limit"
           : status == RP_ERR_CRASHED  ? "crashed"
           : status == RP_ERR_LOST     ? "was lost"
           : status == RP_ERR_INPUT    ? RPI_BEHIND_A_FAILED
                                       : "failed";
}

/* What happened, for a person. */
static size_t tell(const struct rpi_master *master, uint64_t number, const struct rpi_settled *how,
                   char *text, size_t size)
{
    const struct rpi_registry *registry = master->config.registry;
    const char *name = how->function < registry->count ? registry->names[how->function] : "?";
    char place[RPI_NAME_MAX + 64] = "";
    if (how->at_worker)
        (void)snprintf(place, sizeof place, " on worker %d (%s)", how->worker,
                       master->roster.seats[how->worker].host);
    else if (how->status == RP_ERR_CANCELLED)
        (void)snprintf(place, sizeof place, " before it started");
    int length = snprintf(text, size, "task %s (number %llu) %s%s", name,
                          (unsigned long long)number, rpi_failure_verb(how->status), place);
    size_t used = (size_t)length < size ? (size_t)length : size - 1;
    if (how->status == RP_ERR_TASK)
        length = snprintf(text + used, size - used, " with code %d", how->code);
    else
        length = 0;
    used = (size_t)length < size - used ? used + (size_t)length : size - 1;
    if (how->message[0])
        (void)snprintf(text + used, size - used, ": %s", how->message);
    return strlen(text);
}

static struct rpi_failure *describe(struct rpi_master *master, uint64_t number,
                                    const struct rpi_settled *how)
{
    char text[RPI_MESSAGE_MAX + 512];
    size_t length = tell(master, number, how, text, sizeof text);
    struct rpi_failure *failure = rpi_reserve(&master->config.alloc, sizeof *failure + length + 1);
    if (!failure)
        return NULL;
    failure->code = how->code;
    memcpy(failure->message, text, length + 1);
    return failure;
}

#define ATTEMPTS 3 /* unless the options say otherwise */

/* Starts that its process did not survive are counted apart from those that returned an error. */
static bool may_crash_again(const struct rpi_future *future, const struct rpi_options *options)
{
    uint32_t allowed = options->attempts ? options->attempts : ATTEMPTS;
    return future->pending.retried < future->attempts &&
           (uint32_t)(future->attempts - future->pending.retried) < allowed;
}

/* Tries a task again, if it may be.  *again: it is. */
static rp_status try_again(struct rpi_master *master, uint64_t id, struct rpi_future *future,
                           const struct rpi_settled *how, bool *again)
{
    const struct rpi_options *options = rpi_options_at(&master->options, future->options);
    bool returned = how->status == RP_ERR_TASK || how->status == RP_ERR_DEADLINE;
    uint64_t number = future->pending.number;
    *again = !master->dropped && !how->final &&
             ((returned && future->pending.retried < options->retries) ||
              (how->status == RP_ERR_CRASHED && may_crash_again(future, options)));
    if (!*again)
        return RP_OK;
    struct rpi_retry_retained_reader place = { 0 };
    rp_status status = rpi_retry_at(master, id, future, how->ran, 0, &place);
    if (status != RP_OK)
        return status;
    master->counts.retried++;
    if (returned) {
        future->pending.retried++;
    } else {
        char text[RPI_MESSAGE_MAX + 512];
        (void)tell(master, number, how, text, sizeof text);
        rpi_say(master->config.log, RP_LOG_WARNING, "%s.  It is tried again (start %d of %u)", text,
                future->attempts + 1, options->attempts ? options->attempts : ATTEMPTS);
    }
    return RP_OK;
}

rp_status rpi_settle_failure(struct rpi_master *master, uint64_t id, struct rpi_future *future,
                             const struct rpi_settled *how)
{
    bool again;
    rp_status status = try_again(master, id, future, how, &again);
    if (status != RP_OK || again)
        return status;
    struct rpi_failure *failure = describe(master, future->pending.number, how);
    if (!failure)
        return rpi_no_memory("a failure's message");
    if (future->flags & RPI_FUTURE_DETACHED && how->status != RP_ERR_CANCELLED)
        rpi_say(master->config.log, RP_LOG_ERROR, "a detached task failed: %s", failure->message);
    rpi_settle_done(master, future, how);
    future->done.size = 0;
    future->done.data = failure;
    if (how->status == RP_ERR_CANCELLED)
        master->counts.cancelled++;
    else
        master->counts.failed++;
    rpi_settle_end(master, id, future);
    return RP_OK;
}
