/* A pool's large buffers, which are used again: fresh memory of the system costs a page fault every
 * 4 KiB, more than the copy into it.  Idle memory is bounded: the buffer freed last is handed out
 * first, because its bytes are in the cache, and the oldest goes back when there is too much.
 * Sizes are rounded up to quarters of a power of two; this touches no further pages.
 *
 * Unless the application has set a hook, they lie in large pages (pages.h).  Buffers under
 * RPI_PAGES_HUGE share a slab of these with others of their size.  It goes back when none of them
 * is in use; until then, where too much is idle, the pages inside an idle buffer go back:
 *
 *   slab | spare, bytes | spare, bytes | ... | never used */
#ifndef RPI_BUFCACHE_H
#define RPI_BUFCACHE_H

#include <stdbool.h>
#include <stddef.h>

/* bytes kept idle at the most, in one pool on one rank */
#define RPI_BUFCACHE_IDLE ((size_t)256 << 20)

struct rpi_alloc;
struct rpi_bufcache;

/* `most`: bytes kept idle.  From now on `alloc` has its large buffers from there; false: no memory,
 * and it is as it was. */
bool rpi_bufcache_begin(struct rpi_alloc *alloc, size_t most);
/* The pool ends: what is idle is freed, and what is still out frees itself when it comes back, the
 * last one these too. */
void rpi_bufcache_end(struct rpi_bufcache *spares);

/* Frees all idle memory: when none was wanted for long.  Any thread; NULL: no effect. */
void rpi_bufcache_trim(struct rpi_bufcache *spares);
/* Whether anything is idle.  If not, stir(context) is called once something is, by the thread that
 * frees it: once, and not after the next call of this, in which it may be NULL.  It may not call
 * anything here. */
bool rpi_bufcache_watch(struct rpi_bufcache *spares, void (*stir)(void *context), void *context);

#endif
