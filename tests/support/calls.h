/* Tables of calls: what every public function returns where, a test for each line.
 *
 *   #define IN_A_POOL(X) X(rp_get, RP_ERR_STALE, released, (pool, gone, 0, NULL, 0, NULL)) ...
 *   #define HERE in_a_pool                    (a function that makes the situation, the call in it,
 * and compares what it returns) IN_A_POOL(CALL) #undef HERE static CU_TestInfo tests[] = {
 * IN_A_POOL(TEST) CU_TEST_INFO_NULL };
 *
 * scripts/statuses compares all such lines with what the header's comments say. */
#ifndef CALLS_H
#define CALLS_H

#include "harness.h"

#include <rankpool.h>

typedef rp_status made_call(void);

#define CALL(function, status, what, arguments)                                                    \
    static rp_status function##_##what(void)                                                       \
    {                                                                                              \
        return heard(function arguments);                                                          \
    }                                                                                              \
    static void test_##function##_##what(void)                                                     \
    {                                                                                              \
        HERE(function##_##what, status, #function " " #what);                                      \
    }
#define TEST(function, status, what, arguments) { #function "_" #what, test_##function##_##what },

/* Notes what the call says of its failure, on the thread that made it; returns its status. */
rp_status heard(rp_status status);
/* Fails the test where the call gave another status, and says what it gave; and where a failing
 * call's message does not begin with the name of the function that was called. */
void compare(rp_status got, rp_status wanted, const char *what);

/* ---- what the calls have at hand ---- */

#define LARGE   9000 /* bytes: more than a batch holds */
#define TOO_BIG ((size_t)UINT32_MAX + 1)
#define ODD     ((size_t)99) /* of a struct of another version */

extern rp_pool *pool, *no_pool;
extern rp_stream *stream, *other_stream, *no_stream;
extern rp_future future, done, busy, queued, gone, foreign, in_stream, failed, none;
extern rp_call *call; /* of the task that makes the call */
extern uint8_t room[LARGE];
extern void *data;
extern size_t size, place;
extern rp_outcome outcome, odd_outcome, no_outcome; /* odd: of an unknown struct_size; no: of 0 */
extern rp_item item, odd_item, no_item;
extern rp_stats stats, odd_stats, no_stats;
extern rp_worker_info info, odd_info, no_info;

/* All of them as at first, and the gate shut. */
void reset_calls(void);
/* Into the pool; a failed test if it cannot be. */
rp_future submit(rp_fn *fn, size_t bytes, const rp_task_options *options);

/* ---- tasks ---- */

rp_fn echo;     /* gives its argument back */
rp_fn waits;    /* until the gate is open */
rp_fn overruns; /* until rp_cancelled() */
rp_fn fails, gives_up, dies;
rp_fn stranger; /* not registered */
void open_gate(void);
void await_running(void); /* until one of those two runs */

/* ---- options: each lives until the next few of its kind ---- */

const rp_task_options *task_of(rp_task_options options);
#define TASK(...) task_of((rp_task_options){ __VA_ARGS__ })
extern const rp_task_options no_task_size; /* struct_size 0 */

const rp_map_options *map_of(size_t struct_size, const rp_task_options *task);
#define MAP(task) map_of(sizeof(rp_map_options), task)
const rp_map_options *map_with_statuses(void);

const rp_stream_options *stream_of(size_t struct_size, bool ordered, const rp_task_options *task);
#define STREAM(task) stream_of(sizeof(rp_stream_options), false, task)

const char *name_of(size_t length);

rp_source gives_nothing, gives_a_large_one, gives_a_bad_one;
rp_log silence;

#endif
