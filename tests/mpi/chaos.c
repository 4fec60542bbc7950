/* A program for chaos.sh and nodes.sh: a pool works while its workers are killed, stopped and
 * left, at moments that a seed chooses.
 *   chaos SEED STARTS [WORD=N...]
 * STARTS: a file in which every start of a task is noted.  Words: kill, stop, deaf (stopped for
 * good): workers that rank 0 sends a signal to; leave, poison:
 * tasks that end their process, once and always; waves: of tasks, at the least; fork: tasks run in
 * children; journal: some tasks have a key, in STARTS.journal;
 * all: no worker is left; seconds: waves go on so long, for faults from outside.  Rank 0 ends with
 * 0 when every future is settled as it must be, and with 9 when it finds a fault. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

#define LONG     120.0 /* seconds after which a wait has failed */
#define ATTEMPTS 200   /* of tasks that must be done at last */
#define RETRIES  3     /* of tasks that fail */
#define FAILS    4     /* of their starts, at the most */
#define TASKS    40    /* a wave, of the ordinary kinds */
#define ITEMS    300
#define TREE     3 /* generations of spawned tasks, of TREE children each */

static struct {
    uint64_t seed;
    const char *starts;
    unsigned kill, stop, deaf, leave, poison, waves, fork, journal, all, seconds;
} plan = { .waves = 2 };

static struct {
    int workers;
    int *files; /* a pidfd for each worker of this host; -1 */
    pthread_t thread;
    volatile bool over;
    bool extinct; /* all of them */
} prey;

static int faults;
static bool calm; /* no worker will be lost */

static void fault(const char *what, uint64_t number, const char *more)
{
    faults++;
    printf("chaos: seed %llu: %s %llu: %s\n", (unsigned long long)plan.seed, what,
           (unsigned long long)number, more);
}

static uint64_t chance(uint64_t below)
{
    static uint64_t state;
    if (!state)
        state = plan.seed * 2 + 1;
    state = state * 6364136223846793005U + 1442695040888963407U;
    return (state >> 33) % below;
}

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void nap_for(double seconds)
{
    struct timespec t = { .tv_sec = (time_t)seconds,
                          .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9) };
    while (nanosleep(&t, &t) != 0 && errno == EINTR)
        continue;
}

/* ---- tasks */

enum kind { WORK, GIVE, TAKE, ONCE, FAIL, LEAVE, POISON };
static const char *const kind_names[] = {
    "work", "give", "take", "once", "fail", "leave", "poison"
};

struct order {
    uint64_t number, seed;
    uint32_t kind, micros, size; /* size: of the result, or of the bytes after the order */
    uint32_t way;                /* of leaving; FAIL: this many first starts return an error */
};

static void note_start(uint64_t number)
{
    static int file = -1;
    if (file < 0)
        file = open(plan.starts, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (write(file, &number, sizeof number) !=
        (ssize_t)sizeof number) /* in one piece, whatever comes next */
        abort();
}

static void leave(uint32_t way)
{
    switch (way % 4) {
    case 0:
        (void)raise(SIGKILL);
        break;
    case 1:
        _exit(0);
    case 2:
        _exit(3);
    default:
        exit(4);
    }
}

static rp_status serve(rp_call *call, const void *arg, size_t size)
{
    struct order order;
    rp_call_info info = RP_CALL_INFO_INIT;
    memcpy(&order, arg, sizeof order);
    rp_call_info_of(call, &info);
    note_start(order.number);
    nap_for(order.micros * 1e-6);
    if (order.kind == POISON || (order.kind == LEAVE && info.attempt == 1))
        leave(order.kind == POISON ? 0 : order.way);
    if (order.kind == FAIL && (uint32_t)info.attempt <= order.way)
        return rp_fail(call, (int)(100 + order.way), "start %d of %u that fail", info.attempt,
                       (unsigned)order.way);
    if (order.kind == TAKE &&
        !filled((const char *)arg + sizeof order, size - sizeof order, order.seed))
        return rp_fail(call, 1, "a damaged argument");
    if (order.kind != GIVE)
        return rp_return(call, &order.seed, sizeof order.seed);
    void *room = rp_reserve(call, order.size);
    if (!room)
        return RP_ERR_NOMEM;
    fill(room, order.size, order.seed);
    return RP_OK;
}
RP_TASK(serve);

static rp_status item(rp_call *call, const void *arg, size_t size)
{
    double x = *(const double *)arg * 3;
    (void)size;
    nap_for(200e-6);
    return rp_return(call, &x, sizeof x);
}
RP_TASK(item);

static rp_status branch(rp_call *call, const void *arg, size_t size)
{
    int depth = *(const int *)arg - 1;
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    options.attempts = ATTEMPTS;
    (void)size;
    nap_for(1e-3);
    for (int i = 0; depth >= 0 && i < TREE; i++)
        if (rp_spawn(call, branch, &depth, sizeof depth, &options) != RP_OK)
            return rp_fail(call, 2, "rp_spawn failed");
    return rp_return(call, &depth, sizeof depth);
}
RP_TASK(branch);

static rp_status look(rp_call *call, const void *arg, size_t size)
{
    size_t got = 0;
    uint64_t seed;
    memcpy(&seed, arg, sizeof seed);
    (void)size;
    const void *data = rp_shared(call, "chaos", &got);
    return data && got == 100000 && filled(data, got, seed)
               ? RP_OK
               : rp_fail(call, 3, "%zu bytes of another", got);
}
RP_TASK(look);

/* ---- waves */

struct job {
    struct order order;
    rp_future future;
    bool refused; /* no worker is left */
};

#define MOST (1 << 20)
static unsigned char kinds[MOST];  /* by number */
static unsigned char starts[MOST]; /* likewise: as many as the outcome says; 0: there was none */
static uint64_t next_number = 1;
static unsigned leavers_left, poison_left;

static struct order make_order(enum kind kind)
{
    struct order order = { .number = next_number++,
                           .kind = kind,
                           .seed = chance(UINT32_MAX),
                           .micros = (uint32_t)chance(6000) };
    if (kind == GIVE || kind == TAKE)
        order.size = (uint32_t)(chance(4) ? chance(20000) : chance(8000000));
    order.way = (uint32_t)(kind == FAIL ? 1 + chance(FAILS) : chance(4));
    kinds[order.number % MOST] = (unsigned char)kind;
    return order;
}

static bool is_broken(rp_status status)
{
    return plan.all && status == RP_ERR_BROKEN;
}

static void submit_job(struct job *job, enum kind kind)
{
    char key[32];
    job->order = make_order(kind);
    size_t more = kind == TAKE ? job->order.size : 0;
    char *argument = malloc(sizeof job->order + more);
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    options.attempts = kind == ONCE ? 1 : kind == POISON ? 2 : ATTEMPTS;
    options.retries = kind == FAIL ? RETRIES : 0;
    memcpy(argument, &job->order, sizeof job->order);
    fill(argument + sizeof job->order, more, job->order.seed);
    if (plan.journal && job->order.number % 2)
        options.key = (rp_bytes){ .data = key,
                                  .size = (size_t)snprintf(key, sizeof key, "%u",
                                                           (unsigned)job->order.number) };
    rp_status status = rp_submit(pool, serve, argument, sizeof job->order + more, &options,
                                 &job->future);
    job->refused = is_broken(status);
    if (prey.extinct && !job->refused)
        fault("rp_submit", job->order.number, "took a task though no worker is left");
    if (status != RP_OK && !job->refused)
        fault("rp_submit", job->order.number, rp_error_message());
    free(argument);
}

/* Starts that end with their worker use no try up, so that more may return an error than there are
 * tries for; where no worker was lost
 * (`calm`) none is too many. */
static bool is_right_failure(const struct order *order, rp_status status, const rp_outcome *outcome)
{
    if (status == RP_OK && calm)
        return outcome->attempts == (int)order->way + 1 && order->way <= RETRIES;
    if (status == RP_OK)
        return outcome->attempts > (int)order->way;
    return status == RP_ERR_TASK && outcome->code == 100 + (int)order->way &&
           order->way > RETRIES && outcome->attempts == RETRIES + 1;
}

/* What its kind says must have come of it; `broken`: or nothing, as no worker is left. */
static void settle(const struct job *job)
{
    rp_outcome outcome = RP_OUTCOME_INIT;
    const struct order *order = &job->order;
    void *data = NULL;
    size_t size = 0;
    if (job->refused)
        return;
    rp_status known = rp_wait(pool, job->future, LONG);
    if (known == RP_OK)
        known = rp_outcome_of(pool, job->future, &outcome);
    if (known == RP_OK)
        starts[order->number % MOST] = (unsigned char)outcome.attempts;
    rp_status status = rp_take(pool, job->future, LONG, &data, &size);
    bool right = size == sizeof order->seed && data && memcmp(data, &order->seed, size) == 0;
    if (order->kind == GIVE)
        right = size == order->size && filled(data, size, order->seed);
    if (order->kind == POISON)
        right = status == (plan.fork ? RP_ERR_CRASHED : RP_ERR_LOST);
    else if (status == RP_ERR_LOST && order->kind == ONCE)
        right = true;
    else if (status == RP_ERR_CRASHED && order->kind == LEAVE)
        right = !plan.fork && order->way % 4 == 3; /* exit(), which the worker tells */
    else if (order->kind == FAIL)
        right = (status != RP_OK || right) && is_right_failure(order, status, &outcome);
    else if (status != RP_OK)
        right = false;
    if (is_broken(status))
        right = true;
    if (!right)
        fault(kind_names[order->kind], order->number,
              status == RP_OK ? "a wrong result" : rp_error_message());
    rp_free(data);
}

static void map_wave(void)
{
    double in[ITEMS], out[ITEMS];
    rp_task_options task = RP_TASK_OPTIONS_INIT;
    rp_map_options options = RP_MAP_OPTIONS_INIT;
    task.attempts = ATTEMPTS;
    options.task = &task;
    for (int i = 0; i < ITEMS; i++)
        in[i] = i;
    rp_status status = rp_map(pool, item, in, sizeof *in, ITEMS, out, sizeof *out, &options);
    if (is_broken(status))
        return;
    if (status != RP_OK)
        fault("rp_map", ITEMS, rp_error_message());
    for (int i = 0; status == RP_OK && i < ITEMS; i++)
        if (memcmp(&out[i], &(double){ i * 3.0 }, sizeof *out) != 0)
            fault("rp_map", (uint64_t)i, "a wrong result");
}

/* Every node of a tree comes once. */
static void tree_wave(void)
{
    rp_stream *stream = NULL;
    rp_item got = RP_ITEM_INIT;
    rp_task_options task = RP_TASK_OPTIONS_INIT;
    int depth = TREE, nodes[TREE + 1] = { 0 }, want = 1;
    rp_status status = rp_stream_open(pool, NULL, &stream);
    task.attempts = ATTEMPTS;
    if (status == RP_OK)
        status = rp_stream_submit(stream, branch, &depth, sizeof depth, &task, NULL);
    if (status == RP_OK)
        status = rp_stream_end(stream);
    while (status == RP_OK && (status = rp_stream_next(stream, LONG, &got)) == RP_OK) {
        if (is_broken(got.outcome->status))
            continue;
        if (got.outcome->status != RP_OK || got.depth > TREE)
            fault("a node", got.depth, got.outcome->message);
        else
            nodes[got.depth]++;
    }
    if (status != RP_END && !is_broken(status))
        fault("a tree", 0, rp_error_message());
    for (int i = 0; i <= TREE && !plan.all; i++, want *= TREE)
        if (nodes[i] != want)
            fault("nodes of a generation", (uint64_t)i, nodes[i] < want ? "too few" : "too many");
    if (stream)
        (void)rp_stream_close(&stream);
}

static void share_wave(void)
{
    static char data[100000];
    uint64_t seed = chance(UINT32_MAX);
    rp_task_options task = RP_TASK_OPTIONS_INIT;
    rp_future looks[10];
    task.attempts = ATTEMPTS;
    fill(data, sizeof data, seed);
    rp_status status = rp_share(pool, "chaos", data, sizeof data);
    int count = 0;
    for (; status == RP_OK && count < 10; count++)
        status = rp_submit(pool, look, &seed, sizeof seed, &task, &looks[count]);
    if (status != RP_OK)
        count--; /* without the data no look; the last look has no future */
    if (status != RP_OK && !is_broken(status))
        fault("rp_share, or a look", (uint64_t)count, rp_error_message());
    for (int i = 0; i < count; i++) {
        status = rp_get(pool, looks[i], LONG, NULL, 0, NULL);
        if (status != RP_OK && !is_broken(status))
            fault("shared data", (uint64_t)i, rp_error_message());
    }
}

static void begin_hunt(void);

static void wave(void)
{
    static struct job jobs[TASKS + 2];
    size_t count = 0;
    for (int i = 0; i < TASKS; i++) {
        if (leavers_left && chance(TASKS / 4) == 0) {
            leavers_left--;
            submit_job(&jobs[count++], LEAVE);
        }
        if (poison_left && chance(TASKS / 2) == 0 && count < TASKS) {
            poison_left--;
            submit_job(&jobs[count++], POISON);
        }
        if (count < TASKS)
            submit_job(&jobs[count++], (enum kind)chance(LEAVE));
    }
    if (!prey.files)
        begin_hunt();
    if (chance(2))
        map_wave();
    for (size_t i = 0; i < count; i++)
        settle(&jobs[i]);
    if (chance(2))
        tree_wave();
    if (chance(2))
        share_wave();
}

/* ---- faults */

static void send_signal(int worker, int number)
{
    if (prey.files[worker] >= 0)
        (void)pidfd_send_signal(prey.files[worker], number, NULL, 0);
}

static bool has_died(int worker)
{
    struct pollfd end = { .fd = prey.files[worker], .events = POLLIN };
    return prey.files[worker] >= 0 && poll(&end, 1, 0) == 1;
}

/* Of its own thread: faults come whatever the master is doing.  Each victim is another. */
static void *hunt(void *argument)
{
    unsigned *order = argument, at = 0;
    for (unsigned i = 0; i < plan.kill + plan.stop + plan.deaf; i++) {
        nap_for((double)order[prey.workers + (int)i] * 1e-6);
        int worker = (int)order[at++];
        send_signal(worker, i < plan.kill ? SIGKILL : SIGSTOP);
        if (i >= plan.kill && i < plan.kill + plan.stop) {
            nap_for(1.5);
            send_signal(worker, SIGCONT);
        }
    }
    free(order);
    prey.over = true;
    return NULL;
}

static void begin_hunt(void)
{
    int workers = prey.workers = (int)rp_workers(pool);
    unsigned *order = calloc((size_t)(3 * workers) + 1, sizeof *order);
    prey.files = calloc((size_t)workers + 1, sizeof *prey.files);
    char here[256] = "";
    (void)gethostname(here, sizeof here - 1);
    for (int worker = 1; worker <= workers; worker++) {
        rp_worker_info info = RP_WORKER_INFO_INIT;
        prey.files[worker] = -1;
        if (rp_worker_info_of(pool, worker, &info) == RP_OK && strcmp(info.host, here) == 0)
            prey.files[worker] = pidfd_open((pid_t)info.pid, 0);
        order[worker - 1] = (unsigned)worker;
    }
    for (int i = workers - 1; i > 0; i--) {
        int other = (int)chance((uint64_t)i + 1);
        unsigned worker = order[i];
        order[i] = order[other];
        order[other] = worker;
    }
    for (int i = 0; i < 2 * workers; i++)
        order[workers + i] = (unsigned)chance(150000);
    (void)pthread_create(&prey.thread, NULL, hunt, order);
}

static void end_hunt(void)
{
    int dead = 0;
    rp_stats stats = RP_STATS_INIT;
    (void)pthread_join(prey.thread, NULL);
    for (int worker = 1; worker <= prey.workers; worker++)
        dead += has_died(worker);
    for (double end = now() + 10;
         now() < end && rp_stats_of(pool, &stats) == RP_OK && stats.lost < dead;)
        nap_for(0.01);
    if ((stats.lost < dead || stats.lost > dead + (int)plan.deaf) && !plan.seconds)
        fault("workers that have died", (uint64_t)dead, "are not as many as the pool says");
    printf("chaos: seed %llu: %d of %d workers died, %llu tasks\n", (unsigned long long)plan.seed,
           dead, prey.workers, (unsigned long long)next_number - 1);
}

/* ---- the whole */

/* None was started more often than its outcome says, and one that may be started once not twice. */
static void check_starts(void)
{
    static unsigned short seen[MOST];
    uint64_t number;
    FILE *file = fopen(plan.starts, "r");
    while (file && fread(&number, sizeof number, 1, file) == 1)
        if (number < MOST && ++seen[number] == 2 && kinds[number] == ONCE)
            fault("once", number, "was started twice");
        else if (number < MOST && starts[number] && seen[number] == starts[number] + 1)
            fault(kind_names[kinds[number]], number,
                  "was started more often than its outcome says");
    if (file)
        (void)fclose(file);
    else
        fault("the file of starts", 0, strerror(errno));
}

static bool read_word(const char *word)
{
    const struct {
        const char *name;
        unsigned *value;
    } words[] = { { "kill", &plan.kill },     { "stop", &plan.stop },
                  { "deaf", &plan.deaf },     { "leave", &plan.leave },
                  { "poison", &plan.poison }, { "waves", &plan.waves },
                  { "fork", &plan.fork },     { "journal", &plan.journal },
                  { "all", &plan.all },       { "seconds", &plan.seconds } };
    const char *value = strchr(word, '=');
    for (size_t i = 0; value && i < sizeof words / sizeof *words; i++)
        if (strncmp(words[i].name, word, (size_t)(value - word)) == 0 &&
            !words[i].name[value - word]) {
            *words[i].value = (unsigned)strtoul(value + 1, NULL, 10);
            return true;
        }
    return false;
}

static rp_status open_chaos(void)
{
    rp_config config = RP_CONFIG_INIT;
    config.isolation = plan.fork ? RP_FORK : RP_INLINE;
    config.lost_after = plan.deaf ? 0.5 : plan.stop ? 10 : 0;
    char journal[4096];
    (void)snprintf(journal, sizeof journal, "%s.journal", plan.starts);
    config.journal = plan.journal ? journal : NULL;
    rp_status status = rp_open(&config, &pool);
    if (status != RP_OK)
        printf("chaos: rp_open: %s\n", rp_error_message());
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    plan.seed = strtoull(argv[1], NULL, 10);
    plan.starts = argv[2];
    for (int i = 3; i < argc; i++)
        if (!read_word(argv[i]))
            return 2;
    if (open_chaos() != RP_OK)
        return 3;
    if (!pool)
        return 0;
    double end = now() + plan.seconds, longest = 0;
    leavers_left = plan.leave;
    poison_left = plan.poison;
    if (!plan.all) /* else after the first submissions */
        begin_hunt();
    for (unsigned i = 0; i < plan.waves || leavers_left || poison_left || !prey.over || now() < end;
         i++) {
        double began = now();
        wave();
        if (now() - began > longest)
            longest = now() - began;
    }
    printf("chaos: seed %llu: the longest wave took %.2f s\n", (unsigned long long)plan.seed,
           longest);
    end_hunt();
    prey.extinct = plan.all;
    calm = !plan.deaf && !plan.all && !plan.seconds;
    wave();
    rp_status status = rp_close(&pool);
    if (status != RP_OK && !is_broken(status))
        fault("rp_close", 0, rp_error_message());
    check_starts();
    return faults ? 9 : 0;
}
