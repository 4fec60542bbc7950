#include "stillness.h"

#include "log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What follows a word that begins a line; NULL: it is not there. */
static const char *value_of(const char *text, const char *word)
{
    const char *at = strstr(text, word);
    return at ? at + strlen(word) : NULL;
}

/* Reads a file of /proc/PID; its size, or less than 1. */
static ssize_t read_of(pid_t process, const char *name, char *text, size_t room)
{
    char path[48];
    (void)snprintf(path, sizeof path, "/proc/%ld/%s", (long)process, name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = file >= 0 ? read(file, text, room - 1) : -1;
    if (file >= 0)
        (void)close(file);
    text[size > 0 ? size : 0] = '\0';
    return size;
}

/* False: it runs, or wants to, or cannot be seen. */
static bool sleeps(pid_t process, unsigned long *times)
{
    char text[4096];
    (void)read_of(process, "status", text, sizeof text);
    const char *state = value_of(text, "\nState:\t"),
               *count = value_of(text, "\nvoluntary_ctxt_switches:\t");
    if (!state || *state != 'S' || !count)
        return false;
    *times = strtoul(count, NULL, 10);
    return true;
}

/* Whether it sleeps until a time that it has set itself; not every system lets that be seen. */
static bool naps(pid_t process, bool *seen)
{
    char text[256];
    *seen = read_of(process, "syscall", text, sizeof text) > 0;
    return *seen && strtol(text, NULL, 10) == SYS_clock_nanosleep;
}

bool stillness_look(struct stillness *stillness, pid_t process, double seconds, double nap)
{
    double now = clock_now();
    unsigned long slept = 0;
    bool seen = false, asleep = sleeps(process, &slept) && !naps(process, &seen),
         before = stillness->since > 0 && slept == stillness->slept;
    stillness->slept = slept;
    if (!asleep || !before)
        stillness->since = asleep ? now : 0;
    return asleep && now - stillness->since >= (seen ? seconds : nap);
}
