/* Statuses and the text of a thread's last failure. */
#ifndef RPI_STATUS_H
#define RPI_STATUS_H

#include <rankpool.h>
#include <stdbool.h>
#include <stdint.h>

/* Sets the text of this thread's last failure. */
void rpi_note(const char *format, ...) RP_PRINTF(1, 2);

/* Whoever first decides that a call fails says so here; callers that only pass it up stay silent.
 * Its value is `status`. */
#define rpi_error(status, ...) (rpi_note(__VA_ARGS__), (rp_status)(status))

/* Whether a peer's number is a status at all. */
bool rpi_is_status(uint32_t value);

/* Gives the call's error the name of the public function that was called, in place of one that its
 * text begins with.  What a task came to is left as it is. */
rp_status rpi_name_error(const char *function, rp_status status);
static inline rp_status rpi_named(const char *function, rp_status status)
{
    return status == RP_OK ? RP_OK : rpi_name_error(function, status);
}

/* RP_ERR_NOMEM, with what the memory was for. */
#define rpi_no_memory(what) rpi_error(RP_ERR_NOMEM, "out of memory for %s", what)

#endif
