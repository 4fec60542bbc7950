#include "base/futex.h"

#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

void rpi_futex_sleep(struct rpi_futex *bell, uint32_t count)
{
    (void)syscall(SYS_futex, &bell->rung, FUTEX_WAIT, count, NULL, NULL, 0);
}

void rpi_futex_ring(struct rpi_futex *bell)
{
    (void)atomic_fetch_add(&bell->rung, 1);
    (void)syscall(SYS_futex, &bell->rung, FUTEX_WAKE, 1, NULL, NULL, 0);
}
