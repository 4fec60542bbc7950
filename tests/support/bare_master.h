/* The master's engine alone, for tests that play its workers by hand. */
#ifndef BARE_MASTER_H
#define BARE_MASTER_H

#include "master/master.h"
#include "memory.h"

#include <string.h>

#define BATCH_LIMIT RPI_BATCH_MIN

extern struct memory memory;
extern struct rpi_registry registry;
extern struct rpi_master master;
extern double now; /* the engine's clock, the test's to move */

rp_status never_called(rp_call *call, const void *arg, size_t size);
/* Registers it as "add", the first function; for a suite's set-up: 0, or not. */
int register_add(void);

/* An engine with this many workers, all on one host; `log` NULL: warnings go to stderr. */
void begin_master(int workers, const struct rpi_log *log);
/* Frees it; nothing may be left. */
void end_master(void);

/* A number as the application put it into an argument: in this machine's order of bytes. */
static inline uint64_t number_in(const void *argument)
{
    uint64_t number;
    memcpy(&number, argument, sizeof number);
    return number;
}

rp_state state_of(uint64_t id);
/* Of a task that must be settled. */
rp_outcome outcome_of(uint64_t id);

#endif
