#include "pool/detector.h"

#include "base/status.h"

#define LOOKS    4  /* in the time that is too long, at least; fewer are a pause */
#define PATIENCE 10 /* times that time, after which a worker is hopeless */

struct rpi_listened {
    struct rpi_link link; /* in order, or among the silent, or alone: lost */
    double heard;
    bool silent, forgotten;
};

rp_status rpi_detector_init(struct rpi_detector *detector, const struct rpi_alloc *alloc,
                            int workers, double limit, double now)
{
    *detector = (struct rpi_detector){
        .alloc = *alloc, .limit = limit, .looked = now, .since = now
    };
    rpi_list_init(&detector->order);
    rpi_list_init(&detector->silent);
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

bool rpi_detector_heard(struct rpi_detector *detector, int worker, double now)
{
    if (!detector->workers || worker < 1 || detector->workers[worker].forgotten)
        return false;
    struct rpi_listened *one = &detector->workers[worker];
    bool was_silent = one->silent;
    rpi_list_remove(&one->link);
    one->heard = now;
    one->silent = false;
    rpi_list_append(&detector->order, &one->link);
    return was_silent;
}

/* The first of a list, if it was not heard of for more than `limit` seconds; else NULL. */
static struct rpi_listened *first_unheard(const struct rpi_detector *detector,
                                          struct rpi_link *list, double limit)
{
    struct rpi_link *link = rpi_list_first(list);
    if (!link)
        return NULL;
    struct rpi_listened *one = RPI_MEMBER(link, struct rpi_listened, link);
    double heard = one->heard > detector->since ? one->heard : detector->since;
    return detector->looked - heard > limit ? one : NULL;
}

int rpi_detector_silent(struct rpi_detector *detector, double now)
{
    if (!detector->workers)
        return 0;
    if (now - detector->looked > detector->limit / LOOKS)
        detector->since = now;
    detector->looked = now;
    struct rpi_listened *one = first_unheard(detector, &detector->order, detector->limit);
    if (!one)
        return 0;
    rpi_list_remove(&one->link);
    rpi_list_append(&detector->silent, &one->link);
    one->silent = true;
    return (int)(one - detector->workers);
}

int rpi_detector_hopeless(struct rpi_detector *detector)
{
    struct rpi_listened *one = detector->workers ? first_unheard(detector, &detector->silent,
                                                                 PATIENCE * detector->limit)
                                                 : NULL;
    return one ? (int)(one - detector->workers) : 0;
}

void rpi_detector_forget(struct rpi_detector *detector, int worker)
{
    if (!detector->workers)
        return;
    struct rpi_listened *one = &detector->workers[worker];
    if (!one->forgotten)
        rpi_list_remove(&one->link);
    one->forgotten = true;
}

void rpi_detector_replaced(struct rpi_detector *detector, int worker, double now)
{
    if (!detector->workers)
        return;
    struct rpi_listened *one = &detector->workers[worker];
    *one = (struct rpi_listened){ .heard = now };
    rpi_list_init(&one->link);
    rpi_list_append(&detector->order, &one->link);
}

double rpi_detector_pause(const struct rpi_detector *detector)
{
    return detector->workers ? detector->limit / (2 * LOOKS) : RP_FOREVER;
}
