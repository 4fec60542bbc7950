/* Work while workers are killed and replaced; respawn.sh runs it.  Prints what came of it, which is
 * the same in every run.
 *   respawner KILLS LIMIT SEED   KILLS workers are killed, one by one; at most LIMIT are replaced
 *   respawner poison LIMIT       a task ends every worker that it runs on
 *   respawner storm LIMIT        one in 50 tasks ends its worker on its first start, one in 100 on
 *                                each
 *   respawner none               config.respawn without a launcher that lets workers end
 *   respawner close              a worker is killed, and the pool closed at once
 *   respawner gone LIMIT         a killed worker cannot be replaced: the program's file is deleted
 *   respawner hangs LIMIT        likewise: a spawned process never comes to rp_open
 *   respawner once LIMIT FILE    only the first spawned process, which makes FILE, never comes
 *   respawner full LIMIT         a worker is stopped and given up: it keeps its slot, MPI's last
 *   respawner away LIMIT FILE    once FILE is made, respawn.sh kills a host of two workers
 * FORK=1: tasks run in children of their workers; PROCESSES=k: a run of one rank spawns k. */
#include "padded.h"

#include <rankpool.h>

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROUND   200 /* tasks between two kills */
#define PATIENT 60.0

static const int64_t init_arg = 4711;

static rp_status prepare(rp_call *call, const void *arg, size_t size)
{
    if (size != sizeof init_arg || memcmp(arg, &init_arg, size) != 0)
        return rp_fail(call, 1, "the initializer has another argument");
    *rp_worker_data(call) = malloc(1);
    return RP_OK;
}
RP_TASK(prepare);

static void put_away(void *worker_data)
{
    free(worker_data);
}

/* Needs what the initializer has set, the shared table, and for half of the tasks another's
 * result. */
static rp_status sum(rp_call *call, const void *arg, size_t size)
{
    int64_t value;
    size_t table_size, input_size;
    const int64_t *table = rp_shared(call, "table", &table_size),
                  *input = rp_input(call, 0, &input_size);
    if (!*rp_worker_data(call) || !table || size < sizeof value)
        return rp_fail(call, 2, "something is missing");
    memcpy(&value, arg, sizeof value);
    value += table[value % 100] + (input ? *input : 0);
    return return_padded(call, value, size);
}
RP_TASK(sum);

static rp_status suicide(rp_call *call, const void *arg, size_t size)
{
    (void)call;
    (void)arg;
    (void)size;
    (void)raise(SIGKILL);
    return RP_OK;
}
RP_TASK(suicide);

static rp_status stumble(rp_call *call, const void *arg, size_t size)
{
    rp_call_info info = RP_CALL_INFO_INIT;
    int number;
    memcpy(&number, arg, sizeof number);
    (void)size;
    (void)rp_call_info_of(call, &info);
    if (number % 100 == 13 || (number % 50 == 7 && info.attempt == 1))
        (void)raise(SIGKILL);
    (void)usleep(3000);
    return RP_OK;
}
RP_TASK(stumble);

static rp_status pid(rp_call *call, const void *arg, size_t size)
{
    int64_t mine = getpid();
    (void)arg;
    (void)size;
    return rp_return(call, &mine, sizeof mine);
}
RP_TASK(pid);

static rp_stats stats_of(rp_pool *pool)
{
    rp_stats stats = RP_STATS_INIT;
    (void)!rp_stats_of(pool, &stats);
    return stats;
}

static double now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int wrong;
static atomic_bool is_refused;

static void expect(int right, const char *what)
{
    if (right)
        return;
    if (wrong++ < 5)
        printf("wrong: %s (%s)\n", what, rp_error_message());
}

static int end_signal = SIGKILL;

static void end_worker(rp_pool *pool, int worker)
{
    rp_worker_info info = RP_WORKER_INFO_INIT;
    if (rp_worker_info_of(pool, worker, &info) == RP_OK && !info.lost)
        (void)kill((pid_t)info.pid, end_signal);
}

/* Drives the pool until it knows of these numbers of losses and replacements. */
static void settle_at(rp_pool *pool, int lost_ever, int replaced)
{
    double deadline = now() + PATIENT;
    for (rp_stats stats = stats_of(pool); now() < deadline; stats = stats_of(pool)) {
        if (stats.respawned == replaced && stats.lost + stats.respawned == lost_ever)
            return;
        (void)usleep(1000);
    }
    expect(0, "the workers were not lost, or not replaced");
}

static int64_t table[100];

static int64_t value_of(int i)
{
    return i + table[i % 100] + (i % 2 ? i - 1 + table[(i - 1) % 100] : 0);
}

static void work(rp_pool *pool, int victim)
{
    static char large[100000];
    rp_future futures[ROUND];
    for (int i = 0; i < ROUND; i++) {
        int64_t value = i;
        rp_task_options options = RP_TASK_OPTIONS_INIT;
        options.attempts = 100;
        if (i % 2) {
            options.after = &futures[i - 1];
            options.after_count = 1;
        }
        memcpy(large, &value, sizeof value);
        expect(rp_submit(pool, sum, large, i % 20 == 3 ? sizeof large : sizeof value, &options,
                         &futures[i]) == RP_OK,
               "submit");
        if (i == ROUND / 2 && victim)
            end_worker(pool, victim);
    }
    for (int i = 0; i < ROUND; i++) {
        void *data = NULL;
        int64_t value = 0;
        size_t size = 0;
        expect(rp_take(pool, futures[i], PATIENT, &data, &size) == RP_OK, "a task failed");
        if (size >= sizeof value)
            memcpy(&value, data, sizeof value);
        rp_free(data);
        expect(value == value_of(i), "a result");
    }
}

/* Each worker, by its number, is the process that rp_worker_info_of tells. */
static void look_at_each(rp_pool *pool)
{
    int workers = (int)rp_workers(pool);
    for (int i = 1; i <= workers; i++) {
        rp_worker_info info = RP_WORKER_INFO_INIT;
        rp_task_options there = RP_TASK_OPTIONS_INIT;
        int64_t answer = 0;
        rp_future future;
        there.worker = i;
        there.worker_hard = true;
        expect(rp_worker_info_of(pool, i, &info) == RP_OK, "rp_worker_info_of");
        if (info.lost)
            continue;
        expect(rp_submit(pool, pid, NULL, 0, &there, &future) == RP_OK, "submit to one");
        expect(rp_get(pool, future, PATIENT, &answer, sizeof answer, NULL) == RP_OK &&
                   answer == info.pid,
               "its pid");
    }
}

static void kill_by_turns(rp_pool *pool, int kills, int limit, unsigned seed)
{
    int workers = (int)rp_workers(pool), shift = (int)(seed % 3);
    work(pool, 0);
    for (int i = 0; i < kills; i++) {
        work(pool, 1 + (i + shift) % workers);
        settle_at(pool, i + 1, i + 1 < limit ? i + 1 : limit);
        expect(rp_share(pool, "table", table, sizeof table) == RP_OK, "share");
    }
    work(pool, 0);
    if (!getenv("FORK"))
        look_at_each(pool);
    rp_stats stats = stats_of(pool);
    printf("%d workers, %d lost, %d respawned\n", stats.workers, stats.lost, stats.respawned);
}

static void poison(rp_pool *pool)
{
    rp_future future;
    expect(rp_submit(pool, suicide, NULL, 0, NULL, &future) == RP_OK, "submit");
    rp_status status = rp_get(pool, future, PATIENT, NULL, 0, NULL);
    printf("poison: %s\n", rp_strerror(status));
    settle_at(pool, 3, 3);
    work(pool, 0);
    rp_stats stats = stats_of(pool);
    printf("%d workers, %d lost, %d respawned\n", stats.workers, stats.lost, stats.respawned);
}

/* The others go on, and the pool ends. */
static void without_replacement(rp_pool *pool, int victim, int losses)
{
    double end = now() + PATIENT;
    int others = (int)rp_workers(pool) - losses;
    work(pool, victim);
    while (!atomic_load(&is_refused) && now() < end)
        work(pool, 0);
    expect(atomic_load(&is_refused), "no line says that it is not replaced");
    work(pool, 0);
    rp_stats stats = stats_of(pool);
    expect(stats.workers == others && stats.lost == losses && stats.respawned == 0,
           "the others are all that are left");
}

/* Each replacement comes soon, or these waits would end. */
static void storm(rp_pool *pool)
{
    enum { STORM = 400 };
    static rp_future futures[STORM];
    int done = 0;
    for (int i = 0; i < STORM; i++)
        expect(rp_submit(pool, stumble, &i, sizeof i, NULL, &futures[i]) == RP_OK,
               "a task cannot be submitted");
    for (int i = 0; i < STORM; i++)
        done += rp_get(pool, futures[i], PATIENT / 2, NULL, 0, NULL) ==
                (i % 100 == 13 ? RP_ERR_LOST : RP_OK);
    expect(done == STORM, "a task did not start again, or too often");
    rp_stats stats = stats_of(pool);
    expect(stats.lost + stats.respawned >= 5, "hardly a worker was lost");
    printf("storm: %d tasks\n", done);
}

static void listen_for_refusal(rp_level level, const char *line, void *user)
{
    (void)level;
    (void)user;
    (void)fprintf(stderr, "rankpool: %s\n", line);
    if (strstr(line, "is not replaced: ") || strstr(line, "not replaced any more"))
        atomic_store(&is_refused, true);
}

/* False: it is there. */
static bool make(const char *name)
{
    int file = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (file >= 0)
        (void)close(file);
    return file >= 0;
}

/* What the program's words ask for. */
struct plan {
    bool hangs, gone, full, away, once;
};

static struct plan read_words(int argc, char **argv)
{
    return (struct plan){ .hangs = strcmp(argv[1], "hangs") == 0,
                          .gone = strcmp(argv[1], "gone") == 0,
                          .full = strcmp(argv[1], "full") == 0,
                          .away = argc > 3 && strcmp(argv[1], "away") == 0,
                          .once = argc > 3 && strcmp(argv[1], "once") == 0 };
}

static void configure(rp_config *config, const struct plan *plan)
{
    if (plan->once)
        config->open_timeout = 10;
    if (plan->hangs || plan->gone || plan->full || plan->away) {
        config->open_timeout = 10;
        config->log = listen_for_refusal;
    }
    if (plan->full) {
        config->lost_after = 0.2;
        end_signal = SIGSTOP;
    }
    config->initializer = prepare;
    config->init_arg = (rp_bytes){ &init_arg, sizeof init_arg };
    config->finalizer = put_away;
    config->isolation = getenv("FORK") ? RP_FORK : RP_INLINE;
    config->processes = getenv("PROCESSES") ? atoi(getenv("PROCESSES")) : 0;
}

static void play(rp_pool *pool, const struct plan *plan, const char *word, int respawn,
                 unsigned seed)
{
    if (strcmp(word, "poison") == 0)
        poison(pool);
    else if (strcmp(word, "none") == 0)
        work(pool, 0);
    else if (strcmp(word, "storm") == 0)
        storm(pool);
    else if (strcmp(word, "close") == 0)
        work(pool, 1);
    else if (plan->once)
        kill_by_turns(pool, 1, respawn, 0);
    else if (plan->hangs || plan->gone || plan->full)
        without_replacement(pool, 1, 1);
    else if (plan->away)
        without_replacement(pool, 0, 2);
    else
        kill_by_turns(pool, atoi(word), respawn, seed);
}

int main(int argc, char **argv)
{
    rp_pool *pool;
    rp_config config = RP_CONFIG_INIT;
    if (argc < 2)
        return 2;
    struct plan plan = read_words(argc, argv);
    bool is_first = plan.once && getenv("RANKPOOL_SPAWNED") && make(argv[3]);
    while ((plan.hangs || is_first) && getenv("RANKPOOL_SPAWNED"))
        (void)sleep(1);
    configure(&config, &plan);
    config.respawn = argc > 2 ? atoi(argv[2]) : 5;
    if (rp_open(&config, &pool) != RP_OK) {
        printf("open: %s\n", rp_error_message());
        return 1;
    }
    if (!pool)
        return 0;
    (void)setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    for (int i = 0; i < 100; i++)
        table[i] = 1000 * i;
    expect(rp_share(pool, "table", table, sizeof table) == RP_OK, "share");
    expect(!plan.gone || unlink(argv[0]) == 0, "unlink");
    if (plan.away)
        (void)make(argv[3]);
    play(pool, &plan, argv[1], config.respawn, argc > 3 ? (unsigned)atoi(argv[3]) : 0);
    rp_status status = rp_close(&pool);
    printf("close: %s\n", status == RP_OK ? "fine" : rp_error_message());
    return wrong > 0;
}
