/* What runs in the zygote's process (forkserver.h). */
#ifndef RPI_FORKSERVER_MAIN_H
#define RPI_FORKSERVER_MAIN_H

#include "exec/forkserver_protocol.h"

#include <sys/types.h>

/* The zygote's life, from its fork to its end; all signals are blocked.  `parent`: the worker. */
_Noreturn void rpi_forkserver_main(int socket, pid_t parent,
                                   const struct rpi_forkserver_config *config);

#endif
