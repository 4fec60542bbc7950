#include "oob/oob_address.h"

#include "base/status.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct sockaddr_in rpi_oob_address_of(uint32_t ip, uint16_t port)
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
