#include "listeners.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static bool open_one(struct listeners *listeners, struct in_addr at)
{
    struct listener *listener = &listeners->list[listeners->count];
    struct sockaddr *address = (struct sockaddr *)&listener->address;
    socklen_t size = sizeof listener->address;
    listener->address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = at };
    listener->file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener->file < 0)
        return false;
    listeners->count++;
    return bind(listener->file, address, size) == 0 && listen(listener->file, SOMAXCONN) == 0 &&
           getsockname(listener->file, address, &size) == 0;
}

bool listeners_open(struct listeners *listeners, const struct addresses *addresses)
{
    struct in_addr loopback = { .s_addr = htonl(INADDR_LOOPBACK) };
    listeners->count = 0;
    bool open = open_one(listeners, loopback);
    for (int i = 0; open && i < addresses->count; i++)
        open = open_one(listeners, addresses->from[i]);
    return open;
}

bool listeners_text(const struct listeners *listeners, char *text, size_t size)
{
    size_t used = 0;
    for (int i = 0; i < listeners->count; i++) {
        char address[INET_ADDRSTRLEN];
        const struct sockaddr_in *at = &listeners->list[i].address;
        if (!inet_ntop(AF_INET, &at->sin_addr, address, sizeof address))
            return false;
        int length = snprintf(text + used, size - used, "%s%s:%u", i ? "," : "", address,
                              ntohs(at->sin_port));
        if (length < 0 || (size_t)length >= size - used)
            return false;
        used += (size_t)length;
    }
    return true;
}

void listeners_close(struct listeners *listeners)
{
    for (int i = 0; i < listeners->count; i++)
        (void)close(listeners->list[i].file);
    listeners->count = 0;
}
