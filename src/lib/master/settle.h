/* A task's end: what becomes of its future, and who is told.  For the master's own files only. */
#ifndef RPI_SETTLE_H
#define RPI_SETTLE_H

#include "master/master.h"

/* as many retries as any options allow: it was cancelled at its worker */
#define RPI_SETTLE_NEVER_AGAIN UINT16_MAX

/* What is known of a task when it settles. */
struct rpi_settled {
    rp_status status;
    int code;
    const char *message; /* the task's own words */
    int worker;
    bool at_worker; /* it was sent there: else `worker` says nothing */
    double ran;     /* seconds */
    uint16_t function;
    bool final; /* it is not tried again, whatever its options say */
};

/* What became of a failed task, in words. */
const char *rpi_settle_verb(rp_status status);
/* for RP_ERR_INPUT; the input's failure follows */
#define RPI_SETTLE_BEHIND_A_FAILED "was not run, a task before it failed"

/* Settles a task with a result, which is copied.  RP_ERR_NOMEM: nothing changed. */
RP_MUST_USE rp_status rpi_settle_result(struct rpi_master *master, uint64_t id,
                                        struct rpi_future *future, const uint8_t *data,
                                        uint32_t size, const struct rpi_settled *how);
/* The same for a result of at most RPI_SMALL_RESULT bytes. */
void rpi_settle_small(struct rpi_master *master, uint64_t id, struct rpi_future *future,
                      const uint8_t *data, uint32_t size, const struct rpi_settled *how);
/* Settles a task with a result of more than RPI_SMALL_RESULT bytes in an rpi_buffer, which it takes
 * over. */
void rpi_settle_buffer(struct rpi_master *master, uint64_t id, struct rpi_future *future,
                       void *buffer, uint32_t size, const struct rpi_settled *how);
/* Copies a result too large for its future into a new *buffer; for others *buffer stays as it is.
 * RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_settle_room(const struct rpi_master *master, const uint8_t *data,
                                      uint32_t size, void **buffer);

/* The common part of settling.  It overwrites future->pending: read what you need of that before,
 * and set the data after. */
void rpi_settle_done(struct rpi_master *master, struct rpi_future *future,
                     const struct rpi_settled *how);
/* Forgets the lost attempts of a task that is settled. */
static inline void rpi_settle_attempts(struct rpi_master *master, uint64_t id)
{
    if (master->attempts.count)
        (void)rpi_attempts_forget(&master->attempts, id);
}
/* Ends settling: tells all that wait for the future, and frees it if it is released and not
 * needed; unless it waits for the journal first. */
void rpi_settle_end(struct rpi_master *master, uint64_t id, struct rpi_future *future);

/* Settles a task that was just submitted with an outcome from the journal, and takes the buffer
 * over. */
void rpi_settle_stored(struct rpi_master *master, uint64_t id, struct rpi_future *future,
                       const struct rpi_stored *stored, double now);

#endif
