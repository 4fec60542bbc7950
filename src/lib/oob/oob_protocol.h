/* What travels on the side channel: single bytes, and two kinds of records.  Any byte at any time
 * is harmless: a wrong one wakes its reader for nothing, or lets its own worker sleep up to a
 * second too long; wrong last words are believed only if they name what their own worker has, and
 * when that worker has ended; a wrong count may cost its own worker. */
#ifndef RPI_OOB_PROTOCOL_H
#define RPI_OOB_PROTOCOL_H

#include "base/death.h"

#include <stdbool.h>

enum rpi_oob_signal {
    RPI_OOB_SIGNAL_RING = 'r',   /* a message has been sent: look */
    RPI_OOB_SIGNAL_PARKED = 'p', /* of a worker: it sleeps until it is rung */
    RPI_OOB_SIGNAL_ALIVE =
        'a', /* a heartbeat; rank 0's is for the other host's kernel, which acknowledges it */
    RPI_OOB_SIGNAL_PARTED =
        'q', /* of rank 0: it ends without the others; its socket's end is not its death */
    RPI_OOB_SIGNAL_WORDS = 'x', /* of a worker whose task ends it: last words follow */
    RPI_OOB_SIGNAL_COUNT = 'c', /* of a worker: the number of its messages follows */
};

/* What some bytes say together. */
struct rpi_oob_protocol {
    bool rung, parked, parted; /* parked: and not rung since */
};

/* Adds what these bytes say.  Takes any bytes: a target for fuzzing. */
void rpi_oob_protocol_read(struct rpi_oob_protocol *signals, const uint8_t *bytes, size_t size);

/* A worker's last words: the signal, then id u64, item u64, code i32, attempt u8, way u8. */
#define RPI_OOB_WORDS_BYTES 23

/* How many messages a worker has sent over MPI: the signal, then the count u32, modulo 2^32. */
#define RPI_OOB_COUNT_BYTES 5

struct rpi_oob_words {
    struct rpi_death death; /* the last whole one; RPI_WAY_NONE: none, or it cannot be */
    uint32_t sent;          /* the last whole count */
    uint8_t bytes[RPI_OOB_WORDS_BYTES];
    uint8_t used; /* of a record that is not whole yet */
};

void rpi_oob_words_write(uint8_t *bytes, const struct rpi_death *death);
void rpi_oob_count_write(uint8_t *bytes, uint32_t sent);
/* Takes what belongs to a record, as rpi_oob_protocol_read does with the rest.  Takes any bytes: a
 * target for fuzzing. */
void rpi_oob_words_read(struct rpi_oob_words *words, struct rpi_oob_protocol *signals,
                        const uint8_t *bytes, size_t size);

/* A connection begins with a proof: the pool's token, and who it is. */
#define RPI_OOB_TOKEN_BYTES 16
#define RPI_OOB_PROOF_BYTES (RPI_OOB_TOKEN_BYTES + 4)

struct rpi_oob_proof {
    uint8_t bytes[RPI_OOB_PROOF_BYTES];
    uint32_t used;
};

enum rpi_oob_proof_state { RPI_OOB_PROOF_INCOMPLETE, RPI_OOB_PROOF_RIGHT, RPI_OOB_PROOF_WRONG };

void rpi_oob_proof_write(uint8_t *bytes, const uint8_t *token, uint32_t worker);
/* Takes the next bytes of a connection, at most as many as the proof still lacks: those after it
 * are ignored.  RIGHT: *worker is from 1 to `most`.  Takes any bytes: a target for fuzzing. */
enum rpi_oob_proof_state rpi_oob_proof_take(struct rpi_oob_proof *proof, const uint8_t *token,
                                            int most, const uint8_t *bytes, size_t size,
                                            int *worker);

#endif
