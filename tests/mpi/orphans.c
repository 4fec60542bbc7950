/* A program for orphans.sh: workers that are busy for ever, each in another way, and a rank 0 that
 * says who it is and waits to be killed.
 *   orphans FILE [fork]     FILE gets rank 0's pid when every worker is busy */
#include "fixture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static rp_status busy(rp_call *call, const void *arg, size_t size)
{
    int way = *(const int *)arg;
    (void)call;
    (void)size;
    if (way % 3 == 0)
        for (;;) /* NOLINT(bugprone-infinite-loop): it never asks whether it must stop */
            (void)sysconf(_SC_PAGESIZE);
    if (way % 3 == 1)
        (void)system("sleep 600 & wait"); /* NOLINT(cert-env33-c): a grandchild that is a command */
    while (pause() != 0)
        continue;
    return RP_OK;
}
RP_TASK(busy);

/* The pid is there at once or not at all. */
static bool tell(const char *path)
{
    char other[4096];
    (void)snprintf(other, sizeof other, "%s.new", path);
    FILE *file = fopen(other, "w");
    if (!file)
        return false;
    (void)fprintf(file, "%ld\n", (long)getpid());
    return fclose(file) == 0 && rename(other, path) == 0;
}

int main(int argc, char **argv)
{
    rp_config config = RP_CONFIG_INIT;
    config.isolation = argc > 2 && strcmp(argv[2], "fork") == 0 ? RP_FORK : RP_INLINE;
    if (argc < 2 || rp_open(&config, &pool) != RP_OK)
        return 1;
    if (!pool)
        return 0;
    for (int i = 0; i < (int)rp_workers(pool); i++)
        if (rp_submit(pool, busy, &i, sizeof i, NULL, NULL) != RP_OK)
            return 2;
    if (rp_drain(pool, 1) != RP_ERR_TIMEOUT || !tell(argv[1]))
        return 3;
    return rp_drain(pool, RP_FOREVER) == RP_OK ? 4 : 5;
}
