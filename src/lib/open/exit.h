/* The end of a process that has opened pools, and its children by fork(). */
#ifndef RPI_EXIT_H
#define RPI_EXIT_H

/* From now on the process's end ends its pools, and MPI where rp_open has initialised it. */
void rpi_exit_prepare(void);

#endif
