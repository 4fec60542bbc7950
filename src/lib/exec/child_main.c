#include "exec/child_main.h"

#include "base/clock.h"
#include "base/runtimes.h"
#include "base/shm.h"
#include "exec/child_result.h"
#include "exec/crash.h"
#include "exec/inline.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STALE ((uint64_t)RPI_TICKS_US * 100) /* ticks that a report waits for others at most */
/* bytes of reports, after which the rest of the line is withdrawn: the worker takes them first */
#define MUCH ((size_t)256 << 10)

struct life {
    struct rpi_child_main *child;
    size_t at;     /* in `out`, of the next report */
    uint64_t rang; /* ticks */
    struct rpi_inline executor;
    struct rpi_shared_cache shared_cache;
    struct rpi_task task;
};

/* ---- how it leaves */

/* exit() in a task runs no handler that was registered before the process was forked: they are the
 * worker's, MPI's among them. */
#ifdef __GLIBC__
static void on_way_out(int status, void *unused)
{
    (void)unused;
    rpi_runtimes_flush();
    _exit(status);
}

static void guard_exit(void)
{
    (void)on_exit(on_way_out, NULL);
}
#else
static void on_way_out(void)
{
    rpi_runtimes_flush();
    _exit(1);
}

static void guard_exit(void)
{
    (void)atexit(on_way_out);
}
#endif

/* ---- talking to the worker */

static uint32_t await_order(struct life *life)
{
    struct rpi_mailbox *mailbox = life->child->area.mailbox;
    uint32_t number;
    while (!rpi_mailbox_begin(mailbox, &number)) {
        uint32_t count = rpi_futex_count(&mailbox->orders);
        if (rpi_mailbox_begin(mailbox, &number))
            break;
        rpi_futex_sleep(&mailbox->orders, count);
        life->rang = rpi_ticks();
    }
    return number;
}

static void fail(struct rpi_result *result, const char *why)
{
    *result = (struct rpi_result){ .status = RP_ERR_TASK, .code = RP_ERR_NOMEM, .message = why };
}

/* Puts the children after the result. */
static uint64_t put_children(struct life *life, struct rpi_result *result)
{
    const struct rp_call *call = &life->executor.call;
    const struct rpi_mailbox_area *area = &life->child->area;
    uint64_t at = life->at + rpi_child_result_children(result->size),
             size = result->children_count ? call->children_used : 0;
    if (size > area->out_room - at) {
        fail(result, "its process has no room for that many spawned tasks");
        return 0;
    }
    if (size)
        memcpy(area->out + at, call->children, size);
    return size;
}

/* Wakes the worker, but not while more is in the line and what is reported is fresh: it is woken
 * for several reports at once. */
static void ring(struct life *life)
{
    const struct rpi_mailbox *mailbox = life->child->area.mailbox;
    const uint64_t one = 1;
    uint64_t now = rpi_ticks();
    if (rpi_mailbox_given(mailbox) != rpi_mailbox_begun(mailbox) && now - life->rang < STALE)
        return;
    life->rang = now;
    if (write(life->child->reports, &one, sizeof one) != sizeof one)
        _exit(
            1); /* a task has closed it: what it did is reported, and another process takes over */
}

static void report(struct life *life, uint32_t number, struct rpi_result *result)
{
    const struct rpi_mailbox_area *area = &life->child->area;
    uint64_t children = 0;
    if (result->owned) {
        rpi_buffer_free(result->owned);
        fail(result, "its process has no room for a result of this size");
    } else if (result->status == RP_OK) {
        children = put_children(life, result);
    }
    life->at = rpi_mailbox_area_next(life->at,
                                     rpi_child_result_put(area->out + life->at, result, children));
    rpi_runtimes_flush(); /* what it printed may not wait for a process that may crash */
    if (life->at > MUCH)
        (void)rpi_mailbox_withdraw(area->mailbox, number);
    atomic_store(&area->mailbox->done, number);
    ring(life);
}

/* ---- orders */

static void start(struct life *life, struct rpi_result *result)
{
    const struct rpi_child_main_config *config = &life->child->config;
    *result = (struct rpi_result){ .status = RP_OK, .message = "" };
    if (config->initializer == RPI_NO_FUNCTION)
        return;
    life->task = (struct rpi_task){ .function = config->initializer, .attempt = 1 };
    life->task.arg = config->init_arg.data;
    life->task.size = config->init_arg.size;
    rpi_inline_execute(&life->executor, &life->task, result);
    rpi_runtimes_find(); /* it may have loaded a plug-in */
    rpi_buffer_free(result->owned);
    result->owned = NULL;
    result->size = result->children_count = 0;
}

static void run(struct life *life, const struct rpi_task *task, struct rpi_result *result)
{
    life->task = *task;
    rpi_inline_execute(&life->executor, &life->task, result);
}

static struct rpi_shared_datum *find(const struct rpi_shared_cache *shared_cache, uint64_t number)
{
    for (struct rpi_link *link = shared_cache->data.next; link != &shared_cache->data;
         link = link->next)
        if (rpi_shared_datum_of(link)->number == number)
            return rpi_shared_datum_of(link);
    return NULL;
}

static bool map(struct rpi_shared_cache *shared_cache, const struct rpi_child_main_datum *from,
                int64_t worker)
{
    struct rpi_shared_datum *datum = rpi_shared_cache_add(shared_cache, from->number,
                                                          (const char *)(from + 1), from->length);
    if (!datum)
        return false;
    datum->segment.size = from->size;
    datum->segment.token = from->token;
    datum->state = RPI_READY;
    if (from->size == 0 || rpi_shm_map(&datum->segment, worker, from->fd, false))
        return true;
    rpi_shared_cache_remove(shared_cache, datum);
    return false;
}

static void unmap(struct rpi_shared_cache *shared_cache, struct rpi_shared_datum *datum)
{
    rpi_shm_free(&datum->segment);
    rpi_shared_cache_remove(shared_cache, datum);
}

/* Maps what the list names and unmaps the rest; both are in the order of their numbers. */
static bool share(struct life *life)
{
    const struct rpi_mailbox_area *area = &life->child->area;
    const uint8_t *at = area->in;
    struct rpi_shared_cache kept;
    bool all = true;
    rpi_shared_cache_init(&kept, &life->child->config.alloc);
    for (uint64_t i = 0; i < area->mailbox->shared; i++) {
        const struct rpi_child_main_datum *from = (const void *)at;
        struct rpi_shared_datum *datum = find(&life->shared_cache, from->number);
        at += sizeof *from + rpi_wire_padded(from->length);
        if (datum) {
            rpi_list_remove(&datum->link);
            rpi_list_append(&kept.data, &datum->link);
        } else {
            all = map(&kept, from, life->child->config.worker) && all;
        }
    }
    for (struct rpi_link *link; (link = rpi_list_first(&life->shared_cache.data));)
        unmap(&life->shared_cache, rpi_shared_datum_of(link));
    for (struct rpi_link *link; (link = rpi_list_pop(&kept.data));)
        rpi_list_append(&life->shared_cache.data, link);
    return all;
}

_Noreturn static void end(struct life *life)
{
    if (life->child->config.finalizer)
        life->child->config.finalizer(life->executor.worker_data);
    rpi_runtimes_flush();
    _exit(0);
}

/* Results are left where the report will say that they are. */
static void make_place(struct life *life, const struct rpi_mailbox_command *command)
{
    const struct rpi_mailbox_area *area = &life->child->area;
    if (command->first)
        life->at = 0;
    size_t room = area->out_room - life->at - RPI_CHILD_RESULT_DATA;
    rpi_inline_place(&life->executor, area->out + life->at + RPI_CHILD_RESULT_DATA,
                     room < UINT32_MAX ? room : UINT32_MAX, &area->mailbox->progress);
}

static void obey(struct life *life, uint32_t number)
{
    const struct rpi_mailbox_command *command = rpi_mailbox_command_of(life->child->area.mailbox,
                                                                       number);
    struct rpi_result result = { .status = RP_OK, .message = "" };
    make_place(life, command);
    switch (command->what) {
    case RPI_MAILBOX_ORDER_START:
        start(life, &result);
        break;
    case RPI_MAILBOX_ORDER_RUN:
        run(life, &command->task, &result);
        break;
    case RPI_MAILBOX_ORDER_SHARED:
        if (!share(life))
            fail(&result, "");
        break;
    case RPI_MAILBOX_ORDER_END:
        end(life);
    }
    report(life, number, &result);
}

static rp_status prepare(struct life *life)
{
    const struct rpi_child_main_config *config = &life->child->config;
    const struct rpi_mailbox_area *area = &life->child->area;
    rpi_shared_cache_init(&life->shared_cache, &config->alloc);
    rp_status status = rpi_inline_init(&life->executor, &config->alloc, config->registry,
                                       config->room, config->number, config->host);
    if (status != RP_OK)
        return status;
    life->executor.call.cancel = &area->mailbox->cancel;
    life->executor.call.seed = config->seed;
    life->executor.call.shared_cache = &life->shared_cache;
    return RP_OK;
}

_Noreturn void rpi_child_main_live(struct rpi_child_main *child)
{
    struct life life = { .child = child };
    guard_exit();
    if (prepare(&life) != RP_OK)
        _exit(1);
    rpi_crash_watch_child(&life.executor.call);
    pthread_cleanup_push(rpi_crash_thread_ends,
                         NULL); /* of a task that ends this thread, while `life` is there */
    for (;;)
        obey(&life, await_order(&life)); /* the first is there already */
    pthread_cleanup_pop(0);
}
