/* Pools whose workers are threads of this process, on a transport with a lock: to test what several
 * threads and the caretaker do to a pool, under a thread sanitizer and without MPI. */
#ifndef THREADS_H
#define THREADS_H

#include <rankpool.h>

/* A pool with this many workers, or with 0: a pool of one process, as rp_open makes it for one
 * rank.  Ends by rp_close or rp_terminate.  NULL: it could not be made, and stderr says why. */
rp_pool *threads_open(int workers, const rp_config *config);

/* From now on the transport of every such pool fails, or works again. */
void threads_fail(bool fails);
/* From now on this worker of the pool counts as ended: its pool hears of it at its next step.  Its
 * thread goes when its task has ended. */
void threads_lose(rp_pool *pool, int worker);

/* `threads` threads use the pool at once, each through every function, `rounds` times.  Returns how
 * many calls did not do what they must; the first few are named on stderr. */
int threads_mix(rp_pool *pool, int threads, int rounds);

/* What a pool that is broken or has lost a worker leaves to its transport is left on purpose: it
 * may still write there. */
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#define IGNORE_LEAKS() __lsan_disable()
#define COUNT_LEAKS()  __lsan_enable()
#else
#define IGNORE_LEAKS() ((void)0)
#define COUNT_LEAKS()  ((void)0)
#endif

#endif
