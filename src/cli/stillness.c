#include "stillness.h"

#include "say.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What stands behind a word at the begin of a line; NULL: it is not there. */
static const char *value_of(const char *text, const char *word)
{
    const char *at = strstr(text, word);
    return at ? at + strlen(word) : NULL;
}

/* False: it runs, or wants to, or cannot be seen. */
static bool sleeps(pid_t process, unsigned long *times)
{
    char path[32], text[4096];
    (void)snprintf(path, sizeof path, "/proc/%ld/status", (long)process);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = file >= 0 ? read(file, text, sizeof text - 1) : -1;
    if (file >= 0)
        (void)close(file);
    text[size > 0 ? size : 0] = '\0';
    const char *state = value_of(text, "\nState:\t"), *count = value_of(text, "\nvoluntary_ctxt_switches:\t");
    if (!state || *state != 'S' || !count)
        return false;
    *times = strtoul(count, NULL, 10);
    return true;
}

bool stillness_look(struct stillness *stillness, pid_t process, double seconds)
{
    double now = clock_now();
    unsigned long slept = 0;
    bool asleep = sleeps(process, &slept), before = stillness->since > 0 && slept == stillness->slept;
    stillness->slept = slept;
    if (!asleep || !before)
        stillness->since = asleep ? now : 0;
    return asleep && now - stillness->since >= seconds;
}
