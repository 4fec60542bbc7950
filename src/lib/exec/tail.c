#include "exec/tail.h"

#include "base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

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
