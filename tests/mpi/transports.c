/* A program for transports.sh: workers are killed while they send results, and every byte of every
 * result is looked at.
 *   transports SEED KILLS TASKS BYTES [JOURNAL]
 * With OWN_MPI in the environment the program initialises MPI itself, and finalises it.
 * BYTES: of each result; 0: some of nothing, of 3 kB, 100 kB and 4 MB.  With a JOURNAL every task
 * has a key; a result that comes out of the journal is looked at as well. */
#include "fixture.h"

#include <errno.h>
#include <mpi.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

#define LONG     100.0 /* seconds after which a wait has failed */
#define ATTEMPTS 200
#define NAP      2000 /* microseconds of a task, at the most */

struct order {
    uint64_t seed;
    uint32_t micros, size;
};

static rp_status give(rp_call *call, const void *arg, size_t size)
{
    struct order order;
    (void)size;
    memcpy(&order, arg, sizeof order);
    (void)usleep(order.micros);
    void *room = rp_reserve(call, order.size);
    if (!room)
        return RP_ERR_NOMEM;
    fill(room, order.size, order.seed);
    return RP_OK;
}
RP_TASK(give);

static uint64_t state;

static uint32_t chance(uint32_t below)
{
    state = state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(state >> 33) % below;
}

static uint32_t mixed(uint32_t number)
{
    return number % 40 == 7 ? 4000000 : number % 4 == 1 ? 100000 : number % 4 == 2 ? 3000 : 0;
}

/* ---- the killer */

struct prey {
    int count;
    int files[64];       /* pidfds */
    useconds_t naps[64]; /* before each */
};

static void *hunt(void *context)
{
    struct prey *prey = context;
    for (int i = 0; i < prey->count; i++) {
        (void)usleep(prey->naps[i]);
        (void)pidfd_send_signal(prey->files[i], SIGKILL, NULL, 0);
    }
    return NULL;
}

/* The first workers, one after the other, within the time that all would take. */
static void choose(struct prey *prey, int kills, int tasks)
{
    uint32_t span = (uint32_t)tasks * NAP / 2 / (uint32_t)rp_workers(pool);
    for (int worker = 1; worker <= kills && worker <= 64; worker++) {
        rp_worker_info info = RP_WORKER_INFO_INIT;
        if (rp_worker_info_of(pool, worker, &info) != RP_OK)
            continue;
        prey->naps[prey->count] = chance(span / (uint32_t)kills);
        prey->files[prey->count++] = pidfd_open((pid_t)info.pid, 0);
    }
}

/* ---- the results */

static bool is_right(rp_future future, const struct order *order)
{
    void *data = NULL;
    size_t size = 0;
    rp_status status = rp_take(pool, future, LONG, &data, &size);
    bool right = status == RP_OK && size == order->size && filled(data, size, order->seed);
    if (!right)
        printf("%u bytes: %s\n", (unsigned)order->size,
               status == RP_OK ? "wrong" : rp_error_message());
    rp_free(data);
    return right;
}

static int count_right(uint64_t seed, int tasks, uint32_t bytes, bool keys)
{
    rp_future *futures = calloc((size_t)tasks, sizeof *futures);
    struct order *orders = calloc((size_t)tasks, sizeof *orders);
    int right = 0;
    for (int i = 0; i < tasks; i++) {
        rp_task_options options = RP_TASK_OPTIONS_INIT;
        options.attempts = ATTEMPTS;
        orders[i] = (struct order){ .seed = seed * 100000 + (uint64_t)i,
                                    .micros = (uint32_t)(i * 7919) % NAP,
                                    .size = bytes ? bytes : mixed((uint32_t)i) };
        if (keys)
            options.key = (rp_bytes){ .data = &i, .size = sizeof i };
        if (rp_submit(pool, give, &orders[i], sizeof orders[i], &options, &futures[i]) != RP_OK)
            printf("rp_submit: %s\n", rp_error_message());
    }
    for (int i = 0; i < tasks; i++)
        right += is_right(futures[i], &orders[i]);
    free(futures);
    free(orders);
    return right;
}

int main(int argc, char **argv)
{
    rp_config config = RP_CONFIG_INIT;
    rp_stats stats = RP_STATS_INIT;
    struct prey prey = { 0 };
    pthread_t killer;
    if (argc < 5)
        return 2;
    int kills = atoi(argv[2]), tasks = atoi(argv[3]);
    state = strtoull(argv[1], NULL, 10) * 2 + 1;
    config.journal = argc > 5 ? argv[5] : NULL;
    bool own = getenv("OWN_MPI") != NULL;
    if (own)
        (void)MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &(int){ 0 });
    if (rp_open(&config, &pool) != RP_OK) {
        printf("rp_open: %s\n", rp_error_message());
        return 1;
    }
    if (!pool)
        return own && MPI_Finalize() != MPI_SUCCESS;
    choose(&prey, kills, tasks);
    (void)pthread_create(&killer, NULL, hunt, &prey);
    int right = count_right(strtoull(argv[1], NULL, 10), tasks, (uint32_t)atoi(argv[4]), argc > 5);
    (void)pthread_join(killer, NULL);
    (void)rp_stats_of(pool, &stats);
    rp_status status = rp_close(&pool);
    if (status != RP_OK)
        printf("rp_close: %s\n", rp_error_message());
    printf("%d of %d right, %llu journaled\n", right, tasks, (unsigned long long)stats.journaled);
    if (own)
        (void)MPI_Finalize();
    return right == tasks && status == RP_OK ? 0 : 9;
}
