#include "transport/mpi/mpi_spawn.h"

#include "base/advice.h"
#include "base/backoff.h"
#include "base/clock.h"
#include "base/status.h"
#include "transport/mpi/mpi_runtime.h"

#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TOKEN   "RANKPOOL_SPAWNED"
#define LEAVING 5.0 /* seconds for the daemon to let a worker go */

/* ---- the command that started this process */

struct command {
    char program[PATH_MAX];
    char *text;       /* the words in a row, each with its zero */
    char **arguments; /* without the program's name; NULL at the end */
};

/* The whole of a file whose size is not known before; a zero follows it.  NULL: errno tells why, or
 * there is no memory. */
static char *read_whole(const char *path, const struct rpi_alloc *alloc, size_t *size)
{
    size_t room = 4096, used = 0;
    ssize_t got = 1;
    char *text = rpi_reserve(alloc, room);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    while (text && file >= 0 && (got = read(file, text + used, room - used - 1)) > 0) {
        used += (size_t)got;
        char *more = used + 1 < room ? text : rpi_resize(alloc, text, room *= 2);
        if (!more)
            break;
        text = more;
    }
    if (file >= 0)
        (void)close(file);
    if (text && got == 0) {
        text[used] = '\0';
        *size = used;
        return text;
    }
    rpi_free(alloc, text);
    return NULL;
}

static void split(struct command *command, size_t size)
{
    size_t count = 0;
    const char *end = command->text + size;
    for (char *word = command->text; word < end; word += strlen(word) + 1)
        if (word > command->text)
            command->arguments[count++] = word;
    command->arguments[count] = NULL;
}

static void forget_command(struct command *command, const struct rpi_alloc *alloc)
{
    rpi_free(alloc, command->arguments);
    rpi_free(alloc, command->text);
}

static rp_status read_command(struct command *command, const struct rpi_alloc *alloc)
{
    size_t size = 0;
    ssize_t length = readlink("/proc/self/exe", command->program, sizeof command->program - 1);
    command->text = read_whole("/proc/self/cmdline", alloc, &size);
    if (length <= 0 || !command->text) {
        rpi_free(alloc, command->text);
        return rpi_error(
            RP_ERR_MPI,
            "spawning workers: /proc/self does not tell this program's file and arguments");
    }
    command->program[length] = '\0';
    command->arguments = rpi_reserve(alloc, (size + 1) * sizeof(char *));
    if (!command->arguments) {
        rpi_free(alloc, command->text);
        return rpi_no_memory("the arguments of spawned workers");
    }
    split(command, size);
    return RP_OK;
}

/* ---- spawning */

/* A spawn under way.  MPI_Comm_spawn returns when every worker has initialised MPI, and never if
 * one has ended before.  So a separate thread waits for it, and is abandoned when the time is over.
 * The caller makes no MPI call meanwhile: one thread at a time is all that any thread level really
 * needs, though below MPI_THREAD_SERIALIZED the standard wants the main thread. */
struct spawn {
    struct command command;
    MPI_Comm self, ranks;
    MPI_Info info;
    int count, code;
    atomic_bool over;
};

static MPI_Comm meet(MPI_Comm other_side, int high, int *code)
{
    MPI_Comm ranks = MPI_COMM_NULL;
    (void)MPI_Comm_set_errhandler(other_side, MPI_ERRORS_RETURN);
    *code = MPI_Intercomm_merge(other_side, high, &ranks);
    if (*code == MPI_SUCCESS)
        (void)MPI_Comm_set_errhandler(ranks, MPI_ERRORS_RETURN);
    return ranks;
}

static void *run(void *argument)
{
    struct spawn *spawn = argument;
    MPI_Comm workers = MPI_COMM_NULL;
    spawn->code = MPI_Comm_spawn(spawn->command.program, spawn->command.arguments, spawn->count,
                                 spawn->info, 0, spawn->self, &workers, MPI_ERRCODES_IGNORE);
    if (spawn->code == MPI_SUCCESS) {
        spawn->ranks = meet(workers, 0, &spawn->code);
        (void)MPI_Comm_free(&workers);
    }
    atomic_store(&spawn->over, true);
    return NULL;
}

/* False: still under way after `timeout` seconds. */
static bool run_in_time(struct spawn *spawn, double timeout)
{
    pthread_t thread;
    struct rpi_backoff backoff = { .crowded = true };
    double deadline = rpi_deadline(rpi_now(), timeout);
    if (pthread_create(&thread, NULL, run, spawn) != 0) {
        (void)run(spawn);
        return true;
    }
    while (!atomic_load(&spawn->over) && rpi_now() < deadline)
        rpi_backoff_wait(&backoff);
    if (!atomic_load(&spawn->over)) {
        (void)pthread_detach(thread);
        return false;
    }
    (void)pthread_join(thread, NULL);
    return true;
}

/* More workers than slots are the caller's wish, unless the user has said something about placing
 * processes. */
static bool placing_is_decided(void)
{
    return getenv("OMPI_MCA_rmaps_base_no_oversubscribe") ||
           getenv("OMPI_MCA_rmaps_base_mapping_policy");
}

/* MPI would bind one or two to a core each; a single one in spite of a policy of "none" in the
 * environment. */
static bool binding_is_decided(void)
{
    const char *policy = getenv("OMPI_MCA_hwloc_base_binding_policy");
    return (policy && strcmp(policy, "none") != 0) || getenv("OMPI_MCA_hwloc_base_cpu_list") ||
           getenv("OMPI_MCA_rmaps_base_mapping_policy");
}

static rp_status prepare(struct spawn *spawn, int count, unsigned number, const char *host,
                         const struct rpi_alloc *alloc)
{
    char token[64];
    (void)snprintf(token, sizeof token, TOKEN "=%u", number);
    if (MPI_Comm_dup(MPI_COMM_SELF, &spawn->self) != MPI_SUCCESS)
        return rpi_error(RP_ERR_MPI, "MPI_Comm_dup failed");
    (void)MPI_Comm_set_errhandler(spawn->self, MPI_ERRORS_RETURN);
    (void)MPI_Info_create(&spawn->info);
    (void)MPI_Info_set(spawn->info, "env", token);
    if (host)
        (void)MPI_Info_set(spawn->info, "host", host);
    if (!placing_is_decided())
        (void)MPI_Info_set(spawn->info, "map_by", "slot:OVERSUBSCRIBE");
    if (!binding_is_decided())
        (void)MPI_Info_set(spawn->info, "bind_to", "none");
    spawn->count = count;
    spawn->ranks = MPI_COMM_NULL;
    rp_status status = read_command(&spawn->command, alloc);
    if (status == RP_OK)
        return RP_OK;
    (void)MPI_Info_free(&spawn->info);
    (void)MPI_Comm_free(&spawn->self);
    return status;
}

static void forget(struct spawn *spawn, const struct rpi_alloc *alloc)
{
    (void)MPI_Info_free(&spawn->info);
    (void)MPI_Comm_free(&spawn->self);
    forget_command(&spawn->command, alloc);
    rpi_free(alloc, spawn);
}

static rp_status refused(enum rpi_mpi_spawn_why why, int code, int count)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    (void)MPI_Error_string(code, text, &length);
    if (why == RPI_MPI_SPAWN_HEIR)
        return rpi_error(
            RP_ERR_MPI, "MPI cannot spawn one (%s): %s", text,
            placing_is_decided()
                ? "where every slot is taken, start the program with more slots than ranks on each "
                  "host, or without "
                  "rmaps_base_no_oversubscribe and rmaps_base_mapping_policy in MPI's settings"
                : "MPI may say why on standard error; the program's next start has every worker "
                  "again");
    return rpi_error(
        RP_ERR_MPI,
        "MPI cannot spawn %d workers (%s): start the program with mpirun -n %d instead%s", count,
        text, count + 1, rpi_advice(RPI_ADVICE_SPAWN));
}

/* A spawned process without our token may be a worker of ours, under an MPI that does not pass the
 * environment on: it would spawn workers that spawn workers. */
static rp_status refuse_grandchildren(int count)
{
    MPI_Comm parent = MPI_COMM_NULL;
    (void)MPI_Comm_get_parent(&parent);
    if (parent == MPI_COMM_NULL)
        return RP_OK;
    return rpi_error(RP_ERR_MPI,
                     "this process was spawned itself (by MPI_Comm_spawn, without " TOKEN
                     "), and spawns no workers: start the program with mpirun -n %d",
                     count + 1);
}

rp_status rpi_mpi_spawn_spawn(enum rpi_mpi_spawn_why why, int count, unsigned number,
                              const char *host, double timeout, const struct rpi_alloc *alloc,
                              MPI_Comm *ranks)
{
    rp_status status = refuse_grandchildren(count);
    if (status != RP_OK)
        return status;
    struct spawn *spawn = rpi_zeroed(alloc, sizeof *spawn);
    if (!spawn)
        return rpi_no_memory("spawning workers");
    status = prepare(spawn, count, number, host, alloc);
    if (status != RP_OK) {
        rpi_free(alloc, spawn);
        return status;
    }
    if (!run_in_time(spawn, timeout)) {
        rpi_mpi_runtime_give_up(); /* the thread goes on inside MPI, in `spawn` */
        return rpi_error(RP_ERR_BROKEN,
                         "%d workers were spawned, but did not all come to rp_open within %g s: "
                         "did one end before, or wait "
                         "for input?  What stands before rp_open runs in workers too",
                         count, timeout);
    }
    if (spawn->code != MPI_SUCCESS)
        status = refused(why, spawn->code, count);
    *ranks = spawn->ranks;
    forget(spawn, alloc);
    return status;
}

/* ---- spawned */

static unsigned turn; /* a fact of the process, as its parent is */

static void find_turn(void)
{
    MPI_Comm parent = MPI_COMM_NULL;
    const char *token = getenv(TOKEN);
    if (!token)
        return;
    (void)MPI_Comm_get_parent(&parent);
    if (parent != MPI_COMM_NULL)
        turn = (unsigned)strtoul(token, NULL, 10);
    (void)unsetenv(TOKEN); /* what a worker starts is no worker */
}

unsigned rpi_mpi_spawn_turn(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, find_turn);
    return turn;
}

/* Where a daemon of Open MPI's (with libpmix 4.2) hears of a process's end before it has seen the
 * end of its connection, it forgets to take that connection out of its event loop, and never
 * hears the next process whose connection gets the same number: that one hangs in MPI_Init, and
 * its parent in MPI_Comm_spawn (2 % of the spawns after the first, on a busy machine).  So a
 * worker holds a second descriptor of its connection, and ends when the daemon has closed the
 * other side. */
static int line = -1;

static int port_of_daemon(void)
{
    static const char *const names[] = { "PMIX_SERVER_URI41", "PMIX_SERVER_URI4",
                                         "PMIX_SERVER_URI3", "PMIX_SERVER_URI2" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *uri = getenv(names[i]); /* "name;tcp4://127.0.0.1:42631" */
        const char *colon = uri ? strrchr(uri, ':') : NULL;
        if (colon)
            return (int)strtol(colon + 1, NULL, 10);
    }
    return -1;
}

static int port_of_peer(int file)
{
    struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
    socklen_t size = sizeof address;
    if (getpeername(file, (struct sockaddr *)&address, &size) != 0)
        return -1;
    if (address.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)(const void *)&address)->sin_port);
    return address.ss_family == AF_INET6
               ? ntohs(((const struct sockaddr_in6 *)(const void *)&address)->sin6_port)
               : -1;
}

static void hold_line(void)
{
    int port = port_of_daemon(), most = (int)sysconf(_SC_OPEN_MAX);
    for (int file = 0; port > 0 && line < 0 && file < most && file < 1024; file++)
        if (port_of_peer(file) == port)
            line = fcntl(file, F_DUPFD_CLOEXEC, 0);
}

/* Whether this side has closed it and the other has not. */
static bool half_closed(int file)
{
    struct tcp_info info;
    socklen_t size = sizeof info;
    return getsockopt(file, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
           (info.tcpi_state == TCP_FIN_WAIT1 || info.tcpi_state == TCP_FIN_WAIT2);
}

void rpi_mpi_spawn_leave(void)
{
    struct rpi_backoff backoff = { .crowded = true };
    double deadline = rpi_deadline(rpi_now(), LEAVING);
    while (line >= 0 && half_closed(line) && rpi_now() < deadline)
        rpi_backoff_wait(&backoff);
}

rp_status rpi_mpi_spawn_join(MPI_Comm *ranks)
{
    MPI_Comm parent = MPI_COMM_NULL;
    int code;
    hold_line();
    (void)MPI_Comm_get_parent(&parent);
    *ranks = meet(parent, 1, &code);
    if (code != MPI_SUCCESS)
        return rpi_error(RP_ERR_MPI, "MPI_Intercomm_merge failed in a spawned worker with code %d",
                         code);
    (void)MPI_Comm_free(&parent);
    return RP_OK;
}
