#include "base/death.h"

#include <signal.h>

const char *rpi_death_signal_name(int number)
{
    static const struct {
        int number;
        const char *name;
    } names[] = { { SIGHUP, "SIGHUP" },       { SIGINT, "SIGINT" },   { SIGQUIT, "SIGQUIT" },
                  { SIGILL, "SIGILL" },       { SIGTRAP, "SIGTRAP" }, { SIGABRT, "SIGABRT" },
                  { SIGBUS, "SIGBUS" },       { SIGFPE, "SIGFPE" },   { SIGKILL, "SIGKILL" },
                  { SIGUSR1, "SIGUSR1" },     { SIGSEGV, "SIGSEGV" }, { SIGUSR2, "SIGUSR2" },
                  { SIGPIPE, "SIGPIPE" },     { SIGALRM, "SIGALRM" }, { SIGTERM, "SIGTERM" },
                  { SIGXCPU, "SIGXCPU" },     { SIGXFSZ, "SIGXFSZ" }, { SIGSYS, "SIGSYS" },
                  { SIGVTALRM, "SIGVTALRM" }, { SIGPROF, "SIGPROF" } };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].number == number)
            return names[i].name;
    return NULL;
}

size_t rpi_death_text_add(char *text, size_t size, size_t used, const char *more)
{
    for (; *more && used + 1 < size; more++)
        text[used++] = *more;
    text[used] = '\0';
    return used;
}

size_t rpi_death_text_number(char *text, size_t size, size_t used, uint64_t number)
{
    char digits[24];
    size_t at = sizeof digits;
    digits[--at] = '\0';
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    return rpi_death_text_add(text, size, used, digits + at);
}

static size_t add_code(char *text, size_t used, int32_t code)
{
    if (code < 0)
        used = rpi_death_text_add(text, RPI_DEATH_TEXT, used, "-");
    return rpi_death_text_number(text, RPI_DEATH_TEXT, used,
                                 (uint64_t)(code < 0 ? -(int64_t)code : code));
}

static size_t add_call(char *text, const char *function, int32_t code)
{
    size_t used = rpi_death_text_add(text, RPI_DEATH_TEXT, 0, "called ");
    used = rpi_death_text_add(text, RPI_DEATH_TEXT, used, function);
    used = rpi_death_text_add(text, RPI_DEATH_TEXT, used, "(");
    used = add_code(text, used, code);
    return rpi_death_text_add(text, RPI_DEATH_TEXT, used, ")");
}

static void tell_signal(char *text, int32_t number)
{
    const char *name = rpi_death_signal_name(number);
    size_t used = rpi_death_text_add(text, RPI_DEATH_TEXT, 0,
                                     name ? "died of " : "died of signal ");
    if (name)
        (void)rpi_death_text_add(text, RPI_DEATH_TEXT, used, name);
    else
        (void)add_code(text, used, number);
}

void rpi_death_tell(const struct rpi_death *death, char text[RPI_DEATH_TEXT])
{
    switch (death->way) {
    case RPI_WAY_SIGNAL:
        tell_signal(text, death->code);
        break;
    case RPI_WAY_EXIT:
        (void)add_call(text, "exit", death->code);
        break;
    case RPI_WAY_ABORT:
        (void)add_call(text, "MPI_Abort", death->code);
        break;
    case RPI_WAY_FINALIZE:
        (void)rpi_death_text_add(text, RPI_DEATH_TEXT, 0, "called MPI_Finalize()");
        break;
    case RPI_WAY_QUICK_EXIT:
        (void)rpi_death_text_add(text, RPI_DEATH_TEXT, 0, "called quick_exit()");
        break;
    case RPI_WAY_THREAD:
        (void)rpi_death_text_add(text, RPI_DEATH_TEXT, 0,
                                 "ended its thread (pthread_exit, or a cancel)");
        break;
    default:
        (void)rpi_death_text_add(text, RPI_DEATH_TEXT, 0, "ended");
        break;
    }
}
