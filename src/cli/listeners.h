#ifndef RANKPOOL_CLI_LISTENERS_H
#define RANKPOOL_CLI_LISTENERS_H

#include "addresses.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

/* Where ranks come in: a listening socket on loopback, for those of this host, and one on each
 * address that a way to another host leaves from.  Each has a port of its own. */
struct listeners {
    struct listener {
        int file;
        struct sockaddr_in address;
    } list[1 + ADDRESSES_MOST];
    int count;
};

/* False: errno; listeners_close all the same. */
bool listeners_open(struct listeners *listeners, const struct addresses *addresses);
/* ADDRESS:PORT,... with loopback first.  False: it does not fit. */
bool listeners_text(const struct listeners *listeners, char *text, size_t size);
void listeners_close(struct listeners *listeners);

#endif
