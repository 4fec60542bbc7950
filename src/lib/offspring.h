/* The processes that this one has started, and those that they have. */
#ifndef RPI_OFFSPRING_H
#define RPI_OFFSPRING_H

/* SIGKILL to all of them whose parents still live; for a process that ends by itself, whose launcher may not know of them. */
void rpi_offspring_kill(void);

#endif
