#include "exec/shared_io.h"

#include "base/shm.h"
#include "worker/shared_fetch.h"

static bool work(struct rpi_shared_datum *datum, bool keep)
{
    struct rpi_shm *segment = &datum->segment;
    switch (datum->state) {
    case RPI_SEEK:
        return segment->data || rpi_shm_map(segment, datum->pid, datum->fd, keep);
    case RPI_MAKE:
        return segment->data ||
               rpi_shm_make(segment) ==
                   RP_OK; /* it is there when memory ran out for the word about it */
    case RPI_FILLED:
        rpi_shm_seal(segment);
        return true;
    case RPI_REFUSED:
    case RPI_DROPPED:
        rpi_shm_free(segment);
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

void rpi_shared_io(struct rpi_worker *worker, bool keep)
{
    for (struct rpi_shared_datum *datum; (datum = rpi_shared_fetch_work(worker));)
        if (!rpi_shared_fetch_worked(worker, datum, work(datum, keep)))
            return;
}

void rpi_shared_io_end(struct rpi_worker *worker)
{
    for (struct rpi_link *link = worker->shared_cache.data.next; link != &worker->shared_cache.data;
         link = link->next)
        rpi_shm_free(&rpi_shared_datum_of(link)->segment);
}
