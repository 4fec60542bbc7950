/* A pool of spawned workers, ended in many ways: spawner WORKERS WAY.  tests/mpi/spawn.sh runs
 * it. */
#include <rankpool.h>

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORKER (getenv("RANKPOOL_SPAWNED") != NULL) /* until rp_open */

static rp_pool *pool;

static rp_status answer(rp_call *call, const void *arg, size_t size)
{
    return rp_return(call, arg, size);
}
RP_TASK(answer);

static rp_status die(rp_call *call, const void *arg, size_t size)
{
    (void)call;
    (void)arg;
    (void)size;
    (void)raise(SIGKILL);
    return RP_OK;
}
RP_TASK(die);

static rp_status stay(rp_call *call, const void *arg, size_t size)
{
    (void)arg;
    (void)size;
    while (pause() == 0)
        continue;
    return rp_fail(call, 1, "a signal came");
}
RP_TASK(stay);

static rp_status count_cores(rp_call *call, const void *arg, size_t size)
{
    cpu_set_t set;
    (void)arg;
    (void)size;
    CPU_ZERO(&set);
    (void)sched_getaffinity(0, sizeof set, &set);
    int cores = CPU_COUNT(&set);
    return rp_return(call, &cores, sizeof cores);
}
RP_TASK(count_cores);

static bool opens(int workers, double timeout)
{
    rp_config config = RP_CONFIG_INIT;
    config.processes = workers;
    config.open_timeout = timeout;
    rp_status status = rp_open(&config, &pool);
    if (status != RP_OK)
        fprintf(stderr, "open: %s\n", rp_error_message());
    return status == RP_OK;
}

static void say(const char *what, rp_status status)
{
    printf("%s: %s\n", what, rp_strerror(status));
}

static void print_pids(void)
{
    for (int i = 1; i <= (int)rp_workers(pool); i++) {
        rp_worker_info info = RP_WORKER_INFO_INIT;
        if (rp_worker_info_of(pool, i, &info) == RP_OK)
            printf("pid %lld\n", (long long)info.pid);
    }
    fflush(stdout);
}

static void ask(void)
{
    char reply[3] = "";
    rp_status status = rp_apply(pool, answer, "yes", sizeof reply, reply, sizeof reply, NULL);
    printf("answer: %.3s\n", status == RP_OK ? reply : rp_strerror(status));
}

static int cores(void)
{
    int count = 0;
    rp_status status = rp_apply(pool, count_cores, NULL, 0, &count, sizeof count, NULL);
    printf("cores: %d\n", status == RP_OK ? count : -1);
    return (int)rp_close(&pool);
}

/* A worker dies; the pool is broken, and the next one is not. */
static int lose(int workers)
{
    if (pool) {
        say("apply", rp_apply(pool, die, NULL, 0, NULL, 0, NULL));
        say("close", rp_close(&pool));
    }
    if (!opens(workers, 0))
        return 1;
    if (pool)
        ask();
    return pool ? (int)rp_close(&pool) : 0;
}

/* Dies itself, with all workers busy. */
static int vanish(void)
{
    rp_future future;
    for (size_t i = 0; i < 4 * rp_workers(pool); i++)
        if (rp_submit(pool, stay, NULL, 0, NULL, &future) != RP_OK)
            return 1;
    (void)raise(SIGKILL);
    return 1;
}

static int go(int workers, const char *way)
{
    if (strcmp(way, "lose") == 0)
        return lose(workers);
    if (!pool)
        return strcmp(way, "worker-status") == 0 ? 9 : 0;
    if (strcmp(way, "vanish") == 0)
        return vanish();
    if (strcmp(way, "cores") == 0)
        return cores();
    ask();
    if (strcmp(way, "unclosed") == 0)
        return 7;
    return (int)rp_close(&pool);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    int workers = (int)strtol(argv[1], NULL, 10);
    const char *way = argv[2];
    bool brief = strcmp(way, "early") == 0;
    if (strcmp(way, "early") == 0 && WORKER)
        return 0;
    if (strcmp(way, "arguments") == 0 && WORKER &&
        (argc != 6 || strcmp(argv[3], "a b") != 0 || *argv[4] || argv[5][0] != '\n'))
        return 0;
    if (strcmp(way, "skip") == 0) {
        bool first = opens(0, 0) && pool;
        (void)rp_close(&pool);
        if (!first)
            return 0;
    }
    if (!opens(workers, brief ? 5 : 0))
        return 1;
    if (pool)
        print_pids();
    return go(workers, way);
}
