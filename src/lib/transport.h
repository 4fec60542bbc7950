/* What moves batches between one rank and its peers: a table of functions.  Peers are numbered as workers are, 0 is the master.
 * One thread at a time calls these (the pool's lock).  Every function returns at once. */
#ifndef RPI_TRANSPORT_H
#define RPI_TRANSPORT_H

#include <rankpool.h>

/* What poll() reports.  `cookie` is what the operation was started with.  A handler may call send and receive_large.  One that
 * returns false could not take the event (no memory): it is reported again by a later poll. */
struct rpi_events {
    /* A batch arrived; data is valid during the call, aligned to 16. */
    bool (*batch)(void *context, int peer, const void *data, size_t size);
    /* The bytes of a send are no longer needed. */
    void (*sent)(void *context, void *cookie);
    /* A large receive is complete. */
    bool (*received)(void *context, void *cookie);
    void *context;
};

struct rpi_transport;

struct rpi_transport_ops {
    /* Starts sending a batch, at most RPI_BATCH_MAX bytes.  *done: the bytes are no longer needed and sent() will not come; else they
     * stay unchanged until sent(cookie).  RP_ERR_NOMEM: nothing was sent; RP_ERR_MPI. */
    rp_status (*send)(struct rpi_transport *transport, int peer, const void *data, size_t size, void *cookie, bool *done);
    /* As send, for a large payload.  Large payloads reach a peer in the order they were sent. */
    rp_status (*send_large)(struct rpi_transport *transport, int peer, const void *data, size_t size, void *cookie,
                            bool *done);
    /* Starts receiving the peer's next large payload, of exactly `size` bytes, into `data`. */
    rp_status (*receive_large)(struct rpi_transport *transport, int peer, void *data, size_t size, void *cookie);
    /* Reports what has happened; *any tells whether anything has. */
    rp_status (*poll)(struct rpi_transport *transport, const struct rpi_events *events, bool *any);
    /* Ends it and frees it.  `together`: every peer does the same now and is alive, so that a collective may be used. */
    void (*close)(struct rpi_transport *transport, bool together);
};

struct rpi_transport {
    const struct rpi_transport_ops *ops;
    int peers;    /* beside this rank */
    bool crowded; /* this host has more ranks than cores */
};

#endif
