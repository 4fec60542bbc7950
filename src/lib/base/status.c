#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char last_error[1536];

const char *rp_strerror(rp_status status)
{
    switch (status) {
#define STATUS_CASE(name, value, text)                                                             \
    case name:                                                                                     \
        return text;
        RP_STATUS_LIST(STATUS_CASE)
#undef STATUS_CASE
    }
    return "unknown status";
}

bool rpi_is_status(uint32_t value)
{
    switch (value) {
#define IS_STATUS(name, number, text) case number:
        RP_STATUS_LIST(IS_STATUS)
#undef IS_STATUS
        return true;
    default:
        return false;
    }
}

const char *rp_error_message(void)
{
    return last_error;
}

#define VERSION_TEXT(a, b, c) #a "." #b "." #c
#define VERSION(a, b, c)      VERSION_TEXT(a, b, c)

const char *rp_version(void)
{
    return VERSION(RP_VERSION_MAJOR, RP_VERSION_MINOR, RP_VERSION_PATCH);
}

void rpi_note(const char *format, ...)
{
    char text[sizeof last_error]; /* an argument may be last_error itself */
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    (void)snprintf(last_error, sizeof last_error, "%s", text);
}

static bool is_of_call(rp_status status)
{
    return status >= RP_ERR_INVALID && (status < RP_ERR_TASK || status >= RP_ERR_BROKEN);
}

rp_status rpi_name_error(const char *function, rp_status status)
{
    size_t name = strncmp(last_error, "rp_", 3) == 0
                      ? strspn(last_error, "abcdefghijklmnopqrstuvwxyz_")
                      : 0;
    if (is_of_call(status))
        rpi_note("%s%s%s", function, name ? "" : ": ", last_error + name);
    return status;
}
