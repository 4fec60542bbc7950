/* As openmp.c, with a matrix product that is large enough for several threads. */
#include <rankpool.h>

#include <cblas.h>
#include <stdlib.h>

#define N     400
#define TASKS 6

static double product(double factor)
{
    double *a = malloc(sizeof(double) * N * N), *b = malloc(sizeof(double) * N * N);
    for (int i = 0; a && b && i < N * N; i++)
        a[i] = factor;
    if (a && b)
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, N, N, N, 1, a, N, a, N, 0, b, N);
    double corner = b ? b[N * N - 1] : 0;
    free(a);
    free(b);
    return corner;
}

static rp_status work(rp_call *call, const void *arg, size_t size)
{
    double corner = product(*(const double *)arg);
    (void)size;
    return rp_return(call, &corner, sizeof corner);
}
RP_TASK(work);

int main(void)
{
    rp_config config = RP_CONFIG_INIT;
    rp_pool *pool;
    int bad = product(1) < N;
    config.isolation = RP_FORK;
    if (rp_open(&config, &pool) != RP_OK)
        return 2;
    for (int i = 1; pool && i <= TASKS; i++) {
        double factor = i, corner = 0;
        rp_future future;
        if (rp_submit(pool, work, &factor, sizeof factor, NULL, &future) != RP_OK ||
            rp_get(pool, future, 20, &corner, sizeof corner, NULL) != RP_OK)
            return 3;
        bad += corner < N * factor * factor || corner > N * factor * factor;
    }
    return pool && (rp_close(&pool) != RP_OK || bad);
}
