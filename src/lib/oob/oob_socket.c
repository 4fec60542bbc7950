#include "oob/oob_socket.h"

#include "base/private.h"
#include "base/status.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in address_of(uint32_t ip, uint16_t port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons(port),
                                 .sin_addr.s_addr = htonl(ip) };
}

/* ---- addresses */

static uint32_t ip_of(const struct sockaddr *address)
{
    struct sockaddr_in ip;
    memcpy(&ip, address, sizeof ip);
    return ntohl(ip.sin_addr.s_addr);
}

/* Whether `wish` (an interface's name, or a network: 10.0.0.0/8) means this one. */
static bool means(const char *wish, size_t length, const struct ifaddrs *at)
{
    char text[64];
    struct in_addr network;
    if (length >= sizeof text)
        return false;
    memcpy(text, wish, length);
    text[length] = '\0';
    char *slash = strchr(text, '/');
    if (!slash)
        return strcmp(text, at->ifa_name) == 0;
    *slash = '\0';
    long bits = strtol(slash + 1, NULL, 10);
    if (inet_pton(AF_INET, text, &network) != 1 || bits < 0 || bits > 32)
        return false;
    uint32_t mask = bits ? UINT32_MAX << (32 - bits) : 0;
    return ((ip_of(at->ifa_addr) ^ ntohl(network.s_addr)) & mask) == 0;
}

/* The first usable address of this host that `wishes` (separated by commas; NULL: any) allow; 0:
 * none. */
static uint32_t first_address(const char *wishes)
{
    struct ifaddrs *all;
    uint32_t found = 0;
    if (getifaddrs(&all) != 0)
        return 0;
    for (const struct ifaddrs *at = all; at && !found; at = at->ifa_next) {
        if (!at->ifa_addr || at->ifa_addr->sa_family != AF_INET || !(at->ifa_flags & IFF_UP))
            continue;
        if (!wishes && !(at->ifa_flags & IFF_LOOPBACK))
            found = ip_of(at->ifa_addr);
        for (const char *wish = wishes; wish && !found;) {
            size_t length = strcspn(wish, ",");
            if (means(wish, length, at))
                found = ip_of(at->ifa_addr);
            wish = wish[length] ? wish + length + 1 : NULL;
        }
    }
    freeifaddrs(all);
    return found;
}

/* The address that packets to that host leave from; 0: unknown.  Nothing is sent. */
static uint32_t address_towards(const char *host)
{
    struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_DGRAM }, *found;
    struct sockaddr_in mine = { .sin_family = AF_UNSPEC };
    socklen_t size = sizeof mine;
    if (getaddrinfo(host, "9", &hints, &found) != 0)
        return 0;
    int file = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (file >= 0) {
        if (connect(file, found->ai_addr, found->ai_addrlen) != 0 ||
            getsockname(file, (struct sockaddr *)&mine, &size) != 0)
            mine.sin_family = AF_UNSPEC;
        (void)close(file);
    }
    freeaddrinfo(found);
    uint32_t ip = mine.sin_family == AF_INET ? ntohl(mine.sin_addr.s_addr) : 0;
    return ip >> 24 == IN_LOOPBACKNET
               ? 0
               : ip; /* a name that every host has in its /etc/hosts for itself */
}

rp_status rpi_oob_address_choose(const char *others, uint32_t *ip)
{
    static const char *const settings[] = { "OMPI_MCA_btl_tcp_if_include",
                                            "OMPI_MCA_oob_tcp_if_include", "UCX_NET_DEVICES" };
    *ip = INADDR_LOOPBACK;
    if (!others)
        return RP_OK;
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        const char *wishes = getenv(settings[i]);
        if (wishes && (*ip = first_address(wishes)))
            return RP_OK;
    }
    if ((*ip = address_towards(others)) || (*ip = first_address(NULL)))
        return RP_OK;
    return rpi_error(RP_ERR_BROKEN,
                     "rank 0's host has no IPv4 address that workers on other hosts could reach");
}

void rpi_oob_address_text(uint32_t ip, uint16_t port, char *text)
{
    (void)snprintf(text, RPI_OOB_ADDRESS_BYTES, "%u.%u.%u.%u:%u", ip >> 24, ip >> 16 & 255,
                   ip >> 8 & 255, ip & 255, port);
}

/* ---- sockets */

/* Milliseconds without an answer: 2.2 s of rank 0's 3, since the first question goes out up to a
 * heartbeat after the cut, and is repeated once or twice, 0.2 s apart, before the kernel counts. */
static int patience_of(enum rpi_oob_socket_end end, double timeout)
{
    double seconds = end == RPI_OOB_SOCKET_WORKER ? timeout + 0.5
                                                  : timeout - rpi_host_beat(timeout) - 0.55;
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
    struct sockaddr_in address = address_of(ip, port);
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
