/* One thread's sleep that others can end. */
#ifndef RPI_WAKEUP_H
#define RPI_WAKEUP_H

#include <pthread.h>
#include <stdbool.h>

struct rpi_wakeup {
    pthread_mutex_t lock; /* guards `called` and `over` */
    pthread_cond_t wake;
    bool called;
    bool over;
};

void rpi_wakeup_init(struct rpi_wakeup *nap);
void rpi_wakeup_fini(struct rpi_wakeup *nap);

/* Sleeps for `seconds`, for ever if they are negative, or until rpi_wakeup_wake; a call that came
 * before counts.  False: the sleeper is to end. */
bool rpi_wakeup_take(struct rpi_wakeup *nap, double seconds);
/* The same; true: it was woken, false: the time is over. */
bool rpi_wakeup_until_called(struct rpi_wakeup *nap, double seconds);
/* For a thread that is to come to its turn when its rest is over, beside one that computes on the
 * same core.  It is a wish: a kernel that does not know it refuses it. */
void rpi_wakeup_prompt(void);
/* From any thread. */
void rpi_wakeup_wake(struct rpi_wakeup *nap);
/* As rpi_wakeup_wake; from now on every rpi_wakeup_take returns false at once. */
void rpi_wakeup_end(struct rpi_wakeup *nap);

#endif
