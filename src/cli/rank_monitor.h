#ifndef RANKPOOL_CLI_RANK_MONITOR_H
#define RANKPOOL_CLI_RANK_MONITOR_H

#include "listeners.h"

#include <stdbool.h>
#include <stddef.h>

struct report_end {
    int rank;
    double when;
    char host[65];
};

#define REPORT_ENDS 4 /* ends kept, with rank and time */

/* What the ranks of a job tell their launcher.  Each holds one TCP connection, opened before the
 * program starts: its hello carries the job's token, its end is the rank's end.  Rank 0's brings
 * the program's status first.  A caller without the token learns nothing and is dropped. */
struct rank_monitor {
    struct listeners listeners;
    double host_timeout;
    int events; /* an epoll of everything here; readable when rank_monitor_take has something to do
                 */
    char token[33];
    struct line *lines;
    int strangers; /* connections without a hello yet */
    int size;      /* ranks of the job, as they say; 0: none has come */
    int came, gone;
    bool master_came, master_gone; /* rank 0's connection */
    int master_status;             /* -1: not told */
    char master_host[201];
    struct report_end ends[REPORT_ENDS]; /* of other ranks than 0, the first */
    int ended;                           /* how many are there */
    bool broken; /* a rank's connection was not closed, but broke: its host may be gone */
};

/* `addresses`: of the ways to the other hosts; `host_timeout`: seconds after which one that does
 * not answer is given up.  False: errno. */
bool rank_monitor_open(struct rank_monitor *monitor, const struct addresses *addresses,
                       double host_timeout);
/* What ranks need to come, as RANK_LAUNCHER has it.  False: it does not fit. */
bool rank_monitor_address(const struct rank_monitor *monitor, char *text, size_t size);
void rank_monitor_take(struct rank_monitor *monitor);
/* Ranks whose hosts do not answer now, and whose connections have not broken yet. */
int rank_monitor_unreached(const struct rank_monitor *monitor);
/* Whether a rank other than 0 has ended before that time. */
bool rank_monitor_lost(const struct rank_monitor *monitor, double when);
/* Has rank 0's watch send this signal to the program, and kill it 2 s later; the program's status
 * is still told. */
void rank_monitor_dismiss_master(struct rank_monitor *monitor, int signal);
/* Kills what is left on this host of ranks whose connections are open: mpirun (4.1) may crash while
 * it ends them. */
void rank_monitor_kill_left(const struct rank_monitor *monitor);
void rank_monitor_close(struct rank_monitor *monitor);

#endif
