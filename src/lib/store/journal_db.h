/* The journal's file, a SQLite database:
 *
 *   application_id 1919970154 ("rpkj"), user_version 1
 *   CREATE TABLE outcome(
 *       function TEXT,    -- the task function's name
 *       key      BLOB,    -- options.key
 *       argument BLOB,    -- SHA-256 of the argument's length (8 bytes, little-endian) and bytes
 *       result   BLOB,    -- what the task returned
 *       seal     BLOB,    -- SHA-256 of the four above, each with its length before it
 *       PRIMARY KEY(function, key));
 *
 * Only outcomes of RP_OK are in it.  It is in WAL mode, synchronous = FULL, and locked by its one
 * user from open to close, so there is no -shm file.  What a death leaves, and what the next open
 * makes of it:
 *   while the file is made  an empty database, maybe with a -journal file: taken for a new one
 *   before a commit         the last commit; the -wal file has later outcomes without a commit
 *                           mark, which are ignored
 *   after a commit          everything, in the file and its -wal file: copy or move both
 *   during a checkpoint     everything: the -wal file, copied into the file, is still whole
 *   after the close         the file alone
 * A page that a disk has damaged shows at open (the index), or by its seal when the outcome is
 * looked up: it is run again.
 *
 * Functions that give RP_ERR_IO set a message that names the file.  One thread at a time. */
#ifndef RPI_JOURNAL_DB_H
#define RPI_JOURNAL_DB_H

#include "base/sha256.h"

struct sqlite3;
struct sqlite3_stmt;

struct rpi_journal_db {
    const char *path; /* borrowed */
    struct sqlite3 *db;
    struct sqlite3_stmt *find, *put;
    uint64_t limit; /* bytes of a key and its result */
    bool writing;   /* inside a transaction */
};

/* What names an outcome. */
struct rpi_journal_db_title {
    const char *function;
    rp_bytes key;
    uint8_t argument[RPI_SHA256];
};

/* Opens or makes it, and tries to write to it.  RP_ERR_IO. */
RP_MUST_USE rp_status rpi_journal_db_open(struct rpi_journal_db *journal, const char *path);
/* What is not committed is dropped. */
void rpi_journal_db_close(struct rpi_journal_db *journal);

/* Calls see for every outcome's function and key until it is refused: RP_ERR_NOMEM then.
 * RP_ERR_IO. */
RP_MUST_USE rp_status rpi_journal_db_each(struct rpi_journal_db *journal,
                                          bool (*see)(void *context, const char *function,
                                                      const rp_bytes *key),
                                          void *context);

enum rpi_journal_db_found {
    RPI_JOURNAL_DB_FOUND_NOTHING,
    RPI_JOURNAL_DB_FOUND_OTHER,
    RPI_JOURNAL_DB_FOUND_DAMAGED,
    RPI_FOUND
};

/* Looks for an outcome, uncommitted ones too; OTHER: its argument was another.  The result is valid
 * until rpi_journal_db_seen. RP_ERR_IO, RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_journal_db_find(struct rpi_journal_db *journal,
                                          const struct rpi_journal_db_title *title,
                                          enum rpi_journal_db_found *found, rp_bytes *result);
void rpi_journal_db_seen(struct rpi_journal_db *journal);

/* Writes an outcome, which replaces an older one of its key; it counts from the next commit on.
 * RP_ERR_IO, RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_journal_db_put(struct rpi_journal_db *journal,
                                         const struct rpi_journal_db_title *title,
                                         const rp_bytes *result);
RP_MUST_USE rp_status rpi_journal_db_commit(struct rpi_journal_db *journal);

#endif
