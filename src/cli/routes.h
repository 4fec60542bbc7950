#ifndef RANKPOOL_CLI_ROUTES_H
#define RANKPOOL_CLI_ROUTES_H

#include "hosts.h"

#include <netinet/in.h>
#include <stdbool.h>

#define ROUTES_MOST 16

/* The addresses of this host that its ways to the others leave from, each once; none where there
 * are no others. */
struct routes {
    struct in_addr from[ROUTES_MOST];
    int count;
};

/* False, after saying why: there are other hosts, and no way to any of them; or ways from too many
 * addresses. */
bool routes_find(struct routes *routes, const struct hosts *hosts);

#endif
