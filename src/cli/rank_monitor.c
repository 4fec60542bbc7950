#include "rank_monitor.h"

#include "keepalive.h"
#include "log.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define STRANGERS 256 /* at once; the oldest goes */
#define HELLO     512 /* bytes at the most */
/* ms before a host is given up: of 3 s, two of the kernel's questions were not answered by then. */
#define SOON 700

struct line {
    struct line *next, *before;
    int file;
    bool known;
    int rank;
    pid_t pid; /* of the rank, when it is on this host; else 0 */
    char host[65];
    size_t used;
    char text[HELLO]; /* the line that has not ended yet */
};

/* ---- opening */

static bool make_token(char token[33])
{
    unsigned char bytes[16];
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        return false;
    for (size_t i = 0; i < sizeof bytes; i++)
        (void)snprintf(token + 2 * i, 3, "%02x", bytes[i]);
    return true;
}

static bool hear(const struct rank_monitor *monitor, int file, void *line)
{
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = line };
    return epoll_ctl(monitor->events, EPOLL_CTL_ADD, file, &event) == 0;
}

static bool hear_at_listeners(const struct rank_monitor *monitor)
{
    for (int i = 0; i < monitor->listeners.count; i++)
        if (!hear(monitor, monitor->listeners.list[i].file, NULL))
            return false;
    return true;
}

bool rank_monitor_open(struct rank_monitor *monitor, const struct addresses *addresses,
                       double host_timeout)
{
    *monitor = (struct rank_monitor){ .master_status = -1, .host_timeout = host_timeout };
    monitor->events = epoll_create1(EPOLL_CLOEXEC);
    if (monitor->events >= 0 && make_token(monitor->token) &&
        listeners_open(&monitor->listeners, addresses) && hear_at_listeners(monitor))
        return true;
    int error = errno;
    rank_monitor_close(monitor);
    errno = error;
    return false;
}

bool rank_monitor_address(const struct rank_monitor *monitor, char *text, size_t size)
{
    char here[256] = "";
    (void)gethostname(here, sizeof here - 1);
    int length = snprintf(text, size, "%s:%s:", here, monitor->token);
    return length > 0 && (size_t)length < size &&
           listeners_text(&monitor->listeners, text + length, size - (size_t)length);
}

/* ---- lines */

static void note_end(struct rank_monitor *monitor, const struct line *line)
{
    monitor->gone++;
    if (line->rank == 0) {
        monitor->master_gone = true;
    } else if (monitor->ended < REPORT_ENDS) {
        struct report_end *end = &monitor->ends[monitor->ended++];
        *end = (struct report_end){ .rank = line->rank, .when = clock_now() };
        (void)snprintf(end->host, sizeof end->host, "%s", line->host);
    }
}

static void end_line(struct rank_monitor *monitor, struct line *line)
{
    if (line->known)
        note_end(monitor, line);
    else
        monitor->strangers--;
    if (line->before)
        line->before->next = line->next;
    else
        monitor->lines = line->next;
    if (line->next)
        line->next->before = line->before;
    (void)close(line->file);
    free(line);
}

static void drop_oldest_stranger(struct rank_monitor *monitor)
{
    struct line *oldest = NULL; /* the newest come first */
    for (struct line *line = monitor->lines; line; line = line->next)
        if (!line->known)
            oldest = line;
    if (oldest)
        end_line(monitor, oldest);
}

/* Stops listening to it, and waiting for it. */
static void forget(struct rank_monitor *monitor, struct line *line)
{
    line->known = false;
    monitor->strangers++;
    monitor->came--;
    end_line(monitor, line);
}

/* Rank 0 must find room; of the others it is enough to know most.  With no room at all the
 * listeners close: a connection that waits would be an event for ever. */
static void make_room(struct rank_monitor *monitor)
{
    struct line *line = monitor->lines;
    while (line && (!line->known || line->rank == 0))
        line = line->next;
    if (line)
        forget(monitor, line);
    else if (monitor->strangers > 0)
        drop_oldest_stranger(monitor);
    else
        listeners_close(&monitor->listeners);
}

static void let_in(struct rank_monitor *monitor, int listener)
{
    int file = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (file < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM))
        make_room(monitor);
    if (file < 0)
        return;
    struct line *line = calloc(1, sizeof *line);
    if (!line || !hear(monitor, file, line)) {
        free(line);
        (void)close(file);
        return;
    }
    line->file = file;
    line->next = monitor->lines;
    if (line->next)
        line->next->before = line;
    monitor->lines = line;
    keepalive_set(file, monitor->host_timeout); /* a cut cable ends it after some seconds */
    if (++monitor->strangers > STRANGERS)
        drop_oldest_stranger(monitor);
}

static void let_in_all(struct rank_monitor *monitor)
{
    for (int i = 0; i < monitor->listeners.count; i++)
        let_in(monitor, monitor->listeners.list[i].file);
}

static bool same_token(const char *a, const char *b)
{
    unsigned char difference = 0;
    for (size_t i = 0; i < 32; i++)
        difference |= (unsigned char)(a[i] ^ b[i]);
    return difference == 0;
}

/* The number that comes next in *text; false: there is none, or one outside 0..most. */
static bool next_number(char **text, long most, long *number)
{
    char *end;
    *number = strtol(*text, &end, 10);
    if (end == *text || *number < 0 || *number > most)
        return false;
    *text = end;
    return true;
}

/* "TOKEN RANK SIZE PID HOST\n"; false: not one of ours. */
static bool greet(struct rank_monitor *monitor, struct line *line)
{
    char here[201] = "", *rest = line->text + 32;
    long rank, size, pid;
    if (line->used < 33 || !same_token(line->text, monitor->token) ||
        !next_number(&rest, INT_MAX, &rank) || !next_number(&rest, INT_MAX, &size) ||
        !next_number(&rest, INT_MAX, &pid) || (rank == 0 && monitor->master_came))
        return false;
    char *host = rest + strspn(rest, " ");
    host[strcspn(host, "\n")] = '\0';
    line->known = true;
    line->rank = (int)rank;
    monitor->strangers--;
    monitor->came++;
    if (size > monitor->size)
        monitor->size = (int)size;
    (void)gethostname(here, sizeof here - 1);
    line->pid = strcmp(host, here) == 0 && pid > 1 ? (pid_t)pid : 0;
    (void)snprintf(line->host, sizeof line->host, "%.64s", host);
    if (rank == 0) {
        monitor->master_came = true;
        (void)snprintf(monitor->master_host, sizeof monitor->master_host, "%s", host);
    }
    return true;
}

/* One whole line; false: the connection is not to go on. */
static bool understand(struct rank_monitor *monitor, struct line *line)
{
    static const char end[] = "end ";
    char *rest = line->text + sizeof end - 1;
    long status;
    if (!line->known)
        return greet(monitor, line);
    if (line->rank == 0 && strncmp(line->text, end, sizeof end - 1) == 0 &&
        next_number(&rest, 255, &status)) {
        monitor->master_status = (int)status;
        return false;
    }
    return true; /* a program that writes into a descriptor not its own */
}

/* False: it has ended, or is not to go on. */
static bool read_line(struct rank_monitor *monitor, struct line *line)
{
    char bytes[HELLO];
    ssize_t got = recv(line->file, bytes, sizeof bytes, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    monitor->broken |= got < 0 && line->known && line->rank != 0;
    if (got <= 0)
        return false;
    for (ssize_t i = 0; i < got; i++) {
        if (line->used == sizeof line->text - 1) {
            if (!line->known)
                return false;
            line->used = 0;
        }
        line->text[line->used++] = bytes[i];
        if (bytes[i] != '\n')
            continue;
        line->text[line->used] = '\0';
        if (!understand(monitor, line))
            return false;
        line->used = 0;
    }
    return true;
}

void rank_monitor_take(struct rank_monitor *monitor)
{
    struct epoll_event event;
    /* one at a time: a line may be dropped for another */
    while (epoll_wait(monitor->events, &event, 1, 0) == 1) {
        struct line *line = event.data.ptr;
        if (!line)
            let_in_all(monitor);
        else if (!read_line(monitor, line))
            end_line(monitor, line);
    }
}

static bool is_unreached(const struct rank_monitor *monitor, const struct line *line)
{
    struct tcp_info info;
    socklen_t size = sizeof info;
    double soon = monitor->host_timeout * 1e3 - SOON,
           once = keepalive_of(monitor->host_timeout).pause * 1e3 + SOON;
    return line->known && getsockopt(line->file, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
           info.tcpi_last_ack_recv >
               (soon > once ? soon : once); /* an idle line is asked once in a pause */
}

int rank_monitor_unreached(const struct rank_monitor *monitor)
{
    int count = 0;
    for (const struct line *line = monitor->lines; line; line = line->next)
        count += is_unreached(monitor, line);
    return count;
}

bool rank_monitor_lost(const struct rank_monitor *monitor, double when)
{
    return monitor->ended > 0 && monitor->ends[0].when < when;
}

void rank_monitor_dismiss_master(struct rank_monitor *monitor, int signal)
{
    char byte = (char)signal;
    for (struct line *line = monitor->lines; line; line = line->next) {
        if (!line->known || line->rank != 0)
            continue;
        (void)send(line->file, &byte, 1, MSG_NOSIGNAL);
        (void)shutdown(line->file, SHUT_WR);
    }
}

void rank_monitor_kill_left(const struct rank_monitor *monitor)
{
    for (struct line *line = monitor->lines; line; line = line->next)
        if (line->known && line->pid &&
            kill(-line->pid, SIGKILL) != 0) /* mpirun gives each rank a group of its own */
            (void)kill(line->pid, SIGKILL);
}

void rank_monitor_close(struct rank_monitor *monitor)
{
    for (struct line *line = monitor->lines, *next; line; line = next) {
        next = line->next;
        (void)close(line->file);
        free(line);
    }
    listeners_close(&monitor->listeners);
    if (monitor->events >= 0)
        (void)close(monitor->events);
}
