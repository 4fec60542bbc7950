/* What the application asked for and what must come of it, kept apart from the engines: what each
 * task must return, how often it ran, how it settled.  Tasks stand in the order in which they
 * came; where none is spawned, that is by their number. */
#ifndef MODEL_H
#define MODEL_H

#include "chance.h"
#include "tables/options.h"

#define MODEL_FUNCTIONS 4
#define MODEL_UNTOUCHED 0xA5 /* what a map's results are filled with before it runs */

/* What one run of a task, or of a map's item, does. */
enum promise_kind {
    PROMISE_RETURN,  /* rp_return */
    PROMISE_RESERVE, /* rp_reserve, written in place */
    PROMISE_FAIL,    /* rp_fail with a code and a message */
    PROMISE_CODE,    /* returns another value */
    PROMISE_CANCEL,  /* RP_ERR_CANCELLED */
};

struct promise {
    enum promise_kind kind;
    uint32_t size;    /* of its result */
    uint64_t pattern; /* of its bytes */
    int code;
    uint32_t length; /* of its message */
};

/* What is known of one run. */
struct model_run {
    rp_status status;
    int code;
    struct promise promise;
    int worker;
};

struct model_map {
    uint64_t count, chunk;
    uint32_t in_size, out_size;
    uint8_t *in, *out;
    rp_status *statuses; /* NULL: not asked for */
    uint8_t *runs;       /* by item */
    bool *refused;       /* memory was refused while it ran: it may have failed of that */
    uint64_t handed;     /* items in batches so far, and not handed back */
    bool *out_now;       /* by item: it is one of them */
    uint8_t *given_up;   /* by item: starts that were lost */
    rp_status *ended;    /* by item: how it settled with its worker; RP_OK: it did not */
};

/* What a name means; size 0: nothing. */
struct model_shared {
    uint64_t token; /* of its bytes */
    uint64_t size;
};
#define SIM_NAMES 3

struct model_task {
    uint64_t id;
    uint64_t number;               /* by which the engines name it */
    uint64_t place;                /* among the model's tasks */
    struct model_task *same_chain; /* the next one whose number has the same chain */
    uint64_t seed;                 /* of argument and promises */
    int function;
    uint32_t size; /* of its argument */
    uint8_t *arg;  /* borrowed by the engine; else NULL */
    struct rpi_options options;
    int32_t urgency;  /* its priority, or that of a more urgent task that waits for it */
    uint32_t failing; /* this many first runs fail; of a map: items, in eighths */
    uint32_t largest; /* result, bytes */
    uint64_t *after;  /* numbers of the tasks that it comes after */
    uint32_t after_count;
    uint32_t dependents; /* tasks that come after it and are not settled */
    bool detached, released, plain;
    bool cancel_asked;   /* it may be cancelled from now on */
    bool never_again;    /* and it will not be tried again */
    bool cancelled_here; /* before it was handed out */
    bool settled;
    bool running;    /* a worker has begun a run whose end rank 0 has not heard of */
    uint32_t handed; /* times handed out */
    uint32_t runs;
    uint32_t calls;    /* of its on_done */
    uint32_t given_up; /* starts that were lost with their worker; of a map: whether any
                          were */
    bool restart;      /* it is queued again because of that */
    bool restarted;    /* and handed out since: its last start is one of these */
    uint32_t retried;  /* starts after a returned error */
    bool poison;       /* it ends its worker whenever it runs; of a map: `poison_item` does */
    uint64_t poison_item;
    rp_status ended;            /* how it settled with its worker; RP_OK: it did not */
    uint64_t ran;               /* a bit for each attempt that ran */
    struct model_run tries[64]; /* by attempt */
    struct model_run last;
    /* an item of the stream */
    bool streamed, vanished; /* vanished: it is none, for its result was empty */
    bool spawns;
    uint32_t index, depth;                 /* of its root in the stream; generations below it */
    uint32_t delivered;                    /* times */
    struct model_task *parent;             /* NULL: no task spawned it */
    uint32_t children;                     /* that rank 0 has queued */
    uint32_t children_of;                  /* the attempt that spawned them; 0: there are none */
    struct model_shared shared[SIM_NAMES]; /* that it sees */
    rp_outcome outcome;                    /* when settled and not released */
    uint64_t outcome_sum;
    struct model_map *map; /* NULL: one task */
};

#define MODEL_CHAINS 256

struct model {
    uint64_t seed;
    struct model_task **tasks; /* never move: a map's arrays are borrowed */
    uint64_t count, capacity;
    struct model_shared shared[SIM_NAMES]; /* now */
    uint64_t submitted;                    /* of them, by the application */
    struct model_task *chains[MODEL_CHAINS];
    uint64_t first; /* tasks before it are settled and released */
    uint64_t runs;  /* of tasks and items */
    bool cancels;   /* something was cancelled */
    char violation[400];
};

void model_init(struct model *model, uint64_t seed);
void model_fini(struct model *model);

/* Keeps the first violation. */
void model_fail(struct model *model, const char *format, ...) RP_PRINTF(2, 3);

/* A new task of the application's, with the next number. */
struct model_task *model_add(struct model *model);
/* A new one that a task has spawned. */
struct model_task *model_add_spawned(struct model *model, uint64_t number);
/* The place of the task with this number; the count of tasks: there is none. */
uint64_t model_find(const struct model *model, uint64_t number);
/* Forgets the newest, which the application submitted: it was refused. */
void model_forget_last(struct model *model);
/* Gives a task the arrays of a map. */
void model_make_map(struct model_task *task, struct chance *chance, uint64_t count,
                    uint32_t in_size, uint32_t out_size);

/* Writes `size` bytes that follow from `pattern`, or looks whether they are there. */
void pattern_fill(void *to, size_t size, uint64_t pattern);
bool pattern_matches(const void *from, size_t size, uint64_t pattern);

/* What run `attempt` of the task, or its item, must do. */
struct promise model_promise(const struct model_task *task, uint64_t item, uint32_t attempt);
/* The status and code that rank 0 must hear of it; checks_map.c adds RP_ERR_SIZE, for a map's item
 * of a wrong size. */
rp_status promise_status(const struct promise *promise, int *code);
/* The words a failure says; of promise->length bytes. */
void promise_message(const struct promise *promise, char *to);

/* A run begins: the argument and the attempt must be right. */
void model_begin(struct model *model, uint64_t number, uint64_t item, uint32_t attempt,
                 const void *arg, size_t size);

/* The status and code that the task must settle with. */
rp_status model_outcome(const struct model *model, const struct model_task *task, int *code);

/* The newest task waits for others, which are as urgent from now on. */
void model_urge(struct model *model);
/* Whether it goes by another's priority: among its equals it stands anywhere. */
bool model_is_raised(const struct model_task *task);

/* Whether task a surely goes before task b when both are queued.  Of equals a task that comes after
 * others is queued when these are done, and a spawned one with its parent's end. */
bool model_before(const struct model *model, uint64_t a, uint64_t b);

#endif
