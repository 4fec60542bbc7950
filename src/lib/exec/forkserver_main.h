/* What runs in the fork server's process (forkserver.h). */
#ifndef RPI_FORKSERVER_MAIN_H
#define RPI_FORKSERVER_MAIN_H

#include "exec/forkserver_protocol.h"

#include <sys/types.h>

/* The fork server's life, from its fork to its end; all signals are blocked.  `parent`: the worker.
 */
_Noreturn void rpi_forkserver_main(int socket, pid_t parent,
                                   const struct rpi_forkserver_config *config);

#endif
