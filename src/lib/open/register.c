#include "open/register.h"

#include "base/hash.h"
#include "base/objects.h"
#include "base/status.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* Its strings are the table's own: a plug-in's go with it when it is unloaded, and the function
 * too.  The name then stays, for the snapshots that have it, and another function may get it. */
struct name {
    char *text;
    rp_fn *fn;
    struct rpi_object object; /* that had the function when it was registered */
    char *file;               /* NULL: given to rp_register */
    int line;
    uint64_t hash;
};

/* The exception to "no globals": names are given before main, when no pool exists. */
static struct {
    pthread_mutex_t lock;
    struct name *names;
    size_t count, capacity;
    rp_status error; /* of the first rp_register_at that failed, for rp_open to tell */
    char message[1024];
    struct name refused; /* its name; the strings are not kept */
} table = { .lock = PTHREAD_MUTEX_INITIALIZER };

static struct name *find(const struct name *name)
{
    for (size_t i = 0; i < table.count; i++)
        if (table.names[i].hash == name->hash && strcmp(table.names[i].text, name->text) == 0)
            return &table.names[i];
    return NULL;
}

static void place(const struct name *name, char *text, size_t size)
{
    if (name->file)
        (void)snprintf(text, size, "%s:%d", name->file, name->line);
    else
        (void)snprintf(text, size, "an rp_register call");
}

static rp_status clash(const struct name *old, const struct name *new)
{
    char first[300], second[300];
    place(old, first, sizeof first);
    place(new, second, sizeof second);
    return rpi_error(RP_ERR_INVALID,
                     "the name %s is given to two task functions, at %s and at %s: rename one",
                     old->text, first, second);
}

/* Whether the name's function is still loaded when it is given another.  An object's RP_TASKs all
 * run when it is loaded: one that ran before something was unloaded is of an earlier load, even
 * where it is at the same address again. */
static bool is_there(const struct name *old, const struct name *new)
{
    uint64_t id = rpi_object_of(old->fn).id;
    bool again = id && id == new->object.id && old->file &&new->file &&
                 old->object.unloads != new->object.unloads;
    return id == old->object.id && !again;
}

/* *to: of the table's own; NULL for NULL. */
static rp_status copy(const char *text, char **to)
{
    struct rpi_alloc alloc = rpi_alloc_of(NULL, NULL);
    *to = NULL;
    if (!text)
        return RP_OK;
    size_t size = strlen(text) + 1;
    *to = rpi_reserve(&alloc, size);
    if (!*to)
        return rpi_no_memory("the name of a task function");
    memcpy(*to, text, size);
    return RP_OK;
}

static rp_status replace(struct name *old, const struct name *new)
{
    struct rpi_alloc alloc = rpi_alloc_of(NULL, NULL);
    struct name now = *new;
    rp_status status = copy(new->file, &now.file);
    if (status != RP_OK)
        return status;
    now.text = old->text;
    rpi_free(&alloc, old->file);
    *old = now;
    return RP_OK;
}

static rp_status append(const struct name *new)
{
    struct rpi_alloc alloc = rpi_alloc_of(NULL, NULL);
    struct name own = *new;
    if (table.count == UINT16_MAX)
        return rpi_error(RP_ERR_FULL, "no room for the task function %s: %d are registered",
                         new->text, UINT16_MAX);
    if (table.count == table.capacity) {
        size_t capacity = table.capacity ? 2 * table.capacity : 16;
        struct name *names = rpi_resize(&alloc, table.names, capacity * sizeof *names);
        if (!names)
            return rpi_no_memory("the names of task functions");
        table.names = names;
        table.capacity = capacity;
    }
    rp_status status = copy(new->text, &own.text);
    if (status != RP_OK)
        return status;
    status = copy(new->file, &own.file);
    if (status != RP_OK) {
        rpi_free(&alloc, own.text);
        return status;
    }
    table.names[table.count++] = own;
    return RP_OK;
}

static rp_status add(struct name *new)
{
    if (!new->text || !*new->text || !new->fn)
        return rpi_error(RP_ERR_INVALID, "a task function needs a name and a function");
    if (strlen(new->text) > RPI_NAME_MAX)
        return rpi_error(RP_ERR_INVALID, "the name of a task function is over %d bytes: %.40s...",
                         RPI_NAME_MAX, new->text);
    new->hash = rpi_hash_text(RPI_HASH_NONE, new->text);
    new->object = rpi_object_of(new->fn);
    struct name *old = find(new);
    if (!old)
        return append(new);
    if (old->fn == new->fn && old->object.id == new->object.id) {
        old->object = new->object; /* loaded again at the same address, perhaps */
        return RP_OK;
    }
    return is_there(old, new) ? clash(old, new) : replace(old, new);
}

rp_status rp_register(const char *name, rp_fn *fn)
{
    struct name new = { .text = (char *)(uintptr_t)name, .fn = fn };
    (void)pthread_mutex_lock(&table.lock);
    rp_status status = add(&new);
    (void)pthread_mutex_unlock(&table.lock);
    return rpi_named("rp_register", status);
}

void rp_register_at(const char *name, rp_fn *fn, const char *file, int line)
{
    struct name new = {
        .text = (char *)(uintptr_t)name, .fn = fn, .file = (char *)(uintptr_t)file, .line = line
    };
    (void)pthread_mutex_lock(&table.lock);
    rp_status status = add(&new);
    if (status != RP_OK && table.error == RP_OK) {
        table.error = status;
        table.refused = new;
        (void)snprintf(table.message, sizeof table.message, "%s", rp_error_message());
    }
    (void)pthread_mutex_unlock(&table.lock);
}

/* Whether its function can be called.  *known: an object that is loaded, to ask only once for
 * each. */
static bool is_loaded(const struct name *name, uint64_t *known)
{
    if (name->object.id == *known)
        return true;
    if (rpi_object_of(name->fn).id != name->object.id)
        return false;
    *known = name->object.id;
    return true;
}

static rp_status snapshot_locked(struct rpi_registry *registry, const struct rpi_alloc *alloc)
{
    uint64_t known = 0;
    if (table.error != RP_OK && !is_loaded(&table.refused, &known))
        table.error = RP_OK; /* it went with its plug-in */
    if (table.error != RP_OK)
        return rpi_error(table.error, "%s", table.message);
    rp_status status = rpi_registry_init(registry, alloc, (uint32_t)table.count);
    if (status != RP_OK)
        return status;
    for (size_t i = 0; i < table.count; i++)
        if (is_loaded(&table.names[i], &known))
            rpi_registry_add(registry, table.names[i].text, table.names[i].fn);
    rpi_registry_index(registry);
    return RP_OK;
}

rp_status rpi_register_snapshot(struct rpi_registry *registry, const struct rpi_alloc *alloc)
{
    *registry = (struct rpi_registry){ 0 }; /* should a name be refused */
    (void)pthread_mutex_lock(&table.lock);
    rp_status status = snapshot_locked(registry, alloc);
    (void)pthread_mutex_unlock(&table.lock);
    return status;
}
