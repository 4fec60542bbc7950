#include "exec/child.h"

#include "base/clock.h"
#include "base/status.h"
#include "exec/child_result.h"
#include "exec/postmortem.h"
#include "proto/registry.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FIRST_REST 0.5e-3 /* seconds until a look at the world */
#define QUICK_REST 50e-6  /* after one that found something */
#define SHARE      0.01   /* of a task's time so far: a longer rest than the first */
#define LAST_REST  10e-3
#define SLACK      1.0 /* seconds that a process may say nothing of its deadline */

/* ---- waiting for an order's end */

struct wait {
    const struct rpi_child_patience *patience;
    uint32_t number; /* the order's */
    double began;
    double cancelled; /* when its cancel was noticed; 0: it was not */
};

/* Takes in what the fork server says.  false: the process is dead. */
static bool hear(struct rpi_child *child)
{
    struct rpi_forkserver_news news;
    int heard;
    while ((heard = rpi_forkserver_hear(&child->forkserver, &news)) > 0) {
        if (news.what == RPI_FORKSERVER_BORN) {
            child->pid = news.value;
            child->alive = true;
            continue;
        }
        child->alive = false;
        child->status = news.what == RPI_FORKSERVER_DIED ? (int)news.value : 0;
        if (news.what == RPI_FORKSERVER_STILLBORN)
            child->pid = 0;
        return false;
    }
    if (heard == 0)
        return true;
    child->alive = false; /* it is killed with the fork server */
    child->status = SIGKILL;
    rpi_forkserver_end(&child->forkserver);
    return false;
}

/* Sets the next look to be due in `seconds`. */
static void set_timer(struct rpi_child *child, double seconds)
{
    struct itimerspec in = { .it_value = { .tv_sec = (time_t)seconds } };
    in.it_value.tv_nsec = (long)((seconds - (double)in.it_value.tv_sec) * 1e9) + 1;
    (void)timerfd_settime(child->timer, 0, &in, NULL);
    child->rest = seconds;
}

/* Sleeps until something may have happened.  *due: a look is.  false: the process is dead. */
static bool doze(struct rpi_child *child, bool *due)
{
    struct pollfd fds[] = { { .fd = child->main.reports, .events = POLLIN },
                            { .fd = child->timer, .events = POLLIN },
                            { .fd = child->forkserver.socket, .events = POLLIN },
                            { .fd = child->tail.source, .events = POLLIN } };
    uint64_t count;
    *due = false;
    if (poll(fds, 4, -1) <= 0)
        return true;
    if (fds[0].revents)
        (void)!read(child->main.reports, &count, sizeof count); /* however often it rang */
    if (fds[1].revents) {
        (void)!read(child->timer, &count, sizeof count);
        child->rest = 0;
        *due = true;
    }
    if (fds[3].revents)
        rpi_postmortem_tail_forward(&child->tail);
    return !fds[2].revents || hear(child);
}

/* The fork server says when it is dead. */
void rpi_child_kill(struct rpi_child *child)
{
    bool due;
    if (child->alive && !rpi_forkserver_kill(&child->forkserver))
        rpi_forkserver_end(&child->forkserver);
    while (child->alive && hear(child))
        (void)doze(child, &due);
    child->alive = false;
    rpi_postmortem_tail_forward(&child->tail);
}

/* When it is late; 0: never.  What the process says of that counts as long as it can be true. */
static double deadline_of(const struct rpi_child *child, const struct wait *wait)
{
    const struct rpi_mailbox_progress *progress = &child->main.area.mailbox->progress;
    double limit = wait->patience->limit,
           last = wait->began + limit * wait->patience->parts + SLACK;
    if (!(limit > 0))
        return 0;
    double said = 1e-9 * (double)atomic_load_explicit(&progress->deadline, memory_order_relaxed);
    return said > 0 && said < last ? said : last;
}

static void notice_cancel(struct rpi_child *child, struct wait *wait, double now)
{
    if (wait->patience->deaf || wait->cancelled > 0 ||
        !atomic_load_explicit(child->config.cancel, memory_order_relaxed))
        return;
    atomic_store_explicit(&child->main.area.mailbox->cancel, true, memory_order_relaxed);
    wait->cancelled = now;
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

/* Looks at the world, and sets the time of the next look.  RPI_CHILD_END_DONE: nothing follows for
 * the process. */
static enum rpi_child_end look(struct rpi_child *child, struct wait *wait)
{
    enum rpi_child_look found = child->config.look(child->config.context);
    double now = rpi_now(), deadline = deadline_of(child, wait),
           rest = least((now - wait->began) * SHARE, LAST_REST);
    if (found == RPI_CHILD_LOOK_OVER)
        return RPI_CHILD_END_OVER;
    notice_cancel(child, wait, now);
    double killed = wait->cancelled > 0 ? wait->cancelled + child->config.isolation.cancel_grace
                                        : 0;
    if (deadline > 0 && now >= deadline)
        return RPI_CHILD_END_OVERRAN;
    if (killed > 0 && now >= killed)
        return RPI_CHILD_END_CANCELLED;
    rest = found == RPI_CHILD_LOOK_SOMETHING ? QUICK_REST : rest > FIRST_REST ? rest : FIRST_REST;
    if (deadline > 0)
        rest = least(rest, deadline - now);
    if (killed > 0)
        rest = least(rest, killed - now);
    set_timer(child, rest);
    return RPI_CHILD_END_DONE;
}

/* Withdraws orders after `kept` that are not begun.  Impossible numbers mean that a task wrote
 * where it must not: the process is killed, and the next task blamed. */
static void withdraw(struct rpi_child *child, uint32_t kept)
{
    struct rpi_mailbox *mailbox = child->main.area.mailbox;
    uint32_t last = rpi_mailbox_withdraw(mailbox, kept);
    if (last - child->taken > child->given - child->taken ||
        last - rpi_mailbox_begun(mailbox) > 1) {
        rpi_child_kill(child);
        last = child->taken + (child->given != child->taken);
        rpi_mailbox_set(mailbox, last, last);
    }
    child->given = last;
}

/* A timer that runs already is good enough: to set one costs more than all the rest of a short
 * task. */
static void begin(struct rpi_child *child, struct wait *wait)
{
    bool runs = child->rest > 0 && child->rest <= FIRST_REST;
    if (child->looks && !runs)
        set_timer(child, FIRST_REST);
    if (wait->patience->limit > 0)
        wait->began = rpi_now();
}

/* RPI_CHILD_END_DONE: it is done, or nothing is wrong.  What comes may concern any task that has
 * not begun: before it is taken in, the process is left this one alone. */
static enum rpi_child_end look_when_due(struct rpi_child *child, struct wait *wait)
{
    if (!child->looks)
        return RPI_CHILD_END_DONE;
    withdraw(child, wait->number);
    if (!child->alive || rpi_mailbox_is_done(child->main.area.mailbox, wait->number))
        return RPI_CHILD_END_DONE;
    if (!(wait->began > 0))
        wait->began = rpi_now(); /* a little late, for short tasks' sake */
    enum rpi_child_end end = look(child, wait);
    if (end != RPI_CHILD_END_DONE)
        rpi_child_kill(child);
    return end;
}

static enum rpi_child_end wait_for(struct rpi_child *child, struct wait *wait)
{
    const struct rpi_mailbox *mailbox = child->main.area.mailbox;
    bool due;
    while (!rpi_mailbox_is_done(mailbox, wait->number)) {
        if (!child->alive)
            return rpi_mailbox_is_after(wait->number, rpi_mailbox_begun(mailbox))
                       ? RPI_CHILD_END_EARLY
                       : RPI_CHILD_END_DIED;
        (void)doze(child, &due);
        enum rpi_child_end end = due ? look_when_due(child, wait) : RPI_CHILD_END_DONE;
        if (end != RPI_CHILD_END_DONE)
            return end;
    }
    return RPI_CHILD_END_DONE;
}

enum rpi_child_end rpi_child_await(struct rpi_child *child,
                                   const struct rpi_child_patience *patience)
{
    struct wait wait = { .number = child->taken + 1, .patience = patience };
    begin(child, &wait);
    enum rpi_child_end end = wait_for(child, &wait);
    if (end != RPI_CHILD_END_EARLY)
        child->taken++;
    if (end != RPI_CHILD_END_DONE)
        withdraw(child, child->taken); /* it is dead: what follows is another's */
    return end;
}

/* ---- orders */

/* All that was given before is awaited. */
static void order(struct rpi_child *child, enum rpi_mailbox_order what,
                  const struct rpi_task *tasks, uint32_t count)
{
    struct rpi_mailbox *mailbox = child->main.area.mailbox;
    for (uint32_t i = 0; i < count; i++) {
        struct rpi_mailbox_command *command = rpi_mailbox_command_of(mailbox, child->taken + 1 + i);
        command->what = what;
        command->first = i == 0;
        if (tasks)
            command->task = tasks[i];
    }
    atomic_store_explicit(&mailbox->cancel, false, memory_order_relaxed);
    atomic_store_explicit(&mailbox->progress.deadline, 0, memory_order_relaxed);
    child->items = tasks && tasks->is_chunk ? tasks->chunk.count : 0;
    rpi_mailbox_progress_begin(&mailbox->progress, child->items);
    atomic_store_explicit(&mailbox->progress.failures, 0, memory_order_relaxed);
    atomic_store_explicit(&mailbox->progress.failures_size, 0, memory_order_relaxed);
    atomic_store_explicit(&mailbox->done, child->taken, memory_order_relaxed);
    child->report = 0;
    child->given = child->taken + count;
    rpi_mailbox_set(mailbox, child->given, child->taken);
    rpi_futex_ring(&mailbox->orders);
}

void rpi_child_command(struct rpi_child *child, enum rpi_mailbox_order what)
{
    order(child, what, NULL, 1);
}

void rpi_child_give(struct rpi_child *child, const struct rpi_task *tasks, uint32_t count)
{
    order(child, RPI_MAILBOX_ORDER_RUN, tasks, count);
}

bool rpi_child_has_next(const struct rpi_child *child)
{
    return rpi_mailbox_is_after(rpi_mailbox_given(child->main.area.mailbox), child->taken);
}

bool rpi_child_is_next_done(const struct rpi_child *child)
{
    return rpi_child_has_next(child) &&
           rpi_mailbox_is_done(child->main.area.mailbox, child->taken + 1);
}

uint32_t rpi_child_hold(struct rpi_child *child)
{
    if (!rpi_child_has_next(child))
        return 0;
    withdraw(child, child->taken);
    return child->given - child->taken;
}

/* Bytes of a report that needs no buffer of its own. */
static size_t scratch_size(const struct rpi_child *child)
{
    return RPI_CHILD_RESULT_DATA + child->config.main.room;
}

rp_status rpi_child_report(struct rpi_child *child, const struct rpi_task *task,
                           struct rpi_result *result)
{
    const struct rpi_child_main_config *config = &child->config.main;
    const struct rpi_child_result_frame frame = { .task = task,
                                                  .functions = config->registry->count,
                                                  .child_limit = (uint32_t)config->room };
    const struct rpi_mailbox_area *area = &child->main.area;
    size_t room = child->report < area->out_room ? area->out_room - child->report : 0;
    uint8_t *from = area->out + child->report, *to = child->scratch;
    uint64_t size = 0;
    if (room > RPI_CHILD_RESULT_DATA) {
        memcpy(to, from, RPI_CHILD_RESULT_DATA);
        size = rpi_child_result_size(to, room);
    }
    if (size == 0)
        return rpi_error(RP_ERR_CRASHED, "what its process left is damaged: its size");
    child->report = rpi_mailbox_area_next(child->report, size);
    bool large = size > scratch_size(child); /* what does not travel in a batch is among it */
    void *owned = large ? rpi_buffer_new(&config->alloc, size) : NULL;
    if (large && !owned)
        return rpi_no_memory("a task's result");
    if (owned)
        to = owned;
    rpi_mailbox_area_take(to, from, size);
    rp_status status = rpi_child_result_get(to, size, &frame, child->message, result);
    if (status == RP_OK && owned && result->status == RP_OK)
        result->owned = owned;
    else
        rpi_buffer_free(owned);
    return status;
}

/* ---- birth and death */

/* What rang for the one before does not wake the next. */
static void drain(int fd)
{
    struct pollfd ready = { .fd = fd, .events = POLLIN };
    uint64_t count;
    if (poll(&ready, 1, 0) > 0)
        (void)!read(fd, &count, sizeof count);
}

static void live(void *child)
{
    rpi_child_main_live(child);
}

static rp_status start_forkserver(struct rpi_child *child)
{
    const struct rpi_forkserver_config config = { .live = live,
                                                  .context = &child->main,
                                                  .keep = { child->main.reports, -1 },
                                                  .error = child->tail.sink };
    return rpi_forkserver_start(&child->forkserver, &config);
}

/* How the start of a process ended. */
static rp_status judge_start(struct rpi_child *child, enum rpi_child_end end)
{
    const struct rpi_child_main_config *config = &child->config.main;
    const struct rpi_task task = { .function = config->initializer };
    bool none = config->initializer == RPI_NO_FUNCTION;
    const char *what = none ? "the start of a process" : "the initializer ";
    const char *name = none ? "" : config->registry->names[config->initializer];
    struct rpi_result result;
    char how[RPI_MESSAGE_MAX + 1];
    if (end == RPI_CHILD_END_DONE) {
        rp_status status = rpi_child_report(child, &task, &result);
        if (status != RP_OK || result.status == RP_OK)
            return status;
        return rpi_error(RP_ERR_BROKEN, "%s%s failed on worker %d (%s) with code %d%s%s", what,
                         name, config->number, config->host, result.code,
                         result.message[0] ? ": " : "", result.message);
    }
    if (end != RPI_CHILD_END_DIED && end != RPI_CHILD_END_EARLY)
        return rpi_error(RP_ERR_BROKEN, "%s%s was stopped on worker %d (%s)", what, name,
                         config->number, config->host);
    if (!child->pid)
        return rpi_error(RP_ERR_FULL, "no process for tasks on worker %d (%s): fork failed",
                         config->number, config->host);
    rpi_postmortem(how, sizeof how, child->pid, child->status, &child->tail);
    return rpi_error(RP_ERR_BROKEN, "%s%s failed on worker %d (%s): %s", what, name, config->number,
                     config->host, how);
}

rp_status rpi_child_start(struct rpi_child *child)
{
    static const struct rpi_child_patience patience;
    rp_status status = child->forkserver.pid ? RP_OK : start_forkserver(child);
    if (status != RP_OK)
        return status;
    drain(child->main.reports);
    rpi_mailbox_area_drop(child->main.area.out,
                          child->main.area.out_room); /* what one that died has left there */
    rpi_postmortem_tail_begin(&child->tail);
    rpi_child_command(child, RPI_MAILBOX_ORDER_START);
    child->pid = 0;
    child->ran = child->changes = 0;
    child->alive = rpi_forkserver_fork(&child->forkserver);
    if (!child->alive) {
        rpi_forkserver_end(&child->forkserver);
        return rpi_error(RP_ERR_FULL, "the process that forks others is gone");
    }
    status = judge_start(child, rpi_child_await(child, &patience));
    if (status != RP_OK)
        rpi_child_kill(child);
    return status;
}

void rpi_child_stop(struct rpi_child *child)
{
    static const struct rpi_child_patience patience = { .deaf = true };
    if (!child->alive || rpi_child_hold(child)) /* what it runs is no longer awaited */
        return;
    rpi_child_command(child, RPI_MAILBOX_ORDER_END);
    (void)rpi_child_await(child, &patience); /* it is gone, by itself or not */
    rpi_postmortem_tail_forward(&child->tail);
}

/* Every process that starts needs it. */
static rp_status copy_init_arg(struct rpi_child *child)
{
    rp_bytes *arg = &child->main.config.init_arg;
    void *copy = rpi_buffer_new(&child->config.main.alloc, arg->size);
    if (!copy)
        return rpi_no_memory("the initializer's argument");
    if (arg->size)
        memcpy(copy, arg->data, arg->size);
    arg->data = copy;
    child->init_arg = copy;
    return RP_OK;
}

rp_status rpi_child_init(struct rpi_child *child, const struct rpi_child_config *config)
{
    *child = (struct rpi_child){ .config = *config };
    child->main = (struct rpi_child_main){ .config = config->main, .reports = -1 };
    child->tail.source = child->forkserver.socket = child->timer = -1;
    child->scratch = rpi_buffer_new(&config->main.alloc, scratch_size(child));
    rp_status status = copy_init_arg(child);
    if (status != RP_OK)
        return status;
    status = child->scratch ? rpi_mailbox_area_map(&child->main.area)
                            : rpi_no_memory("a worker's results");
    if (status == RP_OK)
        status = rpi_postmortem_tail_open(&child->tail);
    if (status != RP_OK)
        return status;
    child->main.reports = eventfd(0, EFD_CLOEXEC);
    child->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    if (child->main.reports < 0 || child->timer < 0)
        return rpi_error(RP_ERR_FULL, "no descriptor for a task's process: %s", strerror(errno));
    return RP_OK;
}

void rpi_child_fini(struct rpi_child *child)
{
    rpi_child_kill(child);
    rpi_forkserver_end(&child->forkserver);
    rpi_postmortem_tail_close(&child->tail);
    if (child->main.reports >= 0)
        (void)close(child->main.reports);
    if (child->timer >= 0)
        (void)close(child->timer);
    rpi_mailbox_area_unmap(&child->main.area);
    rpi_buffer_free(child->scratch);
    rpi_buffer_free(child->init_arg);
}
