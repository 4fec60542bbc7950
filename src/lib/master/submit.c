/* Taking tasks and maps in: rpi_master_submit and rpi_master_map. */
#include "master/submit.h"

#include "base/status.h"
#include "master/deps.h"
#include "master/keyed.h"
#include "master/map.h"
#include "master/master.h"
#include "master/ready.h"
#include "master/settle.h"

rp_status rpi_submit_plain_any(struct rpi_master *master, uint16_t function, const void *arg,
                               uint32_t size, double now, uint64_t *id)
{
    struct rpi_entry entry = { .size = size, .function = function, .data = arg };
    struct rpi_future *future = rpi_future_next(&master->futures, &entry.id);
    if (!future)
        return rpi_no_memory("a future");
    rp_status status = rpi_ready_push_plain(master, &entry);
    if (status != RP_OK) {
        rpi_future_free(&master->futures, entry.id, future);
        return status;
    }
    rpi_submit_begin(master, future, function, size, now);
    *id = entry.id;
    return RP_OK;
}

/* An argument too long for a batch is copied once, into the buffer it is sent from. */
static rp_status set_data(struct rpi_master *master, const struct rpi_request *request,
                          struct rpi_entry *entry)
{
    entry->data = request->arg;
    if (request->size <= rpi_wire_inline_limit(master->config.batch_limit))
        return RP_OK;
    entry->flags = RPI_ENTRY_LARGE;
    if (request->borrow)
        return RP_OK;
    void *copy = rpi_buffer_new(&master->config.alloc, request->size);
    if (!copy)
        return rpi_no_memory("a task's argument");
    memcpy(copy, request->arg, request->size);
    entry->data = copy;
    entry->flags = RPI_ENTRY_LARGE | RPI_ENTRY_OWNED;
    return RP_OK;
}

/* The record of what it needs; its argument waits there. */
static rp_status come_after(struct rpi_master *master, const struct rpi_request *request,
                            struct rpi_entry *entry, struct rpi_options *with)
{
    struct rpi_deps_dependent *dependent;
    rp_status status = rpi_deps_gather(master, request->after, request->after_count, &dependent);
    if (status != RP_OK)
        return status;
    with->dependent = dependent;
    if (entry->flags & RPI_ENTRY_OWNED) {
        dependent->arg = (void *)(uintptr_t)entry->data;
    } else if (!(entry->flags & RPI_ENTRY_LARGE) && entry->size) {
        dependent->arg = rpi_buffer_new(&master->config.alloc, entry->size);
        if (!dependent->arg)
            return rpi_no_memory("a task's argument");
        memcpy(dependent->arg, entry->data, entry->size);
        entry->data = dependent->arg;
    }
    return RP_OK;
}

/* The options of a task submitted while data are shared: those and its epoch.  A spawned one's
 * epoch is its parent's. */
static const struct rpi_options *in_epoch(const struct rpi_master *master,
                                          const struct rpi_request *request,
                                          struct rpi_options *own)
{
    if (request->spawned)
        return request->options;
    if (request->options)
        *own = *request->options;
    own->epoch = master->versions.current;
    return own;
}

/* What comes after others, has a key, or is done already; what it adds to the options goes into
 * *with. */
static rp_status take_special(struct rpi_master *master, const struct rpi_request *request,
                              const struct rpi_options *given, struct rpi_entry *entry,
                              struct rpi_options *with)
{
    const struct rpi_keyed *first = NULL;
    if (given)
        *with = *given;
    if (request->stored)
        return RP_OK;
    if (request->key)
        first = rpi_keyed_find(master, request->function, request->key);
    if (first)
        return rpi_deps_follow(master, first->id, &with->dependent);
    rp_status status = set_data(master, request, entry);
    if (status == RP_OK && request->after_count)
        status = come_after(master, request, entry, with);
    if (status == RP_OK && request->key)
        status = rpi_keyed_make(master, request->function, request->key, &with->keyed);
    return status;
}

/* A task that is not in yet: what may be refused is made first, so that it can be taken back. */
struct draft {
    struct rpi_entry entry;
    struct rpi_options own, with;
    const struct rpi_options *given; /* NULL: the defaults */
    uint32_t options;                /* interned */
};

static void drop_draft(struct rpi_master *master, const struct draft *draft)
{
    rpi_options_release(&master->options, draft->options);
    if (draft->with.keyed)
        rpi_keyed_free(master, draft->with.keyed);
    if (draft->with.dependent)
        rpi_deps_let_go(master, draft->with.dependent); /* and the argument with it */
    else
        rpi_ready_drop_entry(&draft->entry);
}

/* On failure nothing is left of it. */
static rp_status make_draft(struct rpi_master *master, const struct rpi_request *request,
                            struct draft *draft)
{
    rp_status status;
    draft->given = master->versions.current ? in_epoch(master, request, &draft->own)
                                            : request->options;
    if (request->after_count || request->key) {
        status = take_special(master, request, draft->given, &draft->entry, &draft->with);
        draft->given = &draft->with;
    } else {
        status = set_data(master, request, &draft->entry);
    }
    if (status == RP_OK && draft->given && draft->given->on_done)
        status = rpi_idqueue_reserve(&master->called.ids, &master->config.alloc,
                                     master->called.due + 1);
    if (status == RP_OK && draft->given)
        status = rpi_options_intern(&master->options, draft->given, &draft->options);
    if (status != RP_OK)
        drop_draft(master, draft);
    return status;
}

/* What waits for others, or is done already, is in no queue. */
static rp_status enqueue(struct rpi_master *master, const struct rpi_request *request,
                         const struct draft *draft)
{
    if (draft->with.dependent || request->stored)
        return RP_OK;
    if (!draft->given)
        return rpi_ready_push_plain(master, &draft->entry);
    return rpi_ready_enqueue(master, &draft->entry, draft->given, request->spawned,
                             request->spawned ? UINT64_MAX - master->spawned : master->next_number);
}

static void begin_future(struct rpi_master *master, const struct rpi_request *request,
                         const struct draft *draft, struct rpi_future *future, double now)
{
    future->options = draft->options;
    future->link = request->link;
    rpi_future_queued(future, request->function, request->size);
    if (request->spawned) {
        future->flags = RPI_FUTURE_SPAWNED;
        future->pending.number = request->number;
        future->pending.depth = request->depth;
        master->spawned++;
    } else {
        future->pending.number = request->number ? request->number : master->next_number++;
        future->pending.submitted = now;
    }
    if (draft->given && draft->given->completions)
        future->flags |= (uint8_t)(RPI_FUTURE_STREAMED |
                                   (request->released ? RPI_FUTURE_RELEASED : 0));
    else if (request->released)
        future->flags = RPI_FUTURE_DETACHED | RPI_FUTURE_RELEASED;
}

/* Nothing can be refused any more. */
static void count_in(struct rpi_master *master, const struct draft *draft,
                     struct rpi_future *future)
{
    uint64_t id = draft->entry.id;
    master->unsettled++;
    master->counts.submitted++;
    if (!draft->given)
        return;
    master->called.due += draft->given->on_done != NULL;
    if (draft->given->epoch)
        rpi_shared_versions_hold(&master->versions, draft->given->epoch);
    if (draft->with.keyed)
        draft->with.keyed->id = id;
    if (draft->with.dependent) {
        future->state = RP_WAITING;
        rpi_deps_submitted(master, draft->with.dependent, id, &draft->entry);
    }
}

static rp_status submit_any(struct rpi_master *master, const struct rpi_request *request,
                            double now, uint64_t *id)
{
    struct draft draft = { .entry = { .size = request->size, .function = request->function } };
    rp_status status = make_draft(master, request, &draft);
    if (status != RP_OK)
        return status;
    struct rpi_future *future = rpi_future_new(&master->futures, &draft.entry.id);
    if (!future) {
        status = rpi_no_memory("a future");
        goto drop_draft;
    }
    status = enqueue(master, request, &draft);
    if (status != RP_OK)
        goto drop_future;
    begin_future(master, request, &draft, future, now);
    count_in(master, &draft, future);
    *id = draft.entry.id;
    if (request->stored)
        rpi_settle_stored(master, draft.entry.id, future, request->stored, now);
    return RP_OK;

drop_future:
    rpi_future_free(&master->futures, draft.entry.id, future);
drop_draft:
    drop_draft(master, &draft);
    return status;
}

rp_status rpi_master_submit(struct rpi_master *master, const struct rpi_request *request,
                            double now, uint64_t *id)
{
    if (rpi_submit_is_plain(master, request))
        return rpi_submit_plain(master, request->function, request->arg, request->size, now, id);
    return submit_any(master, request, now, id);
}

rp_status rpi_master_map(struct rpi_master *master, const struct rpi_map_request *request,
                         double now, uint64_t *id)
{
    struct rpi_map *map = rpi_zeroed(&master->config.alloc, sizeof *map);
    if (!map)
        return rpi_no_memory("a map");
    uint32_t options = 0;
    rp_status status = RP_OK;
    if (request->options.on_done)
        status = rpi_idqueue_reserve(&master->called.ids, &master->config.alloc,
                                     master->called.due + 1);
    map->request = *request;
    map->request.options.epoch = master->versions.current;
    if (status == RP_OK)
        status = rpi_options_intern(&master->options, &map->request.options, &options);
    if (status != RP_OK)
        goto drop_map;
    struct rpi_future *future = rpi_future_new(&master->futures, &map->id);
    if (!future) {
        status = rpi_no_memory("a future");
        goto drop_options;
    }
    struct rpi_entry entry = {
        .id = map->id, .function = request->function, .flags = RPI_ENTRY_MAP, .data = map
    };
    struct rpi_rank rank = { .priority = request->options.priority,
                             .cost = request->options.cost,
                             .order = master->next_number };
    status = rpi_taskq_push(&master->ready.queue, &entry, &rank);
    if (status != RP_OK)
        goto drop_future;
    map->number = master->next_number++;
    map->left = request->count;
    map->submitted = now;
    rpi_list_append(&master->maps, &map->link);
    future->options = options;
    future->flags = RPI_FUTURE_MAP;
    future->pending.number = map->number;
    future->pending.map = map;
    master->ready.queue.tasks += request->count;
    master->ready.queue.bytes += request->count * request->in_size;
    master->unsettled++;
    master->counts.submitted += request->count;
    master->called.due += request->options.on_done != NULL;
    if (master->versions.current)
        rpi_shared_versions_hold(&master->versions, master->versions.current);
    *id = map->id;
    if (!request->count)
        rpi_map_settle_empty(master, map);
    return RP_OK;

drop_future:
    rpi_future_free(&master->futures, map->id, future);
drop_options:
    rpi_options_release(&master->options, options);
drop_map:
    rpi_free(&master->config.alloc, map);
    return status;
}
