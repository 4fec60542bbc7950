#include "spellings.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct host {
    const char *name;
    size_t length; /* of the name */
    size_t size;   /* with the number after it */
    long ranks;    /* 0: as many as there is room for */
    bool is_again; /* an earlier one is the same */
    struct addrinfo *addresses;
};

static void look_up(struct host *host)
{
    struct addrinfo want = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    char *name = strndup(host->name, host->length);
    if (!name || *name == '+' || getaddrinfo(name, NULL, &want, &host->addresses) != 0)
        host->addresses = NULL;
    free(name);
}

/* Loopback is every host's own. */
static bool is_same_address(const struct sockaddr *a, const struct sockaddr *b)
{
    if (a->sa_family == AF_INET && b->sa_family == AF_INET) {
        const struct sockaddr_in *one = (const void *)a, *other = (const void *)b;
        return one->sin_addr.s_addr == other->sin_addr.s_addr &&
               ntohl(one->sin_addr.s_addr) >> 24 != IN_LOOPBACKNET;
    }
    if (a->sa_family == AF_INET6 && b->sa_family == AF_INET6) {
        const struct sockaddr_in6 *one = (const void *)a, *other = (const void *)b;
        return IN6_ARE_ADDR_EQUAL(&one->sin6_addr, &other->sin6_addr) &&
               !IN6_IS_ADDR_LOOPBACK(&one->sin6_addr) && one->sin6_scope_id == other->sin6_scope_id;
    }
    return false;
}

static bool is_same(const struct host *a, const struct host *b)
{
    if (a->length == b->length && strncmp(a->name, b->name, a->length) == 0)
        return *a->name != '+';
    for (const struct addrinfo *one = a->addresses; one; one = one->ai_next)
        for (const struct addrinfo *other = b->addresses; other; other = other->ai_next)
            if (is_same_address(one->ai_addr, other->ai_addr))
                return true;
    return false;
}

static void forget(struct host *hosts, int count)
{
    for (int i = 0; i < count; i++)
        if (hosts[i].addresses)
            freeaddrinfo(hosts[i].addresses);
    free(hosts);
}

/* ---- a list */

static int count_of(const char *list)
{
    int count = 1;
    for (; *list; list++)
        count += *list == ',';
    return count;
}

static void read_host(struct host *host, const char *text, size_t size)
{
    host->name = text;
    host->length = strcspn(text, ":,");
    host->size = size;
    host->ranks = 1;
    if (host->length + 1 < size)
        host->ranks = strtol(text + host->length + 1, NULL, 10);
}

static void add_up(struct host *hosts, int count)
{
    for (int i = 0; i < count; i++) {
        look_up(&hosts[i]);
        int first = 0;
        while (first < i && (hosts[first].is_again || !is_same(&hosts[first], &hosts[i])))
            first++;
        hosts[i].is_again = first < i;
        if (first < i)
            hosts[first].ranks = hosts[first].ranks && hosts[i].ranks
                                     ? hosts[first].ranks + hosts[i].ranks
                                     : 0;
    }
}

static void write_list(char *text, size_t room, const struct host *hosts, int count)
{
    size_t used = 0;
    for (int i = 0; i < count; i++) {
        const struct host *host = &hosts[i];
        if (host->is_again)
            continue;
        bool is_plain = *host->name == '+'; /* hosts of the batch job, for mpirun to read */
        size_t length = is_plain ? host->size : host->length;
        used += (size_t)snprintf(text + used, room - used, "%s%.*s", used ? "," : "", (int)length,
                                 host->name);
        if (!is_plain && host->ranks)
            used += (size_t)snprintf(text + used, room - used, ":%ld", host->ranks);
        else if (!is_plain)
            used += (size_t)snprintf(text + used, room - used, ":*");
    }
}

char *spellings_merge(const char *list)
{
    int count = count_of(list);
    size_t room = strlen(list) + (size_t)count * sizeof ":2147483647" + 1;
    struct host *hosts = calloc((size_t)count, sizeof *hosts);
    char *merged = calloc(1, room);
    for (int i = 0; hosts && i < count; i++) {
        size_t size = strcspn(list, ",");
        read_host(&hosts[i], list, size);
        list += size + 1;
    }
    if (!hosts || !merged) {
        free(hosts);
        free(merged);
        return NULL;
    }
    add_up(hosts, count);
    write_list(merged, room, hosts, count);
    forget(hosts, count);
    return merged;
}

/* ---- names */

static bool is_own(const struct addrinfo *address)
{
    int file = address ? socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    bool own = file >= 0 && bind(file, address->ai_addr, address->ai_addrlen) == 0;
    if (file >= 0)
        (void)close(file);
    return own;
}

static bool is_number(const struct host *host)
{
    return strspn(host->name, "0123456789.") == host->length || strchr(host->name, ':');
}

/* mpirun knows this host by all its names, and others with and without their domains. */
static bool is_known_to_mpirun(const struct host *a, const struct host *b)
{
    size_t length = strcspn(a->name, ".");
    bool same_short = !is_number(a) && !is_number(b) && length == strcspn(b->name, ".") &&
                      strncmp(a->name, b->name, length) == 0;
    return same_short || is_own(a->addresses);
}

bool spellings_clash(const struct hosts *names, const char **one, const char **other)
{
    struct host *hosts = calloc((size_t)names->count + 1, sizeof *hosts);
    bool clash = false;
    for (int i = 0; hosts && i < names->count && !clash; i++) {
        hosts[i].name = names->names[i];
        hosts[i].length = strlen(hosts[i].name);
        look_up(&hosts[i]);
        for (int j = 0; j < i && !clash; j++) {
            clash = is_same(&hosts[j], &hosts[i]) && !is_known_to_mpirun(&hosts[j], &hosts[i]);
            *one = hosts[j].name;
            *other = hosts[i].name;
        }
    }
    if (hosts)
        forget(hosts, names->count);
    return clash;
}
