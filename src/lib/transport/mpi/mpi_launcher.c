#include "transport/mpi/mpi_launcher.h"

#include "base/status.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* ---- the environment */

/* How many ranks each launcher says that it has started.  One may run inside a job of another's,
 * and leaves what that has said. */
static const struct mark {
    const char *size, *launcher;
} marks[] = {
    { "OMPI_COMM_WORLD_SIZE", "the mpirun of an Open MPI" },
    { "PMI_SIZE", "the mpiexec of an MPICH, or of its kin" },
    { "MV2_COMM_WORLD_SIZE", "the mpirun of an MVAPICH" },
    { "MPI_LOCALNRANKS",
      "the mpiexec of an MPICH, or of its kin" }, /* those of this host: the last resort */
    { "SLURM_STEP_NUM_TASKS", "srun" }
}; /* likewise: of a step, in which others may run */

bool rpi_mpi_launcher_is_there(void)
{
    static const char *const names[] = {
        "OMPI_COMM_WORLD_SIZE", "PMIX_RANK",      "PMI_RANK", "PMI_SIZE", "PMI_ID",
        "MV2_COMM_WORLD_SIZE",  "MPI_LOCALNRANKS"
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (getenv(names[i]))
            return true;
    return false;
}

/* The launcher that counts several ranks; NULL: one counts this process alone, or none counts. */
static const struct mark *find_crowd(long *ranks)
{
    const struct mark *crowd = NULL;
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        const char *text = getenv(marks[i].size);
        long count = text ? strtol(text, NULL, 10) : 0;
        bool is_last_resort = i + 2 >= sizeof marks / sizeof *marks;
        if (count == 1 && !(is_last_resort && crowd))
            return NULL;
        if (count > 1 && !crowd) {
            crowd = &marks[i];
            *ranks = count;
        }
    }
    return crowd;
}

/* ---- the processes that this one comes from */

static FILE *open_of(pid_t process, const char *name)
{
    char path[48];
    (void)snprintf(path, sizeof path, "/proc/%ld/%s", (long)process, name);
    return fopen(path, "re");
}

/* Whether a piece of /proc/PROCESS/NAME has both words, or is the first where there is no other. */
static bool has_piece(pid_t process, const char *name, char end, const char *word,
                      const char *other)
{
    char *piece = NULL;
    size_t room = 0;
    bool found = false;
    FILE *file = open_of(process, name);
    while (file && !found && getdelim(&piece, &room, end, file) > 0)
        found = other ? strstr(piece, word) && strstr(piece, other) : strcmp(piece, word) == 0;
    if (file)
        (void)fclose(file);
    free(piece);
    return found;
}

static pid_t parent_of(pid_t process)
{
    char text[512] = "";
    FILE *file = open_of(process, "stat");
    size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        (void)fclose(file);
    text[size] = '\0';
    const char *rest = strrchr(text, ')'); /* after the name: state and parent */
    return rest && strlen(rest) > 4 ? (pid_t)strtol(rest + 4, NULL, 10) : 0;
}

/* Whether one of them is a rank itself: it has what the launcher said, and MPI's code in its
 * memory.  A shell or a tool between has no MPI. */
static bool is_started_by_rank(const struct mark *mark)
{
    char entry[128];
    (void)snprintf(entry, sizeof entry, "%s=%s", mark->size, getenv(mark->size));
    for (pid_t process = getppid(); process > 1 && has_piece(process, "environ", '\0', entry, NULL);
         process = parent_of(process))
        if (has_piece(process, "maps", '\n', " r-xp ", "/libmpi"))
            return true;
    return false;
}

/* ---- MPI's count beside it */

/* "Open MPI v4.1.4" of "Open MPI v4.1.4, package: ...", "MPICH 4.0.2" of "MPICH
 * Version:\t4.0.2\n...". */
static void name_library(char name[MPI_MAX_LIBRARY_VERSION_STRING])
{
    int length = 0;
    name[0] = '\0';
    (void)MPI_Get_library_version(name, &length);
    name[strcspn(name, ",\n")] = '\0';
    char *word = strstr(name, " Version:");
    const char *number = word ? word + strlen(" Version:") : NULL;
    if (!word)
        return;
    number += strspn(number, " \t");
    word[0] = ' ';
    (void)memmove(word + 1, number, strlen(number) + 1);
}

rp_status rpi_mpi_launcher_check(void)
{
    char library[MPI_MAX_LIBRARY_VERSION_STRING];
    int size = 0;
    long ranks = 0;
    const struct mark *mark = find_crowd(&ranks);
    if (!mark || MPI_Comm_size(MPI_COMM_WORLD, &size) != MPI_SUCCESS || size != 1 ||
        is_started_by_rank(mark))
        return RP_OK;
    name_library(library);
    return rpi_error(RP_ERR_MPI,
                     "the launcher, %s, has started %ld ranks (%s), but this program's MPI, %.60s, "
                     "counts 1, so that each "
                     "would be a pool of its own: start it by the mpirun of its own MPI, or build "
                     "it with the launcher's",
                     mark->launcher, ranks, mark->size, library);
}
