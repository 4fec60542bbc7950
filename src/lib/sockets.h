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

/* Nothing is delayed on it, and a peer that cannot be reached any more shows as an end.  What its host does not acknowledge is sent again each 0.2 s at
 * first, and `patience` ms after the first or second of these is the end.  Where nothing is under way the kernel asks once a second, and the first such
 * moment behind `patience` is the end.  A host answers for its processes, be they busy or stopped. */
void rpi_socket_prepare(int file, int patience);
/* Rank 0's: 2.4 to 2.6 s without an answer.  A cable that is mended within 1.5 s is to cost no worker, and a host whose cable was out asks who has which
 * address before it answers, once a second: 2.5 s.  More than 2 s, or one lost question of the kernel's would be the end; less than 3, for it is added to
 * what a cut cable costs. */
#define RPI_PATIENCE_MASTER 2200
/* A worker's, which ends itself then: not before rank 0 has given it up. */
#define RPI_PATIENCE_WORKER 3500
/* Whether its other side is on another host, as far as addresses tell. */
bool rpi_socket_is_far(int file);
/* Sends one byte, without waiting.  One that finds no room is not needed: so many are unread that the reader will look. */
void rpi_socket_say(int file, uint8_t byte);
/* Whether its other side has closed it, or is gone; unread bytes do not hide that. */
bool rpi_socket_ended(int file);
/* Reads what is there, at most `size` bytes: 0 where there is nothing, negative where it has ended. */
int rpi_socket_read(int file, uint8_t *bytes, size_t size);
/* What poll() takes for so many seconds; an hour is as good as for ever. */
int rpi_poll_ms(double seconds);
/* A worker's connection, made within `seconds`; negative: none, and errno tells why. */
int rpi_socket_connect(uint32_t ip, uint16_t port, double seconds);

#endif
