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

void rpi_wakeup_init(struct rpi_wakeup *wakeup);
void rpi_wakeup_fini(struct rpi_wakeup *wakeup);

/* Sleeps for `seconds` (for ever if negative) or until rpi_wakeup_wake; a wake that came before
 * counts.  False: rpi_wakeup_end was called. */
bool rpi_wakeup_take(struct rpi_wakeup *wakeup, double seconds);
/* For a thread that must run as soon as its sleep is over, even beside one that computes on the
 * same core.  Best effort; older kernels ignore it. */
void rpi_wakeup_prompt(void);
/* From any thread. */
void rpi_wakeup_wake(struct rpi_wakeup *wakeup);
/* As rpi_wakeup_wake; from now on every rpi_wakeup_take returns false at once. */
void rpi_wakeup_end(struct rpi_wakeup *wakeup);

#endif
