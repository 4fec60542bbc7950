/* How a task's process died, for a person. */
#ifndef RPI_POSTMORTEM_H
#define RPI_POSTMORTEM_H

#include "exec/tail.h"

/* The name of a signal, or NULL. */
const char *rpi_signal_name(int number);
/* `status` as waitpid gives it. */
void rpi_obituary(char *to, size_t size, int64_t pid, int status, const struct rpi_tail *tail);
/* "  It said: ..." behind what `to` has; nothing where nothing was said. */
void rpi_obituary_last_words(char *to, size_t size, const struct rpi_tail *tail);
/* The signal or the exit status. */
int rpi_obituary_code(int status);

#endif
