/* Results as long as their arguments, which begin with the value that counts. */
#ifndef PADDED_H
#define PADDED_H

#include <rankpool.h>

/* Ends a task: its result is the value, padded to `size` bytes, which is at least sizeof value. */
rp_status return_padded(rp_call *call, int64_t value, size_t size);

#endif
