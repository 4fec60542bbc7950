/* One thread's sleep that others can end. */
#ifndef RPI_WAKEUP_H
#define RPI_WAKEUP_H

#include <pthread.h>
#include <stdbool.h>

struct rpi_nap {
    pthread_mutex_t lock; /* guards `called` and `over` */
    pthread_cond_t wake;
    bool called;
    bool over;
};

void rpi_nap_init(struct rpi_nap *nap);
void rpi_nap_fini(struct rpi_nap *nap);

/* Sleeps for `seconds`, for ever if they are negative, or until rpi_nap_wake; a call that came before counts.  False: the sleeper is
 * to end. */
bool rpi_nap_take(struct rpi_nap *nap, double seconds);
/* The same; true: it was woken, false: the time is over. */
bool rpi_nap_until_called(struct rpi_nap *nap, double seconds);
/* For a thread that is to come to its turn when its rest is over, beside one that computes on the same core.  It is a wish: a kernel that
 * does not know it refuses it. */
void rpi_nap_prompt(void);
/* From any thread. */
void rpi_nap_wake(struct rpi_nap *nap);
/* As rpi_nap_wake; from now on every rpi_nap_take returns false at once. */
void rpi_nap_end(struct rpi_nap *nap);

#endif
