/* What submitting one task and many have in common. */
#ifndef RPI_SUBMIT_H
#define RPI_SUBMIT_H

#include "pool.h"

/* Checks the application's options (NULL: defaults) and takes what the engine keeps of them.  RP_ERR_INVALID. */
RP_MUST_USE rp_status rpi_task_options(const rp_task_options *given, struct rpi_options *options);

/* RP_ERR_INVALID (NULL), RP_ERR_UNREGISTERED. */
RP_MUST_USE rp_status rpi_function_number(const rp_pool *pool, rp_fn *fn, const char *caller, uint16_t *number);

#endif
