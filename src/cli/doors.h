#ifndef RANKPOOL_CLI_DOORS_H
#define RANKPOOL_CLI_DOORS_H

#include "routes.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

/* Where ranks come in: a listening socket on loopback, for those of this host, and one on each
 * address that a way to another host leaves from.  Each has a port of its own. */
struct doors {
    struct door {
        int file;
        struct sockaddr_in address;
    } list[1 + ROUTES_MOST];
    int count;
};

/* False: errno; doors_close all the same. */
bool doors_open(struct doors *doors, const struct routes *routes);
/* ADDRESS:PORT,... with loopback first.  False: it does not fit. */
bool doors_text(const struct doors *doors, char *text, size_t size);
void doors_close(struct doors *doors);

#endif
