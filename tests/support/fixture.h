/* A pool for tests of the public interface, and tasks to give it.
 *
 *   static void answers(void)
 *   {
 *       if (!open_pool(NULL))
 *           return;                          (a worker: it has served until the pool's end)
 *       IS(RP_OK, rp_apply(pool, echo, "x", 1, NULL, 0, NULL));
 *       close_pool();
 *   }
 *
 * Every rank calls these alike.  A suite has end_pool as its tear-down, so that a test that broke
 * off leaves no worker running. */
#ifndef FIXTURE_H
#define FIXTURE_H

#include "harness.h"

#include <rankpool.h>

extern rp_pool *pool; /* NULL on workers, and between tests */

/* Whether this process is one of several, and which; by what the launcher says. */
int ranks(void);
int rank_here(void);

/* True on rank 0 with a pool; else it failed, or this is a worker whose service is over. */
bool open_pool(const rp_config *config);
void close_pool(void);
void end_pool(void);

/* Fails the test where `call` gives another status, and says which and why. */
#define IS(status, call) (is((call), (status), #call, __FILE__, __LINE__))
bool is(rp_status got, rp_status wanted, const char *call, const char *file, unsigned line);

/* Fails the test where the last failing call's message is without `text`. */
#define SAYS(text) (says(rp_error_message(), (text), __FILE__, __LINE__))
bool says(const char *message, const char *text, const char *file, unsigned line);

/* Submits with default options; the future, or {0} and a failed test. */
rp_future submit(rp_fn *fn, const void *arg, size_t size);

/* ---- tasks ---- */

rp_fn echo;    /* gives its argument back */
rp_fn nothing; /* gives nothing */
rp_fn twice;   /* int64_t: doubles it */
rp_fn wakeup;  /* double: sleeps that many seconds */
rp_fn pid_of;  /* gives the pid_t of the process that it runs in */
rp_fn returns; /* int: returns that as its status */
rp_fn ordinal; /* gives an int64_t: this process's 1st, 2nd, ... since begin_ordinals */
rp_fn begin_ordinals;
rp_fn stranger; /* not registered */

/* A task that runs until the gate is opened: it keeps a worker busy; several may wait at the one
 * gate.  With one process there is nothing to keep busy, and the gate must be open before anything
 * waits. */
rp_future close_gate(void);
void open_gate(void);
rp_fn wait_at_gate;

/* ---- data ---- */

/* Bytes that differ with the seed, and whether they are still what they were. */
void fill(void *data, size_t size, uint64_t seed);
bool filled(const void *data, size_t size, uint64_t seed);

/* Monotonic seconds. */
double seconds(void);

#endif
