/* A process that stays as it was when it was forked, to fork others: it has no threads, so that its
 * children may do all that a process may.
 *
 *   worker --"a process"--> fork server --fork--> child, one at a time
 *          <--"it is born: pid"   |
 *          --"kill it"-->         | reaps it, kills what it started
 *          <--"it died: how"------+
 *
 * The fork server and each child lead sessions of their own, so that a signal to the worker's
 * process group does not end the one that has to clean up.  It ends when the worker does (a closed
 * socket, or its pidfd), having killed the child and what the child has started; the child ends
 * when the fork server does. */
#ifndef RPI_FORKSERVER_H
#define RPI_FORKSERVER_H

#include "exec/forkserver_protocol.h"

#include <rankpool.h>

struct rpi_forkserver {
    int64_t pid; /* 0: there is none */
    int socket;
};

/* RP_ERR_FULL: no process or descriptor could be had. */
RP_MUST_USE rp_status rpi_forkserver_start(struct rpi_forkserver *forkserver,
                                           const struct rpi_forkserver_config *config);
/* Ends it and its child at once. */
void rpi_forkserver_end(struct rpi_forkserver *forkserver);

/* Asks for a child, or for its end; false: the fork server is gone. */
bool rpi_forkserver_fork(struct rpi_forkserver *forkserver);
bool rpi_forkserver_kill(struct rpi_forkserver *forkserver);
/* What it has to say; never waits.  1: *news is set; 0: nothing; -1: the fork server is gone, and
 * its child with it. */
int rpi_forkserver_hear(struct rpi_forkserver *forkserver, struct rpi_forkserver_news *news);

#endif
