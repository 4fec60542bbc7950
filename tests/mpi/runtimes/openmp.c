/* OpenMP before the pool is opened, in tasks with processes of their own, and at rank 0
 * afterwards. */
#include <rankpool.h>

#include <stdio.h>

#define TASKS 20

static double sum(int n)
{
    double total = 0;
#pragma omp parallel for reduction(+ : total) num_threads(3)
    for (int i = 1; i <= n; i++)
        total += i;
    return total;
}

static rp_status work(rp_call *call, const void *arg, size_t size)
{
    double total = sum(*(const int *)arg);
    (void)size;
    return rp_return(call, &total, sizeof total);
}
RP_TASK(work);

int main(void)
{
    rp_config config = RP_CONFIG_INIT;
    rp_future futures[TASKS];
    rp_pool *pool;
    int bad = sum(1000) < 500500;
    config.isolation = RP_FORK;
    config.tasks_per_child = 7;
    if (rp_open(&config, &pool) != RP_OK)
        return 2;
    if (!pool)
        return 0;
    for (int n = 1; n <= TASKS; n++)
        if (rp_submit(pool, work, &n, sizeof n, NULL, &futures[n - 1]) != RP_OK)
            return 3;
    for (int n = 1; n <= TASKS; n++) {
        double total = 0;
        if (rp_get(pool, futures[n - 1], 20, &total, sizeof total, NULL) != RP_OK)
            return 4;
        double right = 0.5 * n * (n + 1);
        bad += total < right || total > right;
    }
    bad += sum(1000) < 500500;
    return rp_close(&pool) != RP_OK || bad;
}
