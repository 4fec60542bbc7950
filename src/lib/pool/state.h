/* What a pool remembers: each module's part by itself.  api and open come to it by pool.h. */
#ifndef RPI_POOL_STATE_H
#define RPI_POOL_STATE_H

#include "base/backoff.h"
#include "base/biased_lock.h"
#include "base/clock.h"
#include "base/hosts.h"
#include "base/wakeup.h"
#include "exec/serve.h"
#include "master/master.h"
#include "pool/detector.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

/* Threads that wait (idle.h). */
struct rpi_idle {
    /* guarded by the pool's lock */
    int sleepers;
    bool parked;   /* one of them, on the transport */
    uint64_t seen; /* of what they may wait for, when they were last woken */
    /* those beside it */
    pthread_mutex_t lock;
    pthread_cond_t wake; /* `news` has grown */
    uint64_t news;
};

/* The thread that drives it (progress_thread.h). */
struct rpi_progress_thread {
    pthread_t thread;
    struct rpi_wakeup wakeup;
    bool live;    /* there is one; changes only while no other call is under way */
    bool blocked; /* it wants to be woken when a call leaves something unsettled; guarded by the
                     pool's lock */
    /* its own */
    uint64_t seen; /* the pool's last step that it knows of */
    bool driving;  /* the last look took a step */
    double rest;   /* seconds between the last look and the next; negative: until it is woken */
    struct rpi_backoff backoff; /* of its sleeps on the transport */
    bool parked;                /* it takes the rest on the transport */
    bool keeps;                 /* it is blocked for a second only: buffers are idle */
    double heard;               /* when a step of its own last found something */
};

struct rpi_journal;
struct rpi_trace;
struct rpi_respawn;

/* What the pool knows of a rank: who is alive is asked here.  members.c alone tells the engine,
 * whose roster says who gets tasks, and the transport, whose peers say to whom messages go. */
struct rpi_members_peer {
    bool away;        /* it has ended its service, or its life */
    bool lost;        /* and the engine had no memory to take note yet */
    double vacant;    /* since when a replacement for it is wanted, seconds; 0: none is */
    uint64_t sending; /* messages to it whose bytes MPI still needs */
};

/* What happens to workers (members.h). */
struct rpi_members {
    struct rpi_members_peer *peers; /* by number */
    struct rpi_detector detector;
    int due;                     /* losses that the engine had no memory for */
    int goodbyes;                /* ranks that are away now */
    int lost;                    /* ranks whose life ended first */
    int last;                    /* of them, the last one; 0: none */
    struct rpi_respawn *respawn; /* sends for replacements of lost workers; or NULL */
    bool recovery;               /* the launcher lets the job go on without them */
};

/* Outcomes that are kept in a file (journaling.h). */
struct rpi_journaling {
    struct rpi_journal *journal; /* or NULL */
    bool sync;
    struct rpi_link storing; /* keyed tasks whose outcome must be committed before they settle */
    uint64_t found;          /* outcomes that the journal had */
    bool other;              /* one of another argument was met */
};

/* The worker in this process, at the other end of a local transport (local_worker.h). */
struct rpi_local_worker {
    struct rpi_serve *server;
    struct rpi_transport *end;
    /* rank 0's end, where that worker is number 0; NULL: it is the only one, or there is none */
    struct rpi_transport *here;
    bool executing; /* a thread is inside one of its tasks */
    bool hurried;   /* it has handed back what had not begun, as no other thread drives the pool */
};

/* When the pool is driven (step.h). */
struct rpi_steps {
    unsigned calls; /* that may have driven it */
    uint64_t at;    /* ticks of the last one */
    uint64_t pause; /* ticks that calls which need none leave between two, by what the last cost */
    uint64_t submitted; /* tasks, at the last of these */
    unsigned held;      /* so far that left queued tasks for a fuller batch */
    bool burst;         /* the last one did */
    bool lonely;    /* only calls drive it, as MPI does not allow threads; that was not said yet */
    bool left_work; /* lonely: the last step left unsettled tasks */
    bool late;      /* it found a worker idle while tasks were queued */
    struct rpi_watch watch;
};

/* A pool's end (lifecycle.c). */
struct rpi_closing {
    uint8_t stop[RPI_BATCH_HEADER]; /* the last message to every rank */
    bool collective;                /* the peers are processes that close together */
    bool ending;                    /* a thread is ending it, or exit() is */
    bool left;                      /* this is a child of fork(): the pool is its parent's */
};

struct rp_pool {
    struct rpi_biased_lock lock; /* guards all below */
    struct rpi_link link;        /* among the process's open pools */
    struct rpi_alloc alloc;
    struct rpi_log log;
    struct rpi_registry registry;
    struct rpi_master master;
    struct rpi_transport *transport;
    uint64_t sending; /* messages whose bytes MPI still needs */
    char *hosts;      /* one string a rank, RPI_HOST_BYTES apart */
    struct rpi_link streams;
    bool delivering; /* a thread is calling on_done functions */
    struct {
        uint64_t tasks, bytes;
    } limits;   /* of what is queued */
    double now; /* seconds, at the last step */
    struct rpi_steps steps;
    struct rpi_progress_thread progress_thread;
    struct rpi_watchdog *watchdog; /* or NULL */
    /* of the transport, begun and ended: odd while one is under way; for the watchdog */
    atomic_uint polls;
    int waiting;          /* threads in rpi_wait */
    struct rpi_idle idle; /* of them, those that sleep */
    uint64_t turns; /* ends of anything else that a call may wait for: callbacks, tasks that ran
                       here, ranks */
    struct rpi_local_worker local;
    struct rpi_members members;
    struct rpi_journaling journaling;
    struct rpi_trace *trace; /* or NULL */
    struct {
        double at, seconds; /* when, and how long it took */
    } opening;
    struct rpi_closing closing;
    rp_status broken; /* RP_OK while the pool can go on */
    char why[512];
    rp_status shortage; /* RP_ERR_NOMEM: the last step could not take all that came */
};

#endif
