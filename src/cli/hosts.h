#ifndef RANKPOOL_CLI_HOSTS_H
#define RANKPOOL_CLI_HOSTS_H

#include <stdbool.h>

/* The hosts of a job, by the names that mpirun starts its ranks by; each once. */
struct hosts {
    char **names;
    int count;
};

/* Those of `list` (h1:4,h2:4; NULL: none), and of mpirun's `words` that name hosts or a file of
 * them.  A file that cannot be read has none: mpirun says so.  False: no memory; hosts_free all the
 * same. */
bool hosts_gather(struct hosts *hosts, const char *list, char *const *words, int count);
/* Adds those of the batch job around.  False: no memory. */
bool hosts_add_job(struct hosts *hosts);
void hosts_free(struct hosts *hosts);

#endif
