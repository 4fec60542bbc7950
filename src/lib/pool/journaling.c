#include "pool/journaling.h"

#include "base/hash.h"
#include "master/keyed.h"
#include "pool/pool.h"
#include "store/journal.h"

rp_status rpi_journaling_open(const rp_config *config, struct rpi_journal **journal)
{
    *journal = NULL;
    if (!config->journal)
        return RP_OK;
    struct rpi_journal_config wanted = { .alloc = rpi_alloc_of(config->alloc, config->alloc_user),
                                         .log = { .sink = config->log, .user = config->log_user },
                                         .path = config->journal,
                                         .sync = config->journal_sync };
    return rpi_journal_open(&wanted, journal);
}

void rpi_journaling_drop(struct rpi_journal *journal)
{
    rp_status status = journal ? rpi_journal_close(journal) : RP_OK;
    (void)status; /* nothing was put: nothing can be missing */
}

/* ---- submitting */

static struct rpi_journal_db_title title_of(const rp_pool *pool, uint16_t function,
                                            const struct rpi_key *key)
{
    struct rpi_journal_db_title title = { .function = pool->registry.names[function],
                                          .key = key->bytes };
    memcpy(title.argument, key->argument, RPI_SHA256);
    return title;
}

/* Of its bytes as they are, for a person. */
static void key_text(const rp_bytes *key, char *text, size_t size)
{
    const uint8_t *bytes = key->data;
    size_t i;
    for (i = 0; i < key->size && i < size - 1; i++)
        text[i] = (char)(bytes[i] >= ' ' && bytes[i] < 0x7f ? bytes[i] : '?');
    text[i] = '\0';
}

/* Only the first of another argument is a warning: there may be thousands. */
static void say_found(rp_pool *pool, const struct rpi_journal_db_title *title,
                      enum rpi_journal_db_found found)
{
    char text[100];
    key_text(&title->key, text, sizeof text);
    if (found == RPI_JOURNAL_DB_FOUND_DAMAGED)
        rpi_say(&pool->log, RP_LOG_WARNING,
                "the journal's outcome of %s, key \"%s\", is damaged: it is run again",
                title->function, text);
    if (found != RPI_JOURNAL_DB_FOUND_OTHER)
        return;
    rpi_say(&pool->log, pool->journaling.other ? RP_LOG_INFO : RP_LOG_WARNING,
            "the journal's outcome of %s, key \"%s\", is of another argument: it is run again and "
            "replaced%s",
            title->function, text,
            pool->journaling.other ? "" : " (more of these are told at the level info)");
    pool->journaling.other = true;
}

static uint64_t hash_of(const struct rpi_key *key)
{
    uint64_t value;
    memcpy(&value, key->argument, sizeof value);
    return rpi_hash_bytes(value, key->bytes.data, key->bytes.size) * 0x9E3779B97F4A7C15U;
}

/* Sets *has if the journal has it. */
static rp_status look_up(rp_pool *pool, const struct rpi_request *request,
                         struct rpi_stored *stored, bool *has)
{
    struct rpi_journal_db_title title = title_of(pool, request->function, request->key);
    enum rpi_journal_db_found found;
    size_t size;
    if (rpi_keyed_find(&pool->master, request->function, request->key))
        return RP_OK; /* it is under way */
    rp_status status = rpi_journal_find(pool->journaling.journal, &title, &found, &stored->buffer,
                                        &size);
    if (status != RP_OK)
        return status;
    if (found != RPI_FOUND) {
        say_found(pool, &title, found);
        return RP_OK;
    }
    stored->size = (uint32_t)size;
    *has = true;
    return RP_OK;
}

rp_status rpi_journaling_submit(rp_pool *pool, const struct rpi_request *request,
                                const rp_bytes *key, uint64_t *id)
{
    const rp_bytes argument = { .data = request->arg, .size = request->size };
    struct rpi_key wanted = { .bytes = *key };
    struct rpi_request keyed = *request;
    struct rpi_stored stored;
    bool has = false;
    rp_status status = rpi_sha256(&argument, 1, wanted.argument);
    if (status != RP_OK)
        return status;
    wanted.hash = hash_of(&wanted);
    keyed.key = &wanted;
    status = look_up(pool, &keyed, &stored, &has);
    if (has)
        keyed.stored = &stored;
    if (status == RP_OK)
        status = rpi_master_submit(&pool->master, &keyed, pool->now, id);
    if (has && status == RP_OK)
        pool->journaling.found++;
    else if (has)
        rpi_buffer_free(stored.buffer);
    return status;
}

/* ---- storing */

/* The journal has taken its outcome, or never will. */
static void taken(rp_pool *pool, struct rpi_keyed *keyed)
{
    if (pool->journaling.sync && keyed->number) {
        rpi_list_remove(&keyed->due);
        rpi_list_append(&pool->journaling.storing, &keyed->due);
    } else {
        rpi_master_stored(&pool->master, keyed);
    }
}

static struct rpi_keyed *first_storing(const rp_pool *pool)
{
    struct rpi_link *link = rpi_list_first(&pool->journaling.storing);
    return link ? RPI_MEMBER(link, struct rpi_keyed, due) : NULL;
}

void rpi_journaling_step(rp_pool *pool)
{
    struct rpi_keyed *keyed;
    while ((keyed = rpi_master_due(&pool->master))) {
        const struct rpi_journal_db_title title = title_of(pool, keyed->function, &keyed->key);
        const rp_bytes result = rpi_master_due_result(&pool->master, keyed);
        rp_status status = rpi_journal_put(pool->journaling.journal, &title, &result,
                                           &keyed->number);
        if (status != RP_OK) {
            (void)rpi_pool_note(pool, status);
            break;
        }
        taken(pool, keyed);
    }
    if (rpi_list_empty(&pool->journaling.storing))
        return;
    uint64_t passed = rpi_journal_passed(pool->journaling.journal);
    while ((keyed = first_storing(pool)) && keyed->number <= passed)
        rpi_master_stored(&pool->master, keyed);
}

bool rpi_journaling_at_rest(rp_pool *pool)
{
    return !pool->journaling.journal || rpi_journal_settle(pool->journaling.journal);
}

rp_status rpi_journaling_sound(const rp_pool *pool)
{
    return pool->journaling.journal ? rpi_journal_sound(pool->journaling.journal) : RP_OK;
}

uint64_t rpi_journaling_journaled(const rp_pool *pool)
{
    return pool->journaling.journal
               ? pool->journaling.found + rpi_journal_committed(pool->journaling.journal)
               : 0;
}

rp_status rpi_journaling_close(rp_pool *pool)
{
    if (!pool->journaling.journal)
        return RP_OK;
    rpi_journaling_step(pool);
    rp_status status = rpi_journal_close(pool->journaling.journal);
    pool->journaling.journal = NULL;
    for (struct rpi_keyed *keyed; (keyed = first_storing(pool));)
        rpi_master_stored(&pool->master, keyed);
    return status;
}
