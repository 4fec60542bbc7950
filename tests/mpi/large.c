/* By hand, as it needs four times the memory: an argument and a result of GIB (3) GiB each.
 *   scripts/mpirun.sh -n 2 build/tests/mpi/large [GIB] */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* The whole argument, each byte one more. */
static rp_status one_more(rp_call *call, const void *arg, size_t size)
{
    const uint64_t *in = arg;
    uint64_t *out = rp_reserve(call, size);
    if (!out)
        return RP_ERR_NOMEM;
    for (size_t i = 0; i < size / 8; i++)
        out[i] = in[i] + 1;
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    printf("worker: %.2f GiB resident at the most\n", (double)usage.ru_maxrss / (1 << 20));
    (void)fflush(stdout);
    return RP_OK;
}
RP_TASK(one_more);

static int run(size_t size)
{
    uint64_t *arg = malloc(size), *data = NULL;
    rp_future future;
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    size_t wrong = 0, got = 0;
    struct rusage usage;
    if (!arg)
        return 2;
    for (size_t i = 0; i < size / 8; i++)
        arg[i] = i * 0x9E3779B97F4A7C15U;
    options.borrow = true;
    double begin = seconds();
    rp_status status = rp_submit(pool, one_more, arg, size, &options, &future);
    if (status == RP_OK)
        status = rp_take(pool, future, RP_FOREVER, (void **)&data, &got);
    double end = seconds();
    for (size_t i = 0; status == RP_OK && i < size / 8; i++)
        wrong += data[i] != arg[i] + 1;
    (void)getrusage(RUSAGE_SELF, &usage);
    printf("%s: %zu bytes there, %zu back, %zu words wrong, %.1f s; rank 0: %.2f GiB resident at "
           "the most\n",
           rp_strerror(status), size, got, wrong, end - begin, (double)usage.ru_maxrss / (1 << 20));
    rp_free(data);
    free(arg);
    return status != RP_OK || wrong || got != size;
}

int main(int argc, char **argv)
{
    double gib = argc > 1 ? strtod(argv[1], NULL) : 3;
    size_t size = (size_t)(gib * (1 << 30)) & ~(size_t)7;
    if (rp_open(NULL, &pool) != RP_OK) {
        (void)fprintf(stderr, "%s\n", rp_error_message());
        return 2;
    }
    int status = pool ? run(size) : 0;
    return pool && rp_close(&pool) != RP_OK ? 2 : status;
}
