/* A program for traced.sh: what becomes of workers and tasks, in a trace that SQLite's JSON
 * functions then read.
 *   traced faults FILE    workers are lost, replaced, given up for silence; tasks lost, retried,
 *                         cancelled, too long; 5 ranks, where workers may end
 *   traced crash FILE     tasks in children, which crash, and are killed
 *   traced end FILE       every worker is killed */
#include <rankpool.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PATIENT 60.0 /* seconds */

static int wrong;

static void expect(bool right, const char *what)
{
    if (right)
        return;
    wrong++;
    printf("wrong: %s (%s)\n", what, rp_error_message());
}

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void nap_for(double seconds)
{
    struct timespec t = { .tv_sec = (time_t)seconds,
                          .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9) };
    while (nanosleep(&t, &t) != 0 && errno == EINTR)
        continue;
}

/* ---- tasks: each function for one case, for its name is in the trace; they give the number of
 * their worker ---- */

static rp_status give_worker(rp_call *call, double seconds)
{
    rp_call_info info = RP_CALL_INFO_INIT;
    rp_call_info_of(call, &info);
    nap_for(seconds);
    return rp_return(call, &info.worker, sizeof info.worker);
}

static rp_status taken_down(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    return give_worker(call, 0.4);
}
RP_TASK(taken_down);

static rp_status at_the_heir(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    return give_worker(call, 0.02);
}
RP_TASK(at_the_heir);

static rp_status third_time(rp_call *call, const void *arg, size_t size)
{
    rp_call_info info = RP_CALL_INFO_INIT;
    rp_call_info_of(call, &info);
    (void)arg;
    (void)size;
    return info.attempt < 3 ? rp_fail(call, 1, "not yet") : give_worker(call, 0.01);
}
RP_TASK(third_time);

static rp_status too_long(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    return give_worker(call, 0.3);
}
RP_TASK(too_long);

static rp_status until_cancelled(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    while (!rp_cancelled(call))
        nap_for(0.005);
    return RP_ERR_CANCELLED;
}
RP_TASK(until_cancelled);

static rp_status behind_it(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    return give_worker(call, 0);
}
RP_TASK(behind_it);

static rp_status crashes(rp_call *call, const void *arg, size_t size)
{
    (void)call;
    (void)arg;
    (void)size;
    nap_for(0.02);
    (void)raise(SIGKILL);
    return RP_OK;
}
RP_TASK(crashes);

static rp_status deaf(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    return give_worker(call, PATIENT);
}
RP_TASK(deaf);

static rp_status overruns(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    return give_worker(call, PATIENT);
}
RP_TASK(overruns);

/* ---- what the pool says ---- */

static struct {
    const char *text;
    atomic_int count;
} said[] = { { "is given up", 0 }, { "is replaced", 0 } };
enum { GIVEN_UP, REPLACED };

static void listen_to(rp_level level, const char *line, void *user)
{
    (void)level;
    (void)user;
    (void)fprintf(stderr, "rankpool: %s\n", line);
    for (size_t i = 0; i < sizeof said / sizeof *said; i++)
        if (strstr(line, said[i].text))
            atomic_fetch_add(&said[i].count, 1);
}

static void drive_until(rp_pool *pool, int what, int count)
{
    double end = now() + PATIENT;
    while (atomic_load(&said[what].count) < count && now() < end) {
        if (rp_progress(pool) != RP_OK)
            break;
        nap_for(0.001);
    }
    expect(atomic_load(&said[what].count) >= count, said[what].text);
}

/* ---- the work ---- */

static void send_signal(rp_pool *pool, int worker, int number)
{
    rp_worker_info info = RP_WORKER_INFO_INIT;
    expect(rp_worker_info_of(pool, worker, &info) == RP_OK && info.pid > 1, "rp_worker_info_of");
    if (info.pid > 1)
        (void)kill((pid_t)info.pid, number);
}

static rp_future submit(rp_pool *pool, rp_fn *fn, const rp_task_options *options)
{
    rp_future future = { 0 };
    expect(rp_submit(pool, fn, NULL, 0, options, &future) == RP_OK, "rp_submit");
    return future;
}

/* Its worker's number, where it has succeeded. */
static int get(rp_pool *pool, rp_future future, rp_status status, const char *what)
{
    int worker = -1;
    rp_status got = rp_get(pool, future, PATIENT, &worker, sizeof worker, NULL);
    if (got != status)
        printf("%s: %s\n", what, rp_strerror(got));
    expect(got == status, what);
    return worker;
}

static void lose_one(rp_pool *pool, int *second)
{
    rp_task_options there = RP_TASK_OPTIONS_INIT;
    there.worker = 1;
    rp_future future = submit(pool, taken_down, &there);
    expect(rp_wait(pool, future, 0.2) == RP_ERR_TIMEOUT, "it runs");
    send_signal(pool, 1, SIGKILL);
    *second = get(pool, future, RP_OK, "taken_down");
    drive_until(pool, REPLACED, 1);
    there.worker_hard = true;
    expect(get(pool, submit(pool, at_the_heir, &there), RP_OK, "at_the_heir") == 1,
           "the heir's number");
}

static void cancel_two(rp_pool *pool)
{
    rp_task_options there = RP_TASK_OPTIONS_INIT;
    there.worker = 2;
    there.worker_hard = true;
    rp_future runs = submit(pool, until_cancelled, &there);
    rp_future waits = submit(pool, behind_it, &there);
    expect(rp_wait(pool, runs, 0.2) == RP_ERR_TIMEOUT, "it runs");
    expect(rp_cancel(pool, waits) == RP_OK, "rp_cancel");
    (void)get(pool, waits, RP_ERR_CANCELLED, "behind_it");
    expect(rp_cancel(pool, runs) == RP_OK, "rp_cancel");
    (void)get(pool, runs, RP_ERR_CANCELLED, "until_cancelled");
}

static void all_faults(rp_pool *pool, int *second)
{
    rp_task_options retried = RP_TASK_OPTIONS_INIT, limited = RP_TASK_OPTIONS_INIT;
    retried.retries = 2;
    limited.time_limit = 0.1;
    lose_one(pool, second);
    (void)get(pool, submit(pool, third_time, &retried), RP_OK, "third_time");
    (void)get(pool, submit(pool, too_long, &limited), RP_ERR_DEADLINE, "too_long");
    cancel_two(pool);
    send_signal(pool, 4, SIGSTOP);
    drive_until(pool, GIVEN_UP, 1);
}

static void all_crashes(rp_pool *pool)
{
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    options.attempts = 2;
    (void)get(pool, submit(pool, crashes, &options), RP_ERR_CRASHED, "crashes");
    rp_future future = submit(pool, deaf, &options);
    expect(rp_wait(pool, future, 0.2) == RP_ERR_TIMEOUT, "it runs");
    expect(rp_cancel(pool, future) == RP_OK, "rp_cancel");
    (void)get(pool, future, RP_ERR_CANCELLED, "deaf");
    options.time_limit = 0.1;
    (void)get(pool, submit(pool, overruns, &options), RP_ERR_DEADLINE, "overruns");
}

static void end_all(rp_pool *pool)
{
    int workers = (int)rp_workers(pool);
    rp_future future = submit(pool, deaf, NULL);
    expect(rp_wait(pool, future, 0.2) == RP_ERR_TIMEOUT, "it runs");
    for (int i = 1; i <= workers; i++)
        send_signal(pool, i, SIGKILL);
    (void)get(pool, future, RP_ERR_BROKEN, "deaf");
}

/* ---- the trace ---- */

static sqlite3 *database;

/* The number that the query gives; -1: none. */
static int64_t number(const char *query)
{
    sqlite3_stmt *statement = NULL;
    int64_t value = -1;
    if (sqlite3_prepare_v2(database, query, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_type(statement, 0) != SQLITE_NULL)
        value = sqlite3_column_int64(statement, 0);
    else
        printf("%s: %s\n", query, sqlite3_errmsg(database));
    (void)sqlite3_finalize(statement);
    return value;
}

/* Of the events of which that is true. */
static void count(int want, const char *which)
{
    char query[600];
    (void)snprintf(query, sizeof query, "SELECT count(*) FROM event WHERE %s", which);
    int64_t got = number(query);
    if (got != want)
        printf("%lld events, not %d: %s\n", (long long)got, want, which);
    expect(got == want, "the trace's events");
}

static void holds(const char *query)
{
    int64_t got = number(query);
    if (got != 1)
        printf("not so: %s\n", query);
    expect(got == 1, "the trace's times");
}

/* The whole file, as one array. */
static bool load(const char *path)
{
    static const char make[] =
        "CREATE TABLE event AS SELECT key AS line, json_extract(value, '$.ph') AS ph, "
        "json_extract(value, '$.name') AS "
        "name,"
        " json_extract(value, '$.pid') AS pid, json_extract(value, '$.tid') AS tid, "
        "json_extract(value, '$.ts') AS ts,"
        " json_extract(value, '$.dur') AS dur, json_extract(value, '$.args.attempt') AS attempt,"
        " json_extract(value, '$.args.status') AS status FROM json_each(?1)";
    struct stat info = { 0 };
    sqlite3_stmt *statement = NULL;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    bool loaded = file >= 0 && fstat(file, &info) == 0;
    char *text = calloc(1, (size_t)info.st_size + 1);
    loaded = loaded && text && read(file, text, (size_t)info.st_size) == info.st_size &&
             sqlite3_open(":memory:", &database) == SQLITE_OK &&
             sqlite3_prepare_v2(database, make, -1, &statement, NULL) == SQLITE_OK &&
             sqlite3_bind_text64(statement, 1, text, (sqlite3_uint64)info.st_size, SQLITE_STATIC,
                                 SQLITE_UTF8) == SQLITE_OK &&
             sqlite3_step(statement) == SQLITE_DONE;
    if (!loaded)
        printf("the trace: %s\n", database ? sqlite3_errmsg(database) : strerror(errno));
    (void)sqlite3_finalize(statement);
    free(text);
    if (file >= 0)
        (void)close(file);
    expect(loaded, "the trace is JSON");
    return loaded;
}

/* Whatever happened: what is told when it happens is in order, tasks of a worker do not overlap,
 * and every event is in a row that has a name. */
static void check_order(double seconds)
{
    char query[300];
    holds("SELECT ifnull(min(later), 1) FROM (SELECT ts >= lag(ts, 1, 0) OVER (ORDER BY line) AS "
          "later FROM event WHERE ph "
          "IN ('i', "
          "'C'))");
    holds("SELECT ifnull(min(later), 1) FROM (SELECT ts + 0.002 >= lag(ts + dur, 1, 0) OVER "
          "(PARTITION BY tid ORDER BY "
          "line) AS later"
          " FROM event WHERE ph = 'X')");
    holds("SELECT min(tid IN (SELECT tid FROM event WHERE name = 'thread_name')) FROM event WHERE "
          "ph IN ('X', 'i')");
    (void)snprintf(
        query, sizeof query,
        "SELECT min(ts >= 0 AND ts + ifnull(dur, 0) <= %.0f) FROM event WHERE ts NOT NULL",
        seconds * 1e6);
    holds(query);
    count(0, "ph NOT IN ('M', 'X', 'C', 'i')");
}

static void check_faults(int second)
{
    char query[200];
    count(1, "ph = 'i' AND name = 'lost' AND tid = 1");
    count(1, "ph = 'i' AND name LIKE 'replaced by pid %' AND tid = 1");
    count(1, "ph = 'i' AND name = 'given up' AND tid = 4");
    count(1, "name = 'given up'");
    /* the start that ended with its worker left no event; the second one did */
    (void)snprintf(query, sizeof query,
                   "name = 'taken_down' AND attempt = 2 AND status = 'success' AND tid = %d",
                   second);
    count(1, query);
    count(1, "name = 'taken_down'");
    holds("SELECT ts + dur >= (SELECT ts FROM event WHERE name = 'lost') FROM event WHERE name = "
          "'taken_down'");
    holds("SELECT tid = 1 AND attempt = 1 AND ts >= (SELECT ts FROM event WHERE name LIKE "
          "'replaced%') FROM event"
          " WHERE name = 'at_the_heir'");
    count(2, "name = 'third_time' AND status = 'the task failed'");
    holds("SELECT group_concat(attempt) = '1,2,3' FROM (SELECT attempt FROM event WHERE name = "
          "'third_time' ORDER BY ts)");
    count(1, "name = 'third_time' AND attempt = 3 AND status = 'success'");
    count(1, "name = 'too_long' AND status = 'the task overran its time limit' AND dur >= 300000");
    count(1, "name = 'until_cancelled' AND status = 'the task was cancelled' AND tid = 2 AND dur "
             ">= 150000");
    count(0, "name = 'behind_it'"); /* it never ran */
}

static void check_crashes(void)
{
    count(2, "name = 'crashes' AND status = 'the task''s process died' AND dur >= 20000 AND dur < "
             "5000000");
    holds("SELECT group_concat(attempt) = '1,2' FROM (SELECT attempt FROM event WHERE name = "
          "'crashes' ORDER BY ts)");
    count(
        1,
        "name = 'deaf' AND status = 'the task was cancelled' AND dur >= 150000 AND dur < 5000000");
    count(1, "name = 'overruns' AND status = 'the task overran its time limit' AND dur >= 100000 "
             "AND dur < 5000000");
    count(4, "ph = 'X'");
}

static void check_end(int workers)
{
    count(workers, "ph = 'i' AND name = 'lost' AND tid > 0");
    count(1, "ph = 'i' AND tid = 0 AND name LIKE '%no worker is left%'");
    holds("SELECT (SELECT ts FROM event WHERE ph = 'i' AND tid = 0) >= max(ts) FROM event WHERE "
          "name = 'lost'");
    count(0, "ph = 'X'");
}

/* ---- the whole ---- */

static rp_config make_config(char kind, const char *path)
{
    rp_config config = RP_CONFIG_INIT;
    config.trace = path;
    config.log = listen_to;
    if (kind == 'f') {
        config.lost_after = 0.5;
        config.respawn = 1;
    }
    if (kind == 'c') {
        config.isolation = RP_FORK;
        config.cancel_grace = 0.05;
    }
    return config;
}

int main(int argc, char **argv)
{
    rp_pool *pool;
    int second = -1;
    if (argc != 3)
        return 2;
    char kind = argv[1][0];
    rp_config config = make_config(kind, argv[2]);
    double began = now();
    if (rp_open(&config, &pool) != RP_OK) {
        printf("open: %s\n", rp_error_message());
        return 1;
    }
    if (!pool)
        return 0;
    int workers = (int)rp_workers(pool);
    if (kind == 'f')
        all_faults(pool, &second);
    else if (kind == 'c')
        all_crashes(pool);
    else
        end_all(pool);
    expect(rp_close(&pool) == (kind == 'e' ? RP_ERR_BROKEN : RP_OK), "rp_close");
    double seconds = now() - began;
    if (load(argv[2])) {
        check_order(seconds);
        if (kind == 'f')
            check_faults(second);
        else if (kind == 'c')
            check_crashes();
        else
            check_end(workers);
        printf("%lld events\n", (long long)number("SELECT count(*) FROM event"));
    }
    (void)sqlite3_close(database);
    return wrong > 0;
}
