#include "store/trace.h"

#include "base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BUFFER       65536 /* bytes */
#define LINE         4096  /* more than an event, or a name with that of its host, takes */
#define TOGETHER     4096  /* results that are drawn in a row */
#define LONGEST_TEXT 300
#define FLUSH        1.0  /* seconds that an event may wait for the file */
#define COUNT_STEP   1e-3 /* seconds between two counts */

struct row {
    int group;
    double end; /* of the last task drawn */
};

struct rpi_trace {
    struct rpi_alloc alloc;
    struct rpi_log log;
    const char *path; /* in bytes' tail */
    int file;         /* -1: writing has failed */
    int workers;
    struct row *rows;
    const char **hosts; /* by group: borrowed */
    int groups;
    double opened, flushed, counted;
    uint64_t queued, sent; /* at the last count */
    size_t waiting;        /* tasks */
    size_t used;           /* bytes */
    struct rpi_traced tasks[TOGETHER];
    char bytes[BUFFER];
    char name[]; /* path */
};

/* ---- the file */

static void give_up(struct rpi_trace *trace)
{
    rpi_say(&trace->log, RP_LOG_WARNING,
            "the trace %s cannot be written: %s.  What is in it can be loaded; the pool goes on",
            trace->path, strerror(errno));
    (void)close(trace->file);
    trace->file = -1;
    trace->used = 0;
}

static void flush(struct rpi_trace *trace, double now)
{
    size_t done = 0;
    trace->flushed = now;
    while (trace->file >= 0 && done < trace->used) {
        ssize_t written = write(trace->file, trace->bytes + done, trace->used - done);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            give_up(trace);
            return;
        }
        done += (size_t)written;
    }
    trace->used = 0;
}

/* Adds text; there is room for a line. */
static void put(struct rpi_trace *trace, const char *format, ...) RP_PRINTF(2, 3);

static void put(struct rpi_trace *trace, const char *format, ...)
{
    va_list arguments;
    size_t room = sizeof trace->bytes - trace->used;
    va_start(arguments, format);
    int length = vsnprintf(trace->bytes + trace->used, room, format, arguments);
    va_end(arguments);
    if (length > 0 && (size_t)length < room)
        trace->used += (size_t)length;
}

/* Makes room for a line.  False: nothing is written any more. */
static bool begin_line(struct rpi_trace *trace, double now)
{
    if (trace->file < 0)
        return false;
    if (sizeof trace->bytes - trace->used < LINE || now - trace->flushed > FLUSH)
        flush(trace, now);
    return trace->file >= 0;
}

/* A text as JSON has it; what is no ASCII comes from names in unknown encodings. */
static void put_text(struct rpi_trace *trace, const char *text)
{
    trace->bytes[trace->used++] = '"';
    for (size_t i = 0; i < LONGEST_TEXT && text[i]; i++) {
        char byte = text[i];
        if (byte == '"' || byte == '\\')
            trace->bytes[trace->used++] = '\\';
        trace->bytes[trace->used++] = byte >= ' ' && byte <= '~' ? byte : '?';
    }
    trace->bytes[trace->used++] = '"';
}

/* Microseconds, whatever the locale's decimal point is. */
static void put_time(struct rpi_trace *trace, const char *name, double seconds)
{
    uint64_t ns = seconds > 0 ? (uint64_t)(seconds * 1e9) : 0;
    put(trace, "\"%s\":%llu.%03llu", name, (unsigned long long)(ns / 1000),
        (unsigned long long)(ns % 1000));
}

/* ---- beginning and end */

rp_status rpi_trace_open(const struct rpi_alloc *alloc, const struct rpi_log *log, const char *path,
                         struct rpi_trace **trace)
{
    size_t length = strlen(path) + 1;
    struct rpi_trace *new = rpi_reserve(alloc, sizeof *new + length);
    if (!new)
        return rpi_no_memory("the trace");
    memset(new, 0, offsetof(struct rpi_trace, tasks));
    new->alloc = *alloc;
    new->log = *log;
    new->path = memcpy(new->name, path, length);
    new->file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (new->file >= 0) {
        put(new, "[\n");
        *trace = new;
        return RP_OK;
    }
    rp_status status = rpi_error(RP_ERR_IO, "the trace %s cannot be made: %s", path,
                                 strerror(errno));
    rpi_free(alloc, new);
    return status;
}

void rpi_trace_close(struct rpi_trace *trace)
{
    if (!trace)
        return;
    struct rpi_alloc alloc = trace->alloc;
    if (begin_line(trace, trace->flushed)) {
        /* the one line without a comma */
        put(trace, "{\"ph\":\"M\",\"name\":\"trace_end\",\"pid\":0,\"args\":{}}\n]\n");
        flush(trace, 0);
    }
    if (trace->file >= 0 && close(trace->file) != 0)
        give_up(trace);
    rpi_free(&alloc, trace->rows);
    rpi_free(&alloc, trace->hosts);
    rpi_free(&alloc, trace);
}

rp_status rpi_trace_begin(struct rpi_trace *trace, int workers, double opened)
{
    size_t count = (size_t)workers + 1;
    trace->rows = rpi_zeroed(&trace->alloc, count * sizeof *trace->rows);
    trace->hosts = rpi_zeroed(&trace->alloc, count * sizeof *trace->hosts);
    if (!trace->rows || !trace->hosts)
        return rpi_no_memory("the trace");
    trace->workers = workers;
    trace->opened = trace->flushed = opened;
    return RP_OK;
}

static int group_of(struct rpi_trace *trace, const char *host)
{
    for (int group = trace->groups - 1; group >= 0; group--) /* neighbours share a host as a rule */
        if (strcmp(trace->hosts[group], host) == 0)
            return group;
    trace->hosts[trace->groups] = host;
    put(trace,
        "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":%d,\"args\":{\"name\":", trace->groups);
    put_text(trace, host);
    put(trace, "}},\n");
    return trace->groups++;
}

void rpi_trace_name(struct rpi_trace *trace, int worker, const char *host, int64_t pid)
{
    if (!begin_line(trace, trace->flushed))
        return;
    int group = trace->rows[worker].group = group_of(trace, host);
    put(trace,
        "{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":%d,\"tid\":%d,\"args\":{\"name\":\"%s %d "
        "(pid %lld)\"}},\n",
        group, worker, worker ? "worker" : "rank", worker, (long long)pid);
    put(trace,
        "{\"ph\":\"M\",\"name\":\"thread_sort_index\",\"pid\":%d,\"tid\":%d,\"args\":{\"sort_"
        "index\":%d}},\n",
        group, worker, worker);
}

/* ---- events */

static void draw(struct rpi_trace *trace, int worker, const struct rpi_traced *task, double start,
                 double now)
{
    if (!begin_line(trace, now))
        return;
    put(trace, "{\"ph\":\"X\",\"name\":");
    put_text(trace, task->function);
    put(trace, ",\"pid\":%d,\"tid\":%d,", trace->rows[worker].group, worker);
    put_time(trace, "ts", start);
    put(trace, ",");
    put_time(trace, "dur", task->ran);
    put(trace,
        ",\"args\":{\"number\":%llu,\"attempt\":%d,\"status\":", (unsigned long long)task->number,
        task->attempt);
    put_text(trace, rp_strerror(task->status));
    if (task->items)
        put(trace, ",\"items\":%u", task->items);
    put(trace, ",");
    put_time(trace, "queued", task->queued);
    put(trace, "}},\n");
}

void rpi_trace_task(struct rpi_trace *trace, int worker, const struct rpi_traced *task, double now)
{
    if (trace->waiting == TOGETHER)
        rpi_trace_drawn(trace, worker, now);
    trace->tasks[trace->waiting++] = *task;
}

void rpi_trace_drawn(struct rpi_trace *trace, int worker, double now)
{
    struct row *row = &trace->rows[worker];
    double start = now - trace->opened;
    for (size_t i = 0; i < trace->waiting; i++)
        start -= trace->tasks[i].ran;
    if (start < row->end)
        start = row->end;
    for (size_t i = 0; i < trace->waiting; i++) {
        draw(trace, worker, &trace->tasks[i], start, now);
        start += trace->tasks[i].ran;
    }
    if (trace->waiting)
        row->end = start;
    trace->waiting = 0;
}

void rpi_trace_counts(struct rpi_trace *trace, uint64_t queued, uint64_t sent, double now)
{
    if ((queued == trace->queued && sent == trace->sent) || now - trace->counted < COUNT_STEP ||
        !begin_line(trace, now))
        return;
    trace->counted = now;
    trace->queued = queued;
    trace->sent = sent;
    put(trace, "{\"ph\":\"C\",\"name\":\"tasks\",\"pid\":0,");
    put_time(trace, "ts", now - trace->opened);
    put(trace, ",\"args\":{\"queued\":%llu,\"sent\":%llu}},\n", (unsigned long long)queued,
        (unsigned long long)sent);
}

void rpi_trace_event(struct rpi_trace *trace, int worker, const char *what, double now)
{
    if (!begin_line(trace, now))
        return;
    put(trace, "{\"ph\":\"i\",\"s\":\"t\",\"name\":");
    put_text(trace, what);
    put(trace, ",\"pid\":%d,\"tid\":%d,", trace->rows[worker].group, worker);
    put_time(trace, "ts", now - trace->opened);
    put(trace, "},\n");
}
