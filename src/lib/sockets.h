/* The side channel's sockets. */
#ifndef RPI_SOCKETS_H
#define RPI_SOCKETS_H

#include <rankpool.h>

/* Which of this host's addresses the others reach: the one that MPI uses.  `others`: a host that is not this one; NULL: there is none, and
 * it is loopback's.  In host byte order.  RP_ERR_BROKEN: this host has none. */
RP_MUST_USE rp_status rpi_address_choose(const char *others, uint32_t *ip);
/* "10.0.0.1:4242" */
#define RPI_ADDRESS_BYTES 24
void rpi_address_text(uint32_t ip, uint16_t port, char *text);

/* Nothing is delayed on it, and a peer that no packet reaches any more shows as an end after about 3 s. */
void rpi_socket_prepare(int file);
/* Sends one byte, without waiting.  One that finds no room is not needed: so many are unread that the reader will look. */
void rpi_socket_say(int file, uint8_t byte);
/* Whether its other side has closed it, or is gone; unread bytes do not hide that. */
bool rpi_socket_ended(int file);
/* Reads what is there, at most `size` bytes: 0 where there is nothing, negative where it has ended. */
int rpi_socket_read(int file, uint8_t *bytes, size_t size);
/* What poll() takes for so many seconds; an hour is as good as for ever. */
int rpi_poll_ms(double seconds);
/* A connection, made within `seconds`; negative: none, and errno tells why. */
int rpi_socket_connect(uint32_t ip, uint16_t port, double seconds);

#endif
