#include "store/journal_db.h"

#include "base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define APPLICATION 1919970154 /* "rpkj" */
#define FORMAT      1
#define TEXT(n)     #n
#define NUMBER(n)   TEXT(n)

/* ---- errors */

#define NO_LOCKS "its file system gives no locks: put the journal on one that does"

/* SQLite says "locked" as well where the file system has no locks.  A file of its own beside the
 * journal tells: closing a second descriptor of the journal would drop the locks of another pool
 * here. */
static bool has_locks(const char *path)
{
    char name[4096 + 16];
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
    int length = snprintf(name, sizeof name, "%s-lockXXXXXX", path);
    int file = length > 0 && (size_t)length < sizeof name ? mkostemp(name, O_CLOEXEC) : -1;
    if (file < 0)
        return true; /* so it seems */
    bool has = fcntl(file, F_SETLK, &lock) == 0 ||
               (errno != ENOLCK && errno != ENOSYS && errno != EOPNOTSUPP);
    (void)close(file);
    (void)unlink(name);
    return has;
}

/* What it means, and what to do. */
static const char *advice(int code, const char *path)
{
    if (code == SQLITE_IOERR_LOCK || code == SQLITE_IOERR_RDLOCK ||
        code == SQLITE_IOERR_CHECKRESERVEDLOCK)
        return NO_LOCKS;
    switch (code & 0xff) {
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return "the directory must exist, and both be writable";
    case SQLITE_READONLY:
        return "the file and its directory must be writable";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return has_locks(path) ? "another pool uses it: give each its own" : NO_LOCKS;
    case SQLITE_NOTADB:
        return "it is no journal: give another path, or move it away";
    case SQLITE_CORRUPT:
        return "it is damaged: move it and its -wal file away to begin anew (sqlite3's .recover "
               "may save what is in it)";
    case SQLITE_FULL:
        return "its disk is full: make room, then start again with the same journal";
    default:
        return "look at its disk, then start again with the same journal";
    }
}

static rp_status failed(const struct rpi_journal_db *journal, const char *what)
{
    int code = sqlite3_extended_errcode(journal->db), number = sqlite3_system_errno(journal->db);
    bool system = ((code & 0xff) == SQLITE_CANTOPEN || (code & 0xff) == SQLITE_IOERR) && number;
    return rpi_error(RP_ERR_IO, "the journal %s cannot be %s: %s%s%s (SQLite error %d); %s",
                     journal->path, what, sqlite3_errmsg(journal->db), system ? ": " : "",
                     system ? strerror(number) : "", code, advice(code, journal->path));
}

static rp_status run(const struct rpi_journal_db *journal, const char *sql, const char *what)
{
    return sqlite3_exec(journal->db, sql, NULL, NULL, NULL) == SQLITE_OK ? RP_OK
                                                                         : failed(journal, what);
}

static rp_status prepare(const struct rpi_journal_db *journal, const char *sql,
                         sqlite3_stmt **statement)
{
    int code = sqlite3_prepare_v3(journal->db, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL);
    return code == SQLITE_OK ? RP_OK : failed(journal, "read");
}

/* ---- opening */

static rp_status ask_number(const struct rpi_journal_db *journal, const char *sql, int64_t *number)
{
    sqlite3_stmt *statement;
    rp_status status = prepare(journal, sql, &statement);
    if (status != RP_OK)
        return status;
    if (sqlite3_step(statement) == SQLITE_ROW)
        *number = sqlite3_column_int64(statement, 0);
    else
        status = failed(journal, "read");
    (void)sqlite3_finalize(statement);
    return status;
}

static rp_status make(const struct rpi_journal_db *journal)
{
    return run(
        journal,
        "BEGIN IMMEDIATE;"
        "CREATE TABLE outcome(function TEXT NOT NULL, key BLOB NOT NULL, argument BLOB NOT NULL,"
        " result BLOB NOT NULL, seal BLOB NOT NULL, PRIMARY KEY(function, key));"
        "PRAGMA application_id = " NUMBER(APPLICATION) ";"
                                                       "PRAGMA user_version = " NUMBER(
                                                           FORMAT) ";"
                                                                   "COMMIT",
        "made");
}

/* Nothing is written before it is known to be a journal. */
static rp_status identify(const struct rpi_journal_db *journal)
{
    int64_t application = 0, format = 0, tables = 0;
    rp_status status = ask_number(journal, "PRAGMA application_id", &application);
    if (status == RP_OK)
        status = ask_number(journal, "PRAGMA user_version", &format);
    if (status == RP_OK)
        status = ask_number(journal, "SELECT count(*) FROM sqlite_master", &tables);
    if (status != RP_OK)
        return status;
    if (application == 0 && format == 0 && tables == 0)
        return make(journal);
    if (application != APPLICATION)
        return rpi_error(RP_ERR_IO,
                         "the journal %s is a database of another program: give another path",
                         journal->path);
    if (format != FORMAT)
        return rpi_error(RP_ERR_IO,
                         "the journal %s has format %lld, this rankpool (%s) knows format %d only: "
                         "use the rankpool that "
                         "wrote it, or another path",
                         journal->path, (long long)format, rp_version(), FORMAT);
    return RP_OK;
}

static rp_status set_mode(const struct rpi_journal_db *journal)
{
    sqlite3_stmt *statement;
    rp_status status = prepare(journal, "PRAGMA journal_mode = WAL", &statement);
    if (status != RP_OK)
        return status;
    if (sqlite3_step(statement) != SQLITE_ROW)
        status = failed(journal, "written");
    else if (strcmp((const char *)sqlite3_column_text(statement, 0), "wal") != 0)
        status = rpi_error(
            RP_ERR_IO,
            "the journal %s cannot be put in WAL mode: its file system does not allow it",
            journal->path);
    (void)sqlite3_finalize(statement);
    /* writing what stands there already shows now whether writing works */
    return status == RP_OK
               ? run(journal, "PRAGMA synchronous = FULL; PRAGMA user_version = " NUMBER(FORMAT),
                     "written")
               : status;
}

static rp_status set_up(struct rpi_journal_db *journal)
{
    rp_status status = run(journal, "PRAGMA locking_mode = EXCLUSIVE", "opened");
    if (status == RP_OK && sqlite3_db_readonly(journal->db, "main") == 1)
        status = rpi_error(
            RP_ERR_IO, "the journal %s is read-only: the file and its directory must be writable",
            journal->path);
    if (status == RP_OK)
        status = identify(journal);
    if (status == RP_OK)
        status = set_mode(journal);
    if (status == RP_OK)
        status = prepare(
            journal, "SELECT argument, result, seal FROM outcome WHERE function = ?1 AND key = ?2",
            &journal->find);
    if (status == RP_OK)
        status = prepare(journal,
                         "INSERT OR REPLACE INTO outcome(function, key, argument, result, seal) "
                         "VALUES(?1, ?2, ?3, ?4, ?5)",
                         &journal->put);
    return status;
}

rp_status rpi_journal_db_open(struct rpi_journal_db *journal, const char *path)
{
    char name[4096 + 3];
    *journal = (struct rpi_journal_db){ .path = path };
    /* ":memory:" and the like are names of files here */
    int length = snprintf(name, sizeof name, "%s%s", path[0] == '/' ? "" : "./", path);
    if (length < 0 || (size_t)length >= sizeof name)
        return rpi_error(RP_ERR_IO, "the journal's path is over 4,096 bytes: %.100s...", path);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    rp_status status = RP_OK;
    if (sqlite3_open_v2(name, &journal->db, flags, NULL) != SQLITE_OK)
        status = journal->db ? failed(journal, "opened") : rpi_no_memory("the journal");
    if (status == RP_OK)
        status = set_up(journal);
    if (status != RP_OK)
        rpi_journal_db_close(journal);
    else
        journal->limit = (uint64_t)sqlite3_limit(journal->db, SQLITE_LIMIT_LENGTH, -1) - 1000;
    return status;
}

void rpi_journal_db_close(struct rpi_journal_db *journal)
{
    (void)sqlite3_finalize(journal->find);
    (void)sqlite3_finalize(journal->put);
    (void)sqlite3_close(journal->db);
    *journal = (struct rpi_journal_db){ .path = journal->path };
}

/* ---- reading */

rp_status rpi_journal_db_each(struct rpi_journal_db *journal,
                              bool (*see)(void *context, const char *function, const rp_bytes *key),
                              void *context)
{
    sqlite3_stmt *statement;
    int code;
    rp_status status = prepare(journal, "SELECT function, key FROM outcome",
                               &statement); /* it reads the index alone */
    if (status != RP_OK)
        return status;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW && status == RP_OK) {
        const char *function = (const char *)sqlite3_column_text(statement, 0);
        rp_bytes key = { .data = sqlite3_column_blob(statement, 1) };
        key.size = (size_t)sqlite3_column_bytes(statement, 1);
        if (!function || !see(context, function, &key))
            status = rpi_no_memory("the journal's keys");
    }
    if (code != SQLITE_DONE && status == RP_OK)
        status = failed(journal, "read");
    (void)sqlite3_finalize(statement);
    return status;
}

static rp_bytes column(sqlite3_stmt *statement, int number)
{
    rp_bytes bytes = { .data = sqlite3_column_blob(statement, number) };
    bytes.size = (size_t)sqlite3_column_bytes(statement, number);
    return bytes;
}

static rp_status seal(const struct rpi_journal_db_title *title, const rp_bytes *result,
                      uint8_t digest[RPI_SHA256])
{
    const rp_bytes pieces[] = {
        { .data = title->function, .size = strlen(title->function) },
        title->key,
        { .data = title->argument, .size = RPI_SHA256 },
        *result,
    };
    return rpi_sha256(pieces, sizeof pieces / sizeof *pieces, digest);
}

static bool is(const rp_bytes *bytes, const uint8_t digest[RPI_SHA256])
{
    return bytes->size == RPI_SHA256 && memcmp(bytes->data, digest, RPI_SHA256) == 0;
}

/* The statement is at a row. */
static rp_status judge(sqlite3_stmt *row, const struct rpi_journal_db_title *title,
                       enum rpi_journal_db_found *found, rp_bytes *result)
{
    uint8_t digest[RPI_SHA256];
    struct rpi_journal_db_title there = *title;
    rp_bytes argument = column(row, 0), data = column(row, 1), sealed = column(row, 2);
    *found = RPI_JOURNAL_DB_FOUND_DAMAGED;
    if (argument.size != RPI_SHA256)
        return RP_OK;
    memcpy(there.argument, argument.data, RPI_SHA256);
    rp_status status = seal(&there, &data, digest);
    if (status != RP_OK || !is(&sealed, digest))
        return status;
    *found = is(&argument, title->argument) ? RPI_FOUND : RPI_JOURNAL_DB_FOUND_OTHER;
    *result = data;
    return RP_OK;
}

static int bind_title(sqlite3_stmt *statement, const struct rpi_journal_db_title *title)
{
    int code = sqlite3_bind_text(statement, 1, title->function, -1, SQLITE_STATIC);
    return code == SQLITE_OK
               ? sqlite3_bind_blob64(statement, 2, title->key.data, title->key.size, SQLITE_STATIC)
               : code;
}

rp_status rpi_journal_db_find(struct rpi_journal_db *journal,
                              const struct rpi_journal_db_title *title,
                              enum rpi_journal_db_found *found, rp_bytes *result)
{
    if (bind_title(journal->find, title) != SQLITE_OK)
        return failed(journal, "read");
    rp_status status = RP_OK;
    int code = sqlite3_step(journal->find);
    *found = RPI_JOURNAL_DB_FOUND_NOTHING;
    if (code == SQLITE_ROW)
        status = judge(journal->find, title, found, result);
    else if (code != SQLITE_DONE)
        status = failed(journal, "read");
    if (status != RP_OK)
        rpi_journal_db_seen(journal);
    return status;
}

void rpi_journal_db_seen(struct rpi_journal_db *journal)
{
    (void)sqlite3_reset(journal->find); /* it repeats what the last step gave */
    (void)sqlite3_clear_bindings(journal->find);
}

/* ---- writing */

rp_status rpi_journal_db_put(struct rpi_journal_db *journal,
                             const struct rpi_journal_db_title *title, const rp_bytes *result)
{
    uint8_t digest[RPI_SHA256];
    sqlite3_stmt *put = journal->put;
    rp_status status = seal(title, result, digest);
    if (status == RP_OK && !journal->writing) {
        status = run(journal, "BEGIN IMMEDIATE", "written");
        journal->writing = status == RP_OK;
    }
    if (status != RP_OK)
        return status;
    int code = bind_title(put, title);
    if (code == SQLITE_OK)
        code = sqlite3_bind_blob(put, 3, title->argument, RPI_SHA256, SQLITE_STATIC);
    if (code == SQLITE_OK) /* a NULL pointer would be NULL, not empty */
        code = sqlite3_bind_blob64(put, 4, result->size ? result->data : "", result->size,
                                   SQLITE_STATIC);
    if (code == SQLITE_OK)
        code = sqlite3_bind_blob(put, 5, digest, RPI_SHA256, SQLITE_STATIC);
    if (code != SQLITE_OK || sqlite3_step(put) != SQLITE_DONE)
        status = failed(journal, "written");
    (void)sqlite3_reset(put); /* it repeats what the step gave */
    (void)sqlite3_clear_bindings(put);
    return status;
}

rp_status rpi_journal_db_commit(struct rpi_journal_db *journal)
{
    if (!journal->writing)
        return RP_OK;
    journal->writing = false;
    return run(journal, "COMMIT", "written");
}
