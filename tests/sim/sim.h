/* One master's engine and any number of workers' in one process, in virtual time, driven from a
 * seed.
 *
 * A plan says what happens: how an application behaves, how slow the network is, how often memory
 * is refused.  A run follows the plan and checks, after every step, what must hold whatever happens
 * (checks.c); the first violation ends it. */
#ifndef SIM_H
#define SIM_H

#include <stdbool.h>
#include <stdint.h>

/* How a run ends. */
enum sim_ending {
    SIM_CLOSE,     /* everything settles, then the workers are stopped */
    SIM_TERMINATE, /* at a random moment what is queued is dropped, and the workers are told to drop
                      what they have not begun */
    SIM_ABANDON,   /* at a random moment all ends at once */
};

/* What goes wrong on purpose, to prove that the checks see it. */
enum sim_fault {
    SIM_NO_FAULT,
    SIM_LOSE_TASKS,     /* a batch of tasks never arrives */
    SIM_LOSE_RESULTS,   /* nor a batch of results */
    SIM_RUN_TWICE,      /* a batch of tasks arrives twice */
    SIM_RESULTS_TWICE,  /* a batch of results arrives twice */
    SIM_DAMAGE_RESULT,  /* a byte of a result changes on its way */
    SIM_SKIP_DISPATCH,  /* the master does not hand out what it could */
    SIM_CHANGE_DONE,    /* a settled future changes */
    SIM_LEAK,           /* a block is not given back */
    SIM_OVERCREDIT,     /* a worker seems to have a batch more than it has */
    SIM_LOSE_SENT,      /* a worker never hears that its batch is on its way */
    SIM_TOUCH_SENT,     /* a batch is changed while it is being sent */
    SIM_WRONG_RANK,     /* a task is queued with another priority than was asked for */
    SIM_LOSE_RETURNED,  /* what a worker hands back never arrives */
    SIM_FORGE_RETURNED, /* a worker hands back what it runs nevertheless */
    SIM_START_TWICE,    /* a task that may start once only starts again */
    SIM_FORGET_SOLO,    /* tasks that must go alone do not */
    SIM_MISS_LOSS,      /* rank 0 never hears that a worker is lost */
    SIM_FORGET_LOST,    /* a task of a lost worker is forgotten */
    SIM_MISCOUNT_START, /* the start that was lost with its worker is not counted */
    SIM_FAIL_MATE,      /* a task that could start again fails with its worker */
    SIM_MISS_REPLACED,  /* rank 0 never hears that a lost worker is replaced */
    SIM_LOSE_CHILD,     /* a child that came before its parent's result is forgotten */
    SIM_CHILD_TWICE,    /* a child is queued twice */
    SIM_LOSE_ITEM,      /* a stream's item never comes */
    SIM_FORGET_RETRY,   /* a try after a returned error is not counted */
    SIM_DAMAGE_SHARED,  /* shared data change on their way to a host */
    SIM_LOSE_SHARED,    /* a worker's question about them, or its answer, never arrives */
    SIM_WRONG_SHARED,   /* data are shared that the model does not know */
    SIM_FORGET_URGENT,  /* what an urgent task waits for stays where it is in the queue */
    SIM_FAULTS
};

/* How long the items of the one map run that a plan may consist of: nothing, which is 100 ns, but
 * for some of them. */
enum sim_shape {
    SIM_SHAPELESS, /* no such map */
    SIM_HALF,      /* the second half of 24: 100 ms */
    SIM_MOSTLY,    /* the last 40 of 10,040: 50 ms */
    SIM_RAMP,      /* 100: 0, 1 ms, 2 ms, ... */
    SIM_FIRST,     /* the first of 100: 200 ms; the others 5 ms */
    SIM_MIDDLE,    /* the one in the middle */
    SIM_LAST,      /* the last */
    SIM_TENS,      /* 200, ten by ten: nothing, 20 ms */
    SIM_SHAPES
};
uint64_t sim_shape_count(enum sim_shape shape);
double sim_shape_seconds(enum sim_shape shape, uint64_t item);

struct sim_plan {
    uint64_t seed;
    int workers;
    uint32_t batch_limit; /* bytes */
    uint32_t actions;     /* of the application */
    uint32_t burst;       /* tasks that one action submits, at the most */
    double pace;          /* mean seconds between two actions */
    double latency;       /* mean seconds of a message's way */
    double lazy;          /* part of the master's steps that hand nothing out */
    uint32_t fail_ppm;    /* allocations refused, in a million */
    uint32_t large;       /* bytes that an argument or a result has at the most */
    bool plain;           /* every task has 8 bytes, returns 8 bytes and no options; no maps */
    bool cancels;         /* some tasks are cancelled */
    bool answers;         /* workers look at messages while a long task runs */
    double recalls; /* part of the master's steps after which a random worker is asked for what it
                       has not started */
    int function;   /* that all tasks have; -1: any */
    double mean, spread; /* seconds, and of the logarithm: how long all tasks run; mean 0: as their
                            functions do */
    uint64_t hidden;     /* + 1: a task among them that runs `hidden_for` seconds */
    double hidden_for;
    enum sim_shape shape; /* all that the application does is a map of this shape ... */
    uint64_t chunk;       /* ... with chunks of this many items */
    double known; /* ... of a function whose tasks have taken this many seconds so far; 0: it is not
                     known */
    double deaths;   /* a worker dies, or a host of them, in this part of the steps */
    double replaced; /* part of the lost workers that another process takes the place of */
    double silences; /* a worker stops for a while, in this part of the steps */
    double slow;     /* part of the workers whose link is slower, 2 to 50 times */
    double poison; /* part of the tasks, and of the maps' items, that end their worker whenever they
                      run */
    double shares; /* part of the application's actions that share data; 0: none do */
    double failing; /* part of the tasks that return an error at first; 0: a few do */
    double spawns;  /* part of the tasks in a stream that spawn others; 0: there is no stream */
    enum sim_ending ending;
    enum sim_fault fault;
    uint32_t fault_at;    /* its occasion, from 1 */
    uint32_t check_every; /* steps between two looks at every future; 0: each step */
};

struct sim_report {
    char violation[400]; /* "": none */
    bool faulted;        /* the plan's fault has happened */
    double seconds;      /* virtual, until the last task was settled */
    uint64_t steps, tasks, runs, messages, refused, retried, pieces, recalled, returned, cut;
    uint64_t lost, replaced, silent, given_up, poisoned,
        slow;       /* workers three times, starts, tasks, workers */
    uint64_t named; /* tasks and items that failed because their worker named them */
    uint64_t spawned, respawned, parted; /* children; parents that were given up and have some all
                                            the same; workers lost after children */
    uint64_t shared, filled;             /* data; at a host */
    uint64_t failed_and_lost; /* tasks that were tried again after an error, and started again
                                 after a loss */
};

/* A random plan. */
struct sim_plan sim_plan_of(uint64_t seed);

/* The same with workers that die and fall silent, and tasks that end their worker. */
struct sim_plan sim_plan_losing(uint64_t seed);

/* The same as the losing one, with tasks that return errors before they succeed. */
struct sim_plan sim_plan_failing(uint64_t seed);

/* One of the two, with data that are shared and replaced. */
struct sim_plan sim_plan_sharing(uint64_t seed);

/* The same as the losing one, with a stream whose tasks spawn others. */
struct sim_plan sim_plan_spawning(uint64_t seed);

/* Follows the plan; false: a violation. */
bool sim_run(const struct sim_plan *plan, struct sim_report *report);

/* Virtual seconds that a task runs; of a map: one item. */
double sim_duration(const struct sim_plan *plan, int function, uint64_t number, uint64_t item);

#endif
