/* Finds workers that have been silent too long.  They stand in the order in which they were last
 * heard, so that no look goes through all of them.  Silence counts only while the pool listens:
 * after a pause between two looks every worker has its whole time again. */
#ifndef RPI_DETECTOR_H
#define RPI_DETECTOR_H

#include "base/alloc.h"
#include "base/list.h"

struct rpi_listened;

struct rpi_detector {
    struct rpi_alloc alloc;
    struct rpi_listened *workers; /* [1 .. count]; NULL: it is off */
    struct rpi_link order;        /* longest unheard first */
    double limit;                 /* seconds; 0: off */
    double looked;                /* the last look */
    double since;                 /* silence before this does not count */
};

/* `limit`: seconds of silence that are too long; 0: it is off.  RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_detector_init(struct rpi_detector *detector,
                                        const struct rpi_alloc *alloc, int workers, double limit,
                                        double now);
void rpi_detector_fini(struct rpi_detector *detector);

/* A sign of life. */
void rpi_detector_heard(struct rpi_detector *detector, int worker, double now);
/* A look, after all that has come is taken: the worker that has been silent longest, if that is
 * too long, or 0.  It is told again until it is forgotten or heard of. */
int rpi_detector_silent(struct rpi_detector *detector, double now);
/* It is lost: nothing more is said of it. */
void rpi_detector_forget(struct rpi_detector *detector, int worker);
/* Another process is in its place, and was heard of now. */
void rpi_detector_replaced(struct rpi_detector *detector, int worker, double now);
/* Seconds that may pass between two looks without being taken for a pause; RP_FOREVER: any. */
double rpi_detector_pause(const struct rpi_detector *detector);

#endif
