#include "exec/child.h"

#include "base/clock.h"
#include "exec/postmortem.h"
#include "exec/child_result.h"
#include "base/status.h"

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

/* Takes in what the zygote says.  false: the process is dead. */
static bool hear(struct rpi_child *resident)
{
    struct rpi_forkserver_news news;
    int heard;
    while ((heard = rpi_forkserver_hear(&resident->zygote, &news)) > 0) {
        if (news.what == RPI_FORKSERVER_BORN) {
            resident->pid = news.value;
            resident->alive = true;
            continue;
        }
        resident->alive = false;
        resident->status = news.what == RPI_FORKSERVER_DIED ? (int)news.value : 0;
        if (news.what == RPI_FORKSERVER_STILLBORN)
            resident->pid = 0;
        return false;
    }
    if (heard == 0)
        return true;
    resident->alive = false; /* it is killed with the zygote */
    resident->status = SIGKILL;
    rpi_forkserver_end(&resident->zygote);
    return false;
}

/* Sets the next look to be due in `seconds`. */
static void set_timer(struct rpi_child *resident, double seconds)
{
    struct itimerspec in = { .it_value = { .tv_sec = (time_t)seconds } };
    in.it_value.tv_nsec = (long)((seconds - (double)in.it_value.tv_sec) * 1e9) + 1;
    (void)timerfd_settime(resident->timer, 0, &in, NULL);
    resident->rest = seconds;
}

/* Sleeps until something may have happened.  *due: a look is.  false: the process is dead. */
static bool doze(struct rpi_child *resident, bool *due)
{
    struct pollfd fds[] = { { .fd = resident->child.reports, .events = POLLIN },
                            { .fd = resident->timer, .events = POLLIN },
                            { .fd = resident->zygote.socket, .events = POLLIN },
                            { .fd = resident->tail.source, .events = POLLIN } };
    uint64_t count;
    *due = false;
    if (poll(fds, 4, -1) <= 0)
        return true;
    if (fds[0].revents)
        (void)!read(resident->child.reports, &count, sizeof count); /* however often it rang */
    if (fds[1].revents) {
        (void)!read(resident->timer, &count, sizeof count);
        resident->rest = 0;
        *due = true;
    }
    if (fds[3].revents)
        rpi_postmortem_tail_forward(&resident->tail);
    return !fds[2].revents || hear(resident);
}

/* The zygote says when it is dead. */
void rpi_child_kill(struct rpi_child *resident)
{
    bool due;
    if (resident->alive && !rpi_forkserver_kill(&resident->zygote))
        rpi_forkserver_end(&resident->zygote);
    while (resident->alive && hear(resident))
        (void)doze(resident, &due);
    resident->alive = false;
    rpi_postmortem_tail_forward(&resident->tail);
}

/* When it is late; 0: never.  What the process says of that counts as long as it can be true. */
static double deadline_of(const struct rpi_child *resident, const struct wait *wait)
{
    const struct rpi_mailbox_progress *progress = &resident->child.area.board->progress;
    double limit = wait->patience->limit,
           last = wait->began + limit * wait->patience->parts + SLACK;
    if (!(limit > 0))
        return 0;
    double said = 1e-9 * (double)atomic_load_explicit(&progress->deadline, memory_order_relaxed);
    return said > 0 && said < last ? said : last;
}

static void notice_cancel(struct rpi_child *resident, struct wait *wait, double now)
{
    if (wait->patience->deaf || wait->cancelled > 0 ||
        !atomic_load_explicit(resident->config.cancel, memory_order_relaxed))
        return;
    atomic_store_explicit(&resident->child.area.board->cancel, true, memory_order_relaxed);
    wait->cancelled = now;
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

/* Looks at the world, and sets the time of the next look.  RPI_CHILD_END_DONE: nothing follows for
 * the process. */
static enum rpi_child_end look(struct rpi_child *resident, struct wait *wait)
{
    enum rpi_child_look found = resident->config.look(resident->config.context);
    double now = rpi_now(), deadline = deadline_of(resident, wait),
           rest = least((now - wait->began) * SHARE, LAST_REST);
    if (found == RPI_CHILD_LOOK_OVER)
        return RPI_CHILD_END_OVER;
    notice_cancel(resident, wait, now);
    double killed = wait->cancelled > 0 ? wait->cancelled + resident->config.isolation.cancel_grace
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
    set_timer(resident, rest);
    return RPI_CHILD_END_DONE;
}

/* Withdraws orders after `kept` that are not begun.  Impossible numbers mean that a task wrote
 * where it must not: the process is killed, and the next task blamed. */
static void withdraw(struct rpi_child *resident, uint32_t kept)
{
    struct rpi_mailbox *board = resident->child.area.board;
    uint32_t last = rpi_mailbox_withdraw(board, kept);
    if (last - resident->taken > resident->given - resident->taken ||
        last - rpi_mailbox_begun(board) > 1) {
        rpi_child_kill(resident);
        last = resident->taken + (resident->given != resident->taken);
        rpi_mailbox_set(board, last, last);
    }
    resident->given = last;
}

/* A timer that runs already is good enough: to set one costs more than all the rest of a short
 * task. */
static void begin(struct rpi_child *resident, struct wait *wait)
{
    bool runs = resident->rest > 0 && resident->rest <= FIRST_REST;
    if (resident->looks && !runs)
        set_timer(resident, FIRST_REST);
    if (wait->patience->limit > 0)
        wait->began = rpi_now();
}

/* RPI_CHILD_END_DONE: it is done, or nothing is wrong.  What comes may concern any task that has
 * not begun: before it is taken in, the process is left this one alone. */
static enum rpi_child_end look_when_due(struct rpi_child *resident, struct wait *wait)
{
    if (!resident->looks)
        return RPI_CHILD_END_DONE;
    withdraw(resident, wait->number);
    if (!resident->alive || rpi_mailbox_is_done(resident->child.area.board, wait->number))
        return RPI_CHILD_END_DONE;
    if (!(wait->began > 0))
        wait->began = rpi_now(); /* a little late, for short tasks' sake */
    enum rpi_child_end end = look(resident, wait);
    if (end != RPI_CHILD_END_DONE)
        rpi_child_kill(resident);
    return end;
}

static enum rpi_child_end wait_for(struct rpi_child *resident, struct wait *wait)
{
    const struct rpi_mailbox *board = resident->child.area.board;
    bool due;
    while (!rpi_mailbox_is_done(board, wait->number)) {
        if (!resident->alive)
            return rpi_mailbox_is_after(wait->number, rpi_mailbox_begun(board))
                       ? RPI_CHILD_END_EARLY
                       : RPI_CHILD_END_DIED;
        (void)doze(resident, &due);
        enum rpi_child_end end = due ? look_when_due(resident, wait) : RPI_CHILD_END_DONE;
        if (end != RPI_CHILD_END_DONE)
            return end;
    }
    return RPI_CHILD_END_DONE;
}

enum rpi_child_end rpi_child_await(struct rpi_child *resident,
                                   const struct rpi_child_patience *patience)
{
    struct wait wait = { .number = resident->taken + 1, .patience = patience };
    begin(resident, &wait);
    enum rpi_child_end end = wait_for(resident, &wait);
    if (end != RPI_CHILD_END_EARLY)
        resident->taken++;
    if (end != RPI_CHILD_END_DONE)
        withdraw(resident, resident->taken); /* it is dead: what follows is another's */
    return end;
}

/* ---- orders */

/* All that was given before is awaited. */
static void order(struct rpi_child *resident, enum rpi_mailbox_order what,
                  const struct rpi_task *tasks, uint32_t count)
{
    struct rpi_mailbox *board = resident->child.area.board;
    for (uint32_t i = 0; i < count; i++) {
        struct rpi_mailbox_command *command = rpi_mailbox_command_of(board,
                                                                     resident->taken + 1 + i);
        command->what = what;
        command->first = i == 0;
        if (tasks)
            command->task = tasks[i];
    }
    atomic_store_explicit(&board->cancel, false, memory_order_relaxed);
    atomic_store_explicit(&board->progress.deadline, 0, memory_order_relaxed);
    resident->items = tasks && tasks->is_chunk ? tasks->chunk.count : 0;
    rpi_mailbox_progress_begin(&board->progress, resident->items);
    atomic_store_explicit(&board->progress.failures, 0, memory_order_relaxed);
    atomic_store_explicit(&board->progress.failures_size, 0, memory_order_relaxed);
    atomic_store_explicit(&board->done, resident->taken, memory_order_relaxed);
    resident->report = 0;
    resident->given = resident->taken + count;
    rpi_mailbox_set(board, resident->given, resident->taken);
    rpi_futex_ring(&board->orders);
}

void rpi_child_command(struct rpi_child *resident, enum rpi_mailbox_order what)
{
    order(resident, what, NULL, 1);
}

void rpi_child_give(struct rpi_child *resident, const struct rpi_task *tasks, uint32_t count)
{
    order(resident, RPI_MAILBOX_ORDER_RUN, tasks, count);
}

bool rpi_child_has_next(const struct rpi_child *resident)
{
    return rpi_mailbox_is_after(rpi_mailbox_given(resident->child.area.board), resident->taken);
}

bool rpi_child_is_next_done(const struct rpi_child *resident)
{
    return rpi_child_has_next(resident) &&
           rpi_mailbox_is_done(resident->child.area.board, resident->taken + 1);
}

uint32_t rpi_child_hold(struct rpi_child *resident)
{
    if (!rpi_child_has_next(resident))
        return 0;
    withdraw(resident, resident->taken);
    return resident->given - resident->taken;
}

/* Bytes of a report that needs no buffer of its own. */
static size_t scratch_size(const struct rpi_child *resident)
{
    return RPI_CHILD_RESULT_DATA + resident->config.child.room;
}

rp_status rpi_child_report(struct rpi_child *resident, const struct rpi_task *task,
                           struct rpi_result *result)
{
    const struct rpi_child_main_config *child = &resident->config.child;
    const struct rpi_child_result_frame frame = { .task = task,
                                                  .functions = child->registry->count,
                                                  .child_limit = (uint32_t)child->room };
    const struct rpi_mailbox_area *area = &resident->child.area;
    size_t room = resident->report < area->out_room ? area->out_room - resident->report : 0;
    uint8_t *from = area->out + resident->report, *to = resident->scratch;
    uint64_t size = 0;
    if (room > RPI_CHILD_RESULT_DATA) {
        memcpy(to, from, RPI_CHILD_RESULT_DATA);
        size = rpi_child_result_size(to, room);
    }
    if (size == 0)
        return rpi_error(RP_ERR_CRASHED, "what its process left is damaged: its size");
    resident->report = rpi_mailbox_area_next(resident->report, size);
    bool large = size > scratch_size(resident); /* what does not travel in a batch is among it */
    void *owned = large ? rpi_buffer_new(&child->alloc, size) : NULL;
    if (large && !owned)
        return rpi_no_memory("a task's result");
    if (owned)
        to = owned;
    rpi_mailbox_area_take(to, from, size);
    rp_status status = rpi_child_result_get(to, size, &frame, resident->message, result);
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

static rp_status start_zygote(struct rpi_child *resident)
{
    const struct rpi_forkserver_config config = { .live = live,
                                                  .context = &resident->child,
                                                  .keep = { resident->child.reports, -1 },
                                                  .error = resident->tail.sink };
    return rpi_forkserver_start(&resident->zygote, &config);
}

/* How the start of a process ended. */
static rp_status judge_start(struct rpi_child *resident, enum rpi_child_end end)
{
    const struct rpi_child_main_config *child = &resident->config.child;
    const struct rpi_task task = { .function = child->initializer };
    bool none = child->initializer == RPI_NO_FUNCTION;
    const char *what = none ? "the start of a process" : "the initializer ";
    const char *name = none ? "" : child->registry->names[child->initializer];
    struct rpi_result result;
    char how[RPI_MESSAGE_MAX + 1];
    if (end == RPI_CHILD_END_DONE) {
        rp_status status = rpi_child_report(resident, &task, &result);
        if (status != RP_OK || result.status == RP_OK)
            return status;
        return rpi_error(RP_ERR_BROKEN, "%s%s failed on worker %d (%s) with code %d%s%s", what,
                         name, child->number, child->host, result.code,
                         result.message[0] ? ": " : "", result.message);
    }
    if (end != RPI_CHILD_END_DIED && end != RPI_CHILD_END_EARLY)
        return rpi_error(RP_ERR_BROKEN, "%s%s was stopped on worker %d (%s)", what, name,
                         child->number, child->host);
    if (!resident->pid)
        return rpi_error(RP_ERR_FULL, "no process for tasks on worker %d (%s): fork failed",
                         child->number, child->host);
    rpi_postmortem(how, sizeof how, resident->pid, resident->status, &resident->tail);
    return rpi_error(RP_ERR_BROKEN, "%s%s failed on worker %d (%s): %s", what, name, child->number,
                     child->host, how);
}

rp_status rpi_child_start(struct rpi_child *resident)
{
    static const struct rpi_child_patience patience;
    rp_status status = resident->zygote.pid ? RP_OK : start_zygote(resident);
    if (status != RP_OK)
        return status;
    drain(resident->child.reports);
    rpi_mailbox_area_drop(resident->child.area.out,
                          resident->child.area.out_room); /* what one that died has left there */
    rpi_postmortem_tail_begin(&resident->tail);
    rpi_child_command(resident, RPI_MAILBOX_ORDER_START);
    resident->pid = 0;
    resident->ran = resident->changes = 0;
    resident->alive = rpi_forkserver_fork(&resident->zygote);
    if (!resident->alive) {
        rpi_forkserver_end(&resident->zygote);
        return rpi_error(RP_ERR_FULL, "the process that forks others is gone");
    }
    status = judge_start(resident, rpi_child_await(resident, &patience));
    if (status != RP_OK)
        rpi_child_kill(resident);
    return status;
}

void rpi_child_stop(struct rpi_child *resident)
{
    static const struct rpi_child_patience patience = { .deaf = true };
    if (!resident->alive || rpi_child_hold(resident)) /* what it runs is no longer awaited */
        return;
    rpi_child_command(resident, RPI_MAILBOX_ORDER_END);
    (void)rpi_child_await(resident, &patience); /* it is gone, by itself or not */
    rpi_postmortem_tail_forward(&resident->tail);
}

/* Every process that starts needs it. */
static rp_status copy_init_arg(struct rpi_child *resident)
{
    rp_bytes *arg = &resident->child.config.init_arg;
    void *copy = rpi_buffer_new(&resident->config.child.alloc, arg->size);
    if (!copy)
        return rpi_no_memory("the initializer's argument");
    if (arg->size)
        memcpy(copy, arg->data, arg->size);
    arg->data = copy;
    resident->init_arg = copy;
    return RP_OK;
}

rp_status rpi_child_init(struct rpi_child *resident, const struct rpi_fork_config *config)
{
    *resident = (struct rpi_child){ .config = *config };
    resident->child = (struct rpi_child_main){ .config = config->child, .reports = -1 };
    resident->tail.source = resident->zygote.socket = resident->timer = -1;
    resident->scratch = rpi_buffer_new(&config->child.alloc, scratch_size(resident));
    rp_status status = copy_init_arg(resident);
    if (status != RP_OK)
        return status;
    status = resident->scratch ? rpi_mailbox_area_map(&resident->child.area)
                               : rpi_no_memory("a worker's results");
    if (status == RP_OK)
        status = rpi_postmortem_tail_open(&resident->tail);
    if (status != RP_OK)
        return status;
    resident->child.reports = eventfd(0, EFD_CLOEXEC);
    resident->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    if (resident->child.reports < 0 || resident->timer < 0)
        return rpi_error(RP_ERR_FULL, "no descriptor for a task's process: %s", strerror(errno));
    return RP_OK;
}

void rpi_child_fini(struct rpi_child *resident)
{
    rpi_child_kill(resident);
    rpi_forkserver_end(&resident->zygote);
    rpi_postmortem_tail_close(&resident->tail);
    if (resident->child.reports >= 0)
        (void)close(resident->child.reports);
    if (resident->timer >= 0)
        (void)close(resident->timer);
    rpi_mailbox_area_unmap(&resident->child.area);
    rpi_buffer_free(resident->scratch);
    rpi_buffer_free(resident->init_arg);
}
