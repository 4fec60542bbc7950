/* How a task's process died, for a person; and its standard error: a pipe, from which it goes on to
 * this process's own, and whose last lines are kept. */
#ifndef RPI_POSTMORTEM_H
#define RPI_POSTMORTEM_H

#include <rankpool.h>

#define RPI_POSTMORTEM_TAIL_BYTES 400

struct rpi_postmortem_tail {
    int source; /* read end, or -1 */
    int sink;   /* write end, for the processes */
    size_t used;
    bool cut; /* more has been said than `text` has */
    char text[RPI_POSTMORTEM_TAIL_BYTES];
};

/* RP_ERR_FULL: no descriptor is free. */
RP_MUST_USE rp_status rpi_postmortem_tail_open(struct rpi_postmortem_tail *tail);
void rpi_postmortem_tail_close(struct rpi_postmortem_tail *tail);
/* Passes on what has come; never waits for it. */
void rpi_postmortem_tail_forward(struct rpi_postmortem_tail *tail);
/* Forgets what is kept. */
static inline void rpi_postmortem_tail_begin(struct rpi_postmortem_tail *tail)
{
    tail->used = 0;
    tail->cut = false;
}
/* The last lines in one, for a message: whole ones, where there is room.  Returns their length. */
size_t rpi_postmortem_tail_lines(const struct rpi_postmortem_tail *tail, char *to, size_t size);

/* `status` as waitpid gives it. */
void rpi_postmortem(char *to, size_t size, int64_t pid, int status,
                    const struct rpi_postmortem_tail *tail);
/* Appends the end of its standard error to what `to` has; nothing if that is empty. */
void rpi_postmortem_last_words(char *to, size_t size, const struct rpi_postmortem_tail *tail);
/* The signal or the exit status. */
int rpi_postmortem_code(int status);

#endif
