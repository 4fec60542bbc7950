#include "pool/watchdog.h"

#include "base/thread.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
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

static void note_ends(struct rpi_watchdog *warden)
{
    for (int i = 1; i < warden->count; i++) {
        if (!warden->files[i].revents)
            continue;
        warden->ended = warden->of[i];
        warden->looks = 0;
        (void)close(warden->files[i].fd);
        warden->files[i].fd = -1; /* which poll passes over */
    }
}

static void end_process(const struct rpi_watchdog *warden)
{
    const rp_pool *pool = warden->pool;
    rpi_say(&pool->log, RP_LOG_ERROR,
            "rank 0 (%s, pid %ld) ends: since worker %d (pid %ld) on the same host has ended, MPI "
            "has not come back for %d "
            "s: it may wait for "
            "what that one was killed at writing into the memory that they share. What the journal "
            "has is done: "
            "start again; with mpirun's --mca btl tcp,self MPI shares no memory",
            pool->hosts, (long)getpid(), warden->ended.worker, (long)warden->ended.pid,
            LOOK * HELD / 1000);
    _exit(1);
}

static void look(struct rpi_watchdog *warden)
{
    unsigned polls = atomic_load_explicit(&warden->pool->polls, memory_order_relaxed);
    bool inside = polls % 2;
    warden->held = inside && polls == warden->seen ? warden->held + 1 : 0;
    warden->seen = polls;
    if (warden->held >= HELD)
        end_process(warden);
    if (++warden->looks >= CALM && warden->held == 0)
        warden->ended.worker = NO_WORKER;
}

static void *watch(void *context)
{
    struct rpi_watchdog *warden = context;
    for (;;) {
        int ready = poll(warden->files, (nfds_t)warden->count,
                         warden->ended.worker == NO_WORKER ? -1 : LOOK);
        if (ready > 0 && warden->files[0].revents)
            return NULL;
        if (ready > 0)
            note_ends(warden);
        else if (ready == 0)
            look(warden);
    }
}

static void fini(struct rpi_watchdog *warden)
{
    struct rpi_alloc alloc = warden->alloc;
    for (int i = 0; i < warden->count; i++)
        if (warden->files[i].fd >= 0)
            (void)close(warden->files[i].fd);
    rpi_free(&alloc, warden->files);
    rpi_free(&alloc, warden->of);
    rpi_free(&alloc, warden);
}

static void add(struct rpi_watchdog *warden, int file, struct process of)
{
    warden->files[warden->count] = (struct pollfd){ .fd = file, .events = POLLIN };
    warden->of[warden->count++] = of;
}

static void find_processes(struct rpi_watchdog *warden)
{
    const rp_pool *pool = warden->pool;
    for (int worker = 1; worker <= pool->master.roster.workers; worker++) {
        const struct rpi_seat *seat = &pool->master.roster.seats[worker];
        int file = strcmp(seat->host, pool->hosts) == 0 ? watch_process(seat->pid) : -1;
        if (file >= 0)
            add(warden, file, (struct process){ worker, (pid_t)seat->pid });
    }
}

struct rpi_watchdog *rpi_watchdog_start(rp_pool *pool)
{
    size_t most = (size_t)pool->master.roster.workers + 1;
    struct rpi_watchdog *warden = rpi_zeroed(&pool->alloc, sizeof *warden);
    if (!warden)
        return NULL;
    *warden = (struct rpi_watchdog){ .pool = pool,
                                     .alloc = pool->alloc,
                                     .stop = eventfd(0, EFD_CLOEXEC),
                                     .files = rpi_zeroed(&pool->alloc,
                                                         most * sizeof *warden->files),
                                     .of = rpi_zeroed(&pool->alloc, most * sizeof *warden->of) };
    if (warden->stop >= 0 && warden->files && warden->of) {
        add(warden, warden->stop, (struct process){ NO_WORKER, 0 });
        find_processes(warden);
        if (warden->count > 1 && rpi_thread_start(&warden->thread, watch, warden) == 0)
            return warden;
    } else if (warden->stop >= 0) {
        (void)close(warden->stop);
    }
    fini(warden);
    return NULL;
}

void rpi_watchdog_stop(struct rpi_watchdog *warden)
{
    const uint64_t one = 1;
    if (!warden)
        return;
    (void)!write(warden->stop, &one, sizeof one);
    (void)pthread_join(warden->thread, NULL);
    fini(warden);
}
