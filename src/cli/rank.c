#include "rank.h"

#include "keepalive.h"
#include "parcel.h"
#include "log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* seconds for one address at least: a host that loses packets has its timeout */
#define CONNECT 3.0
#define MERCY   2.0 /* seconds from SIGTERM to SIGKILL for a program whose launcher is gone */
/* a worker's line to the launcher has a number that programs do not count on */
#define HIGH 64

/* ---- the launcher's address */

struct launcher {
    char *host, *token, *listeners; /* in the environment's text, which is cut up */
};

static bool parse(char *text, struct launcher *launcher)
{
    launcher->host = strsep(&text, ":");
    launcher->token = strsep(&text, ":");
    launcher->listeners = text;
    return text != NULL;
}

static int connect_to(char *listener)
{
    const char *address = strsep(&listener, ":"); /* and its port remains */
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons(listener ? (uint16_t)strtoul(listener, NULL, 10)
                                                         : 0) };
    int error = 0;
    socklen_t size = sizeof error;
    if (inet_pton(AF_INET, address, &to.sin_addr) != 1)
        return -1;
    int line = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (line < 0)
        return -1;
    struct pollfd wait = { .fd = line, .events = POLLOUT };
    double most = keepalive_told() > CONNECT ? keepalive_told() : CONNECT;
    if (connect(line, (struct sockaddr *)&to, sizeof to) == 0 ||
        (errno == EINPROGRESS && poll(&wait, 1, (int)(most * 1e3)) == 1 &&
         getsockopt(line, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0))
        return line;
    (void)close(line);
    return -1;
}

/* The first door is on loopback: the launcher's host comes by it, and everybody where there is no
 * other; elsewhere it would be another's. */
static int reach(const struct launcher *launcher)
{
    char here[256] = "";
    char *rest = launcher->listeners, *first = strsep(&rest, ",");
    int line = -1;
    (void)gethostname(here, sizeof here - 1);
    if (!rest || strcmp(here, launcher->host) == 0)
        line = connect_to(first);
    for (char *listener; line < 0 && (listener = strsep(&rest, ","));)
        line = connect_to(listener);
    return line;
}

static const char *rank_text(void)
{
    const char *rank = getenv("OMPI_COMM_WORLD_RANK");
    return rank ? rank : getenv("PMIX_RANK");
}

/* The launcher hears of this rank; -1: it does not. */
static int call_launcher(void)
{
    char text[512], hello[512], here[256] = "?";
    const char *value = getenv(RANK_LAUNCHER), *rank = rank_text(),
               *size = getenv("OMPI_COMM_WORLD_SIZE");
    struct launcher launcher;
    if (!value || !rank || strlen(value) >= sizeof text)
        return -1;
    (void)snprintf(text, sizeof text, "%s", value);
    int line = parse(text, &launcher) ? reach(&launcher) : -1;
    if (line < 0)
        return -1;
    (void)gethostname(here, sizeof here - 1);
    int length = snprintf(hello, sizeof hello, "%s %s %s %ld %.200s\n", launcher.token, rank,
                          size ? size : "0", (long)getpid(), here);
    if (send(line, hello, (size_t)length, MSG_NOSIGNAL) ==
        length) {                              /* a new connection's buffer holds it */
        keepalive_set(line, keepalive_told()); /* a cut cable ends it after some seconds */
        return line;
    }
    (void)close(line);
    return -1;
}

/* ---- the program */

/* What keeps one rank of a host from it mostly keeps all: the first there says so. */
static bool is_said_by_another(int error)
{
    const char *local = getenv("OMPI_COMM_WORLD_LOCAL_RANK");
    return (error == ENOENT || error == EACCES || error == ENOEXEC) && local &&
           strcmp(local, "0") != 0;
}

static int become(char **argv)
{
    char here[256] = "?";
    const char *poll = getenv(RANK_NOEPOLL);
    if (poll && strcmp(poll, RANK_OURS) == 0)
        (void)unsetenv(RANK_NOEPOLL);
    (void)execvp(argv[0], argv);
    int error = errno;
    (void)gethostname(here, sizeof here - 1);
    if (!is_said_by_another(error)) {
        if (error == ENOENT && !strchr(argv[0], '/'))
            log_line("there is no program %s in PATH on %s (one in this directory is ./%s)",
                     argv[0], here, argv[0]);
        else
            log_line("cannot run %s on %s: %s", argv[0], here, strerror(error));
    }
    return error == ENOENT ? 127 : 126;
}

static pid_t start(char **argv, const sigset_t *mask)
{
    pid_t parent = getpid();
    pid_t child = fork();
    if (child != 0)
        return child;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a kill of this rank is meant for the program */
    if (getppid() != parent)
        _exit(128 + SIGKILL);
    (void)sigprocmask(SIG_SETMASK, mask, NULL);
    _exit(become(argv));
}

static bool has_ended(pid_t child, int *status)
{
    int how;
    if (waitpid(child, &how, WNOHANG) != child)
        return false;
    *status = WIFSIGNALED(how) ? 128 + WTERMSIG(how) : WEXITSTATUS(how);
    return true;
}

/* Ends the program by the signal that the launcher sends, or by SIGTERM if the launcher has
 * ended. */
static void end_program(pid_t child, int line)
{
    char number = SIGTERM;
    (void)recv(line, &number, 1, MSG_DONTWAIT);
    (void)kill(child, number > 0 && number < NSIG ? number : SIGTERM);
}

/* Returns the program's status. */
static int watch(pid_t child, int signals, int line)
{
    struct pollfd ends[] = { { .fd = signals, .events = POLLIN },
                             { .fd = line, .events = POLLIN } };
    double deadline = 0; /* none */
    int status;
    while (!has_ended(child, &status)) {
        (void)poll(ends, 2, deadline > 0 ? 100 : -1);
        if (ends[0].revents) {
            struct signalfd_siginfo signal;
            (void)!read(signals, &signal, sizeof signal);
        }
        if (ends[1].revents) {
            end_program(child, line);
            ends[1].fd = -1;
            deadline = clock_now() + MERCY;
        }
        if (deadline > 0 && clock_now() > deadline)
            (void)kill(child, SIGKILL);
    }
    return status;
}

/* Signals that come through mpirun come to the whole group, the program included: here they are
 * only kept from ending the watch. */
static int hold_signals(sigset_t *before)
{
    static const int held[] = { SIGCHLD, SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,
                                SIGUSR1, SIGUSR2, SIGALRM, SIGPIPE };
    sigset_t set;
    (void)sigemptyset(&set);
    for (size_t i = 0; i < sizeof held / sizeof *held; i++)
        (void)sigaddset(&set, held[i]);
    (void)sigprocmask(SIG_BLOCK, &set, before);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int run_master(char **argv, int line)
{
    char report[32];
    sigset_t mask;
    int signals = hold_signals(&mask);
    pid_t child = signals < 0 ? -1 : start(argv, &mask);
    if (child < 0) {
        log_line("cannot start rank 0: %s", strerror(errno));
        return 1;
    }
    int status = watch(child, signals, line);
    int length = snprintf(report, sizeof report, "end %d\n", status);
    (void)send(line, report, (size_t)length, MSG_NOSIGNAL);
    return status;
}

static int run(char **program)
{
    int line = call_launcher();
    const char *rank = rank_text();
    bool is_master = !rank || strcmp(rank, "0") == 0;
    (void)unsetenv(RANK_LAUNCHER); /* the program must not see the token */
    if (!is_master) {
        if (line >= 0)
            (void)fcntl(
                line, F_DUPFD,
                HIGH); /* it closes when the program ends, which is how the launcher knows */
        return become(program);
    }
    if (line >= 0)
        return run_master(program, line);
    log_line(
        "rank 0 cannot reach rankpool launch over TCP from this host: is there a firewall between "
        "them, or "
        "is the host not in --hosts?");
    return 1;
}

int rank_run(int argc, char **argv)
{
    if (argc != 2 || !getenv(RANK_LAUNCHER)) {
        log_line("%s is for rankpool launch, which starts every rank by it", RANK_COMMAND);
        return USAGE_ERROR;
    }
    char **program = parcel_unpack((int)strtol(argv[1], NULL, 10));
    int status = program && program[0] ? run(program) : 1;
    if (!program)
        log_line("no memory for the program's arguments, or they have not come");
    free(program);
    return status;
}
