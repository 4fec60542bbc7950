#include "tables/policy.h"

#include "tables/roster.h"

#include <float.h>

/* Seconds of work a batch carries at the least, where there is enough: longer than a message costs,
 * short enough to balance. */
#define SLICE  100e-6
#define MOMENT 20e-6 /* seconds of work that rank 0 takes at once */
#define WORTH  3.0   /* round trips of work left: a recall pays above this */
#define MOVE   1e-6  /* seconds: what handing one task back and out again costs, with a margin */
#define LONG   10.0  /* round trips: longer tasks go alone */
/* round trips: longer tasks are not prefetched at all; the worker idles for 2 % of the time at the
 * most */
#define APART 50.0

/* Long tasks go one by one, so that no task waits for another while a worker is free. */
static struct rpi_grant one_by_one(const struct rpi_view *view)
{
    struct rpi_grant one = { .tasks = 1, .seconds = DBL_MAX }, none = { 0 };
    if (view->in_flight == 0)
        return one;
    if (view->mean < 0 || view->mean > APART * view->round_trip || view->in_flight > 1)
        return none;
    return view->queued > view->workers ? one : none;
}

/* At least one, and no more than a batch can count. */
static uint32_t tasks_in(double seconds, double mean)
{
    double tasks = mean > 1e-9 ? seconds / mean : UINT16_MAX;
    return tasks < 1 ? 1 : tasks > UINT16_MAX ? UINT16_MAX : (uint32_t)tasks;
}

struct rpi_grant rpi_policy_grant_here(double mean)
{
    return (struct rpi_grant){ .tasks = tasks_in(MOMENT, mean), .seconds = MOMENT };
}

/* An overdue worker has a long task, and its other tasks wait for that: it is asked.  Else a recall
 * must pay: the worker waits a round trip for its next task, and each task that moves costs rank 0
 * some time. */
bool rpi_policy_recalls(const struct rpi_burden *burden, double *again)
{
    double left = burden->due - burden->now, late = burden->due + burden->round_trip;
    *again = -1;
    if (burden->tasks < 2)
        return false;
    if (left > WORTH * burden->round_trip + MOVE * burden->tasks || burden->now >= late)
        return true;
    *again = late;
    return false;
}

/* Short tasks share batches; towards the end of the queue the batches shrink, so that every worker
 * has a part, but not below a round trip's worth of work.  A worker that has something is given
 * more only by the full batch: what comes meanwhile shares the next. */
struct rpi_grant rpi_policy_grant(const struct rpi_view *view)
{
    const struct rpi_grant none = { 0 };
    if (view->mean < 0 || view->mean > LONG * view->round_trip)
        return one_by_one(view);
    bool brief = view->mean < view->round_trip;
    if (view->in_flight >= RPI_ROSTER_DEPTH ||
        (view->in_flight > 0 && (brief ? !view->fills : view->queued <= view->workers)))
        return none;
    double seconds = LONG * view->round_trip > SLICE ? LONG * view->round_trip : SLICE;
    uint32_t most = tasks_in(seconds, view->mean), least = tasks_in(view->round_trip, view->mean);
    uint64_t share = view->queued / (2 * (uint64_t)view->workers);
    if (share < least)
        share = least;
    return (struct rpi_grant){ .tasks = share < most ? (uint32_t)share : most, .seconds = seconds };
}
