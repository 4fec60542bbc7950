#include "exec/postmortem.h"

#include "base/death.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

int rpi_postmortem_code(int status)
{
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

void rpi_postmortem_last_words(char *to, size_t size, const struct rpi_postmortem_tail *tail)
{
    size_t used = strlen(to);
    char lines[RPI_POSTMORTEM_TAIL_BYTES + 1];
    if (rpi_postmortem_tail_lines(tail, lines, sizeof lines))
        (void)snprintf(to + used, size - used, ".  The end of its standard error: %s", lines);
}

static const char *advice(int number)
{
    switch (number) {
    case SIGKILL:
        return "by another's hand, or for lack of memory: see the kernel's log, or give it smaller "
               "tasks or fewer workers "
               "a node";
    case SIGTERM:
    case SIGINT:
    case SIGHUP:
        return "somebody sent that to it";
    case SIGPIPE:
        return "it wrote to a pipe or socket without a reader";
    case SIGXCPU:
    case SIGXFSZ:
        return "a limit of ulimit";
    default:
        return "to see where, run it with isolation = RP_INLINE under a debugger, or with ulimit "
               "-c unlimited for a core "
               "file";
    }
}

void rpi_postmortem(char *to, size_t size, int64_t pid, int status,
                    const struct rpi_postmortem_tail *tail)
{
    const char *name = WIFSIGNALED(status) ? rpi_death_signal_name(WTERMSIG(status)) : NULL;
    if (name)
        (void)snprintf(to, size, "its process (pid %lld) died of %s (%s)", (long long)pid, name,
                       advice(WTERMSIG(status)));
    else if (WIFSIGNALED(status))
        (void)snprintf(to, size, "its process (pid %lld) died of signal %d", (long long)pid,
                       WTERMSIG(status));
    else
        (void)snprintf(to, size,
                       "its process (pid %lld) exited with status %d inside the task, which must "
                       "return instead",
                       (long long)pid, WEXITSTATUS(status));
    rpi_postmortem_last_words(to, size, tail);
}
