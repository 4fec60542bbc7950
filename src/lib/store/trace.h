/* The trace file: Chrome's and Perfetto's JSON array format, one event a line.  It is written in
 * whole lines, so that what a death leaves can be loaded too: both programs accept an array without
 * its end.  If writing fails it says so once and writes no more.
 *
 *   pid  a host, in the order of the ranks       tid  a worker
 *   "M"  names of hosts and workers              "X"  a task, or a map's chunk of items
 *   "C"  tasks queued and sent, every millisecond at the most
 *   "i"  what became of a worker, and the pool's end
 *
 * Times are rank 0's, from the pool's opening.  No message says when a task began: the tasks whose
 * results came in one message are drawn in a row, each as long as it ran.  The row ends when the
 * message was read, but does not begin before the end of the worker's row before it.  Very short
 * tasks have their batch's mean time.
 *
 * One thread at a time: the pool's lock sees to that. */
#ifndef RPI_TRACE_H
#define RPI_TRACE_H

#include "base/alloc.h"
#include "base/log.h"

struct rpi_trace;

/* Makes the file, or empties it.  RP_ERR_IO, RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_trace_open(const struct rpi_alloc *alloc, const struct rpi_log *log,
                                     const char *path, struct rpi_trace **trace);
/* NULL: no effect. */
void rpi_trace_close(struct rpi_trace *trace);

/* Before any event: how many workers there are, and the names of each, from 0; hosts that are equal
 * share a group.  RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_trace_begin(struct rpi_trace *trace, int workers, double opened);
void rpi_trace_name(struct rpi_trace *trace, int worker, const char *host, int64_t pid);

struct rpi_traced {
    const char *function; /* lives as long as the trace */
    uint64_t number;
    uint32_t items; /* of a chunk; 0: it is none */
    uint8_t attempt;
    rp_status status;
    double queued, ran; /* seconds */
};

/* A result from this worker, to be drawn by the next rpi_trace_drawn. */
void rpi_trace_task(struct rpi_trace *trace, int worker, const struct rpi_traced *task, double now);
/* The message that they came in is at its end. */
void rpi_trace_drawn(struct rpi_trace *trace, int worker, double now);
void rpi_trace_counts(struct rpi_trace *trace, uint64_t queued, uint64_t sent, double now);
/* An event in a worker's row, such as "lost". */
void rpi_trace_event(struct rpi_trace *trace, int worker, const char *what, double now);

#endif
