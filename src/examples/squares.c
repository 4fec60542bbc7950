/* The first program of README.md. */
/* clang-format off */
#include <rankpool.h>
#include <stdio.h>

static rp_status square(rp_call *call, const void *arg, size_t size)
{
    double x = *(const double *)arg;
    (void)size;
    x *= x;
    return rp_return(call, &x, sizeof x);
}
RP_TASK(square);

int main(void)
{
    rp_pool *pool;
    if (rp_open(NULL, &pool) != RP_OK) return 1;
    if (pool) { /* rank 0; workers served inside rp_open and come back with NULL */
        rp_future future[5];
        for (int i = 0; i < 5; i++) {
            double x = i + 1;
            if (rp_submit(pool, square, &x, sizeof x, NULL, &future[i]) != RP_OK) return 1;
        }
        for (int i = 0; i < 5; i++) {
            double y;
            if (rp_get(pool, future[i], RP_FOREVER, &y, sizeof y, NULL) == RP_OK) printf("%g\n", y);
        }
        return rp_close(&pool) != RP_OK;
    }
    return 0;
}
