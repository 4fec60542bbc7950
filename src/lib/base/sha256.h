/* SHA-256, by libcrypto. */
#ifndef RPI_SHA256_H
#define RPI_SHA256_H

#include <rankpool.h>

#define RPI_SHA256 32 /* bytes */

/* One hash of several pieces, each with its length: pieces cut elsewhere give another.
 * RP_ERR_NOMEM. */
RP_MUST_USE rp_status rpi_sha256(const rp_bytes *pieces, size_t count, uint8_t digest[RPI_SHA256]);

#endif
