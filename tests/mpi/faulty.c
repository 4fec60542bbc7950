/* For valgrind.sh: on each worker one task that reads past the end of a block, and one that loses a
 * block. */
#include <rankpool.h>
#include <stdio.h>
#include <stdlib.h>

static volatile int sink;

static rp_status reads_past_end(rp_call *call, const void *arg, size_t size)
{
    char *volatile block = malloc(40);
    (void)call;
    (void)arg;
    (void)size;
    if (!block)
        return RP_ERR_NOMEM;
    sink = (unsigned char)block[40];
    free(block);
    return RP_OK;
}
RP_TASK(reads_past_end);

static rp_status loses_block(rp_call *call, const void *arg, size_t size)
{
    char *volatile block = malloc(77);
    (void)call;
    (void)arg;
    (void)size;
    /* cppcheck-suppress memleak ; it must leak */
    return block ? RP_OK : RP_ERR_NOMEM; /* NOLINT(clang-analyzer-unix.Malloc) */
}
RP_TASK(loses_block);

int main(void)
{
    rp_pool *pool;
    rp_status status;

    if (rp_open(NULL, &pool) != RP_OK) {
        fprintf(stderr, "%s\n", rp_error_message());
        return 1;
    }
    if (!pool)
        return 0;
    status = rp_on_each_worker(pool, reads_past_end, NULL, 0, NULL);
    if (status == RP_OK)
        status = rp_on_each_worker(pool, loses_block, NULL, 0, NULL);
    if (status != RP_OK)
        fprintf(stderr, "%s\n", rp_error_message());
    return rp_close(&pool) != RP_OK || status != RP_OK;
}
