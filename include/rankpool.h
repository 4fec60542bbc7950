/* rankpool: a process pool over MPI. Rank 0 is the master: it holds the task queue and the futures.
 * Every other rank is a worker: it receives tasks, runs registered C functions and returns their
 * results. The manual has the details: rankpool(7), and the page that each section below names.
 *
 * Unless a comment says otherwise:
 *  - Call on rank 0, from any thread, not inside a task (RP_ERR_CONTEXT); not collective. A call
 *    drives the pool. "Anywhere" means on any rank and thread, inside a task too.
 *  - A call that can fail returns rp_status. Outputs come last and are written only on success; one
 *    that is a size may be NULL.
 *  - Seconds are double, on the monotonic clock; sizes are bytes; inputs are copied.
 *  - Structs begin with struct_size, set by their _INIT macro; 0 in a field means its default. A
 *    field that this version does not honour gives RP_ERR_INVALID.
 *  - Workers are numbered from 1, their rank in the pool's communicator; rank 0 is 0. A pool of one
 *    process is its own worker 1: it runs tasks in calls that wait, rp_progress and rp_state_of.
 *  - A NULL pool gives RP_ERR_INVALID. exit() ends open pools, as rp_terminate does; a child of
 *    fork() cannot use its parent's (RP_ERR_CONTEXT).
 *  - Undefined: a copied pool pointer after the pool's end; ending a pool while another thread is
 *    in a call on it, or begins one; data races on the caller's buffers. */
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
/* ---- statuses, grouped by what is broken: see rankpool(7) ----------------------------------- */
#define RP_STATUS_LIST(X)                                                                         \
    X(RP_OK, 0, "success")                                                                        \
    X(RP_END, 1, "nothing more will come")                     /* a stream's end; no failure */   \
    /* the call: nothing changed, the pool is as it was */                                        \
    X(RP_ERR_INVALID, 10, "invalid argument")                                                     \
    X(RP_ERR_NOMEM, 11, "out of memory")                                                          \
    X(RP_ERR_TIMEOUT, 12, "the wait ended first")                                                 \
    X(RP_ERR_STALE, 13, "no such future: released, or of another pool")                           \
    X(RP_ERR_SIZE, 14, "the buffer is smaller than the result")                                   \
    X(RP_ERR_UNREGISTERED, 15, "the task function is not registered")                             \
    X(RP_ERR_FULL, 16, "a limit is reached")                                                      \
    X(RP_ERR_CONTEXT, 17, "not allowed here")                  /* in a task, on a worker ... */   \
    /* the task: this future failed, the pool goes on */                                          \
    X(RP_ERR_TASK, 30, "the task failed")                      /* code and message tell why */    \
    X(RP_ERR_CANCELLED, 31, "the task was cancelled")                                             \
    X(RP_ERR_DEADLINE, 32, "the task overran its time limit")                                     \
    X(RP_ERR_CRASHED, 33, "the task's process died")                                              \
    X(RP_ERR_LOST, 34, "the task's worker was lost")                                              \
    X(RP_ERR_INPUT, 35, "a task that this one depends on failed")                                 \
    /* the pool */                                                                                \
    X(RP_ERR_BROKEN, 50, "the pool cannot go on")              /* no worker left ... */           \
    X(RP_ERR_MPI, 51, "an MPI call failed")                                                       \
    X(RP_ERR_IO, 52, "a file cannot be read or written")

typedef enum rp_status {
#define RP_STATUS_ENUM(name, value, text) name = (value),
    RP_STATUS_LIST(RP_STATUS_ENUM)
#undef RP_STATUS_ENUM
} rp_status;

/* The short text of a status; "unknown status" for any other value. Call anywhere. */
RP_API const char *rp_strerror(rp_status status);
/* The text of this thread's last failing call, until its next one; "" at first. Call anywhere. */
RP_API const char *rp_error_message(void);
/* The library's version, "0.1.0". Call anywhere. */
RP_API const char *rp_version(void);

/* ---- types ---------------------------------------------------------------------------------- */
typedef struct rp_pool rp_pool;
typedef struct rp_stream rp_stream;
typedef struct rp_call rp_call;                      /* a running task, as its function sees it */
typedef struct rp_future { uint64_t id; } rp_future; /* copied freely; {0} is never valid */
typedef struct rp_bytes { const void *data; size_t size; } rp_bytes;
typedef enum rp_toggle { RP_DEFAULT, RP_ON, RP_OFF } rp_toggle;
typedef enum rp_isolation { RP_ISOLATION_DEFAULT, RP_INLINE, RP_FORK } rp_isolation;
/* WAITING: for its `after`, or for the same keyed task; SENT: at a worker. */
typedef enum rp_state { RP_STALE, RP_WAITING, RP_QUEUED, RP_SENT, RP_DONE } rp_state;
typedef enum rp_when { RP_ALL, RP_FIRST_DONE, RP_FIRST_ERROR } rp_when;
typedef enum rp_level { RP_LOG_ERROR, RP_LOG_WARNING, RP_LOG_INFO, RP_LOG_DEBUG } rp_level;

#define RP_FOREVER (-1.0) /* a timeout without a limit; 0 does not wait */

/* A task function; runs on a worker. `arg` is aligned for any type. RP_OK: done, with the result
 * given to rp_return. RP_ERR_CANCELLED: it stopped because it was asked to. Any other value:
 * failed, as RP_ERR_TASK with that value as code (rp_fail sets code and message). */
typedef rp_status rp_fn(rp_call *call, const void *arg, size_t size);

/* Sets *next, which is copied before the next call, and returns true; false: no more items. */
typedef bool rp_source(void *context, rp_bytes *next);

typedef struct rp_outcome { /* see rp_get(3) */
    size_t struct_size;
    rp_status status;
    int code;            /* of rp_fail, of the function's return, or a crash's signal or status */
    const char *message; /* "" on success; borrowed as data is */
    const void *data;    /* borrowed until the future is released, or the stream's next call */
    size_t size;
    int worker;
    const char *host;    /* borrowed until the pool's end */
    int attempts;        /* starts */
    double queued, ran;  /* seconds from submission to start, and of running */
} rp_outcome;
#define RP_OUTCOME_INIT { .struct_size = sizeof(rp_outcome) }

/* Called once for a settled task; may submit, but not wait: see rp_submit(3). */
typedef void rp_done(rp_pool *pool, rp_future future, const rp_outcome *outcome, void *user);
typedef void rp_log(rp_level level, const char *line, void *user);
typedef void *rp_alloc(void *old, size_t size, void *user); /* as realloc; size 0 frees */

typedef struct rp_task_options { /* see rp_submit(3) */
    size_t struct_size;
    int32_t priority;       /* higher first; then longest cost; then order of submission */
    int attempts;           /* starts at most, if its worker or RP_FORK process dies; 0 = 3 */
    int retries;            /* more tries after a returned error or an overrun */
    double time_limit;      /* seconds from its start, of a map for each item; 0 = no limit */
    int worker;             /* preferred worker; 0 = any */
    bool worker_hard;       /* only there */
    double cost;            /* expected seconds; 0 = unknown */
    rp_bytes key;           /* names the task in config.journal; empty = not journaled */
    const rp_future *after; /* must be RP_OK before it starts; rp_input has their results */
    size_t after_count;
    rp_done *on_done;       /* called by an application thread that drives the pool */
    void *user;
    bool no_wait;           /* RP_ERR_FULL instead of waiting for room */
    bool borrow;            /* no copy: keep arg until it settles, after a loss to the pool's end */
} rp_task_options;
#define RP_TASK_OPTIONS_INIT { .struct_size = sizeof(rp_task_options) }

typedef struct rp_map_options { /* see rp_map(3) */
    size_t struct_size;
    size_t chunk;           /* items that a worker takes at once; 0 = from measured time */
    rp_status *statuses;    /* count of them, or NULL; RP_ERR_BROKEN until an item's is known */
    const rp_task_options *task;
} rp_map_options;
#define RP_MAP_OPTIONS_INIT { .struct_size = sizeof(rp_map_options) }

typedef struct rp_stream_options { /* see rp_stream(3) */
    size_t struct_size;
    bool ordered;           /* results in order of submission */
    size_t in_flight;       /* unfinished and undelivered items at most; 0 = chosen */
    bool skip_empty;        /* a successful task without a result makes no item */
    const rp_task_options *task;
} rp_stream_options;
#define RP_STREAM_OPTIONS_INIT { .struct_size = sizeof(rp_stream_options) }

typedef struct rp_item {
    size_t struct_size;
    uint64_t index;            /* of submission into the stream; a subtask has its root's */
    uint32_t depth;            /* 0, or generations below the root */
    const rp_outcome *outcome; /* borrowed until the stream's next call */
} rp_item;
#define RP_ITEM_INIT { .struct_size = sizeof(rp_item) }

typedef struct rp_config { /* rank 0's applies, but for finalizer, log, alloc: see rp_config(3) */
    size_t struct_size;
    /* workers */
    int processes;            /* of several ranks: workers, 0 = all; of one: k = spawn k */
    rp_fn *initializer;       /* registered; runs in each worker before its first task */
    rp_bytes init_arg;
    void (*finalizer)(void *worker_data); /* runs in each worker at the pool's end */
    /* isolation */
    rp_isolation isolation;   /* RP_INLINE (default), or RP_FORK: tasks run in a worker's child */
    uint64_t tasks_per_child; /* RP_FORK: tasks, or chunks of maps, in one child; 0 = no limit */
    /* limits */
    uint64_t queue_limit_tasks, queue_limit_bytes; /* checked on submission; 0 = no limit */
    /* workers */
    rp_toggle master_works;   /* rank 0 runs short tasks too, in calls that wait; default off */
    rp_toggle background;     /* progress threads; default on with MPI_THREAD_MULTIPLE */
    uint64_t seed;            /* where rp_seed begins */
    /* failure (and cancel_grace, of isolation) */
    double open_timeout;      /* seconds for every rank to come, and to answer; default 60 */
    double lost_after;        /* seconds of silence until a worker is lost; default: never */
    double host_timeout;      /* seconds without an answer until a host is lost; default 3 */
    double cancel_grace;      /* RP_FORK: seconds from a cancel to SIGKILL; default 1 */
    int respawn;              /* lost workers that are replaced, at most; default 0 */
    /* records */
    const char *journal;      /* SQLite file: outcomes of keyed tasks outlive the job */
    bool journal_sync;        /* a keyed task settles when its outcome is committed */
    const char *trace;        /* file for ui.perfetto.dev or chrome://tracing */
    /* hooks, called on any thread */
    rp_log *log; void *log_user;       /* NULL: warnings and errors to stderr */
    rp_alloc *alloc; void *alloc_user; /* NULL: realloc and free, mmap for large buffers */
} rp_config;
#define RP_CONFIG_INIT { .struct_size = sizeof(rp_config) }

typedef struct rp_stats { /* see rp_share(3) */
    size_t struct_size;
    uint64_t submitted, done, failed, retried, cancelled, journaled; /* tasks, items of maps */
    uint64_t waiting, queued, sent;
    int workers, lost, parked;         /* workers that live, are lost, sleep */
    int respawned;                     /* lost workers that were replaced, not counted as lost */
    uint64_t messages_out, messages_in, bytes_out, bytes_in;
    double open_seconds, busy_seconds; /* busy: summed over workers */
    rp_toggle recovery, caretaker;     /* which layers are live */
} rp_stats;
#define RP_STATS_INIT { .struct_size = sizeof(rp_stats) }

typedef struct rp_worker_info { /* host: borrowed until the pool's end */
    size_t struct_size; int worker; const char *host; int64_t pid; bool lost;
    uint64_t done; double busy_seconds;
} rp_worker_info;
#define RP_WORKER_INFO_INIT { .struct_size = sizeof(rp_worker_info) }

typedef struct rp_call_info { /* task: its number; attempt: from 1; host, name: until its end */
    size_t struct_size; uint64_t task; int attempt; int worker; const char *host; const char *name;
} rp_call_info;
#define RP_CALL_INFO_INIT { .struct_size = sizeof(rp_call_info) }
/* clang-format on */

/* ---- a pool's life: see rp_open(3) ---------------------------------------------------------- */
/* Opens a pool over MPI_COMM_WORLD, or in this process alone if no launcher started it. Rank 0 gets
 * *pool; workers serve until its end, then return RP_OK with NULL. Collective, with one status for
 * all; on any thread that may call MPI. Errors: RP_ERR_INVALID, RP_ERR_UNREGISTERED, RP_ERR_NOMEM,
 * RP_ERR_FULL, RP_ERR_CONTEXT, RP_ERR_BROKEN, RP_ERR_MPI, RP_ERR_IO. */
RP_API RP_MUST_USE rp_status rp_open(const rp_config *config, rp_pool **pool);

/* Waits until all tasks so far are settled and, with a journal, committed. Errors: RP_ERR_INVALID,
 * RP_ERR_CONTEXT, RP_ERR_TIMEOUT, RP_ERR_NOMEM, RP_ERR_BROKEN, RP_ERR_IO (of the journal). */
RP_API RP_MUST_USE rp_status rp_drain(rp_pool *pool, double timeout);

/* Drives the pool one step; never waits. Errors: RP_ERR_INVALID, RP_ERR_CONTEXT, RP_ERR_BROKEN. */
RP_API RP_MUST_USE rp_status rp_progress(rp_pool *pool);

/* Drains the pool, frees it with its futures and sets *pool to NULL. Errors: RP_ERR_INVALID,
 * RP_ERR_CONTEXT, RP_ERR_NOMEM (the pool lives on); RP_ERR_BROKEN, RP_ERR_IO (it is freed). */
RP_API rp_status rp_close(rp_pool **pool);

/* As rp_close, but drops what has not started, and waits for running tasks only. Errors:
 * RP_ERR_INVALID, RP_ERR_CONTEXT (the pool lives on); RP_ERR_BROKEN, RP_ERR_IO (it is freed). */
RP_API rp_status rp_terminate(rp_pool **pool);

/* Gives a task function the name by which ranks agree on it. Call on any rank, the same on all,
 * before rp_open. Errors: RP_ERR_INVALID, RP_ERR_NOMEM, RP_ERR_FULL (65,535 names). */
RP_API RP_MUST_USE rp_status rp_register(const char *name, rp_fn *fn);
/* Registers `fn` under its own name before main runs. At file scope: RP_TASK(fn); */
#define RP_TASK(fn)                                                                                \
    __attribute__((constructor)) static void rp_registers_##fn(void)                               \
    {                                                                                              \
        rp_register_at(#fn, fn, __FILE__, __LINE__);                                               \
    }                                                                                              \
    struct rp_swallow_semicolon
/* For RP_TASK: rp_register with the place in the source; rp_open reports an error. */
RP_API void rp_register_at(const char *name, rp_fn *fn, const char *file, int line);

/* ---- one task: see rp_submit(3), rp_get(3) -------------------------------------------------- */
/* rp_submit and rp_get in one. Errors: RP_ERR_INVALID, RP_ERR_NOMEM, RP_ERR_UNREGISTERED,
 * RP_ERR_CONTEXT, RP_ERR_BROKEN, RP_ERR_SIZE (the result is dropped); the task's: RP_ERR_TASK,
 * RP_ERR_CANCELLED, RP_ERR_CRASHED, RP_ERR_LOST. */
RP_API RP_MUST_USE rp_status rp_apply(rp_pool *pool, rp_fn *fn, const void *arg, size_t size,
                                      void *result, size_t capacity, size_t *result_size);

/* Queues fn(arg); `arg` is copied unless options->borrow. *future lives until rp_get, rp_take or
 * rp_release; NULL: detached, a failure is logged. Waits for room at a queue limit. Errors:
 * RP_ERR_INVALID, RP_ERR_NOMEM, RP_ERR_UNREGISTERED, RP_ERR_STALE (in options->after), RP_ERR_FULL,
 * RP_ERR_CONTEXT, RP_ERR_BROKEN: nothing is queued. */
RP_API RP_MUST_USE rp_status rp_submit(rp_pool *pool, rp_fn *fn, const void *arg, size_t size,
                                       const rp_task_options *options, rp_future *future);

/* Waits, copies the result, releases the future and returns the task's status. An error of the call
 * releases nothing (RP_ERR_SIZE sets *result_size). Errors: RP_ERR_INVALID, RP_ERR_STALE,
 * RP_ERR_TIMEOUT, RP_ERR_SIZE, RP_ERR_CONTEXT, RP_ERR_NOMEM, RP_ERR_BROKEN; the task's:
 * RP_ERR_TASK, RP_ERR_CANCELLED, RP_ERR_DEADLINE, RP_ERR_CRASHED, RP_ERR_LOST, RP_ERR_INPUT. */
RP_API RP_MUST_USE rp_status rp_get(rp_pool *pool, rp_future future, double timeout, void *result,
                                    size_t capacity, size_t *result_size);

/* As rp_get, but hands over the result's buffer: free *data with rp_free. Errors: RP_ERR_INVALID,
 * RP_ERR_STALE, RP_ERR_TIMEOUT, RP_ERR_CONTEXT, RP_ERR_NOMEM, RP_ERR_BROKEN; the task's:
 * RP_ERR_TASK, RP_ERR_CANCELLED, RP_ERR_DEADLINE, RP_ERR_CRASHED, RP_ERR_LOST, RP_ERR_INPUT. */
RP_API RP_MUST_USE rp_status rp_take(rp_pool *pool, rp_future future, double timeout, void **data,
                                     size_t *size);
/* Frees what rp_take gave; NULL: no effect. Call anywhere, after the pool's end too. */
RP_API void rp_free(void *data);

/* Waits until the task is settled; rp_outcome_of tells how. Releases nothing. Errors:
 * RP_ERR_INVALID, RP_ERR_STALE, RP_ERR_TIMEOUT, RP_ERR_CONTEXT, RP_ERR_NOMEM, RP_ERR_BROKEN. */
RP_API RP_MUST_USE rp_status rp_wait(rp_pool *pool, rp_future future, double timeout);

/* Fills *outcome, whose data are borrowed until the future is released; never waits. Errors:
 * RP_ERR_INVALID, RP_ERR_STALE, RP_ERR_TIMEOUT (not settled yet), RP_ERR_CONTEXT. */
RP_API RP_MUST_USE rp_status rp_outcome_of(rp_pool *pool, rp_future future, rp_outcome *outcome);
/* Forgets the future; its task still runs. Errors: RP_ERR_INVALID, RP_ERR_STALE, RP_ERR_CONTEXT. */
RP_API rp_status rp_release(rp_pool *pool, rp_future future);

/* Asks that the task be cancelled (of a map: each unsettled item). A queued task is settled now; a
 * running one sees rp_cancelled(), and under RP_FORK is killed config.cancel_grace later. Errors:
 * RP_ERR_INVALID, RP_ERR_STALE, RP_ERR_CONTEXT, RP_ERR_NOMEM (not asked). */
RP_API rp_status rp_cancel(rp_pool *pool, rp_future future);
/* rp_cancel of all tasks. Errors: RP_ERR_INVALID, RP_ERR_CONTEXT, RP_ERR_NOMEM (some are asked). */
RP_API rp_status rp_cancel_all(rp_pool *pool);
/* Where the task is now; RP_STALE if the future is not live, or the call is not allowed. */
RP_API rp_state rp_state_of(rp_pool *pool, rp_future future);

/* ---- many tasks: see rp_map(3); several futures: see rp_get(3) ------------------------------ */
/* Runs fn on each of `count` items at `in`, stores the results at out + i * out_size, waits for
 * all. RP_OK, or the status of the lowest failing item. Errors: RP_ERR_INVALID, RP_ERR_NOMEM,
 * RP_ERR_UNREGISTERED, RP_ERR_CONTEXT, RP_ERR_BROKEN; an item's: RP_ERR_TASK, RP_ERR_CANCELLED,
 * RP_ERR_DEADLINE, RP_ERR_CRASHED, RP_ERR_LOST, RP_ERR_SIZE (its result is not of out_size). */
RP_API RP_MUST_USE rp_status rp_map(rp_pool *pool, rp_fn *fn, const void *in, size_t in_size,
                                    size_t count, void *out, size_t out_size,
                                    const rp_map_options *options);

/* As rp_map, but returns at once: the arrays belong to the pool until *all is settled, whose rp_get
 * gives what rp_map returns. Errors: RP_ERR_INVALID, RP_ERR_NOMEM, RP_ERR_UNREGISTERED,
 * RP_ERR_CONTEXT, RP_ERR_BROKEN: nothing was started. */
RP_API RP_MUST_USE rp_status rp_map_async(rp_pool *pool, rp_fn *fn, const void *in, size_t in_size,
                                          size_t count, void *out, size_t out_size,
                                          const rp_map_options *options, rp_future *all);

/* Runs fn(arg) once on each worker. RP_OK, or the status of the lowest that failed; statuses[i]
 * (NULL, or rp_workers() of them) is worker i + 1's. Errors: RP_ERR_INVALID, RP_ERR_NOMEM,
 * RP_ERR_UNREGISTERED, RP_ERR_CONTEXT, RP_ERR_BROKEN; a worker's: RP_ERR_TASK, RP_ERR_CANCELLED,
 * RP_ERR_CRASHED, RP_ERR_LOST. */
RP_API RP_MUST_USE rp_status rp_on_each_worker(rp_pool *pool, rp_fn *fn, const void *arg,
                                               size_t size, rp_status *statuses);

/* Waits until all are settled, until one is (RP_FIRST_DONE), or until one has failed or all are
 * settled (RP_FIRST_ERROR). Releases nothing. Errors: RP_ERR_INVALID, RP_ERR_STALE, RP_ERR_TIMEOUT,
 * RP_ERR_CONTEXT, RP_ERR_NOMEM, RP_ERR_BROKEN. */
RP_API RP_MUST_USE rp_status rp_wait_all(rp_pool *pool, const rp_future *futures, size_t count,
                                         rp_when when, double timeout);

/* Waits until one is settled; *index is the lowest that is. Errors: RP_ERR_INVALID (count 0, too),
 * RP_ERR_STALE, RP_ERR_TIMEOUT, RP_ERR_CONTEXT, RP_ERR_NOMEM, RP_ERR_BROKEN. */
RP_API RP_MUST_USE rp_status rp_wait_any(rp_pool *pool, const rp_future *futures, size_t count,
                                         double timeout, size_t *index);

/* ---- streams, results as they finish or in order: see rp_stream(3) -------------------------- */
/* Opens a stream, which delivers its tasks' outcomes, failures too; freed by rp_stream_close, or
 * with the pool. Errors: RP_ERR_INVALID, RP_ERR_NOMEM, RP_ERR_CONTEXT, RP_ERR_BROKEN. */
RP_API RP_MUST_USE rp_status rp_stream_open(rp_pool *pool, const rp_stream_options *options,
                                            rp_stream **stream);

/* As rp_submit, into the stream; `future` may be NULL. Errors: RP_ERR_INVALID, RP_ERR_NOMEM,
 * RP_ERR_UNREGISTERED, RP_ERR_STALE, RP_ERR_FULL (also: in_flight items are under way),
 * RP_ERR_CONTEXT (also: after rp_stream_end), RP_ERR_BROKEN. */
RP_API RP_MUST_USE rp_status rp_stream_submit(rp_stream *stream, rp_fn *fn, const void *arg,
                                              size_t size, const rp_task_options *options,
                                              rp_future *future);

/* Moves a future into the stream, which delivers and releases it. Errors: RP_ERR_INVALID,
 * RP_ERR_STALE, RP_ERR_NOMEM, RP_ERR_CONTEXT (also: after rp_stream_end). */
RP_API RP_MUST_USE rp_status rp_stream_add(rp_stream *stream, rp_future future);
/* Says that no more items will come in. Errors: RP_ERR_INVALID, RP_ERR_CONTEXT. */
RP_API rp_status rp_stream_end(rp_stream *stream);

/* Waits for the next item, borrowed until the stream's next call. RP_END: the stream was ended, and
 * the last item delivered. One thread at a time. Errors: RP_ERR_INVALID, RP_ERR_TIMEOUT,
 * RP_ERR_CONTEXT, RP_ERR_NOMEM, RP_ERR_BROKEN: the item is not lost. */
RP_API RP_MUST_USE rp_status rp_stream_next(rp_stream *stream, double timeout, rp_item *item);
/* Cancels and frees what is left; *stream becomes NULL. Errors: RP_ERR_INVALID, RP_ERR_CONTEXT. */
RP_API rp_status rp_stream_close(rp_stream **stream);

/* A stream of fn over what `source` gives; rp_stream_next calls the source as room frees. Errors:
 * RP_ERR_INVALID, RP_ERR_UNREGISTERED, RP_ERR_NOMEM, RP_ERR_CONTEXT, RP_ERR_BROKEN. */
RP_API RP_MUST_USE rp_status rp_imap(rp_pool *pool, rp_fn *fn, rp_source *source, void *context,
                                     const rp_stream_options *options, rp_stream **stream);

/* ---- inside a task, on the thread that runs it, until its end: see rp_task(3) --------------- */
/* Copies a result; the last one counts. Errors: RP_ERR_INVALID, RP_ERR_NOMEM (the task fails). */
RP_API rp_status rp_return(rp_call *call, const void *result, size_t size);
/* Aligned room for the result, to be written in place. NULL: no memory, and the task fails. */
RP_API void *rp_reserve(rp_call *call, size_t size);
/* Sets code and message (cut at 1,000 bytes) of the task's failure; returns RP_ERR_TASK. */
RP_API rp_status rp_fail(rp_call *call, int code, const char *format, ...) RP_PRINTF(3, 4);

/* Adds a subtask to the stream that the task is in, submitted with the parent's RP_OK. `arg` is
 * copied, at most 3,960 bytes by default. Errors: RP_ERR_INVALID, RP_ERR_UNREGISTERED,
 * RP_ERR_NOMEM, RP_ERR_CONTEXT (no stream, or an ordered one; a key). */
RP_API RP_MUST_USE rp_status rp_spawn(rp_call *call, rp_fn *fn, const void *arg, size_t size,
                                      const rp_task_options *options);

/* The result of options->after[index], borrowed until this task's end; NULL: empty, or no such. */
RP_API const void *rp_input(const rp_call *call, size_t index, size_t *size);
/* Whether the task should stop: it was cancelled, its pool terminated, its time is over. Cheap. */
RP_API bool rp_cancelled(const rp_call *call);
/* A seed that is the same on any number of workers, and for every attempt. */
RP_API uint64_t rp_seed(const rp_call *call);

/* The data that had `name` (rp_share) when the task was submitted: read-only, one copy a host,
 * borrowed until the task's end. NULL, and size 0: no such data. */
RP_API const void *rp_shared(const rp_call *call, const char *name, size_t *size);
/* The worker's own slot, kept between tasks; the finalizer gets it. NULL at first. */
RP_API void **rp_worker_data(rp_call *call);
/* The task's number, attempt, worker, host and function. A NULL argument: no effect. */
RP_API void rp_call_info_of(const rp_call *call, rp_call_info *info);

/* ---- the rest: see rp_share(3) -------------------------------------------------------------- */
/* Shares `size` bytes as `name` with every task submitted from now on; replaces what had the name;
 * size 0 removes it. `data` is copied. Allowed in on_done. Errors: RP_ERR_INVALID, RP_ERR_NOMEM,
 * RP_ERR_CONTEXT, RP_ERR_BROKEN: what was shared before stays. */
RP_API RP_MUST_USE rp_status rp_share(rp_pool *pool, const char *name, const void *data,
                                      size_t size);

/* The number of workers that the pool was opened with, lost ones too; 0 for NULL or in a task. */
RP_API size_t rp_workers(const rp_pool *pool);
/* Tells about one worker, or with 0 about rank 0. Errors: RP_ERR_INVALID, RP_ERR_CONTEXT. */
RP_API rp_status rp_worker_info_of(rp_pool *pool, int worker, rp_worker_info *info);
/* The pool's counters now. Errors: RP_ERR_INVALID, RP_ERR_CONTEXT. */
RP_API rp_status rp_stats_of(rp_pool *pool, rp_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
