/* config.isolation = RP_FORK: tasks that crash, leave, overrun or are killed cost their process,
 * and no other. */
/* run: alone, -n 2, -n 4 */
/* limit: 300 */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* ---- tasks ---- */

enum way { SEGV, ABORT, EXIT, UNDERSCORE_EXIT, KILLED, OVERFLOW, FPE, WAYS };

static int overflow(int depth)
{
    volatile char room[4096];
    room[0] = (char)depth;
    return depth < 0 ? 0 : overflow(depth + 1) + room[0];
}

static volatile int zero;

static void die(enum way way)
{
    switch (way) {
    case SEGV:
        *(volatile int *)(uintptr_t)(zero + 64) =
            1; /* nothing is there, and a sanitizer leaves it to the kernel */
        break;
    case ABORT:
        abort();
    case EXIT:
        exit(3);
    case UNDERSCORE_EXIT:
        _exit(4);
    case KILLED:
        (void)kill(getpid(), SIGKILL);
        break;
    case OVERFLOW:
        zero = overflow(1);
        break;
    case FPE:
        (void)raise(SIGFPE);
        break;
    case WAYS:
        break;
    }
}

static rp_status dies(rp_call *call, const void *arg, size_t size)
{
    enum way way;
    (void)call;
    if (size != sizeof way)
        return rp_fail(call, 1, "%zu bytes", size);
    memcpy(&way, arg, sizeof way);
    (void)fprintf(stderr, "line one\nline two of way %d\n", (int)way);
    die(way);
    return RP_OK;
}
RP_TASK(dies);

/* Dies unless it is started the second time. */
static rp_status dies_once(rp_call *call, const void *arg, size_t size)
{
    rp_call_info info = RP_CALL_INFO_INIT;
    rp_call_info_of(call, &info);
    if (info.attempt < 2)
        die(SEGV);
    return rp_return(call, arg, size);
}
RP_TASK(dies_once);

static rp_status loops(rp_call *call, const void *arg, size_t size)
{
    (void)call;
    (void)arg;
    (void)size;
    while (zero == 0)
        continue;
    return RP_OK;
}
RP_TASK(loops);

static rp_status heeds(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    while (!rp_cancelled(call))
        (void)usleep(1000);
    return RP_ERR_CANCELLED;
}
RP_TASK(heeds);

static rp_status closes_all(rp_call *call, const void *arg, size_t size)
{
    for (int fd = 0; fd < 1024; fd++)
        (void)close(fd);
    return rp_return(call, arg, size);
}
RP_TASK(closes_all);

static rp_status gives(rp_call *call, const void *arg, size_t size)
{
    uint64_t bytes;
    (void)size;
    memcpy(&bytes, arg, sizeof bytes);
    uint8_t *room = rp_reserve(call, bytes);
    if (!room)
        return rp_fail(call, 1, "no room");
    for (uint64_t i = 0; i < bytes; i += 4096)
        room[i] = (uint8_t)(i / 4096);
    return RP_OK;
}
RP_TASK(gives);

static rp_status takes_all_memory(rp_call *call, const void *arg, size_t size)
{
    struct rlimit limit = { 0 };
    (void)call;
    (void)arg;
    (void)size;
    limit.rlim_cur = limit.rlim_max = (rlim_t)1
                                      << 28; /* it has more than that already: no more can be had */
    if (setrlimit(RLIMIT_AS, &limit) != 0)
        return rp_fail(call, 1, "setrlimit");
    for (;;) {
        volatile char *memory = malloc(1 << 20);
        if (!memory)
            abort();
        memory[0] = 1;
    }
}
RP_TASK(takes_all_memory);

/* Leaves two processes, one of them in a session of its own, and tells their pids through a
 * file. */
static rp_status breeds(rp_call *call, const void *arg, size_t size)
{
    int file = open(arg, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    (void)call;
    (void)size;
    for (int i = 0; i < 2; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            if (i)
                (void)setsid();
            for (;;)
                (void)pause();
        }
        if (write(file, &pid, sizeof pid) != sizeof pid)
            return rp_fail(call, 1, "write");
    }
    die(SEGV);
    return RP_OK;
}
RP_TASK(breeds);

/* Its copy comes back too. */
static rp_status forks_back(rp_call *call, const void *arg, size_t size)
{
    pid_t pid = fork();
    if (pid > 0 && waitpid(pid, NULL, 0) != pid)
        return rp_fail(call, 1, "waitpid");
    return pid < 0 ? rp_fail(call, 2, "fork") : rp_return(call, arg, size);
}
RP_TASK(forks_back);

static rp_status talks(rp_call *call, const void *arg, size_t size)
{
    static char line[1000];
    (void)call;
    (void)arg;
    (void)size;
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\n';
    for (int i = 0; i < 300; i++)
        (void)!write(STDERR_FILENO, line, sizeof line);
    (void)fprintf(stderr, "the very last word\n");
    abort();
}
RP_TASK(talks);

static const char gene[] = "worker data";

static rp_status born(rp_call *call, const void *arg, size_t size)
{
    char *copy = malloc(size);
    if (!copy)
        return rp_fail(call, 2, "no memory");
    memcpy(copy, arg, size);
    *rp_worker_data(call) = copy;
    return RP_OK;
}
RP_TASK(born);

static rp_status data_of(rp_call *call, const void *arg, size_t size)
{
    const char *data = *rp_worker_data(call);
    (void)arg;
    (void)size;
    return data ? rp_return(call, data, strlen(data) + 1) : rp_fail(call, 1, "no worker data");
}
RP_TASK(data_of);

/* An initializer that works as long as a file is there. */
static rp_status born_while(rp_call *call, const void *arg, size_t size)
{
    (void)size;
    return access(arg, F_OK) == 0 ? RP_OK : rp_fail(call, 77, "the file is gone");
}
RP_TASK(born_while);

static rp_status stillborn(rp_call *call, const void *arg, size_t size)
{
    (void)call;
    (void)arg;
    (void)size;
    die(SEGV);
    return RP_OK;
}
RP_TASK(stillborn);

static rp_status parent(rp_call *call, const void *arg, size_t size)
{
    int64_t depth;
    (void)size;
    memcpy(&depth, arg, sizeof depth);
    for (int64_t i = 0; depth > 0 && i < 3; i++) {
        int64_t next = depth - 1;
        if (rp_spawn(call, parent, &next, sizeof next, NULL) != RP_OK)
            return rp_fail(call, 1, "spawn");
    }
    return rp_return(call, &depth, sizeof depth);
}
RP_TASK(parent);

static rp_status adds(rp_call *call, const void *arg, size_t size)
{
    int64_t sum = 0;
    (void)arg;
    (void)size;
    for (size_t i = 0;; i++) {
        size_t bytes = 0;
        int64_t value;
        const void *input = rp_input(call, i, &bytes);
        if (!input)
            return rp_return(call, &sum, sizeof sum);
        memcpy(&value, input, sizeof value);
        sum += value;
    }
}
RP_TASK(adds);

static rp_status seed_of(rp_call *call, const void *arg, size_t size)
{
    uint64_t seed = rp_seed(call);
    (void)arg;
    (void)size;
    return rp_return(call, &seed, sizeof seed);
}
RP_TASK(seed_of);

static rp_status first_shared(rp_call *call, const void *arg, size_t size)
{
    size_t bytes = 0;
    const char *data = rp_shared(call, arg, &bytes);
    (void)size;
    return data ? rp_return(call, data, bytes) : rp_fail(call, 5, "nothing is shared");
}
RP_TASK(first_shared);

static rp_status negates(rp_call *call, const void *arg, size_t size)
{
    int64_t value;
    (void)size;
    memcpy(&value, arg, sizeof value);
    if (value % 100 == 7)
        return rp_fail(call, 7, "no %lld", (long long)value);
    value = -value;
    return rp_return(call, &value, sizeof value);
}
RP_TASK(negates);

/* Dies of every 50th item, loops in every 150th, fails in every 100th. */
static rp_status is_delicate(rp_call *call, const void *arg, size_t size)
{
    int32_t value;
    if (size != sizeof value)
        return rp_fail(call, 1, "%zu bytes", size);
    memcpy(&value, arg, sizeof value);
    if (value % 50 == 13)
        die(value % 100 == 13 ? SEGV : EXIT);
    while (value % 150 == 20 && zero == 0)
        continue;
    if (value % 100 == 90)
        return rp_fail(call, 9, "no %d", (int)value);
    return rp_return(call, &value, sizeof value);
}
RP_TASK(is_delicate);

/* ---- helpers ---- */

static bool open_forked(void)
{
    rp_config config = RP_CONFIG_INIT;
    config.isolation = RP_FORK;
    return open_pool(&config);
}

static rp_task_options once(void)
{
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    options.attempts = 1;
    return options;
}

static rp_future submit_with(rp_fn *fn, const void *arg, size_t size,
                             const rp_task_options *options)
{
    rp_future future = { 0 };
    IS(RP_OK, rp_submit(pool, fn, arg, size, options, &future));
    return future;
}

/* The pool goes on. */
static void still_works(void)
{
    int64_t in = 21, out = 0;
    IS(RP_OK, rp_apply(pool, twice, &in, sizeof in, &out, sizeof out, NULL));
    CU_ASSERT_EQUAL(out, 42);
}

static void make_file(char *path, size_t size)
{
    const char *dir = getenv("TMPDIR");
    (void)snprintf(path, size, "%s/rankpool-fork-XXXXXX", dir ? dir : "/tmp");
    int file = mkstemp(path);
    CU_ASSERT_FATAL(file >= 0);
    (void)close(file);
}

/* Whether the process is there, and no zombie. */
static bool lives(pid_t pid)
{
    char path[64], text[512], state = 'Z';
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    if (fgets(text, sizeof text, file) && strrchr(text, ')'))
        state = strrchr(text, ')')[2];
    (void)fclose(file);
    return state != 'Z' && state != 'X';
}

static bool ends_soon(pid_t pid)
{
    for (double end = seconds() + 20; seconds() < end; (void)usleep(1000))
        if (!lives(pid))
            return true;
    return false;
}

/* ---- as everywhere ---- */

static void parity(void)
{
    if (!open_forked())
        return;
    still_works();
    for (size_t size = 0; size < 5000000; size = size * 3 + 1) {
        uint8_t *in = malloc(size + 1), *out = malloc(size + 1);
        size_t got = 1;
        CU_ASSERT_FATAL(in && out);
        fill(in, size, size);
        IS(RP_OK, rp_apply(pool, echo, in, size, out, size, &got));
        CU_ASSERT_EQUAL(got, size);
        CU_ASSERT(filled(out, size, size));
        free(in);
        free(out);
    }
    int bad = -5;
    IS(RP_ERR_TASK, rp_apply(pool, returns, &bad, sizeof bad, NULL, 0, NULL));
    close_pool();
}

static void inputs_and_seeds(void)
{
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    rp_future futures[4];
    int64_t sum = 0;
    uint64_t seeds[2] = { 0, 0 };
    for (int forked = 0; forked < 2; forked++) {
        rp_config config = RP_CONFIG_INIT;
        config.isolation = forked ? RP_FORK : RP_INLINE;
        config.seed = 99;
        if (!open_pool(&config))
            continue;
        IS(RP_OK, rp_apply(pool, seed_of, NULL, 0, &seeds[forked], sizeof *seeds, NULL));
        for (int64_t i = 0; i < 4; i++)
            futures[i] = submit(twice, &i, sizeof i);
        options.after = futures;
        options.after_count = 4;
        rp_future last = submit_with(adds, NULL, 0, &options);
        IS(RP_OK, rp_get(pool, last, RP_FOREVER, &sum, sizeof sum, NULL));
        CU_ASSERT_EQUAL(sum, 12);
        close_pool();
        CU_ASSERT(seeds[forked] != 0);
    }
    CU_ASSERT_EQUAL(seeds[0], seeds[1]);
}

static void maps(void)
{
    enum { ITEMS = 5000 };
    static int64_t in[ITEMS], out[ITEMS];
    static rp_status statuses[ITEMS];
    rp_map_options options = RP_MAP_OPTIONS_INIT;
    int wrong = 0;
    if (!open_forked())
        return;
    for (int i = 0; i < ITEMS; i++)
        in[i] = i;
    options.statuses = statuses;
    IS(RP_ERR_TASK, rp_map(pool, negates, in, sizeof *in, ITEMS, out, sizeof *out, &options));
    SAYS("no 7");
    for (int i = 0; i < ITEMS; i++)
        wrong += i % 100 == 7 ? statuses[i] != RP_ERR_TASK : statuses[i] != RP_OK || out[i] != -i;
    CU_ASSERT_EQUAL(wrong, 0);
    close_pool();
}

static rp_status delicate_status(int32_t value)
{
    return value % 50 == 13    ? RP_ERR_CRASHED
           : value % 150 == 20 ? RP_ERR_DEADLINE
           : value % 100 == 90 ? RP_ERR_TASK
                               : RP_OK;
}

/* What dies or overruns is one item, whatever chunk it is in. */
static void maps_that_crash(void)
{
    enum { ITEMS = 300 };
    static int32_t in[ITEMS], out[ITEMS];
    static rp_status statuses[ITEMS];
    const size_t chunks[] = { 0, 1, 7, ITEMS };
    rp_map_options options = RP_MAP_OPTIONS_INIT;
    rp_task_options task = RP_TASK_OPTIONS_INIT;
    task.time_limit = 0.5;
    options.statuses = statuses;
    options.task = &task;
    if (!open_forked())
        return;
    for (size_t k = 0; k < sizeof chunks / sizeof *chunks; k++) {
        int wrong = 0;
        for (int i = 0; i < ITEMS; i++) {
            in[i] = i;
            out[i] = -1;
        }
        options.chunk = chunks[k];
        IS(RP_ERR_CRASHED,
           rp_map(pool, is_delicate, in, sizeof *in, ITEMS, out, sizeof *out, &options));
        SAYS("item 13 of a map of is_delicate");
        SAYS("SIGSEGV");
        for (int i = 0; i < ITEMS; i++)
            wrong += statuses[i] != delicate_status(i) || out[i] != (statuses[i] == RP_OK ? i : -1);
        CU_ASSERT_EQUAL(wrong, 0);
    }
    close_pool();
}

static void spawned(void)
{
    rp_stream *stream = NULL;
    rp_item item = RP_ITEM_INIT;
    int64_t depth = 4;
    int count = 0;
    rp_status status;
    if (!open_forked())
        return;
    IS(RP_OK, rp_stream_open(pool, NULL, &stream));
    IS(RP_OK, rp_stream_submit(stream, parent, &depth, sizeof depth, NULL, NULL));
    IS(RP_OK, rp_stream_end(stream));
    while ((status = rp_stream_next(stream, RP_FOREVER, &item)) == RP_OK)
        count += item.outcome->status == RP_OK;
    IS(RP_END, status);
    CU_ASSERT_EQUAL(count, 1 + 3 + 9 + 27 + 81);
    IS(RP_OK, rp_stream_close(&stream));
    close_pool();
}

static void each_has_worker_data(void)
{
    rp_config config = RP_CONFIG_INIT;
    char text[20] = "";
    pid_t before = 0, after = 0;
    config.isolation = RP_FORK;
    config.initializer = born;
    config.init_arg = (rp_bytes){ gene, sizeof gene };
    if (!open_pool(&config))
        return;
    rp_task_options options = once();
    options.worker = 1;
    options.worker_hard = true;
    enum way way = SEGV;
    IS(RP_OK, rp_get(pool, submit_with(pid_of, NULL, 0, &options), RP_FOREVER, &before,
                     sizeof before, NULL));
    IS(RP_ERR_CRASHED,
       rp_get(pool, submit_with(dies, &way, sizeof way, &options), RP_FOREVER, NULL, 0, NULL));
    IS(RP_OK,
       rp_get(pool, submit_with(data_of, NULL, 0, &options), RP_FOREVER, text, sizeof text, NULL));
    CU_ASSERT_STRING_EQUAL(text, gene);
    IS(RP_OK, rp_get(pool, submit_with(pid_of, NULL, 0, &options), RP_FOREVER, &after, sizeof after,
                     NULL));
    CU_ASSERT(before != after && before != getpid());
    close_pool();
    CU_ASSERT(ends_soon(after));
    CU_ASSERT_FALSE(lives(before));
}

/* ---- ways to die ---- */

static void every_way(void)
{
    static const char *words[WAYS] = { "SIGSEGV", "SIGABRT", "status 3", "status 4",
                                       "SIGKILL", "SIGSEGV", "SIGFPE" };
    static const int codes[WAYS] = { SIGSEGV, SIGABRT, 3, 4, SIGKILL, SIGSEGV, SIGFPE };
    if (!open_forked())
        return;
    for (enum way way = SEGV; way < WAYS; way++) {
        rp_outcome outcome = RP_OUTCOME_INIT;
        rp_task_options options = once();
        char line[40], number[40];
        rp_future future = submit_with(dies, &way, sizeof way, &options);
        IS(RP_OK, rp_wait(pool, future, RP_FOREVER));
        IS(RP_OK, rp_outcome_of(pool, future, &outcome));
        CU_ASSERT_EQUAL(outcome.status, RP_ERR_CRASHED);
        CU_ASSERT_EQUAL(outcome.code, codes[way]);
        CU_ASSERT_EQUAL(outcome.attempts, 1);
        CU_ASSERT_EQUAL(outcome.size, 0);
        (void)snprintf(line, sizeof line, "line one|line two of way %d", (int)way);
        (void)snprintf(number, sizeof number, "on worker %d (%s)", outcome.worker, outcome.host);
        const char *parts[] = { words[way], line, number, "task dies (number ", "crashed", "pid " };
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
            says(outcome.message, parts[i], __FILE__, __LINE__);
        IS(RP_ERR_CRASHED, rp_get(pool, future, 0, NULL, 0, NULL));
        still_works();
    }
    close_pool();
}

static void attempts(void)
{
    rp_outcome outcome = RP_OUTCOME_INIT;
    enum way way = ABORT;
    char text[8] = "";
    if (!open_forked())
        return;
    rp_future future = submit(dies, &way, sizeof way);
    IS(RP_OK, rp_wait(pool, future, RP_FOREVER));
    IS(RP_OK, rp_outcome_of(pool, future, &outcome));
    CU_ASSERT_EQUAL(outcome.status, RP_ERR_CRASHED);
    CU_ASSERT_EQUAL(outcome.attempts, 3);
    IS(RP_OK, rp_release(pool, future));
    future = submit(dies_once, "again", 6);
    IS(RP_OK, rp_wait(pool, future, RP_FOREVER));
    IS(RP_OK, rp_outcome_of(pool, future, &outcome));
    CU_ASSERT_EQUAL(outcome.attempts, 2);
    IS(RP_OK, rp_get(pool, future, 0, text, sizeof text, NULL));
    CU_ASSERT_STRING_EQUAL(text, "again");
    close_pool();
}

/* Who ignores SIGCHLD has its children reaped by the kernel, and so would what it forks. */
static void sigchld_ignored(void)
{
    enum way way = SEGV;
    rp_task_options options = once();
    void (*before)(int) = signal(SIGCHLD, SIG_IGN);
    if (open_forked()) {
        IS(RP_ERR_CRASHED,
           rp_get(pool, submit_with(dies, &way, sizeof way, &options), 20, NULL, 0, NULL));
        still_works();
        close_pool();
    }
    (void)signal(SIGCHLD, before);
}

static void time_limit(void)
{
    rp_task_options options = once();
    rp_outcome outcome = RP_OUTCOME_INIT;
    if (!open_forked())
        return;
    options.time_limit = 0.05;
    options.retries = 1;
    rp_future future = submit_with(loops, NULL, 0, &options);
    IS(RP_OK, rp_wait(pool, future, RP_FOREVER));
    IS(RP_OK, rp_outcome_of(pool, future, &outcome));
    CU_ASSERT_EQUAL(outcome.status, RP_ERR_DEADLINE);
    CU_ASSERT_EQUAL(outcome.attempts, 2);
    says(outcome.message, "task loops (number 0) overran its time limit on worker", __FILE__,
         __LINE__);
    says(outcome.message, "was killed after its limit of 0.05 s", __FILE__, __LINE__);
    still_works();
    close_pool();
}

static void closes_descriptors(void)
{
    char text[5] = "";
    if (!open_forked())
        return;
    for (int i = 0; i < 3; i++) {
        IS(RP_OK, rp_apply(pool, closes_all, "fine", 5, text, sizeof text, NULL));
        CU_ASSERT_STRING_EQUAL(text, "fine");
        still_works();
    }
    close_pool();
}

static void out_of_memory(void)
{
    rp_task_options options = once();
    if (SANITIZED || !open_forked())
        return;
    IS(RP_ERR_CRASHED,
       rp_get(pool, submit_with(takes_all_memory, NULL, 0, &options), RP_FOREVER, NULL, 0, NULL));
    SAYS("SIGABRT");
    still_works();
    close_pool();
}

static void large_result(void)
{
    uint64_t bytes = getenv("RANKPOOL_GIGABYTE") ? (uint64_t)1 << 30 : (uint64_t)64 << 20;
    void *data = NULL;
    size_t size = 0, wrong = 0;
    if (!open_forked())
        return;
    IS(RP_OK, rp_take(pool, submit(gives, &bytes, sizeof bytes), RP_FOREVER, &data, &size));
    CU_ASSERT_EQUAL(size, bytes);
    for (size_t i = 0; data && i < size; i += 4096)
        wrong += ((uint8_t *)data)[i] != (uint8_t)(i / 4096);
    CU_ASSERT_EQUAL(wrong, 0);
    rp_free(data);
    still_works();
    close_pool();
}

static void grandchildren(void)
{
    rp_task_options options = once();
    char path[200];
    pid_t pids[2] = { 0, 0 };
    if (!open_forked())
        return;
    make_file(path, sizeof path);
    IS(RP_ERR_CRASHED,
       rp_get(pool, submit_with(breeds, path, sizeof path, &options), RP_FOREVER, NULL, 0, NULL));
    int file = open(path, O_RDONLY | O_CLOEXEC);
    CU_ASSERT_EQUAL(read(file, pids, sizeof pids), (ssize_t)sizeof pids);
    (void)close(file);
    (void)unlink(path);
    CU_ASSERT(pids[0] > 0 && pids[1] > 0);
    CU_ASSERT(ends_soon(pids[0]));
    CU_ASSERT(ends_soon(pids[1]));
    still_works();
    close_pool();
}

/* What a task forks never does its parent's work. */
static void copies_come_back(void)
{
    int64_t in[20], out[20] = { 0 };
    rp_task_options options = once();
    if (!open_forked())
        return;
    options.worker = 1;
    options.worker_hard = true;
    options.time_limit = 30;
    for (int i = 0; i < 20; i++)
        in[i] = i;
    for (int i = 0; i < 3; i++) {
        pid_t pids[2];
        IS(RP_OK, rp_get(pool, submit_with(pid_of, NULL, 0, &options), RP_FOREVER, &pids[0],
                         sizeof pids[0], NULL));
        IS(RP_OK, rp_get(pool, submit_with(forks_back, &in[i], 8, &options), RP_FOREVER, &out[i], 8,
                         NULL));
        IS(RP_OK, rp_get(pool, submit_with(pid_of, NULL, 0, &options), RP_FOREVER, &pids[1],
                         sizeof pids[1], NULL));
        CU_ASSERT_EQUAL(pids[0], pids[1]);
    }
    IS(RP_OK, rp_map(pool, forks_back, in, 8, 20, out, 8, NULL));
    CU_ASSERT(!memcmp(in, out, sizeof in));
    still_works();
    close_pool();
}

static void last_words(void)
{
    rp_task_options options = once();
    if (!open_forked())
        return;
    IS(RP_ERR_CRASHED,
       rp_get(pool, submit_with(talks, NULL, 0, &options), RP_FOREVER, NULL, 0, NULL));
    SAYS("The end of its standard error: the very last word");
    still_works();
    close_pool();
}

static void killed_from_outside(void)
{
    pid_t pid = 0, next = 0;
    rp_task_options options = once();
    options.worker = 1;
    options.worker_hard = true;
    if (!open_forked())
        return;
    IS(RP_OK,
       rp_get(pool, submit_with(pid_of, NULL, 0, &options), RP_FOREVER, &pid, sizeof pid, NULL));
    CU_ASSERT_EQUAL(kill(pid, SIGKILL), 0);
    IS(RP_OK,
       rp_get(pool, submit_with(pid_of, NULL, 0, &options), RP_FOREVER, &next, sizeof next, NULL));
    CU_ASSERT(pid != next); /* no task fails, as none ran there */
    close_pool();
}

/* ---- being told to stop ---- */

static void cancelled(void)
{
    rp_config config = RP_CONFIG_INIT;
    config.isolation = RP_FORK;
    config.cancel_grace = 0.05;
    if (!open_pool(&config))
        return;
    if (ranks() > 1) {
        rp_future deaf = submit(loops, NULL, 0), polite = submit(heeds, NULL, 0);
        while (rp_state_of(pool, deaf) != RP_SENT)
            (void)usleep(1000);
        IS(RP_OK, rp_cancel(pool, deaf));
        IS(RP_ERR_CANCELLED, rp_get(pool, deaf, RP_FOREVER, NULL, 0, NULL));
        while (rp_state_of(pool, polite) != RP_SENT)
            (void)usleep(1000);
        IS(RP_OK, rp_cancel(pool, polite));
        IS(RP_ERR_CANCELLED, rp_get(pool, polite, RP_FOREVER, NULL, 0, NULL));
    }
    still_works();
    close_pool();
}

static void terminated(void)
{
    rp_config config = RP_CONFIG_INIT;
    pid_t pid = 0;
    config.isolation = RP_FORK;
    config.cancel_grace = 0.05;
    if (ranks() == 1 || !open_pool(&config))
        return;
    for (int i = 0; i < 10; i++) {
        rp_future future = submit(loops, NULL, 0);
        while (i == 0 && rp_state_of(pool, future) != RP_SENT)
            (void)usleep(1000);
    }
    IS(RP_OK, rp_terminate(&pool));
    (void)pid;
}

/* ---- a process's life ---- */

static char finale[200];

static void finalise(void *worker_data)
{
    int file = open(worker_data, O_WRONLY | O_APPEND | O_CLOEXEC);
    pid_t pid = getpid();
    (void)!write(file, &pid, sizeof pid);
    (void)close(file);
}

static void recycled(void)
{
    enum { TASKS = 10 };
    rp_config config = RP_CONFIG_INIT;
    rp_task_options options = once();
    pid_t pids[TASKS], buried[TASKS] = { 0 };
    config.isolation = RP_FORK;
    config.tasks_per_child = 3;
    config.initializer = born;
    config.finalizer = finalise;
    if (rank_here() == 0)
        make_file(finale, sizeof finale);
    config.init_arg = (rp_bytes){ finale, sizeof finale };
    options.worker = 1;
    options.worker_hard = true;
    if (!open_pool(&config))
        return;
    for (int i = 0; i < TASKS; i++)
        IS(RP_OK, rp_get(pool, submit_with(pid_of, NULL, 0, &options), RP_FOREVER, &pids[i],
                         sizeof pids[i], NULL));
    for (int i = 1; i < TASKS; i++)
        CU_ASSERT((pids[i] == pids[i - 1]) == (i % 3 != 0));
    int file = open(finale, O_RDONLY | O_CLOEXEC);
    ssize_t size = read(file, buried, sizeof buried);
    (void)close(file);
    (void)unlink(finale);
    CU_ASSERT_EQUAL(size, (ssize_t)(3 * sizeof *buried));
    for (int i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(buried[i], pids[(ptrdiff_t)3 * i]);
    close_pool();
}

static void failing_initializer(void)
{
    rp_config config = RP_CONFIG_INIT;
    rp_pool *none = NULL;
    config.isolation = RP_FORK;
    config.initializer = stillborn;
    IS(RP_ERR_BROKEN, rp_open(&config, &none));
    SAYS("the initializer stillborn failed on worker");
    SAYS("SIGSEGV");
    config.initializer = born_while;
    config.init_arg = (rp_bytes){ "/nowhere/at/all", 16 };
    IS(RP_ERR_BROKEN, rp_open(&config, &none));
    SAYS("the initializer born_while failed on worker");
    SAYS("with code 77: the file is gone");
    CU_ASSERT_PTR_NULL(none);
}

static void initializer_fails_later(void)
{
    rp_config config = RP_CONFIG_INIT;
    rp_task_options options = once();
    enum way way = SEGV;
    static char path[200];
    config.isolation = RP_FORK;
    config.initializer = born_while;
    if (rank_here() == 0)
        make_file(path, sizeof path);
    config.init_arg = (rp_bytes){ path, sizeof path };
    options.worker = 1;
    options.worker_hard = true;
    if (!open_pool(&config))
        return;
    (void)unlink(path);
    IS(RP_ERR_CRASHED,
       rp_get(pool, submit_with(dies, &way, sizeof way, &options), RP_FOREVER, NULL, 0, NULL));
    for (int i = 0; i < 2; i++) {
        IS(RP_ERR_CRASHED,
           rp_get(pool, submit_with(nothing, NULL, 0, &options), RP_FOREVER, NULL, 0, NULL));
        SAYS("there is no process to run it in");
        SAYS("the initializer born_while failed");
        SAYS("the file is gone");
    }
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    (void)close(file);
    IS(RP_OK, rp_get(pool, submit_with(nothing, NULL, 0, &options), RP_FOREVER, NULL, 0, NULL));
    (void)unlink(path);
    close_pool();
}

static void shares(void)
{
    char text[16] = "", name[] = "set";
    enum way way = SEGV;
    rp_task_options options = once();
    options.worker = 1;
    options.worker_hard = true;
    if (!open_forked())
        return;
    IS(RP_ERR_TASK, rp_get(pool, submit_with(first_shared, name, sizeof name, &options), RP_FOREVER,
                           NULL, 0, NULL));
    IS(RP_OK, rp_share(pool, name, "the first", 10));
    IS(RP_OK, rp_get(pool, submit_with(first_shared, name, sizeof name, &options), RP_FOREVER, text,
                     sizeof text, NULL));
    CU_ASSERT_STRING_EQUAL(text, "the first");
    IS(RP_ERR_CRASHED,
       rp_get(pool, submit_with(dies, &way, sizeof way, &options), RP_FOREVER, NULL, 0, NULL));
    IS(RP_OK, rp_get(pool, submit_with(first_shared, name, sizeof name, &options), RP_FOREVER, text,
                     sizeof text, NULL));
    CU_ASSERT_STRING_EQUAL(text, "the first");
    IS(RP_OK, rp_share(pool, name, "the second", 11));
    IS(RP_OK, rp_get(pool, submit_with(first_shared, name, sizeof name, &options), RP_FOREVER, text,
                     sizeof text, NULL));
    CU_ASSERT_STRING_EQUAL(text, "the second");
    IS(RP_OK, rp_share(pool, name, NULL, 0));
    IS(RP_ERR_TASK, rp_get(pool, submit_with(first_shared, name, sizeof name, &options), RP_FOREVER,
                           NULL, 0, NULL));
    close_pool();
}

/* ---- for long ---- */

static int count_files(pid_t pid)
{
    char path[64];
    int count = 0;
    for (int fd = 0; fd < 1024; fd++) {
        struct {
            char text[200];
        } target;
        (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
        count += readlink(path, target.text, sizeof target.text) > 0;
    }
    return count;
}

/* Processes whose parent this is. */
static int count_children(pid_t pid, pid_t *last)
{
    char path[64], text[4096] = "";
    int count = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    FILE *file = fopen(path, "re");
    if (file && fgets(text, sizeof text, file)) {
        for (char *at = text, *end; (*last = (pid_t)strtol(at, &end, 10)) > 0 && end != at;
             at = end, count++)
            continue;
        (void)sscanf(text, "%d", last);
    }
    if (file)
        (void)fclose(file);
    return count;
}

static void many_crashes(void)
{
    const char *wanted = getenv("RANKPOOL_CRASHES");
    int most = wanted ? (int)strtol(wanted, NULL, 10) : SANITIZED ? 50 : 300, crashed = 0;
    rp_worker_info info = RP_WORKER_INFO_INIT;
    rp_task_options options = once();
    enum way way = UNDERSCORE_EXIT;
    pid_t forkserver = 0, child = 0;
    options.worker = 1;
    options.worker_hard = true;
    if (!open_forked())
        return;
    still_works();
    IS(RP_OK, rp_worker_info_of(pool, 1, &info));
    int files = count_files((pid_t)info.pid);
    CU_ASSERT(files > 0);
    for (int i = 0; i < most; i++)
        crashed += rp_get(pool, submit_with(dies, &way, sizeof way, &options), RP_FOREVER, NULL, 0,
                          NULL) == RP_ERR_CRASHED;
    CU_ASSERT_EQUAL(crashed, most);
    IS(RP_OK, rp_get(pool, submit_with(nothing, NULL, 0, &options), RP_FOREVER, NULL, 0, NULL));
    CU_ASSERT_EQUAL(count_files((pid_t)info.pid), files);
    CU_ASSERT_EQUAL(count_children((pid_t)info.pid, &forkserver), 1);
    CU_ASSERT_EQUAL(count_children(forkserver, &child), 1);
    close_pool();
    CU_ASSERT(ends_soon(forkserver));
    CU_ASSERT(ends_soon(child));
}

static void refused(void)
{
    rp_config config = RP_CONFIG_INIT;
    rp_pool *none = NULL;
    config.tasks_per_child = 5;
    IS(RP_ERR_INVALID, rp_open(&config, &none));
    SAYS("config.tasks_per_child needs isolation = RP_FORK");
    config.tasks_per_child = 0;
    config.cancel_grace = 5;
    IS(RP_ERR_INVALID, rp_open(&config, &none));
    SAYS("config.cancel_grace needs isolation = RP_FORK");
    CU_ASSERT_PTR_NULL(none);
}

int main(int argc, char **argv)
{
    static CU_TestInfo as_everywhere[] = { { "parity", parity },
                                           { "inputs_and_seeds", inputs_and_seeds },
                                           { "maps", maps },
                                           { "maps_that_crash", maps_that_crash },
                                           { "spawned", spawned },
                                           { "shares", shares },
                                           { "each_has_worker_data", each_has_worker_data },
                                           { "refused", refused },
                                           CU_TEST_INFO_NULL };
    static CU_TestInfo deaths[] = { { "every_way", every_way },
                                    { "attempts", attempts },
                                    { "time_limit", time_limit },
                                    { "closes_descriptors", closes_descriptors },
                                    { "out_of_memory", out_of_memory },
                                    { "large_result", large_result },
                                    { "grandchildren", grandchildren },
                                    { "copies_come_back", copies_come_back },
                                    { "last_words", last_words },
                                    { "killed_from_outside", killed_from_outside },
                                    { "many_crashes", many_crashes },
                                    { "sigchld_ignored", sigchld_ignored },
                                    CU_TEST_INFO_NULL };
    static CU_TestInfo stops[] = { { "cancelled", cancelled },
                                   { "terminated", terminated },
                                   CU_TEST_INFO_NULL };
    static CU_TestInfo lives_of[] = { { "recycled", recycled },
                                      { "failing_initializer", failing_initializer },
                                      { "initializer_fails_later", initializer_fails_later },
                                      CU_TEST_INFO_NULL };
    static CU_SuiteInfo suites[] = { { "as_everywhere", NULL, NULL, NULL, end_pool, as_everywhere },
                                     { "deaths", NULL, NULL, NULL, end_pool, deaths },
                                     { "stops", NULL, NULL, NULL, end_pool, stops },
                                     { "lives", NULL, NULL, NULL, end_pool, lives_of },
                                     CU_SUITE_INFO_NULL };
    return harness_main(argc, argv, suites);
}
