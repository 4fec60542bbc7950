/* Where a stream's settled tasks go.  The stream itself, what the application sees, is in
 * pool/streams.h. */
#ifndef RPI_COMPLETIONS_H
#define RPI_COMPLETIONS_H

#include "base/idqueue.h"

struct rpi_completions {
    struct rpi_idqueue ready; /* settled, in that order */
    uint64_t open;            /* tasks not settled, or not taken from ready yet */
    bool ordered;             /* nothing goes to ready: the stream looks at its items in order */
    bool skip_empty;          /* a successful task without a result is none */
};

#endif
