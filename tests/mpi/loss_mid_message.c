/* Kills each of two workers in the middle of a message, of MIB / 2 and of MIB MiB; lost.sh runs it.
 *   loss_mid_message to MIB      while the worker receives an argument
 *   loss_mid_message from MIB    while it sends a result
 * Prints what came of the tasks, which other workers repeat. */
#include <rankpool.h>

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VICTIMS 2
#define PAGE    4096

/* Pages of it that are what they must be. */
static int64_t right_pages(const char *bytes, size_t size)
{
    int64_t ones = 0;
    for (size_t i = 0; i < size; i += PAGE)
        ones += bytes[i] == 1 && bytes[i + PAGE - 1] == 1;
    return ones;
}

static rp_status count(rp_call *call, const void *arg, size_t size)
{
    int64_t ones = right_pages(arg, size);
    return rp_return(call, &ones, sizeof ones);
}
RP_TASK(count);

static rp_status give(rp_call *call, const void *arg, size_t arg_size)
{
    size_t size;
    if (arg_size != sizeof size)
        return RP_ERR_TASK;
    memcpy(&size, arg, sizeof size);
    void *room = rp_reserve(call, size);
    if (!room)
        return RP_ERR_NOMEM;
    memset(room, 1, size);
    return RP_OK;
}
RP_TASK(give);

static long child(pid_t pid)
{
    char name[64];
    long all, pages = 0;
    (void)snprintf(name, sizeof name, "/proc/%d/statm", (int)pid);
    FILE *file = fopen(name, "re");
    if (file && fscanf(file, "%ld %ld", &all, &pages) != 2)
        pages = 0;
    if (file)
        (void)fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

/* Kills one when a process has taken in a quarter of the message, which shows in its memory. */
struct watch {
    pid_t victim, receiver;
    long before;
    size_t size;
};

static void *kill_midway(void *context)
{
    const struct watch *watch = context;
    long more = 0;
    for (int i = 0; i < 300000 && more < (long)(watch->size / 4); i++) {
        (void)usleep(100);
        more = child(watch->receiver) - watch->before;
    }
    (void)kill(watch->victim, SIGKILL);
    return NULL;
}

static int lose(rp_pool *pool, int victim, const char *large, size_t size)
{
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    rp_worker_info info = RP_WORKER_INFO_INIT;
    rp_status status = rp_worker_info_of(pool, victim, &info);
    struct watch watch = { .victim = (pid_t)info.pid,
                           .receiver = large ? (pid_t)info.pid : getpid(),
                           .size = size };
    rp_future future;
    pthread_t thread;
    void *data = NULL;
    size_t got = 0;
    options.worker = victim;
    options.borrow = large != NULL;
    watch.before = child(watch.receiver);
    if (status == RP_OK)
        status = large ? rp_submit(pool, count, large, size, &options, &future)
                       : rp_submit(pool, give, &size, sizeof size, &options, &future);
    if (status != RP_OK || pthread_create(&thread, NULL, kill_midway, &watch) != 0) {
        printf("submit: %s\n", rp_error_message());
        return 1;
    }
    status = rp_take(pool, future, 60, &data, &got);
    (void)pthread_join(thread, NULL);
    int64_t ones = 0, wanted = (int64_t)(size / PAGE);
    if (status == RP_OK && large)
        memcpy(&ones, data, sizeof ones);
    else if (status == RP_OK && got == size)
        ones = right_pages(data, size);
    if (status != RP_OK || ones != wanted)
        printf("%s; %lld of %lld\n", status == RP_OK ? "settled" : rp_error_message(),
               (long long)ones, (long long)wanted);
    if (large)
        rp_free(data); /* a result's memory is kept, so that the next one shows */
    return status != RP_OK || ones != wanted;
}

/* When both are known to be lost. */
static rp_stats stats_at_last(rp_pool *pool)
{
    rp_stats stats = RP_STATS_INIT;
    for (int i = 0; i < 30000 && rp_stats_of(pool, &stats) == RP_OK && stats.lost < VICTIMS; i++)
        (void)usleep(1000);
    return stats;
}

int main(int argc, char **argv)
{
    rp_pool *pool;
    if (argc < 3 || rp_open(NULL, &pool) != RP_OK) {
        printf("open: %s\n", rp_error_message());
        return 1;
    }
    if (!pool)
        return 0;
    size_t size = (size_t)atol(argv[2]) << 20;
    char *large = strcmp(argv[1], "to") == 0 ? malloc(size) : NULL;
    int wrong = 0;
    if (large)
        memset(large, 1, size);
    for (int victim = 1; victim <= VICTIMS; victim++)
        wrong += lose(pool, victim, large,
                      size * (size_t)victim / VICTIMS); /* longer than the last buffers */
    rp_stats stats = stats_at_last(pool);
    printf("%d wrong; %d workers, %d lost\n", wrong, stats.workers, stats.lost);
    rp_status status = rp_close(&pool);
    printf("close: %s\n", status == RP_OK ? "fine" : rp_error_message());
    free(large);
    return wrong;
}
