/* Results as long as their arguments, which begin with the value that counts. */
#ifndef PADDED_H
#define PADDED_H

#include <rankpool.h>

/* A task's end: its result is the value, and behind it what makes it `size` bytes, which is sizeof
 * value at the least. */
rp_status return_padded(rp_call *call, int64_t value, size_t size);

#endif
