/* A program for messages.sh, under rankpool launch: one kind of trouble a run.  What the pool says
 * of it goes to standard error; a line that begins with
 * "outcome:" is a task's message.  Ends with 0 when all is as it must be, and says on standard
 * output what is not.
 *   messages lost | exits | once FILE | poison | item | crash | none | paused | hung | left |
 *   spectator FILE |
 *   forge WAY */
#include "fixture.h"

#include <fcntl.h>
#include <mpi.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#define LONG  100.0 /* seconds after which a wait has failed */
#define MATES 100

static int wrong;
static const char *starts; /* a file */

static void expect(bool right, const char *what)
{
    if (right)
        return;
    wrong++;
    printf("not so: %s\n", what);
}

/* ---- a worker that sends what it must not: its messages go through here */

#define BATCH 1 /* the transport's tags */
#define LARGE 2

static char forging; /* how, of the next message; 0: not */

static uint32_t size_of(const unsigned char *batch)
{
    return (uint32_t)batch[4] | (uint32_t)batch[5] << 8 | (uint32_t)batch[6] << 16;
}

static void set_size(unsigned char *batch, uint32_t size)
{
    batch[4] = (unsigned char)size;
    batch[5] = (unsigned char)(size >> 8);
    batch[6] = (unsigned char)(size >> 16);
}

/* Changes a batch of `size` bytes; its new size. */
static int forge(unsigned char *batch, int size, char how)
{
    switch (how) {
    case 's': /* shorter than a header */
        return 7;
    case 'c': /* cut off: its size is not what it says */
        return size - 8;
    case 'k': /* of no kind */
        batch[1] = 99;
        return size;
    case 'v': /* of another version */
        batch[0]++;
        return size;
    case 'f': /* a frame more than there are bytes for */
        batch[2]++;
        return size;
    case 'p': /* a payload that is longer than the batch */
        memset(batch + 28, 0xff, 4);
        return size;
    case 't': /* tasks, from a worker */
        batch[1] = 1;
        return size;
    case 'b': /* something after the last frame */
        set_size(batch, size_of(batch) + 8);
        return size + 8;
    case 'g': /* goodbye, too early */
        batch[1] = 3;
        batch[2] = 0;
        set_size(batch, 16);
        return 16;
    case 'l': /* longer than any batch */
        return 70000;
    default: /* anything */
        fill(batch, (size_t)size, 17);
        return size;
    }
}

int MPI_Isend(const void *data, int count, MPI_Datatype type, int peer, int tag, MPI_Comm comm,
              MPI_Request *request)
{
    static unsigned char forged[300000];
    bool large = forging == 'S' || forging == 'L';
    if (!forging || rank_here() == 0 || tag != (large ? LARGE : BATCH))
        return PMPI_Isend(data, count, type, peer, tag, comm, request);
    memcpy(forged, data, (size_t)count);
    int size = forging == 'S'   ? count / 2
               : forging == 'L' ? count + 16
                                : forge(forged, count, forging);
    forging = 0;
    return PMPI_Isend(forged, size, type, peer, tag, comm, request);
}

/* ---- tasks */

static rp_status arm(rp_call *call, const void *arg, size_t size)
{
    static char result[200000];
    (void)size;
    forging = *(const char *)arg;
    return rp_return(call, result, forging == 'S' || forging == 'L' ? sizeof result : 8);
}
RP_TASK(arm);

static rp_status kills(rp_call *call, const void *arg, size_t size)
{
    int value = size >= sizeof value ? *(const int *)arg : -1;
    if (value < 0 && raise(SIGKILL) != 0)
        return RP_ERR_TASK;
    return rp_return(call, &value, sizeof value);
}
RP_TASK(kills);

static rp_status crashes(rp_call *call, const void *arg, size_t size)
{
    (void)call;
    (void)arg;
    (void)size;
    (void)fputs("the last words\n", stderr);
    abort();
}
RP_TASK(crashes);

static rp_status leaves(rp_call *call, const void *arg, size_t size)
{
    (void)call;
    (void)arg;
    (void)size;
    exit(4);
}
RP_TASK(leaves);

static rp_status once(rp_call *call, const void *arg, size_t size)
{
    int file = open(starts, O_WRONLY | O_APPEND | O_CLOEXEC);
    bool noted = file >= 0 && write(file, arg, size) == (ssize_t)size;
    if (file >= 0)
        (void)close(file);
    (void)usleep(100000);
    return noted ? RP_OK : rp_fail(call, 1, "the start could not be noted");
}
RP_TASK(once);

/* ---- what is common */

static char said[64][512]; /* by the pool */
static int lines;

static void note_line(rp_level level, const char *line, void *user)
{
    (void)user;
    if (level <= RP_LOG_WARNING && lines < 64)
        (void)snprintf(said[lines++], sizeof *said, "%s", line);
    (void)fprintf(stderr, "rankpool: %s\n", line);
}

static bool was_said(const char *text)
{
    for (int i = 0; i < lines; i++)
        if (strstr(said[i], text))
            return true;
    return false;
}

/* Drives the pool until it was said. */
static void wait_for_words(const char *text)
{
    double end = seconds() + LONG;
    while (!was_said(text) && seconds() < end && rp_progress(pool) == RP_OK)
        (void)usleep(1000);
    expect(was_said(text), text);
}

static rp_worker_info look_at(int worker)
{
    rp_worker_info info = RP_WORKER_INFO_INIT;
    expect(rp_worker_info_of(pool, worker, &info) == RP_OK, "rp_worker_info_of");
    return info;
}

static void send_signal(int worker, int number)
{
    expect(kill((pid_t)look_at(worker).pid, number) == 0, "a signal is sent");
}

static int lost_workers(void)
{
    rp_stats stats = RP_STATS_INIT;
    expect(rp_stats_of(pool, &stats) == RP_OK, "rp_stats_of");
    return (int)stats.lost;
}

static rp_future give(rp_fn *fn, const void *arg, size_t size, int attempts, int worker, bool hard)
{
    rp_task_options options = RP_TASK_OPTIONS_INIT;
    rp_future future = { 0 };
    options.attempts = attempts;
    options.worker = worker;
    options.worker_hard = hard;
    expect(rp_submit(pool, fn, arg, size, &options, &future) == RP_OK, "rp_submit");
    return future;
}

static rp_outcome outcome_of(rp_future future)
{
    rp_outcome outcome = RP_OUTCOME_INIT;
    expect(rp_wait(pool, future, LONG) == RP_OK, "a future settles");
    expect(rp_outcome_of(pool, future, &outcome) == RP_OK, "rp_outcome_of");
    if (outcome.status != RP_OK)
        printf("outcome: %s: %s\n", rp_strerror(outcome.status), outcome.message);
    return outcome;
}

/* Tasks beside the one that makes trouble. */
static void submit_mates(rp_future *mates)
{
    for (int i = 0; i < MATES; i++)
        mates[i] = give(kills, &i, sizeof i, 0, 0, false);
}

static void check_mates(const rp_future *mates)
{
    for (int i = 0; i < MATES; i++) {
        int got = -1;
        expect(rp_get(pool, mates[i], LONG, &got, sizeof got, NULL) == RP_OK && got == i,
               "a task beside it is right");
    }
}

static void wait_until_sent(rp_future future)
{
    double end = seconds() + LONG;
    while (rp_state_of(pool, future) != RP_SENT && seconds() < end)
        (void)usleep(1000);
}

/* ---- troubles */

static void lost(void)
{
    double while_ = 0.3;
    rp_future future = give(wakeup, &while_, sizeof while_, 0, 1, false);
    wait_until_sent(future);
    send_signal(1, SIGKILL);
    expect(outcome_of(future).status == RP_OK, "the task is done elsewhere");
    expect(outcome_of(future).attempts == 2, "it was started twice");
    expect(lost_workers() == 1 && look_at(1).lost, "worker 1 is lost");
}

/* Several at once. */
static void exits(void)
{
    rp_future futures[4], mates[MATES];
    for (int i = 0; i < 4; i++)
        futures[i] = give(leaves, NULL, 0, 1, i + 1, true);
    submit_mates(mates);
    for (int i = 0; i < 4; i++)
        expect(outcome_of(futures[i]).status == RP_ERR_CRASHED && outcome_of(futures[i]).code == 4,
               "it has crashed");
    check_mates(mates);
    expect(lost_workers() == 4, "no other is");
}

static void lost_once(void)
{
    unsigned char numbers[30], seen[30] = { 0 };
    rp_future futures[30];
    int failed = 0;
    for (unsigned char i = 0; i < 30; i++)
        futures[i] = give(once, &i, 1, 1, 0, false);
    wait_until_sent(futures[0]);
    (void)usleep(50000);
    send_signal(1, SIGKILL);
    for (int i = 0; i < 30; i++) {
        rp_status status = outcome_of(futures[i]).status;
        failed += status != RP_OK;
        expect(status == RP_OK || status == RP_ERR_LOST,
               "a task that may start once is done, or lost");
    }
    FILE *file = fopen(starts, "r");
    size_t count = file ? fread(numbers, 1, sizeof numbers, file) : 0;
    for (size_t i = 0; i < count; i++)
        expect(numbers[i] < 30 && seen[numbers[i]]++ == 0, "it was started once");
    expect(file && fgetc(file) == EOF, "no start is noted beside these");
    expect(failed > 0 && failed <= 4,
           "what the worker had is lost"); /* a worker has at most 4 batches */
    if (file)
        (void)fclose(file);
}

static void poison(void)
{
    rp_future mates[MATES], more[MATES];
    int bad = -1;
    submit_mates(mates);
    rp_future future = give(kills, &bad, sizeof bad, 2, 0, false);
    submit_mates(more);
    expect(outcome_of(future).status == RP_ERR_LOST && outcome_of(future).attempts == 2,
           "it is lost after its attempts");
    check_mates(mates);
    check_mates(more);
    expect(lost_workers() == 2, "it took as many workers as it has attempts");
}

static void poisoned_item(void)
{
    int in[60], out[60];
    rp_status statuses[60];
    rp_map_options options = RP_MAP_OPTIONS_INIT;
    options.statuses = statuses;
    for (int i = 0; i < 60; i++)
        in[i] = i == 37 ? -1 : i;
    rp_status status = rp_map(pool, kills, in, sizeof *in, 60, out, sizeof *out, &options);
    printf("outcome: %s\n", rp_error_message());
    expect(status == RP_ERR_LOST, "the map says what became of its item");
    for (int i = 0; i < 60; i++)
        expect(i == 37 ? statuses[i] == RP_ERR_LOST : statuses[i] == RP_OK && out[i] == i,
               "the other items are right");
    expect(lost_workers() == 3, "it took as many workers as it has attempts");
}

static void crash(void)
{
    rp_future mates[MATES];
    submit_mates(mates);
    rp_outcome outcome = outcome_of(give(crashes, NULL, 0, 2, 0, false));
    expect(outcome.status == RP_ERR_CRASHED && outcome.attempts == 2 && outcome.code == SIGABRT,
           "it has crashed twice");
    check_mates(mates);
    expect(lost_workers() == 0, "no worker is lost");
}

static void none(void)
{
    double while_ = 60;
    rp_future future = give(wakeup, &while_, sizeof while_, 0, 0, false);
    for (int i = 1; i <= (int)rp_workers(pool); i++)
        send_signal(i, SIGKILL);
    expect(rp_wait(pool, future, LONG) == RP_ERR_BROKEN, "the wait says that the pool is broken");
    printf("outcome: %s\n", rp_error_message());
    expect(rp_submit(pool, wakeup, &while_, sizeof while_, NULL, &future) == RP_ERR_BROKEN,
           "and so does a submission");
}

/* For less than lost_after. */
static void paused(void)
{
    double while_ = 0.5;
    rp_future futures[6];
    for (int i = 0; i < 6; i++)
        futures[i] = give(wakeup, &while_, sizeof while_, 0, 1, false);
    wait_until_sent(futures[0]);
    send_signal(1, SIGSTOP);
    for (double end = seconds() + 1; seconds() < end && rp_progress(pool) == RP_OK;)
        (void)usleep(10000);
    send_signal(1, SIGCONT);
    for (int i = 0; i < 6; i++)
        expect(outcome_of(futures[i]).status == RP_OK, "its tasks are done");
    rp_outcome outcome = outcome_of(give(wakeup, &while_, sizeof while_, 0, 1, true));
    expect(outcome.status == RP_OK && outcome.worker == 1, "it works on");
    expect(lost_workers() == 0 && !look_at(1).lost, "no worker is lost");
}

/* For longer. */
static void hung(void)
{
    double while_ = 0.3;
    struct pollfd end = { .fd = pidfd_open((pid_t)look_at(1).pid, 0), .events = POLLIN };
    rp_future once = give(wakeup, &while_, sizeof while_, 1, 1, true), more[6];
    wait_until_sent(once);
    send_signal(1, SIGSTOP);
    for (int i = 0; i < 6; i++)
        more[i] = give(wakeup, &while_, sizeof while_, 0, 1, false);
    for (int i = 0; i < 6; i++)
        expect(outcome_of(more[i]).status == RP_OK && outcome_of(more[i]).worker == 2,
               "its tasks are done elsewhere");
    expect(outcome_of(once).status == RP_ERR_LOST, "what may run nowhere else is lost");
    expect(lost_workers() == 1, "and so is the worker");
    (void)pidfd_send_signal(end.fd, SIGCONT, NULL, 0);
    expect(poll(&end, 1, (int)(LONG * 1e3)) == 1, "it ends when it is continued");
}

/* rp_close gives it up. */
static void silent_at_the_end(void)
{
    send_signal(1, SIGSTOP);
}

/* A rank that is no worker: rp_close gives it up too.  FILE.pid has its pid. */
static void stopped_spectator(void)
{
    char path[600];
    int pid = 0;
    (void)snprintf(path, sizeof path, "%s.pid", starts);
    FILE *file = fopen(path, "r");
    expect(file && fscanf(file, "%d", &pid) == 1, "rank 3 has told its pid");
    if (file)
        (void)fclose(file);
    (void)kill(pid, SIGSTOP);
}

static void note_pid(void)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s.pid", starts);
    FILE *file = fopen(path, "w");
    if (file) {
        (void)fprintf(file, "%d\n", (int)getpid());
        (void)fclose(file);
    }
}

static void forged(char how)
{
    rp_future mates[MATES], more[MATES];
    submit_mates(mates);
    rp_future future = give(arm, &how, 1, 1, 0, false);
    submit_mates(more);
    rp_status status = outcome_of(future).status; /* what is whole before the fault counts */
    expect(status == RP_ERR_LOST || (status == RP_OK && (how == 'f' || how == 'b')),
           "its worker is given up");
    check_mates(mates);
    check_mates(more);
    wait_for_words("is given up");
    expect(lost_workers() == 1, "no other is");
}

static void run(const char *what, const char *argument)
{
    static const struct {
        const char *name;
        void (*trouble)(void);
    } all[] = { { "lost", lost },
                { "exits", exits },
                { "once", lost_once },
                { "poison", poison },
                { "item", poisoned_item },
                { "crash", crash },
                { "none", none },
                { "paused", paused },
                { "hung", hung },
                { "left", silent_at_the_end },
                { "spectator", stopped_spectator } };
    if (strcmp(what, "forge") == 0)
        forged(argument[0]);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(what, all[i].name) == 0)
            all[i].trouble();
}

int main(int argc, char **argv)
{
    rp_config config = RP_CONFIG_INIT;
    const char *what = argc > 1 ? argv[1] : "";
    starts = argc > 2 ? argv[2] : "";
    config.log = note_line;
    config.isolation = strcmp(what, "crash") == 0 ? RP_FORK : RP_INLINE;
    bool watches = strcmp(what, "spectator") == 0;
    config.lost_after = strcmp(what, "paused") == 0                                         ? 10
                        : strcmp(what, "hung") == 0 || strcmp(what, "left") == 0 || watches ? 0.3
                                                                                            : 0;
    if (watches) {
        config.processes = 2;
        config.trace = starts;
        if (getenv("OMPI_COMM_WORLD_RANK") && atoi(getenv("OMPI_COMM_WORLD_RANK")) == 3)
            note_pid();
    }
    if (rp_open(&config, &pool) != RP_OK)
        return 3;
    if (!pool)
        return 0;
    run(what, starts);
    rp_status status = rp_close(&pool);
    expect(status == (strcmp(what, "none") == 0 ? RP_ERR_BROKEN : RP_OK), "the pool is closed");
    if (strcmp(what, "left") == 0)
        expect(!was_said("no worker is left"), "all was settled: nothing is missing");
    return wrong ? 9 : 0;
}
