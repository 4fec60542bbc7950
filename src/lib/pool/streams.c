#include "pool/streams.h"

void rpi_streams_drop(rp_stream *stream)
{
    const struct rpi_alloc *alloc = &stream->pool->alloc;
    rpi_list_remove(&stream->link);
    rpi_idqueue_fini(&stream->completions.ready, alloc);
    rpi_free(alloc, stream->order);
    rpi_options_release(&stream->pool->master.options, stream->number);
    rpi_free(alloc, stream);
}

void rpi_streams_free(rp_pool *pool)
{
    for (struct rpi_link *link; (link = rpi_list_first(&pool->streams));)
        rpi_streams_drop(RPI_MEMBER(link, rp_stream, link));
}
