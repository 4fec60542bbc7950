/* Makes every thread of this process order its memory accesses, as if each had a fence at this
 * moment: what a thread that comes and goes millions of times a second then need not pay for. */
#ifndef RPI_MEMBARRIER_H
#define RPI_MEMBARRIER_H

#include <stdbool.h>

/* Once, before rpi_membarrier_all.  False: this kernel does not do it. */
bool rpi_membarrier_register(void);
void rpi_membarrier_all(void);

#endif
