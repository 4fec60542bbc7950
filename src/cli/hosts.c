#include "hosts.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static bool add(struct hosts *hosts, const char *name, size_t length)
{
    for (int i = 0; i < hosts->count; i++)
        if (strncmp(hosts->names[i], name, length) == 0 && hosts->names[i][length] == '\0')
            return true;
    if (length == 0 || name[0] == '+') /* +n1, +e: hosts of the batch job */
        return true;
    char **more = realloc(hosts->names, ((size_t)hosts->count + 1) * sizeof *more);
    if (!more)
        return false;
    hosts->names = more;
    hosts->names[hosts->count] = strndup(name, length);
    return hosts->names[hosts->count] && ++hosts->count;
}

/* h1:4,h2:4 */
static bool add_list(struct hosts *hosts, const char *list)
{
    for (const char *at = list;; at++) {
        size_t length = strcspn(at, ",");
        if (!add(hosts, at, strcspn(at, ":,")))
            return false;
        at += length;
        if (*at == '\0')
            return true;
    }
}

/* The first word of each line; # begins a comment. */
static bool add_lines(struct hosts *hosts, FILE *file)
{
    char line[1024];
    bool fine = true;
    while (fine && fgets(line, sizeof line, file)) {
        const char *word = line + strspn(line, " \t");
        fine = add(hosts, word, strcspn(word, " \t\r\n#:"));
    }
    return fine;
}

static bool add_file(struct hosts *hosts, const char *path)
{
    FILE *file = fopen(path, "re");
    bool fine = !file || add_lines(hosts, file);
    if (file)
        (void)fclose(file);
    return fine;
}

static void become_scontrol(int output)
{
    int nothing = open("/dev/null", O_RDWR);
    (void)dup2(nothing, STDIN_FILENO);
    (void)dup2(nothing, STDERR_FILENO);
    (void)dup2(output, STDOUT_FILENO);
    (void)execlp("scontrol", "scontrol", "show", "hostnames", (char *)NULL);
    _exit(127);
}

/* SLURM writes its hosts as n[1-3,7], and knows best how to read that. */
static bool add_slurm(struct hosts *hosts)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return true;
    pid_t child = fork();
    if (child == 0)
        become_scontrol(ends[1]);
    (void)close(ends[1]);
    FILE *file = fdopen(ends[0], "r");
    bool fine = file && (child < 0 || add_lines(hosts, file));
    if (file)
        (void)fclose(file);
    else
        (void)close(ends[0]);
    if (child > 0)
        (void)waitpid(child, NULL, 0);
    return fine;
}

bool hosts_add_job(struct hosts *hosts)
{
    static const char *const files[] = { "PBS_NODEFILE", "PE_HOSTFILE", "LSB_DJOB_HOSTFILE",
                                         "COBALT_NODEFILE", "OMPI_MCA_orte_default_hostfile" };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const char *path = getenv(files[i]);
        if (path && !add_file(hosts, path))
            return false;
    }
    return !getenv("SLURM_JOB_ID") || add_slurm(hosts);
}

static bool is_one_of(const char *word, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(word, *list) == 0)
            return true;
    return false;
}

static bool add_words(struct hosts *hosts, char *const *words, int count)
{
    static const char *const lists[] = { "-H", "-host", "--host", NULL };
    static const char *const files[] = {
        "-hostfile",         "--hostfile",         "-machinefile",          "--machinefile",
        "-default-hostfile", "--default-hostfile", "orte_default_hostfile", NULL
    };
    for (int i = 0; i + 1 < count; i++) {
        if (is_one_of(words[i], lists) && !add_list(hosts, words[i + 1]))
            return false;
        if (is_one_of(words[i], files) && !add_file(hosts, words[i + 1]))
            return false;
    }
    return true;
}

bool hosts_gather(struct hosts *hosts, const char *list, char *const *words, int count)
{
    *hosts = (struct hosts){ 0 };
    return (!list || add_list(hosts, list)) && add_words(hosts, words, count);
}

void hosts_free(struct hosts *hosts)
{
    for (int i = 0; i < hosts->count; i++)
        free(hosts->names[i]);
    free(hosts->names);
}
