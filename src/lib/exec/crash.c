#include "exec/crash.h"

#include "exec/call.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Thread_local bool rpi_crash_armed;

static enum rpi_crash_ends what_ends; /* facts of the process, as its signals are */
static void (*end_job)(int code);
static void (*tell_master)(void *context, const struct rpi_death *death); /* NULL: it is not told */
static void *tell_context;
static pid_t owner; /* 0: nothing is watched; a forked copy of it is not */
static bool is_child;
static struct rp_call *const
    *_Atomic served; /* NULL, or where the thread that runs tasks says which */
static const struct rp_call *_Atomic server; /* NULL, or that thread's, which does nothing else */
static _Atomic enum rpi_crash_phase phase;   /* of that thread */

/* The task of this process that such an end is blamed on, or NULL.  *beside: it runs on another
 * thread than this one. */
static const struct rp_call *running(enum rpi_way way, bool *beside)
{
    const struct rp_call *call = rpi_call_current();
    struct rp_call *const *there = served;
    *beside = !call && there && (server || way == RPI_WAY_SIGNAL);
    if (getpid() != owner)
        return NULL;
    return *beside ? __atomic_load_n(there, __ATOMIC_RELAXED) : call;
}

/* ---- the words; only by what is async-signal-safe */

struct line {
    char text[1024];
    size_t used;
};

static void add(struct line *line, const char *text)
{
    line->used = rpi_death_text_add(line->text, sizeof line->text, line->used, text);
}

static void add_number(struct line *line, uint64_t number)
{
    line->used = rpi_death_text_number(line->text, sizeof line->text, line->used, number);
}

static void add_task(struct line *line, const struct rp_call *call)
{
    if (call->task->is_chunk) {
        add(line, "item ");
        add_number(line, call->item);
        add(line, " of a map of ");
    } else {
        add(line, "task ");
    }
    add(line, call->name);
    add(line, " (number ");
    add_number(line, call->task->number);
    add(line, ")");
}

static void add_consequence(struct line *line, bool in_task)
{
    static const char *const texts[] = { [RPI_CRASH_ENDS_JOB] = "this ends the whole job",
                                         [RPI_CRASH_ENDS_SPAWNED] = "this ends all spawned workers",
                                         [RPI_CRASH_ENDS_WORKER] = "this ends the worker",
                                         [RPI_CRASH_ENDS_PROCESS] = "this ends its process" };
    add(line, texts[what_ends]);
    if (in_task && what_ends == RPI_CRASH_ENDS_WORKER)
        add(line, ", and the task fails; the others go on; isolation = RP_FORK spares the worker, "
                  "where tasks use no MPI");
    if (phase == RPI_CRASH_IN_INITIALIZER)
        add(line, ", and rp_open fails");
}

/* `where`: before its task, or instead of it. */
static void say(const struct rp_call *call, const char *what, const char *where, bool in_task)
{
    struct line line = { .used = 0 };
    add(&line, "rankpool: worker ");
    add_number(&line, (uint64_t)call->worker);
    add(&line, " (");
    add(&line, call->host);
    add(&line, ", pid ");
    add_number(&line, (uint64_t)getpid());
    add(&line, ") ");
    add(&line, what);
    add(&line, where);
    if (in_task)
        add_task(&line, call);
    add(&line, ": ");
    add_consequence(&line, in_task);
    add(&line, "\n");
    (void)!write(STDERR_FILENO, line.text, line.used);
}

/* Says that the serving thread ends the process in no task, if that is so. */
static bool speak_of_server(const struct rp_call *call, enum rpi_way way, const char *what)
{
    static const char *const places[] = { [RPI_CRASH_IN_TASKS] = " while it served, in no task",
                                          [RPI_CRASH_IN_INITIALIZER] = " in its initializer",
                                          [RPI_CRASH_IN_FINALIZER] = " in its finalizer" };
    enum rpi_crash_phase now = phase;
    if (!call || getpid() != owner || (way == RPI_WAY_SIGNAL && now == RPI_CRASH_IN_TASKS))
        return false;
    say(call, what, places[now], false);
    return true;
}

/* False: no task runs, and this process does not wait for one. */
static bool speak(enum rpi_way way, int code)
{
    bool beside;
    char what[RPI_DEATH_TEXT];
    const struct rp_call *call = running(way, &beside);
    struct rpi_death death = { .code = code, .way = (uint8_t)way };
    rpi_death_tell(&death, what);
    if (!call || phase != RPI_CRASH_IN_TASKS)
        return speak_of_server(call ? call : server, way, what);
    death.id = call->task->id;
    death.item = call->item;
    death.attempt = call->task->attempt;
    say(call, what, beside ? " beside " : " in ", true);
    if (tell_master)
        tell_master(tell_context, &death);
    return true;
}

void rpi_crash_end(enum rpi_way way, int code)
{
    if (!speak(way, code))
        return;
    (void)fflush(NULL);
    if (end_job)
        end_job(way == RPI_WAY_ABORT && code ? code : 1);
    _exit(is_child && code ? code : 1);
}

/* ---- signals */

/* The first kind is what a program does to itself, and may be caught by it.  The other signals
 * too come of what a task does; they are watched only where they would end the process. */
static struct watched {
    int number;
    bool is_fault;  /* happens again when its instruction does */
    bool is_others; /* comes from other processes, as a rule: then nothing is said */
    struct sigaction before;
} watched[] = { { .number = SIGSEGV, .is_fault = true },
                { .number = SIGBUS, .is_fault = true },
                { .number = SIGFPE, .is_fault = true },
                { .number = SIGILL, .is_fault = true },
                { .number = SIGABRT },
                { .number = SIGTRAP },
                { .number = SIGALRM },
                { .number = SIGVTALRM },
                { .number = SIGPROF },
                { .number = SIGXCPU },
                { .number = SIGXFSZ },
                { .number = SIGSYS },
                { .number = SIGTERM, .is_others = true },
                { .number = SIGHUP, .is_others = true },
                { .number = SIGINT, .is_others = true },
                { .number = SIGQUIT, .is_others = true },
                { .number = SIGUSR1, .is_others = true },
                { .number = SIGUSR2, .is_others = true } };
#define WATCHED (sizeof watched / sizeof *watched)
#define FIRST   6 /* of them */

static void on_signal(int number, siginfo_t *info, void *context);

static void install(int number, struct sigaction *before)
{
    struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_ONSTACK | SA_SIGINFO };
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(number, &action, before);
}

static bool is_function(const struct sigaction *action)
{
    return action->sa_flags & SA_SIGINFO ||
           (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);
}

/* Calls the handler that was there before, under the mask that it asked for. */
static void call_before(const struct sigaction *before, int number, siginfo_t *info, void *context)
{
    sigset_t mask = before->sa_mask, old;
    (void)pthread_sigmask(SIG_BLOCK, &mask, &old);
    (void)sigemptyset(&mask);
    (void)sigaddset(&mask, number);
    if (before->sa_flags & SA_NODEFER)
        (void)pthread_sigmask(SIG_UNBLOCK, &mask, NULL);
    if (before->sa_flags & SA_SIGINFO)
        before->sa_sigaction(number, info, context);
    else
        before->sa_handler(number);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* A handler that was there before may mend it, jump out of it, or end the process in its own
 * way.  If it sets the default action, as those do that only tell of a crash, what comes next is
 * ours again: the same signal, raised by it or by its instruction. */
static void pass_on(struct watched *signal, siginfo_t *info, void *context)
{
    const struct sigaction before = signal->before;
    struct sigaction now;
    if (before.sa_flags & (int)SA_RESETHAND)
        signal->before = (struct sigaction){ .sa_handler = SIG_DFL };
    call_before(&before, signal->number, info, context);
    if (sigaction(signal->number, NULL, &now) == 0 && !is_function(&now) &&
        now.sa_handler == SIG_DFL)
        install(signal->number, &signal->before);
}

/* The default action takes its course when this handler returns: a fault happens again, what was
 * sent is sent again. */
static void die(const struct watched *signal, bool sent, pid_t sender)
{
    const struct sigaction standard = { .sa_handler = SIG_DFL };
    if (!signal->is_others || sender == getpid())
        (void)speak(RPI_WAY_SIGNAL, signal->number);
    (void)sigaction(signal->number, &standard, NULL);
    if (sent || !signal->is_fault)
        (void)raise(signal->number);
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    int before = errno;
    bool sent = info->si_code <= 0; /* else the kernel's */
    for (size_t i = 0; i < WATCHED; i++) {
        struct watched *signal = &watched[i];
        if (signal->number != number)
            continue;
        if (is_function(&signal->before))
            pass_on(signal, info, context);
        else if (!(sent && signal->before.sa_handler == SIG_IGN)) /* a fault cannot be ignored */
            die(signal, sent, info->si_pid);
    }
    errno = before;
}

/* A stack overflow leaves no room for a handler on the stack that overflowed. */
static void alternate_stack(void)
{
    static char room[65536];
    stack_t stack = { .ss_sp = room, .ss_size = sizeof room };
    stack_t old;
    if (sigaltstack(NULL, &old) == 0 && old.ss_flags & SS_DISABLE)
        (void)sigaltstack(&stack, NULL);
}

static void install_signals(void)
{
    alternate_stack();
    for (size_t i = 0; i < WATCHED; i++) {
        struct watched *signal = &watched[i];
        if (i < FIRST || (sigaction(signal->number, NULL, &signal->before) == 0 &&
                          !is_function(&signal->before) && signal->before.sa_handler == SIG_DFL))
            install(signal->number, &signal->before);
    }
}

/* ---- a thread's end: pthread_exit, a cancel */

static pthread_key_t key;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static bool has_key;

/* The frames that a cancel has left are no more: the sanitizer does not see that by itself. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define LEAVE_FRAMES() __asan_handle_no_return()
#else
#define LEAVE_FRAMES() ((void)0)
#endif

void rpi_crash_thread_ends(void *unused)
{
    bool serves = rpi_call_current() ||
                  (server && served == (struct rp_call *const *)&rpi_call_now);
    (void)unused;
    LEAVE_FRAMES();
    if (serves && getpid() != owner)
        exit(0); /* it is the last thread of a forked child: the frames below are the parent's */
    if (serves)
        rpi_crash_end(RPI_WAY_THREAD, 0);
    if (served == (struct rp_call *const *)&rpi_call_now)
        served = NULL;
}

static void make_key(void)
{
    has_key = pthread_key_create(&key, rpi_crash_thread_ends) == 0;
}

void rpi_crash_arm_now(void)
{
    (void)pthread_once(&key_once, make_key);
    rpi_crash_armed = true;
    if (!served)
        served = (struct rp_call *const *)&rpi_call_now;
    if (has_key)
        (void)pthread_setspecific(key, &rpi_crash_armed);
}

/* ---- exit() */

#ifdef __GLIBC__
static void on_leave(int status, void *unused)
{
    (void)unused;
    rpi_crash_end(RPI_WAY_EXIT, status);
}

static void catch_exit(void)
{
    (void)on_exit(on_leave, NULL);
}
#else
static void on_leave(void)
{
    rpi_crash_end(RPI_WAY_EXIT, 1);
}

static void catch_exit(void)
{
    (void)atexit(on_leave);
}
#endif

static void on_quick_exit(void)
{
    if (!is_child) /* there its status tells more */
        rpi_crash_end(RPI_WAY_QUICK_EXIT, 0);
}

/* ---- beginning */

static void watch(void)
{
    install_signals();
    catch_exit();
    (void)at_quick_exit(on_quick_exit);
}

void rpi_crash_watch(enum rpi_crash_ends ends, void (*abort)(int code))
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    what_ends = ends;
    end_job = abort;
    owner = getpid();
    (void)pthread_once(&once, watch);
    rpi_crash_arm();
}

void rpi_crash_watch_child(const struct rp_call *call)
{
    what_ends = RPI_CRASH_ENDS_PROCESS;
    end_job = NULL;
    owner = getpid();
    is_child = true;
    phase = RPI_CRASH_IN_TASKS;
    tell_master = NULL;
    rpi_crash_arm();
    rpi_crash_serve(call);
}

void rpi_crash_phase(enum rpi_crash_phase now)
{
    phase = now;
}

void rpi_crash_tell(void (*tell)(void *context, const struct rpi_death *death), void *context)
{
    tell_context = context;
    tell_master = tell;
}

void rpi_crash_serve(const struct rp_call *call)
{
    server = call;
    if (call)
        served = (struct rp_call *const *)&rpi_call_now;
}
