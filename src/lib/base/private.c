#include "base/private.h"

#include <limits.h>
#include <stdatomic.h>
#include <unistd.h>

#define BITS (sizeof(unsigned long) * CHAR_BIT)

/* Of the process, as descriptors are: a bit for each. */
static atomic_ulong marks[RPI_PRIVATE_MOST / BITS];

static unsigned long bit(int file)
{
    return 1UL << (unsigned)file % BITS;
}

int rpi_private(int file)
{
    if (file >= 0 && file < RPI_PRIVATE_MOST)
        (void)atomic_fetch_or(&marks[(unsigned)file / BITS], bit(file));
    return file;
}

/* The mark goes first: the number may be another file's as soon as it is closed. */
void rpi_private_close(int file)
{
    if (file < 0)
        return;
    if (file < RPI_PRIVATE_MOST)
        (void)atomic_fetch_and(&marks[(unsigned)file / BITS], ~bit(file));
    (void)close(file);
}

void rpi_private_leave(void)
{
    for (unsigned i = 0; i < sizeof marks / sizeof *marks; i++) {
        unsigned long left = atomic_exchange(&marks[i], 0);
        for (; left; left &= left - 1)
            (void)close((int)(i * BITS) + __builtin_ctzl(left));
    }
}
