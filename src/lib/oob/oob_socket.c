#include "oob/oob_socket.h"

#include "base/private.h"
#include "oob/oob_address.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Milliseconds without an answer: 2.2 s of rank 0's 3, since the first question goes out up to a
 * heartbeat after the cut, and is repeated once or twice, 0.2 s apart, before the kernel counts. */
static int patience_of(enum rpi_oob_socket_end end, double timeout)
{
    double seconds = end == RPI_OOB_SOCKET_WORKER ? timeout + 0.5
                                                  : timeout - rpi_oob_socket_beat(timeout) - 0.55;
    return (int)(seconds * 1e3 + 0.5);
}

void rpi_oob_socket_prepare(int file, enum rpi_oob_socket_end end, double timeout)
{
    int pause = 1 + (int)(timeout / 100),
        probes = (int)(timeout / pause) - 1; /* 127 is the kernel's most */
    const struct {
        int level, name, value;
    } options[] = { { IPPROTO_TCP, TCP_NODELAY, 1 },
                    { IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, 1 },
                    { SOL_SOCKET, SO_KEEPALIVE, 1 },
                    { IPPROTO_TCP, TCP_KEEPIDLE, pause },
                    { IPPROTO_TCP, TCP_KEEPINTVL, pause },
                    { IPPROTO_TCP, TCP_KEEPCNT, probes > 1 ? probes : 1 },
                    { IPPROTO_TCP, TCP_USER_TIMEOUT, patience_of(end, timeout) } };
    for (size_t i = 0; i < sizeof options / sizeof *options;
         i++) /* a socketpair of a test refuses most */
        (void)setsockopt(file, options[i].level, options[i].name, &options[i].value,
                         sizeof options[i].value);
    /* With a congestion control that keeps its own books, as bbr, no stream counts as thin, and the
     * pauses double instead. */
    (void)setsockopt(file, IPPROTO_TCP, TCP_CONGESTION, "reno", sizeof "reno" - 1);
}

bool rpi_oob_socket_is_far(int file)
{
    struct sockaddr_in mine = { .sin_family = AF_UNSPEC }, other = mine;
    socklen_t size = sizeof mine, other_size = sizeof other;
    return getsockname(file, (struct sockaddr *)&mine, &size) == 0 && mine.sin_family == AF_INET &&
           getpeername(file, (struct sockaddr *)&other, &other_size) == 0 &&
           mine.sin_addr.s_addr != other.sin_addr.s_addr;
}

void rpi_oob_socket_say(int file, uint8_t byte)
{
    (void)send(file, &byte, 1,
               MSG_DONTWAIT | MSG_NOSIGNAL); /* an end shows when it is looked for */
}

bool rpi_oob_socket_ended(int file)
{
    struct pollfd look = { .fd = file, .events = POLLRDHUP };
    return poll(&look, 1, 0) == 1;
}

int rpi_oob_socket_read(int file, uint8_t *bytes, size_t size)
{
    ssize_t got = recv(file, bytes, size, MSG_DONTWAIT);
    if (got > 0)
        return (int)got;
    return got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

int rpi_oob_socket_poll_ms(double seconds)
{
    return (int)((seconds < 3600 ? seconds : 3600) * 1e3);
}

/* 0, or the error of a connection under way. */
static int wait_connected(int file, double seconds)
{
    struct pollfd look = { .fd = file, .events = POLLOUT };
    int error = 0;
    socklen_t size = sizeof error;
    if (poll(&look, 1, rpi_oob_socket_poll_ms(seconds)) != 1)
        return ETIMEDOUT;
    (void)getsockopt(file, SOL_SOCKET, SO_ERROR, &error, &size);
    return error;
}

int rpi_oob_socket_connect(uint32_t ip, uint16_t port, double seconds, double timeout)
{
    struct sockaddr_in address = rpi_oob_address_of(ip, port);
    int file = rpi_private(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (file < 0)
        return -1;
    int error = connect(file, (const struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
    if (error == EINPROGRESS)
        error = wait_connected(file, seconds);
    if (error) {
        rpi_private_close(file);
        errno = error;
        return -1;
    }
    rpi_oob_socket_prepare(file, RPI_OOB_SOCKET_WORKER, timeout);
    return file;
}
