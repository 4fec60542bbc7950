#include "base/proctree.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOKS    2000   /* at most, for what dead children have left to this process */
#define LOOK_NAP 100000 /* nanoseconds between two looks */

static ssize_t read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? 0 : read(fd, text, size - 1);
    if (fd >= 0)
        (void)close(fd);
    text[got > 0 ? got : 0] = '\0';
    return got;
}

static bool ends_by_itself(long pid)
{
    char path[64], name[32];
    (void)snprintf(path, sizeof path, "/proc/%ld/comm", pid);
    return read_file(path, name, sizeof name) > 0 && strcmp(name, RPI_PROCTREE_SPARED "\n") == 0;
}

int rpi_proctree_kill_of(const char *thread)
{
    char path[320], text[4096], *at = text, *end;
    int killed = 0;
    (void)snprintf(path, sizeof path, "/proc/self/task/%s/children", thread);
    if (read_file(path, text, sizeof text) <= 0)
        return 0;
    for (;; at = end) {
        long pid = strtol(at, &end, 10);
        if (end == at || pid <= 1)
            return killed;
        if (*end && !ends_by_itself(pid)) { /* without a space after it, it may be cut off */
            (void)kill((pid_t)pid, SIGKILL);
            killed++;
        }
    }
}

static int kill_children(void)
{
    int killed = 0;
    DIR *threads = opendir("/proc/self/task");
    /* cppcheck-suppress readdirCalled ; the directory is this thread's own */
    for (const struct dirent *thread; threads && (thread = readdir(threads));)
        if (thread->d_name[0] != '.')
            killed += rpi_proctree_kill_of(thread->d_name);
    if (threads)
        (void)closedir(threads);
    return killed;
}

void rpi_proctree_kill(void)
{
    const struct timespec wakeup = { .tv_nsec = LOOK_NAP };
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1UL, 0UL, 0UL, 0UL);
    for (int i = 0; i < LOOKS && kill_children() > 0; i++) {
        (void)nanosleep(&wakeup, NULL);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            continue;
    }
}
