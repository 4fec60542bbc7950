/* Wrong calls: each argument in turn, sizes at their limits, structs of another version, futures
 * that the pool does not have; and calls where they are not allowed. */
/* limit: 120 */
#include "calls.h"
#include "threads.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ============================================================================================ */
/* Without a pool: on a worker, where rp_open gave NULL, and after rp_close. */

static void without_a_pool(made_call *made, rp_status status, const char *what)
{
    reset_calls();
    compare(made(), status, what);
}

/* clang-format off */
#define WITHOUT_A_POOL(X) \
    X(rp_drain, RP_ERR_INVALID, no_pool, (NULL, 0)) \
    X(rp_progress, RP_ERR_INVALID, no_pool, (NULL)) \
    X(rp_close, RP_ERR_INVALID, no_pool, (&no_pool)) \
    X(rp_close, RP_ERR_INVALID, null, (NULL)) \
    X(rp_terminate, RP_ERR_INVALID, no_pool, (&no_pool)) \
    X(rp_terminate, RP_ERR_INVALID, null, (NULL)) \
    X(rp_register, RP_ERR_INVALID, no_name, (NULL, echo)) \
    X(rp_register, RP_ERR_INVALID, empty_name, ("", echo)) \
    X(rp_register, RP_ERR_INVALID, name_too_long, (name_of(256), echo)) \
    X(rp_register, RP_ERR_INVALID, no_function, ("name", NULL)) \
    X(rp_register, RP_ERR_INVALID, another_functions_name, ("echo", stranger)) \
    X(rp_apply, RP_ERR_INVALID, no_pool, (NULL, echo, room, 1, room, 1, NULL)) \
    X(rp_submit, RP_ERR_INVALID, no_pool, (NULL, echo, room, 1, NULL, &future)) \
    X(rp_get, RP_ERR_INVALID, no_pool, (NULL, none, 0, room, LARGE, NULL)) \
    X(rp_take, RP_ERR_INVALID, no_pool, (NULL, none, 0, &data, NULL)) \
    X(rp_wait, RP_ERR_INVALID, no_pool, (NULL, none, 0)) \
    X(rp_outcome_of, RP_ERR_INVALID, no_pool, (NULL, none, &outcome)) \
    X(rp_release, RP_ERR_INVALID, no_pool, (NULL, none)) \
    X(rp_cancel, RP_ERR_INVALID, no_pool, (NULL, none)) \
    X(rp_cancel_all, RP_ERR_INVALID, no_pool, (NULL)) \
    X(rp_map, RP_ERR_INVALID, no_pool, (NULL, echo, room, 8, 2, room, 8, NULL)) \
    X(rp_map_async, RP_ERR_INVALID, no_pool, (NULL, echo, room, 8, 2, room, 8, NULL, &future)) \
    X(rp_on_each_worker, RP_ERR_INVALID, no_pool, (NULL, echo, NULL, 0, NULL)) \
    X(rp_wait_all, RP_ERR_INVALID, no_pool, (NULL, &none, 1, RP_ALL, 0)) \
    X(rp_wait_any, RP_ERR_INVALID, no_pool, (NULL, &none, 1, 0, &place)) \
    X(rp_stream_open, RP_ERR_INVALID, no_pool, (NULL, NULL, &stream)) \
    X(rp_imap, RP_ERR_INVALID, no_pool, (NULL, echo, gives_nothing, NULL, NULL, &stream)) \
    X(rp_stream_submit, RP_ERR_INVALID, no_stream, (NULL, echo, NULL, 0, NULL, NULL)) \
    X(rp_stream_add, RP_ERR_INVALID, no_stream, (NULL, none)) \
    X(rp_stream_end, RP_ERR_INVALID, no_stream, (NULL)) \
    X(rp_stream_next, RP_ERR_INVALID, no_stream, (NULL, 0, &item)) \
    X(rp_stream_close, RP_ERR_INVALID, no_stream, (&no_stream)) \
    X(rp_stream_close, RP_ERR_INVALID, null, (NULL)) \
    X(rp_share, RP_ERR_INVALID, no_pool, (NULL, "name", room, 8)) \
    X(rp_worker_info_of, RP_ERR_INVALID, no_pool, (NULL, 1, &info)) \
    X(rp_stats_of, RP_ERR_INVALID, no_pool, (NULL, &stats)) \
    X(rp_return, RP_ERR_INVALID, no_call, (NULL, room, 1)) \
    X(rp_spawn, RP_ERR_INVALID, no_call, (NULL, echo, NULL, 0, NULL)) \
    X(rp_fail, RP_ERR_TASK, no_call, (NULL, 1, "no one hears it"))
/* clang-format on */

#define HERE without_a_pool
WITHOUT_A_POOL(CALL)
#undef HERE

/* ============================================================================================ */
/* Two busy workers, a task queued after the running ones, and settled tasks, one of which
 * failed. */

static void with_workers(made_call *made, rp_status status, const char *what)
{
    rp_config config = RP_CONFIG_INIT;
    rp_pool *other;
    reset_calls();
    config.log = silence;
    CU_ASSERT_PTR_NOT_NULL_FATAL(other = threads_open(0, NULL));
    CU_ASSERT_EQUAL(rp_submit(other, echo, NULL, 0, NULL, &foreign), RP_OK);
    CU_ASSERT_PTR_NOT_NULL_FATAL(pool = threads_open(2, &config));
    done = submit(echo, 20, NULL);
    failed = submit(fails, 0, NULL);
    gone = submit(echo, 8, NULL);
    CU_ASSERT_EQUAL(rp_drain(pool, RP_FOREVER), RP_OK);
    CU_ASSERT_EQUAL(rp_release(pool, gone), RP_OK);
    busy = submit(waits, 0, TASK(.worker = 1, .worker_hard = true));
    (void)submit(waits, 0, TASK(.worker = 2, .worker_hard = true));
    queued = submit(echo, 8, TASK(.worker = 1, .worker_hard = true));
    CU_ASSERT_EQUAL(rp_stream_open(pool, NULL, &stream), RP_OK);
    CU_ASSERT_EQUAL(rp_stream_open(pool, NULL, &other_stream), RP_OK);
    CU_ASSERT_EQUAL(rp_stream_submit(other_stream, waits, NULL, 0, NULL, &in_stream), RP_OK);
    rp_status got = made();
    compare(got, status, what);
    open_gate();
    CU_ASSERT_EQUAL(rp_close(&other), RP_OK);
    if (pool)
        CU_ASSERT_EQUAL(rp_terminate(&pool), RP_OK);
}

/* clang-format off */
#define WITH_WORKERS(X) \
    X(rp_drain, RP_ERR_TIMEOUT, busy, (pool, 0)) \
    X(rp_drain, RP_ERR_INVALID, no_time, (pool, (double)NAN)) \
    X(rp_apply, RP_ERR_INVALID, no_function, (pool, NULL, NULL, 0, NULL, 0, NULL)) \
    X(rp_apply, RP_ERR_INVALID, no_argument, (pool, echo, NULL, 1, NULL, 0, NULL)) \
    X(rp_apply, RP_ERR_INVALID, argument_too_large, (pool, echo, room, TOO_BIG, NULL, 0, NULL)) \
    X(rp_apply, RP_ERR_INVALID, no_result, (pool, echo, NULL, 0, NULL, 1, NULL)) \
    X(rp_apply, RP_ERR_UNREGISTERED, stranger, (pool, stranger, NULL, 0, NULL, 0, NULL)) \
    X(rp_submit, RP_ERR_INVALID, no_function, (pool, NULL, NULL, 0, NULL, &future)) \
    X(rp_submit, RP_ERR_INVALID, no_argument, (pool, echo, NULL, 1, NULL, &future)) \
    X(rp_submit, RP_ERR_INVALID, no_large_argument, (pool, echo, NULL, LARGE, NULL, &future)) \
    X(rp_submit, RP_ERR_INVALID, argument_too_large, (pool, echo, room, TOO_BIG, NULL, &future)) \
    X(rp_submit, RP_ERR_INVALID, argument_of_size_max, (pool, echo, room, SIZE_MAX, NULL, &future)) \
    X(rp_submit, RP_OK, no_future, (pool, echo, NULL, 0, NULL, NULL)) \
    X(rp_submit, RP_ERR_INVALID, no_struct_size, (pool, echo, NULL, 0, &no_task_size, &future)) \
    X(rp_submit, RP_ERR_INVALID, odd_struct_size, (pool, echo, NULL, 0, TASK(.struct_size = ODD), &future)) \
    X(rp_submit, RP_ERR_INVALID, attempts_below_0, (pool, echo, NULL, 0, TASK(.attempts = -1), &future)) \
    X(rp_submit, RP_ERR_INVALID, attempts_of_int_max, (pool, echo, NULL, 0, TASK(.attempts = INT32_MAX), &future)) \
    X(rp_submit, RP_ERR_INVALID, retries_below_0, (pool, echo, NULL, 0, TASK(.retries = -1), &future)) \
    X(rp_submit, RP_ERR_INVALID, retries_of_int_max, (pool, echo, NULL, 0, TASK(.retries = INT32_MAX), &future)) \
    X(rp_submit, RP_ERR_INVALID, time_limit_below_0, (pool, echo, NULL, 0, TASK(.time_limit = -1), &future)) \
    X(rp_submit, RP_ERR_INVALID, no_time_limit, (pool, echo, NULL, 0, TASK(.time_limit = (double)NAN), &future)) \
    X(rp_submit, RP_ERR_INVALID, cost_below_0, (pool, echo, NULL, 0, TASK(.cost = -1e-9), &future)) \
    X(rp_submit, RP_ERR_INVALID, no_cost, (pool, echo, NULL, 0, TASK(.cost = (double)NAN), &future)) \
    X(rp_submit, RP_ERR_INVALID, no_such_worker, (pool, echo, NULL, 0, TASK(.worker = 3), &future)) \
    X(rp_submit, RP_ERR_INVALID, worker_below_0, (pool, echo, NULL, 0, TASK(.worker = -1), &future)) \
    X(rp_submit, RP_ERR_INVALID, hard_without_worker, (pool, echo, NULL, 0, TASK(.worker_hard = true), &future)) \
    X(rp_submit, RP_ERR_INVALID, no_key, (pool, echo, NULL, 0, TASK(.key = { NULL, 1 }), &future)) \
    X(rp_submit, RP_ERR_INVALID, key_too_long, (pool, echo, NULL, 0, TASK(.key = { room, 65536 }), &future)) \
    X(rp_submit, RP_ERR_INVALID, key_and_after, (pool, echo, NULL, 0, TASK(.key = { room, 1 }, .after = &done, .after_count = 1), &future)) \
    X(rp_submit, RP_ERR_INVALID, no_after, (pool, echo, NULL, 0, TASK(.after_count = 1), &future)) \
    X(rp_submit, RP_ERR_INVALID, after_size_max, (pool, echo, NULL, 0, TASK(.after = &done, .after_count = SIZE_MAX), &future)) \
    X(rp_submit, RP_ERR_STALE, after_released, (pool, echo, NULL, 0, TASK(.after = &gone, .after_count = 1), &future)) \
    X(rp_submit, RP_ERR_STALE, after_another_pools, (pool, echo, NULL, 0, TASK(.after = &foreign, .after_count = 1), &future)) \
    X(rp_submit, RP_ERR_UNREGISTERED, stranger, (pool, stranger, NULL, 0, NULL, &future)) \
    X(rp_get, RP_ERR_INVALID, no_result, (pool, done, 0, NULL, 1, NULL)) \
    X(rp_get, RP_ERR_INVALID, no_time, (pool, busy, (double)NAN, room, LARGE, NULL)) \
    X(rp_get, RP_ERR_STALE, released, (pool, gone, RP_FOREVER, room, LARGE, NULL)) \
    X(rp_get, RP_ERR_STALE, another_pools, (pool, foreign, RP_FOREVER, room, LARGE, NULL)) \
    X(rp_get, RP_ERR_STALE, zero, (pool, none, RP_FOREVER, room, LARGE, NULL)) \
    X(rp_get, RP_ERR_TIMEOUT, busy, (pool, busy, 0, room, LARGE, NULL)) \
    X(rp_get, RP_ERR_TIMEOUT, queued, (pool, queued, 1e-3, room, LARGE, NULL)) \
    X(rp_get, RP_ERR_SIZE, buffer_too_small, (pool, done, RP_FOREVER, room, 19, NULL)) \
    X(rp_get, RP_ERR_SIZE, no_buffer, (pool, done, RP_FOREVER, NULL, 0, &size)) \
    X(rp_get, RP_ERR_TASK, failed, (pool, failed, RP_FOREVER, room, LARGE, NULL)) \
    X(rp_take, RP_ERR_INVALID, no_data, (pool, done, 0, NULL, NULL)) \
    X(rp_take, RP_ERR_INVALID, no_time, (pool, busy, (double)NAN, &data, NULL)) \
    X(rp_take, RP_ERR_STALE, released, (pool, gone, RP_FOREVER, &data, NULL)) \
    X(rp_take, RP_ERR_STALE, another_pools, (pool, foreign, RP_FOREVER, &data, NULL)) \
    X(rp_take, RP_ERR_TIMEOUT, busy, (pool, busy, 0, &data, NULL)) \
    X(rp_take, RP_ERR_TASK, failed, (pool, failed, RP_FOREVER, &data, NULL)) \
    X(rp_wait, RP_ERR_INVALID, no_time, (pool, busy, (double)NAN)) \
    X(rp_wait, RP_ERR_STALE, released, (pool, gone, RP_FOREVER)) \
    X(rp_wait, RP_ERR_STALE, another_pools, (pool, foreign, RP_FOREVER)) \
    X(rp_wait, RP_ERR_TIMEOUT, busy, (pool, busy, 0)) \
    X(rp_outcome_of, RP_ERR_INVALID, no_outcome, (pool, done, NULL)) \
    X(rp_outcome_of, RP_ERR_INVALID, no_struct_size, (pool, done, &no_outcome)) \
    X(rp_outcome_of, RP_ERR_INVALID, odd_struct_size, (pool, done, &odd_outcome)) \
    X(rp_outcome_of, RP_ERR_STALE, released, (pool, gone, &outcome)) \
    X(rp_outcome_of, RP_ERR_STALE, another_pools, (pool, foreign, &outcome)) \
    X(rp_outcome_of, RP_ERR_TIMEOUT, busy, (pool, busy, &outcome)) \
    X(rp_release, RP_ERR_STALE, released, (pool, gone)) \
    X(rp_release, RP_ERR_STALE, another_pools, (pool, foreign)) \
    X(rp_cancel, RP_ERR_STALE, released, (pool, gone)) \
    X(rp_cancel, RP_ERR_STALE, another_pools, (pool, foreign)) \
    X(rp_cancel, RP_OK, settled, (pool, done)) \
    X(rp_map, RP_ERR_INVALID, no_function, (pool, NULL, room, 8, 2, room, 8, NULL)) \
    X(rp_map, RP_ERR_INVALID, no_in, (pool, echo, NULL, 8, 2, room, 8, NULL)) \
    X(rp_map, RP_ERR_INVALID, no_out, (pool, echo, room, 8, 2, NULL, 8, NULL)) \
    X(rp_map, RP_ERR_INVALID, in_too_large, (pool, echo, room, TOO_BIG, 2, room, 8, NULL)) \
    X(rp_map, RP_ERR_INVALID, out_too_large, (pool, echo, room, 8, 2, room, SIZE_MAX, NULL)) \
    X(rp_map, RP_ERR_INVALID, count_times_in_over_memory, (pool, echo, room, 8, SIZE_MAX / 8 + 2, NULL, 0, NULL)) \
    X(rp_map, RP_ERR_INVALID, count_times_out_over_memory, (pool, echo, NULL, 0, SIZE_MAX / 4, room, 8, NULL)) \
    X(rp_map, RP_ERR_INVALID, count_of_statuses_over_memory, (pool, echo, NULL, 0, SIZE_MAX / 4, NULL, 0, map_with_statuses())) \
    X(rp_map, RP_ERR_INVALID, no_struct_size, (pool, echo, room, 8, 2, room, 8, map_of(0, NULL))) \
    X(rp_map, RP_ERR_INVALID, odd_struct_size, (pool, echo, room, 8, 2, room, 8, map_of(ODD, NULL))) \
    X(rp_map, RP_ERR_INVALID, no_task_size, (pool, echo, room, 8, 2, room, 8, MAP(&no_task_size))) \
    X(rp_map, RP_ERR_INVALID, odd_task_size, (pool, echo, room, 8, 2, room, 8, MAP(TASK(.struct_size = ODD)))) \
    X(rp_map, RP_ERR_INVALID, retries, (pool, echo, room, 8, 2, room, 8, MAP(TASK(.retries = 1)))) \
    X(rp_map, RP_ERR_INVALID, after, (pool, echo, room, 8, 2, room, 8, MAP(TASK(.after = &done, .after_count = 1)))) \
    X(rp_map, RP_ERR_INVALID, key, (pool, echo, room, 8, 2, room, 8, MAP(TASK(.key = { room, 1 })))) \
    X(rp_map, RP_ERR_INVALID, worker_hard, (pool, echo, room, 8, 2, room, 8, MAP(TASK(.worker = 1, .worker_hard = true)))) \
    X(rp_map, RP_ERR_UNREGISTERED, stranger, (pool, stranger, room, 8, 2, room, 8, NULL)) \
    X(rp_map_async, RP_ERR_INVALID, no_future, (pool, echo, room, 8, 2, room, 8, NULL, NULL)) \
    X(rp_map_async, RP_ERR_INVALID, no_function, (pool, NULL, room, 8, 2, room, 8, NULL, &future)) \
    X(rp_map_async, RP_ERR_INVALID, no_in, (pool, echo, NULL, 8, 2, room, 8, NULL, &future)) \
    X(rp_map_async, RP_ERR_INVALID, no_out, (pool, echo, room, 8, 2, NULL, 8, NULL, &future)) \
    X(rp_map_async, RP_ERR_INVALID, count_over_memory, (pool, echo, room, 8, SIZE_MAX, room, 8, NULL, &future)) \
    X(rp_map_async, RP_ERR_INVALID, no_struct_size, (pool, echo, room, 8, 2, room, 8, map_of(0, NULL), &future)) \
    X(rp_map_async, RP_ERR_UNREGISTERED, stranger, (pool, stranger, room, 8, 2, room, 8, NULL, &future)) \
    X(rp_on_each_worker, RP_ERR_INVALID, no_function, (pool, NULL, NULL, 0, NULL)) \
    X(rp_on_each_worker, RP_ERR_INVALID, no_argument, (pool, echo, NULL, 1, NULL)) \
    X(rp_on_each_worker, RP_ERR_INVALID, argument_too_large, (pool, echo, room, TOO_BIG, NULL)) \
    X(rp_on_each_worker, RP_ERR_UNREGISTERED, stranger, (pool, stranger, NULL, 0, NULL)) \
    X(rp_wait_all, RP_OK, of_none, (pool, NULL, 0, RP_ALL, 0)) \
    X(rp_wait_all, RP_ERR_INVALID, no_futures, (pool, NULL, 1, RP_ALL, 0)) \
    X(rp_wait_all, RP_ERR_INVALID, count_over_memory, (pool, &done, SIZE_MAX / 8 + 2, RP_ALL, 0)) \
    X(rp_wait_all, RP_ERR_INVALID, no_such_when, (pool, &done, 1, (rp_when)3, 0)) \
    X(rp_wait_all, RP_ERR_INVALID, no_time, (pool, &done, 1, RP_ALL, (double)NAN)) \
    X(rp_wait_all, RP_ERR_STALE, released, (pool, &gone, 1, RP_ALL, RP_FOREVER)) \
    X(rp_wait_all, RP_ERR_STALE, another_pools, (pool, (rp_future[]){ done, foreign }, 2, RP_ALL, RP_FOREVER)) \
    X(rp_wait_all, RP_ERR_TIMEOUT, busy, (pool, (rp_future[]){ done, busy }, 2, RP_ALL, 0)) \
    X(rp_wait_any, RP_ERR_INVALID, of_none, (pool, &busy, 0, 0, &place)) \
    X(rp_wait_any, RP_ERR_INVALID, no_futures, (pool, NULL, 1, 0, &place)) \
    X(rp_wait_any, RP_ERR_INVALID, no_index, (pool, &done, 1, 0, NULL)) \
    X(rp_wait_any, RP_ERR_INVALID, count_over_memory, (pool, &done, SIZE_MAX, 0, &place)) \
    X(rp_wait_any, RP_ERR_INVALID, no_time, (pool, &busy, 1, (double)NAN, &place)) \
    X(rp_wait_any, RP_ERR_STALE, released, (pool, (rp_future[]){ gone, busy }, 2, RP_FOREVER, &place)) \
    X(rp_wait_any, RP_ERR_STALE, another_pools, (pool, &foreign, 1, RP_FOREVER, &place)) \
    X(rp_wait_any, RP_ERR_TIMEOUT, busy, (pool, (rp_future[]){ queued, busy }, 2, 0, &place)) \
    X(rp_stream_open, RP_ERR_INVALID, no_stream, (pool, NULL, NULL)) \
    X(rp_stream_open, RP_ERR_INVALID, no_struct_size, (pool, stream_of(0, false, NULL), &no_stream)) \
    X(rp_stream_open, RP_ERR_INVALID, odd_struct_size, (pool, stream_of(ODD, false, NULL), &no_stream)) \
    X(rp_stream_open, RP_ERR_INVALID, no_task_size, (pool, STREAM(&no_task_size), &no_stream)) \
    X(rp_stream_open, RP_ERR_INVALID, odd_task_size, (pool, STREAM(TASK(.struct_size = ODD)), &no_stream)) \
    X(rp_stream_open, RP_ERR_INVALID, key, (pool, STREAM(TASK(.key = { room, 1 })), &no_stream)) \
    X(rp_stream_open, RP_ERR_INVALID, after, (pool, STREAM(TASK(.after = &done, .after_count = 1)), &no_stream)) \
    X(rp_stream_submit, RP_ERR_INVALID, no_function, (stream, NULL, NULL, 0, NULL, NULL)) \
    X(rp_stream_submit, RP_ERR_INVALID, no_argument, (stream, echo, NULL, 1, NULL, NULL)) \
    X(rp_stream_submit, RP_ERR_INVALID, argument_too_large, (stream, echo, room, TOO_BIG, NULL, NULL)) \
    X(rp_stream_submit, RP_ERR_INVALID, no_struct_size, (stream, echo, NULL, 0, &no_task_size, NULL)) \
    X(rp_stream_submit, RP_ERR_INVALID, odd_struct_size, (stream, echo, NULL, 0, TASK(.struct_size = ODD), NULL)) \
    X(rp_stream_submit, RP_ERR_STALE, after_released, (stream, echo, NULL, 0, TASK(.after = &gone, .after_count = 1), NULL)) \
    X(rp_stream_submit, RP_ERR_UNREGISTERED, stranger, (stream, stranger, NULL, 0, NULL, NULL)) \
    X(rp_stream_add, RP_ERR_INVALID, in_a_stream, (stream, in_stream)) \
    X(rp_stream_add, RP_ERR_STALE, released, (stream, gone)) \
    X(rp_stream_add, RP_ERR_STALE, another_pools, (stream, foreign)) \
    X(rp_stream_next, RP_ERR_INVALID, no_item, (stream, 0, NULL)) \
    X(rp_stream_next, RP_ERR_INVALID, no_struct_size, (stream, 0, &no_item)) \
    X(rp_stream_next, RP_ERR_INVALID, odd_struct_size, (stream, 0, &odd_item)) \
    X(rp_stream_next, RP_ERR_INVALID, no_time, (stream, (double)NAN, &item)) \
    X(rp_stream_next, RP_ERR_TIMEOUT, not_ended, (stream, 0, &item)) \
    X(rp_stream_next, RP_ERR_TIMEOUT, busy, (other_stream, 1e-3, &item)) \
    X(rp_imap, RP_ERR_INVALID, no_function, (pool, NULL, gives_nothing, NULL, NULL, &no_stream)) \
    X(rp_imap, RP_ERR_INVALID, no_source, (pool, echo, NULL, NULL, NULL, &no_stream)) \
    X(rp_imap, RP_ERR_INVALID, no_stream, (pool, echo, gives_nothing, NULL, NULL, NULL)) \
    X(rp_imap, RP_ERR_INVALID, no_struct_size, (pool, echo, gives_nothing, NULL, stream_of(0, false, NULL), &no_stream)) \
    X(rp_imap, RP_ERR_INVALID, after, (pool, echo, gives_nothing, NULL, STREAM(TASK(.after = &done, .after_count = 1)), &no_stream)) \
    X(rp_imap, RP_ERR_UNREGISTERED, stranger, (pool, stranger, gives_nothing, NULL, NULL, &no_stream)) \
    X(rp_share, RP_ERR_INVALID, no_name, (pool, NULL, room, 8)) \
    X(rp_share, RP_ERR_INVALID, empty_name, (pool, "", room, 8)) \
    X(rp_share, RP_ERR_INVALID, name_too_long, (pool, name_of(256), room, 8)) \
    X(rp_share, RP_ERR_INVALID, no_data, (pool, "name", NULL, 8)) \
    X(rp_share, RP_ERR_NOMEM, more_than_there_is, (pool, "name", room, SIZE_MAX)) \
    X(rp_worker_info_of, RP_ERR_INVALID, no_info, (pool, 1, NULL)) \
    X(rp_worker_info_of, RP_ERR_INVALID, no_struct_size, (pool, 1, &no_info)) \
    X(rp_worker_info_of, RP_ERR_INVALID, odd_struct_size, (pool, 1, &odd_info)) \
    X(rp_worker_info_of, RP_ERR_INVALID, no_such_worker, (pool, 3, &info)) \
    X(rp_worker_info_of, RP_ERR_INVALID, worker_below_0, (pool, -1, &info)) \
    X(rp_stats_of, RP_ERR_INVALID, no_stats, (pool, NULL)) \
    X(rp_stats_of, RP_ERR_INVALID, no_struct_size, (pool, &no_stats)) \
    X(rp_stats_of, RP_ERR_INVALID, odd_struct_size, (pool, &odd_stats))
/* clang-format on */

#define HERE with_workers
WITH_WORKERS(CALL)
#undef HERE

/* ============================================================================================ */
/* Inside a task, which in a pool of one process can reach the pool. */

static made_call *asked;
static rp_status answer;

static rp_status asks(rp_call *at, const void *arg, size_t bytes)
{
    (void)arg;
    (void)bytes;
    call = at;
    answer = asked();
    return RP_OK;
}
RP_TASK(asks);

static void in_a_task(made_call *made, rp_status status, const char *what)
{
    reset_calls();
    CU_ASSERT_PTR_NOT_NULL_FATAL(pool = threads_open(0, NULL));
    done = submit(echo, 20, NULL);
    CU_ASSERT_EQUAL(rp_wait(pool, done, RP_FOREVER), RP_OK);
    CU_ASSERT_EQUAL(rp_stream_open(pool, NULL, &stream), RP_OK);
    asked = made;
    answer = RP_OK;
    future = submit(asks, 0, NULL);
    CU_ASSERT_EQUAL(rp_wait(pool, future, RP_FOREVER), RP_OK);
    compare(answer, status, what);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

/* The same in a task that is in a stream. */
static void in_a_streams_task(made_call *made, rp_status status, const char *what)
{
    reset_calls();
    CU_ASSERT_PTR_NOT_NULL_FATAL(pool = threads_open(0, NULL));
    CU_ASSERT_EQUAL(rp_stream_open(pool, NULL, &stream), RP_OK);
    asked = made;
    answer = RP_OK;
    CU_ASSERT_EQUAL(rp_stream_submit(stream, asks, NULL, 0, NULL, NULL), RP_OK);
    CU_ASSERT_EQUAL(rp_stream_next(stream, RP_FOREVER, &item), RP_OK);
    compare(answer, status, what);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

/* clang-format off */
#define IN_A_TASK(X) \
    X(rp_drain, RP_ERR_CONTEXT, in_a_task, (pool, 0)) \
    X(rp_progress, RP_ERR_CONTEXT, in_a_task, (pool)) \
    X(rp_close, RP_ERR_CONTEXT, in_a_task, (&pool)) \
    X(rp_terminate, RP_ERR_CONTEXT, in_a_task, (&pool)) \
    X(rp_apply, RP_ERR_CONTEXT, in_a_task, (pool, echo, NULL, 0, NULL, 0, NULL)) \
    X(rp_submit, RP_ERR_CONTEXT, in_a_task, (pool, echo, NULL, 0, NULL, &future)) \
    X(rp_get, RP_ERR_CONTEXT, in_a_task, (pool, done, 0, room, LARGE, NULL)) \
    X(rp_take, RP_ERR_CONTEXT, in_a_task, (pool, done, 0, &data, NULL)) \
    X(rp_wait, RP_ERR_CONTEXT, in_a_task, (pool, done, 0)) \
    X(rp_outcome_of, RP_ERR_CONTEXT, in_a_task, (pool, done, &outcome)) \
    X(rp_release, RP_ERR_CONTEXT, in_a_task, (pool, done)) \
    X(rp_cancel, RP_ERR_CONTEXT, in_a_task, (pool, done)) \
    X(rp_cancel_all, RP_ERR_CONTEXT, in_a_task, (pool)) \
    X(rp_map, RP_ERR_CONTEXT, in_a_task, (pool, echo, room, 8, 2, room, 8, NULL)) \
    X(rp_map_async, RP_ERR_CONTEXT, in_a_task, (pool, echo, room, 8, 2, room, 8, NULL, &future)) \
    X(rp_on_each_worker, RP_ERR_CONTEXT, in_a_task, (pool, echo, NULL, 0, NULL)) \
    X(rp_wait_all, RP_ERR_CONTEXT, in_a_task, (pool, &done, 1, RP_ALL, 0)) \
    X(rp_wait_any, RP_ERR_CONTEXT, in_a_task, (pool, &done, 1, 0, &place)) \
    X(rp_stream_open, RP_ERR_CONTEXT, in_a_task, (pool, NULL, &other_stream)) \
    X(rp_stream_submit, RP_ERR_CONTEXT, in_a_task, (stream, echo, NULL, 0, NULL, NULL)) \
    X(rp_stream_add, RP_ERR_CONTEXT, in_a_task, (stream, done)) \
    X(rp_stream_end, RP_ERR_CONTEXT, in_a_task, (stream)) \
    X(rp_stream_next, RP_ERR_CONTEXT, in_a_task, (stream, 0, &item)) \
    X(rp_stream_close, RP_ERR_CONTEXT, in_a_task, (&stream)) \
    X(rp_imap, RP_ERR_CONTEXT, in_a_task, (pool, echo, gives_nothing, NULL, NULL, &other_stream)) \
    X(rp_share, RP_ERR_CONTEXT, in_a_task, (pool, "name", room, 8)) \
    X(rp_worker_info_of, RP_ERR_CONTEXT, in_a_task, (pool, 1, &info)) \
    X(rp_stats_of, RP_ERR_CONTEXT, in_a_task, (pool, &stats)) \
    X(rp_return, RP_ERR_INVALID, no_result, (call, NULL, 1)) \
    X(rp_return, RP_ERR_INVALID, result_too_large, (call, room, TOO_BIG)) \
    X(rp_return, RP_OK, empty_result, (call, NULL, 0)) \
    X(rp_fail, RP_ERR_TASK, no_words, (call, 1, NULL)) \
    X(rp_spawn, RP_ERR_CONTEXT, no_stream, (call, echo, NULL, 0, NULL))

/* Where a worker of several ranks has none. */
#define IN_A_TASK_WITHOUT_A_POOL(X) \
    X(rp_drain, RP_ERR_CONTEXT, no_pool_in_a_task, (NULL, 0)) \
    X(rp_progress, RP_ERR_CONTEXT, no_pool_in_a_task, (NULL)) \
    X(rp_close, RP_ERR_CONTEXT, no_pool_in_a_task, (&no_pool)) \
    X(rp_close, RP_ERR_CONTEXT, null_in_a_task, (NULL)) \
    X(rp_terminate, RP_ERR_CONTEXT, no_pool_in_a_task, (&no_pool)) \
    X(rp_terminate, RP_ERR_CONTEXT, null_in_a_task, (NULL)) \
    X(rp_apply, RP_ERR_CONTEXT, no_pool_in_a_task, (NULL, echo, NULL, 0, NULL, 0, NULL)) \
    X(rp_submit, RP_ERR_CONTEXT, no_pool_in_a_task, (NULL, echo, NULL, 0, NULL, &future)) \
    X(rp_get, RP_ERR_CONTEXT, no_pool_in_a_task, (NULL, done, 0, room, LARGE, NULL)) \
    X(rp_take, RP_ERR_CONTEXT, no_pool_in_a_task, (NULL, done, 0, &data, NULL)) \
    X(rp_wait, RP_ERR_CONTEXT, no_pool_in_a_task, (NULL, done, 0)) \
    X(rp_outcome_of, RP_ERR_CONTEXT, no_pool_in_a_task, (NULL, done, &outcome)) \
    X(rp_release, RP_ERR_CONTEXT, no_pool_in_a_task, (NULL, done)) \
    X(rp_cancel, RP_ERR_CONTEXT, no_pool_in_a_task, (NULL, done)) \
    X(rp_cancel_all, RP_ERR_CONTEXT, no_pool_in_a_task, (NULL)) \
    X(rp_map, RP_ERR_CONTEXT, no_pool_in_a_task, (NULL, echo, room, 8, 2, room, 8, NULL)) \
    X(rp_map_async, RP_ERR_CONTEXT, no_pool_in_a_task, (NULL, echo, room, 8, 2, room, 8, NULL, &future)) \
    X(rp_on_each_worker, RP_ERR_CONTEXT, no_pool_in_a_task, (NULL, echo, NULL, 0, NULL)) \
    X(rp_wait_all, RP_ERR_CONTEXT, no_pool_in_a_task, (NULL, &done, 1, RP_ALL, 0)) \
    X(rp_wait_any, RP_ERR_CONTEXT, no_pool_in_a_task, (NULL, &done, 1, 0, &place)) \
    X(rp_stream_open, RP_ERR_CONTEXT, no_pool_in_a_task, (NULL, NULL, &other_stream)) \
    X(rp_stream_submit, RP_ERR_CONTEXT, no_stream_in_a_task, (NULL, echo, NULL, 0, NULL, NULL)) \
    X(rp_stream_add, RP_ERR_CONTEXT, no_stream_in_a_task, (NULL, done)) \
    X(rp_stream_end, RP_ERR_CONTEXT, no_stream_in_a_task, (NULL)) \
    X(rp_stream_next, RP_ERR_CONTEXT, no_stream_in_a_task, (NULL, 0, &item)) \
    X(rp_stream_close, RP_ERR_CONTEXT, no_stream_in_a_task, (&no_stream)) \
    X(rp_stream_close, RP_ERR_CONTEXT, null_in_a_task, (NULL)) \
    X(rp_imap, RP_ERR_CONTEXT, no_pool_in_a_task, (NULL, echo, gives_nothing, NULL, NULL, &other_stream)) \
    X(rp_share, RP_ERR_CONTEXT, no_pool_in_a_task, (NULL, "name", room, 8)) \
    X(rp_worker_info_of, RP_ERR_CONTEXT, no_pool_in_a_task, (NULL, 1, &info)) \
    X(rp_stats_of, RP_ERR_CONTEXT, no_pool_in_a_task, (NULL, &stats)) \
    X(rp_apply, RP_ERR_CONTEXT, no_pool_and_no_result_in_a_task, (NULL, echo, NULL, 0, NULL, 8, NULL))

#define IN_A_STREAMS_TASK(X) \
    X(rp_spawn, RP_ERR_INVALID, no_function, (call, NULL, NULL, 0, NULL)) \
    X(rp_spawn, RP_ERR_INVALID, no_argument, (call, echo, NULL, 1, NULL)) \
    X(rp_spawn, RP_ERR_INVALID, argument_too_large, (call, echo, room, LARGE, NULL)) \
    X(rp_spawn, RP_ERR_INVALID, argument_of_size_max, (call, echo, room, SIZE_MAX, NULL)) \
    X(rp_spawn, RP_ERR_INVALID, no_struct_size, (call, echo, NULL, 0, &no_task_size)) \
    X(rp_spawn, RP_ERR_INVALID, odd_struct_size, (call, echo, NULL, 0, TASK(.struct_size = ODD))) \
    X(rp_spawn, RP_ERR_INVALID, worker, (call, echo, NULL, 0, TASK(.worker = 1))) \
    X(rp_spawn, RP_ERR_INVALID, after, (call, echo, NULL, 0, TASK(.after = &done, .after_count = 1))) \
    X(rp_spawn, RP_ERR_INVALID, retries_below_0, (call, echo, NULL, 0, TASK(.retries = -1))) \
    X(rp_spawn, RP_ERR_INVALID, no_cost, (call, echo, NULL, 0, TASK(.cost = (double)NAN))) \
    X(rp_spawn, RP_ERR_CONTEXT, key, (call, echo, NULL, 0, TASK(.key = { room, 1 }))) \
    X(rp_spawn, RP_ERR_UNREGISTERED, stranger, (call, stranger, NULL, 0, NULL))
/* clang-format on */

#define HERE in_a_task
IN_A_TASK(CALL)
IN_A_TASK_WITHOUT_A_POOL(CALL)
#undef HERE
#define HERE in_a_streams_task
IN_A_STREAMS_TASK(CALL)
#undef HERE

/* ============================================================================================ */
/* Inside an on_done function, which may not wait, while a worker is busy. */

static void on_done(rp_pool *of, rp_future settled, const rp_outcome *how, void *user)
{
    (void)of;
    (void)settled;
    (void)how;
    (void)user;
    answer = asked();
}

static void in_on_done(made_call *made, rp_status status, const char *what)
{
    reset_calls();
    CU_ASSERT_PTR_NOT_NULL_FATAL(pool = threads_open(1, NULL));
    CU_ASSERT_EQUAL(rp_stream_open(pool, NULL, &stream), RP_OK);
    asked = made;
    answer = RP_OK;
    done = submit(echo, 20, TASK(.on_done = on_done));
    busy = submit(waits, 0, NULL);
    CU_ASSERT_EQUAL(rp_wait(pool, done, RP_FOREVER), RP_OK);
    compare(answer, status, what);
    open_gate();
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

/* The same, of a task that rp_terminate has stopped. */
static void in_the_last_on_done(made_call *made, rp_status status, const char *what)
{
    reset_calls();
    CU_ASSERT_PTR_NOT_NULL_FATAL(pool = threads_open(1, NULL));
    CU_ASSERT_EQUAL(rp_stream_open(pool, NULL, &stream), RP_OK);
    asked = made;
    answer = RP_OK;
    (void)submit(overruns, 0, TASK(.on_done = on_done));
    await_running();
    rp_pool *old = pool;
    CU_ASSERT_EQUAL(rp_terminate(&old), RP_OK);
    compare(answer, status, what);
}

/* clang-format off */
#define IN_ON_DONE(X) \
    X(rp_drain, RP_ERR_CONTEXT, in_on_done, (pool, 0)) \
    X(rp_close, RP_ERR_CONTEXT, in_on_done, (&pool)) \
    X(rp_terminate, RP_ERR_CONTEXT, in_on_done, (&pool)) \
    X(rp_apply, RP_ERR_CONTEXT, in_on_done, (pool, echo, NULL, 0, NULL, 0, NULL)) \
    X(rp_submit, RP_OK, in_on_done, (pool, echo, NULL, 0, NULL, &future)) \
    X(rp_get, RP_ERR_CONTEXT, in_on_done, (pool, busy, RP_FOREVER, room, LARGE, NULL)) \
    X(rp_take, RP_ERR_CONTEXT, in_on_done, (pool, busy, RP_FOREVER, &data, NULL)) \
    X(rp_wait, RP_ERR_CONTEXT, in_on_done, (pool, busy, RP_FOREVER)) \
    X(rp_wait, RP_OK, settled_in_on_done, (pool, done, 0)) \
    X(rp_cancel, RP_OK, in_on_done, (pool, busy)) \
    X(rp_map, RP_ERR_CONTEXT, in_on_done, (pool, echo, room, 8, 2, room, 8, NULL)) \
    X(rp_on_each_worker, RP_ERR_CONTEXT, in_on_done, (pool, echo, NULL, 0, NULL)) \
    X(rp_wait_all, RP_ERR_CONTEXT, in_on_done, (pool, &busy, 1, RP_ALL, RP_FOREVER)) \
    X(rp_wait_any, RP_ERR_CONTEXT, in_on_done, (pool, &busy, 1, RP_FOREVER, &place)) \
    X(rp_stream_next, RP_ERR_CONTEXT, in_on_done, (stream, RP_FOREVER, &item)) \
    X(rp_stream_close, RP_ERR_CONTEXT, in_on_done, (&stream)) \
    X(rp_share, RP_OK, in_on_done, (pool, "name", room, 8))

#define IN_THE_LAST_ON_DONE(X) \
    X(rp_submit, RP_ERR_CONTEXT, while_terminated, (pool, echo, NULL, 0, NULL, &future)) \
    X(rp_map_async, RP_ERR_CONTEXT, while_terminated, (pool, echo, room, 8, 2, room, 8, NULL, &future)) \
    X(rp_stream_submit, RP_ERR_CONTEXT, while_terminated, (stream, echo, NULL, 0, NULL, NULL))
/* clang-format on */

#define HERE in_on_done
IN_ON_DONE(CALL)
#undef HERE
#define HERE in_the_last_on_done
IN_THE_LAST_ON_DONE(CALL)
#undef HERE

/* ---- words: why there is no such future, and why there is no pool ---- */

static bool says(const char *text)
{
    bool does = strstr(rp_error_message(), text);
    if (!does)
        (void)fprintf(stderr, "no \"%s\" in: %s\n", text, rp_error_message());
    return does;
}

static void a_future_twice(void)
{
    reset_calls();
    CU_ASSERT_PTR_NOT_NULL_FATAL(pool = threads_open(1, NULL));
    CU_ASSERT_EQUAL(rp_stream_open(pool, NULL, &stream), RP_OK);
    for (int way = 0; way < 4; way++) {
        done = submit(way == 3 ? fails : echo, 8, NULL);
        rp_status first = way == 1   ? rp_take(pool, done, RP_FOREVER, &data, NULL)
                          : way == 2 ? rp_release(pool, done)
                                     : rp_get(pool, done, RP_FOREVER, room, LARGE, NULL);
        CU_ASSERT_EQUAL(first, way == 3 ? RP_ERR_TASK : RP_OK);
        CU_ASSERT_EQUAL(rp_get(pool, done, RP_FOREVER, room, LARGE, NULL), RP_ERR_STALE);
        CU_ASSERT(says("rp_get: no such future"));
        CU_ASSERT(says("it was released already: rp_get and rp_take do so"));
        CU_ASSERT_EQUAL(rp_wait_all(pool, &done, 1, RP_ALL, 0), RP_ERR_STALE);
        CU_ASSERT(says("rp_wait_all: futures[0]"));
        CU_ASSERT(says("it was released already"));
        CU_ASSERT_EQUAL(rp_stream_add(stream, done), RP_ERR_STALE);
        CU_ASSERT(says("it was released already"));
    }
    rp_free(data);
    CU_ASSERT_EQUAL(rp_get(pool, none, 0, room, LARGE, NULL), RP_ERR_STALE);
    CU_ASSERT(says("it is {0}"));
    CU_ASSERT_EQUAL(rp_stream_submit(stream, waits, NULL, 0, NULL, &in_stream), RP_OK);
    CU_ASSERT_EQUAL(rp_stream_add(stream, (rp_future){ ~in_stream.id }), RP_ERR_STALE);
    CU_ASSERT(says("another pool"));
    busy = submit(waits, 0, NULL);
    CU_ASSERT_EQUAL(rp_stream_add(stream, busy), RP_OK);
    CU_ASSERT_EQUAL(rp_get(pool, busy, 0, room, LARGE, NULL), RP_ERR_STALE);
    CU_ASSERT(says("it belongs to a stream"));
    open_gate();
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

static void no_pool_after_its_end(void)
{
    reset_calls();
    CU_ASSERT_PTR_NOT_NULL_FATAL(pool = threads_open(1, NULL));
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
    CU_ASSERT_EQUAL(rp_apply(pool, echo, NULL, 0, NULL, 0, NULL), RP_ERR_INVALID);
    CU_ASSERT(
        says("rp_apply: the pool is NULL: rp_open has not made one, or rp_close has ended it"));
}

/* ---- what gives no status ---- */

static rp_status tells_nothing(rp_call *at, const void *arg, size_t bytes)
{
    rp_call_info told = { .struct_size = ODD, .worker = 7 };
    (void)arg;
    (void)bytes;
    rp_call_info_of(at, &told);
    size = 7;
    bool right = told.worker == 7 && !rp_input(at, 0, &size) && !rp_shared(at, NULL, NULL) &&
                 !rp_shared(at, "none", &size) && size == 0 && !rp_reserve(at, SIZE_MAX) &&
                 rp_state_of(pool, done) == RP_STALE && rp_workers(pool) == 0;
    return right ? RP_OK : RP_ERR_INVALID;
}
RP_TASK(tells_nothing);

static void no_status(void)
{
    rp_call_info told = { .struct_size = sizeof told, .worker = 7 };
    reset_calls();
    rp_free(NULL);
    rp_call_info_of(NULL, &told);
    CU_ASSERT_EQUAL(told.worker, 7);
    CU_ASSERT_PTR_NULL(rp_reserve(NULL, 1));
    CU_ASSERT_STRING_EQUAL(rp_error_message(), "rp_reserve: the call is NULL");
    CU_ASSERT_PTR_NULL(rp_input(NULL, 0, &size));
    CU_ASSERT_PTR_NULL(rp_shared(NULL, "name", &size));
    CU_ASSERT_PTR_NULL(rp_worker_data(NULL));
    CU_ASSERT_FALSE(rp_cancelled(NULL));
    CU_ASSERT_EQUAL(rp_seed(NULL), 0);
    CU_ASSERT_EQUAL(rp_workers(NULL), 0);
    CU_ASSERT_EQUAL(rp_state_of(NULL, none), RP_STALE);
    CU_ASSERT_STRING_EQUAL(rp_strerror((rp_status)-1), "unknown status");
    CU_ASSERT_PTR_NOT_NULL_FATAL(pool = threads_open(0, NULL));
    done = submit(echo, 20, NULL);
    CU_ASSERT_EQUAL(rp_wait(pool, done, RP_FOREVER), RP_OK);
    future = submit(tells_nothing, 0, NULL);
    CU_ASSERT_EQUAL(rp_wait(pool, future, RP_FOREVER), RP_OK);
    CU_ASSERT_EQUAL(rp_outcome_of(pool, future, &outcome), RP_OK);
    CU_ASSERT_TRUE(outcome.status == RP_ERR_TASK &&
                   outcome.code == RP_ERR_NOMEM); /* of rp_reserve; the rest was right */
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

/* What is refused has changed nothing, and has written nothing. */
static void nothing_is_written(void)
{
    const rp_future mark = { 77 };
    void *before = room;
    reset_calls();
    CU_ASSERT_PTR_NOT_NULL_FATAL(pool = threads_open(1, NULL));
    busy = submit(waits, 0, NULL);
    future = mark;
    data = before;
    size = place = 77;
    no_stream = (rp_stream *)room;
    CU_ASSERT_EQUAL(rp_submit(pool, stranger, NULL, 0, NULL, &future), RP_ERR_UNREGISTERED);
    CU_ASSERT_EQUAL(rp_map_async(pool, stranger, NULL, 0, 1, NULL, 0, NULL, &future),
                    RP_ERR_UNREGISTERED);
    CU_ASSERT_EQUAL(rp_get(pool, busy, 0, room, LARGE, &size), RP_ERR_TIMEOUT);
    CU_ASSERT_EQUAL(rp_take(pool, busy, 0, &data, &size), RP_ERR_TIMEOUT);
    CU_ASSERT_EQUAL(rp_wait_any(pool, &busy, 1, 0, &place), RP_ERR_TIMEOUT);
    CU_ASSERT_EQUAL(rp_stream_open(pool, stream_of(0, false, NULL), &no_stream), RP_ERR_INVALID);
    CU_ASSERT_EQUAL(rp_imap(pool, stranger, gives_nothing, NULL, NULL, &no_stream),
                    RP_ERR_UNREGISTERED);
    CU_ASSERT_TRUE(future.id == mark.id && data == before && size == 77 && place == 77 &&
                   no_stream == (rp_stream *)room);
    CU_ASSERT_EQUAL(rp_stats_of(pool, &stats), RP_OK);
    CU_ASSERT_EQUAL(stats.submitted, 1);
    open_gate();
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

int main(int argc, char **argv)
{
    static CU_TestInfo no_pools[] = { WITHOUT_A_POOL(TEST) CU_TEST_INFO_NULL };
    static CU_TestInfo workers[] = { WITH_WORKERS(TEST) CU_TEST_INFO_NULL };
    static CU_TestInfo task[] = { IN_A_TASK(TEST) IN_A_TASK_WITHOUT_A_POOL(TEST)
                                      IN_A_STREAMS_TASK(TEST) CU_TEST_INFO_NULL };
    static CU_TestInfo callback[] = { IN_ON_DONE(TEST) IN_THE_LAST_ON_DONE(TEST)
                                          CU_TEST_INFO_NULL };
    static CU_TestInfo rest[] = { { "a_future_twice", a_future_twice },
                                  { "no_pool_after_its_end", no_pool_after_its_end },
                                  { "no_status", no_status },
                                  { "nothing_is_written", nothing_is_written },
                                  CU_TEST_INFO_NULL };
    static CU_SuiteInfo suites[] = { { "without_a_pool", NULL, NULL, NULL, NULL, no_pools },
                                     { "with_workers", NULL, NULL, NULL, NULL, workers },
                                     { "in_a_task", NULL, NULL, NULL, NULL, task },
                                     { "in_on_done", NULL, NULL, NULL, NULL, callback },
                                     { "rest", NULL, NULL, NULL, NULL, rest },
                                     CU_SUITE_INFO_NULL };
    return harness_main(argc, argv, suites);
}
