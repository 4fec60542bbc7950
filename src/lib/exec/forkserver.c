#include "exec/forkserver.h"

#include "base/private.h"
#include "base/runtimes.h"
#include "base/status.h"
#include "exec/forkserver_main.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* All signals are blocked over the fork: no handler of the application's runs in the fork server.
 */
static pid_t fork_server(int socket, const struct rpi_forkserver_config *config)
{
    sigset_t all, before;
    pid_t parent = getpid();
    (void)sigfillset(&all);
    rpi_runtimes_find();
    rpi_runtimes_flush(); /* else what is buffered would be written by each process */
    rpi_runtimes_pause();
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0)
        rpi_forkserver_main(socket, parent, config);
    int error = errno;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return pid;
}

rp_status rpi_forkserver_start(struct rpi_forkserver *forkserver,
                               const struct rpi_forkserver_config *config)
{
    int ends[2];
    *forkserver = (struct rpi_forkserver){ .socket = -1 };
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return rpi_error(RP_ERR_FULL, "no socket for a task's process: %s", strerror(errno));
    pid_t pid = fork_server(ends[1], config);
    int error = errno;
    (void)close(ends[1]);
    if (pid < 0) {
        (void)close(ends[0]);
        return rpi_error(RP_ERR_FULL, "no process for tasks (fork: %s)", strerror(error));
    }
    forkserver->pid = pid;
    forkserver->socket = rpi_private(ends[0]);
    return RP_OK;
}

void rpi_forkserver_end(struct rpi_forkserver *forkserver)
{
    if (!forkserver->pid)
        return;
    rpi_private_close(forkserver->socket);
    while (waitpid((pid_t)forkserver->pid, NULL, 0) < 0 && errno == EINTR)
        continue; /* ECHILD: the application has reaped it */
    *forkserver = (struct rpi_forkserver){ .socket = -1 };
}

static bool ask(struct rpi_forkserver *forkserver, char what)
{
    return forkserver->pid && send(forkserver->socket, &what, 1, MSG_NOSIGNAL) == 1;
}

bool rpi_forkserver_fork(struct rpi_forkserver *forkserver)
{
    return ask(forkserver, RPI_FORKSERVER_ORDER_FORK);
}

bool rpi_forkserver_kill(struct rpi_forkserver *forkserver)
{
    return ask(forkserver, RPI_FORKSERVER_ORDER_KILL);
}

int rpi_forkserver_hear(struct rpi_forkserver *forkserver, struct rpi_forkserver_news *news)
{
    ssize_t size;
    if (!forkserver->pid)
        return -1;
    do
        size = recv(forkserver->socket, news, sizeof *news, MSG_DONTWAIT);
    while (size < 0 && errno == EINTR);
    if (size == (ssize_t)sizeof *news)
        return 1;
    return size < 0 && errno == EAGAIN ? 0 : -1;
}
