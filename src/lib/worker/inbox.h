/* What a worker has not started: at rank 0's word it is cancelled, or handed back. */
#ifndef RPI_INBOX_H
#define RPI_INBOX_H

#include "worker/state.h"

/* A CANCEL message.  What has not started is handed back in RETURNED messages; if it has a large
 * argument, or there is no memory to say so, it stays, and is not run when it comes up. */
RP_MUST_USE rp_status rpi_inbox_cancel(struct rpi_worker *worker, struct rpi_reader *reader);

/* A RECALL message: leaves RETURNED messages to be sent.  What runs, is cancelled or has a large
 * argument stays, and where nothing runs the first task, so that the worker does not wait while
 * others work.  RP_ERR_NOMEM: nothing changed. */
RP_MUST_USE rp_status rpi_inbox_give_back(struct rpi_worker *worker);

/* A task that was handed back stays in its batch, with an attempt that no task has. */
static inline bool rpi_inbox_has_left(const uint8_t *frame)
{
    return frame[10] == 0;
}

/* Moves the reader to its next task that is still there; false: there is none. */
static inline bool rpi_inbox_skip(struct rpi_reader *reader)
{
    struct rpi_frame frame;
    while (reader->left && rpi_inbox_has_left(reader->at))
        if (rpi_reader_frame(reader, &frame) != RP_OK)
            return false;
    return reader->left;
}

#endif
