/* Pools whose workers are threads of this process, behind a transport with a lock: what several threads do to a pool, and what its
 * caretaker does, under a thread sanitizer and without MPI. */
#ifndef THREADS_H
#define THREADS_H

#include <rankpool.h>

/* A pool with so many workers, or with 0: a pool of one process, as rp_open makes it where there is one rank.  Ends by rp_close or
 * rp_terminate.  NULL: it could not be made, and stderr says why. */
rp_pool *threads_open(int workers, const rp_config *config);

/* From now on the transport of every such pool fails, or works again. */
void threads_fail(bool fails);

/* `threads` threads use the pool at once, each through every function, `rounds` times.  Returns how many calls did not do what they
 * must; the first few are named on stderr. */
int threads_mix(rp_pool *pool, int threads, int rounds);

#endif
