/* The side channel's sockets. */
#ifndef RPI_OOB_SOCKET_H
#define RPI_OOB_SOCKET_H

#include <rankpool.h>

enum rpi_oob_socket_end { RPI_OOB_SOCKET_MASTER, RPI_OOB_SOCKET_WORKER };

/* Seconds between two heartbeats to a host. */
static inline double rpi_oob_socket_beat(double timeout)
{
    return timeout / 12;
}

/* Nothing is delayed on it, and a peer that cannot be reached any more shows as an end.  What its
 * host does not acknowledge is sent again each 0.2 s at first, and a time after the first or second
 * of these is the end.  At rank 0 `timeout` seconds are over then, with the heartbeat before; at a
 * worker, which ends itself, half a second more: not before rank 0 has given it up.  Where nothing
 * is under way the kernel asks once a second, and the first such moment after that time is the end.
 * A host answers for its processes, be they busy or stopped. */
void rpi_oob_socket_prepare(int file, enum rpi_oob_socket_end end, double timeout);
/* Whether its other side is on another host, as far as addresses tell. */
bool rpi_oob_socket_is_far(int file);
/* Sends one byte, without waiting.  Drops it if there is no room: then the reader has enough unread
 * bytes to wake it. */
void rpi_oob_socket_say(int file, uint8_t byte);
/* Whether its other side has closed it, or is gone; unread bytes do not hide that. */
bool rpi_oob_socket_ended(int file);
/* Reads what is there, at most `size` bytes: 0 where there is nothing, negative where it has
 * ended. */
int rpi_oob_socket_read(int file, uint8_t *bytes, size_t size);
/* `seconds` as poll()'s timeout, at most an hour. */
int rpi_oob_socket_poll_ms(double seconds);
/* A worker's connection, made within `seconds`; negative: none, and errno tells why.
 * `timeout`: of its host, as in rpi_oob_socket_prepare. */
int rpi_oob_socket_connect(uint32_t ip, uint16_t port, double seconds, double timeout);

#endif
