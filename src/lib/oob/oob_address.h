/* Addresses of this host, where the side channel listens. */
#ifndef RPI_OOB_ADDRESS_H
#define RPI_OOB_ADDRESS_H

#include <rankpool.h>

#include <netinet/in.h>

/* Of these, in host byte order. */
struct sockaddr_in rpi_oob_address_of(uint32_t ip, uint16_t port);
/* Which of this host's addresses the others reach: the one that MPI uses.  `others`: a host that is
 * not this one; NULL: there is none, and it is loopback's.  In host byte order.  RP_ERR_BROKEN:
 * this host has none. */
RP_MUST_USE rp_status rpi_oob_address_choose(const char *others, uint32_t *ip);
/* "10.0.0.1:4242" */
#define RPI_OOB_ADDRESS_BYTES 24
void rpi_oob_address_text(uint32_t ip, uint16_t port, char *text);

#endif
