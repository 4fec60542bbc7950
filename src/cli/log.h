#ifndef RANKPOOL_CLI_LOG_H
#define RANKPOOL_CLI_LOG_H

/* One line on standard error, "rankpool: ..."; the newline is added. */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Seconds on the monotonic clock. */
double clock_now(void);

#define USAGE_ERROR 2 /* exit status of a mistake in the arguments */

#endif
