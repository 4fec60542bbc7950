#include "exec/shared_io.h"

#include "worker/shared_fetch.h"
#include "base/shm.h"

static bool work(struct rpi_datum *datum, bool keep)
{
    struct rpi_segment *segment = &datum->segment;
    switch (datum->state) {
    case RPI_SEEK:
        return segment->data || rpi_share_map(segment, datum->pid, datum->fd, keep);
    case RPI_MAKE:
        return segment->data ||
               rpi_share_make(segment) == RP_OK; /* it is there when memory ran out for the word about it */
    case RPI_FILLED:
        rpi_share_seal(segment);
        return true;
    case RPI_REFUSED:
    case RPI_DROPPED:
        rpi_share_free(segment);
        return true;
    case RPI_KNOWN:
    case RPI_ASKED:
    case RPI_OFFERED:
    case RPI_FILLING:
    case RPI_READY:
    case RPI_FAILED:
        break;
    }
    return true;
}

void rpi_supply(struct rpi_worker *worker, bool keep)
{
    for (struct rpi_datum *datum; (datum = rpi_obtain_work(worker));)
        if (!rpi_obtain_worked(worker, datum, work(datum, keep)))
            return;
}

void rpi_supply_end(struct rpi_worker *worker)
{
    for (struct rpi_link *link = worker->catalogue.data.next; link != &worker->catalogue.data; link = link->next)
        rpi_share_free(&rpi_datum_of(link)->segment);
}
