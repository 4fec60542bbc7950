#include "exec/answer_thread.h"

#include "base/clock.h"
#include "base/thread.h"
#include "exec/serve.h"

/* seconds of a task before the first look; where ranks share cores, all of them wait longer */
#define WATCH      0.5e-3
#define WATCH_MOST 8     /* times that: between two looks while short tasks come and go */
#define QUIET      20e-3 /* without a task, then it sleeps until it is called */
#define BUSTLE     16    /* turns between two looks: the tasks are short */
#define GROWTH     1.1
#define SHARE      0.01 /* of a task's time so far: a longer rest than that */
#define MOST       20e-3

static double slower(double rest, double most)
{
    return rest < most ? rest : most;
}

/* Nothing has changed since the last look: one task has run all the while. */
static double take_over(struct rpi_serve *server, double now)
{
    struct rpi_answer_thread *self = &server->answer_thread;
    double most = (now - self->since) * SHARE;
    if (!rpi_handoff_borrow(&server->handoff))
        return self->watch;
    (void)rpi_serve_news(server);
    rpi_handoff_return(&server->handoff);
    most = most < self->watch ? self->watch : most > MOST ? MOST : most;
    return slower(self->rest * GROWTH, most);
}

/* One look; returns the seconds until the next, negative: until it is called. */
static double look(struct rpi_serve *server)
{
    struct rpi_answer_thread *self = &server->answer_thread;
    uint64_t turn = rpi_handoff_turn(&server->handoff), passed = turn - self->seen;
    double now = rpi_now();
    if (passed == 0 && turn & 1)
        return take_over(server, now);
    if (passed == 0)
        return now - self->since > QUIET && rpi_handoff_sleep(&server->handoff, turn)
                   ? -1
                   : slower(self->rest * 1.5, WATCH_MOST * self->watch);
    self->seen = turn;
    self->since = now;
    return passed > BUSTLE && self->rest >= self->watch
               ? slower(self->rest * 1.5, WATCH_MOST * self->watch)
               : self->watch;
}

static void *attend(void *context)
{
    struct rpi_serve *server = context;
    struct rpi_answer_thread *self = &server->answer_thread;
    rpi_wakeup_prompt();
    while (rpi_wakeup_take(&self->wakeup, self->rest))
        self->rest = look(server);
    return NULL;
}

static void call(void *context)
{
    rpi_wakeup_wake(context);
}

void rpi_answer_thread_start(struct rpi_serve *server)
{
    struct rpi_answer_thread *self = &server->answer_thread;
    rpi_wakeup_init(&self->wakeup);
    rpi_handoff_init(&server->handoff, call, &self->wakeup);
    server->executor.fenced = server->handoff.fences;
    double crowd = server->transport->crowd;
    self->watch = crowd > 1 ? WATCH * crowd : WATCH;
    self->rest = self->watch;
    self->live = rpi_thread_start(&self->thread, attend, server) == 0;
    if (!self->live)
        rpi_wakeup_fini(&self->wakeup);
    else
        server->executor.call.look = NULL; /* what comes is heard without the task's help */
}

void rpi_answer_thread_stop(struct rpi_serve *server)
{
    struct rpi_answer_thread *self = &server->answer_thread;
    if (!self->live)
        return;
    rpi_wakeup_end(&self->wakeup);
    (void)pthread_join(self->thread, NULL);
    rpi_wakeup_fini(&self->wakeup);
    self->live = false;
}
