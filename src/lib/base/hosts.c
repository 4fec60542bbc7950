#include "base/hosts.h"

#include <stdlib.h>
#include <string.h>

/* A host's name, and the rank that said it. */
struct place {
    const char *host;
    int rank;
};

static int by_host(const void *a, const void *b)
{
    return strcmp(((const struct place *)a)->host, ((const struct place *)b)->host);
}

int *rpi_hosts_crowds(const char *hosts, size_t ranks, const struct rpi_alloc *alloc)
{
    struct place *places = rpi_reserve(alloc, ranks * sizeof *places);
    int *crowds = places ? rpi_reserve(alloc, ranks * sizeof *crowds) : NULL;
    if (crowds) {
        for (size_t i = 0; i < ranks; i++)
            places[i] = (struct place){ .host = hosts + i * RPI_HOST_BYTES, .rank = (int)i };
        qsort(places, ranks, sizeof *places, by_host);
        for (size_t from = 0, to; from < ranks; from = to) {
            for (to = from + 1; to < ranks && by_host(&places[from], &places[to]) == 0;)
                to++;
            for (size_t i = from; i < to; i++)
                crowds[places[i].rank] = (int)(to - from);
        }
    }
    rpi_free(alloc, places);
    return crowds;
}
