#ifndef RANKPOOL_CLI_SPELLINGS_H
#define RANKPOOL_CLI_SPELLINGS_H

#include "hosts.h"

/* A host may have several names and addresses.  mpirun (4.1) takes a name and an address of one for
 * two hosts, whose ranks write over each other's shared memory. */

/* The list (h1:4,h2:4) with each host once, by the name that comes first, and its ranks added up;
 * to be free()d.  NULL: no memory. */
char *spellings_merge(const char *list);
/* Whether two of the names are one host's: which. */
bool spellings_clash(const struct hosts *hosts, const char **one, const char **other);

#endif
