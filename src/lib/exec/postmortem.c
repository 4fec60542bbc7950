#include "exec/postmortem.h"

#include "base/death.h"
#include "base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- its standard error */

rp_status rpi_postmortem_tail_open(struct rpi_postmortem_tail *tail)
{
    int ends[2];
    *tail = (struct rpi_postmortem_tail){ .source = -1, .sink = -1 };
    if (pipe2(ends, O_CLOEXEC) != 0)
        return rpi_error(RP_ERR_FULL, "no pipe for the standard error of tasks: %s",
                         strerror(errno));
    tail->source = ends[0];
    tail->sink = ends[1];
    (void)fcntl(tail->source, F_SETFL, O_NONBLOCK); /* this end alone */
    return RP_OK;
}

void rpi_postmortem_tail_close(struct rpi_postmortem_tail *tail)
{
    if (tail->source < 0)
        return;
    rpi_postmortem_tail_forward(tail);
    (void)close(tail->source);
    (void)close(tail->sink);
    tail->source = tail->sink = -1;
}

static void keep(struct rpi_postmortem_tail *tail, const char *text, size_t size)
{
    if (size > sizeof tail->text) {
        text += size - sizeof tail->text;
        size = sizeof tail->text;
        tail->cut = true;
    }
    size_t over = tail->used + size > sizeof tail->text ? tail->used + size - sizeof tail->text : 0;
    tail->cut = tail->cut || over > 0;
    memmove(tail->text, tail->text + over, tail->used - over);
    tail->used -= over;
    memcpy(tail->text + tail->used, text, size);
    tail->used += size;
}

static void pass_on(const char *text, size_t size)
{
    while (size) {
        ssize_t written = write(STDERR_FILENO, text, size);
        if (written < 0 && errno != EINTR)
            return;
        text += written > 0 ? written : 0;
        size -= written > 0 ? (size_t)written : 0;
    }
}

void rpi_postmortem_tail_forward(struct rpi_postmortem_tail *tail)
{
    char text[4096];
    ssize_t size;
    while ((size = read(tail->source, text, sizeof text)) > 0) {
        pass_on(text, (size_t)size);
        keep(tail, text, (size_t)size);
        if ((size_t)size < sizeof text)
            return;
    }
}

size_t rpi_postmortem_tail_lines(const struct rpi_postmortem_tail *tail, char *to, size_t size)
{
    const char *from = tail->text, *end = tail->text + tail->used;
    size_t used = 0;
    while (end > from && (end[-1] == '\n' || end[-1] == ' '))
        end--;
    if ((size_t)(end - from) >= size)
        from = end - (size - 1);
    if (from > tail->text || tail->cut) {
        const char *line = memchr(from, '\n', (size_t)(end - from));
        from = line ? line + 1 : from;
    }
    for (; from < end; from++) {
        bool control = (unsigned char)*from < ' ' || *from == 127;
        to[used++] = *from == '\n' ? '|' : control ? ' ' : *from;
    }
    to[used] = '\0';
    return used;
}

/* ---- its end */

int rpi_postmortem_code(int status)
{
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

void rpi_postmortem_last_words(char *to, size_t size, const struct rpi_postmortem_tail *tail)
{
    size_t used = strlen(to);
    char lines[RPI_POSTMORTEM_TAIL_BYTES + 1];
    if (rpi_postmortem_tail_lines(tail, lines, sizeof lines))
        (void)snprintf(to + used, size - used, ".  The end of its standard error: %s", lines);
}

static const char *advice(int number)
{
    switch (number) {
    case SIGKILL:
        return "by another's hand, or for lack of memory: see the kernel's log, or give it smaller "
               "tasks or fewer workers "
               "a node";
    case SIGTERM:
    case SIGINT:
    case SIGHUP:
        return "somebody sent that to it";
    case SIGPIPE:
        return "it wrote to a pipe or socket without a reader";
    case SIGXCPU:
    case SIGXFSZ:
        return "a limit of ulimit";
    default:
        return "to see where, run it with isolation = RP_INLINE under a debugger, or with ulimit "
               "-c unlimited for a core "
               "file";
    }
}

void rpi_postmortem(char *to, size_t size, int64_t pid, int status,
                    const struct rpi_postmortem_tail *tail)
{
    const char *name = WIFSIGNALED(status) ? rpi_death_signal_name(WTERMSIG(status)) : NULL;
    if (name)
        (void)snprintf(to, size, "its process (pid %lld) died of %s (%s)", (long long)pid, name,
                       advice(WTERMSIG(status)));
    else if (WIFSIGNALED(status))
        (void)snprintf(to, size, "its process (pid %lld) died of signal %d", (long long)pid,
                       WTERMSIG(status));
    else
        (void)snprintf(to, size,
                       "its process (pid %lld) exited with status %d inside the task, which must "
                       "return instead",
                       (long long)pid, WEXITSTATUS(status));
    rpi_postmortem_last_words(to, size, tail);
}
