/* Tasks with processes of their own print a line each in another language, after main has printed
 * one.
 *   lines [exit]    the last task leaves by exit() */
#include <rankpool.h>

#include <stdlib.h>

#define TASKS 5

void print_line(const int *number); /* in another language */

static rp_status work(rp_call *call, const void *arg, size_t size)
{
    const int *number = arg;
    (void)call;
    (void)size;
    print_line(number);
    if (*number > TASKS)
        exit(0);
    return RP_OK;
}
RP_TASK(work);

int main(int argc, char **argv)
{
    rp_config config = RP_CONFIG_INIT;
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    rp_pool *pool;
    (void)argv;
    config.isolation = RP_FORK;
    options.attempts = 1;
    if (!getenv("OMPI_COMM_WORLD_RANK") || getenv("OMPI_COMM_WORLD_RANK")[0] == '0')
        print_line(&(int){ 0 });
    if (rp_open(&config, &pool) != RP_OK)
        return 2;
    for (int i = 1; pool && i <= TASKS + (argc > 1); i++)
        if (rp_submit(pool, work, &i, sizeof i, &options, NULL) != RP_OK)
            return 3;
    return pool && rp_close(&pool) != RP_OK;
}
