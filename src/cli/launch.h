#ifndef RANKPOOL_CLI_LAUNCH_H
#define RANKPOOL_CLI_LAUNCH_H

/* rankpool launch: starts a program under mpirun with all that surviving lost ranks needs.  Returns
 * rank 0's exit status, 128 + n when signal n ended it, or says what is wrong. */
int launch(int argc, char **argv);

#endif
