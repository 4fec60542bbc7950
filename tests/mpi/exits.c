/* A program for exits.sh: one task among many ends its process in the way that the argument says. */
#include <rankpool.h>

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile int zero;

/* NOLINTNEXTLINE(misc-no-recursion): that is the point */
static int deeper(volatile char *above, int depth)
{
    volatile char frame[4096];
    frame[0] = above ? above[0] : 1;
    return depth < 0 ? frame[0] : deeper(frame, depth + 1) + frame[0];
}

static rp_status the_culprit(rp_call *call, const void *arg, size_t size)
{
    const char *how = arg;
    (void)call;
    (void)size;
    if (strcmp(how, "exit0") == 0)
        exit(0);
    if (strcmp(how, "exit3") == 0)
        exit(3);
    if (strcmp(how, "_exit") == 0)
        _exit(4);
    if (strcmp(how, "abort") == 0)
        abort();
    if (strcmp(how, "segv") == 0)
        *(volatile int *)(uintptr_t)(16 + zero) = 1;
    if (strcmp(how, "fpe") == 0)
        (void)raise(SIGFPE);
    if (strcmp(how, "kill") == 0)
        (void)raise(SIGKILL);
    if (strcmp(how, "overflow") == 0)
        return (rp_status)deeper(NULL, 0);
    return RP_OK;
}
RP_TASK(the_culprit);

static rp_status item(rp_call *call, const void *arg, size_t size)
{
    (void)size;
    return *(const int *)arg == 34 ? the_culprit(call, "exit3", sizeof "exit3") : RP_OK;
}
RP_TASK(item);

static rp_status bystander(rp_call *call, const void *arg, size_t size)
{
    return rp_return(call, arg, size);
}
RP_TASK(bystander);

int main(int argc, char **argv)
{
    rp_pool *pool;
    const char *how = argc > 1 ? argv[1] : "";
    if (rp_open(NULL, &pool) != RP_OK)
        return 77;
    if (!pool)
        return 0;
    if (strcmp(how, "master") == 0) { /* rank 0 itself, with its workers busy */
        (void)!rp_submit(pool, bystander, how, 1, NULL, NULL);
        abort();
    }
    if (strcmp(how, "leave") == 0) { /* the pool open */
        for (int i = 0; i < 20; i++)
            if (rp_submit(pool, bystander, how, 1, NULL, NULL) != RP_OK)
                return 78;
        return 0;
    }
    if (strcmp(how, "item") == 0) {
        int items[100];
        for (int i = 0; i < 100; i++)
            items[i] = i;
        return rp_map(pool, item, items, sizeof *items, 100, NULL, 0, NULL) != RP_OK;
    }
    for (int i = 0; i < 1000; i++) {
        rp_fn *fn = i == 500 ? the_culprit : bystander;
        if (rp_submit(pool, fn, how, strlen(how) + 1, NULL, NULL) != RP_OK)
            return 78;
    }
    rp_status status = rp_drain(pool, 20);
    printf("drained: %s\n", rp_strerror(status));
    return rp_close(&pool) != RP_OK;
}
