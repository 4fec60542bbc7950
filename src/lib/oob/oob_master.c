#include "oob/oob_master.h"

#include "base/clock.h"
#include "base/files.h"
#include "base/hosts.h"
#include "base/private.h"
#include "base/status.h"
#include "oob/oob_protocol.h"
#include "oob/oob_socket.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EVENTS  64  /* looked at in one hearing */
#define AT_ONCE 256 /* bytes that are read of what a worker said */

struct rpi_oob_master_end {
    int file; /* -1: none, or it has ended */
    bool parked, owed;
    bool lost; /* and not told yet */
    bool far;
    int beats; /* to it since it was last heard */
    struct rpi_oob_words words;
};

rp_status rpi_oob_master_init(struct rpi_oob_master *channel, const struct rpi_alloc *alloc,
                              int workers)
{
    struct epoll_event event = { .events = EPOLLIN, .data = { .u32 = 0 } };
    *channel = (struct rpi_oob_master){ .alloc = *alloc,
                                        .workers = workers,
                                        .host_timeout = RPI_HOST_TIMEOUT,
                                        .epoll = -1,
                                        .bell = -1 };
    channel->ends = rpi_zeroed(alloc, ((size_t)workers + 1) * sizeof *channel->ends);
    if (!channel->ends)
        return rpi_no_memory("the side channel");
    for (int i = 0; i <= workers; i++)
        channel->ends[i].file = -1;
    channel->epoll = rpi_private(epoll_create1(EPOLL_CLOEXEC));
    channel->bell = rpi_private(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (channel->epoll >= 0 && channel->bell >= 0 &&
        epoll_ctl(channel->epoll, EPOLL_CTL_ADD, channel->bell, &event) == 0)
        return RP_OK;
    rp_status status = rpi_files_are_short(errno)
                           ? rpi_files_error("rank 0's side channel", errno)
                           : rpi_error(RP_ERR_BROKEN,
                                       "rank 0's side channel: no file descriptor: %s",
                                       strerror(errno));
    rpi_oob_master_fini(channel, false);
    return status;
}

static void unpark(struct rpi_oob_master *channel, struct rpi_oob_master_end *end)
{
    channel->parked -= end->parked;
    end->parked = false;
}

static void close_end(struct rpi_oob_master *channel, struct rpi_oob_master_end *end)
{
    if (end->file >= 0)
        rpi_private_close(
            end->file); /* leaves the epoll set: there is no second descriptor of it */
    end->file = -1;
    channel->far -= end->far;
    end->far = false;
    unpark(channel, end);
}

/* The workers hear that the end of rank 0's sockets will not be its death. */
static void part(struct rpi_oob_master *channel)
{
    for (int i = 1; channel->ends && i <= channel->workers; i++)
        if (channel->ends[i].file >= 0)
            rpi_oob_socket_say(channel->ends[i].file, RPI_OOB_SIGNAL_PARTED);
}

void rpi_oob_master_fini(struct rpi_oob_master *channel, bool parted)
{
    if (parted)
        part(channel);
    for (int i = 1; channel->ends && i <= channel->workers; i++)
        close_end(channel, &channel->ends[i]);
    if (channel->bell >= 0)
        rpi_private_close(channel->bell);
    if (channel->epoll >= 0)
        rpi_private_close(channel->epoll);
    channel->bell = channel->epoll = -1;
    rpi_free(&channel->alloc, channel->ends);
    channel->ends = NULL;
}

bool rpi_oob_master_add(struct rpi_oob_master *channel, int worker, int file)
{
    struct rpi_oob_master_end *end = &channel->ends[worker];
    struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP,
                                 .data = { .u32 = (uint32_t)worker } };
    if (end->file >= 0 || end->lost ||
        epoll_ctl(channel->epoll, EPOLL_CTL_ADD, file, &event) != 0) {
        rpi_private_close(file);
        return false;
    }
    *end = (struct rpi_oob_master_end){ .file = rpi_private(file),
                                        .far = rpi_oob_socket_is_far(file) };
    channel->far += end->far;
    rpi_oob_socket_prepare(file, RPI_OOB_SOCKET_MASTER, channel->host_timeout);
    rpi_oob_socket_say(file, RPI_OOB_SIGNAL_RING); /* the greeting */
    channel->joined++;
    return true;
}

bool rpi_oob_master_move(struct rpi_oob_master *channel, int worker, struct rpi_oob_master *from)
{
    struct rpi_oob_master_end *end = &channel->ends[worker], *old = &from->ends[1];
    struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP,
                                 .data = { .u32 = (uint32_t)worker } };
    if (old->file < 0 || rpi_oob_socket_ended(old->file) ||
        epoll_ctl(channel->epoll, EPOLL_CTL_ADD, old->file, &event) != 0)
        return false;
    *end = *old;
    channel->parked += end->parked;
    channel->far += end->far;
    from->far -= old->far;
    old->far = false;
    old->file = -1;
    unpark(from, old);
    return true;
}

bool rpi_oob_master_has(const struct rpi_oob_master *channel, int worker)
{
    return channel->ends[worker].file >= 0 || channel->ends[worker].lost;
}

/* ---- hearing */

static void lose(struct rpi_oob_master *channel, struct rpi_oob_master_end *end)
{
    close_end(channel, end);
    end->lost = true;
    channel->lost++;
}

static void park(struct rpi_oob_master *channel, struct rpi_oob_master_end *end)
{
    if (end->owed) {
        end->owed = false;
        rpi_oob_socket_say(end->file, RPI_OOB_SIGNAL_RING);
    } else {
        end->parked = true;
        channel->parked++;
    }
}

/* Reads a bounded number of bytes at a time: a worker that floods the channel must not keep others
 * from being heard. */
static bool hear(struct rpi_oob_master *channel, struct rpi_oob_master_end *end)
{
    uint8_t bytes[AT_ONCE];
    struct rpi_oob_protocol signals = { .parked = end->parked };
    int got = rpi_oob_socket_read(end->file, bytes, sizeof bytes);
    if (got < 0) {
        lose(channel, end);
        return false;
    }
    if (got > 0)
        end->beats = 0;
    rpi_oob_words_read(&end->words, &signals, bytes, (size_t)got);
    if (end->parked != signals.parked) {
        unpark(channel, end);
        if (signals.parked)
            park(channel, end);
    }
    return got > 0;
}

static void beat(struct rpi_oob_master *channel)
{
    double now = rpi_now();
    if (now < channel->next_beat)
        return;
    channel->next_beat = now + rpi_oob_socket_beat(channel->host_timeout) *
                                   (1 + channel->far / RPI_OOB_MASTER_MANY);
    for (int i = 1; i <= channel->workers; i++) {
        struct rpi_oob_master_end *end = &channel->ends[i];
        if (!end->far || end->beats >= RPI_OOB_MASTER_BEATS)
            continue;
        end->beats++;
        rpi_oob_socket_say(end->file, RPI_OOB_SIGNAL_ALIVE);
    }
}

void rpi_oob_master_hear(struct rpi_oob_master *channel, void (*alive)(void *context, int worker),
                         void *context)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(channel->epoll, events, EVENTS, 0);
    for (int i = 0; i < count; i++) {
        int worker = (int)events[i].data.u32;
        if (worker && channel->ends[worker].file >= 0 && hear(channel, &channel->ends[worker]) &&
            alive)
            alive(context, worker);
    }
    if (channel->far)
        beat(channel);
}

int rpi_oob_master_next_lost(struct rpi_oob_master *channel)
{
    for (int i = 1; channel->lost && i <= channel->workers; i++) {
        if (!channel->ends[i].lost)
            continue;
        channel->ends[i].lost = false;
        channel->lost--;
        return i;
    }
    return 0;
}

bool rpi_oob_master_lives(struct rpi_oob_master *channel, int worker)
{
    struct rpi_oob_master_end *end = &channel->ends[worker];
    if (end->file >= 0 && rpi_oob_socket_ended(end->file)) {
        bool more = true;
        while (more)
            more = hear(channel, end); /* its last words */
        if (end->file >= 0)
            lose(channel, end);
    }
    return end->file >= 0;
}

const struct rpi_death *rpi_oob_master_words(const struct rpi_oob_master *channel, int worker)
{
    return &channel->ends[worker].words.death;
}

uint32_t rpi_oob_master_count(const struct rpi_oob_master *channel, int worker)
{
    return channel->ends[worker].words.sent;
}

void rpi_oob_master_drop(struct rpi_oob_master *channel, int worker)
{
    struct rpi_oob_master_end *end = &channel->ends[worker];
    close_end(channel, end);
    channel->lost -= end->lost;
    end->lost = false;
}

/* ---- sleeping and waking */

void rpi_oob_master_sent(struct rpi_oob_master *channel, int worker)
{
    struct rpi_oob_master_end *end = &channel->ends[worker];
    end->owed = true;
    if (!end->parked)
        return;
    unpark(channel, end);
    rpi_oob_socket_say(end->file, RPI_OOB_SIGNAL_RING);
}

void rpi_oob_master_wait(const struct rpi_oob_master *channel, double seconds)
{
    struct pollfd look = { .fd = channel->epoll, .events = POLLIN };
    const struct timespec limit = rpi_timespec(seconds);
    uint64_t rings;
    (void)ppoll(&look, 1, &limit, NULL);
    (void)!read(channel->bell, &rings, sizeof rings);
}

void rpi_oob_master_ring(const struct rpi_oob_master *channel)
{
    uint64_t one = 1;
    (void)!write(channel->bell, &one, sizeof one);
}
