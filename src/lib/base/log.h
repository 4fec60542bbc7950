/* Lines for the application's sink.  The library itself prints only where there is no sink:
 * warnings and errors, to stderr. */
#ifndef RPI_LOG_H
#define RPI_LOG_H

#include <rankpool.h>

struct rpi_log {
    rp_log *sink; /* NULL: stderr */
    void *user;
};

void rpi_say(const struct rpi_log *log, rp_level level, const char *format, ...) RP_PRINTF(3, 4);

#endif
