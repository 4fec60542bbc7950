#include "master/keyed.h"

#include "base/status.h"
#include "master/master.h"

#define BUCKETS 1024 /* a power of two; the chains grow with the keyed tasks that are under way */

static bool same(const struct rpi_keyed *keyed, uint16_t function, const struct rpi_key *key)
{
    return keyed->key.hash == key->hash && keyed->function == function &&
           keyed->key.bytes.size == key->bytes.size &&
           memcmp(keyed->key.bytes.data, key->bytes.data, key->bytes.size) == 0 &&
           memcmp(keyed->key.argument, key->argument, RPI_SHA256) == 0;
}

struct rpi_keyed *rpi_keyed_find(const struct rpi_master *master, uint16_t function,
                                 const struct rpi_key *key)
{
    const struct rpi_link *head = rpi_table_bucket(&master->keys.table, key->hash);
    if (!head)
        return NULL;
    for (struct rpi_link *link = head->next; link != head; link = link->next) {
        struct rpi_keyed *keyed = RPI_MEMBER(link, struct rpi_keyed, link);
        if (same(keyed, function, key))
            return keyed;
    }
    return NULL;
}

rp_status rpi_keyed_make(struct rpi_master *master, uint16_t function, const struct rpi_key *key,
                         struct rpi_keyed **keyed)
{
    struct rpi_keyed *new = NULL;
    if (rpi_table_make(&master->keys.table, &master->config.alloc, BUCKETS))
        new = rpi_zeroed(&master->config.alloc, sizeof *new + key->bytes.size);
    if (!new)
        return rpi_no_memory("a task's key");
    new->key = *key;
    new->key.bytes.data = memcpy(new->bytes, key->bytes.data, key->bytes.size);
    new->function = function;
    rpi_list_init(&new->due);
    rpi_list_append(rpi_table_bucket(&master->keys.table, key->hash), &new->link);
    *keyed = new;
    return RP_OK;
}

void rpi_keyed_free(struct rpi_master *master, struct rpi_keyed *keyed)
{
    rpi_list_remove(&keyed->link);
    rpi_list_remove(&keyed->due);
    rpi_free(&master->config.alloc, keyed);
}

bool rpi_keyed_waits(struct rpi_master *master, struct rpi_future *future, struct rpi_keyed *keyed)
{
    if (future->status != RP_OK || keyed->spawns) {
        rpi_keyed_free(master, keyed);
        return false;
    }
    future->state = RPI_STORING;
    master->unsettled++;
    master->counts.done--;
    rpi_list_append(&master->keys.due, &keyed->due);
    return true;
}

struct rpi_keyed *rpi_master_due(const struct rpi_master *master)
{
    struct rpi_link *link = rpi_list_first(&master->keys.due);
    return link ? RPI_MEMBER(link, struct rpi_keyed, due) : NULL;
}

rp_bytes rpi_master_due_result(const struct rpi_master *master, const struct rpi_keyed *keyed)
{
    const struct rpi_future *future = rpi_future_of(&master->futures, keyed->id);
    return (rp_bytes){ .data = future->flags & RPI_FUTURE_BUFFER ? future->done.data
                                                                 : future->done.small,
                       .size = future->done.size };
}

void rpi_keyed_fini(struct rpi_master *master)
{
    struct rpi_keys *keys = &master->keys;
    for (struct rpi_link *link; (link = rpi_table_pop(&keys->table));)
        rpi_keyed_free(master, RPI_MEMBER(link, struct rpi_keyed, link));
    rpi_table_free(&keys->table, &master->config.alloc);
}
