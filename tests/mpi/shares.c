/* shares HOW: shares data with tasks on every worker, and ends as it is told.  For shares.sh.
 *   close, exit (with the pool open), kill (a worker), master (rank 0 is killed); with a + at the
 *   end the data are sent, not mapped from rank 0 */
#include <rankpool.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { SIZE = 20000000 };

static rp_status touch(rp_call *call, const void *arg, size_t size)
{
    size_t bytes;
    const char *data = rp_shared(call, "data", &bytes);
    (void)size;
    if (!data || bytes != SIZE || data[SIZE - 1] != 'x')
        return RP_ERR_INVALID;
    if (*(const int *)arg)
        (void)raise(SIGKILL);
    return RP_OK;
}
RP_TASK(touch);

static int use(rp_pool *pool, const char *how)
{
    static char data[SIZE];
    struct rlimit limit, none;
    int killed = strncmp(how, "kill", 4) == 0;
    memset(data, 'x', sizeof data);
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    none = limit;
    none.rlim_cur = 0;
    if (strchr(how, '+'))
        (void)setrlimit(RLIMIT_NOFILE, &none);
    rp_status status = rp_share(pool, "data", data, sizeof data);
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (status == RP_OK)
        status = rp_on_each_worker(pool, touch, &(int){ 0 }, sizeof(int), NULL);
    if (status == RP_OK && killed)
        status = rp_apply(pool, touch, &killed, sizeof killed, NULL, 0, NULL);
    if (status == RP_OK && strncmp(how, "master", 6) == 0)
        (void)raise(SIGKILL);
    if (status != RP_OK)
        (void)fprintf(stderr, "shares: %s\n", rp_error_message());
    return status != RP_OK;
}

int main(int argc, char **argv)
{
    rp_pool *pool;
    if (argc != 2 || rp_open(NULL, &pool) != RP_OK)
        return 2;
    if (!pool)
        return 0;
    int status = use(pool, argv[1]);
    if (strncmp(argv[1], "exit", 4) == 0)
        exit(status);
    return rp_close(&pool) != RP_OK || status;
}
