/* Statuses and the text of a thread's last failure. */
#ifndef RPI_STATUS_H
#define RPI_STATUS_H

#include <rankpool.h>

/* Whoever first decides that a call fails says so here; callers that only pass it up stay silent.  Returns `status`. */
rp_status rpi_error(rp_status status, const char *format, ...) RP_PRINTF(2, 3);

/* RP_ERR_NOMEM, with what the memory was for. */
rp_status rpi_no_memory(const char *what);

#endif
