#ifndef RANKPOOL_CLI_ADDRESSES_H
#define RANKPOOL_CLI_ADDRESSES_H

#include "hosts.h"

#include <netinet/in.h>
#include <stdbool.h>

#define ADDRESSES_MOST 16

/* The addresses of this host that its ways to the others leave from, each once; none where there
 * are no others. */
struct addresses {
    struct in_addr from[ADDRESSES_MOST];
    int count;
};

/* False, after saying why: there are other hosts, and no way to any of them; or ways from too many
 * addresses. */
bool addresses_find(struct addresses *addresses, const struct hosts *hosts);

#endif
