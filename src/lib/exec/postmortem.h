/* How a task's process died, for a person. */
#ifndef RPI_POSTMORTEM_H
#define RPI_POSTMORTEM_H

#include "exec/tail.h"

/* `status` as waitpid gives it. */
void rpi_postmortem(char *to, size_t size, int64_t pid, int status,
                    const struct rpi_postmortem_tail *tail);
/* Appends the end of its standard error to what `to` has; nothing if that is empty. */
void rpi_postmortem_last_words(char *to, size_t size, const struct rpi_postmortem_tail *tail);
/* The signal or the exit status. */
int rpi_postmortem_code(int status);

#endif
