/* A run of the simulator: what its files share. */
#ifndef INSIDE_H
#define INSIDE_H

#include "exec/inline.h"
#include "master/master.h"
#include "memory.h"
#include "model.h"
#include "sim.h"
#include "tables/completions.h"
#include "transport_sim.h"
#include "worker/worker.h"

/* A batch of tasks at a worker, as the checks know it. */
struct flight {
    uint64_t *ids; /* of the frames' futures */
    uint8_t *attempts;
    uint16_t count, first; /* those before `first` have come back */
    bool solo;             /* a task of it must be alone at the worker */
};

struct sim;

struct sim_worker {
    struct sim *sim;
    struct rpi_worker engine;
    struct rpi_inline executor;
    double busy_until; /* it looks at no message before */
    bool in_task;      /* a long one, until then; messages are looked at from `looks_at` on */
    bool plain;        /* its task went the short way */
    bool pending; /* its task, a chunk, has begun, and its functions are called when all that it
                     keeps of it is done */
    double began;
    double looks_at;
    struct rpi_task task;
    struct rpi_result result;
    double ran;
    int64_t pid; /* where data are shared */
    bool told;   /* to stop */
    bool dead;   /* and what is on its way from it comes until `cut` */
    double cut;
    struct rpi_death words; /* its last, or RPI_WAY_NONE */
    bool gone;              /* rank 0 has heard of it */
    bool replaced;          /* it is not the first of its number */
    bool silent;            /* until busy_until */
    double held_until;      /* a message from it that found no memory comes again before */
    uint64_t last_own;      /* + 1: of its own tasks, the one handed out last in this dispatch */
    struct flight flights[RPI_ROSTER_DEPTH];
    int flight_count;
};

#define SIM_HOSTS 26

struct sim {
    struct sim_plan plan;
    struct sim_report *report;
    struct model model;
    struct transport_sim transport;
    struct memory memory; /* of the engines */
    struct rpi_alloc alloc;
    struct rpi_registry registry;
    struct rpi_log log;
    struct rpi_master master;
    struct sim_worker *workers; /* [1 .. plan.workers] */
    struct chance chance;
    double now;
    uint32_t actions;        /* of the application, so far */
    uint64_t detached_fails; /* detached tasks that failed, by the log */
    bool stopping, dropped, step_due;
    bool swept;         /* all is settled, and the master has had a step since */
    double look_at;     /* of the step that is due for the engine's sake; 0: none */
    uint32_t occasions; /* for the plan's fault */
    void *leaked;
    uint64_t last_rank;    /* + 1: of the task handed out last in this dispatch */
    struct rpi_link files; /* with shared data */
    int64_t last_pid;
    int32_t next_fd;
    char hosts[SIM_HOSTS][2]; /* names */
    struct rpi_completions stream;
    uint32_t streamed; /* items that were submitted into it */
    uint64_t spawned;  /* of master.spawned, those that the model knows */
    /* the running task */
    struct sim_worker *at;
    const struct rpi_task *task;
    uint64_t item;  /* the next, in its map */
    double until;   /* when it ends */
    bool obeyed;    /* it was cancelled, and stopped */
    int running_at; /* worker */
    bool poisoned;  /* it has ended its worker */
};

/* Whether the plan's fault is `fault` and its occasion is now. */
bool sim_fault_now(struct sim *sim, enum sim_fault fault);

/* A worker's two engines. */
void sim_open_worker(struct sim *sim, int number);
void sim_close_worker(struct sim *sim, int number);

/* What arrives at a worker: a batch, a large payload, the report of a send. */
void sim_deliver(struct sim *sim, const struct sim_event *event);

/* ---- app.c: one random action of the application; false: it has nothing more to do. */
bool app_act(struct sim *sim);
/* Calls the on_done functions that are due. */
void app_deliver(struct sim *sim);

/* ---- work.c: a worker's turn: runs what it has, and sends what is due. */
void work_turn(struct sim *sim, int worker);
/* A message comes while a long task runs: it is looked at now, or put off; false: put off. */
bool work_interrupted(struct sim *sim, const struct sim_event *event);
/* Lets go of what a task that never ends would have returned. */
void work_abandon(struct sim_worker *worker);
/* The running chunk ends before its first item that has not begun; `context`: the worker. */
uint32_t work_cut(void *context);
void work_pump(struct sim *sim, int worker, double now);
/* Makes the task functions known to the process. */
void work_register(void);

/* ---- spawns.c: a stream, and the tasks that its tasks spawn. */
/* Whether the task becomes an item of the stream, and what it spawns.  RP_ERR_NOMEM: no room to
 * note its end. */
RP_MUST_USE rp_status stream_item(struct sim *sim, struct model_task *task,
                                  struct rpi_request *request, struct rpi_options *options);
/* The running task spawns the children of this attempt. */
RP_MUST_USE rp_status spawns_play(struct sim *sim, rp_call *call, const struct model_task *task,
                                  uint32_t attempt);
/* A fault on purpose: the last child that has come so far is forgotten. */
void spawns_forget(struct sim *sim, int worker);
/* The master has received a batch (arrived: a large result): each task that this has queued must be
 * a child of one that succeeded. */
void spawns_received(struct sim *sim, const struct sim_message *message);
void spawns_arrived(struct sim *sim, uint64_t id, uint32_t attempt);
/* The task is settled: rank 0 must have all its children.  `outcome` NULL: the future went before
 * the checks saw it. */
void spawns_settled(struct sim *sim, uint64_t number, const rp_outcome *outcome);
/* The application takes `most` items from the stream, or as many as are there. */
void stream_take(struct sim *sim, uint32_t most);
/* All is settled: the stream is at its end. */
void spawns_end(struct sim *sim);

/* ---- shares.c: shared data. */
void shares_open(struct sim *sim);
void shares_close(struct sim *sim);
void shares_open_worker(struct sim *sim, int worker);
void shares_close_worker(struct sim *sim, int worker);
/* The application shares something under a name that is in use or not, or nothing. */
void shares_act(struct sim *sim);
/* Frees what is dead. */
void shares_bury(struct sim *sim);
/* Does what the worker's engine wants done; false: nothing. */
bool shares_supply(struct sim *sim, int worker);
/* What the running task sees. */
void shares_check(struct sim *sim, const rp_call *call, const struct model_task *task);
/* All is settled: nothing is kept that no task can see any more. */
void shares_check_rest(struct sim *sim);

/* ---- returns.c: tasks that workers hand back. */
/* A RETURNED message goes to the master: what the model knows of its tasks follows. */
rp_status returns_receive(struct sim *sim, int worker, const struct sim_message *message);
/* Asks a random worker, as the engine may at any time. */
void returns_recall(struct sim *sim);
/* A worker hands back a task that has just been sent to it, and will run it. */
void returns_forge(struct sim *sim, const struct rpi_batch *batch);

/* ---- faults.c: workers that die and fall silent. */
/* After every step: something may happen to a worker. */
void faults_step(struct sim *sim);
/* The worker dies now, unless it is the last one; false: it lives. */
bool faults_kill(struct sim *sim, int worker);
/* The worker dies of this task, or item, unless it is the last one, and may say so; false: it
 * lives. */
bool faults_kill_by(struct sim *sim, int worker, const rp_call *call, uint64_t item);
/* Whether an event is of a worker that is dead, and never happens. */
bool faults_swallow(const struct sim *sim, const struct sim_event *event);
/* An event of this file's; false: it is none. */
bool faults_event(struct sim *sim, const struct sim_event *event);
/* Starts that the task may have, those that returned an error aside. */
uint32_t faults_limit(const struct model_task *task);

/* ---- checks.c: what must hold. */
/* After every step; `worker`: that it was about, or 0. */
void check_step(struct sim *sim, int worker);
/* After rpi_master_dispatch; `refused`: memory was refused meanwhile. */
void check_dispatched(struct sim *sim, bool refused);
/* A batch goes to a worker. */
void check_handed_out(struct sim *sim, const struct rpi_batch *batch);
/* Nothing more will happen. */
void check_end(struct sim *sim);
/* Looks at one future; what it has settled with is kept. */
void check_future(struct sim *sim, uint64_t number);

#endif
