#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

void rpi_say(const struct rpi_log *log, rp_level level, const char *format, ...)
{
    char line[2048];
    va_list arguments;
    if (!log->sink && level > RP_LOG_WARNING)
        return;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (log->sink)
        log->sink(level, line, log->user);
    else
        (void)fprintf(stderr, "rankpool: %s\n", line);
}
