#include "doors.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static bool open_one(struct doors *doors, struct in_addr at)
{
    struct door *door = &doors->list[doors->count];
    struct sockaddr *address = (struct sockaddr *)&door->address;
    socklen_t size = sizeof door->address;
    door->address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = at };
    door->file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (door->file < 0)
        return false;
    doors->count++;
    return bind(door->file, address, size) == 0 && listen(door->file, SOMAXCONN) == 0 &&
           getsockname(door->file, address, &size) == 0;
}

bool doors_open(struct doors *doors, const struct routes *routes)
{
    struct in_addr loopback = { .s_addr = htonl(INADDR_LOOPBACK) };
    doors->count = 0;
    bool open = open_one(doors, loopback);
    for (int i = 0; open && i < routes->count; i++)
        open = open_one(doors, routes->from[i]);
    return open;
}

bool doors_text(const struct doors *doors, char *text, size_t size)
{
    size_t used = 0;
    for (int i = 0; i < doors->count; i++) {
        char address[INET_ADDRSTRLEN];
        const struct sockaddr_in *at = &doors->list[i].address;
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

void doors_close(struct doors *doors)
{
    for (int i = 0; i < doors->count; i++)
        (void)close(doors->list[i].file);
    doors->count = 0;
}
