/* The journal: outcomes that outlive the pool.  A thread of its own writes them (journal_db.h) and
 * commits them in groups; it never calls the application's memory hook.  If writing fails it says
 * so once, drops what it has and takes no more: the pool goes on without it.
 *
 *   rpi_journal_put --> waiting --(thread)--> written --(thread)--> committed
 *   rpi_journal_find looks at what is written, when it is all that was put
 *
 * put, find and close are one thread's at a time: the pool's lock sees to that. */
#ifndef RPI_JOURNAL_H
#define RPI_JOURNAL_H

#include "base/alloc.h"
#include "base/log.h"
#include "store/journal_db.h"

struct rpi_journal;

struct rpi_journal_config {
    struct rpi_alloc alloc;
    struct rpi_log log;
    const char *path; /* copied */
    bool sync;        /* commit at once, not within 0.5 s */
};

/* RP_ERR_IO, RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_journal_open(const struct rpi_journal_config *config,
                                       struct rpi_journal **journal);
/* Commits what there is and frees it.  RP_ERR_IO: writing has failed, now or before; the message
 * says how. */
RP_MUST_USE rp_status rpi_journal_close(struct rpi_journal *journal);

/* Looks for an outcome.  RPI_FOUND: its result is in *buffer, an rpi_buffer of *size bytes.
 * RP_ERR_NOMEM.  A journal that cannot be read finds nothing. */
RP_MUST_USE rp_status rpi_journal_find(struct rpi_journal *journal,
                                       const struct rpi_journal_db_title *title,
                                       enum rpi_journal_db_found *found, void **buffer,
                                       size_t *size);

/* Takes a copy of an outcome; title->function is borrowed for the journal's life.  *number: it is
 * committed, or given up, once rpi_journal_passed has reached it.  Waits for the disk while very
 * much is unwritten.  RP_ERR_NOMEM: nothing changed. */
RP_MUST_USE rp_status rpi_journal_put(struct rpi_journal *journal,
                                      const struct rpi_journal_db_title *title,
                                      const rp_bytes *result, uint64_t *number);
uint64_t rpi_journal_passed(const struct rpi_journal *journal);
/* Whether all that was put is committed or given up; if not it is hurried. */
bool rpi_journal_settle(struct rpi_journal *journal);
/* Outcomes committed since it was opened. */
uint64_t rpi_journal_committed(const struct rpi_journal *journal);
/* RP_ERR_IO: writing has failed; the message says how. */
RP_MUST_USE rp_status rpi_journal_sound(struct rpi_journal *journal);

#endif
