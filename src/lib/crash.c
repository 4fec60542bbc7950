#include "crash.h"

#include "call.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
    int number;
    const char *name;
} signals[] = { { SIGSEGV, "SIGSEGV" }, { SIGBUS, "SIGBUS" },   { SIGFPE, "SIGFPE" },
                { SIGILL, "SIGILL" },   { SIGABRT, "SIGABRT" }, { SIGTRAP, "SIGTRAP" } };
#define SIGNALS (sizeof signals / sizeof *signals)

static struct sigaction before[SIGNALS];
static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *consequence; /* a fact of the process, as its signals are */

/* Only what is async-signal-safe: text is put together by hand and written at once. */
struct line {
    char text[1024];
    size_t used;
};

static void add(struct line *line, const char *text)
{
    for (; *text && line->used < sizeof line->text; text++)
        line->text[line->used++] = *text;
}

static void add_number(struct line *line, unsigned long long number)
{
    char digits[24];
    size_t at = sizeof digits;
    digits[--at] = '\0';
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    add(line, digits + at);
}

static void say(const char *what, const struct rp_call *call)
{
    struct line line = { .used = 0 };
    add(&line, "rankpool: worker ");
    add_number(&line, (unsigned long long)call->worker);
    add(&line, " (");
    add(&line, call->host);
    add(&line, ", pid ");
    add_number(&line, (unsigned long long)getpid());
    add(&line, ") ");
    add(&line, what);
    add(&line, " in ");
    if (call->task->is_chunk) {
        add(&line, "item ");
        add_number(&line, call->item);
        add(&line, " of a map of ");
    } else {
        add(&line, "task ");
    }
    add(&line, call->name);
    add(&line, " (number ");
    add_number(&line, call->task->number);
    add(&line, "): ");
    add(&line, consequence);
    add(&line, "\n");
    (void)!write(STDERR_FILENO, line.text, line.used);
}

/* A fault happens again when its instruction does, with all that the system says of it, and comes to the handler that was there before.  What somebody
 * sent does not, nor does a trap. */
static void on_signal(int number, siginfo_t *info, void *context)
{
    (void)context;
    const struct rp_call *call = rpi_call_current();
    for (size_t i = 0; i < SIGNALS; i++) {
        if (signals[i].number != number)
            continue;
        if (call) {
            struct line what = { .used = 0 };
            add(&what, "died of ");
            add(&what, signals[i].name);
            what.text[what.used] = '\0';
            say(what.text, call);
        }
        (void)sigaction(number, &before[i], NULL);
    }
    if (info->si_code <= 0 || number == SIGTRAP || number == SIGABRT)
        (void)raise(number); /* delivered when this handler returns */
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

static void watch(void)
{
    struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_ONSTACK | SA_SIGINFO };
    (void)sigemptyset(&action.sa_mask);
    alternate_stack();
    for (size_t i = 0; i < SIGNALS; i++)
        (void)sigaction(signals[i].number, &action, &before[i]);
}

void rpi_crash_watch(const char *ends)
{
    consequence = ends;
    (void)pthread_once(&once, watch);
}

int rpi_crash_exit(void)
{
    const struct rp_call *call = rpi_call_current();
    if (!call)
        return 0;
    say("called exit()", call);
    return 1;
}
