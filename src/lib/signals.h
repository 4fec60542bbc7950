/* What travels on the side channel: single bytes, of which none carries data.  Any byte at any time is harmless: a wrong one wakes its
 * reader for nothing, or lets its own worker sleep up to a second too long. */
#ifndef RPI_SIGNALS_H
#define RPI_SIGNALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rpi_signal {
    RPI_SIGNAL_RING = 'r',   /* a message has been sent: look */
    RPI_SIGNAL_PARKED = 'p', /* of a worker: it sleeps until it is rung */
    RPI_SIGNAL_ALIVE = 'a',  /* a heartbeat; rank 0's is for the other host's kernel, which acknowledges it */
    RPI_SIGNAL_PARTED = 'q', /* of rank 0: it ends without the others; its socket's end is not its death */
};

/* What some bytes say together. */
struct rpi_signals {
    bool rung, parked, parted; /* parked: and not rung since */
};

/* Adds what these bytes say.  Takes any bytes: a target for fuzzing. */
void rpi_signals_read(struct rpi_signals *signals, const uint8_t *bytes, size_t size);

/* A connection begins with a proof: the pool's token, and who it is. */
#define RPI_TOKEN_BYTES 16
#define RPI_PROOF_BYTES (RPI_TOKEN_BYTES + 4)

struct rpi_proof {
    uint8_t bytes[RPI_PROOF_BYTES];
    uint32_t used;
};

enum rpi_proof_state { RPI_PROOF_INCOMPLETE, RPI_PROOF_RIGHT, RPI_PROOF_WRONG };

void rpi_proof_write(uint8_t *bytes, const uint8_t *token, uint32_t worker);
/* Takes the next bytes of a connection, at most as many as the proof still lacks: those behind it are ignored.  RIGHT: *worker is from 1
 * to `most`.  Takes any bytes: a target for fuzzing. */
enum rpi_proof_state rpi_proof_take(struct rpi_proof *proof, const uint8_t *token, int most, const uint8_t *bytes,
                                    size_t size, int *worker);

#endif
