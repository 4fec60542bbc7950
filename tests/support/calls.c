#include "calls.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

rp_pool *pool, *no_pool;
rp_stream *stream, *other_stream, *no_stream;
rp_future future, done, busy, queued, gone, foreign, in_stream, failed, none;
rp_call *call;
uint8_t room[LARGE];
void *data;
size_t size, place;
rp_outcome outcome, odd_outcome = { .struct_size = ODD }, no_outcome;
rp_item item, odd_item = { .struct_size = ODD }, no_item;
rp_stats stats, odd_stats = { .struct_size = ODD }, no_stats;
rp_worker_info info, odd_info = { .struct_size = ODD }, no_info;
const rp_task_options no_task_size;

static atomic_bool gate_open, running;

void open_gate(void)
{
    atomic_store(&gate_open, true);
}

void reset_calls(void)
{
    atomic_store(&gate_open, false);
    atomic_store(&running, false);
    pool = no_pool = NULL;
    stream = other_stream = no_stream = NULL;
    future = done = busy = queued = gone = foreign = in_stream = failed = none;
    outcome = (rp_outcome)RP_OUTCOME_INIT;
    item = (rp_item)RP_ITEM_INIT;
    stats = (rp_stats)RP_STATS_INIT;
    info = (rp_worker_info)RP_WORKER_INFO_INIT;
}

static char said[1600];

rp_status heard(rp_status status)
{
    (void)snprintf(said, sizeof said, "%s", rp_error_message());
    return status;
}

/* A task's own failure has the task's words; rp_fail makes one. */
static bool names_the_call(rp_status status, const char *what)
{
    size_t length = strcspn(what, " ");
    bool of_task = status >= RP_ERR_TASK && status < RP_ERR_BROKEN;
    return status < RP_ERR_INVALID || of_task || !said[0] ||
           (strncmp(said, what, length) == 0 && (said[length] == ':' || said[length] == ' '));
}

void compare(rp_status got, rp_status wanted, const char *what)
{
    char text[900];
    (void)snprintf(text, sizeof text, "%s gave \"%s\" (%d), not \"%s\": %.400s", what,
                   rp_strerror(got), (int)got, rp_strerror(wanted), rp_error_message());
    CU_assertImplementation(got == wanted, __LINE__, text, __FILE__, "", CU_FALSE);
    (void)snprintf(text, sizeof text, "%s: the message does not name the call: %.800s", what, said);
    CU_assertImplementation(names_the_call(got, what), __LINE__, text, __FILE__, "", CU_FALSE);
    said[0] = '\0';
}

rp_future submit(rp_fn *fn, size_t bytes, const rp_task_options *options)
{
    rp_future new = { 0 };
    CU_ASSERT_EQUAL_FATAL(rp_submit(pool, fn, bytes ? room : NULL, bytes, options, &new), RP_OK);
    return new;
}

/* ---- tasks ---- */

static void rest(void)
{
    (void)nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
}

rp_status echo(rp_call *at, const void *arg, size_t bytes)
{
    return rp_return(at, arg, bytes);
}
RP_TASK(echo);

rp_status waits(rp_call *at, const void *arg, size_t bytes)
{
    (void)arg;
    (void)bytes;
    atomic_store(&running, true);
    while (!atomic_load(&gate_open)) {
        rest();
        (void)rp_cancelled(at); /* hands back the tasks after it: no other thread does */
    }
    return rp_return(at, NULL, 0);
}
RP_TASK(waits);

rp_status fails(rp_call *at, const void *arg, size_t bytes)
{
    (void)arg;
    (void)bytes;
    return rp_fail(at, 3, "on purpose");
}
RP_TASK(fails);

rp_status gives_up(rp_call *at, const void *arg, size_t bytes)
{
    (void)at;
    (void)arg;
    (void)bytes;
    return RP_ERR_CANCELLED;
}
RP_TASK(gives_up);

rp_status dies(rp_call *at, const void *arg, size_t bytes)
{
    (void)at;
    (void)arg;
    (void)bytes;
    _exit(3);
}
RP_TASK(dies);

rp_status overruns(rp_call *at, const void *arg, size_t bytes)
{
    (void)arg;
    (void)bytes;
    atomic_store(&running, true);
    while (!rp_cancelled(at))
        rest();
    return RP_OK;
}
RP_TASK(overruns);

void await_running(void)
{
    while (!atomic_load(&running))
        rest();
}

rp_status stranger(rp_call *at, const void *arg, size_t bytes) /* not registered */
{
    (void)at;
    (void)arg;
    (void)bytes;
    return RP_OK;
}

bool gives_nothing(void *context, rp_bytes *next)
{
    (void)context;
    (void)next;
    return false;
}

bool gives_a_large_one(void *context, rp_bytes *next)
{
    (void)context;
    *next = (rp_bytes){ room, LARGE };
    return true;
}

bool gives_a_bad_one(void *context, rp_bytes *next)
{
    (void)context;
    *next = (rp_bytes){ NULL, 8 };
    return true;
}

/* ---- options ---- */

const rp_task_options *task_of(rp_task_options options)
{
    static rp_task_options kept[3];
    static size_t turn;
    if (!options.struct_size)
        options.struct_size = sizeof options;
    turn = (turn + 1) % 3;
    kept[turn] = options;
    return &kept[turn];
}

const rp_map_options *map_of(size_t struct_size, const rp_task_options *task)
{
    static rp_map_options kept;
    kept = (rp_map_options){ .struct_size = struct_size, .task = task };
    return &kept;
}

const rp_map_options *map_with_statuses(void)
{
    static rp_map_options kept = RP_MAP_OPTIONS_INIT;
    static rp_status statuses[1];
    kept.statuses = statuses;
    return &kept;
}

const rp_stream_options *stream_of(size_t struct_size, bool ordered, const rp_task_options *task)
{
    static rp_stream_options kept;
    kept = (rp_stream_options){ .struct_size = struct_size, .ordered = ordered, .task = task };
    return &kept;
}

const char *name_of(size_t length)
{
    static char name[400];
    memset(name, 'n', length);
    name[length] = '\0';
    return name;
}

void silence(rp_level level, const char *line, void *user)
{
    (void)level;
    (void)line;
    (void)user;
}
