#ifndef RANKPOOL_CLI_RANK_H
#define RANKPOOL_CLI_RANK_H

/* what mpirun starts in the program's place on every rank */
#define RANK_COMMAND "exec-rank"
/* environment: HOST:TOKEN:ADDRESS:PORT[,ADDRESS:PORT...] of the launcher */
#define RANK_LAUNCHER "RANKPOOL_LAUNCH"

/* libevent's, set for the daemons: this value is launch's own, and not passed on to the program. */
#define RANK_NOEPOLL "EVENT_NOEPOLL"
#define RANK_OURS    "rankpool"

/* Becomes the program that is in the environment (parcel.h), in argv[1] variables, after telling
 * the launcher so.  On rank 0 it stays: it runs the program as its child, tells the launcher its
 * end, and ends it when the launcher is gone. */
int rank_run(int argc, char **argv);

#endif
