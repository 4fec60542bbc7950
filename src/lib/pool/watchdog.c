#include "pool/watchdog.h"

#include "base/thread.h"

#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOOK 100 /* ms between two looks */
#define CALM 50  /* looks after a worker's end, and then no more if MPI comes back */
/* looks at one call of MPI's, which end the process: no call takes that long, even for 4 GiB */
#define HELD      200
#define NO_WORKER 0

struct process {
    int worker;
    pid_t pid;
};

struct rpi_watchdog {
    rp_pool *pool;
    struct rpi_alloc alloc;
    pthread_t thread;
    int stop; /* an eventfd */
    int count;
    struct pollfd *files; /* `stop`, and one for each worker of this host, which is readable when it
                             has ended */
    struct process *of;   /* whose file that is */
    struct process ended; /* the last that did, while that is looked into */
    int looks;            /* since */
    unsigned seen;        /* the pool's count of polls at the last look */
    int held;             /* looks so far that found the same call under way */
};

static int watch_process(int64_t pid) /* -1: the system cannot */
{
#ifdef SYS_pidfd_open
    return (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
#else
    (void)pid;
    return -1;
#endif
}

static void note_ends(struct rpi_watchdog *watchdog)
{
    for (int i = 1; i < watchdog->count; i++) {
        if (!watchdog->files[i].revents)
            continue;
        watchdog->ended = watchdog->of[i];
        watchdog->looks = 0;
        (void)close(watchdog->files[i].fd);
        watchdog->files[i].fd = -1; /* which poll passes over */
    }
}

static void end_process(const struct rpi_watchdog *watchdog)
{
    const rp_pool *pool = watchdog->pool;
    rpi_say(&pool->log, RP_LOG_ERROR,
            "rank 0 (%s, pid %ld) ends: since worker %d (pid %ld) on the same host has ended, MPI "
            "has not come back for %d "
            "s: it may wait for "
            "what that one was killed at writing into the memory that they share. What the journal "
            "has is done: "
            "start again; with mpirun's --mca btl tcp,self MPI shares no memory",
            pool->hosts, (long)getpid(), watchdog->ended.worker, (long)watchdog->ended.pid,
            LOOK * HELD / 1000);
    _exit(1);
}

static void look(struct rpi_watchdog *watchdog)
{
    unsigned polls = atomic_load_explicit(&watchdog->pool->polls, memory_order_relaxed);
    bool inside = polls % 2;
    watchdog->held = inside && polls == watchdog->seen ? watchdog->held + 1 : 0;
    watchdog->seen = polls;
    if (watchdog->held >= HELD)
        end_process(watchdog);
    if (++watchdog->looks >= CALM && watchdog->held == 0)
        watchdog->ended.worker = NO_WORKER;
}

static void *watch(void *context)
{
    struct rpi_watchdog *watchdog = context;
    for (;;) {
        int ready = poll(watchdog->files, (nfds_t)watchdog->count,
                         watchdog->ended.worker == NO_WORKER ? -1 : LOOK);
        if (ready > 0 && watchdog->files[0].revents)
            return NULL;
        if (ready > 0)
            note_ends(watchdog);
        else if (ready == 0)
            look(watchdog);
    }
}

static void fini(struct rpi_watchdog *watchdog)
{
    struct rpi_alloc alloc = watchdog->alloc;
    for (int i = 0; i < watchdog->count; i++)
        if (watchdog->files[i].fd >= 0)
            (void)close(watchdog->files[i].fd);
    rpi_free(&alloc, watchdog->files);
    rpi_free(&alloc, watchdog->of);
    rpi_free(&alloc, watchdog);
}

static void add(struct rpi_watchdog *watchdog, int file, struct process of)
{
    watchdog->files[watchdog->count] = (struct pollfd){ .fd = file, .events = POLLIN };
    watchdog->of[watchdog->count++] = of;
}

static void find_processes(struct rpi_watchdog *watchdog)
{
    const rp_pool *pool = watchdog->pool;
    for (int worker = 1; worker <= pool->master.roster.workers; worker++) {
        const struct rpi_seat *seat = &pool->master.roster.seats[worker];
        int file = strcmp(seat->host, pool->hosts) == 0 ? watch_process(seat->pid) : -1;
        if (file >= 0)
            add(watchdog, file, (struct process){ worker, (pid_t)seat->pid });
    }
}

struct rpi_watchdog *rpi_watchdog_start(rp_pool *pool)
{
    size_t most = (size_t)pool->master.roster.workers + 1;
    struct rpi_watchdog *watchdog = rpi_zeroed(&pool->alloc, sizeof *watchdog);
    if (!watchdog)
        return NULL;
    *watchdog = (struct rpi_watchdog){
        .pool = pool,
        .alloc = pool->alloc,
        .stop = eventfd(0, EFD_CLOEXEC),
        .files = rpi_zeroed(&pool->alloc, most * sizeof *watchdog->files),
        .of = rpi_zeroed(&pool->alloc, most * sizeof *watchdog->of)
    };
    if (watchdog->stop >= 0 && watchdog->files && watchdog->of) {
        add(watchdog, watchdog->stop, (struct process){ NO_WORKER, 0 });
        find_processes(watchdog);
        if (watchdog->count > 1 && rpi_thread_start(&watchdog->thread, watch, watchdog) == 0)
            return watchdog;
    } else if (watchdog->stop >= 0) {
        (void)close(watchdog->stop);
    }
    fini(watchdog);
    return NULL;
}

void rpi_watchdog_stop(struct rpi_watchdog *watchdog)
{
    const uint64_t one = 1;
    if (!watchdog)
        return;
    (void)!write(watchdog->stop, &one, sizeof one);
    (void)pthread_join(watchdog->thread, NULL);
    fini(watchdog);
}
