#include "policy.h"

#include "roster.h"

#include <float.h>

/* Seconds of work a batch carries at the least, where there is enough: longer than a message costs, short enough to balance. */
#define SLICE 100e-6
#define LONG  10.0 /* round trips: longer tasks go alone */
#define APART                                                                                                              \
    50.0 /* round trips: longer tasks are not prefetched at all; the worker idles for 2 % of the time at the most */

/* Long tasks go one by one, so that none waits behind another while a worker is free. */
static struct rpi_grant one_by_one(const struct rpi_view *view)
{
    struct rpi_grant one = { .tasks = 1, .seconds = DBL_MAX }, none = { 0 };
    if (view->in_flight == 0)
        return one;
    if (view->mean < 0 || view->mean > APART * view->round_trip || view->in_flight > 1)
        return none;
    return view->queued > view->workers ? one : none;
}

/* Short tasks share batches; towards the end of the queue the batches shrink, so that every worker has a part. */
struct rpi_grant rpi_policy_grant(const struct rpi_view *view)
{
    if (view->mean < 0 || view->mean > LONG * view->round_trip)
        return one_by_one(view);
    if (view->in_flight >= RPI_DEPTH ||
        (view->in_flight > 0 && view->mean > view->round_trip && view->queued <= view->workers))
        return (struct rpi_grant){ 0 };
    double seconds = LONG * view->round_trip > SLICE ? LONG * view->round_trip : SLICE;
    double tasks = view->mean > 1e-9 ? seconds / view->mean : UINT16_MAX;
    uint64_t share = view->queued / (2 * (uint64_t)view->workers);
    uint32_t most = tasks < 1 ? 1 : tasks > UINT16_MAX ? UINT16_MAX : (uint32_t)tasks;
    if (share < most)
        most = share ? (uint32_t)share : 1;
    return (struct rpi_grant){ .tasks = most, .seconds = seconds };
}
