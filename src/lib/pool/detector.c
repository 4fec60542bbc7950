#include "pool/detector.h"

#include "base/status.h"

#define LOOKS 4 /* in the time that is too long, at least; fewer are a pause */

struct rpi_listened {
    struct rpi_link link; /* in order, or alone: forgotten */
    double heard;
};

static bool is_forgotten(const struct rpi_listened *one)
{
    return rpi_list_empty(&one->link);
}

rp_status rpi_detector_init(struct rpi_detector *detector, const struct rpi_alloc *alloc,
                            int workers, double limit, double now)
{
    *detector = (struct rpi_detector){
        .alloc = *alloc, .limit = limit, .looked = now, .since = now
    };
    rpi_list_init(&detector->order);
    if (!(limit > 0))
        return RP_OK;
    detector->workers = rpi_zeroed(alloc, ((size_t)workers + 1) * sizeof *detector->workers);
    if (!detector->workers)
        return rpi_no_memory("listening to the workers");
    for (int worker = 1; worker <= workers; worker++) {
        detector->workers[worker].heard = now;
        rpi_list_append(&detector->order, &detector->workers[worker].link);
    }
    return RP_OK;
}

void rpi_detector_fini(struct rpi_detector *detector)
{
    rpi_free(&detector->alloc, detector->workers);
    detector->workers = NULL;
}

void rpi_detector_heard(struct rpi_detector *detector, int worker, double now)
{
    if (!detector->workers || worker < 1 || is_forgotten(&detector->workers[worker]))
        return;
    struct rpi_listened *one = &detector->workers[worker];
    rpi_list_remove(&one->link);
    one->heard = now;
    rpi_list_append(&detector->order, &one->link);
}

int rpi_detector_silent(struct rpi_detector *detector, double now)
{
    if (!detector->workers)
        return 0;
    if (now - detector->looked > detector->limit / LOOKS)
        detector->since = now;
    detector->looked = now;
    struct rpi_link *link = rpi_list_first(&detector->order);
    if (!link)
        return 0;
    struct rpi_listened *one = RPI_MEMBER(link, struct rpi_listened, link);
    double heard = one->heard > detector->since ? one->heard : detector->since;
    return now - heard > detector->limit ? (int)(one - detector->workers) : 0;
}

void rpi_detector_forget(struct rpi_detector *detector, int worker)
{
    if (!detector->workers)
        return;
    rpi_list_remove(&detector->workers[worker].link);
}

void rpi_detector_replaced(struct rpi_detector *detector, int worker, double now)
{
    if (!detector->workers)
        return;
    struct rpi_listened *one = &detector->workers[worker];
    rpi_list_remove(&one->link);
    one->heard = now;
    rpi_list_append(&detector->order, &one->link);
}

double rpi_detector_pause(const struct rpi_detector *detector)
{
    return detector->workers ? detector->limit / (2 * LOOKS) : RP_FOREVER;
}
