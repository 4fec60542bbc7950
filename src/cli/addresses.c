#include "addresses.h"

#include "log.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum way { HERE, FOUND, NONE };

struct search {
    struct addresses *addresses;
    struct ifaddrs *own;
    bool too_many;
    char why[160]; /* the last host has no way */
};

static bool is_own(const struct search *search, struct in_addr address)
{
    if (ntohl(address.s_addr) >> 24 == IN_LOOPBACKNET)
        return true;
    for (const struct ifaddrs *one = search->own; one; one = one->ifa_next) {
        const struct sockaddr_in *in = (const void *)one->ifa_addr;
        if (in && in->sin_family == AF_INET && in->sin_addr.s_addr == address.s_addr)
            return true;
    }
    return false;
}

static void add(struct search *search, struct in_addr from)
{
    struct addresses *addresses = search->addresses;
    for (int i = 0; i < addresses->count; i++)
        if (addresses->from[i].s_addr == from.s_addr)
            return;
    search->too_many = search->too_many || addresses->count == ADDRESSES_MOST;
    if (!search->too_many)
        addresses->from[addresses->count++] = from;
}

/* The kernel says from where it would send; nothing is sent. */
static bool find_source(const struct sockaddr_in *to, struct in_addr *from)
{
    struct sockaddr_in source = { 0 }, port = *to;
    socklen_t size = sizeof source;
    port.sin_port = htons(9);
    int file = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (file < 0)
        return false;
    bool found = connect(file, (const struct sockaddr *)&port, sizeof port) == 0 &&
                 getsockname(file, (struct sockaddr *)&source, &size) == 0;
    int error = errno;
    (void)close(file);
    errno = error;
    if (found)
        *from = source.sin_addr;
    return found;
}

/* To each of its addresses. */
static enum way look_up(struct search *search, const char *host)
{
    struct addrinfo want = { .ai_family = AF_INET, .ai_socktype = SOCK_DGRAM }, *all = NULL;
    enum way way = NONE;
    int error = getaddrinfo(host, NULL, &want, &all);
    if (error != 0) {
        (void)snprintf(search->why, sizeof search->why, "%s",
                       error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error));
        return NONE;
    }
    for (const struct addrinfo *one = all; one && way != HERE; one = one->ai_next) {
        struct in_addr from;
        const struct sockaddr_in *to = (const void *)one->ai_addr;
        if (is_own(search, to->sin_addr)) {
            way = HERE;
        } else if (find_source(to, &from)) {
            add(search, from);
            way = FOUND;
        } else {
            (void)snprintf(search->why, sizeof search->why, "%s", strerror(errno));
        }
    }
    freeaddrinfo(all);
    return way;
}

static bool search_all(struct search *search, const struct hosts *hosts)
{
    char here[256] = "";
    const char *lost = NULL;
    (void)gethostname(here, sizeof here - 1);
    for (int i = 0; i < hosts->count; i++)
        if (strcmp(hosts->names[i], here) != 0 && look_up(search, hosts->names[i]) == NONE)
            lost = hosts->names[i];
    if (search->too_many)
        log_line("launch: the hosts are reached from more than %d addresses of this one",
                 ADDRESSES_MOST);
    else if (lost && search->addresses->count == 0)
        log_line(
            "launch: no address of this host leads to %s (%s): its ranks could not report.  Name "
            "hosts that have an IPv4 "
            "address and a route from here",
            lost, search->why);
    else
        return true; /* one without a way: its ranks try the addresses of the others */
    return false;
}

bool addresses_find(struct addresses *addresses, const struct hosts *hosts)
{
    struct search search = { .addresses = addresses };
    *addresses = (struct addresses){ 0 };
    if (getifaddrs(&search.own) != 0)
        search.own = NULL;
    bool found = search_all(&search, hosts);
    if (search.own)
        freeifaddrs(search.own);
    return found;
}
