/* The talk's messages as bytes, whose layout is in handshake.h. */
#ifndef RPI_HANDSHAKE_WIRE_H
#define RPI_HANDSHAKE_WIRE_H

#include "open/handshake_state.h"

#define RPI_HANDSHAKE_WIRE_MESSAGE 1200 /* bytes of a verdict's text, with its zero */
#define RPI_HANDSHAKE_WIRE_VERDICT                                                                 \
    (RPI_BATCH_HEADER + 76 + RPI_OOB_TOKEN_BYTES) /* bytes of a verdict without its text */

struct rpi_handshake_wire_hello {
    uint64_t hash; /* of its registry */
    int64_t pid;
    uint32_t functions;
    rp_status status;
    char host[RPI_HOST_BYTES], message[1024];
    const uint8_t *names, *end; /* in the message */
};

/* Each returns the message's size. */
size_t rpi_handshake_wire_put_hello(const struct rpi_handshake *opening, uint8_t *bytes);
size_t rpi_handshake_wire_put_verdict(const struct rpi_handshake *opening, rp_status status,
                                      const char *message, int rank, int crowd, uint8_t *bytes);

/* Reads what follows the header; false: it is damaged. */
bool rpi_handshake_wire_get_hello(const uint8_t *at, const uint8_t *end,
                                  struct rpi_handshake_wire_hello *hello);
bool rpi_handshake_wire_get_verdict(const uint8_t *at, const uint8_t *end,
                                    struct rpi_handshake *opening, rp_status *status, char *message,
                                    size_t size);

#endif
