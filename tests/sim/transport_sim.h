/* The network in virtual time: events in their order, and messages on their way.
 *
 * Batches from one peer to another arrive in the order they were sent; those of different pairs
 * overtake each other.  Large payloads meet the receives posted for them in order, but complete in
 * any order, as MPI's may. */
#ifndef TRANSPORT_SIM_H
#define TRANSPORT_SIM_H

#include "chance.h"
#include "proto/batch.h"

enum sim_event_kind {
    SIM_BATCH,
    SIM_PIECE,
    SIM_SENT,
    SIM_TURN,
    SIM_STEP,
    SIM_LOOK,
    SIM_APP,
    SIM_LOST,
    SIM_SILENT,
    SIM_BACK,
    SIM_REPLACED
};
enum sim_side { SIM_MASTER, SIM_WORKER };

/* Bytes on their way, copied when they were sent. */
struct sim_message {
    struct rpi_link link;
    const void *source; /* where they were copied from; NULL: borrowed, its owner may take it back
                           once it has arrived */
    uint64_t sum;       /* of them */
    size_t size;
    uint8_t *bytes; /* exactly `size`, so that reading past them shows */
};

struct sim_event {
    double at;
    uint64_t order; /* among events of one moment */
    enum sim_event_kind kind;
    enum sim_side side; /* where it happens */
    int worker;
    struct sim_message *message;
    void *cookie; /* a batch or an arrival */
};

/* One direction between the master and a worker. */
struct sim_lane {
    struct rpi_link batches; /* on their way */
    double last;             /* when the last of them arrives */
    double slow;             /* factor on the time of its messages; 0: it is not slow */
    struct rpi_link pieces;  /* sent, but no receive is posted */
    struct rpi_arrival **rooms;
    size_t room_count, room_capacity; /* posted, but nothing was sent */
};

struct transport_sim {
    struct chance chance;
    double latency;
    struct sim_event *heap;
    size_t count, capacity;
    uint64_t order;
    struct sim_lane *lanes[2]; /* by receiving side, then by worker */
    int workers;
    char wrong[100]; /* what the engines did against the rules of transport.h */
};

void transport_sim_init(struct transport_sim *transport, uint64_t seed, double latency,
                        int workers);
void transport_sim_fini(struct transport_sim *transport);

void transport_sim_add(struct transport_sim *transport, struct sim_event event);
bool transport_sim_next(struct transport_sim *transport, struct sim_event *event);
/* The next event about messages at this worker, if it comes before `until`. */
bool transport_sim_next_at(struct transport_sim *transport, int worker, double until,
                           struct sim_event *event);

/* From now on messages from and to this worker take `times` times as long. */
void transport_sim_slow(struct transport_sim *transport, int worker, double times);

/* Sends the batch and its pieces from `from`; its SIM_SENT events come later. */
void transport_sim_send(struct transport_sim *transport, enum sim_side from, int worker,
                        struct rpi_batch *batch, double now);
/* Sends a batch without a SIM_SENT event. */
void transport_sim_send_bytes(struct transport_sim *transport, enum sim_side from, int worker,
                              const void *data, size_t size, double now);
/* Posts the receive of a large payload at `side`. */
void transport_sim_post(struct transport_sim *transport, enum sim_side side, int worker,
                        struct rpi_arrival *arrival, double now);

/* The batch that arrives at `side`, or NULL; dropped by transport_sim_drop. */
struct sim_message *transport_sim_first(const struct transport_sim *transport, enum sim_side side,
                                        int worker);
void transport_sim_drop(struct sim_message *message);

/* Another process takes this worker's place: of what was on its way to or from the old one nothing
 * comes, or is reported sent. */
void transport_sim_renew(struct transport_sim *transport, int worker);

/* Whether what a message was copied from is as it was. */
bool transport_sim_unchanged(const struct sim_message *message);

#endif
