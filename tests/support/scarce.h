/* Everything while memory runs short: each allocation refused in turn, then some by chance.  What
 * was refused has changed nothing and can be asked for again. */
#ifndef SCARCE_H
#define SCARCE_H

#include "memory.h"

#include <rankpool.h>

#define TRIES 200 /* of one call */

extern int tired; /* calls still refused memory after TRIES tries */

/* Whether to make the call again. */
bool again(rp_status status, int *tries);

/* Runs it on that memory: with enough, which it must ask for more than `least` times; with each of
 * these refused; `seeds` times with some. */
void with_enough(struct memory *memory, void (*everything)(void), uint64_t least);
void with_each_refused(struct memory *memory, void (*everything)(void), uint64_t least);
void with_some_refused(struct memory *memory, void (*everything)(void), uint64_t seeds);

#endif
