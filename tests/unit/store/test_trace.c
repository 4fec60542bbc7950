/* The trace file: valid JSON, a row for each worker, a task once; what a death or a full disk
 * leaves can be loaded too. */
#include "harness.h"
#include "local_pool.h"
#include "store/trace.h"
#include "threads.h"

#include <ctype.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char directory[200], path[250];
static struct memory memory;
static char *text; /* the file's */
static int lines;  /* logged */

static void note(rp_level level, const char *line, void *user)
{
    (void)line;
    (void)user;
    lines += level <= RP_LOG_WARNING;
}

/* ---- tasks ---- */

static rp_status fast(rp_call *call, const void *arg, size_t size)
{
    return rp_return(call, arg, size);
}
RP_TASK(fast);

static rp_status slow(rp_call *call, const void *arg, size_t size)
{
    struct timespec rest = { .tv_nsec = 3000000 };
    (void)nanosleep(&rest, NULL);
    return rp_return(call, arg, size);
}
RP_TASK(slow);

static rp_status bad(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    return rp_fail(call, (int)size, "it always fails");
}

static rp_status large(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    return rp_reserve(call, 100000) ? RP_OK : RP_ERR_NOMEM;
}
RP_TASK(large);

static int register_bad(void)
{
    return rp_register("bad \"name\"\\\n", bad) != RP_OK;
}

/* ---- JSON: the whole grammar but for \u ---- */

static const char *value(const char *at);

static const char *blank(const char *at)
{
    while (at && *at && strchr(" \t\r\n", *at))
        at++;
    return at;
}

static const char *string(const char *at)
{
    if (*at++ != '"')
        return NULL;
    for (; *at != '"'; at++) {
        if ((unsigned char)*at < ' ')
            return NULL;
        if (*at == '\\' && !strchr("\"\\/bfnrt", *++at))
            return NULL;
    }
    return at + 1;
}

static const char *number(const char *at)
{
    char *end;
    const char *from = at + (*at == '-');
    if (!isdigit((unsigned char)*from) || (*from == '0' && isdigit((unsigned char)from[1])))
        return NULL;
    (void)strtod(at, &end);
    return end;
}

/* Members or elements up to `close`. */
static const char *several(const char *at, char close)
{
    at = blank(at + 1);
    if (*at == close)
        return at + 1;
    for (;;) {
        if (close == '}') {
            at = blank(string(at));
            if (!at || *at++ != ':')
                return NULL;
        }
        at = blank(value(at));
        if (!at || (*at != ',' && *at != close))
            return NULL;
        if (*at++ == close)
            return at;
        at = blank(at);
    }
}

static const char *value(const char *at)
{
    at = blank(at);
    if (*at == '{')
        return several(at, '}');
    if (*at == '[')
        return several(at, ']');
    return *at == '"' ? string(at) : number(at);
}

static bool is_json(const char *whole)
{
    const char *end = blank(value(whole));
    return end && *end == '\0';
}

/* ---- helpers ---- */

static void read_file(void)
{
    struct stat info;
    int file = open(path, O_RDONLY);
    CU_ASSERT_TRUE_FATAL(file >= 0 && fstat(file, &info) == 0);
    free(text);
    text = test_zeroed((size_t)info.st_size + 1);
    CU_ASSERT_EQUAL(read(file, text, (size_t)info.st_size), info.st_size);
    (void)close(file);
}

/* Lines with both. */
static int count(const char *one, const char *other)
{
    int found = 0;
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        found += strstr(line, one) && strstr(line, other);
        *end = '\n';
    }
    return found;
}

/* The times of the row's next task after `from`; returns where its line ends, or NULL. */
static const char *next_task(const char *from, const char *row, double *start, double *length)
{
    for (const char *line; from && (line = strchr(from, '\n')); from = line + 1) {
        const char *ts = strstr(from, "\"ts\":"), *dur = strstr(from, "\"dur\":"),
                   *tid = strstr(from, row);
        if (strncmp(from, "{\"ph\":\"X\"", 9) != 0 || !tid || tid > line)
            continue;
        *start = strtod(ts + 5, NULL);
        *length = strtod(dur + 6, NULL);
        return line + 1;
    }
    return NULL;
}

/* Tasks of a row do not overlap, or no program can draw them. */
static bool is_row(const char *row)
{
    double end = 0, start, length;
    for (const char *at = text; (at = next_task(at, row, &start, &length));) {
        if (start < end - 0.0015) /* each is cut to a nanosecond */
            return false;
        end = start + length;
    }
    return true;
}

static rp_pool *open_traced(void)
{
    rp_config config = RP_CONFIG_INIT;
    rp_pool *pool = NULL;
    memory = (struct memory){ 0 };
    lines = 0;
    config.trace = path;
    config.log = note;
    CU_ASSERT_EQUAL_FATAL(local_pool_open_as(&memory, &config, &pool), RP_OK);
    return pool;
}

/* ---- tests ---- */

static void all_kinds(void)
{
    double items[100] = { 0 }, results[100];
    rp_pool *pool = open_traced();
    rp_task_options twice = RP_TASK_OPTIONS_INIT;
    twice.retries = 1;
    for (int i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(rp_submit(pool, i % 2 ? fast : slow, "x", 1, NULL, NULL), RP_OK);
    CU_ASSERT_EQUAL(rp_submit(pool, bad, NULL, 0, &twice, NULL), RP_OK);
    CU_ASSERT_EQUAL(rp_submit(pool, large, NULL, 0, NULL, NULL), RP_OK);
    CU_ASSERT_EQUAL(rp_map(pool, fast, items, sizeof *items, 100, results, sizeof *results, NULL),
                    RP_OK);
    CU_ASSERT_EQUAL(rp_drain(pool, RP_FOREVER), RP_OK);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
    CU_ASSERT_EQUAL(memory.live, 0);
    read_file();
    CU_ASSERT_TRUE(is_json(text));
    CU_ASSERT_EQUAL(count("\"ph\":\"X\"", "\"name\":\"slow\""), 5);
    CU_ASSERT_EQUAL(count("\"ph\":\"X\"", "\"name\":\"large\""), 1);
    CU_ASSERT_EQUAL(count("\"name\":\"bad \\\"name\\\"\\\\?\"", "\"status\":\"the task failed\""),
                    2);
    CU_ASSERT_EQUAL(count("\"name\":\"bad", "\"attempt\":2"), 1);
    CU_ASSERT_TRUE(count("\"name\":\"fast\"", "\"items\":") >= 1);
    CU_ASSERT_EQUAL(count("\"ph\":\"X\"", "\"number\":3,"), 1);
    CU_ASSERT_EQUAL(count("thread_name", "\"worker 1 (pid "), 1);
    CU_ASSERT_EQUAL(count("process_name", "\"pid\":0"), 1);
    CU_ASSERT_TRUE(count("\"ph\":\"C\"", "\"queued\":") >= 1);
    CU_ASSERT_TRUE(is_row("\"tid\":1"));
}

static void several_workers(void)
{
    rp_config config = RP_CONFIG_INIT;
    config.trace = path;
    rp_pool *pool = threads_open(3, &config);
    CU_ASSERT_PTR_NOT_NULL_FATAL(pool);
    for (int i = 0; i < 3000; i++)
        CU_ASSERT_EQUAL(rp_submit(pool, i % 100 ? fast : slow, "x", 1, NULL, NULL), RP_OK);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
    read_file();
    CU_ASSERT_TRUE(is_json(text));
    CU_ASSERT_EQUAL(count("\"ph\":\"X\"", "\"name\":\"fast\"") +
                        count("\"ph\":\"X\"", "\"name\":\"slow\""),
                    3000);
    CU_ASSERT_EQUAL(count("process_name", "thread"), 4); /* each its own host */
    CU_ASSERT_EQUAL(count("thread_name", "worker"), 3);
    CU_ASSERT_TRUE(is_row("\"tid\":1") && is_row("\"tid\":2") && is_row("\"tid\":3"));
}

/* The file is made of whole lines; with an end put to it, it is what both programs take it for. */
static void cut_off(void)
{
    struct rpi_alloc alloc = memory_hook(&memory);
    struct rpi_log log = { .sink = note };
    struct rpi_trace *trace;
    memory = (struct memory){ 0 };
    CU_ASSERT_EQUAL_FATAL(rpi_trace_open(&alloc, &log, path, &trace), RP_OK);
    CU_ASSERT_EQUAL(rpi_trace_begin(trace, 1, 10), RP_OK);
    rpi_trace_name(trace, 0, "here", 1);
    rpi_trace_name(trace, 1, "here", 2);
    struct rpi_traced task = { .function = "f", .ran = 0.5 };
    double now = 20;
    for (int i = 0; i < 2000; i++) {
        now += 0.01;
        rpi_trace_task(trace, 1, &task, now);
        rpi_trace_drawn(trace, 1, now);
    }
    read_file(); /* as if it had died now */
    size_t length = strlen(text);
    CU_ASSERT_TRUE(count("\"ph\":\"X\"", "\"f\"") > 1000);
    CU_ASSERT_STRING_EQUAL(text + length - 4, "}},\n");
    text[length - 2] = ']';
    CU_ASSERT_TRUE(is_json(text));
    rpi_trace_event(trace, 1, "lost", now);
    rpi_trace_close(trace);
    read_file();
    CU_ASSERT_TRUE(is_json(text));
    CU_ASSERT_EQUAL(count("\"ph\":\"i\"", "\"name\":\"lost\""), 1);
    CU_ASSERT_EQUAL(memory.live, 0);
}

static void full_disk(void)
{
    struct rlimit before, low;
    rp_pool *pool = open_traced();
    CU_ASSERT_EQUAL(getrlimit(RLIMIT_FSIZE, &before), 0);
    low = before;
    low.rlim_cur = 100000;
    (void)signal(SIGXFSZ, SIG_IGN);
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &low), 0);
    for (int i = 0; i < 2000; i++)
        CU_ASSERT_EQUAL(rp_apply(pool, fast, "x", 1, NULL, 0, NULL), RP_ERR_SIZE);
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &before), 0);
    CU_ASSERT_EQUAL(lines, 1);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
    CU_ASSERT_EQUAL(memory.live, 0);
    (void)signal(SIGXFSZ, SIG_DFL);
}

static void refused(void)
{
    rp_config config = RP_CONFIG_INIT;
    rp_pool *pool = NULL;
    memory = (struct memory){ 0 };
    config.trace = "/none/trace.json";
    CU_ASSERT_EQUAL(local_pool_open_as(&memory, &config, &pool), RP_ERR_IO);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(rp_error_message(), "/none/trace.json cannot be made: No such file"));
    config.trace = "";
    CU_ASSERT_EQUAL(local_pool_open_as(&memory, &config, &pool), RP_ERR_INVALID);
    CU_ASSERT_EQUAL(memory.live, 0);
    config.trace = path;
    rp_status status = RP_ERR_NOMEM;
    for (uint64_t call = 1; status == RP_ERR_NOMEM; call++) {
        memory = (struct memory){ .fail_at = call };
        status = local_pool_open_as(&memory, &config, &pool);
        CU_ASSERT_TRUE(status != RP_ERR_NOMEM || memory.live == 0);
    }
    CU_ASSERT_EQUAL_FATAL(status, RP_OK);
    CU_ASSERT_EQUAL(rp_close(&pool), RP_OK);
}

/* It would be written over the journal. */
static void over_the_journal(void)
{
    static const char *const ends[] = { "", "-wal" };
    char journal[sizeof directory + 20], other[sizeof directory + 40];
    rp_config config = RP_CONFIG_INIT;
    rp_pool *pool = NULL;
    (void)snprintf(journal, sizeof journal, "%s/journal", directory);
    config.journal = journal;
    config.trace = other;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        memory = (struct memory){ 0 };
        (void)snprintf(other, sizeof other, "%s/./journal%s", directory,
                       ends[i]); /* another name of it */
        CU_ASSERT_EQUAL(local_pool_open_as(&memory, &config, &pool), RP_ERR_INVALID);
        CU_ASSERT_PTR_NOT_NULL(strstr(rp_error_message(), "is a file of config.journal's"));
        CU_ASSERT_EQUAL(memory.live, 0);
    }
    (void)unlink(journal);
}

static int make_directory(void)
{
    const char *base = getenv("TMPDIR");
    (void)snprintf(directory, sizeof directory, "%s/rankpool-trace-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(directory) || register_bad())
        return 1;
    (void)snprintf(path, sizeof path, "%s/trace.json", directory);
    return 0;
}

static int remove_directory(void)
{
    free(text);
    text = NULL;
    (void)unlink(path);
    return rmdir(directory);
}

int main(int argc, char **argv)
{
    static CU_TestInfo tests[] = {
        { "all_kinds", all_kinds }, { "several_workers", several_workers },
        { "cut_off", cut_off },     { "full_disk", full_disk },
        { "refused", refused },     { "over_the_journal", over_the_journal },
        CU_TEST_INFO_NULL
    };
    static CU_SuiteInfo suites[] = {
        { "trace", make_directory, remove_directory, NULL, NULL, tests }, CU_SUITE_INFO_NULL
    };
    return harness_main(argc, argv, suites);
}
