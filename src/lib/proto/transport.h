/* What moves batches between one rank and its peers: a table of functions.  Peers are numbered as
 * workers are, 0 is the master. One thread at a time calls these (the pool's lock), but for park
 * and wake.  Every function but park returns at once. */
#ifndef RPI_TRANSPORT_H
#define RPI_TRANSPORT_H

#include "base/death.h"

#include <rankpool.h>

/* What poll() reports.  `cookie` is what the operation was started with.  A handler may call send
 * and receive_large.  One that returns false could not take the event (no memory): it is reported
 * again by a later poll. */
struct rpi_events {
    /* A batch arrived; data is valid during the call, aligned to 16.  NULL, of 0 bytes: what came
     * was not of the size announced, and is lost. */
    bool (*batch)(void *context, int peer, const void *data, size_t size);
    /* The bytes of a send are no longer needed. */
    void (*sent)(void *context, void *cookie);
    /* A large receive is complete. */
    bool (*received)(void *context, void *cookie);
    /* NULL, or: this peer has ended (once a peer).  Nothing more comes from it, nothing that is
     * sent to it arrives, and sent() and received() of what was under way with it never come: MPI
     * may still hold those bytes, so their owner keeps them aside until the pool's end. */
    void (*lost)(void *context, int peer);
    /* NULL, or, right before lost(): the peer said that its own task ends it.  It may be wrong. */
    void (*died)(void *context, int peer, const struct rpi_death *death);
    /* NULL, or: messages of this peer have not come for so long that they never will, as
     * rp_error_message() says.  The caller gives the peer up. */
    void (*astray)(void *context, int peer);
    /* NULL, or: a sign of life of a peer that need not have anything to say (a heartbeat), a few a
     * second at the most. */
    void (*alive)(void *context, int peer);
    void *context;
};

struct rpi_transport;

struct rpi_transport_ops {
    /* Starts sending a batch, at most RPI_BATCH_MAX bytes.  *done: the bytes are no longer needed
     * and sent() will not come; else they stay unchanged until sent(cookie).  To a peer that has
     * ended nothing is sent, and it is done.  RP_ERR_NOMEM: nothing was sent; RP_ERR_MPI. */
    rp_status (*send)(struct rpi_transport *transport, int peer, const void *data, size_t size,
                      void *cookie, bool *done);
    /* As send, for a large payload.  Large payloads reach a peer in the order they were sent. */
    rp_status (*send_large)(struct rpi_transport *transport, int peer, const void *data,
                            size_t size, void *cookie, bool *done);
    /* Starts receiving the peer's next large payload, of exactly `size` bytes, into `data`.  From a
     * peer that has ended none comes. */
    rp_status (*receive_large)(struct rpi_transport *transport, int peer, void *data, size_t size,
                               void *cookie);
    /* Reports what has happened; *any tells whether anything has. */
    rp_status (*poll)(struct rpi_transport *transport, const struct rpi_events *events, bool *any);
    /* The caller gives this peer up (its messages are damaged, ...): it counts as ended, but lost()
     * is not called. */
    void (*forget)(struct rpi_transport *transport, int peer);
    /* This rank has nothing to do and means to sleep: its peers hear of it, and wake it from now on
     * with what they send.  The caller polls once more, and if nothing came calls park.  False:
     * something is under way that moves only while this rank polls. */
    bool (*doze)(struct rpi_transport *transport);
    /* Blocks until something may have come, wake() is called, or `seconds` have passed.  Called
     * without the lock, after a doze() that returned true, by one thread at a time. */
    void (*park)(struct rpi_transport *transport, double seconds);
    /* Ends the park under way, or the next one: from any thread. */
    void (*wake)(struct rpi_transport *transport);
    /* Ends it and frees it.  `together`: every peer does the same now and is alive, so that a
     * collective may be used. */
    void (*close)(struct rpi_transport *transport, bool together);
};

struct rpi_transport {
    const struct rpi_transport_ops *ops;
    int peers;    /* beside this rank */
    int parked;   /* of them, those that sleep, as far as is known */
    double again; /* seconds until the next poll must happen, news or not, because of peers
                     elsewhere; 0: never */
    double crowd; /* this host's ranks for each of its cores; above 1 they take turns */
    bool hasty;  /* for the next poll: the one before was a moment ago, and found nothing; the first
                    message since then is enough */
    bool moving; /* large payloads are under way, as the last poll saw it: they come forward only
                    while it is polled */
};

#endif
