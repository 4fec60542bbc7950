/* rankpool: a process pool over MPI.
 *
 * Rank 0 is the master: it holds the task queue and the future table.  Every other rank is a
 * worker: it receives tasks, runs registered C functions and returns their results.
 *
 * General rules; a comment below says where a function differs
 *  - Everything that can fail returns rp_status.  Outputs come last and are written only on success
 * (one exception: *result_size with RP_ERR_SIZE).  rp_error_message() has the text of this thread's
 * last failing call.
 *  - Seconds are double, on the monotonic clock; sizes are bytes.  Inputs are copied unless a
 * comment says borrowed.
 *  - Call on rank 0, from any thread, not inside a task (RP_ERR_CONTEXT); not collective.
 *  - Every call on a pool drives it at least one step; a step that would find nothing new may be
 * put off for a few calls. Not driven by: rp_workers; of a stream: open, imap, add, end and close.
 *    In a pool of one process a task runs only inside rp_apply, rp_get, rp_take, rp_wait and its
 * relatives, rp_map, rp_on_each_worker, rp_stream_next, rp_drain, rp_close, rp_progress,
 * rp_state_of and a submission that waits for room, on the calling thread, at most one a call
 * unless the call waits.  A timeout does not interrupt it.
 *  - Structs begin with struct_size, set by their _INIT macro (RP_ERR_INVALID otherwise); 0 in a
 * field means its default. A field that this version does not honour yet is refused with
 * RP_ERR_INVALID, never ignored.
 *  - Workers are numbered from 1 (their rank in the pool's communicator); 0 is rank 0 itself.  A
 * pool of one process has one worker, number 1, which is the process itself.
 *  - A pool pointer dies with rp_close / rp_terminate, which set it to NULL; NULL gives
 * RP_ERR_INVALID everywhere but inside a task, where a call on a pool is RP_ERR_CONTEXT whatever it
 * is given.
 *  - In a child of fork() every call on its parent's pools gives RP_ERR_CONTEXT, and rp_open too
 * where the parent uses MPI; however the child ends, the parent and its pools do not notice.
 *  - exit() ends pools that are open, as rp_terminate does; later calls on them, as from a global's
 * destructor, give RP_ERR_INVALID.
 *  - Undefined: a pool pointer kept by hand after rp_close; data races on caller's buffers;
 *    rp_close or rp_terminate while another thread is inside a call on that pool, or begins one. */
#ifndef RANKPOOL_H
#define RANKPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RP_VERSION_MAJOR 0
#define RP_VERSION_MINOR 1
#define RP_VERSION_PATCH 0

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define RP_API          __attribute__((visibility("default")))
#define RP_MUST_USE     __attribute__((warn_unused_result))
#define RP_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define RP_API
#define RP_MUST_USE
#define RP_PRINTF(f, a)
#endif

/* clang-format off */
/* ---- status: grouped by what is broken ----------------------------------------------------- */
#define RP_STATUS_LIST(X)                                                                                            \
    X(RP_OK, 0, "success")                                                                                           \
    X(RP_END, 1, "nothing more will come")                          /* a stream's end; not a failure */              \
    /* the call: nothing changed, the pool is as it was */                                                           \
    X(RP_ERR_INVALID, 10, "invalid argument")                                                                        \
    X(RP_ERR_NOMEM, 11, "out of memory")                                                                             \
    X(RP_ERR_TIMEOUT, 12, "the wait ended first")                                                                    \
    X(RP_ERR_STALE, 13, "no such future: released, or of another pool")                                              \
    X(RP_ERR_SIZE, 14, "the buffer is smaller than the result")                                                      \
    X(RP_ERR_UNREGISTERED, 15, "the task function is not registered")                                                \
    X(RP_ERR_FULL, 16, "a limit is reached")                                                                         \
    X(RP_ERR_CONTEXT, 17, "not allowed here")                       /* in a task, in a callback, on a worker ... */  \
    /* the task: this future failed, the pool goes on */                                                             \
    X(RP_ERR_TASK, 30, "the task failed")                           /* it returned an error; code and message tell */\
    X(RP_ERR_CANCELLED, 31, "the task was cancelled")                                                                \
    X(RP_ERR_DEADLINE, 32, "the task overran its time limit")                                                        \
    X(RP_ERR_CRASHED, 33, "the task's process died")                                                                 \
    X(RP_ERR_LOST, 34, "the task's worker was lost")                                                                 \
    X(RP_ERR_INPUT, 35, "a task that this one depends on failed")                                                    \
    /* the pool */                                                                                                   \
    X(RP_ERR_BROKEN, 50, "the pool cannot go on")                   /* no worker left, a rank missing at open ... */ \
    X(RP_ERR_MPI, 51, "an MPI call failed")                                                                          \
    X(RP_ERR_IO, 52, "a file cannot be read or written")
/* clang-format on */

typedef enum rp_status {
#define RP_STATUS_ENUM(name, value, text) name = (value),
    RP_STATUS_LIST(RP_STATUS_ENUM)
#undef RP_STATUS_ENUM
} rp_status;

/* The short text of a status, for a person; "unknown status" for a value that is none.  Never NULL,
 * never freed. Call anywhere, any rank and thread, inside a task too. */
RP_API const char *rp_strerror(rp_status status);

/* The whole text of this thread's last failing rp_ call: what, where, and what to do.  "" at first;
 * valid until the thread's next failing call.  Call anywhere, any rank and thread. */
RP_API const char *rp_error_message(void);

/* The library's version, "0.1.0".  Call anywhere. */
RP_API const char *rp_version(void);

/* clang-format off */
/* ---- types --------------------------------------------------------------------------------- */
typedef struct rp_pool rp_pool;
typedef struct rp_stream rp_stream;
typedef struct rp_call rp_call; /* a running task, as its function sees it */
typedef struct rp_future { uint64_t id; } rp_future; /* slot and generation, by value; {0} is never valid */
typedef struct rp_bytes { const void *data; size_t size; } rp_bytes;
typedef enum rp_toggle { RP_DEFAULT, RP_ON, RP_OFF } rp_toggle;
typedef enum rp_isolation { RP_ISOLATION_DEFAULT, RP_INLINE, RP_FORK } rp_isolation;
typedef enum rp_state { RP_STALE, RP_WAITING, RP_QUEUED, RP_SENT, RP_DONE } rp_state; /* WAITING: for its `after`, or for the same keyed task; SENT: at a worker */
typedef enum rp_when { RP_ALL, RP_FIRST_DONE, RP_FIRST_ERROR } rp_when;
typedef enum rp_level { RP_LOG_ERROR, RP_LOG_WARNING, RP_LOG_INFO, RP_LOG_DEBUG } rp_level;

#define RP_FOREVER (-1.0)

/* A task function; runs on a worker.  `arg` is aligned for any type.  Its result is what it gave to rp_return (nothing: zero
 * bytes).  RP_OK: done.  RP_ERR_CANCELLED: it stopped because it was asked to.  Any other value: failed, the outcome is RP_ERR_TASK
 * with that value as code (rp_fail sets code and message). */
typedef rp_status rp_fn(rp_call *call, const void *arg, size_t size);

typedef bool rp_source(void *context, rp_bytes *next); /* sets *next (copied before the next question) and returns true; false: no more */

typedef struct rp_outcome {
    size_t struct_size;
    rp_status status;
    int code;              /* of rp_fail, or the value the function returned, or the exit status or signal of a crash */
    const char *message;   /* "" on success; else all a person needs; borrowed as data is */
    const void *data;      /* borrowed: until the future is released, or the stream's next call */
    size_t size;
    int worker;
    const char *host;      /* borrowed: until the pool's end */
    int attempts;          /* starts */
    double queued, ran;    /* seconds from submission to start, and of running; of very short tasks ran is their batch's mean */
} rp_outcome;
#define RP_OUTCOME_INIT { .struct_size = sizeof(rp_outcome) }

typedef void rp_done(rp_pool *pool, rp_future future, const rp_outcome *outcome, void *user);
typedef void rp_log(rp_level level, const char *line, void *user);
typedef void *rp_alloc(void *old, size_t size, void *user); /* realloc's contract; size 0 frees */

typedef struct rp_task_options {
    size_t struct_size;
    int32_t priority;      /* higher first; then longest cost; then order of submission */
    int attempts;          /* starts allowed when its worker is lost, or with RP_FORK its process dies: 0 = 3, 1 = at most once; after the last RP_ERR_LOST, or with RP_FORK RP_ERR_CRASHED.  Inline, a task that ends its worker itself (a signal of its own, exit(), MPI_Finalize, ...) fails at once: RP_ERR_CRASHED; so does a map's item whose process dies */
    int retries;           /* more tries after a returned error or an overrun, not after a crash: 0 = none; with attempts 250 at the most */
    double time_limit;     /* seconds from its start; 0 = none.  When it is over rp_cancelled() says so, and a late return is RP_ERR_DEADLINE; under RP_FORK it is killed; of a map: for each item */
    int worker;            /* preferred worker, 0 = any */
    bool worker_hard;      /* only there */
    double cost;           /* expected seconds, 0 = unknown; longest first among equals in priority */
    rp_bytes key;          /* names the task in config.journal (rp_submit tells how); empty = not journaled; no effect without a journal */
    const rp_future *after;/* must be RP_OK before it starts; their results: rp_input.  They may be released at once.  While it waits they go by its priority, if that is higher.  One that fails: RP_ERR_INPUT, whose message has the chain */
    size_t after_count;
    rp_done *on_done;      /* on an application thread, inside a call that drives the pool and never rp_submit's; in order of settling, never nested, no lock held; may submit (never waits: RP_ERR_FULL), may not wait */
    void *user;
    bool no_wait;          /* RP_ERR_FULL instead of waiting for room */
    bool borrow;           /* arg stays valid and unchanged until the future settles, and where a worker is lost or suspect meanwhile until the pool's end; it is sent in place */
} rp_task_options;
#define RP_TASK_OPTIONS_INIT { .struct_size = sizeof(rp_task_options) }

typedef struct rp_map_options {
    size_t struct_size;
    size_t chunk;          /* items a worker takes at once; 0 = from measured time.  What it has not begun another may get that has nothing to do */
    rp_status *statuses;   /* count of them, or NULL; RP_ERR_BROKEN until an item's own is known */
    const rp_task_options *task;
} rp_map_options;
#define RP_MAP_OPTIONS_INIT { .struct_size = sizeof(rp_map_options) }

typedef struct rp_stream_options {
    size_t struct_size;
    bool ordered;          /* results in order of submission */
    size_t in_flight;      /* unfinished and undelivered items at the most; 0 = chosen */
    bool skip_empty;       /* a successful task without a result makes no item */
    const rp_task_options *task;
} rp_stream_options;
#define RP_STREAM_OPTIONS_INIT { .struct_size = sizeof(rp_stream_options) }

typedef struct rp_item {
    size_t struct_size;
    uint64_t index;        /* of submission into the stream; a spawned task has its root's */
    uint32_t depth;        /* 0, or generations below the root */
    const rp_outcome *outcome; /* borrowed until the stream's next call */
} rp_item;
#define RP_ITEM_INIT { .struct_size = sizeof(rp_item) }

typedef struct rp_config {
    size_t struct_size;
    int processes;         /* workers: of several ranks at most size-1 (0 = all); of one rank 0 = run in this process, k = spawn k */
    rp_fn *initializer;    /* registered; once in each worker (each process of tasks under RP_FORK) before its first task; an error is RP_ERR_BROKEN at open, with its message */
    rp_bytes init_arg;
    void (*finalizer)(void *worker_data); /* each rank's own: once in each worker at the pool's end, after a successful initializer or where there is none; under RP_FORK at the end of each process that was not killed */
    rp_isolation isolation;/* RP_INLINE, the default: tasks run in their worker's process.  RP_FORK: in a child of it, forked inside rp_open, which has no
                            * descriptors but an empty standard input, standard output and standard error, no threads but its own,
                            * default signal handlers, and no MPI; a crash, exit() or a kill costs that process and its own children, the worker goes on
                            * with a fresh one: RP_ERR_CRASHED */
    uint64_t tasks_per_child; /* under RP_FORK: a fresh process after so many tasks or chunks of a map; 0 = never */
    uint64_t queue_limit_tasks, queue_limit_bytes; /* of what is queued at rank 0, where a task is submitted: what workers hand back comes above it; 0 = none */
    rp_toggle master_works;/* rank 0 too runs tasks, as worker 0, inside calls that wait, when every other worker has enough: of functions
                            * that take under 1 ms by measurement, or less than what is left of the timeout if there is a caretaker;
                            * default off; no effect in a pool of one process */
    rp_toggle background;  /* the caretaker thread, which drives the pool while the application computes, and one at each worker, which
                            * answers rank 0 while a task runs long: default on where MPI gives MPI_THREAD_MULTIPLE; RP_ON where it does not: RP_ERR_INVALID; a pool of one process has none.
                            * Without it a warning says once when queued tasks had waited over a second for a call */
    uint64_t seed;
    double open_timeout;   /* seconds for every rank to come, and to answer, at open; default 60 */
    double lost_after;     /* seconds of silence, while the pool is driven, that make a worker suspect: its tasks may run elsewhere (attempts), until it is
                            * heard of again; after ten times as long it is given up as lost.  The pool's end waits for none that is suspect.  Default none: a
                            * worker that is only silent is waited for.  A worker whose process or host is gone is lost at once, whatever this says */
    double host_timeout;   /* seconds without an answer from another host, 1 to 3,600, after which its
                            * workers are lost, and a little later end.  An outage of half of it, from 3 s on,
                            * costs none.
                            * Rank 0's rules.  Default 3, or what rankpool launch --host-timeout says: give it
                            * there, since mpirun too ends the ranks of a host that it has given up */
    double cancel_grace;   /* under RP_FORK, seconds from a cancel, which rp_cancelled() tells, to SIGKILL; default 1 */
    int respawn;           /* lost workers that are replaced, at the most (rp_open tells how); default 0 */
    const char *journal;   /* SQLite file, made if it is missing, used by one pool at a time: outcomes of keyed tasks outlive the job (rp_submit); NULL = none */
    bool journal_sync;     /* a keyed task settles when its outcome is committed; default: it is committed within about 0.5 s */
    const char *trace;     /* file to write, for ui.perfetto.dev or chrome://tracing: a row for each worker, in it each task, or a map's chunk, with number,
                            * attempt, status and times; tasks queued and sent.  NULL = none.  If it cannot be written any more, a
                            * warning says so and the pool goes on */
    rp_log *log; void *log_user;       /* NULL: warnings and errors to stderr; on any thread, the caretaker too, and may call nothing of the pool */
    rp_alloc *alloc; void *alloc_user; /* NULL: realloc and free, mmap for large buffers; on any thread */
} rp_config;
#define RP_CONFIG_INIT { .struct_size = sizeof(rp_config) }

typedef struct rp_stats {
    size_t struct_size;
    uint64_t submitted, done, failed, retried, cancelled, journaled; /* tasks, a map's items each; done: settled RP_OK; journaled: outcomes that the journal had or has committed since */
    uint64_t waiting, queued, sent;
    int workers, lost, parked; /* workers that live, that do not, and that sleep until they are given something */
    int respawned;             /* lost workers that were replaced (config.respawn), and are not counted as lost */
    uint64_t messages_out, messages_in, bytes_out, bytes_in;
    double open_seconds, busy_seconds; /* busy: summed over workers */
    rp_toggle recovery, caretaker;     /* which layers are live */
} rp_stats;
#define RP_STATS_INIT { .struct_size = sizeof(rp_stats) }

typedef struct rp_worker_info { size_t struct_size; int worker; const char *host; int64_t pid; bool lost; uint64_t done; double busy_seconds; } rp_worker_info;
#define RP_WORKER_INFO_INIT { .struct_size = sizeof(rp_worker_info) }
typedef struct rp_call_info { size_t struct_size; uint64_t task; int attempt; int worker; const char *host; const char *name; } rp_call_info;
#define RP_CALL_INFO_INIT { .struct_size = sizeof(rp_call_info) }
/* clang-format on */

/* ---- life ---------------------------------------------------------------------------------- */

/* Opens a pool over MPI_COMM_WORLD, or in this process alone where no launcher started it. `config`
 * NULL: all defaults; rank 0's config rules.  Rank 0 gets *pool.  Workers serve inside and come
 * back with *pool == NULL and RP_OK when the pool has ended. If MPI is not initialised it is
 * initialised, and finalised at the process's exit; pools can be opened again until then, by every
 * rank: a worker that leaves main behind its first pool is missing in the next. A rank of the job
 * that neither calls rp_open nor initialises MPI holds up the others inside MPI's own
 * initialisation, which waits for all ranks without a limit: open_timeout counts from behind it.
 * Where a launcher lets the others go on without a rank that has ended (rankpool launch), it counts
 * for that as well, and a process that gave MPI up has none; where ranks share cores MPI has as
 * many times as long as share one, ten at the most. Rank 0 has a connection, that is an open file,
 * to every worker: where its soft limit is too low for them it is raised, so far and no further,
 * for the whole process and what it starts later; a hard limit that is too low is RP_ERR_BROKEN.
 * Collective: every rank gets the same status.  Any thread that may call MPI; not inside a task.
 * config.processes = k in a run of one rank spawns k workers: copies of this program with its
 * arguments, working directory and the environment that MPI was initialised in, on all cores unless
 * OMPI_MCA_hwloc_base_binding_policy says otherwise.  They make the calls of rp_open and
 * rp_open_comm that rank 0 makes, as ranks under mpirun do.  The one that they were spawned in
 * serves; every other one, before and after it, comes back at once with RP_OK and NULL. (Calls that
 * rank 0 was refused do not count, if the worker's config is refused as well.)  So "open; if (pool)
 * { ...; close; } open again ..." works, with new workers for each pool.  When one spawned worker
 * ends the launcher ends all of its pool, which is then broken (RP_ERR_BROKEN); under mpirun -n 1
 * it ends the run, under rankpool launch -n 1 nobody else.  What a worker does after its pool's end
 * is cut off some seconds after rank 0's exit.  SIGPIPE is ignored from then on, unless the program
 * handles it. config.respawn = n: where the launcher lets the job go on without a lost worker
 * (rankpool launch, mpirun --enable-recovery), and MPI gives MPI_THREAD_MULTIPLE, up to n of them
 * in all are replaced, while the pool is driven and works on (0.3 s on an idle machine).
 *  - The new process is spawned as those of config.processes are, on the lost one's host: it is
 * alone in its MPI_COMM_WORLD, makes the calls up to this rp_open, is initialised, and serves under
 * the lost worker's number, with another pid; its messages go over tcp. Tasks with worker_hard that
 * were queued for the lost one have failed with it; later ones run in the new one.
 *  - One that has not come, or is not initialised, within open_timeout, or cannot be spawned, is
 * logged and counts; if the spawn itself hangs, a second one is tried, and if that hangs too none
 * comes any more.  Nor does one behind rp_terminate, or when rp_close has seen the last task
 * settle.
 *  - When the last worker of another host than rank 0's is lost, the host may be: then nobody is
 * replaced any more, for Open MPI 4.1 ends every process when one is spawned after it lost a host.
 * So a loss on another host is looked at for host_timeout and 1 s first; a host lost within these
 * is a risk. Elsewhere it has no effect: a warning says so, but in a pool of one process. Errors:
 * RP_ERR_INVALID (config; a name registered for two functions), RP_ERR_UNREGISTERED (config's
 * initializer), RP_ERR_NOMEM, RP_ERR_FULL (as rp_register), RP_ERR_CONTEXT (inside a task),
 * RP_ERR_BROKEN (the initializer failed, a rank is missing after open_timeout, registries or
 * protocols differ: the message names them; spawned workers have not come after it), RP_ERR_MPI
 * (also: MPI cannot spawn; the launcher is another MPI's; the message names a launch that works),
 * RP_ERR_IO (the journal is not writable, in use, damaged, of another program or a newer rankpool,
 * or the trace cannot be made: the message names it and says what to do). */
RP_API RP_MUST_USE rp_status rp_open(const rp_config *config, rp_pool **pool);

/* Waits until every task submitted so far, and by other threads meanwhile, is settled, or `timeout`
 * seconds pass. Returns when the journal, if there is one, has committed all. Errors:
 * RP_ERR_INVALID, RP_ERR_CONTEXT, RP_ERR_TIMEOUT (nothing is lost), RP_ERR_NOMEM (as rp_get),
 * RP_ERR_BROKEN, RP_ERR_IO (all is settled, but not all could be written to the journal). */
RP_API RP_MUST_USE rp_status rp_drain(rp_pool *pool, double timeout);

/* Drives the pool one step: takes what has arrived, hands out what can be; never waits.
 * Errors: RP_ERR_INVALID, RP_ERR_CONTEXT, RP_ERR_BROKEN. */
RP_API RP_MUST_USE rp_status rp_progress(rp_pool *pool);

/* Drains the pool, ends its workers, frees it and sets *pool to NULL.  Futures not yet released are
 * gone, outcomes' data with them.  Errors: RP_ERR_INVALID, RP_ERR_CONTEXT and RP_ERR_NOMEM (the
 * pool lives on); RP_ERR_BROKEN (it had failed before: it is freed); RP_ERR_IO (not all could be
 * written to the journal: it is freed). */
RP_API rp_status rp_close(rp_pool **pool);

/* As rp_close, but drops what has not started, whose on_done functions are not called; waits for
 * running tasks only (under RP_FORK for config.cancel_grace).  Errors: RP_ERR_INVALID,
 * RP_ERR_CONTEXT (the pool lives on); RP_ERR_BROKEN, RP_ERR_IO (as rp_close). */
RP_API rp_status rp_terminate(rp_pool **pool);

/* Gives a task function its name, by which ranks agree on it.  `name` is copied.  Same name and
 * function again: no effect. Call on any rank, before rp_open, the same on all; any thread. A
 * function whose plug-in was unloaded (dlclose) is in no pool opened afterwards, and its name may
 * be given again, as it is when the plug-in is loaded again.  A plug-in is to stay while a pool
 * that was opened with it is open. Errors: RP_ERR_INVALID (NULL, an empty name or one over 255
 * bytes, a name that has another function), RP_ERR_NOMEM, RP_ERR_FULL (65,535 names). */
RP_API RP_MUST_USE rp_status rp_register(const char *name, rp_fn *fn);

/* Registers `fn` under its own name before main runs.  At file scope: RP_TASK(fn); */
#define RP_TASK(fn)                                                                                \
    __attribute__((constructor)) static void rp_registers_##fn(void)                               \
    {                                                                                              \
        rp_register_at(#fn, fn, __FILE__, __LINE__);                                               \
    }                                                                                              \
    struct rp_swallow_semicolon
/* For RP_TASK: as rp_register, with its place in the source; an error is reported by rp_open. */
RP_API void rp_register_at(const char *name, rp_fn *fn, const char *file, int line);

/* ---- one task ------------------------------------------------------------------------------ */

/* Runs fn(arg) on a worker and waits for it: rp_submit and rp_get in one.
 * Errors: RP_ERR_INVALID, RP_ERR_NOMEM, RP_ERR_UNREGISTERED, RP_ERR_CONTEXT, RP_ERR_BROKEN,
 * RP_ERR_SIZE (it drops the result); the task's own: RP_ERR_TASK, RP_ERR_CANCELLED, RP_ERR_CRASHED,
 * RP_ERR_LOST. */
RP_API RP_MUST_USE rp_status rp_apply(rp_pool *pool, rp_fn *fn, const void *arg, size_t size,
                                      void *result, size_t capacity, size_t *result_size);

/* Queues fn(arg).  `arg` (NULL only with size 0; at most 4,294,967,295 bytes) is copied, unless
 * options->borrow; `options` NULL: defaults.  *future is live until rp_get, rp_take or rp_release;
 * future NULL: detached, a failure is logged.  Waits for room when a queue limit is reached
 * (no_wait: RP_ERR_FULL). With options->key (1 to 65,535 bytes), in a pool with config.journal: the
 * journal holds the RP_OK outcome of such a task by function (its name), key and a hash of the
 * argument.
 *  - Submitted again, in this run or in a later one, it is settled at once with that outcome:
 * worker 0, 0 attempts, no time.
 *  - The same key with another argument is logged and run; its success replaces the older one.
 * Failures are not kept, and run again.
 *  - While it is under way, the same again runs nothing and shares its outcome, whatever that is: a
 * cancel of the first concerns both, a cancel of a later one that one alone.
 *  - What else the result depends on (shared data, files, the program's version) belongs into the
 * key.
 *  - A task that spawned others is not kept: they would be missing.  A task with `after` has no key
 * (RP_ERR_INVALID), nor has a map or a stream's options.task.  Results of nearly 1 GB and more are
 * not kept (a warning says so).
 *  - If the journal cannot be written any more, an error is logged once and nothing more is kept;
 * tasks and results are as ever. Errors: RP_ERR_INVALID, RP_ERR_NOMEM, RP_ERR_UNREGISTERED,
 * RP_ERR_STALE (one of options->after; the message has its index), RP_ERR_FULL, RP_ERR_CONTEXT,
 * RP_ERR_BROKEN: nothing is queued. */
RP_API RP_MUST_USE rp_status rp_submit(rp_pool *pool, rp_fn *fn, const void *arg, size_t size,
                                       const rp_task_options *options, rp_future *future);

/* Waits for the task, copies its result into `result`, sets *result_size (if not NULL) and
 * releases the future; returns the task's status.  The future stays live after an error of the
 * call (RP_ERR_SIZE: *result_size tells the size) and after RP_ERR_BROKEN only. `timeout`:
 * seconds, 0 = do not wait, RP_FOREVER. Errors: RP_ERR_INVALID, RP_ERR_STALE, RP_ERR_TIMEOUT,
 * RP_ERR_SIZE, RP_ERR_CONTEXT, RP_ERR_NOMEM (for what workers have sent: it waits), RP_ERR_BROKEN;
 * the task's own: RP_ERR_TASK, RP_ERR_CANCELLED, RP_ERR_DEADLINE, RP_ERR_CRASHED, RP_ERR_LOST,
 * RP_ERR_INPUT. */
RP_API RP_MUST_USE rp_status rp_get(rp_pool *pool, rp_future future, double timeout, void *result,
                                    size_t capacity, size_t *result_size);

/* As rp_get, but hands over the result's buffer: the caller owns *data and frees it with rp_free
 * (NULL for an empty result). `size` may be NULL. Errors: RP_ERR_INVALID, RP_ERR_STALE,
 * RP_ERR_TIMEOUT, RP_ERR_CONTEXT, RP_ERR_NOMEM (as rp_get, and for the buffer), RP_ERR_BROKEN; the
 * task's own: RP_ERR_TASK, RP_ERR_CANCELLED, RP_ERR_DEADLINE, RP_ERR_CRASHED, RP_ERR_LOST,
 * RP_ERR_INPUT. */
RP_API RP_MUST_USE rp_status rp_take(rp_pool *pool, rp_future future, double timeout, void **data,
                                     size_t *size);

/* Frees what rp_take gave; NULL: no effect.  Call anywhere, after the pool's end too.  While the
 * pool is open, large buffers are kept for its next large results, up to 256 MiB of them. */
RP_API void rp_free(void *data);

/* Waits until the task is settled or `timeout` seconds pass.  Returns the outcome of waiting; the
 * task's own status is read with rp_outcome_of; the future is live as before.  Errors:
 * RP_ERR_INVALID, RP_ERR_STALE, RP_ERR_TIMEOUT, RP_ERR_CONTEXT, RP_ERR_NOMEM (as rp_get),
 * RP_ERR_BROKEN. */
RP_API RP_MUST_USE rp_status rp_wait(rp_pool *pool, rp_future future, double timeout);

/* Fills *outcome for a settled task; never waits.  data and message are borrowed until the future
 * is released. Errors: RP_ERR_INVALID (struct_size too), RP_ERR_STALE, RP_ERR_TIMEOUT (not settled
 * yet), RP_ERR_CONTEXT. */
RP_API RP_MUST_USE rp_status rp_outcome_of(rp_pool *pool, rp_future future, rp_outcome *outcome);

/* Forgets the future and frees its result; a task still runs, and its outcome is dropped.
 * Errors: RP_ERR_INVALID, RP_ERR_STALE, RP_ERR_CONTEXT. */
RP_API rp_status rp_release(rp_pool *pool, rp_future future);

/* Asks that the task be cancelled; RP_OK means that it was asked, also for a settled task (no
 * effect).  It is not retried.
 *  - Queued: it is settled RP_ERR_CANCELLED now.
 *  - In a worker's inbox: when it is taken out there, which does not wait for what runs (but with
 * an argument over a batch it does; and without a caretaker until the worker looks).
 *  - Running: rp_cancelled() says so, and what the task then returns counts; under RP_FORK it is
 * killed if it has not returned config.cancel_grace later.
 *  - A map's future: all its unsettled items.
 * Errors: RP_ERR_INVALID, RP_ERR_STALE, RP_ERR_CONTEXT, RP_ERR_NOMEM (not asked). */
RP_API rp_status rp_cancel(rp_pool *pool, rp_future future);

/* rp_cancel of every unsettled task.  Errors: RP_ERR_INVALID, RP_ERR_CONTEXT, RP_ERR_NOMEM (some
 * may be cancelled). */
RP_API rp_status rp_cancel_all(rp_pool *pool);

/* Where the task is now; RP_STALE for a future that is not live, for a NULL pool and where the call
 * is not allowed. */
RP_API rp_state rp_state_of(rp_pool *pool, rp_future future);

/* ---- many tasks ---------------------------------------------------------------------------- */

/* Runs fn on each of `count` items of `in_size` bytes at `in` and stores each result at out + i *
 * out_size, in order; waits for all.  All items run.  RP_OK, or the status of the lowest failing
 * index (the message names it); out[i] of a failed item is untouched; a result of another size than
 * out_size is RP_ERR_SIZE for that item.  `in` may be NULL when in_size is 0, `out` when out_size
 * is 0. Errors: RP_ERR_INVALID, RP_ERR_NOMEM, RP_ERR_UNREGISTERED, RP_ERR_CONTEXT: nothing was
 * started; RP_ERR_BROKEN: that is the status of every item whose end is not known, too, and what is
 * at `out` for it is undefined; an item's own: RP_ERR_TASK, RP_ERR_CANCELLED, RP_ERR_DEADLINE,
 * RP_ERR_CRASHED, RP_ERR_LOST, RP_ERR_SIZE. */
RP_API RP_MUST_USE rp_status rp_map(rp_pool *pool, rp_fn *fn, const void *in, size_t in_size,
                                    size_t count, void *out, size_t out_size,
                                    const rp_map_options *options);

/* As rp_map, but returns at once: `in`, `out` and options->statuses belong to the pool until *all
 * is settled.  rp_get of *all (with no buffer) gives what rp_map returns. Errors: RP_ERR_INVALID,
 * RP_ERR_NOMEM, RP_ERR_UNREGISTERED, RP_ERR_CONTEXT, RP_ERR_BROKEN: nothing was started. */
RP_API RP_MUST_USE rp_status rp_map_async(rp_pool *pool, rp_fn *fn, const void *in, size_t in_size,
                                          size_t count, void *out, size_t out_size,
                                          const rp_map_options *options, rp_future *all);

/* Runs fn(arg) once on each worker and waits for all.  statuses[i] (NULL, or rp_workers() of them)
 * is worker i + 1's.  RP_OK, or the status of the lowest worker that failed; a lost one's is
 * RP_ERR_LOST. Errors: RP_ERR_INVALID, RP_ERR_NOMEM, RP_ERR_UNREGISTERED, RP_ERR_CONTEXT,
 * RP_ERR_BROKEN; a worker's own: RP_ERR_TASK, RP_ERR_CANCELLED, RP_ERR_CRASHED, RP_ERR_LOST. */
RP_API RP_MUST_USE rp_status rp_on_each_worker(rp_pool *pool, rp_fn *fn, const void *arg,
                                               size_t size, rp_status *statuses);

/* Waits for `count` futures: RP_ALL until all are settled, RP_FIRST_DONE until one is,
 * RP_FIRST_ERROR until one has failed or all are settled; or until `timeout` seconds pass.
 * Nothing is released.  count 0: RP_OK at once. Errors: RP_ERR_INVALID, RP_ERR_STALE (one of them;
 * the message has its index), RP_ERR_TIMEOUT, RP_ERR_CONTEXT, RP_ERR_NOMEM (as rp_get),
 * RP_ERR_BROKEN. */
RP_API RP_MUST_USE rp_status rp_wait_all(rp_pool *pool, const rp_future *futures, size_t count,
                                         rp_when when, double timeout);

/* Waits until one of `count` futures is settled; *index is the lowest that is.  O(count) for each
 * completion. Errors: RP_ERR_INVALID (count 0, too), RP_ERR_STALE (as rp_wait_all), RP_ERR_TIMEOUT,
 * RP_ERR_CONTEXT, RP_ERR_NOMEM (as rp_get), RP_ERR_BROKEN. */
RP_API RP_MUST_USE rp_status rp_wait_any(rp_pool *pool, const rp_future *futures, size_t count,
                                         double timeout, size_t *index);

/* ---- streams: results as they finish, or in order ------------------------------------------ */

/* Opens a stream on the pool; freed by rp_stream_close, or with the pool.  A task in a stream is
 * delivered by it, failures too: they are not logged.  options->task: for items submitted without
 * options of their own; `key` and `after` only they can have. Errors: RP_ERR_INVALID, RP_ERR_NOMEM,
 * RP_ERR_CONTEXT, RP_ERR_BROKEN. */
RP_API RP_MUST_USE rp_status rp_stream_open(rp_pool *pool, const rp_stream_options *options,
                                            rp_stream **stream);

/* As rp_submit, into the stream; `future` may be NULL.
 * Errors: as rp_submit: RP_ERR_INVALID, RP_ERR_NOMEM, RP_ERR_UNREGISTERED, RP_ERR_STALE,
 * RP_ERR_FULL (also: in_flight items are under way, take one first), RP_ERR_CONTEXT (also: behind
 * rp_stream_end), RP_ERR_BROKEN. */
RP_API RP_MUST_USE rp_status rp_stream_submit(rp_stream *stream, rp_fn *fn, const void *arg,
                                              size_t size, const rp_task_options *options,
                                              rp_future *future);

/* Moves a future into the stream, which delivers and releases it: the application's handle is stale
 * from now on. Errors: RP_ERR_INVALID (it is in a stream), RP_ERR_STALE, RP_ERR_NOMEM,
 * RP_ERR_CONTEXT (also: behind rp_stream_end). */
RP_API RP_MUST_USE rp_status rp_stream_add(rp_stream *stream, rp_future future);

/* No more items will come in.  Errors: RP_ERR_INVALID, RP_ERR_CONTEXT. */
RP_API rp_status rp_stream_end(rp_stream *stream);

/* Waits for the next item: the next to finish, or the next in order.  *item and its outcome are
 * valid until the stream's next call. RP_END: rp_stream_end was called and the last item is
 * delivered.  A stream that was not ended waits, for another thread may submit; next and close are
 * one thread's at a time. Errors: RP_ERR_INVALID, RP_ERR_TIMEOUT, RP_ERR_CONTEXT, RP_ERR_NOMEM,
 * RP_ERR_BROKEN; the item is not lost. */
RP_API RP_MUST_USE rp_status rp_stream_next(rp_stream *stream, double timeout, rp_item *item);

/* Ends the stream, cancels what is left of it, frees it and sets *stream to NULL.  Errors:
 * RP_ERR_INVALID, RP_ERR_CONTEXT (in an on_done function too). */
RP_API rp_status rp_stream_close(rp_stream **stream);

/* A stream of fn applied to what `source` gives.  The source is called inside rp_stream_next, with
 * no lock held, as room frees: input of any length runs in bounded memory.  The stream ends itself
 * when the source does.  An item that cannot be submitted (over 4,294,967,295 bytes, or NULL) is
 * left out, and one rp_stream_next says RP_ERR_INVALID. Errors: RP_ERR_INVALID,
 * RP_ERR_UNREGISTERED, RP_ERR_NOMEM, RP_ERR_CONTEXT, RP_ERR_BROKEN. */
RP_API RP_MUST_USE rp_status rp_imap(rp_pool *pool, rp_fn *fn, rp_source *source, void *context,
                                     const rp_stream_options *options, rp_stream **stream);

/* ---- inside a task ------------------------------------------------------------------------- */
/* These take the call that the task was given, on the thread that runs it, and are undefined after
 * the task's end. */

/* Copies the task's result; the last call counts.  Errors: RP_ERR_INVALID, RP_ERR_NOMEM (the task
 * then fails with it as code). */
RP_API rp_status rp_return(rp_call *call, const void *result, size_t size);

/* Room of `size` bytes for the result, to be written in place before the task returns; replaces an
 * earlier result.  Aligned for any type.  NULL: no memory (the task then fails with RP_ERR_NOMEM as
 * code). */
RP_API void *rp_reserve(rp_call *call, size_t size);

/* Sets code and message of the task's failure (the message is cut at 1,000 bytes) and returns
 * RP_ERR_TASK, for `return rp_fail(...)`. */
RP_API rp_status rp_fail(rp_call *call, int code, const char *format, ...) RP_PRINTF(3, 4);

/* Adds a subtask to the stream that the running task is in.  It is held at the worker and submitted
 * with the parent's RP_OK: a parent that fails, is cancelled or retried makes none by that run.
 * Newest first within its priority, so that trees stay small; exempt from limits.  Its item has its
 * root's index, and depth 1 and up; its rp_seed comes from its parent's identity and its ordinal.
 * `arg` is copied; at most what fits into a batch beside its frame, 3,960 bytes by default.
 * options: priority, cost, attempts, retries and time_limit. Errors: RP_ERR_INVALID,
 * RP_ERR_UNREGISTERED, RP_ERR_NOMEM, RP_ERR_CONTEXT (a task outside a stream, or in an ordered one;
 * a key). */
RP_API RP_MUST_USE rp_status rp_spawn(rp_call *call, rp_fn *fn, const void *arg, size_t size,
                                      const rp_task_options *options);

/* The result of the task options->after[index], of *size bytes (`size` may be NULL), aligned for
 * any type, until this task's end.  NULL: it is empty, or there is no such input. */
RP_API const void *rp_input(const rp_call *call, size_t index, size_t *size);

/* Whether the task is to stop: it was cancelled, the pool is being terminated, or its time limit is
 * over.  Cheap; looks for news at most every 50 us.  Return RP_ERR_CANCELLED then, or finish. */
RP_API bool rp_cancelled(const rp_call *call);

/* A seed for the task's random numbers, from the pool's seed and the task's identity: the same on
 * any number of workers and for every attempt.  The identity is its number among what the
 * application has submitted, from 0 (a map is one submission, and the item's index counts too;
 * rp_on_each_worker is one, and the worker's number counts), or of a spawned task its parent's
 * identity and its ordinal there. What is submitted in an order that depends on timing (by on_done
 * functions, by several threads or rp_imaps at once) is numbered so. */
RP_API uint64_t rp_seed(const rp_call *call);

/* The data shared as `name` when the task was submitted (rp_share), whatever was shared since, on
 * every attempt; a spawned task sees what its parent sees.  Read-only (writing to it crashes),
 * page-aligned, the same memory for all tasks on this host; valid until the task returns. *size (if
 * not NULL) gets its bytes.  NULL, and size 0: nothing had that name then; NULL call or name. */
RP_API const void *rp_shared(const rp_call *call, const char *name, size_t *size);

/* The worker's own slot: kept between tasks, set by the initializer, given to the finalizer.  NULL
 * at first. */
RP_API void **rp_worker_data(rp_call *call);

/* Tells the running task's number (its identity, as in rp_seed), attempt (from 1), worker, host and
 * function's name.  The strings live as long as the call. A NULL argument or an unknown
 * struct_size: no effect. */
RP_API void rp_call_info_of(const rp_call *call, rp_call_info *info);

/* ---- the rest ------------------------------------------------------------------------------ */

/* Shares `size` bytes, gigabytes if need be, with every task submitted from now on, which find them
 * by rp_shared.  `name`: 1 to 255 bytes; what had it before is replaced, for new tasks only, and
 * freed when no task of it is left.  size 0 removes (`data` is not looked at). The data are copied
 * before it returns; that needs no worker, so they may all be busy.  Each host keeps one copy,
 * which gets there when the first task that may want it does, through one worker.  A task whose
 * host has no memory for it fails with RP_ERR_NOMEM as code. Call on: rank 0, any thread, in
 * on_done too.  The memory is the system's, not config.alloc's; nothing is left in /dev/shm.
 * Errors: RP_ERR_INVALID (the name; data NULL), RP_ERR_NOMEM, RP_ERR_CONTEXT, RP_ERR_BROKEN: what
 * was shared before stays. */
RP_API RP_MUST_USE rp_status rp_share(rp_pool *pool, const char *name, const void *data,
                                      size_t size);

/* The number of workers that the pool was opened with, lost ones too: they are numbered from 1 to
 * it, and an array of that size has room for each, whoever is lost meanwhile (rp_stats_of tells how
 * many live).  0 for NULL, and inside a task. */
RP_API size_t rp_workers(const rp_pool *pool);

/* Tells about one worker: 1 and up, or 0 for rank 0 itself.  host lives until the pool's end.
 * Errors: RP_ERR_INVALID (no such worker; struct_size), RP_ERR_CONTEXT. */
RP_API rp_status rp_worker_info_of(rp_pool *pool, int worker, rp_worker_info *info);

/* The pool's counters now.  Errors: RP_ERR_INVALID (struct_size too), RP_ERR_CONTEXT. */
RP_API rp_status rp_stats_of(rp_pool *pool, rp_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
