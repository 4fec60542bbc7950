#include "job.h"

#include "rank.h"
#include "rank_monitor.h"
#include "log.h"
#include "stillness.h"

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
#include <sys/wait.h>
#include <unistd.h>

#define SILENCE 30.0 /* seconds until it is said that no rank has reported */
#define ALONE   1.0  /* seconds for mpirun to see for itself that every rank has ended */
/* seconds, after a loss, that mpirun is still when it waits for the lost, and would for ever */
#define STILL    0.1
#define NAP      1.2 /* seconds; it naps for one at a time while it ends processes */
#define STEP     2.0 /* seconds between two ways of asking it, each ruder */
#define POLITELY 2   /* times, that is by SIGTERM */
#define MERCY    2.5 /* seconds for rank 0 to end, after a signal to end the job */
#define BEFORE   0.5 /* seconds */
/* seconds more than a host's timeout for rank 0's watch to say how it ended, when mpirun is gone */
#define FAREWELL 2.0

struct job {
    struct rank_monitor monitor;
    int signals;
    sigset_t mask; /* before */
    pid_t mpirun;
    int mpirun_status; /* once it has ended */
    int mpirun_signal; /* by which it has; 0: none */
    bool mpirun_ended;
    bool mpirun_lost; /* it was ended by a signal not sent through here, and rank 0 went on */
    double silence;   /* when it is said that no rank has reported; 0: it has been, or one has */
    double grace;
    double ask; /* when mpirun is asked to end; 0: not yet decided */
    int asked;  /* times */
    int signal; /* that came here to end the job; 0: none has */
    bool master_seen, dismissed;
    double master_end;          /* when it was seen */
    bool after_loss;            /* no rank is left, and some were lost before */
    struct stillness stillness; /* of mpirun, from then on */
};

/* ---- mpirun */

static void become(const struct job *job, const char *const *command, pid_t parent, int failure)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(128 + SIGTERM);
    (void)sigprocmask(SIG_SETMASK, &job->mask, NULL);
    (void)execvp(command[0], (char *const *)(uintptr_t)command);
    int error = errno;
    (void)!write(failure, &error, sizeof error);
    _exit(127);
}

/* False, after saying why: it cannot be started. */
static bool start(struct job *job, const char *const *command)
{
    int ends[2], error = 0;
    pid_t parent = getpid();
    if (pipe2(ends, O_CLOEXEC) != 0 || (job->mpirun = fork()) < 0) {
        log_line("cannot start a process: %s", strerror(errno));
        return false;
    }
    if (job->mpirun == 0)
        become(job, command, parent, ends[1]);
    (void)close(ends[1]);
    ssize_t got = read(ends[0], &error, sizeof error); /* nothing: it has become mpirun */
    (void)close(ends[0]);
    if (got != (ssize_t)sizeof error)
        return true;
    (void)waitpid(job->mpirun, NULL, 0);
    log_line("cannot run %s: %s.  %s", command[0], strerror(error),
             error == E2BIG
                 ? "The program's arguments and the environment are too long together"
                 : "Install Open MPI (Debian: openmpi-bin), or set MPIRUN to its mpirun");
    return false;
}

static void look_at_mpirun(struct job *job)
{
    int how;
    if (job->mpirun_ended || waitpid(job->mpirun, &how, WNOHANG) != job->mpirun)
        return;
    job->mpirun_ended = true;
    job->mpirun_signal = WIFSIGNALED(how) ? WTERMSIG(how) : 0;
    job->mpirun_status = WIFSIGNALED(how) ? 128 + WTERMSIG(how) : WEXITSTATUS(how);
}

static void tell_mpirun(const struct job *job, int number)
{
    if (!job->mpirun_ended)
        (void)kill(job->mpirun, number);
}

/* ---- signals */

static bool hold_signals(struct job *job)
{
    static const int held[] = { SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2 };
    struct sigaction hangup;
    sigset_t set;
    (void)sigemptyset(&set);
    for (size_t i = 0; i < sizeof held / sizeof *held; i++)
        (void)sigaddset(&set, held[i]);
    if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler == SIG_IGN)
        (void)sigdelset(&set, SIGHUP); /* nohup */
    /* If it is ignored, as some callers leave it, a child's end goes unnoticed. */
    (void)signal(SIGCHLD, SIG_DFL);
    (void)sigprocmask(SIG_BLOCK, &set, &job->mask);
    job->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return job->signals >= 0;
}

static void ask_by(struct job *job, double when)
{
    if (!(job->ask > 0) || when < job->ask)
        job->ask = when;
}

/* Rank 0 has its time to end by itself; mpirun (4.1) would give it none between SIGTERM and
 * SIGKILL.  A terminal's signal comes to mpirun as well. */
static void take_signal(struct job *job, int number)
{
    if (number == SIGCHLD)
        return;
    if (number == SIGUSR1 || number == SIGUSR2) {
        tell_mpirun(job, number); /* which passes it on to the ranks */
        return;
    }
    job->signal = number;
    if (job->monitor.master_came && !job->dismissed) {
        job->dismissed = true;
        rank_monitor_dismiss_master(&job->monitor, number);
        ask_by(job, clock_now() + MERCY);
    } else {
        ask_by(job, clock_now());
    }
}

static void take_signals(struct job *job)
{
    struct signalfd_siginfo info;
    while (read(job->signals, &info, sizeof info) == (ssize_t)sizeof info)
        take_signal(job, (int)info.ssi_signo);
}

/* ---- the end */

static void tell_of_master(const struct job *job)
{
    const struct rank_monitor *monitor = &job->monitor;
    int number = monitor->master_status - 128;
    bool by_loss = job->mpirun_lost &&
                   (monitor->master_status < 0 || number == SIGTERM || number == SIGKILL);
    if (job->signal || by_loss)
        return;
    if (monitor->master_status < 0)
        log_line("launch: rank 0 on %s was lost: killed, or its host gone; the job is ended",
                 monitor->master_host);
    else if (number > 0 && number < NSIG)
        log_line("launch: rank 0 on %s was ended by signal %d (%s); the job is ended",
                 monitor->master_host, number, strsignal(number));
}

/* A rank 0 that failed may have lacked another rank: names those that ended so long before it that
 * this was not its doing. */
static void tell_of_others(const struct job *job)
{
    const struct rank_monitor *monitor = &job->monitor;
    double now = clock_now();
    if (job->signal || job->mpirun_lost || monitor->master_status == 0)
        return;
    for (int i = 0; i < monitor->ended; i++) {
        const struct report_end *end = &monitor->ends[i];
        if (now - end->when > BEFORE)
            log_line("launch: rank %d on %s had ended %.1f s before rank 0", end->rank, end->host,
                     now - end->when);
    }
}

/* Whether the reader of the output lags: mpirun holds what is still to be written, and goes on when
 * it is taken.  A reader that has closed it does not lag. */
static bool output_waits(void)
{
    for (int file = STDOUT_FILENO; file <= STDERR_FILENO; file++) {
        struct pollfd look = { .fd = file, .events = POLLOUT };
        if (poll(&look, 1, 0) == 0)
            return true;
    }
    return false;
}

/* Call when all is taken that the ranks said: mpirun may crash after rank 0's end, and then that
 * end counts. */
static void look_at_mpirun_loss(struct job *job)
{
    const struct rank_monitor *monitor = &job->monitor;
    if (!job->mpirun_signal || job->mpirun_lost || job->asked > 0 || job->signal ||
        !monitor->master_came || monitor->master_gone)
        return;
    job->mpirun_lost = true;
    log_line("launch: mpirun was ended by signal %d (%s), and the job with it", job->mpirun_signal,
             strsignal(job->mpirun_signal));
}

/* Every rank has ended or cannot be reached.  mpirun sees that for itself and ends, unless a host
 * was lost: then it waits for word from that host's daemon or, asked to end, for the daemon's end,
 * if it does not know of the loss.  While it is still it has passed on all that has come; once
 * asked it may nap for a second until it kills what was spawned here and goes on. */
static void look_at_mpirun_alone(struct job *job, bool unreached, double now)
{
    if (job->asked == 0)
        ask_by(job, now + ALONE);
    job->after_loss = unreached || job->monitor.broken ||
                      (job->asked == 0 &&
                       rank_monitor_lost(&job->monitor, job->master_end - BEFORE));
    if (!job->signal && output_waits()) {
        job->stillness.since = 0;
        job->ask = now + ALONE;
    } else if (job->after_loss &&
               stillness_look(&job->stillness, job->mpirun, STILL, job->asked == 0 ? STILL : NAP))
        ask_by(job, now);
}

/* Rank 0's end is the job's: the others have `grace` seconds, less after a bad end. */
static void look_at_ranks(struct job *job)
{
    const struct rank_monitor *monitor = &job->monitor;
    double now = clock_now();
    if (!monitor->master_gone)
        return;
    if (!job->master_seen) {
        job->master_seen = true;
        job->master_end = now;
        tell_of_master(job);
        tell_of_others(job);
        ask_by(job,
               now + (monitor->master_status < 0 || monitor->master_status > 128 ? ALONE
                                                                                 : job->grace));
    }
    int unreached = rank_monitor_unreached(monitor);
    if (monitor->gone + unreached == monitor->size && job->asked < POLITELY && !job->mpirun_ended)
        look_at_mpirun_alone(job, unreached > 0, now);
}

/* SIGTERM makes mpirun end its ranks, within a second or so; while it waits for a lost host it
 * takes a second one.  What it has not written is lost. */
static void press(struct job *job)
{
    static const int ways[] = { SIGTERM, SIGTERM, SIGKILL };
    const struct rank_monitor *monitor = &job->monitor;
    int most = (int)(sizeof ways / sizeof *ways);
    if (!(job->ask > 0) || job->mpirun_ended || clock_now() < job->ask)
        return;
    if (!job->signal && output_waits()) {
        job->ask = clock_now() + ALONE;
        return;
    }
    int here = monitor->came - monitor->gone - rank_monitor_unreached(monitor);
    if (job->asked == 0 && monitor->master_gone && monitor->master_status == 0 && here > 0 &&
        !job->signal)
        log_line(
            "launch: rank 0 has ended, but %d of %d ranks go on: they are ended (--grace SECONDS "
            "lets them)",
            here, monitor->size);
    tell_mpirun(job, ways[job->asked < most ? job->asked : most - 1]);
    job->asked++;
    job->ask = clock_now() + STEP;
}

static bool is_over(struct job *job, double *farewell)
{
    if (!job->mpirun_ended)
        return false;
    if (!job->monitor.master_came || job->monitor.master_gone)
        return true;
    if (!job->dismissed)
        rank_monitor_dismiss_master(&job->monitor, SIGTERM);
    job->dismissed = true;
    if (!(*farewell > 0))
        *farewell = clock_now() + job->monitor.host_timeout + FAREWELL;
    if (job->signal && *farewell > clock_now() + MERCY)
        *farewell = clock_now() + MERCY; /* a signal asked for the end */
    return clock_now() > *farewell;
}

static int result(const struct job *job)
{
    const struct rank_monitor *monitor = &job->monitor;
    if (monitor->master_status >= 0)
        return monitor->master_status;
    if (job->signal)
        return 128 + job->signal;
    if (monitor->master_came)
        return 128 + SIGKILL;
    if (job->mpirun_signal)
        log_line("launch: mpirun was ended by signal %d (%s) before rank 0 had started",
                 job->mpirun_signal, strsignal(job->mpirun_signal));
    else
        log_line("launch: mpirun ended with status %d before rank 0 had started",
                 job->mpirun_status);
    const char *own = getenv("MPIRUN");
    if (own && !job->mpirun_signal)
        log_line("launch: the environment sets MPIRUN=%s: it must name Open MPI's mpirun", own);
    return job->mpirun_status ? job->mpirun_status : 1;
}

/* mpirun starts no rank before it has a daemon on every host, and waits for these without a
 * word. */
static void look_at_silence(struct job *job)
{
    if (job->monitor.size > 0 || job->signal || job->mpirun_ended)
        job->silence = 0;
    if (!(job->silence > 0) || clock_now() < job->silence)
        return;
    job->silence = 0;
    log_line(
        "launch: no rank has reported within %g s, and the job goes on.  Likely reasons: %sa host "
        "that does not answer, or "
        "asks "
        "for a password (each must be reached without: ssh HOST true); a host that cannot connect "
        "to mpirun's or this "
        "command's ports on this one (a firewall, or another network: mpirun's "
        "oob_tcp_if_include); too many ranks for "
        "this machine's cores or memory",
        SILENCE,
        getenv("SLURM_JOB_ID") ? "a step of this SLURM job that has all of a node, so that "
                                 "mpirun's own step waits for it "
                                 "(squeue --steps); "
                               : "");
}

static int wait_milliseconds(const struct job *job)
{
    double when = job->ask > 0 ? job->ask : job->silence, seconds = when - clock_now();
    if (job->mpirun_ended)
        return 100;
    if (job->master_seen && job->asked < POLITELY && seconds > STILLNESS_STEP)
        seconds = STILLNESS_STEP;
    return !(when > 0) ? -1 : seconds < 0 ? 0 : seconds > 3600 ? 3600000 : (int)(seconds * 1e3) + 1;
}

static int watch(struct job *job)
{
    double farewell = 0;
    for (;;) {
        struct pollfd ends[] = { { .fd = job->signals, .events = POLLIN },
                                 { .fd = job->monitor.events, .events = POLLIN } };
        take_signals(job);
        look_at_mpirun(job);
        rank_monitor_take(&job->monitor);
        look_at_mpirun_loss(job);
        look_at_silence(job);
        look_at_ranks(job);
        press(job);
        if (is_over(job, &farewell))
            return result(job);
        (void)poll(ends, 2, wait_milliseconds(job));
    }
}

/* A connection a rank. */
static void allow_many_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

int job_run(const char *const *command, const struct addresses *addresses, double grace,
            double host_timeout)
{
    struct job job = { .grace = grace, .silence = clock_now() + SILENCE };
    char address[512];
    int status = 1;
    if (!rank_monitor_open(&job.monitor, addresses, host_timeout)) {
        log_line("launch: cannot listen for the ranks: %s", strerror(errno));
        return 1;
    }
    if (!rank_monitor_address(&job.monitor, address, sizeof address) ||
        setenv(RANK_LAUNCHER, address, 1) != 0 || !hold_signals(&job))
        log_line("launch: cannot prepare the job: %s", strerror(errno));
    else if (!start(&job, command))
        status = 127;
    else {
        allow_many_files();
        status = watch(&job);
    }
    rank_monitor_kill_left(&job.monitor);
    rank_monitor_close(&job.monitor);
    return status;
}
