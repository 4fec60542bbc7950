#include "store/journal.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/status.h"
#include "base/thread.h"
#include "base/wakeup.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define COMMIT_EVERY   0.4           /* seconds: the rest of half a second is the disk's */
#define MOST_UNWRITTEN (64ULL << 20) /* bytes: more are not taken before some are written */

/* An outcome on its way into the file. */
struct record {
    struct record *next;
    struct rpi_journal_db_title title;
    rp_bytes result;
    uint8_t bytes[]; /* the key, then the result */
};

struct rpi_journal {
    struct rpi_alloc alloc;
    struct rpi_log log;
    char *path;
    bool sync;
    pthread_t thread;
    struct rpi_wakeup wakeup; /* the thread's */

    pthread_mutex_t lock;           /* guards these */
    struct record *waiting, **tail; /* to be written */
    struct record *spent;           /* to be freed, by the pool's threads */
    uint64_t unwritten;             /* bytes in waiting */
    uint64_t put, written;          /* outcomes so far */
    double since;                   /* when the oldest that is not committed came */
    bool write, commit;             /* wanted now */
    bool failed;
    char why[1200];
    pthread_cond_t moved; /* written has grown */

    pthread_mutex_t reading; /* guards `db`; taken before the other lock */
    struct rpi_journal_db db;

    atomic_uint_fast64_t passed, committed;

    /* the pool's threads': hashes of the keys that may be in the file; open addressing, 0 is
     * empty */
    uint64_t *known;
    size_t known_count, known_capacity;
};

/* ---- known keys: a key that is none of them needs no look at the file */

static uint64_t hash_of(const char *function, const rp_bytes *key)
{
    uint64_t value = rpi_hash_text(RPI_HASH_NONE, function);
    value = rpi_hash_bytes(value, key->data, key->size);
    value = (value ^ value >> 32) * 0x9E3779B97F4A7C15U;
    return value ? value : 1;
}

static uint64_t *slot_of(uint64_t *known, size_t capacity, uint64_t value)
{
    size_t i = value & (capacity - 1);
    while (known[i] && known[i] != value)
        i = (i + 1) & (capacity - 1);
    return &known[i];
}

static bool make_room(struct rpi_journal *journal)
{
    size_t capacity = journal->known_capacity ? 2 * journal->known_capacity : 1024;
    if (4 * (journal->known_count + 1) <= 3 * journal->known_capacity)
        return true;
    uint64_t *known = rpi_zeroed(&journal->alloc, capacity * sizeof *known);
    if (!known)
        return false;
    for (size_t i = 0; i < journal->known_capacity; i++)
        if (journal->known[i])
            *slot_of(known, capacity, journal->known[i]) = journal->known[i];
    rpi_free(&journal->alloc, journal->known);
    journal->known = known;
    journal->known_capacity = capacity;
    return true;
}

static bool learn(void *context, const char *function, const rp_bytes *key)
{
    struct rpi_journal *journal = context;
    if (!make_room(journal))
        return false;
    uint64_t value = hash_of(function, key),
             *slot = slot_of(journal->known, journal->known_capacity, value);
    journal->known_count += !*slot;
    *slot = value;
    return true;
}

static bool knows(struct rpi_journal *journal, const struct rpi_journal_db_title *title)
{
    return journal->known_capacity &&
           *slot_of(journal->known, journal->known_capacity, hash_of(title->function, &title->key));
}

/* ---- the thread */

/* Leaves them to be freed; the lock is held. */
static void spend(struct rpi_journal *journal, struct record *first)
{
    if (!first)
        return;
    struct record *last = first;
    while (last->next)
        last = last->next;
    last->next = journal->spent;
    journal->spent = first;
}

/* The lock is held. */
static struct record *take_waiting(struct rpi_journal *journal)
{
    struct record *first = journal->waiting;
    journal->waiting = NULL;
    journal->tail = &journal->waiting;
    journal->unwritten = 0;
    journal->write = false;
    return first;
}

/* What there is goes to its end without being stored.  Both locks are held. */
static void give_up(struct rpi_journal *journal)
{
    if (!journal->failed) {
        journal->failed = true;
        (void)snprintf(journal->why, sizeof journal->why, "%s", rp_error_message());
        rpi_say(&journal->log, RP_LOG_ERROR,
                "%s.  The pool goes on without it: results are right, but what has not been "
                "committed will run again in a "
                "later run",
                journal->why);
    }
    spend(journal, take_waiting(journal));
    journal->written = journal->put;
    atomic_store(&journal->passed, journal->put);
    (void)pthread_cond_broadcast(&journal->moved);
}

/* Returns whether all is written. */
static bool write_waiting(struct rpi_journal *journal)
{
    (void)pthread_mutex_lock(&journal->lock);
    struct record *first = take_waiting(journal);
    bool failed = journal->failed;
    (void)pthread_mutex_unlock(&journal->lock);
    uint64_t count = 0;
    for (const struct record *record = first; record && !failed; record = record->next, count++)
        failed = rpi_journal_db_put(&journal->db, &record->title, &record->result) != RP_OK;
    (void)pthread_mutex_lock(&journal->lock);
    spend(journal, first);
    journal->written += count;
    if (failed)
        give_up(journal);
    (void)pthread_cond_broadcast(&journal->moved);
    (void)pthread_mutex_unlock(&journal->lock);
    return !failed;
}

static void commit(struct rpi_journal *journal)
{
    (void)pthread_mutex_lock(&journal->lock);
    uint64_t upto = journal->written;
    journal->commit = false;
    (void)pthread_mutex_unlock(&journal->lock);
    rp_status status = rpi_journal_db_commit(&journal->db);
    (void)pthread_mutex_lock(&journal->lock);
    if (status != RP_OK) {
        give_up(journal);
    } else {
        (void)atomic_fetch_add(&journal->committed, upto - atomic_load(&journal->passed));
        atomic_store(&journal->passed, upto);
        journal->since = rpi_now(); /* what came meanwhile has waited less than that */
    }
    (void)pthread_mutex_unlock(&journal->lock);
}

/* Does what is due; returns the seconds until something may be, negative: when something comes. */
static double work(struct rpi_journal *journal, bool last)
{
    (void)pthread_mutex_lock(&journal->lock);
    double left = journal->since + COMMIT_EVERY - rpi_now();
    bool any = journal->put > atomic_load(&journal->passed);
    bool due = any && (last || journal->commit || left <= 0), write = journal->write || due;
    (void)pthread_mutex_unlock(&journal->lock);
    if (!write)
        return any ? left : -1;
    (void)pthread_mutex_lock(&journal->reading);
    if (write_waiting(journal) && due)
        commit(journal);
    (void)pthread_mutex_unlock(&journal->reading);
    return 0; /* look again */
}

static void *keep(void *context)
{
    struct rpi_journal *journal = context;
    double rest = -1;
    bool goes_on;
    do {
        goes_on = rpi_wakeup_take(&journal->wakeup, rest);
        do
            rest = work(journal, !goes_on);
        while (rest >= 0 && rest < 1e-6);
    } while (goes_on);
    return NULL;
}

/* ---- beginning and end */

static rp_status start_thread(struct rpi_journal *journal)
{
    rpi_wakeup_init(&journal->wakeup);
    (void)pthread_mutex_init(&journal->lock, NULL); /* none of these can fail on Linux */
    (void)pthread_mutex_init(&journal->reading, NULL);
    (void)pthread_cond_init(&journal->moved, NULL);
    int code = rpi_thread_start(&journal->thread, keep,
                                journal); /* SIGXFSZ becomes an error of write() there */
    if (code == 0)
        return RP_OK;
    rpi_wakeup_fini(&journal->wakeup);
    return rpi_error(RP_ERR_NOMEM, "the journal's thread could not be started: %s", strerror(code));
}

static void free_all(struct rpi_journal *journal)
{
    struct rpi_alloc alloc = journal->alloc;
    rpi_free(&alloc, journal->known);
    rpi_free(&alloc, journal->path);
    rpi_free(&alloc, journal);
}

/* A directory, a pipe or a device holds no journal; nothing at all is made one. */
static rp_status check_kind(const char *path)
{
    struct stat about;
    if (stat(path, &about) != 0 || S_ISREG(about.st_mode))
        return RP_OK;
    return rpi_error(RP_ERR_IO,
                     "the journal %s cannot be opened: it is no regular file: give another path",
                     path);
}

rp_status rpi_journal_open(const struct rpi_journal_config *config, struct rpi_journal **journal)
{
    size_t length = strlen(config->path) + 1;
    struct rpi_journal *new = rpi_zeroed(&config->alloc, sizeof *new);
    if (!new)
        return rpi_no_memory("the journal");
    new->alloc = config->alloc;
    new->log = config->log;
    new->sync = config->sync;
    new->tail = &new->waiting;
    new->path = rpi_reserve(&config->alloc, length);
    rp_status status = new->path ? RP_OK : rpi_no_memory("the journal");
    if (status == RP_OK) {
        memcpy(new->path, config->path, length);
        status = check_kind(new->path);
    }
    if (status == RP_OK) {
        status = rpi_journal_db_open(&new->db, new->path);
    }
    if (status != RP_OK)
        goto free_journal;
    status = rpi_journal_db_each(&new->db, learn, new);
    if (status == RP_OK)
        status = start_thread(new);
    if (status != RP_OK)
        goto close_db;
    *journal = new;
    return RP_OK;

close_db:
    rpi_journal_db_close(&new->db);
free_journal:
    free_all(new);
    return status;
}

static void free_spent(struct rpi_journal *journal)
{
    (void)pthread_mutex_lock(&journal->lock);
    struct record *record = journal->spent;
    journal->spent = NULL;
    (void)pthread_mutex_unlock(&journal->lock);
    while (record) {
        struct record *next = record->next;
        rpi_free(&journal->alloc, record);
        record = next;
    }
}

rp_status rpi_journal_close(struct rpi_journal *journal)
{
    rpi_wakeup_end(&journal->wakeup);
    (void)pthread_join(journal->thread, NULL); /* it has committed */
    rpi_wakeup_fini(&journal->wakeup);
    rpi_journal_db_close(&journal->db);
    free_spent(journal);
    rp_status status = rpi_journal_sound(journal);
    (void)pthread_cond_destroy(&journal->moved);
    (void)pthread_mutex_destroy(&journal->reading);
    (void)pthread_mutex_destroy(&journal->lock);
    free_all(journal);
    return status;
}

/* ---- finding */

/* Until all that was put is written. */
static void catch_up(struct rpi_journal *journal)
{
    (void)pthread_mutex_lock(&journal->lock);
    while (journal->written < journal->put) {
        journal->write = true;
        rpi_wakeup_wake(&journal->wakeup);
        (void)pthread_cond_wait(&journal->moved, &journal->lock);
    }
    (void)pthread_mutex_unlock(&journal->lock);
}

static rp_status copy(const struct rpi_journal *journal, const rp_bytes *result, void **buffer,
                      size_t *size)
{
    void *new = rpi_buffer_new(&journal->alloc, result->size);
    if (!new)
        return rpi_no_memory("a result from the journal");
    if (result->size)
        memcpy(new, result->data, result->size);
    *buffer = new;
    *size = result->size;
    return RP_OK;
}

rp_status rpi_journal_find(struct rpi_journal *journal, const struct rpi_journal_db_title *title,
                           enum rpi_journal_db_found *found, void **buffer, size_t *size)
{
    rp_bytes result;
    *found = RPI_JOURNAL_DB_FOUND_NOTHING;
    if (!knows(journal, title))
        return RP_OK;
    catch_up(journal);
    (void)pthread_mutex_lock(&journal->reading);
    rp_status status = rpi_journal_db_find(&journal->db, title, found, &result);
    if (status == RP_OK) {
        if (*found == RPI_FOUND)
            status = copy(journal, &result, buffer, size);
        rpi_journal_db_seen(&journal->db);
    } else if (status == RP_ERR_IO) {
        *found = RPI_JOURNAL_DB_FOUND_NOTHING;
        (void)pthread_mutex_lock(&journal->lock);
        give_up(journal);
        (void)pthread_mutex_unlock(&journal->lock);
        status = RP_OK;
    }
    (void)pthread_mutex_unlock(&journal->reading);
    return status;
}

/* ---- putting */

static struct record *make_record(const struct rpi_journal *journal,
                                  const struct rpi_journal_db_title *title, const rp_bytes *result)
{
    struct record *record = rpi_reserve(&journal->alloc,
                                        sizeof *record + title->key.size + result->size);
    if (!record)
        return NULL;
    record->next = NULL;
    record->title = *title;
    record->title.key.data = memcpy(record->bytes, title->key.data, title->key.size);
    record->result = (rp_bytes){ .data = record->bytes + title->key.size, .size = result->size };
    if (result->size)
        memcpy(record->bytes + title->key.size, result->data, result->size);
    return record;
}

/* The lock is held. */
static void wait_for_room(struct rpi_journal *journal, uint64_t size)
{
    while (journal->unwritten > 0 && journal->unwritten + size > MOST_UNWRITTEN &&
           !journal->failed) {
        journal->write = true;
        rpi_wakeup_wake(&journal->wakeup);
        (void)pthread_cond_wait(&journal->moved, &journal->lock);
    }
}

static uint64_t append(struct rpi_journal *journal, struct record *record)
{
    uint64_t size = record->title.key.size + record->result.size;
    bool wake;
    (void)pthread_mutex_lock(&journal->lock);
    wait_for_room(journal, size);
    wake = journal->sync || journal->put == atomic_load(&journal->passed);
    if (journal->put == atomic_load(&journal->passed))
        journal->since = rpi_now();
    *journal->tail = record;
    journal->tail = &record->next;
    journal->unwritten += size;
    journal->commit = journal->commit || journal->sync;
    uint64_t number = ++journal->put;
    (void)pthread_mutex_unlock(&journal->lock);
    if (wake)
        rpi_wakeup_wake(&journal->wakeup);
    return number;
}

static bool has_failed(struct rpi_journal *journal)
{
    (void)pthread_mutex_lock(&journal->lock);
    bool failed = journal->failed;
    (void)pthread_mutex_unlock(&journal->lock);
    return failed;
}

rp_status rpi_journal_put(struct rpi_journal *journal, const struct rpi_journal_db_title *title,
                          const rp_bytes *result, uint64_t *number)
{
    free_spent(journal);
    *number = 0;
    if (has_failed(journal))
        return RP_OK;
    if (title->key.size + result->size > journal->db.limit) {
        rpi_say(&journal->log, RP_LOG_WARNING,
                "a result of %zu bytes is too long for the journal: a task of %s will run again in "
                "a later run",
                result->size, title->function);
        return RP_OK;
    }
    if (!learn(journal, title->function, &title->key))
        return rpi_no_memory("the journal's keys");
    struct record *record = make_record(journal, title, result);
    if (!record)
        return rpi_no_memory("the journal");
    *number = append(journal, record);
    return RP_OK;
}

uint64_t rpi_journal_passed(const struct rpi_journal *journal)
{
    return atomic_load(&journal->passed);
}

uint64_t rpi_journal_committed(const struct rpi_journal *journal)
{
    return atomic_load(&journal->committed);
}

bool rpi_journal_settle(struct rpi_journal *journal)
{
    bool done;
    (void)pthread_mutex_lock(&journal->lock);
    done = journal->put == atomic_load(&journal->passed);
    bool wake = !done && !journal->commit;
    journal->commit = journal->commit || !done;
    (void)pthread_mutex_unlock(&journal->lock);
    if (wake)
        rpi_wakeup_wake(&journal->wakeup);
    return done;
}

rp_status rpi_journal_sound(struct rpi_journal *journal)
{
    char why[sizeof journal->why] = "";
    (void)pthread_mutex_lock(&journal->lock);
    if (journal->failed)
        (void)snprintf(why, sizeof why, "%s", journal->why);
    (void)pthread_mutex_unlock(&journal->lock);
    return why[0] ? rpi_error(RP_ERR_IO, "%s", why) : RP_OK;
}
