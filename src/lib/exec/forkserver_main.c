#include "exec/forkserver_main.h"

#include "base/proctree.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SWEEPS    2000   /* looks for what a dead child has left ... */
#define SWEEP_NAP 100000 /* ... this many nanoseconds apart */
#define SIGNALS   64
#define OOM_SCORE "500" /* when memory is short a task's process must go, not the worker */

struct forkserver {
    const struct rpi_forkserver_config *config;
    int socket;
    int signals; /* SIGCHLD */
    int parent;  /* a pidfd, or -1 where the kernel has none */
    pid_t self;
    char name[16]; /* of the program: a child's */
    pid_t child;   /* 0: none */
};

/* ---- descriptors */

static void close_between(unsigned first, unsigned last)
{
#ifdef SYS_close_range
    if (first > last || syscall(SYS_close_range, first, last, 0U) == 0)
        return;
#endif
    struct rlimit limit = { 0 };
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    if (last >= limit.rlim_cur)
        last = limit.rlim_cur ? (unsigned)limit.rlim_cur - 1 : 0;
    for (unsigned fd = first; fd <= last; fd++)
        (void)close((int)fd);
}

static int by_number(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* Standard input is empty, standard error goes to the worker; of the others only those that are
 * needed stay: a copy of a socket would hide its owner's death from its peer. */
static void keep_own(int socket, const struct rpi_forkserver_config *config)
{
    int kept[RPI_FORKSERVER_KEEPS + 1] = { socket };
    memcpy(kept + 1, config->keep, sizeof config->keep);
    qsort(kept, RPI_FORKSERVER_KEEPS + 1, sizeof *kept, by_number);
    (void)dup2(config->error, STDERR_FILENO);
    (void)close(STDIN_FILENO);
    (void)open("/dev/null", O_RDONLY); /* the lowest free number: standard input's */
    unsigned next = STDERR_FILENO + 1;
    for (int i = 0; i <= RPI_FORKSERVER_KEEPS; i++) {
        if (kept[i] < (int)next)
            continue;
        close_between(next, (unsigned)kept[i] - 1);
        next = (unsigned)kept[i] + 1;
    }
    close_between(next, ~0U);
}

/* ---- the child */

static void default_signals(void)
{
    struct sigaction action = { .sa_handler = SIG_DFL };
    stack_t none = { .ss_flags = SS_DISABLE };
    sigset_t empty;
    for (int number = 1; number <= SIGNALS; number++)
        (void)sigaction(number, &action, NULL);
    (void)sigaltstack(&none, NULL);
    (void)sigemptyset(&empty);
    (void)sigprocmask(SIG_SETMASK, &empty, NULL);
}

static void volunteer(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)!write(fd, OOM_SCORE, sizeof OOM_SCORE - 1); /* best effort */
    (void)close(fd);
}

_Noreturn static void be_child(struct forkserver *forkserver)
{
    const struct rpi_forkserver_config *config = forkserver->config;
    (void)setsid();
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)prctl(PR_SET_NAME, forkserver->name);
    if (getppid() != forkserver->self)
        _exit(1); /* it died before this was agreed */
    (void)close(forkserver->socket);
    (void)close(forkserver->signals);
    if (forkserver->parent >= 0)
        (void)close(forkserver->parent);
    volunteer();
    default_signals();
    config->live(config->context);
    _exit(1);
}

static void say(const struct forkserver *forkserver, enum rpi_forkserver_what what, int64_t value)
{
    struct rpi_forkserver_news news;
    memset(&news, 0, sizeof news);
    news.what = what;
    news.value = value;
    (void)send(forkserver->socket, &news, sizeof news,
               MSG_NOSIGNAL); /* a worker that is gone shows at the next wait */
}

static void bear(struct forkserver *forkserver)
{
    pid_t pid = fork();
    if (pid == 0)
        be_child(forkserver);
    if (pid > 0) {
        forkserver->child = pid;
        say(forkserver, RPI_FORKSERVER_BORN, pid);
    } else {
        say(forkserver, RPI_FORKSERVER_STILLBORN, errno);
    }
}

/* ---- its end */

/* Ends all other children of this process, once the child is dead and reaped. */
static void sweep(struct forkserver *forkserver)
{
    char self[24];
    forkserver->child = 0;
    (void)snprintf(self, sizeof self, "%ld", (long)forkserver->self);
    for (int i = 0; i < SWEEPS; i++) {
        pid_t pid;
        do
            pid = waitpid(-1, NULL, WNOHANG);
        while (pid > 0);
        if (pid < 0)
            return; /* there is none */
        const struct timespec rest = { .tv_nsec = SWEEP_NAP };
        (void)rpi_proctree_kill_of(self);
        (void)nanosleep(&rest, NULL);
    }
}

/* Kills its group before it is reaped: until then its number and its group's are not reused. */
static void bury(struct forkserver *forkserver)
{
    int status = 0;
    (void)kill(-forkserver->child, SIGKILL);
    while (waitpid(forkserver->child, &status, 0) < 0 && errno == EINTR)
        continue;
    sweep(forkserver);
    say(forkserver, RPI_FORKSERVER_DIED, status);
}

static void reap(struct forkserver *forkserver)
{
    struct signalfd_siginfo drained;
    while (read(forkserver->signals, &drained, sizeof drained) > 0)
        continue;
    for (;;) {
        siginfo_t info = { 0 };
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
            return;
        if (info.si_pid == forkserver->child)
            bury(forkserver);
        else
            (void)waitpid(info.si_pid, NULL, 0);
    }
}

_Noreturn static void leave(struct forkserver *forkserver)
{
    if (forkserver->child) {
        (void)kill(-forkserver->child, SIGKILL);
        (void)kill(forkserver->child, SIGKILL); /* it may not lead its group yet */
        while (waitpid(forkserver->child, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    sweep(forkserver);
    _exit(0);
}

/* ---- the fork server */

static void obey(struct forkserver *forkserver)
{
    char what = 0;
    ssize_t size = recv(forkserver->socket, &what, 1, MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size != 1)
        leave(forkserver);
    if (what == RPI_FORKSERVER_ORDER_FORK && !forkserver->child)
        bear(forkserver);
    if (what == RPI_FORKSERVER_ORDER_KILL && forkserver->child) {
        (void)kill(-forkserver->child, SIGKILL);
        (void)kill(forkserver->child, SIGKILL);
    }
}

_Noreturn void rpi_forkserver_main(int socket, pid_t parent,
                                   const struct rpi_forkserver_config *config)
{
    struct forkserver forkserver = {
        .config = config, .socket = socket, .signals = -1, .parent = -1, .self = getpid()
    };
    sigset_t child;
    (void)setsid();
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1UL, 0UL, 0UL, 0UL);
    (void)prctl(PR_GET_NAME, forkserver.name);
    (void)prctl(PR_SET_NAME, RPI_PROCTREE_SPARED);
    keep_own(socket, config);
#ifdef SYS_pidfd_open
    forkserver.parent = (int)syscall(SYS_pidfd_open, parent, 0U);
#endif
    (void)signal(SIGCHLD, SIG_DFL); /* ignored, children would vanish unseen */
    (void)sigemptyset(&child);
    (void)sigaddset(&child, SIGCHLD);
    forkserver.signals = signalfd(-1, &child, SFD_NONBLOCK | SFD_CLOEXEC);
    if (getppid() != parent || forkserver.signals < 0)
        _exit(1);
    for (;;) {
        struct pollfd fds[] = { { .fd = forkserver.socket, .events = POLLIN },
                                { .fd = forkserver.signals, .events = POLLIN },
                                { .fd = forkserver.parent, .events = POLLIN } };
        if (poll(fds, 3, -1) < 0)
            continue;
        if (fds[2].revents)
            leave(&forkserver);
        if (fds[1].revents)
            reap(&forkserver);
        if (fds[0].revents)
            obey(&forkserver);
    }
}
