#include "base/membarrier.h"

#ifdef __linux__
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

bool rpi_membarrier_register(void)
{
    long known = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    return known > 0 && known & MEMBARRIER_CMD_PRIVATE_EXPEDITED &&
           syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

void rpi_membarrier_all(void)
{
    (void)syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0,
                  0); /* cannot fail once it is registered */
}
#else
bool rpi_membarrier_register(void)
{
    return false;
}

void rpi_membarrier_all(void)
{
}
#endif
