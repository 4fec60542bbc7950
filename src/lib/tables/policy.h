/* The scheduling policy: a pure choice of how much work a worker gets now. */
#ifndef RPI_POLICY_H
#define RPI_POLICY_H

#include <stdbool.h>
#include <stdint.h>

/* What the choice is made from. */
struct rpi_view {
    /* measured seconds of the first queued task's function; negative: never measured */
    double mean;
    double round_trip; /* seconds from a worker's result to its next task */
    uint64_t queued;   /* tasks */
    uint32_t workers;
    bool fills;         /* what is queued fills a batch */
    uint32_t in_flight; /* batches at the worker in question, the one with the fewest */
};

struct rpi_grant {
    uint32_t tasks; /* at the most, in one batch; 0: nothing now */
    double seconds; /* of predicted work; a batch's first task goes whatever its length */
};

/* Grants less the more a worker has in flight: a refusal for the worker with the fewest batches is
 * one for all. */
struct rpi_grant rpi_policy_grant(const struct rpi_view *view);

/* A worker with tasks that it may not have started, while another has nothing and no task is
 * queued. */
struct rpi_burden {
    double now, due; /* when all it has should be done, seconds */
    double round_trip;
    uint32_t tasks; /* at least one of them may be running */
};

/* Whether it is asked to hand back what it has not started.  False: *again is when to look at it
 * again; negative: never. */
bool rpi_policy_recalls(const struct rpi_burden *burden, double *again);

/* For rank 0 itself, which has other things to do: one task, or very short ones together. */
struct rpi_grant rpi_policy_grant_here(double mean);

#endif
