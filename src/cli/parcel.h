#ifndef RANKPOOL_CLI_PARCEL_H
#define RANKPOOL_CLI_PARCEL_H

/* A program's words on their way through mpirun, which takes some of them for its own (":")
 * wherever they stand in its command line, and takes no more than 128 KiB: they go in variables of
 * the environment, RANKPOOL_WORDS0 and so on, as text in which nothing means anything to it. */

#define PARCEL_MOST 128 /* variables: more than the kernel takes together */

/* Packs them into the environment; how many variables that takes, or -1: too many, or no memory. */
int parcel_pack(char *const *words, int count);
/* The name of a variable; it stays. */
const char *parcel_name(int index);
/* Takes the words out of `count` variables and removes these; NULL at the end, in one piece to
 * free().  NULL: no memory, or a variable is not there. */
char **parcel_unpack(int count);

#endif
