#include "offspring.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

#define GENERATIONS 64

static void kill_children(pid_t parent, int generations);

/* What is stopped starts no more; its children go first, for behind it nobody would find them. */
static void kill_family(pid_t pid, int generations)
{
    (void)kill(pid, SIGSTOP);
    if (generations > 0)
        kill_children(pid, generations - 1);
    (void)kill(pid, SIGKILL);
}

/* Those of one thread. */
static void kill_children_of(pid_t parent, const char *thread, int generations)
{
    char path[320];
    long child = 0;
    (void)snprintf(path, sizeof path, "/proc/%ld/task/%s/children", (long)parent, thread);
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    for (int letter; (letter = getc(file)) != EOF;) { /* numbers, each with a space behind it */
        if (letter >= '0' && letter <= '9') {
            child = child * 10 + letter - '0';
            continue;
        }
        if (child > 1)
            kill_family((pid_t)child, generations);
        child = 0;
    }
    (void)fclose(file);
}

static void kill_children(pid_t parent, int generations)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%ld/task", (long)parent);
    DIR *threads = opendir(path);
    /* cppcheck-suppress readdirCalled ; the directory is this thread's own */
    for (const struct dirent *thread; threads && (thread = readdir(threads));)
        if (thread->d_name[0] != '.')
            kill_children_of(parent, thread->d_name, generations);
    if (threads)
        (void)closedir(threads);
}

void rpi_offspring_kill(void)
{
    kill_children(getpid(), GENERATIONS);
}
