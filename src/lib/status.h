/* Statuses and the text of a thread's last failure. */
#ifndef RPI_STATUS_H
#define RPI_STATUS_H

#include <rankpool.h>
#include <stdbool.h>
#include <stdint.h>

/* Sets the text of this thread's last failure. */
void rpi_note(const char *format, ...) RP_PRINTF(1, 2);

/* Whoever first decides that a call fails says so here; callers that only pass it up stay silent.  Its value is `status`. */
#define rpi_error(status, ...) (rpi_note(__VA_ARGS__), (rp_status)(status))

/* Whether a peer's number is a status at all. */
bool rpi_is_status(uint32_t value);

/* RP_ERR_NOMEM, with what the memory was for. */
#define rpi_no_memory(what) rpi_error(RP_ERR_NOMEM, "out of memory for %s", what)

#endif
