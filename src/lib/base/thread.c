#include "base/thread.h"

#include "base/futex.h"

#include <signal.h>

struct start {
    void *(*run)(void *context);
    void *context;
    struct rpi_futex begun;
};

static void *begin(void *context)
{
    struct start *start = context;
    const struct start own = { .run = start->run, .context = start->context };
    rpi_futex_ring(&start->begun);
    return own.run(own.context);
}

int rpi_thread_start(pthread_t *thread, void *(*run)(void *context), void *context)
{
    struct start start = { .run = run, .context = context };
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(thread, NULL, begin, &start);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    while (!error && rpi_futex_count(&start.begun) == 0)
        rpi_futex_sleep(&start.begun, 0);
    return error;
}
